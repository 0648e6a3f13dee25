"""Our renderer, by a chart with what charts commonly do. test_helm.py holds the expectation against Helm."""

import os

import pytest
import yaml

import chart

IDIOMS = chart.ROOT / "Tests/Support/chart-render/idioms"


def render(*arguments):
    return chart.run("-release", "r", "-namespace", "n", *arguments, chart=IDIOMS)


def test_idioms():
    text = render("-set", "set=given")
    if os.environ.get("UPDATE_GOLDEN"):
        (IDIOMS / "expected.yaml").write_text(text)
    assert text == (IDIOMS / "expected.yaml").read_text()


def test_objects_come_in_the_order_of_installation_and_hooks_behind():
    kinds = [each["kind"] for each in chart.load(render("-set", "set=given"))]
    assert kinds == ["ServiceAccount", "Secret", "ConfigMap", "Pod"]


def values(tmp_path, *texts, sets=()):
    arguments = []
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.yaml").write_text(text)
        arguments += ["-f", str(tmp_path / f"{number}.yaml")]
    for each in sets:
        arguments += ["-set", each]
    return yaml.safe_load(render("-print", "values", *arguments))


def test_values_are_laid_over_each_other(tmp_path):
    found = values(
        tmp_path, "map: {c: 3, b: null}\nlist: [z]", "map: {c: 4}\nnew: {deep: true}", sets=["map.d=5,set=null"]
    )
    assert found["map"] == {"a": 1, "c": 4, "d": 5}, "maps are merged, null deletes a default"
    assert found["list"] == ["z"], "lists are replaced"
    assert found["new"] == {"deep": True}
    assert "set" not in found


@pytest.mark.parametrize(
    "text, expected",
    [
        ("a=1", {"a": 1}),
        ("a=01", {"a": "01"}),
        ("a=0", {"a": 0}),
        ("a=1.5", {"a": "1.5"}),
        ("a=true,b=false", {"a": True, "b": False}),
        ("a.b.c=x", {"a": {"b": {"c": "x"}}}),
        (r"a\.b/c=x", {"a.b/c": "x"}),
        (r"a=x\,y", {"a": "x,y"}),
        ("a={x,1}", {"a": ["x", 1]}),
        ("a=x=y", {"a": "x=y"}),
        ("a=", {"a": ""}),
    ],
)
def test_values_of_the_command_line(text, expected, tmp_path):
    assert values(tmp_path, sets=[text]).items() >= expected.items()


@pytest.mark.parametrize(
    "files, complaint",
    [
        ({"templates/a.yaml": '{{ fail "because" }}'}, "because"),
        ({"templates/a.yaml": '{{ required "x is needed" .Values.x }}'}, "x is needed"),
        ({"templates/a.yaml": "{{ if }}"}, r"parse error at \(broken/templates/a.yaml\)"),
        ({"templates/a.yaml": '{{ env "HOME" }}'}, 'function "env" not defined'),
        ({"templates/a.yaml": '{{ include "none" . }}'}, "none"),
        (
            {"templates/a.yaml": '{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}'},
            "more than 1000 deep",
        ),
        ({"templates/a.yaml": "a: [b"}, "YAML parse error on broken/templates/a.yaml"),
        ({"templates/a.yaml": "a: 1\na: 2"}, "already set in map"),
        ({"templates/a.yaml": "kind: Pod"}, "an object without apiVersion, kind or name"),
        ({"charts/b/Chart.yaml": "name: b"}, "subcharts cannot be rendered here"),
        ({"Chart.yaml": "name: broken\nkubeVersion: '>=9'"}, "requires kubeVersion >=9, which v1.34.0 is not"),
        ({"values.yaml": "a: ["}, "values.yaml"),
    ],
)
def test_what_cannot_be_rendered_is_an_error(files, complaint, tmp_path):
    for path, text in {"Chart.yaml": "name: broken\nversion: 1.0.0", "values.yaml": "", **files}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    with pytest.raises(chart.RenderError, match=complaint):
        chart.run(chart=tmp_path)
