"""Setup runs when it should, with what it needs there before it."""

import os
import subprocess

import pytest
import yaml

import chart

SETUP = ("Job", "mcp-tunnel-setup")


def weights(objects):
    return {key: int(each["helm.sh/hook-weight"]) for key, each in chart.hooks(objects).items()}


@pytest.mark.parametrize(
    "name, events",
    [
        ("managed", "pre-install"),
        ("api-token", "pre-install"),
        ("rotate", "pre-install,pre-upgrade"),
        ("upgrade", None),
        ("external", None),
        ("replicas", None),
    ],
)
def test_setup_runs_at_installation_and_when_forced(renderings, name, events):
    found = {
        key: each["helm.sh/hook"]
        for key, each in chart.hooks(chart.load(renderings[name])).items()
        if not key[1].endswith("-test")
    }
    assert set(found.values()) == ({events} if events else set())
    assert (SETUP in found) is (events is not None)


def test_what_setup_needs_is_made_before_it(objects, name):
    found = weights(objects)
    job = next((key for key in found if key[0] == "Job"), None)
    if job is None:
        assert name in ("upgrade", "external", "external-egress", "replicas")
        return
    kinds = {key[0] for key in found if not key[1].endswith("-test")}
    assert kinds >= {"ServiceAccount", "Role", "RoleBinding", "NetworkPolicy", "Job"}
    for key, weight in found.items():
        assert key == job or key[1].endswith("-test") or weight < found[job]
    account = job[1]
    assert found["ServiceAccount", account] < found["Role", account] < found["RoleBinding", account]


def test_a_hook_goes_when_all_succeeded_and_stays_when_one_failed(objects):
    for (kind, name), each in chart.hooks(objects).items():
        kept = (kind, name.endswith("-test")) == ("Pod", True)
        expected = "before-hook-creation" if kept else "before-hook-creation,hook-succeeded"
        assert each["helm.sh/hook-delete-policy"] == expected


def test_nothing_of_the_release_depends_on_what_a_hook_deletes(objects):
    gone = {key for key in chart.hooks(objects)}
    for thing, _, spec in chart.pods(objects):
        if (thing["kind"], thing["metadata"]["name"]) not in gone:
            assert ("ServiceAccount", spec.get("serviceAccountName")) not in gone


def setup_of(objects):
    job = next(each for each in objects if each["kind"] == "Job")
    spec = job["spec"]["template"]["spec"]
    return spec, spec["containers"][0]


def environment(container):
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container.get("env", [])}


def test_setup_is_told_what_was_configured(renderings):
    _, setup = setup_of(chart.load(renderings["managed"]))
    assert setup["command"] == ["/setup"]
    assert setup["args"] == [
        "init",
        "--api-url=https://api.anthropic.com",
        "--tunnel-id=tnl_01Hx9Kp2RtQvMn3sWbYdLcF8",
        "--output=k8s-secret:mcp-tunnel",
        "--cert-duration=2160h",
        "--token-version=1",
    ]
    assert environment(setup) == {
        "ANTHROPIC_FEDERATION_RULE_ID": "fdrl_01JmWq4ZxnBvR7tKpY2sLdH9",
        "ANTHROPIC_ORGANIZATION_ID": "00000000-0000-0000-0000-000000000000",
        "ANTHROPIC_IDENTITY_TOKEN_FILE": "/var/run/secrets/anthropic.com/token",
    }


def test_setup_is_told_everything(renderings):
    spec, setup = setup_of(chart.load(renderings["everything"]))
    assert setup["args"] == [
        "init",
        "--api-url=https://api.example.com",
        "--api-generation=1",
        "--tunnel-id=tnl_01Hx9Kp2RtQvMn3sWbYdLcF8",
        "--display-name=Production",
        "--output=k8s-secret:acme",
        "--cert-duration=720h",
        "--key-type=ecdsa-p256",
        "--token-version=20261126",
    ]
    assert environment(setup)["ANTHROPIC_WORKSPACE_ID"] == "default"
    assert environment(setup)["HTTPS_PROXY"] == "http://proxy.example.com:3128"
    source = spec["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]
    assert source == {"path": "token", "audience": "https://api.example.com", "expirationSeconds": 900}


@pytest.mark.parametrize(
    "name, audience", [("managed", "api.anthropic.com"), ("federation", "https://api.anthropic.com")]
)
def test_the_projected_token_has_the_audience_and_a_path_of_its_own(renderings, name, audience):
    spec, setup = setup_of(chart.load(renderings[name]))
    token = spec["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]
    assert token["audience"] == audience
    path = f"{setup['volumeMounts'][0]['mountPath']}/{token['path']}"
    assert path == environment(setup)["ANTHROPIC_IDENTITY_TOKEN_FILE"]
    assert not path.startswith("/var/run/secrets/kubernetes.io")


def test_another_token_takes_the_place_of_the_projected_one(renderings):
    spec, setup = setup_of(chart.load(renderings["own-token"]))
    assert environment(setup)["ANTHROPIC_IDENTITY_TOKEN_FILE"] == "/spiffe/token"
    assert [volume["name"] for volume in spec["volumes"]] == ["spiffe"]


def test_an_api_token_takes_the_place_of_federation(renderings):
    objects = chart.load(renderings["api-token"])
    spec, setup = setup_of(objects)
    assert environment(setup) == {"API_TOKEN": {"secretKeyRef": {"name": "mcp-tunnel-api-token", "key": "api-token"}}}
    assert "volumes" not in spec
    assert '--display-name=Production\'s "first"' in setup["args"]
    assert "helm.sh/hook" in chart.find(objects, "Secret", "mcp-tunnel-api-token")["metadata"]["annotations"]


def test_renewal_is_told_when_and_where(renderings):
    cron = chart.find(chart.load(renderings["everything"]), "CronJob", "acme-mcp-tunnel-cert-renew")
    container = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == [
        "renew-cert",
        "--output=k8s-secret:acme",
        "--cert-duration=720h",
        "--renew-before=240h",
        "--key-type=ecdsa-p256",
    ]
    assert (cron["spec"]["schedule"], cron["spec"]["timeZone"]) == ("17 3 * * *", "Etc/UTC")


def running(tmp_path, annotations):
    """The Deployment as a cluster would have it."""
    path = tmp_path / "cluster.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "mcp-tunnel", "namespace": "mcp-tunnel"},
                "spec": {"template": {"metadata": {"annotations": annotations}}},
            }
        )
    )
    return ["-cluster", str(path)]


