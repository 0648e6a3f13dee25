"""Pods are replaced, evicted and drained away under load, and no request notices.

Played by kubelet.py with what the chart renders: the real proxy, a stand-in for cloudflared (rollout_cloudflared.py), and
clients behind an edge that gives streams to any connector that is registered. Times are short values of the same settings.
"""

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import os
import pathlib
import socket
import subprocess
import sys

import pytest
import yaml
from peers.far_side import FarSide
from peers.upstream import Upstream

import chart
import kubelet
import rollout_edge

UPSTREAM = ("10.9.9.9", 9000)
#: With native sidecars, with a hook that sleeps, with neither.
VERSIONS = ["1.34.0", "1.32.0", "1.27.0"]
DELAY, TIMEOUT = 4, 6
VALUES = {
    "replicaCount": 2,
    "gateway": {
        "preStopSleepSeconds": DELAY,
        "config": {
            "tunnel_domain": "t.example", "shutdown_timeout": f"{TIMEOUT}s", "threads": 2,
            "routes": {"echo": f"http://{UPSTREAM[0]}:{UPSTREAM[1]}"},
        },
    },
}  # fmt: skip


def has_namespaces():
    return os.geteuid() == 0 and subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not has_namespaces(), reason="pods need network namespaces, which are for root")


async def serve(connection):
    """`/events` lasts a tenth of a second, `/endless` for ever; everything else is answered at once."""
    while head := await connection.head():
        await connection.body(head)
        if head.target not in ("/events", "/endless"):
            await connection.respond(body=b"here")
            continue
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        count = 0
        while head.target == "/endless" or count < 10:
            await connection.send(b"c\r\ndata: tick\n\n\r\n")
            await asyncio.sleep(0.02)
            count += 1
        await connection.send(b"0\r\n\r\n")


class MCPServer(Upstream):
    """The MCP server, at an address of its own in a pod's network."""

    def __init__(self, network):
        super().__init__(serve)
        self._socket.close()
        self._socket = network.run(socket.create_server, UPSTREAM)


class Cluster:
    """The Deployment's pods, and what goes on around them."""

    def __init__(self, folder, certificate, version, values, **environment):
        case = dataclasses.replace(chart.CASES["external"], kube_version=version)
        self.objects = chart.render(case, {**VALUES, **values}, folder)
        self.folder, self.certificate, self.pods, self.stack = folder, certificate, [], contextlib.AsyncExitStack()
        self.deployment = chart.find(self.objects, "Deployment", "mcp-tunnel")["spec"]
        _, self.spec = chart.pod_of({"kind": "Deployment", "spec": self.deployment})
        self.environment = {"LEAVE_SECONDS": "0.8", **environment}
        self.slow_start = []

    async def __aenter__(self):
        # Each process has a thread that waits for its end.
        asyncio.get_running_loop().set_default_executor(concurrent.futures.ThreadPoolExecutor(64))
        self.edge = await self.stack.enter_async_context(rollout_edge.Edge(self.folder / "edge"))
        self.far = FarSide(self.edge, "t.example", self.certificate / "tls.crt")
        self.clients = rollout_edge.Clients(self.far)
        for _ in range(self.deployment["replicas"]):
            await self.add()
        self.group = await self.stack.enter_async_context(asyncio.TaskGroup())
        clients = self.clients
        for work in (clients.fresh, clients.kept, clients.kept, *[clients.stream] * 2, *[clients.endless] * 4):
            self.group.create_task(clients.repeat(work))
        return self

    async def __aexit__(self, *error):
        self.clients.is_ending = True
        try:
            return await self.stack.__aexit__(*error)
        finally:
            for pod in self.pods:
                pod.kill()

    async def add(self):
        """A new pod, when it is ready."""
        folder = self.folder / f"pod-{len(self.pods)}"
        file = self.folder / f"config-{len(self.pods)}.yaml"
        text = chart.configuration(self.objects).replace("/data/", f"{self.certificate}/")
        file.write_text(text)
        spec = yaml.safe_load(yaml.safe_dump(self.spec).replace("/etc/mcp-gateway/config.yaml", str(file)))
        stand_in = pathlib.Path(__file__).with_name("rollout_cloudflared.py")
        commands = {
            "mcp-proxy": [*self.slow_start, os.environ["MCP_PROXY"]], "cloudflared": [sys.executable, str(stand_in)],
        }  # fmt: skip
        environment = {"EDGE": self.edge.path, **self.environment}
        pod = kubelet.Pod(spec, commands, folder, environment)
        self.pods.append(pod)
        await self.stack.enter_async_context(MCPServer(pod.network))
        await pod.start()
        await pod.ready()
        while self.edge.registered(pod.processes["cloudflared"].pid) < 4:
            assert not pod.ended["cloudflared"].done(), pod.log("cloudflared")
            await asyncio.sleep(0.02)
        return pod

    async def some_requests(self, count=30):
        """Until so many more have been answered."""
        wanted = self.clients.requests + count
        while self.clients.requests < wanted:
            assert len(self.clients.failures) < 100, self.clients.failures[:5]
            await asyncio.sleep(0.01)


