"""Values that cannot be right are refused, with what to do about it."""

import copy
import json
import re

import jsonschema
import pytest
import yaml

import chart
import test_readme

SCHEMA = json.loads((chart.CHART / "values.schema.json").read_text())
DEFAULTS = yaml.safe_load((chart.CHART / "values.yaml").read_text())
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


def test_the_schema_is_one():
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_defaults_and_every_case_fit_the_schema(name):
    VALIDATOR.validate(DEFAULTS)
    VALIDATOR.validate(yaml.safe_load(chart.run(*chart.CASES[name].arguments(), "-print", "values")))


def sections():
    """Paths of the maps whose keys are ours: those that values.yaml explains one by one."""
    paths = [tuple(path.split(".")) for path in test_readme.values()]
    return sorted({path[:length] for path in paths for length in range(len(path))})


@pytest.mark.parametrize("path", sections(), ids=".".join)
def test_a_misspelt_key_is_refused_in_every_section(path):
    values = copy.deepcopy(DEFAULTS)
    section = values
    for key in path:
        section = section[key]
    section["mispelt"] = True
    (error,) = VALIDATOR.iter_errors(values)
    assert "mispelt" in error.message


def test_the_schema_knows_exactly_the_values_there_are():
    for path in sections():
        values, schema = DEFAULTS, SCHEMA
        for key in path:
            values, schema = values[key], schema["properties"][key]
            schema = SCHEMA["definitions"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
        assert set(schema["properties"]) - {"global"} == set(values), path
        assert set(schema.get("required", [])) <= set(values)


def at(path, value):
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


@pytest.mark.parametrize(
    "path, value",
    [
        ("replicaCount", "3"),
        ("replicaCount", -1),
        ("setup.enabled", "false"),
        ("api.wif.federationRuleId", "rule"),
        ("api.wif.organizationId", "my-organization"),
        ("api.wif.workspaceId", "production"),
        ("api.wif.tunnelId", "abcd1234.tunnel.anthropic.com"),
        ("tunnel.id", "abcd1234"),
        ("api.wif.audience", ""),
        ("api.wif.tokenFile", "spiffe/token"),
        ("api.wif.tokenExpirationSeconds", 599),
        ("api.url", "api.anthropic.com"),
        ("api.generation", 3),
        ("image.digest", "6b599ca3"),
        ("image.repository", "registry.example.com/mcp-proxy@sha256:00"),
        ("serverCert.renewBefore", "30d"),
        ("serverCert.renewBefore", 720),
        ("serverCert.keyType", "rsa-1024"),
        ("gateway.config.routes", ["http://docs-mcp.internal:8080"]),
        ("gateway.config.routes", {"docs": "http://docs-mcp.internal:8080/"}),
        ("gateway.config.routes", {"docs": "docs-mcp.internal:8080"}),
        ("gateway.config.routes", {"docs": "http://docs-mcp.internal"}),
        ("gateway.config.routes", {"docs": None}),
        ("gateway.config.tunnel_domain", "https://abcd1234.tunnel.anthropic.com"),
        ("gateway.config.log_level", "verbose"),
        ("gateway.config.upstream", {"allowed_ips": []}),
        ("gateway.config.upstream", {"allowed_ips": "10.0.0.0/8"}),
        ("gateway.config.upstream", {"allowed_ips": ["10.0.0.0/8"], "disable_ip_validation": True}),
        ("commonLabels", {"app.kubernetes.io/instance": "other"}),
        ("dnsPolicy", "Never"),
        ("cloudflared.metricsAddress", "localhost"),
        ("setup.activeDeadlineSeconds", 0),
        ("serverCert.cronSchedule", "0 0 * *"),
        ("podLabels", {"app.kubernetes.io/component": "other"}),
        ("setup.podLabels", {"app.kubernetes.io/name": "other"}),
        ("podAnnotations", {"example.com/count": 3}),
        ("gateway.config", []),
        ("networkPolicy.egress.cloudflaredEgressCIDRs", ["198.41.192.7"]),
        ("networkPolicy.egress.cloudflaredEgressCIDRs", []),
        ("networkPolicy.egress.mcpServers", ["hello-mcp"]),
        ("networkPolicy.egress.mcpServers", [{"app": "hello-mcp"}]),
        ("networkPolicy.egress.mcpServers", [{"ports": [9000]}]),
        ("networkPolicy.egress.mcpServers", [{"cidr": "10.0.0.0/8", "podSelector": {}}]),
        ("networkPolicy.egress.mcpServers", [{"podSelector": {}, "except": ["10.0.0.0/8"]}]),
        ("networkPolicy.mcpServers", [{"cidr": "10.0.0.0/8", "ports": [0]}]),
        ("terminationGracePeriodSeconds", 0),
        ("gateway.adminPort", 0),
        ("metrics.enabled", "true"),
        ("metrics.podMonitor.interval", "30"),
        ("metrics.serviceMonitor.scrapeTimeout", 10),
        ("metrics.prometheusRule.rules", {}),
        ("metrics.dashboard.labels", {"grafana_dashboard": 1}),
        ("cloudflared.metricsPort", 65536),
        ("fullnameOverride", "Upper"),
        ("autoscaling", None),
        ("serverCert.duration", None),
    ],
)
def test_a_value_that_cannot_be_right_is_refused(path, value, tmp_path):
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(at(path, value)))
    arguments = [*chart.CASES["managed"].arguments(), "-f", str(file), "-print", "values"]
    assert list(VALIDATOR.iter_errors(yaml.safe_load(chart.run(*arguments))))


