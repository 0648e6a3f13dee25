"""`--output=k8s-secret:NAME`: in a pod, against a stand-in for the cluster's API server."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import TUNNEL_ID
from peers.kubernetes_api import Account, KubernetesAPI, Rule
from peers.setup import FAST, NAMES, Outcome, Setup, TunnelsAPI, finished

SECRET = "mcp-tunnel"
#: What setup needs where it makes the Secret itself; the chart makes it, and grants the second rule alone.
RULES = [Rule({"create"}), Rule({"get", "patch"}, {SECRET})]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[KubernetesAPI]:
    with KubernetesAPI(tmp_path / "cluster") as api:
        yield api


class Pod:
    """Runs setup as in a pod of an account."""

    def __init__(self, setup: Setup, cluster: KubernetesAPI, account: Account) -> None:
        self.setup, self.cluster, self.account = setup, cluster, account
        # The prefix ends where the command begins; a word stands for it.
        self.prefix = cluster.pod_command([], account)

    def __call__(self, *arguments: str, environment: dict[str, str | None] | None = None, **options) -> Outcome:
        variables = {**self.cluster.environment(), **(environment or {})}
        return self.setup(*arguments, prefix=self.prefix, environment=variables, **options)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return self.setup.start(*arguments, prefix=self.prefix, environment=self.cluster.environment())

    def values(self, name: str = SECRET) -> dict[str, bytes]:
        return self.cluster.values(name) or {}


@pytest.fixture
def pod(setup: Setup, cluster: KubernetesAPI) -> Pod:
    return Pod(setup, cluster, cluster.service_account("setup", RULES))


def check(pod: Pod, api: TunnelsAPI, folder: Path) -> None:
    """What must hold for the Secret as for a folder."""
    values = pod.values()
    assert set(values) >= NAMES and "setup-state.json" not in values
    tunnel = api.tunnel(values["tunnel-id"].decode())
    assert tunnel["token"] == values["tunnel-token"].decode()
    assert tunnel["domain"] == values["tunnel-domain"].decode()
    assert len(api.authorities(tunnel["id"])) == 1
    pod("verify")
    # As the proxy sees it when it is mounted.
    for name in ("ca.crt", "tls.crt", "tls.key"):
        (folder / name).write_bytes(values[name])
    verdict = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-CAfile", str(folder / "ca.crt"), str(folder / "tls.crt")],
        capture_output=True, text=True, check=False, timeout=20)
    assert verdict.returncode == 0, verdict.stderr


def test_default_output_in_a_pod(pod: Pod, api: TunnelsAPI, tmp_path: Path) -> None:
    """`--output` is k8s-secret:mcp-tunnel there, for every command."""
    report = pod("init", FAST, "--token-version=1", "--json").json
    assert report["output"] == f"k8s-secret:{SECRET}"
    check(pod, api, tmp_path)
    secret = pod.cluster.secret(SECRET)
    assert secret and secret["type"] == "Opaque"
    assert secret["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "mcp-tunnel-setup"
    before = pod.values()
    assert "nothing changed" in pod("init", "--token-version=1").stderr
    assert pod("renew-cert", "--renew-before=720h", "--json").json["renewed"] is False
    assert pod.values() == before
    assert pod.cluster.secret(SECRET)["metadata"]["resourceVersion"] == secret["metadata"]["resourceVersion"]
    pod("renew-cert")
    changed = {name for name, value in pod.values().items() if value != before[name]}
    assert changed == {"tls.crt", "tls.key"}
    pod("init", "--token-version=2")
    pod("rotate-ca")
    pod("rotate-ca", "--finish")
    assert pod.values()["token-version"] == b"2" and len(api.tunnels()) == 2
    check(pod, api, tmp_path)


def test_renewal_needs_no_identity(pod: Pod, api: TunnelsAPI) -> None:
    """The CronJob of the chart."""
    pod("init", FAST)
    calls, nothing = api.calls(), dict.fromkeys([*api.environment(), "API_URL"])
    pod("renew-cert", f"--output=k8s-secret:{SECRET}", environment=nothing)
    assert api.calls() == calls


def test_another_name(setup: Setup, cluster: KubernetesAPI, api: TunnelsAPI) -> None:
    rules = [Rule({"create"}), Rule({"get", "patch"}, {"my-release"})]
    pod = Pod(setup, cluster, cluster.service_account("other", rules))
    pod("init", "--output=k8s-secret:my-release", FAST)
    assert set(pod.values("my-release")) == NAMES - {"token-version"}


def test_folder_in_a_pod(pod: Pod, api: TunnelsAPI, tmp_path: Path) -> None:
    pod("init", f"--output=dir:{tmp_path}/data", FAST)
    assert pod.cluster.requests == [] and (tmp_path / "data" / "tls.key").exists()


def test_outside_of_a_pod(setup: Setup, api: TunnelsAPI) -> None:
    outcome = setup("init", f"--output=k8s-secret:{SECRET}", FAST, status=1)
    assert "output" in outcome.stderr and "KUBERNETES_SERVICE_HOST" in outcome.stderr
    assert api.calls() == []


def test_keys_and_labels_of_others_are_kept(pod: Pod, api: TunnelsAPI, tmp_path: Path) -> None:
    pod.cluster.put(SECRET, {"extra": b"theirs", "tunnel-notes": b"\x00\xff"}, metadata={
        **pod.cluster._new(SECRET, {})["metadata"], "labels": {"team": "a"}, "annotations": {"note": "b"}})
    pod("init", FAST, "--token-version=1")
    check(pod, api, tmp_path)
    pod("renew-cert")
    secret = pod.cluster.secret(SECRET)
    assert pod.values()["extra"] == b"theirs" and pod.values()["tunnel-notes"] == b"\x00\xff"
    assert secret["metadata"]["labels"]["team"] == "a" and secret["metadata"]["annotations"] == {"note": "b"}
    # One patch for each change, which names our keys and the version that it was decided upon.
    for request in pod.cluster.requests:
        if request.verb == "patch":
            assert request.headers["content-type"] == "application/merge-patch+json"
            assert set(request.body["data"]) <= NAMES | {"setup-state.json"}
            assert request.body["metadata"]["resourceVersion"]


DENIED = [
    ("nothing", [], "get"), ("no get", [Rule({"create"}), Rule({"patch"}, {SECRET})], "get"),
    ("no create", [Rule({"get", "patch"}, {SECRET})], "create"),
    ("no patch", [Rule({"create"}), Rule({"get"}, {SECRET})], "patch"),
    ("another name", [Rule({"create"}), Rule({"get", "patch"}, {"other"})], "get")]


@pytest.mark.parametrize(("rules", "verb"), [row[1:] for row in DENIED], ids=[row[0] for row in DENIED])
def test_refusal_names_verb_and_resource(
    setup: Setup, cluster: KubernetesAPI, api: TunnelsAPI, rules: list[Rule], verb: str
) -> None:
    account = cluster.service_account("weak", rules)
    outcome = Pod(setup, cluster, account)("init", FAST, status=1)
    for word in ("output", f"k8s-secret:{SECRET}", account.user, verb, "secrets", cluster.namespace, "Role"):
        assert word in outcome.stderr, outcome.stderr
    # No tunnel without a place for its id; where only the later changes are refused, the id is in the error.
    assert len(api.tunnels()) == 1 or (verb == "patch" and api.tunnels()[1]["id"] in outcome.stderr)


def test_conflicts_over_other_keys_are_retried(pod: Pod, api: TunnelsAPI, tmp_path: Path) -> None:
    """Somebody writes beside us all the time."""
    count = 0

    def act() -> None:
        nonlocal count
        count += 1
        pod.cluster.put(SECRET, {"counter": str(count).encode()})

    pod("init", FAST, "--token-version=1")
    pod.cluster.meddle("patch", act, times=3)
    pod("renew-cert")
    assert count == 3 and pod.values()["counter"] == b"3"
    check(pod, api, tmp_path)


def test_conflict_over_our_keys_begins_anew(pod: Pod, api: TunnelsAPI, tmp_path: Path) -> None:
    """From what the other run has written, three times; who gets ahead more often is not written over."""
    pod("init", FAST, "--token-version=1")
    count = 0

    def act() -> None:
        nonlocal count
        count += 1
        pod.cluster.put(SECRET, {"tls.crt": f"another run's, {count}".encode()})

    pod.cluster.meddle("patch", act)
    outcome = pod("renew-cert", FAST)
    assert "another run has changed" in outcome.stderr and "looking again" in outcome.stderr
    check(pod, api, tmp_path)
    pod.cluster.meddle("patch", act, times=4)
    outcome = pod("renew-cert", FAST, status=1)
    assert "tls.crt" in outcome.stderr and "nothing was changed" in outcome.stderr
    assert pod.values()["tls.crt"] == b"another run's, 5" and "issued" not in outcome.stderr


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("verb", ["create", "patch"])
def test_lost_answers_of_the_cluster(
    pod: Pod, api: TunnelsAPI, tmp_path: Path, verb: str, after: bool
) -> None:
    pod.cluster.drop(verb, after=after)
    outcome = pod("init", FAST, "--token-version=1", status=None)
    if outcome.status:
        assert outcome.status == 1 and "output" in outcome.stderr and "remedy" in outcome.stderr
        age(pod)
        pod("init", FAST, "--token-version=1")
    check(pod, api, tmp_path)
    assert len(api.tunnels()) == 2


def age(pod: Pod) -> None:
    """Let the note of a creation be as old as when nobody can be at work on it any more."""
    state = json.loads(pod.values().get("setup-state.json", b"{}"))
    if "creation" in state:
        state["creation"]["startedAt"] -= 3600
        pod.cluster.put(SECRET, {"setup-state.json": json.dumps(state).encode()})


def test_token_of_the_account_is_read_again(pod: Pod, api: TunnelsAPI, tmp_path: Path) -> None:
    """It is replaced while setup waits for the API."""
    api.fail("answer", "/v1/tunnels/*/reveal_token", status=429, retry_after="1")
    process = pod.start("init", FAST, "--token-version=1")
    api.wait_for_fault(process)
    pod.cluster.replace_token(pod.account)
    outcome = finished(process)
    assert outcome.status == 0, outcome.stderr
    check(pod, api, tmp_path)


def test_cluster_that_is_not_ours(pod: Pod, cluster: KubernetesAPI, api: TunnelsAPI, tmp_path: Path) -> None:
    """Its certificate is not signed by the CA of the account's folder."""
    with KubernetesAPI(tmp_path / "another") as another:
        outcome = pod("init", FAST, status=1, environment={"KUBERNETES_SERVICE_PORT": str(another.port)})
        assert "certificate" in outcome.stderr and another.requests == [] and api.calls() == []


