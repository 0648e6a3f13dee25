"""The promises of the guide "Deploy MCP tunnels with Helm", section by section, for its release, mcp-tunnel.

Its values snippets are the files in cases/ that are named after its sections.
"""

import pytest
import yaml

import chart


@pytest.fixture
def managed(renderings):
    return chart.load(renderings["managed"])


@pytest.fixture
def external(renderings):
    return chart.load(renderings["external"])


def kinds(objects):
    return {each["kind"] for each in objects}


def test_install_makes_a_single_deployment(managed, external):
    for objects in (managed, external):
        assert [each["metadata"]["name"] for each in objects if each["kind"] == "Deployment"] == ["mcp-tunnel"]


def test_set_up_workload_identity_federation(managed):
    """Subject system:serviceaccount:mcp-tunnel:mcp-tunnel-setup, audience api.anthropic.com."""
    job = chart.find(managed, "Job", "mcp-tunnel-setup")
    spec = job["spec"]["template"]["spec"]
    account = chart.find(managed, "ServiceAccount", spec["serviceAccountName"])["metadata"]
    subject = f"system:serviceaccount:{account['namespace']}:{account['name']}"
    assert subject == "system:serviceaccount:mcp-tunnel:mcp-tunnel-setup"
    assert spec["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]["audience"] == "api.anthropic.com"


def test_set_up_workload_identity_federation_note(managed):
    """Renewal has an account of its own, and nothing with which to call the Tunnels API."""
    cron = chart.find(managed, "CronJob", "mcp-tunnel-cert-renew")
    spec = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == "mcp-tunnel-cert-renew"
    chart.find(managed, "ServiceAccount", "mcp-tunnel-cert-renew")
    assert "env" not in spec["containers"][0] and "volumes" not in spec


def test_names_of_the_accounts_follow_the_release(renderings):
    """The setup Job runs as <release>-setup, the renewal as <release>-cert-renew, whatever the release's name is."""
    accounts = [each for each in chart.load(renderings["everything"]) if each["kind"] == "ServiceAccount"]
    assert {each["metadata"]["name"] for each in accounts} == {"acme-setup", "acme-cert-renew"}


def test_configure_tunnel_attachment_and_routes(managed):
    assert yaml.safe_load(chart.configuration(managed))["routes"] == {
        "docs": "http://docs-mcp.internal:8080",
        "search": "http://search-mcp.internal:8080",
    }
    assert "--tunnel-id=tnl_01Hx9Kp2RtQvMn3sWbYdLcF8" in (
        chart.find(managed, "Job", "mcp-tunnel-setup")["spec"]["template"]["spec"]["containers"][0]["args"]
    )


def test_review_the_rendered_manifests(renderings):
    """`grep -A2 'kind: ServiceAccount'` shows the names of the accounts."""
    lines = renderings["managed"].splitlines()
    shown = [lines[at : at + 3] for at, line in enumerate(lines) if line == "kind: ServiceAccount"]
    assert [each[2] for each in shown] == ["  name: mcp-tunnel-cert-renew", "  name: mcp-tunnel-setup"]


def test_install_warning(managed):
    """The Secret that setup fills is named after the release, and is no part of it: an uninstall leaves it."""
    assert "helm.sh/hook" in chart.find(managed, "Secret", "mcp-tunnel")["metadata"]["annotations"]
    arguments = {each["name"]: each["args"] for _, _, each in chart.containers(managed)}
    for name in ("setup", "cert-renew"):
        assert "--output=k8s-secret:mcp-tunnel" in arguments[name]


def test_install_without_programmatic_access(external):
    """No setup Job and no CronJob: nothing calls an API, and nothing may."""
    assert kinds(external) == {"ConfigMap", "Deployment", "NetworkPolicy", "Pod"}
    assert all(not spec["automountServiceAccountToken"] for _, _, spec in chart.pods(external))


def test_create_the_two_secrets(external):
    spec = chart.find(external, "Deployment", "mcp-tunnel")["spec"]["template"]["spec"]
    token = next(each for each in chart.named(spec, "cloudflared")["env"] if each["name"] == "TUNNEL_TOKEN")
    assert token["valueFrom"]["secretKeyRef"] == {"name": "mcp-tunnel-token", "key": "tunnel-token"}
    sources = chart.secrets(next(volume for volume in spec["volumes"] if volume["name"] == "certificate"))
    assert {source["name"] for source in sources} == {"mcp-tunnel-cert"}
    # The guide knows of the two files only: a Secret without the third is good.
    keys = {item["key"]: source.get("optional", False) for source in sources for item in source["items"]}
    assert keys == {"tls.crt": False, "tls.key": False, "ticket-keys": True}


def test_set_values_for_external_mode(external):
    assert yaml.safe_load(chart.configuration(external))["tunnel_domain"] == "abcd1234.tunnel.anthropic.com"
    proxy = chart.named(chart.pod_of(chart.find(external, "Deployment", "mcp-tunnel"))[1], "mcp-proxy")
    assert "-tunnel-domain" not in proxy["args"]


@pytest.mark.parametrize("mode", ["managed", "external"])
def test_verify_the_deployment(renderings, mode):
    """kubectl -n mcp-tunnel logs deploy/mcp-tunnel -c mcp-proxy, and -c cloudflared."""
    deployment = chart.find(chart.load(renderings[mode]), "Deployment", "mcp-tunnel")
    assert deployment["metadata"]["namespace"] == "mcp-tunnel"
    _, spec = chart.pod_of(deployment)
    assert [each["name"] for each in spec["initContainers"] + spec["containers"]] == ["mcp-proxy", "cloudflared"]
    cloudflared = chart.named(spec, "cloudflared")
    assert cloudflared["args"] == ["tunnel", "--no-autoupdate", "run", "--url", "http://localhost:8080"]
    assert cloudflared["image"] == f"cloudflare/cloudflared@{chart.pins()['CLOUDFLARED_DIGEST']}"


def test_restrict_egress_with_networkpolicy(managed):
    """Ingress is denied and egress is open, until it is restricted: test_network_policies.py."""
    policy = chart.find(managed, "NetworkPolicy", "mcp-tunnel")["spec"]
    assert policy["policyTypes"] == ["Ingress"] and "ingress" not in policy


def test_tune_the_proxy(renderings):
    read = yaml.safe_load(chart.configuration(chart.load(renderings["tuned"])))
    assert read["log_level"] == "debug"
    assert read["upstream"]["allowed_ips"] == ["10.0.0.0/8", "100.64.12.0/22"]
    assert read["listen_addr"] == "127.0.0.1:8080"
    assert (read["tls"]["cert_file"], read["tls"]["key_file"]) == ("/data/tls.crt", "/data/tls.key")


def test_supply_your_own_oidc_token(renderings):
    setup = chart.find(chart.load(renderings["own-token"]), "Job", "mcp-tunnel-setup")["spec"]["template"]["spec"]
    (container,) = setup["containers"]
    assert {"name": "ANTHROPIC_IDENTITY_TOKEN_FILE", "value": "/spiffe/token"} in container["env"]
    assert container["volumeMounts"] == [{"name": "spiffe", "mountPath": "/spiffe", "readOnly": True}]


def test_change_configuration(renderings):
    """The hook does not run on an upgrade unless it is forced."""
    assert kinds(chart.load(renderings["managed"])) - kinds(chart.load(renderings["upgrade"])) == {"Job", "Secret"}


def test_rotate_the_tunnel_token(renderings):
    """One upgrade rotates the token in a hook before it, and replaces the pods that have the old one."""
    objects = chart.load(renderings["rotate"])
    job = chart.find(objects, "Job", "mcp-tunnel-setup")
    assert "pre-upgrade" in job["metadata"]["annotations"]["helm.sh/hook"].split(",")
    assert "--token-version=2" in job["spec"]["template"]["spec"]["containers"][0]["args"]
    template = chart.find(objects, "Deployment", "mcp-tunnel")["spec"]["template"]
    assert template["metadata"]["annotations"]["mcp-tunnel/token-version"] == "2"


def test_certificate_renewal(managed, external):
    cron = chart.find(managed, "CronJob", "mcp-tunnel-cert-renew")["spec"]
    assert (cron["schedule"], cron["timeZone"]) == ("0 0 * * *", "Etc/UTC")
    (container,) = cron["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["/setup"]
    assert container["args"][0] == "renew-cert"
    assert "--renew-before=720h" in container["args"]
    assert "CronJob" not in kinds(external)


@pytest.mark.parametrize(
    "name, words",
    [
        (
            "managed",
            [
                "get secret mcp-tunnel -o jsonpath='{.data.tunnel-domain}'",
                "https://docs.<domain>/",
                "mcp-tunnel-cert-renew",
            ],
        ),
        (
            "external",
            [
                "https://docs.abcd1234.tunnel.anthropic.com/",
                "mcp-tunnel-token",
                "mcp-tunnel-cert",
                "rollout restart deploy/mcp-tunnel",
            ],
        ),
        ("api-token", ["revoke it"]),
        (
            "everything",
            [
                "kubectl -n tools logs deploy/acme-mcp-tunnel -c mcp-proxy",
                "helm test acme -n tools",
                "https://docs.<domain>/\n",
                "https://auth.example.com/\n",
            ],
        ),
    ],
)
def test_notes_tell_what_to_do_next(name, words):
    notes = chart.run(*chart.CASES[name].arguments(), "-print", "notes")
    always = ["-c mcp-proxy", "-c cloudflared", "route configured", "Registered tunnel connection", "helm test"]
    for each in words + always:
        assert each in notes
    assert "sk-ant" not in notes