def refusal(values, tmp_path, case="managed"):
    with pytest.raises(chart.RenderError) as failure:
        chart.render(chart.CASES[case], values, tmp_path)
    return str(failure.value)


REFUSED = [
    ("managed", {"gateway": {"config": {"routes": None}}}, "gateway.config.routes: needs at least one route"),
    ("managed", {"gateway": {"config": {"routes": ["a"]}}}, "gateway.config.routes: must be a map"),
    ("managed", {"gateway": {"config": {"tls": "x"}}}, "gateway.config.tls: must be a map"),
    ("managed", at("gateway.config.shutdown_timeout", "30"), "shutdown_timeout: 30 is not a duration such as 30s"),
    ("managed", at("gateway.config.shutdown_timeout", "1d"), "shutdown_timeout: 1d is not a duration"),
    ("managed", at("gateway.config.shutdown_timeout", "-1s"), "shutdown_timeout: -1s is not a duration"),
    ("managed", at("gateway.config.shutdown_timeout", 30), "shutdown_timeout: 30 is not a duration"),
    ("managed", {"terminationGracePeriodSeconds": 39}, "terminationGracePeriodSeconds: 39 is too short; .* need 40"),
    ("managed", at("tunnel.id", "tnl_other"), "tunnel.id and api.wif.tunnelId differ"),
    ("managed", at("api.token", "x"), "api.token and api.wif.federationRuleId: setup authenticates with one"),
    ("managed", at("api.wif.federationRuleId", ""), "api.wif.federationRuleId: required for setup"),
    ("managed", at("api.wif.organizationId", None), "api.wif.organizationId: required for setup"),
    ("external", at("gateway.config.tunnel_domain", None), "gateway.config.tunnel_domain: required in external mode"),
    ("external", at("external.tunnelTokenSecretName", ""), "external.tunnelTokenSecretName: required"),
    ("external", at("external.serverCertSecretName", None), "external.serverCertSecretName: required"),
    (
        "managed",
        at("gateway.config.routes", {"docs": "http://docs-mcp.internal:8080/mcp"}),
        r"gateway.config.routes.docs: invalid upstream \(must be scheme://host:port\): http://docs-mcp.internal:8080/mcp",
    ),
    ("managed", at("gateway.config.routes", {"docs": "http://a:65536"}), "routes.docs: invalid upstream"),
    ("managed", at("gateway.config.routes", {"docs": "unix:run/mcp.sock"}), "routes.docs: invalid upstream"),
    ("managed", at("gateway.config.route_options", {"dosc": {"rate": 5}}), "route_options.dosc: no such route"),
    ("managed", at("gateway.config.routes", {"docs": "http://u@a:1"}), "routes.docs: invalid upstream"),
    ("managed", at("gateway.config.routes", {"docs": 8080}), "routes.docs: invalid upstream .*: 8080"),
    ("managed", at("gateway.config.routes", {"docs": "https://a:443"}), "upstream.tls: an https upstream needs ca_file"),
    ("external", at("gateway.config.tunnel_domain", "https://t.example"), "https://t.example is no domain"),
    ("managed", at("gateway.config.upstream", {"allowed_ips": []}), "an empty list allows no upstream at all"),
    (
        "managed",
        at("gateway.config.upstream", {"allowed_ips": ["10.0.0.0/8"], "disable_ip_validation": True}),
        "allowed_ips and disable_ip_validation exclude each other",
    ),
    ("managed", at("gateway.config.upstream", "x"), "gateway.config.upstream: must be a map"),
    ("managed", at("serverCert.renewBefore", "2160h"), "serverCert.renewBefore: 2160h is not shorter than"),
    ("managed", at("api", {"token": "x", "tokenSecretName": "y"}), "api.token and api.tokenSecretName: the key is in one"),
    ("managed", at("gateway.config.shutdown_delay", "5"), "shutdown_delay: 5 is not a duration such as 30s"),
    ("managed", at("gateway.adminPort", 8080), "gateway.adminPort: 8080 is taken in the pod"),
    ("managed", at("gateway.adminPort", 20241), "gateway.adminPort: 20241 is taken in the pod"),
    ("managed", at("metrics.podMonitor.enabled", True), "metrics.podMonitor.enabled: needs metrics.enabled: true"),
    ("managed", at("metrics.serviceMonitor.enabled", True), "metrics.serviceMonitor.enabled: needs metrics.enabled"),
    ("metrics", at("metrics.serviceMonitor.enabled", True), "each scrapes all pods, so leave one of them"),
    ("metrics", at("metrics.from", []), "metrics.from: an empty list lets in everybody"),
    ("egress", {"networkPolicy": {"enabled": False}}, "networkPolicy.enabled and .* contradict each other"),
    ("egress", at("networkPolicy.egress.mcpServers", []), "networkPolicy.egress.mcpServers: needs the MCP servers"),
    ("managed", {"fullnameOverride": "a" * 42}, "longer than 41 characters, .* set fullnameOverride"),
]


