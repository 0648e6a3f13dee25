"""Every command that the chart renders, run by the real programs with the arguments, variables and rights that were
rendered. Of a cluster there are a stand-in for its API server, and a network namespace as a pod has one."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest
from peers.kubernetes_api import KubernetesAPI, Rule
from peers.setup import NAMES, TunnelsAPI

import chart

TUNNEL = "tnl_01Hx9Kp2RtQvMn3sWbYdLcF8"


@pytest.fixture
def api():
    with TunnelsAPI(pathlib.Path(os.environ["TUNNELS_API_FAKE"]), "--tunnel", f"staging={TUNNEL}") as api:
        yield api


class Cluster:
    """A release in a cluster: its Secret, its accounts with what their Roles allow, and its Jobs."""

    def __init__(self, folder, objects, api, namespace="mcp-tunnel"):
        self.objects, self.api, self.folder = objects, api, folder
        self.server = KubernetesAPI(folder / "cluster", namespace)
        self.accounts = {}
        for binding in (each for each in objects if each["kind"] == "RoleBinding"):
            role = chart.find(objects, "Role", binding["roleRef"]["name"])
            rules = [Rule(set(each["verbs"]), set(each["resourceNames"])) for each in role["rules"]]
            for subject in binding["subjects"]:
                self.accounts[subject["name"]] = self.server.service_account(subject["name"], rules)
        for secret in (each for each in objects if each["kind"] == "Secret"):
            self.server.put(secret["metadata"]["name"], {})

    def run(self, kind, name):
        """Runs a Job, or what a CronJob would start, to its end."""
        _, spec = chart.pod_of(chart.find(self.objects, kind, name))
        (container,) = spec["containers"]
        assert container["command"] == ["/setup"]
        token = self.folder / "identity-token"
        token.write_text(self.api.identity_token)
        stands_for = {
            "--api-url=https://api.anthropic.com": f"--api-url={self.api.url}",
            "/var/run/secrets/anthropic.com/token": str(token),
            "fdrl_01JmWq4ZxnBvR7tKpY2sLdH9": self.api.rule,
            "00000000-0000-0000-0000-000000000000": self.api.organization,
        }
        arguments = [stands_for.get(each, each) for each in container["args"]]
        environment = {each["name"]: stands_for.get(each["value"], each["value"]) for each in container.get("env", [])}
        account = self.accounts[spec["serviceAccountName"]]
        return self.server.run_in_pod([os.environ["SETUP"], *arguments], account, environment=environment, timeout=120)

    def values(self):
        return self.server.values("mcp-tunnel")


@pytest.fixture
def cluster(api, tmp_path):
    # RSA 4096, the default, takes seconds of CPU.
    objects = chart.render(chart.CASES["managed"], {"serverCert": {"keyType": "ecdsa-p256"}}, tmp_path)
    cluster = Cluster(tmp_path, objects, api)
    with cluster.server:
        yield cluster


def succeeded(done):
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_setup_renewal_and_all_tasks_with_the_rights_of_their_accounts(cluster, api):
    assert cluster.values() == {}, "the chart's Secret is empty"
    assert cluster.run("CronJob", "mcp-tunnel-verify").returncode == 1, "nothing is there yet"
    succeeded(cluster.run("Job", "mcp-tunnel-setup"))
    first = cluster.values()
    assert first.keys() == NAMES and first["tunnel-id"].decode() == TUNNEL
    assert "create" not in {request.verb for request in cluster.server.requests}

    succeeded(cluster.run("CronJob", "mcp-tunnel-verify"))
    succeeded(cluster.run("CronJob", "mcp-tunnel-cert-renew"))
    assert cluster.values() == first, "90 days are more than 30"
    listed = succeeded(cluster.run("CronJob", "mcp-tunnel-certs")).stdout
    assert api.authorities(TUNNEL)[0]["id"] in listed

    succeeded(cluster.run("CronJob", "mcp-tunnel-rotate-ca"))
    rotated = cluster.values()
    assert {key for key in first if first[key] != rotated.get(key)} == {"ca.crt", "ca.key", "tls.crt", "tls.key"}
    assert len(api.authorities(TUNNEL)) == 2
    succeeded(cluster.run("CronJob", "mcp-tunnel-finish-ca"))
    assert len(api.authorities(TUNNEL)) == 1
    succeeded(cluster.run("CronJob", "mcp-tunnel-verify"))

    token = succeeded(cluster.run("CronJob", "mcp-tunnel-token"))
    assert cluster.values()["tunnel-token"] == first["tunnel-token"]
    assert first["tunnel-token"].decode() not in token.stdout + token.stderr, "logs of pods are no place for it"

    # What an upgrade that runs it once more does: nothing.
    before = cluster.values()
    succeeded(cluster.run("Job", "mcp-tunnel-setup"))
    assert cluster.values() == before


def taken_over_without(cluster, *missing):
    """The Secret as another chart has left it, and how setup takes to it."""
    succeeded(cluster.run("Job", "mcp-tunnel-setup"))
    theirs = {key: value for key, value in cluster.values().items() if key not in missing}
    cluster.server.remove("mcp-tunnel")
    cluster.server.put("mcp-tunnel", theirs)
    return theirs, cluster.run("Job", "mcp-tunnel-setup")


def test_the_secret_of_another_chart_is_taken_over(cluster, api):
    """It has the same keys as far as the guides name them: tunnel, token and CA stay, and nothing is rotated."""
    theirs, done = taken_over_without(cluster, "token-version")
    succeeded(done)
    registered = [each["id"] for each in api.authorities(TUNNEL)]
    assert len(registered) == 1
    assert cluster.values().items() >= theirs.items() and cluster.values()["token-version"] == b"1"
    assert "tunnel_token_rotated" not in api.audit()


def test_a_ca_whose_certificate_is_not_found_stops_setup_before_it_changes_anything(cluster, api):
    """The guides do not name the certificate's key."""
    theirs, done = taken_over_without(cluster, "token-version", "ca.crt")
    assert done.returncode == 1 and "ca.key is there without ca.crt" in done.stderr
    assert cluster.values() == theirs and len(api.authorities(TUNNEL)) == 1


