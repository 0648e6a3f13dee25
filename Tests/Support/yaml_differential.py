#!/usr/bin/env python3
"""Holds our YAML reader against ruamel.yaml, a YAML 1.2 parser in pure Python.

For every document either our reader refuses it, or both make the same tree of it, scalar for scalar, with the core
schema's types. Documents are the examples of yaml_examples.py, and generated ones: random trees in random styles,
most of them damaged by a few random edits afterwards. A seed makes a run repeatable.

    yaml_differential.py PATH-OF-yaml-dump [--count N] [--seed S]

Needs ruamel.yaml (pip install ruamel.yaml). Exits 0 if all agreed, 1 if not.
"""

import argparse
import io
import json
import math
import random
import re
import subprocess
import sys

import ruamel.yaml
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

import yaml_examples

# --- Where ruamel.yaml itself leaves YAML 1.2.2 -----------------------------------------------------------------------
#
# Types: section 10.3.2 lists the regular expressions of the core schema. ruamel resolves more than they do.
# We compare with the specification's expressions (core_type below), written here once more and independently of ours,
# and accept a difference to ruamel's tag only for the forms listed here.
TYPE_DEVIATIONS = [
    (re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|[-+]?0x[0-9a-fA-F_]+|[-+]?0o?[0-7_]+|[-+]?[0-9_]+"),
     "underscores in numbers and signs before 0x and 0o are YAML 1.1's, not the core schema's"),
    (re.compile(r"[-+]?0b[01_]+"), "binary integers are YAML 1.1's"),
    (re.compile(r"[-+]?\.[0-9_]+([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"),
     "ruamel wants a digit before the point, or a point before the exponent; the core schema does not"),
    (re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*", re.S), "the core schema has no timestamps"),
    (re.compile(r"=|<<"), "the core schema has neither !!value nor !!merge"),
    (re.compile(r"[-+]?\.(inf|Inf|INF|nan|NaN|NAN)"), "a sign before .nan is not in the core schema"),
]


def is_type_deviation(text):
    return any(pattern.fullmatch(text) for pattern, _ in TYPE_DEVIATIONS)


# Documents that ruamel refuses and the specification allows: (what ruamel says, why it is wrong).
REFUSAL_DEVIATIONS = [
    ("found character '\\t' that cannot start any token",
     "s-separate-in-line (section 6.2) is made of spaces and tabs; only indentation (6.1) must be spaces"),
    ("expected chomping or indentation indicators, but found '\\t'",
     "a tab behind the header of a block scalar is s-separate-in-line too (s-b-comment, section 6.6)"),
    ("expected a comment or a line break, but found '\\t'", "the same, behind a space"),
    ("more indented follow up line than first in a block scalar",
     "section 8.1.1.1 forbids leading empty lines that are longer than the indentation, not shorter ones: example 8.2"),
]

# Documents that ruamel reads otherwise than the specification says: (predicate on document and both trees, reason).
READING_DEVIATIONS = [
    (lambda document, ours, theirs: theirs[0] == "!!str" and theirs[2] in ("literal", "folded")
     and re.search(rb"^\.\.\.(\s|\Z)", document, re.M),
     "a block scalar at the top may not hold a line that starts with a document marker (c-forbidden, section 9.1.2)"),
]


# --- The core schema, from the table of section 10.3.2 ----------------------------------------------------------------

CORE = [
    ("!!null", re.compile(r"null|Null|NULL|~|")),
    ("!!bool", re.compile(r"true|True|TRUE|false|False|FALSE")),
    ("!!int", re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")),
    ("!!float", re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")),
]


def core_type(text):
    for tag, pattern in CORE:
        if pattern.fullmatch(text):
            return tag
    return "!!str"


def core_value(tag, text):
    if tag == "!!bool":
        return text.lower() == "true"
    if tag == "!!int":
        value = int(text, 16 if text.startswith("0x") else 8 if text.startswith("0o") else 10)
        return value if -(2**63) <= value < 2**63 else None
    if tag == "!!float":
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return None


# --- Both parsers' trees in one form ----------------------------------------------------------------------------------

class Refused(Exception):
    pass


STYLES = {None: "plain", "": "plain", "'": "singleQuoted", '"': "doubleQuoted", "|": "literal", ">": "folded"}


def ruamel_tree(document):
    parser = ruamel.yaml.YAML(typ="safe", pure=True)
    parser.version = (1, 2)
    try:
        node = parser.compose(io.BytesIO(document))
    except (ruamel.yaml.error.YAMLError, UnicodeDecodeError, ValueError, IndexError, AttributeError, TypeError,
            AssertionError, NotImplementedError, KeyError, OverflowError, RecursionError) as error:
        raise Refused(str(error)) from error
    if node is None:
        return ["!!null", "", "plain"]
    return convert(node)


def convert(node):
    if isinstance(node, ScalarNode):
        style = STYLES[node.style]
        if style != "plain":
            return ["!!str", node.value, style]
        tag = core_type(node.value)
        theirs = str(node.tag).replace("tag:yaml.org,2002:", "!!")
        if theirs != tag and not is_type_deviation(node.value):
            return [f"{tag} by the specification, {theirs} by ruamel", node.value, style]
        return [tag, node.value, style]
    if isinstance(node, SequenceNode):
        return ["!!seq", [convert(item) for item in node.value]]
    assert isinstance(node, MappingNode)
    entries = [[convert(key), convert(value)] for key, value in node.value]
    keys = [json.dumps(key[:2]) for key, _ in entries]
    if len(set(keys)) != len(keys):
        raise Refused("duplicate key")
    return ["!!map", entries]


def without_values(tree, problems):
    """Our tree in the form of ruamel's; the values of numbers and booleans are checked on the way."""
    if tree[0] == "!!seq":
        return ["!!seq", [without_values(item, problems) for item in tree[1]]]
    if tree[0] == "!!map":
        return ["!!map", [[without_values(part, problems) for part in entry] for entry in tree[1]]]
    tag, text, style, value = tree
    if style == "plain" and core_type(text) == tag:
        expected = core_value(tag, text)
        if tag == "!!float":
            value = float(value)
        if value != expected and not (tag == "!!float" and math.isnan(value) and math.isnan(expected)):
            problems.append(f"{text!r} is {expected!r}, we say {value!r}")
    return [tag, text, style]


class Dump:
    """Our reader, in a process of its own that lives as long as the run."""

    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def read(self, document):
        self.process.stdin.write(b"%d\n" % len(document) + document)
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"yaml-dump ended (status {self.process.wait()}) on {document!r}")
        return json.loads(line)


def compare(dump, document):
    """None if all is well, else what differs; and whether our reader took the document."""
    answer = dump.read(document)
    if "error" in answer:
        return None, False
    problems = []
    ours = without_values(answer["tree"], problems)
    if problems:
        return "; ".join(problems), True
    try:
        theirs = ruamel_tree(document)
    except Refused as refusal:
        if any(text in str(refusal) for text, _ in REFUSAL_DEVIATIONS):
            return None, True
        return f"ruamel refuses: {' '.join(str(refusal).split())}\n  ours: {ours}", True
    if ours != theirs and not any(deviates(document, ours, theirs) for deviates, _ in READING_DEVIATIONS):
        return f"  ours:   {ours}\n  ruamel: {theirs}", True
    return None, True


# --- Documents --------------------------------------------------------------------------------------------------------

WORDS = ["a", "b", "key", "true", "null", "~", "yes", "1", "-1", "+1", "0x1F", "0o17", "012", "1.5", ".5", "5.", "1e3",
         ".inf", "-.INF", ".nan", "1_000", "a b", "a: b", "a #b", "a#b", "a:b", "http://x:80", "- a", "-a", "?a", ":a",
         "é", "日本", "\U0001F600", " lead", "trail ", "", "two\nlines", "two\n\nlines\n", "\ttab", "a\tb", "'", '"',
         "it's", "\\n", "[a]", "{a: b}", "a,b", "a, b", "#", "---", "...", "|", ">", "%a", "@a", "`a", "&a", "*a", "!a",
         "10.0.0.0/8", "30s", ":8080", "[::]:8080", "2001-12-14", "<<", "=", "x" * 70, "0", "-0", "0b1", "1e", "e1",
         "\\", "a\\", "\u00a0", "a\u0301", "end\n", "more\n  indented\nless", "\n lead", "a\n\n\nb", "x: |", "-", "?"]


class Writer:
    """Writes a random tree in random styles, not always validly."""

    def __init__(self, rng):
        self.rng = rng

    def document(self):
        rng = self.rng
        text = self.node(0, -1, rng.choice([0, 1, 2, 3]))
        if rng.random() < 0.1:
            text = rng.choice(["---\n", "# c\n---\n", "--- # c\n", "\n\n---\n"]) + text
        if rng.random() < 0.08:
            text += rng.choice(["...\n", "... # c\n", "...\n# c\n\n"])
        return text

    def gap(self):
        return self.rng.choice([""] * 12 + ["\n", "# comment\n", "  # comment\n", "\n\n", " \n", "\t\n"])

    def tail(self):
        return self.rng.choice([""] * 10 + [" ", " # c", "  #c", "\t# c", "\t"]) + "\n"

    def node(self, indent, parent, depth):
        """Lines, each ended, that begin at column indent."""
        kind = self.rng.choice(["map", "map", "seq", "scalar", "flow"] if depth > 0 else ["scalar", "scalar", "flow"])
        if kind == "map":
            return self.mapping(indent, depth)
        if kind == "seq":
            return self.sequence(indent, depth)
        return " " * indent + self.inline(parent, depth, kind)

    def inline(self, parent, depth, kind):
        if kind == "flow":
            return self.flow(depth, parent + 1) + self.tail()
        if self.rng.random() < 0.2:
            return self.block_scalar(parent)
        return self.scalar(False, parent + 1) + self.tail()

    def mapping(self, indent, depth):
        rng, text = self.rng, ""
        for number in range(rng.randint(1, 3)):
            key = self.key(number)
            text += self.gap() + " " * indent + key + rng.choice([":"] * 8 + [" :", "\t:"])
            choice = rng.random()
            if choice < 0.4:
                text += rng.choice([" "] * 6 + ["  ", "\t"]) + self.inline(indent, depth - 1, rng.choice(["scalar", "flow"]))
            elif choice < 0.5:
                text += self.tail()
            elif choice < 0.65:
                text += self.tail() + self.sequence(indent, depth - 1)
            else:
                deeper = indent + rng.choice([1, 2, 2, 2, 4])
                text += self.tail() + self.gap() + self.node(deeper, indent, depth - 1)
        return text

    def sequence(self, indent, depth):
        rng, text = self.rng, ""
        for _ in range(rng.randint(1, 3)):
            text += self.gap() + " " * indent + "-"
            choice = rng.random()
            if choice < 0.1:
                text += self.tail()
            elif choice < 0.2:
                text += self.tail() + self.node(indent + 2, indent, depth - 1)
            else:
                spaces = rng.choice([1, 1, 1, 1, 3])
                inner = self.node(indent + 1 + spaces, indent, depth - 1)
                text += rng.choice([" "] * 20 + ["\t"]) * spaces + inner.lstrip(" ")
        return text

    def key(self, number):
        rng = self.rng
        plain = rng.choice(["a", "key", "k 1", "x.y", "1", "true", "é", "a/b", "<<", "a-b", "'q'", '"q"', "'it''s'", '"\\x41"'])
        return f"{plain}{number}" if plain[0] not in "'\"" else plain if number == 0 else f"q{number}"

    def scalar(self, in_flow, indent):
        rng = self.rng
        word = rng.choice(WORDS)
        style = rng.random()
        if style < 0.45:
            return word.replace("\n", "\n" + " " * (indent + rng.choice([0, 0, 1])))
        if style < 0.65:
            body = word.replace("'", "''")
            return "'" + body.replace("\n", rng.choice(["\n", "\n\n", " \n"]) + " " * (indent + rng.choice([0, 1]))) + "'"
        body = "".join(self.escaped(c, indent) for c in word)
        if rng.random() < 0.15:
            body = body[: len(body) // 2] + "\\\n" + " " * (indent + 1) + body[len(body) // 2 :]
        return '"' + body + '"'

    def escaped(self, char, indent):
        rng = self.rng
        if char in '"\\':
            return "\\" + char
        if char == "\n":
            return rng.choice(["\\n", "\n" + " " * indent, " \n\n" + " " * indent, "\\\n" + " " * indent])
        if rng.random() < 0.1:
            return "\\U%08x" % ord(char) if ord(char) > 0xFFFF else "\\u%04X" % ord(char)
        if char == "\t":
            return rng.choice(["\\t", "\t"])
        return char

    def block_scalar(self, parent):
        rng = self.rng
        header = rng.choice("|>") + rng.choice(["", "", "", "-", "+"])
        step = rng.choice([1, 2, 2, 4])
        if rng.random() < 0.1:
            header += str(step)
        lines = rng.choice(WORDS + ["a\nb\n\nc", "a\n  b\nc", " a\nb", "a\n\n  b\n\n\nc\n\n"]).split("\n")
        text = header + self.tail()
        for line in lines:
            pad = " " * (parent + step if parent >= 0 else step)
            text += (pad + line if line or rng.random() < 0.2 else "") + "\n"
        return text + rng.choice(["", "", "\n", "\n\n", " \n"])

    def flow(self, depth, indent):
        rng = self.rng
        space = lambda: rng.choice([""] * 5 + [" ", " ", "\n" + " " * indent, " # c\n" + " " * (indent + 1), "\t"])
        if depth <= 0 or rng.random() < 0.3:
            return self.scalar(True, indent)
        if rng.random() < 0.5:
            items = [space() + self.flow(depth - 1, indent) + space() for _ in range(rng.randint(0, 3))]
            return "[" + ",".join(items) + rng.choice(["", "", ",", " "]) + "]"
        items = []
        for number in range(rng.randint(0, 3)):
            colon = rng.choice([": "] * 6 + [":", " : ", ":\n" + " " * (indent + 1)])
            items.append(space() + self.key(number) + colon + self.flow(depth - 1, indent) + space())
        return "{" + ",".join(items) + rng.choice(["", "", ",", " "]) + "}"


PIECES = [" ", "  ", "\n", "\t", ":", ": ", "-", "- ", "#", " #", ",", "[", "]", "{", "}", "'", '"', "\\", "|", ">", "?",
          "? ", "&", "*", "!", "%", "@", "`", "a", "0", "---\n", "...\n", "\n\n", "\r\n", "\r", "<<", "~", "\u2028", "\ufeff",
          "\x85", "é", "|2", ">-", "\\n", "''", "null"]


def mutate(rng, text):
    for _ in range(rng.choice([1, 1, 2, 3])):
        at = rng.randint(0, len(text))
        choice = rng.random()
        if choice < 0.45:
            text = text[:at] + rng.choice(PIECES) + text[at:]
        elif choice < 0.7:
            text = text[:at] + text[at + rng.choice([1, 1, 2, 4]) :]
        elif choice < 0.85:
            lines = text.split("\n")
            number = rng.randrange(len(lines))
            lines[number] = rng.choice([" " + lines[number], lines[number][1:], lines[number].strip(), "\t" + lines[number]])
            text = "\n".join(lines)
        else:
            other = rng.randint(0, len(text))
            text = text[:at] + text[min(at, other) : min(at, other) + 8] + text[at:]
    return text


def noise(rng):
    return "".join(rng.choice(PIECES + ["a", "b", " ", "\n", ": ", "- "] * 4) for _ in range(rng.randint(1, 14)))


def generate(rng):
    choice = rng.random()
    if choice < 0.15:
        return noise(rng)
    if choice < 0.3:
        text = rng.choice(yaml_examples.ALL)
        return mutate(rng, text)
    text = Writer(rng).document()
    return mutate(rng, text) if rng.random() < 0.5 else text


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("dump", help="path of the yaml-dump executable")
    arguments.add_argument("--count", type=int, default=5000, help="generated documents (default 5000)")
    arguments.add_argument("--seed", type=int, default=1, help="seed of the generator (default 1)")
    arguments.add_argument("--show", type=int, default=5, help="disagreements to print (default 5)")
    options = arguments.parse_args()

    dump = Dump(options.dump)
    rng = random.Random(options.seed)
    wrong = taken = total = 0

    def check(document, expected=None):
        nonlocal wrong, taken, total
        total += 1
        problem, was_taken = compare(dump, document)
        taken += was_taken
        if problem is None and expected is not None and expected != was_taken:
            problem = "refused: " + dump.read(document)["error"] if expected else "taken, and should be refused"
        if problem is not None:
            wrong += 1
            if wrong <= options.show:
                print(f"{document!r}\n  {problem}\n", file=sys.stderr)

    for text in yaml_examples.TAKEN:
        check(text.encode(), True)
    for text in yaml_examples.REFUSED:
        check(text.encode(), False)
    for _ in range(options.count):
        check(generate(rng).encode("utf-8", "surrogatepass"))
    print(f"{total} documents (seed {options.seed}), {taken} taken, {wrong} disagreements")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