@pytest.mark.parametrize("case, values, complaint", REFUSED)
def test_values_that_contradict_each_other_are_refused(case, values, complaint, tmp_path):
    assert re.search(complaint, refusal(values, tmp_path, case))


def test_all_complaints_come_at_once(tmp_path):
    message = refusal({"gateway": {"config": {"routes": None}}, "api": {"wif": {"organizationId": ""}}}, tmp_path)
    assert "gateway.config.routes" in message and "api.wif.organizationId" in message


def test_a_name_of_the_greatest_length_fits(tmp_path):
    objects = chart.render(chart.CASES["managed"], {"fullnameOverride": "a" * 41}, tmp_path)
    assert max(len(each["metadata"]["name"]) for each in objects) == 52


def test_certificates_may_be_renewed_up_to_a_second_before_their_end(tmp_path):
    values = at("serverCert", {"duration": "2160h", "renewBefore": "2159h59m59s"})
    chart.render(chart.CASES["managed"], values, tmp_path)


@pytest.mark.parametrize(
    "target", ["http://a:1", "HTTP://docs-mcp.internal:65535", "http://[fd00::7]:80", "http://under_score.:443"]
)
def test_every_upstream_that_the_proxy_takes_is_taken(target, tmp_path):
    values = at("gateway.config.routes", {"docs": target})
    VALIDATOR.validate({**DEFAULTS, "gateway": {**DEFAULTS["gateway"], "config": values["gateway"]["config"]}})
    chart.render(chart.CASES["managed"], values, tmp_path)


def test_an_upgrade_needs_no_credentials_for_setup(tmp_path):
    chart.render(chart.CASES["upgrade"], {"api": {"wif": {"federationRuleId": "", "organizationId": ""}}}, tmp_path)


def test_names_follow_the_release():
    def deployment(*arguments):
        case = chart.CASES["managed"]
        objects = chart.load(chart.run(*case.arguments(), *arguments))
        return next(each["metadata"]["name"] for each in objects if each["kind"] == "Deployment")

    assert deployment() == "mcp-tunnel"
    assert deployment("-release", "acme") == "acme-mcp-tunnel"
    assert deployment("-release", "eu-mcp-tunnel-1") == "eu-mcp-tunnel-1"
    assert deployment("-set", "nameOverride=gate") == "mcp-tunnel-gate"
    assert deployment("-set", "fullnameOverride=gate") == "gate"