def test_service_over_ipv6(setup: Setup, api: TunnelsAPI, tmp_path: Path) -> None:
    try:
        cluster = KubernetesAPI(tmp_path / "cluster", host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    with cluster:
        pod = Pod(setup, cluster, cluster.service_account("setup", RULES))
        pod("init", FAST, "--token-version=1")
        check(pod, api, tmp_path)


def test_two_runs_at_once_give_one_tunnel(pod: Pod, api: TunnelsAPI, tmp_path: Path) -> None:
    """A Job that is started anew while its first pod runs. There is no lock: each sees what the other has done."""
    runs = [pod.start("init", FAST, "--token-version=1") for _ in range(2)]
    outcomes = [finished(run, timeout=120) for run in runs]
    assert [outcome.status for outcome in outcomes] == [0, 0], "\n\n".join(outcome.all for outcome in outcomes)
    check(pod, api, tmp_path)
    assert len(api.tunnels()) == 2


def test_secrets_do_not_show(pod: Pod, api: TunnelsAPI) -> None:
    outcomes = [pod("init", FAST, "--token-version=1")]
    for command in (["renew-cert"], ["init", "--token-version=2"], ["rotate-ca"]):
        pod.cluster.refuse(403, "patch", reason="Forbidden", message="an admission plugin says no")
        outcomes.append(pod(*command, status=1))
    secrets = [pod.account.token, *(value.decode() for name, value in pod.values().items()
                                    if name in ("ca.key", "tls.key", "tunnel-token"))]
    for outcome in outcomes:
        for secret in secrets:
            assert secret not in outcome.all
            assert base64.b64encode(secret.encode()).decode() not in outcome.all


# A real API server.


@pytest.mark.deadline(60)
def test_real_api_server(setup: Setup, api: TunnelsAPI, tmp_path: Path) -> None:
    """Against the server of $MCP_TUNNEL_TEST_KUBE_SERVER (https://host:port), with $MCP_TUNNEL_TEST_KUBE_CA (a file),
    $MCP_TUNNEL_TEST_KUBE_TOKEN and $MCP_TUNNEL_TEST_KUBE_NAMESPACE, whose token may create, get, patch and delete
    Secrets there."""
    names = [f"MCP_TUNNEL_TEST_KUBE_{name}" for name in ("SERVER", "CA", "TOKEN", "NAMESPACE")]
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        pytest.skip(f"no API server is given: {', '.join(missing)} not set")
    server, ca, token, namespace = (os.environ[name] for name in names)
    with KubernetesAPI(tmp_path / "stand-in", namespace=namespace) as cluster:
        # Only its way to place the account's files is used; the server is the real one.
        account = cluster.service_account("setup", [])
        folder = account.folder / os.readlink(account.folder / "..data")
        (folder / "token").write_text(token)
        (folder / "ca.crt").write_bytes(Path(ca).read_bytes())
        pod = Pod(setup, cluster, account)
    host, _, port = server.removeprefix("https://").rstrip("/").rpartition(":")
    environment = {"KUBERNETES_SERVICE_HOST": host.strip("[]"), "KUBERNETES_SERVICE_PORT": port}
    name = f"mcp-tunnel-test-{uuid.uuid4().hex[:8]}"
    context = ssl.create_default_context(cafile=ca)

    def request(method: str) -> dict:
        query = urllib.request.Request(
            f"{server.rstrip('/')}/api/v1/namespaces/{namespace}/secrets/{name}", method=method,
            headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(query, context=context, timeout=20) as answer:
            return json.load(answer)

    try:
        where = f"--output=k8s-secret:{name}"
        pod("init", where, FAST, "--token-version=1", environment=environment | {"TUNNEL_ID": TUNNEL_ID})
        values = {key: base64.b64decode(value) for key, value in request("GET")["data"].items()}
        assert set(values) == NAMES and values["tunnel-id"].decode() == TUNNEL_ID
        assert "nothing changed" in pod("init", where, environment=environment).stderr
        pod("renew-cert", where, environment=environment)
        pod("init", where, "--token-version=2", environment=environment)
        pod("verify", where, environment=environment)
        after = {key: base64.b64decode(value) for key, value in request("GET")["data"].items()}
        assert {key for key in after if after[key] != values[key]} == {
            "tls.crt", "tls.key", "tunnel-token", "token-version"}
    finally:
        request("DELETE")
