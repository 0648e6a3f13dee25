"""What a replica of the proxy carries and what breaks first, computed from the figures of docs/performance.md.

A stream is one WebSocket connection with one event stream in it, by HTTP/1.1 on both sides: two sockets of the proxy.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

#: Ports that one address has towards one address and port: Linux' net.ipv4.ip_local_port_range, 32768 to 60999.
PORTS = 60_999 - 32_768 + 1
#: The same with `net.ipv4.ip_local_port_range: 1024 65535`, which Kubernetes lets a pod set by itself.
WIDE_PORTS = 65_535 - 1_024 + 1
#: Connections that a node tracks (net.netfilter.nf_conntrack_max), on one with 4 GiB and more.
CONNTRACK = 262_144
#: What the kernel keeps for one socket in one piece with its file and its place in epoll, as `run` found it.
KERNEL_KIB_PER_SOCKET = 4.0
#: The memory by which `limits.max_connections` is found where it is not set, and the most that is found so.
KIB_PER_CONNECTION, MOST_CONNECTIONS = 64, 20_000
#: The proxy's own descriptors: loops, listeners, log, certificate, kept connections.
OWN_DESCRIPTORS = 64
#: Seconds from one ping of the proxy to the next, on each connection. It costs about what an event costs.
PING_INTERVAL = 30
#: Share of a processor, and of any other limit, that is planned with.
CPU_SHARE, LIMIT_SHARE = 0.6, 0.8


@dataclass(frozen=True)
class Record:
    """What was measured: CPU in microseconds, memory in KiB."""

    request: float
    event: float
    full_handshake: float
    rsa_handshake: float
    resumed_handshake: float
    idle_stream: float
    busy_stream: float
    process: float

    @staticmethod
    def read(path: Path = REPOSITORY / "docs/performance.md") -> Record:
        """The figures of the table that `make bench-record` has left."""
        text = path.read_text().partition("<!-- tunnel-bench: begin -->")[2].partition("<!-- tunnel-bench: end -->")[0]
        lines = text.splitlines()
        header = next(line for line in lines if line.startswith("scenario "))

        def figure(scenario: str, column: str) -> float:
            # Columns end where their names end.
            end = header.index(column) + len(column)
            row = next(line for line in lines if re.match(rf"{scenario} +mcp-proxy ", line))
            return float(row[:end].split()[-1].replace(",", ""))

        process = figure("start", "RSS MiB") * 1024
        return Record(
            # With many connections, as a replica has them.
            request=figure("post-1024", "CPU us/op"),
            event=figure("events-1000", "CPU us/op"),
            full_handshake=figure("connect-p256", "CPU us/op"),
            rsa_handshake=figure("connect-rsa4096", "CPU us/op"),
            resumed_handshake=figure("connect-resumed", "CPU us/op"),
            idle_stream=figure("idle-5000", "KiB/stream"),
            busy_stream=(figure("events-1000", "peak MiB") * 1024 - process) / 1000,
            process=process,
        )


@dataclass(frozen=True)
class Load:
    """What streams do."""

    #: Share of the streams that are busy, and events a second on each of these.
    busy: float = 0.1
    events: float = 10
    #: Requests a second for each stream, beside it.
    requests: float = 0.1
    #: Seconds after which a stream is made anew, with a full handshake; 0 is never.
    life: float = 600

    def cpu(self, record: Record) -> float:
        """Microseconds a second for each stream."""
        new = record.full_handshake / self.life if self.life else 0
        return (
            self.busy * self.events * record.event + self.requests * record.request + new
            + record.event / PING_INTERVAL
        )

    def memory(self, record: Record) -> float:
        """KiB of the process for each stream."""
        return self.busy * record.busy_stream + (1 - self.busy) * record.idle_stream


@dataclass(frozen=True)
class Settings:
    """What a replica has."""

    name: str
    cores: int = 2
    memory: int = 512
    descriptors: int = 65_536
    max_requests: int = 10_000
    max_connections: int = 0
    ports: int = PORTS

    @property
    def connections(self) -> int:
        found = self.memory * 1024 // KIB_PER_CONNECTION
        return self.max_connections or min(max(found, 64), MOST_CONNECTIONS)

    def limits(self, record: Record, load: Load) -> dict[str, int]:
        """How many streams each limit lets a replica have, the narrowest first."""
        each = load.memory(record) + 2 * KERNEL_KIB_PER_SOCKET
        found = {
            "`limits.max_requests`": self.max_requests,
            "`limits.max_connections`": self.connections,
            "descriptors": (self.descriptors - OWN_DESCRIPTORS) // 2,
            "ports from cloudflared to the proxy": self.ports,
            "ports to one address of an upstream": self.ports,
            "connection tracking of the node": CONNTRACK,
            "memory": int((self.memory * 1024 - record.process) / each),
            f"CPU at {CPU_SHARE:.0%}": int(self.cores * CPU_SHARE * 1e6 / load.cpu(record)),
        }
        return dict(sorted(found.items(), key=lambda item: item[1]))


#: As the chart and the unit have it, and what there is to gain.
DEFAULTS = Settings("as installed")
RAISED = Settings("raised", memory=1536, max_requests=40_000, max_connections=40_000)
WIDENED = Settings(
    "widened", cores=4, memory=3072, descriptors=262_144, max_requests=80_000, max_connections=80_000, ports=WIDE_PORTS)
PROFILES = (DEFAULTS, RAISED, WIDENED)
TENANTS = (1_000, 100_000, 1_000_000)


@dataclass(frozen=True)
class Plan:
    """Replicas for a tenant."""

    streams: int
    settings: Settings
    replicas: int
    #: Streams of a replica when one of them is missing.
    each: int
    first: str

    @staticmethod
    def room(bound: int) -> int:
        """How many streams a replica is filled with."""
        return math.floor(bound * LIMIT_SHARE)

    @staticmethod
    def make(streams: int, settings: Settings, record: Record, load: Load) -> Plan:
        first, bound = next(iter(settings.limits(record, load).items()))
        needed = math.ceil(streams / Plan.room(bound))
        # One more, so that a node can be drained.
        return Plan(streams, settings, needed + 1, math.ceil(streams / needed), first)


@dataclass(frozen=True)
class Prediction:
    """What proxies take that hold streams, all together."""

    cores: float
    memory: float
    descriptors: float
    ports: float


def predict(record: Record, idle: int, busy: int, events: float, proxies: int = 1) -> Prediction:
    streams = idle + busy
    load = replace(Load(), busy=busy / streams, events=events, requests=0, life=0)
    return Prediction(
        cores=streams * load.cpu(record) / 1e6,
        memory=(proxies * record.process + streams * load.memory(record)) / 1024,
        descriptors=2 * streams + proxies * OWN_DESCRIPTORS,
        ports=streams,
    )
