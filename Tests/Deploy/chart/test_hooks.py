"""Setup runs when it should, with what it needs there before it."""

import dataclasses
import os
import subprocess

import pytest
import yaml

import chart

SETUP = ("Job", "mcp-tunnel-setup")


def weights(objects):
    return {key: int(each["helm.sh/hook-weight"]) for key, each in chart.hooks(objects).items()}


@pytest.mark.parametrize(
    "name, runs",
    [
        ("managed", True),
        ("api-token", True),
        ("reinstall", True),
        ("rotate", True),
        ("upgrade", False),
        ("upgrade-after-failure", True),
        ("upgrade-without-cluster", True),
        ("external", False),
        ("replicas", False),
    ],
)
def test_setup_runs_at_installation_when_forced_and_when_the_secret_lacks_something(renderings, name, runs):
    hooks = chart.hooks(chart.load(renderings[name]))
    assert (SETUP in hooks) is runs
    if runs:
        assert hooks[SETUP]["helm.sh/hook"] == "pre-install,pre-upgrade"


@pytest.mark.parametrize("key", ["tunnel-domain", "tunnel-token", "tls.crt", "tls.key"])
def test_an_upgrade_runs_setup_for_every_key_that_pods_need(key, tmp_path):
    complete = yaml.safe_load((chart.HERE / "clusters/complete.yaml").read_text())
    for value in (None, ""):
        complete["data"][key] = value
        (tmp_path / "cluster.yaml").write_text(yaml.safe_dump(complete))
        case = dataclasses.replace(chart.CASES["upgrade"], cluster=None)
        objects = chart.load(chart.run(*case.arguments(), "-cluster", str(tmp_path / "cluster.yaml")))
        assert SETUP in chart.hooks(objects)


def test_an_upgrade_that_cannot_run_setup_says_why_it_has_to(tmp_path):
    values = {"api": {"wif": {"federationRuleId": "", "organizationId": ""}}}
    missing = "api.wif.federationRuleId: required for setup to authenticate, which runs because the Secret mcp-tunnel "
    with pytest.raises(chart.RenderError, match=missing + "lacks tunnel-domain, tunnel-token, tls.crt, tls.key"):
        chart.render(chart.CASES["upgrade-after-failure"], values, tmp_path)


def test_what_setup_needs_is_made_before_it(objects, name):
    found = weights(objects)
    if name in ("external", "external-egress", "replicas", "streams"):
        assert {key[0] for key in found} == {"Pod"}
        return
    kinds = {key[0] for key in found}
    assert kinds >= {"ServiceAccount", "Role", "RoleBinding", "NetworkPolicy"}
    assert ("Job" in kinds) is (name != "upgrade")
    account = next(key[1] for key in found if key[0] == "ServiceAccount")
    assert found["ServiceAccount", account] < found["Role", account] < found["RoleBinding", account] < 0
    for key, weight in found.items():
        assert (weight == 0) if key[0] in ("Job", "Pod") else (weight < 0)
        if key[0] == "Secret" and not key[1].endswith("-api-token"):
            assert weight == min(found.values())


def policies(annotations):
    return set(annotations["helm.sh/hook-delete-policy"].split(","))


def test_what_setup_needs_outlasts_a_job_that_fails_or_that_helm_does_not_wait_for(objects):
    """When a hook fails, or Helm's --timeout passes, Helm deletes the earlier ones that succeeded and are
    `hook-succeeded`. So only what should not stay is."""
    for (kind, name), each in chart.hooks(objects).items():
        assert ("hook-succeeded" in policies(each)) is (kind == "Job" or name.endswith("-api-token"))


def test_nothing_of_the_release_depends_on_what_a_hook_deletes(objects):
    hooks = chart.hooks(objects)
    gone = {key for key, each in hooks.items() if "hook-succeeded" in policies(each)}
    for thing, _, spec in chart.pods(objects):
        if (thing["kind"], thing["metadata"]["name"]) not in hooks:
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
        "--output=k8s-secret:mcp-tunnel",
        "--tunnel-id=tnl_01Hx9Kp2RtQvMn3sWbYdLcF8",
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
        "--output=k8s-secret:acme",
        "--tunnel-id=tnl_01Hx9Kp2RtQvMn3sWbYdLcF8",
        "--display-name=Production",
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
    cron = chart.find(chart.load(renderings["everything"]), "CronJob", "acme-cert-renew")
    container = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == [
        "renew-cert",
        "--output=k8s-secret:acme",
        "--renew-before=240h",
        "--cert-duration=720h",
        "--key-type=ecdsa-p256",
    ]
    assert (cron["spec"]["schedule"], cron["spec"]["timeZone"]) == ("17 3 * * *", "Etc/UTC")


def running(tmp_path, annotations):
    """Secret and Deployment as a cluster would have them."""
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "mcp-tunnel", "namespace": "mcp-tunnel"},
        "spec": {"template": {"metadata": {"annotations": annotations}}},
    }
    path = tmp_path / "cluster.yaml"
    path.write_text((chart.HERE / "clusters/complete.yaml").read_text() + "---\n" + yaml.safe_dump(deployment))
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
    case = dataclasses.replace(chart.CASES["upgrade"], cluster=None)
    arguments = [*case.arguments(), *running(tmp_path, annotations)]
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


