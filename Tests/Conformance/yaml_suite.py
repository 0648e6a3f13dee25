"""YAML: our reader on the specification's examples, and beside three others on documents that nobody would write."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable
from typing import Any

import yaml
import yaml12
from context import ROOT, Context, pinned
from record import Case, Suite
from yaml_differential import Dump, Writer, compare, mutate

VECTORS = ROOT / "Tests/Vectors/yaml-1.2-examples.json"
SEED = 3
COUNT, BOUNDED = 20_000, 500

EXAMPLES = Suite(
    "yaml-examples", "YAML, the specification's examples",
    """
The examples of [YAML 1.2.2](https://yaml.org/spec/1.2.2/) by their numbers, in words of our own (`Tests/Vectors/yaml-1.2-examples.json`). A letter behind
a number is what is left of an example without the parts that we leave out. The values are those of the core schema. Our
reader is for configuration files: anchors, tags, directives, several documents, keys that are no scalars, and pairs in sequences are refused
with a message that says so, since readers differ on them or a file of ours has no use for them. So are tabs that look like indentation.
""",
    {"read as it says": 0, "refused as it says": 0, "left out on purpose": 1, "differs": 5})
CHAPTERS = {"2": "2 preview", "5": "5 characters", "6": "6 structure", "7": "7 flow style", "8": "8 block style", "9": "9 documents", "10": "10 schemas"}
for entry in json.loads(VECTORS.read_text()):
    if why := entry.get("outside") or entry.get("stricter"):
        EXAMPLES.remarks[entry["example"]] = why

DIFFERENTIAL = Suite(
    "yaml-differential", "YAML, beside other readers",
    f"""
{COUNT:,} documents, random trees in random styles, most of them damaged afterwards, go to our reader, to ruamel.yaml, to libyaml (as PyYAML
has it) and to yaml12 (saphyr, in Rust). What we take must be the same tree for ruamel.yaml, scalar for scalar with the core schema's types;
`Tests/Support/yaml_differential.py` lists where it leaves the specification itself. The other two are looked at beside it: libyaml is of YAML 1.1 and knows
no types here.
""",
    {"the same for all": 0, "refused by us": 0, "the same, but libyaml refuses": 0, "the same, but yaml12 refuses": 0, "the same, but both refuse": 0,
     "the same, but yaml12 reads it otherwise": 0, "libyaml reads it otherwise": 1, "both read it otherwise": 2, "ruamel.yaml differs": 5},
    {f"{SEED}/6489": "a folded scalar at the top may stand at the margin; libyaml takes its lines for comments"},
    pinned("ruamel.yaml", "PyYAML", "py-yaml12"))


def examples(context: Context) -> Iterable[Case]:
    dump = Dump(context.binary("yaml-dump"))
    for entry in json.loads(VECTORS.read_text()):
        found = dump.read(entry["yaml"].encode())
        note = json.dumps(found, ensure_ascii=False)
        if "stricter" in entry and "error" in found:
            verdict = "left out on purpose"
        elif "value" in entry:
            verdict = "read as it says" if "tree" in found and same(value(found["tree"]), entry["value"]) else "differs"
        elif "invalid" in entry:
            verdict = "refused as it says" if "error" in found else "differs"
        else:
            verdict = "left out on purpose" if "error" in found else "differs"
        yield Case(entry["example"], CHAPTERS[entry["example"].partition(".")[0]], verdict, True, note)


def value(tree: list) -> Any:
    """A tree of ours as a value, for what JSON cannot say in words."""
    match tree[0]:
        case "!!seq":
            return [value(item) for item in tree[1]]
        case "!!map":
            return {value(key) if isinstance(value(key), str) else json.dumps(value(key)): value(item) for key, item in tree[1]}
        case "!!null" if tree[2] == "plain":
            return None
        case "!!bool":
            return tree[3]
        case "!!int":
            return int(tree[3])
        case "!!float":
            return float(tree[3])
    return tree[1]


def same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, str) and wanted in ("inf!", "-inf!", "nan!"):
        return isinstance(found, float) and (math.isnan(found) if wanted == "nan!" else found == float(wanted[:-1]))
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(same, found, wanted))
    if isinstance(wanted, dict):
        return isinstance(found, dict) and list(found) == list(wanted) and all(same(found[key], wanted[key]) for key in wanted)
    return type(found) is type(wanted) and found == wanted


def texts(tree: list) -> Any:
    """Structure and scalars' texts, without types."""
    if tree[0] == "!!seq":
        return [texts(item) for item in tree[1]]
    if tree[0] == "!!map":
        return [[texts(key), texts(item)] for key, item in tree[1]]
    return tree[1]


def libyaml_texts(node: yaml.Node | None) -> Any:
    if node is None:
        return ""
    if isinstance(node, yaml.SequenceNode):
        return [libyaml_texts(item) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return [[libyaml_texts(key), libyaml_texts(item)] for key, item in node.value]
    return node.value


def by_libyaml(document: bytes, ours: list) -> str:
    try:
        theirs = libyaml_texts(yaml.compose(document, Loader=yaml.CBaseLoader))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError):
        return "refuses"
    return "same" if theirs == texts(ours) else "other"


def by_yaml12(document: bytes, ours: list) -> str:
    try:
        theirs = yaml12.parse_yaml(document.decode("utf-8-sig"))
    except (ValueError, TypeError, OverflowError):
        return "refuses"
    return "same" if plain(theirs) == plain(value(ours)) else "other"


def plain(found: Any) -> Any:
    """Values that compare, whatever kinds of numbers and keys a reader has."""
    if isinstance(found, dict):
        return {str(key) if isinstance(key, str) else json.dumps(key, default=str): plain(item) for key, item in found.items()}
    if isinstance(found, list | tuple):
        return [plain(item) for item in found]
    if isinstance(found, float):
        return repr(found)
    return f"{type(found).__name__} {found}"


VERDICTS = {
    ("same", "same"): "the same for all", ("refuses", "same"): "the same, but libyaml refuses", ("same", "refuses"): "the same, but yaml12 refuses",
    ("refuses", "refuses"): "the same, but both refuse", ("other", "other"): "both read it otherwise",
}


def differential(context: Context) -> Iterable[Case]:
    dump, rng = Dump(context.binary("yaml-dump")), random.Random(SEED)
    writer = Writer(rng)
    for number in range(1, (BOUNDED if context.bounded else COUNT) + 1):
        text = writer.document()
        is_damaged = rng.random() < 0.7
        if is_damaged:
            text = mutate(rng, text)
        document = text.encode("utf-8", "surrogatepass")
        problem, is_taken = compare(dump, document)
        note = repr(document[:300])
        if problem:
            verdict, note = "ruamel.yaml differs", f"{note}: {problem}"
        elif not is_taken:
            verdict = "refused by us"
        else:
            ours = dump.read(document)["tree"]
            pair = by_libyaml(document, ours), by_yaml12(document, ours)
            verdict = VERDICTS.get(pair) or ("libyaml reads it otherwise" if pair[0] == "other" else "the same, but yaml12 reads it otherwise")
        yield Case(f"{SEED}/{number}", "damaged" if is_damaged else "as written", verdict, number <= BOUNDED, note)


SUITES = [(EXAMPLES, examples), (DIFFERENTIAL, differential)]
