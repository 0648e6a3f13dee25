"""One hostile peer on one HTTP/2 connection: it is gone soon, costs little meanwhile, and its neighbours hardly notice.

Each row is measured on the running proxy with a single loop, so that the neighbour shares everything with the attacker.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from conftest import DOMAIN, Certificates, write_configuration
from peers.admin import Admin
from peers.http2 import CALM, FLOW_CONTROL_ERROR
from peers.http2_attack import ATTACKS, Attackers
from peers.metrics import Scrape, scrape, scrape_until
from peers.proxy import Proxy
from peers.quiet import Quiet, SmallServer
from peers.victim import Victim

MIB = 1 << 20
#: Of the proxy's memory.
GROWTH = 16 * MIB
ABUSE = "mcp_tunnel_http2_abuse_total"
SETTINGS_TIMEOUT = 4


@dataclass
class Row:
    """What is expected. `kind` is the counter that rises, `code` that of GOAWAY; neither where nothing forbidden happens."""

    kind: str | None = None
    code: int | None = CALM
    #: Seconds until the peer has to be gone.
    within: float = 2
    settings: dict = field(default_factory=dict)
    reads: bool = True


QUICK = {"http2": {"window_timeout": "1s", "settings_timeout": "1s"}, "limits": {"header_timeout": "1s"}}
ROWS: dict[str, Row] = {
    "rapid-reset": Row("rapid_reset"), "rapid-reset-of-uploads": Row("rapid_reset"),
    **{name: Row("caused_reset") for name in ATTACKS if name.startswith("made-you-reset-")},
    "made-you-reset-stream-window": Row("caused_reset", settings={"http2": {"stream_window": 16_384}}),
    "streams-opened-and-left": Row("refused_stream"), "uploads-opened-and-left": Row("refused_stream"),
    "continuation-flood": Row("header_block"), "continuation-flood-by-bytes": Row("header_block"),
    "half-a-block": Row("header_block", settings=QUICK),
    "hpack-bomb-by-count": Row("header_block"), "hpack-bomb-by-table": Row("header_block"),
    "too-large-again-and-again": Row("header_block"),
    "cookie-crumbs": Row("header_block"), "cookie-crumbs-in-one-block": Row("header_block"),
    "heads-within-limits": Row(code=None),
    "empty-data": Row("empty_data"), "padding-only": Row("empty_data"),
    "tiny-data": Row("tiny_data"), "padding-and-a-byte": Row("tiny_data"),
    "settings": Row("settings"), "settings-of-many-entries": Row("settings"),
    "settings-that-change-every-window": Row("settings"), "settings-acknowledgements": Row("settings"),
    "pings": Row("ping"), "ping-acknowledgements": Row("ping"), "unread-pings": Row("ping", reads=False),
    # Where as many PINGs are allowed as it likes, what waits for it is bounded.
    "unread-acknowledgements": Row(
        "control_queue", reads=False, within=6, settings={"http2": {"max_pings": 1_000_000}}),
    "priorities": Row("priority"), "priority-updates": Row("priority"),
    "priority-updates-of-idle-streams": Row("priority"),
    "window-updates": Row("window_update"), "window-updates-of-a-stream": Row("window_update"),
    "unknown-frames": Row("ignored_frame"), "goodbyes": Row("ignored_frame"),
    "windows-of-nothing": Row("held_window", settings=QUICK), "windows-of-a-byte": Row(
        "held_window", settings={**QUICK, "http2": {**QUICK["http2"], "max_window_updates": 1_000_000}}),
    "windows-that-come-and-go": Row("settings", settings=QUICK),
    "connection-window-of-a-byte": Row("held_window", settings=QUICK),
    "window-overflow-with-parked-streams": Row(code=FLOW_CONTROL_ERROR),
    "uploads-that-nobody-takes": Row(code=None),
    "no-settings": Row(settings=QUICK), "no-acknowledgement": Row(code=SETTINGS_TIMEOUT, settings=QUICK),
}


def test_every_attack_has_its_row() -> None:
    assert set(ROWS) == set(ATTACKS)


def cpu(process: int) -> float:
    """Seconds of CPU that the process has had."""
    with open(f"/proc/{process}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(process: int) -> int:
    with open(f"/proc/{process}/statm") as statm:
        return int(statm.read().split()[1]) * 4096


def p99(values: list[float]) -> float:
    return sorted(values)[max(0, int(len(values) * 0.99) - 1)]


@pytest.fixture(scope="module")
def attackers() -> Iterator[Attackers]:
    with Attackers() as attackers:
        yield attackers


@pytest.fixture(scope="module")
def victim() -> Iterator[Victim]:
    with Victim() as victim:
        yield victim


@pytest.fixture(scope="module")
def control(binary: Path, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy that nobody attacks: what the machine itself does to latencies shows there at the same time."""
    file = tmp_path_factory.mktemp("control") / "config.yaml"
    identity = {"cert_file": str(certificates.certificate), "key_file": str(certificates.key)}
    with SmallServer() as server:
        write_configuration(
            file, {"listen_addr": "127.0.0.1:0", "tunnel_domain": DOMAIN, "threads": 1, "tls": identity,
                   "upstream": {"allowed_ips": ["127.0.0.0/8"]}}, {"quiet": server.url})
        proxy = Proxy(binary, file)
        try:
            proxy.far_side(DOMAIN, certificates.ca_file)
            yield proxy
        finally:
            proxy.stop()


