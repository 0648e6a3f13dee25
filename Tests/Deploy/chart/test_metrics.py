"""Monitors, rules and dashboard: what Prometheus and Grafana get to read."""

import json
import re

import yaml

import chart
import test_alerts

#: Fields of monitoring.coreos.com/v1 that are used, by the operator's reference.
MONITOR = {"jobLabel", "selector"}
ENDPOINT = {"port", "path", "interval", "scrapeTimeout", "relabelings", "metricRelabelings"}


def of_kind(objects, kind):
    return [each for each in objects if each["kind"] == kind]


def test_all_is_off_by_default(renderings):
    objects = chart.load(renderings["managed"])
    assert not [each for each in objects if each["apiVersion"].startswith("monitoring.coreos.com/")]
    assert not of_kind(objects, "Service") and len(of_kind(objects, "ConfigMap")) == 1


def test_without_the_operator_its_objects_are_left_out_and_the_notes_say_so(renderings):
    objects = chart.load(renderings["metrics-without-operator"])
    assert not [each for each in objects if each["apiVersion"].startswith("monitoring.coreos.com/")]
    assert chart.find(objects, "NetworkPolicy", "mcp-tunnel")["spec"]["ingress"]
    notes = chart.run(*chart.CASES["metrics-without-operator"].arguments(), "-print", "notes")
    assert "does not have monitoring.coreos.com/v1" in notes and "metrics.trustCRDs" in notes
    for name in ("metrics", "managed"):
        assert "monitoring.coreos.com" not in chart.run(*chart.CASES[name].arguments(), "-print", "notes")


def test_the_pod_monitor_scrapes_the_admin_port(renderings):
    objects = chart.load(renderings["metrics"])
    (monitor,) = of_kind(objects, "PodMonitor")
    assert monitor["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    assert monitor["spec"].keys() == MONITOR | {"podMetricsEndpoints"}
    assert monitor["spec"]["podMetricsEndpoints"] == [
        {"port": "admin", "path": "/metrics", "interval": "30s", "scrapeTimeout": "10s"}
    ]
    labels, spec = chart.pod_of(chart.find(objects, "Deployment", "mcp-tunnel"))
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert monitor["spec"]["jobLabel"] in labels
    assert [port["name"] for port in chart.named(spec, "mcp-proxy")["ports"]] == ["admin"]
    assert not of_kind(objects, "ServiceMonitor") + of_kind(objects, "Service")


def test_the_service_monitor_finds_its_service(renderings):
    objects = chart.load(renderings["everything"])
    ((monitor,), (service,)) = (of_kind(objects, kind) for kind in ("ServiceMonitor", "Service"))
    assert monitor["spec"].keys() == MONITOR | {"endpoints"}
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint.keys() == ENDPOINT
    assert (endpoint["interval"], endpoint["scrapeTimeout"]) == ("1m", "20s")
    labels = service["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert monitor["spec"]["jobLabel"] in labels
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    # Of a Service with an address of its own, Prometheus would get any pod's metrics.
    assert service["spec"]["clusterIP"] == "None" and service["spec"]["publishNotReadyAddresses"]


def test_the_rule_holds_the_alerts_and_further_ones(renderings):
    (rule,) = of_kind(chart.load(renderings["metrics"]), "PrometheusRule")
    assert rule["spec"] == yaml.safe_load(test_alerts.ALERTS.read_text())
    (rule,) = of_kind(chart.load(renderings["everything"]), "PrometheusRule")
    own, further = rule["spec"]["groups"]
    assert own == yaml.safe_load(test_alerts.ALERTS.read_text())["groups"][0]
    assert further["name"] == "acme-mcp-tunnel-further" and len(further["rules"]) == 1


DASHBOARD = json.loads((chart.CHART / "files/dashboard.json").read_text())


def test_the_dashboard_is_found_by_grafana(tmp_path):
    objects = chart.render(chart.CASES["managed"], {"metrics": {"dashboard": {"enabled": True}}}, tmp_path)
    found = chart.find(objects, "ConfigMap", "mcp-tunnel-dashboard")
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(found["data"]["mcp-tunnel.json"]) == DASHBOARD
    assert (chart.ROOT / "deploy/prometheus/dashboard.json").samefile(chart.CHART / "files/dashboard.json")


def queries():
    """Every expression of the dashboard, by its panel."""
    found = [(panel["title"], each["expr"]) for panel in DASHBOARD["panels"] for each in panel.get("targets", [])]
    return found + [("annotation", each["expr"]) for each in DASHBOARD["annotations"]["list"]]


def test_panels_do_not_cover_each_other():
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken and max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(numbers) == len(set(numbers))


def test_prometheus_reads_every_query(tmp_path):
    rules = [
        {"record": f"panel:{number}", "expr": re.sub(r"\$__rate_interval", "5m", query)}
        for number, (_, query) in enumerate(queries())
    ]
    (tmp_path / "rules.yaml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in test_alerts.promtool("check", "rules", tmp_path / "rules.yaml")


def names_in(query):
    """Names of metrics, without what is in quotes, labels and functions."""
    text = re.sub(r'"[^"]*"', "", query)
    names = re.findall(r"\b((?:mcp_tunnel|mcp_server|http_server|http_client|process)_[a-z_]+)", text)
    for alternatives in re.findall(r'__name__=~"([^"]+)"', query):
        names += alternatives.split("|")
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in names}


def documented():
    """The metrics that there are, by their reference."""
    text = (chart.ROOT / "docs/metrics.md").read_text()
    return set(re.findall(r"`((?:mcp_tunnel|mcp_server|http_server|http_client|process)_[a-z_]+)", text))


def test_dashboard_and_alerts_name_only_metrics_that_there_are():
    known = documented()
    asked = [*queries(), *((name, rule["expr"]) for name, rule in test_alerts.rules().items())]
    for title, query in asked:
        assert names_in(query) and names_in(query) <= known, title