TUNNEL = {"mcp-tunnel/tunnel-id": "tnl_01Hx9Kp2RtQvMn3sWbYdLcF8"}


@pytest.mark.parametrize(
    "annotations, complaint",
    [
        ({"mcp-tunnel/token-version": "1", **TUNNEL}, None),
        ({"mcp-tunnel/token-version": "7", **TUNNEL}, 'mcp-tunnel/token-version changes from "7" to "1"'),
        (
            {"mcp-tunnel/token-version": "1", "mcp-tunnel/tunnel-id": "tnl_2"},
            'mcp-tunnel/tunnel-id changes from "tnl_2" to "tnl_',
        ),
        ({}, 'mcp-tunnel/token-version changes from "" to "1"'),
    ],
)
def test_an_upgrade_that_takes_setup_is_refused_without_force(annotations, complaint, tmp_path):
    """Pods would restart with the old token, and not again once it had been rotated."""
    arguments = [*chart.CASES["upgrade"].arguments(), *running(tmp_path, annotations)]
    chart.run(*arguments, "-set", "setup.force=true")
    if complaint is None:
        chart.run(*arguments)
        return
    with pytest.raises(chart.RenderError, match="upgrade with --set setup.force=true") as failure:
        chart.run(*arguments)
    assert complaint in str(failure.value)


def test_another_token_or_tunnel_replaces_the_pods(renderings):
    def annotations(name):
        deployment = chart.find(chart.load(renderings[name]), "Deployment", "mcp-tunnel")
        return deployment["spec"]["template"]["metadata"]["annotations"]

    assert annotations("managed")["mcp-tunnel/token-version"] == "1"
    assert annotations("rotate")["mcp-tunnel/token-version"] == "2"
    assert annotations("upgrade") == annotations("managed"), "an upgrade that changes nothing leaves the pods alone"
    assert annotations("chart-2-names")["mcp-tunnel/tunnel-id"] == TUNNEL["mcp-tunnel/tunnel-id"]


def test_helm_test_asks_the_listener_through_the_default_policy(objects, name):
    prefix = "acme-mcp-tunnel" if name == "everything" else "mcp-tunnel"
    pod = chart.find(objects, "Pod", f"{prefix}-test")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    (container,) = pod["spec"]["containers"]
    assert container["args"] == ["healthcheck", "-addr", f"{prefix}-test:8080"]
    service = chart.find(objects, "Service", f"{prefix}-test")
    assert service["metadata"]["annotations"]["helm.sh/hook"] == "test"
    deployment = chart.find(objects, "Deployment", prefix)
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    proxy = deployment["spec"]["template"]["spec"]["containers"][0]
    assert {"name": service["spec"]["ports"][0]["targetPort"], "containerPort": 8080} in proxy["ports"]

    policies = [
        each for each in objects if (each["kind"], each["metadata"]["name"]) == ("NetworkPolicy", f"{prefix}-test")
    ]
    if name == "replicas":  # where ingress is open
        assert not policies
        return
    (policy,) = policies
    assert policy["metadata"]["annotations"]["helm.sh/hook"] == "test", "no hole but while the test runs"
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    (rule,) = policy["spec"]["ingress"]
    assert rule["ports"] == [{"port": 8080, "protocol": "TCP"}]
    assert rule["from"][0]["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert weights(objects)["NetworkPolicy", f"{prefix}-test"] < weights(objects)["Pod", f"{prefix}-test"]


@pytest.mark.parametrize("name", ["managed", "everything", "api-token", "own-token", "rotate"])
def test_setup_knows_every_argument_that_the_chart_gives(renderings, name):
    """Against the real program, which refuses an unknown flag before it looks at anything else."""
    objects = chart.load(renderings[name])
    cron = [entry for entry in objects if entry["kind"] == "CronJob"]
    containers = [setup_of(objects)[1]]
    containers += [entry["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0] for entry in cron]
    for container in containers:
        result = subprocess.run(
            [os.environ["SETUP"], *container["args"], "--help"], capture_output=True, text=True, check=False, env={}
        )
        assert result.returncode == 0 and result.stdout.startswith("Usage: setup"), result.stderr
