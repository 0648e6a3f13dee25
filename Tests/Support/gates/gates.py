"""What one small request on a kept connection costs the release build, in figures that repeat.

One loop, one connection with TLS 1.3 and a P-256 certificate, one upstream connection, one POST after another.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from peers.blocking import Tunnel, client_context
from peers.pki import Authority
from peers.proxy import Proxy, yaml
from peers.quiet import drop_log
from peers.scripted import Peer, Scripted

HERE = Path(__file__).parent
RECORD = HERE / "instructions.json"
DOMAIN = "t.example"
#: Requests before those that count: pools and caches have what they need then.
WARM_UP = 300
REQUESTS = 2000
#: Parts by which a figure may differ from its record.
TOLERANCE = 0.03
BODY = b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"add","arguments":{"a":19,"b":23}}}'
LINES = (
    "Accept: application/json, text/event-stream", "Content-Type: application/json",
    "Mcp-Session-Id: 5f2b1c9e8d7a4f60b3a1c2d4e5f60718", "MCP-Protocol-Version: 2025-11-25")
RESPONSE = b'{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"42"}],"isError":false}}'


def respond(peer: Peer) -> None:
    while peer.request():
        peer.respond(RESPONSE, "Content-Type: application/json", "Mcp-Session-Id: 5f2b1c9e8d7a4f60b3a1c2d4e5f60718")


class Bench:
    """A proxy in front of an upstream, and the connection that requests go through."""

    def __init__(self, folder: Path, program: Path, upstream: Scripted) -> None:
        authority = Authority()
        certificate, key = authority.issue(f"*.{DOMAIN}").write(folder)
        configuration = {
            "listen_addr": "127.0.0.1:0", "tunnel_domain": DOMAIN, "threads": 1,
            # Nothing happens by itself while requests are counted.
            "tls": {"cert_file": str(certificate), "key_file": str(key), "reload_interval": "1h"},
            "websocket": {"ping_interval": "0"},
            "upstream": {"allowed_ips": ["127.0.0.1"]}, "routes": {"echo": upstream.url}}
        file = folder / "config.yaml"
        file.write_text(yaml(configuration))
        self.proxy = Proxy(program, file, collect=False)
        drop_log(self.proxy)
        self.proxy.far_side(DOMAIN, authority.write(folder / "ca.crt"))
        self.tunnel = Tunnel(
            self.proxy.endpoint.port, f"echo.{DOMAIN}", client_context(folder / "ca.crt"), timeout=120)

    def requests(self, count: int) -> None:
        for _ in range(count):
            assert self.tunnel.request("POST", "/mcp", BODY, *LINES).status == 200

    def stop(self) -> None:
        self.tunnel.close()
        status = self.proxy.stop(60)
        assert status == 0, f"exit status {status}"


@contextlib.contextmanager
def running(proxy: Path, *command: str, **environment: str) -> Iterator[Bench]:
    """A bench whose proxy runs under a command, with further variables."""
    with tempfile.TemporaryDirectory(prefix="gates-") as name, Scripted(respond) as upstream:
        folder = Path(name)
        program = folder / "program"
        variables = " ".join(f"{key}='{value}'" for key, value in environment.items())
        program.write_text(f'#!/bin/sh\n{variables} exec {" ".join(command)} {proxy} "$@"\n')
        program.chmod(0o755)
        bench = Bench(folder, program, upstream)
        try:
            yield bench
        except BaseException:
            bench.proxy.process.kill()
            raise


# Allocations.


def allocations(proxy: Path) -> tuple[int, int, dict[int, int]]:
    """Allocations of the program and of its libraries in all requests, and where in the program they were made."""
    with tempfile.TemporaryDirectory(prefix="gates-") as name:
        library, counts = Path(name) / "malloc-count.so", Path(name) / "counts"
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, HERE / "malloc-count.c"], check=True)

        def read() -> tuple[int, ...]:
            data = counts.read_bytes()
            return struct.unpack(f"={len(data) // 8}Q", data)

        with running(proxy, MALLOC_COUNT=str(counts), LD_PRELOAD=str(library)) as bench:
            bench.requests(WARM_UP)
            before = read()
            bench.requests(REQUESTS)
            after = read()
            bench.stop()
    assert before[0] > 0, "the start allocates; the counter does not count"
    known = dict(zip(before[2::2], before[3::2], strict=True))
    places = {
        offset: calls - known.get(offset, 0)
        for offset, calls in zip(after[2::2], after[3::2], strict=True) if calls > known.get(offset, 0)}
    return after[0] - before[0], after[1] - before[1], places


def check_allocations(proxy: Path) -> bool:
    own, others, places = allocations(proxy)
    print(f"allocations: {own / REQUESTS:.3f} of ours for a request, {others / REQUESTS:.3f} of the libraries'")
    # A request that allocates does so each time; something that happens now and then is not of a request.
    if own < REQUESTS / 20:
        return True
    print("  ours must be 0; they are made in")
    for offset, calls in sorted(places.items(), key=lambda place: -place[1])[:12]:
        # The call is before the address that it returns to.
        found = subprocess.run(
            ["addr2line", "-f", "-C", "-e", proxy, hex(offset - 1)], capture_output=True, text=True, check=False)
        print(f"  {calls / REQUESTS:8.3f}  {found.stdout.splitlines()[0] if found.stdout else hex(offset)}")
    return False


# Instructions.


_COST = re.compile(r"(?:\+\d+|-\d+|\*|\d+) (\d+)$")
_OBJECT = re.compile(r"(c?ob)=\((\d+)\)(?: (.*))?$")


def instructions(proxy: Path, requests: int, keep: Path | None = None) -> Counter[str]:
    """Instructions of a whole run in user space, by the file that they are in. `keep` is where its profile goes."""
    with tempfile.TemporaryDirectory(prefix="gates-") as name:
        out = Path(name) / "callgrind.out"
        if not keep:
            # valgrind gives up on what link-time optimisation leaves of line numbers.
            stripped = Path(name) / proxy.name
            subprocess.run(["strip", "-g", "-o", stripped, proxy], check=True)
            proxy = stripped
        command = ("valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--quiet")
        with running(proxy, *command) as bench:
            bench.requests(requests)
            bench.stop()
        if keep:
            shutil.copy(out, keep)
        found: Counter[str] = Counter()
        names: dict[str, str] = {}
        current, is_call = "", False
        for line in out.read_text().splitlines():
            if match := _OBJECT.match(line):
                kind, number, file = match.groups()
                if file:
                    names[number] = re.sub(r"(\.so)[.0-9]*$", r"\1", os.path.basename(file))
                if kind == "ob":
                    current = names[number]
            elif line.startswith("calls="):
                # The next line is the cost of what was called, which is counted where it is.
                is_call = True
            elif match := _COST.match(line):
                if not is_call:
                    found[current] += int(match[1])
                is_call = False
    return found


def check_instructions(proxy: Path, update: bool, keep: Path | None) -> bool:
    few, many = instructions(proxy, WARM_UP), instructions(proxy, WARM_UP + REQUESTS, keep)
    by_file = {name: (many[name] - few[name]) / REQUESTS for name in many}
    measured = {"ours": round(by_file[proxy.name]), "all": round(sum(by_file.values()))}
    print(f"instructions: {measured['ours']} of ours for a request, {measured['all']} in all")
    for name, count in sorted(by_file.items(), key=lambda part: -part[1]):
        if count > 100:
            print(f"  {count:8.0f}  {name}")
    if update:
        RECORD.write_text(json.dumps(measured, indent=2) + "\n")
        print(f"recorded in {RECORD.name}")
        return True
    recorded, is_good = json.loads(RECORD.read_text()), True
    for name, now in measured.items():
        ratio = now / recorded[name]
        if abs(ratio - 1) > TOLERANCE:
            print(f"  {name}: {now} is {ratio:.3f} of the recorded {recorded[name]}. If that is meant: --update")
            is_good = False
    return is_good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--update", action="store_true", help="record the instructions measured")
    parser.add_argument("--profile", type=Path, help="leave the profile there, for callgrind_annotate")
    parser.add_argument("proxy", nargs="?", type=Path, default=Path(".build/release/mcp-proxy"))
    options = parser.parse_args()
    proxy = options.proxy.resolve()
    results = [check_allocations(proxy), check_instructions(proxy, options.update, options.profile)]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
