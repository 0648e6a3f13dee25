"""What one small request costs with one tunnel and with a hundred: the price has to be the same.

Instructions in user space, counted by callgrind as in gates.py, with the same request; only the configuration differs. The first
figure is that of the fields of a single tunnel, which `tunnels:` is held against too.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import gates
from peers.blocking import Tunnel, client_context
from peers.pki import Authority
from peers.proxy import Proxy, yaml
from peers.quiet import drop_log
from peers.scripted import Scripted

#: By which a hundred may differ from one, in parts of one. Hash seeds and numbers in the log differ from run to run.
FLAT = 0.02


class Bench(gates.Bench):
    """The same with so many tunnels, of which the last one in the file is asked; with none, with the single form."""

    tunnels = 0

    def __init__(self, folder: Path, program: Path, upstream: Scripted) -> None:
        if not self.tunnels:
            super().__init__(folder, program, upstream)
            return
        authority = Authority()
        domains = [f"t{number}.{gates.DOMAIN}" for number in range(self.tunnels)]
        certificate, key = authority.issue(*[f"*.{domain}" for domain in domains]).write(folder)
        files = {"cert_file": str(certificate), "key_file": str(key)}
        configuration = {
            "listen_addr": "127.0.0.1:0", "threads": 1, "tls": {"reload_interval": "1h"},
            "websocket": {"ping_interval": "0"}, "upstream": {"allowed_ips": ["127.0.0.1"]},
            "tunnels": {domain: {"tls": files, "routes": {"echo": upstream.url}} for domain in domains}}
        file = folder / "config.yaml"
        file.write_text(yaml(configuration))
        self.proxy = Proxy(program, file, collect=False)
        drop_log(self.proxy)
        self.proxy.far_side(gates.DOMAIN, authority.write(folder / "ca.crt"))
        self.tunnel = Tunnel(
            self.proxy.endpoint.port, f"echo.{domains[-1]}", client_context(folder / "ca.crt"), timeout=120)


def cost(proxy: Path, tunnels: int) -> float:
    """Instructions for a request, without those of start and end."""
    Bench.tunnels = tunnels
    few = gates.instructions(proxy, gates.WARM_UP)
    many = gates.instructions(proxy, gates.WARM_UP + gates.REQUESTS)
    difference: Counter[str] = many - few
    return sum(difference.values()) / gates.REQUESTS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("proxy", nargs="?", type=Path, default=Path(".build/release/mcp-proxy"))
    proxy = parser.parse_args().proxy.resolve()
    gates.Bench = Bench  # type: ignore[misc]
    found = {tunnels: cost(proxy, tunnels) for tunnels in (0, 1, 100)}
    for tunnels, count in found.items():
        words = f"{tunnels:3} tunnels" if tunnels else "single form"
        print(f"{words}: {count:9.0f} instructions for a request")
    ratio = found[100] / found[1]
    print(f"a hundred against one: {ratio:.4f}")
    return 0 if abs(ratio - 1) <= FLAT else 1


if __name__ == "__main__":
    sys.exit(main())
