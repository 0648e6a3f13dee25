"""Our rendering against that of Helm itself, which is at hand on x86-64 only."""

import platform
import re
import sys

import pytest
import yaml

import chart
import test_values

if platform.machine() != "x86_64":
    pytest.skip("there is no wheel of Helm for this machine", allow_module_level=True)

import helm_python as helm

IDIOMS = chart.ROOT / "Tests/Support/chart-render/idioms"


def merged(under, over):
    """Values files as Helm lays them over each other."""
    result = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def given(case):
    values = {}
    for name in case.files:
        values = merged(values, yaml.safe_load((chart.HERE / f"cases/{name}.yaml").read_text()))
    for text in case.sets:
        values = merged(values, helm.parse_set_string(text))
    return values


def by_helm(folder, values, **options):
    """Texts by the path of their template."""
    with helm.Chart.load(folder) as loaded:
        loaded.validate_schema(values)
        return {path: text for path, text in loaded.render(values, **options).items() if text.strip()}


def by_us(text):
    """The same of our output; the objects of one file in the order of their texts."""
    files = {}
    for document in chart.documents(text):
        head, _, rest = document.partition("\n")
        files.setdefault(head.removeprefix("# Source: "), []).append(rest.strip())
    return {path: sorted(texts) for path, texts in files.items()}


def split(text):
    return sorted(part.strip() for part in re.split("(?m)^---$", text) if part.strip())


# Helm has no cluster here, and its own notion of the newest; nor can it be told of further APIs.
ALIKE = [
    name
    for name, case in chart.CASES.items()
    if case.cluster is None and not case.api_versions and case.kube_version == chart.Case(()).kube_version
]


@pytest.mark.parametrize("name", ALIKE)
def test_helm_renders_the_same_text(renderings, name):
    case = chart.CASES[name]
    options = {"is_upgrade": case.is_upgrade, "is_install": not case.is_upgrade}
    expected = by_helm(chart.CHART, given(case), name=case.release, namespace=case.namespace, **options)
    notes = expected.pop("mcp-tunnel/templates/NOTES.txt")
    assert by_us(renderings[name]) == {path: split(text) for path, text in expected.items()}
    assert chart.run(*case.arguments(), "-print", "notes") == notes


def test_helm_renders_the_same_dashboard():
    case = chart.CASES["managed"]
    setting = {"metrics": {"dashboard": {"enabled": True, "annotations": {"grafana_folder": "MCP"}}}}
    expected = by_helm(chart.CHART, merged(given(case), setting), name=case.release, namespace=case.namespace)
    dashboard = {path: split(text) for path, text in expected.items() if path.endswith("dashboard.yaml")}
    sets = ["-set", "metrics.dashboard.enabled=true,metrics.dashboard.annotations.grafana_folder=MCP"]
    assert len(dashboard) == 1 and by_us(chart.run(*case.arguments(), *sets)).items() >= dashboard.items()


def test_helm_merges_values_alike(name):
    case = chart.CASES[name]
    with helm.Chart.load(chart.CHART) as loaded:
        theirs = loaded.merge_values(given(case))
    ours = yaml.safe_load(chart.run(*case.arguments(), "-print", "values"))
    assert without_nulls(theirs) == without_nulls(ours)


def without_nulls(value):
    """Helm 4 takes nulls out of defaults, earlier ones leave them; to templates it is the same."""
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    return value


def test_helm_finds_nothing_to_complain_about(name):
    case = chart.CASES[name]
    report = helm.lint(chart.CHART, given(case), namespace=case.namespace, strict=True)
    complaints = [each for each in report["messages"] if each["severity"] > 1]
    assert not complaints and not report["errors"]


def test_helm_refuses_what_the_schema_refuses():
    with helm.Chart.load(chart.CHART) as loaded:
        with pytest.raises(helm.HelmValuesError, match="mispelt"):
            loaded.validate_schema({"mispelt": True})


@pytest.mark.parametrize("name, values, complaint", test_values.REFUSED)
def test_helm_refuses_what_contradicts_itself(name, values, complaint):
    case = chart.CASES[name]
    by_schema = "values don't meet the specifications of the schema"  # which Helm asks before the templates
    with helm.Chart.load(chart.CHART) as loaded:
        with pytest.raises(helm.HelmError, match=f"{complaint}|{by_schema}"):
            loaded.render(merged(given(case), values), name=case.release, namespace=case.namespace)


def test_a_chart_as_helm_makes_them_is_rendered_alike(tmp_path):
    with helm.Chart.create("scaffold", tmp_path) as loaded:
        for values in ({}, {key: {"enabled": True} for key in ("ingress", "autoscaling", "httpRoute")}):
            expected = {k: v for k, v in loaded.render(values, name="r", namespace="n").items() if v.strip()}
            notes = expected.pop("scaffold/templates/NOTES.txt")
            file = tmp_path / "values.yaml"
            file.write_text(yaml.safe_dump(values))
            arguments = ["-release", "r", "-namespace", "n", "-f", str(file)]
            ours = by_us(chart.run(*arguments, chart=tmp_path / "scaffold"))
            assert ours == {path: split(text) for path, text in expected.items()}
            assert chart.run(*arguments, "-print", "notes", chart=tmp_path / "scaffold") == notes


def test_the_idioms_are_what_helm_makes_of_them():
    """So that the expectation of test_chart_render.py is Helm's and not ours."""
    expected = by_helm(IDIOMS, {"set": "given"}, name="r", namespace="n")
    assert by_us((IDIOMS / "expected.yaml").read_text()) == {path: split(each) for path, each in expected.items()}


def test_helm_takes_the_packed_chart(tmp_path):
    sys.path.insert(0, str(chart.ROOT / "deploy/release"))
    from archives import pack_chart

    version = yaml.safe_load((chart.CHART / "Chart.yaml").read_text())["version"]
    packed = tmp_path / f"mcp-tunnel-{version}.tgz"
    pack_chart([path for path in chart.CHART.rglob("*") if path.is_file()], packed, 0)
    case = chart.CASES["managed"]
    assert by_helm(packed, given(case), name="r", namespace="n") == by_helm(chart.CHART, given(case), name="r", namespace="n")
