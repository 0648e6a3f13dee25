"""The chart's README.md says what is so: its table is made from the comments in values.yaml."""

import json
import os
import re
import textwrap

import yaml

import chart

README = chart.CHART / "README.md"
VALUES = chart.CHART / "values.yaml"
START, END = "<!-- values: made from values.yaml by Tests/Deploy/chart -->\n", "<!-- end of values -->\n"


def comment_above(lines, line):
    """The comment that ends above a line: its text, without examples, which are indented."""
    words = []
    while line > 0 and re.match(r" *#( |$)", lines[line - 1]):
        line -= 1
        text = re.sub(r"^ *# ?", "", lines[line])
        if not text.startswith(" "):
            words.insert(0, text.strip())
    return " ".join(word for word in words if word)


def rows(node, lines, path=()):
    """(path, default, comment) of every value. A map whose keys have comments is a section, any other a value."""
    for key, value in node.value:
        comment = comment_above(lines, key.start_mark.line)
        name = (*path, key.value)
        has_parts = isinstance(value, yaml.MappingNode) and value.value
        if has_parts and any(comment_above(lines, inner.start_mark.line) for inner, _ in value.value):
            assert comment, f"{'.'.join(name)} has no comment"
            yield from rows(value, lines, name)
        else:
            assert comment, f"{'.'.join(name)} has no comment"
            yield ".".join(name), yaml.SafeLoader("").construct_object(value, deep=True), comment


def values():
    """Defaults and comments by path."""
    text = VALUES.read_text()
    return {path: (default, comment) for path, default, comment in rows(yaml.compose(text), text.splitlines())}


def table():
    text = "| value | default | meaning |\n|---|---|---|\n"
    for path, (default, comment) in values().items():
        shown = json.dumps(default).replace("|", "\\|")
        text += f"| `{path}` | `{shown}` | {comment.replace('|', chr(92) + '|')} |\n"
    return text


def test_the_table_of_values_is_that_of_the_values():
    before, _, rest = README.read_text().partition(START)
    _, _, after = rest.partition(END)
    wanted = f"{before}{START}\n{table()}\n{END}{after}"
    if os.environ.get("UPDATE_GOLDEN"):
        README.write_text(wanted)
    assert README.read_text() == wanted, "UPDATE_GOLDEN=1 Tests/Deploy/chart/run writes it anew"


def test_examples_in_comments_are_valid(tmp_path):
    """What stands indented in a comment is what somebody will copy."""
    blocks = re.findall(r"(?m)(?:^ *#   .*\n)+", VALUES.read_text())
    assert len(blocks) == 2
    config, servers = (yaml.safe_load(re.sub(r"(?m)^ *# ? ? ?", "", block)) for block in blocks)
    objects = chart.render(chart.CASES["managed"], {"gateway": config}, tmp_path)
    assert "abcd1234" in chart.configuration(objects)
    chart.render(chart.CASES["managed"], {"networkPolicy": {"egress": {"enabled": True, **servers}}}, tmp_path)


def snippets_of_values():
    return [textwrap.dedent(each) for each in re.findall(r"(?ms)^ *```yaml\n(.*?)^ *```", README.read_text())]


def first_snippet():
    return snippets_of_values()[0]


def test_snippets_of_values_render(tmp_path):
    snippets = snippets_of_values()
    assert len(snippets) == 6
    for snippet in snippets:
        values = yaml.safe_load(snippet)
        if values.keys() == {"cloudflared"}:
            assert values["cloudflared"]["image"]["digest"] == chart.pins()["GUIDE_CLOUDFLARED_DIGEST"]
        if values.keys() <= {"cloudflared", "metrics", "autoscaling"}:
            values |= yaml.safe_load((chart.HERE / f"cases/{chart.EXTERNAL}.yaml").read_text())
        objects = chart.load(render_alone(values, tmp_path))
        assert [each for each in objects if each["kind"] == "Deployment"]


def render_alone(values, tmp_path):
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(values))
    return chart.run("-release", "mcp-tunnel", "-namespace", "mcp-tunnel", "-f", str(file))


def test_every_value_that_the_text_names_exists():
    known = set(values())
    text, _, _ = README.read_text().partition(START)
    sections = {name.rsplit(".", count)[0] for name in known for count in range(1, name.count(".") + 1)}
    roots = "|".join({name.split(".")[0] for name in known if "." in name})
    named = set(re.findall(rf"`((?:{roots})\.[\w.]+)", text)) - {"api.anthropic.com"}
    named = {re.sub(r"^gateway\.config\..*", "gateway.config", name) for name in named}
    assert named and named <= known | sections


def test_the_version_is_that_of_the_programs():
    source = (chart.ROOT / "Sources/TunnelCLI/PackageVersion.swift").read_text()
    current = re.search(r'current = "([^"]+)"', source)[1]
    assert yaml.safe_load((chart.CHART / "Chart.yaml").read_text())["appVersion"] == current