def test_setup_cannot_make_a_secret(cluster):
    """Not even where the chart's is not there: no account's token can be had by making a Secret for it."""
    cluster.server.remove("mcp-tunnel")
    done = cluster.run("Job", "mcp-tunnel-setup")
    assert done.returncode == 1 and "cannot create" in done.stderr
    assert "make it, empty: kubectl -n mcp-tunnel create secret generic mcp-tunnel" in done.stderr
    assert cluster.server.secret("mcp-tunnel") is None


@pytest.mark.parametrize("name", ["managed", "external"])
def test_probes_and_helm_test_ask_a_proxy_that_serves_nobody_else(renderings, name, certificate, tmp_path):
    objects = chart.load(renderings[name])
    spec = chart.pod_of(chart.find(objects, "Deployment", "mcp-tunnel"))[1]
    container = chart.named(spec, "mcp-proxy")
    (port,) = container["ports"]
    probes = [container[probe]["httpGet"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
    test = chart.find(objects, "Pod", "mcp-tunnel-test")["spec"]
    checks = [test["initContainers"][0]["startupProbe"]["exec"]["command"][1:], test["containers"][0]["args"]]
    assert [each[0] for each in checks] == ["healthcheck"] * 2
    # The certificate's.
    domain = "t.example"
    text = chart.configuration(objects).replace("/data/tls.", f"{certificate}/tls.")
    text = text.replace("abcd1234.tunnel.anthropic.com", domain)
    (tmp_path / "config.yaml").write_text(text)
    stands_for = {"/etc/mcp-gateway/config.yaml": str(tmp_path / "config.yaml"), "$(TUNNEL_DOMAIN)": domain}
    with Pod([os.environ["MCP_PROXY"], *(stands_for.get(each, each) for each in container["args"])]) as pod:
        for check in checks:
            done = pod.run([os.environ["MCP_PROXY"], *check])
            assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), check
        for address in ("10.1.2.3", "[::1]"):
            done = pod.run([os.environ["MCP_PROXY"], "healthcheck", "-addr", f"{address}:8080"])
            assert done.returncode == 1 and "connection refused" in done.stderr, address
        # As the kubelet asks, at the pod's address; and Prometheus comes by the same one.
        for probe in probes:
            assert probe["port"] == port["name"]
            answer = pod.get(f"http://10.1.2.3:{port['containerPort']}{probe['path']}", 200)
            assert answer.startswith("200 "), answer
    done = subprocess.run([os.environ["MCP_PROXY"], *checks[0]], capture_output=True, text=True, check=False)
    assert done.returncode == 1, "there was a proxy on this machine all the time"


class Pod:
    """A process in a network namespace with a second address, by which others would reach it."""

    def __init__(self, command):
        namespace = ["unshare", "--net"]
        if os.geteuid() != 0 or subprocess.run([*namespace, "true"], capture_output=True).returncode != 0:
            pytest.skip("a pod needs a network namespace of its own, which is for root")
        script = 'ip link set lo up && ip address add 10.1.2.3/32 dev lo && exec "$@"'
        self.process = subprocess.Popen([*namespace, "sh", "-c", script, "pod", *command], stderr=subprocess.PIPE, text=True)
        log = ""
        for line in self.process.stderr:
            log += line
            if "listening" in line:
                return
        raise AssertionError(f"the proxy ended before it listened: {log}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.stderr.read()
        assert self.process.wait(timeout=20) == 0

    def get(self, url, wanted, seconds=10):
        """Status and body of a GET from within: those with the status that is wanted, or the last ones without."""
        script = """
import sys, time, urllib.error, urllib.request
end = time.monotonic() + float(sys.argv[3])
while True:
    try:
        answer = urllib.request.urlopen(sys.argv[1], timeout=5)
    except urllib.error.HTTPError as error:
        answer = error
    if answer.status == int(sys.argv[2]) or time.monotonic() > end:
        break
    time.sleep(0.1)
print(answer.status, answer.read().decode())
"""
        return self.run([sys.executable, "-c", script, url, str(wanted), str(seconds)]).stdout

    def run(self, command):
        inside = ["nsenter", f"--net=/proc/{self.process.pid}/ns/net"]
        return subprocess.run([*inside, *command], capture_output=True, text=True, timeout=20, check=False)