def check(cluster, ended):
    """What has to be so after pods have ended."""
    clients = cluster.clients
    assert not clients.failures, (clients.failures[:5], [pod.events for pod in ended])
    assert clients.requests > 100 and clients.streams > 10
    # Endless streams of the old pods came to their end by the rules, and there were such.
    assert clients.ends and set(clients.ends) == {"in order"}, (clients.ends, [pod.events for pod in ended])
    for pod in ended:
        assert not [event for event in pod.events if event[2] == "SIGKILL"], pod.events
        times = {(name, what): at for at, name, what in pod.events}
        left = pod.log("cloudflared")
        assert left.count("Unregistered") == 4 and "ERR" not in left, left
        assert times["cloudflared", "SIGTERM"] < 0.5, "it takes its leave first"
        # Streams were there until the proxy had ended them.
        assert "stopped streams=0" in left
        assert times["mcp-proxy", "end"] >= DELAY + TIMEOUT - 0.5
        # It drains while cloudflared is still there, and is not cut short by a second signal.
        assert times["mcp-proxy", "end"] < times["cloudflared", "end"] or "initContainers" in cluster.spec


@pytest.mark.parametrize("version, protocol", [*((version, "quic") for version in VERSIONS), (VERSIONS[0], "http2")])
def test_a_rolling_update_under_load_loses_nothing(version, protocol, certificate, tmp_path):
    async def scenario():
        values = {"cloudflared": {"extraEnv": [{"name": "TUNNEL_TRANSPORT_PROTOCOL", "value": protocol}]}}
        async with Cluster(tmp_path, certificate, version, values) as cluster:
            await cluster.some_requests()
            strategy = cluster.deployment["strategy"]["rollingUpdate"]
            assert strategy == {"maxSurge": 1, "maxUnavailable": 0}
            old, ends = list(cluster.pods), []
            for pod in old:
                await cluster.add()
                ends.append(asyncio.create_task(pod.end()))
                await cluster.some_requests()
            statuses = await asyncio.gather(*ends)
            await cluster.some_requests()
            cluster.clients.is_ending = True
            check(cluster, old)
            # 1 is a drain that ended streams at its deadline.
            assert all(each["cloudflared"] == 0 and each["mcp-proxy"] in (0, 1) for each in statuses), statuses

    asyncio.run(asyncio.wait_for(scenario(), 120))


@pytest.mark.parametrize("version", VERSIONS[:2])
def test_a_node_that_is_drained_takes_no_request_with_it(version, certificate, tmp_path):
    """Evictions end a pod before there is another one, as long as the PodDisruptionBudget allows it."""
    async def scenario():
        async with Cluster(tmp_path, certificate, version, {}) as cluster:
            budget = chart.find(cluster.objects, "PodDisruptionBudget", "mcp-tunnel")["spec"]
            labels, _ = chart.pod_of({"kind": "Deployment", "spec": cluster.deployment})
            assert budget["selector"]["matchLabels"].items() <= labels.items()
            # Pods are on several nodes where there are several, so a drain begins with one of them.
            (spread, *_) = cluster.spec["topologySpreadConstraints"]
            assert spread["topologyKey"] == "kubernetes.io/hostname" and spread["maxSkew"] == 1
            await cluster.some_requests()
            old = list(cluster.pods)
            for pod in old:
                assert budget["maxUnavailable"] == 1
                # The next eviction is refused until the one before has been replaced.
                await asyncio.gather(pod.end(), cluster.add())
                await cluster.some_requests()
            cluster.clients.is_ending = True
            check(cluster, old)

    asyncio.run(asyncio.wait_for(scenario(), 120))


def test_without_the_delay_requests_are_lost(certificate, tmp_path):
    """The edge is told while the proxy still takes connections: that this matters is seen where it does not."""
    async def scenario():
        values = {"gateway": {**VALUES["gateway"], "preStopSleepSeconds": 0}}
        async with Cluster(tmp_path, certificate, "1.32.0", values) as cluster:
            await cluster.some_requests()
            await cluster.pods[0].end()
            assert [each for each in cluster.clients.failures if each.startswith("fresh")]

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_cloudflared_waits_for_a_proxy_that_starts_slowly(certificate, tmp_path):
    """As a native sidecar the proxy comes first, so the edge is never told of a pod that does not serve."""
    async def scenario():
        async with Cluster(tmp_path, certificate, "1.34.0", {}) as cluster:
            cluster.slow_start = ["sh", "-c", 'sleep 2; exec "$@"', "slow"]
            await cluster.add()
            await cluster.some_requests(200)
            assert not cluster.clients.failures, cluster.clients.failures[:5]

    asyncio.run(asyncio.wait_for(scenario(), 60))