@dataclass
class Measured:
    """What one attack did."""

    found: dict
    #: The neighbour's p99, beside the attack and, at the same time, at the proxy that nobody attacks.
    beside: float
    usual: float
    cores: float
    grown: int
    #: The counters that rose.
    risen: set[str]

    def __str__(self) -> str:
        return (f"{self.found}, p99 {self.beside * 1e3:.1f} ms of {self.usual * 1e3:.1f} ms, {self.cores:.2f} cores, "
                f"{self.grown / MIB:.1f} MiB, {self.risen}")

    def is_as_expected(self, row: Row) -> bool:
        return (
            (self.found["gone"] is not None) == (row.code is not None)
            # One that does not read cannot be told.
            and (self.found["code"] == row.code or not row.reads)
            and self.risen == ({row.kind} if row.kind else set())
            and self.grown <= GROWTH and self.cores <= 0.5 and self.beside <= max(3 * self.usual, 0.03))


def latencies(one: Quiet, other: Quiet, seconds: float) -> tuple[list[float], list[float]]:
    """Of requests to the one and to the other in turn."""
    found: tuple[list[float], list[float]] = [], []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for quiet, times in zip((one, other), found, strict=True):
            begun = time.monotonic()
            assert quiet.tunnel.request("POST", "/", b"{}").status == 200
            times.append(time.monotonic() - begun)
        time.sleep(0.002)
    return found


def measure(proxy: Proxy, control: Proxy, admin: Admin, attackers: Attackers, name: str, row: Row) -> Measured:
    process, host = proxy.process.pid, f"quiet.{DOMAIN}"
    with (contextlib.closing(Quiet(proxy.endpoint.port, host, proxy.far.ca_file)) as quiet,
          contextlib.closing(Quiet(control.endpoint.port, host, control.far.ca_file)) as other):
        seconds = row.within if row.code is not None else 0.7
        attackers.connect(name, proxy, host=f"victim.{DOMAIN}", seconds=seconds, reads=row.reads)
        before = scrape(admin).all(ABUSE)
        latencies(quiet, other, 0.1)
        proxy.reset_peak_memory()
        memory, used, begun = resident(process), cpu(process), time.monotonic()
        attackers.begin()
        beside, usual = latencies(quiet, other, 0.7)
        used, took = cpu(process) - used, time.monotonic() - begun
        found = attackers.result()
        grown = proxy.peak_memory() - memory

    def rise(now: Scrape) -> set[str]:
        return {dict(labels)["kind"] for labels, value in now.all(ABUSE).items() if value > before.get(labels, 0)}

    risen = rise(scrape_until(admin, rise) if row.kind else scrape(admin))
    return Measured(found, p99(beside), p99(usual), used / took, grown, risen)


@pytest.mark.parametrize("name", ROWS)
def test_one_hostile_peer(start, control: Proxy, attackers: Attackers, victim: Victim, name: str) -> None:
    row = ROWS[name]
    with SmallServer() as server:
        proxy = start(
            {"quiet": server.url, "victim": victim.url}, threads=1, admin_addr="127.0.0.1:0", **row.settings)
        admin = Admin(proxy)
        # Somebody else may have the machine for a moment; not three times.
        for _ in range(3):
            measured = measure(proxy, control, admin, attackers, name, row)
            print(measured)
            if measured.is_as_expected(row):
                return
    raise AssertionError(f"{measured}, but expected {row}")
