"""How long a scrape takes, and how long it lets the loops that serve the tunnel wait."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from peers.admin import Admin
from peers.blocking import Tunnel, client_context
from peers.metrics import Scrape
from peers.pki import Authority
from peers.proxy import Proxy, yaml
from peers.scripted import Peer, Scripted

DOMAIN = "t.example"
#: Milliseconds for a scrape, and for what a loop may be held up by one.
MOST, MOST_LAG = 20, 1


def respond(peer: Peer) -> None:
    while peer.request():
        peer.respond(b"{}")


def lagging(found: Scrape) -> float:
    """Turns of a loop that took longer than it may be held up."""
    buckets = found.all("mcp_tunnel_event_loop_lag_seconds_bucket")
    return buckets[frozenset({("le", "+Inf")})] - buckets[frozenset({("le", f"{MOST_LAG / 1000:g}")})]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("proxy", nargs="?", type=Path, default=Path(".build/release/mcp-proxy"))
    parser.add_argument("--routes", type=int, default=1000)
    parser.add_argument("--scrapes", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scrape-bench-") as name, Scripted(respond) as upstream:
        folder = Path(name)
        authority = Authority()
        certificate, key = authority.issue(f"*.{DOMAIN}").write(folder)
        routes = {f"route{index}": upstream.url for index in range(options.routes)}
        file = folder / "config.yaml"
        file.write_text(yaml({
            "listen_addr": "127.0.0.1:0", "admin_addr": "127.0.0.1:0", "tunnel_domain": DOMAIN, 
            "tls": {"cert_file": str(certificate), "key_file": str(key)},
            "upstream": {"allowed_ips": ["127.0.0.1"]}, "routes": routes}))
        proxy = Proxy(options.proxy, file)
        try:
            proxy.far_side(DOMAIN, authority.write(folder / "ca.crt"))
            admin = Admin(proxy)
            # Several connections, so that each loop has all of the routes.
            for _ in range(8):
                tunnel = Tunnel(proxy.endpoint.port, f"route0.{DOMAIN}", client_context(folder / "ca.crt"), timeout=60)
                for index in range(options.routes):
                    tunnel.host = f"route{index}.{DOMAIN}"
                    for method in ("GET", "POST", "DELETE"):
                        assert tunnel.request(method, "/mcp", b"").status == 200
                tunnel.close()
            first = Scrape(admin.ask("/metrics")[2].decode())
            times, size = [], 0
            for _ in range(options.scrapes):
                start = time.perf_counter()
                status, _, body = admin.ask("/metrics")
                times.append((time.perf_counter() - start) * 1000)
                assert status == 200
                size = len(body)
            last = Scrape(admin.ask("/metrics")[2].decode())
            late = lagging(last) - lagging(first)
            # One more than were timed: the first scrape began before what it says.
            name = "process_cpu_seconds_total"
            cpu = (last.get(name) - first.get(name)) * 1000 / (options.scrapes + 1)
        finally:
            proxy.check_requests = False
            proxy.stop(30)
    median, worst = statistics.median(times), max(times)
    print(
        f"{options.routes} routes, {size / 1e6:.1f} MB: median {median:.1f} ms, worst {worst:.1f} ms, of the CPU {cpu:.1f} ms;"
        f" {late:.0f} turns of a loop over {MOST_LAG} ms in {options.scrapes} scrapes")
    return 0 if median < MOST and late <= options.scrapes / 10 else 1


if __name__ == "__main__":
    sys.exit(main())