def test_helm_test_starts_the_proxy_of_the_release_and_asks_it(objects, name):
    prefix = "acme-mcp-tunnel" if name == "everything" else "mcp-tunnel"
    if name == "oldest-cluster":  # which has no containers that run beside others
        assert not [each for each in objects if each["kind"] == "Pod"]
        return
    pod = chart.find(objects, "Pod", f"{prefix}-test")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    (proxy,), (check,) = pod["spec"]["initContainers"], pod["spec"]["containers"]
    assert proxy["restartPolicy"] == "Always" and pod["spec"]["restartPolicy"] == "Never"
    deployment = chart.find(objects, "Deployment", prefix)["spec"]["template"]["spec"]
    served = chart.named(deployment, "mcp-proxy")
    for key in ("image", "args", "env", "volumeMounts", "securityContext"):
        assert proxy.get(key) == served.get(key), key
    known = {each["name"]: each for each in deployment["volumes"]}
    assert all(known[each["name"]] == each for each in pod["spec"]["volumes"])
    assert check["args"] == ["healthcheck", "-addr", "localhost:8080"]


@pytest.mark.parametrize("name", ["managed", "everything", "api-token", "own-token", "rotate"])
def test_setup_knows_every_argument_that_the_chart_gives(renderings, name):
    """Against the real program, which refuses an unknown flag before it looks at anything else."""
    objects = chart.load(renderings[name])
    containers = [each for _, _, each in chart.containers(objects) if each.get("command") == ["/setup"]]
    assert len(containers) == 7
    for container in containers:
        result = subprocess.run(
            [os.environ["SETUP"], *container["args"], "--help"], capture_output=True, text=True, check=False, env={}
        )
        assert result.returncode == 0 and result.stdout.startswith("Usage: setup"), result.stderr


def test_an_account_of_ones_own_takes_the_place_of_setups(tmp_path):
    objects = chart.render(chart.CASES["managed"], {"setup": {"serviceAccountName": "own"}}, tmp_path)
    accounts = {each["metadata"]["name"] for each in objects if each["kind"] == "ServiceAccount"}
    assert accounts == {"mcp-tunnel-cert-renew"}
    assert chart.find(objects, "RoleBinding", "mcp-tunnel-setup")["subjects"][0]["name"] == "own"
    used = {spec["serviceAccountName"] for _, _, spec in chart.pods(objects) if "serviceAccountName" in spec}
    assert used == {"own", "mcp-tunnel-cert-renew"}


def test_an_api_token_in_a_secret_of_ones_own_is_in_no_rendering(tmp_path):
    values = {"api": {"tokenSecretName": "own", "wif": {"federationRuleId": None, "organizationId": None}}}
    objects = chart.render(chart.CASES["managed"], values, tmp_path)
    assert [each["metadata"]["name"] for each in objects if each["kind"] == "Secret"] == ["mcp-tunnel"]
    _, setup = setup_of(objects)
    assert environment(setup) == {"API_TOKEN": {"secretKeyRef": {"name": "own", "key": "api-token"}}}


def test_an_api_token_in_a_secret_of_ones_own_wins_where_a_rule_is_still_set(tmp_path):
    """An upgrade that runs no setup takes both, and its tasks have to know which."""
    objects = chart.render(chart.CASES["upgrade"], {"api": {"tokenSecretName": "own"}}, tmp_path)
    _, spec = chart.pod_of(chart.find(objects, "CronJob", "mcp-tunnel-rotate-ca"))
    assert environment(spec["containers"][0]) == {"API_TOKEN": {"secretKeyRef": {"name": "own", "key": "api-token"}}}
    assert "volumes" not in spec


def test_tasks_after_an_installation_with_an_api_token_name_the_secret_to_make(tmp_path):
    """The key was given to the installation alone; the upgrade knows nothing of it."""
    values = {"api": {"wif": {"federationRuleId": None, "organizationId": None}}}
    objects = chart.render(chart.CASES["upgrade"], values, tmp_path)
    _, spec = chart.pod_of(chart.find(objects, "CronJob", "mcp-tunnel-rotate-ca"))
    reference = {"secretKeyRef": {"name": "mcp-tunnel-api-token", "key": "api-token"}}
    assert environment(spec["containers"][0])["API_TOKEN"] == reference


def test_tasks_never_run_by_themselves_and_can_be_left_out(renderings, tmp_path):
    tasks = [each for each in chart.load(renderings["managed"]) if each["kind"] == "CronJob"]
    names = {"verify", "certs", "token", "rotate-ca", "finish-ca"}
    suspended = {each["metadata"]["name"] for each in tasks if each["spec"].get("suspend")}
    assert suspended == {f"mcp-tunnel-{name}" for name in names}
    objects = chart.render(chart.CASES["managed"], {"setup": {"tasks": False}}, tmp_path)
    left = [each["metadata"]["name"] for each in objects if each["kind"] == "CronJob"]
    assert left == ["mcp-tunnel-cert-renew"]


def test_the_secret_can_be_left_to_others(tmp_path):
    objects = chart.render(chart.CASES["managed"], {"setup": {"createSecret": False}}, tmp_path)
    assert not [each for each in objects if each["kind"] == "Secret"]
