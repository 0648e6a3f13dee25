"""Responses that the proxy makes itself are as bounded as those it passes on.

A client floods one loop with requests that no upstream sees. It reads everything, or nothing. Beside it, on the same
loop, a quiet stream goes on, and new connections are taken.
"""

from __future__ import annotations

import pytest
from peers.blocking import Tunnel, client_context
from peers.flood import REQUESTS, Flood
from peers.quiet import Quiet, SmallServer, drop_log

MIB = 1 << 20
#: Per flooding peer.
MEMORY = 24 * MIB


def resident(proxy) -> int:
    """Bytes that the process has in memory now."""
    with open(f"/proc/{proxy.process.pid}/statm") as statm:
        return int(statm.read().split()[1]) * 4096


@pytest.mark.parametrize("reads", [True, False], ids=["reads", "never-reads"])
@pytest.mark.parametrize("kind", REQUESTS)
def test_one_who_floods_starves_nobody(start, kind: str, reads: bool) -> None:
    over = kind == "over-max-requests"
    with SmallServer() as server:
        proxy = start(
            {"quiet": server.url, "refused": "http://169.254.169.254:80"}, threads=1, collect=False,
            limits={"max_requests": 1 if over else 10_000})
        proxy.check_requests = False
        drop_log(proxy)
        held = None
        quiet = Quiet(
            proxy.endpoint.port, "quiet.t.example", proxy.far.ca_file, allowed=(200, 503) if over else (200,))
        try:
            usual = max(quiet.latencies(0.5))
            if over:
                # It takes the only place for as long as the test lasts.
                held = Tunnel(proxy.endpoint.port, "quiet.t.example", client_context(proxy.far.ca_file))
                held.send(held.head("GET", "/hang"))
                while quiet.tunnel.request("POST", "/", b"{}").status != 503:
                    pass
            proxy.reset_peak_memory()
            before = resident(proxy)
            with Flood(kind, proxy, reads=reads, seconds=3) as flood:
                latencies, newcomers = quiet.beside(2.5)
                flooded = flood.result()
            grown = proxy.peak_memory() - before
        finally:
            quiet.close()
            if held:
                held.abort()
        found = (f"usual {usual:.3f} s, worst {max(latencies):.3f} s, new connections {max(newcomers):.3f} s, "
                 f"{grown / MIB:.1f} MiB more, {flooded}")
        assert max(latencies) < max(0.1, 20 * usual), found
        assert max(newcomers) < 1, found
        assert grown < MEMORY, found
        # There was a flood: one who never reads is stopped by the proxy, and nobody else is.
        assert flooded["sent"] > (100_000 if reads else 4_000), found


def test_the_quiet_stream_is_served_while_one_pipelines_good_requests(start) -> None:
    """The same bound where an upstream answers, as a yardstick: it holds today."""
    with SmallServer() as server:
        proxy = start({"quiet": server.url}, threads=1, collect=False)
        proxy.check_requests = False
        drop_log(proxy)
        quiet = Quiet(proxy.endpoint.port, "quiet.t.example", proxy.far.ca_file)
        usual = max(quiet.latencies(0.5))
        with Flood("over-max-requests", proxy, reads=True, seconds=2):
            latencies, newcomers = quiet.beside(1.5)
        quiet.close()
        assert max(latencies) < max(0.1, 20 * usual)
        assert max(newcomers) < 1
