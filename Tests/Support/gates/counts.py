"""What a path of the release build costs in figures that repeat: instructions in user space, allocations, and memory.

One loop, TLS 1.3, a P-256 certificate; the client and the upstream of the path, one thing at a time.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import struct
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import paths
from peers.http2 import h2_context
from peers.pki import Authority
from peers.proxy import Proxy, yaml
from peers.quiet import drop_log
from peers.scripted import Scripted

HERE = Path(__file__).parent
DOMAIN = "t.example"


class Bench:
    """A proxy in front of a path's upstream, and the path's client."""

    def __init__(self, folder: Path, program: Path, path: paths.Path, upstream: Scripted, go: threading.Semaphore) -> None:
        authority = Authority()
        certificate, key = authority.issue(f"*.{DOMAIN}").write(folder)
        configuration = {
            "listen_addr": "127.0.0.1:0", "tunnel_domain": DOMAIN, "threads": 1,
            # Nothing happens by itself while something is counted, and nothing is late, however slow the machine is.
            "tls": {
                "cert_file": str(certificate), "key_file": str(key), "reload_interval": "1h", "handshake_timeout": "10m"},
            "websocket": {"ping_interval": "0"}, "http2": {"settings_timeout": "10m"},
            "limits": {"header_timeout": "10m", "body_timeout": "10m", "send_timeout": "10m"},
            "upstream": {"allowed_ips": ["127.0.0.1"], "connect_timeout": "10m", "idle_timeout": "1h"},
            "routes": {"echo": upstream.url}}
        file = folder / "config.yaml"
        file.write_text(yaml(configuration))
        self.proxy = Proxy(program, file, collect=False)
        drop_log(self.proxy)
        self.proxy.far_side(DOMAIN, authority.write(folder / "ca.crt"))
        self.caller = path.client(
            self.proxy.endpoint.port, h2_context(folder / "ca.crt", path.protocol), go)
        self.caller.begin()

    def steps(self, count: int) -> None:
        for _ in range(count):
            self.caller.step()

    def stop(self) -> None:
        self.caller.end()
        status = self.proxy.stop(60)
        assert status == 0, f"exit status {status}"


@contextlib.contextmanager
def running(path: paths.Path, proxy: Path, *command: str, **environment: str) -> Iterator[Bench]:
    """A bench whose proxy runs under a command, with further variables."""
    go = threading.Semaphore(0)
    with tempfile.TemporaryDirectory(prefix="gates-") as name, Scripted(lambda peer: path.respond(peer, go)) as upstream:
        folder = Path(name)
        program = folder / "program"
        variables = " ".join(f"{key}='{value}'" for key, value in environment.items())
        program.write_text(f'#!/bin/sh\n{variables} exec {" ".join(command)} {proxy} "$@"\n')
        program.chmod(0o755)
        bench = Bench(folder, program, path, upstream, go)
        try:
            yield bench
        except BaseException:
            bench.proxy.process.kill()
            raise


# Allocations.


def allocations(path: paths.Path, proxy: Path) -> tuple[float, float, dict[int, float]]:
    """Allocations of the program and of its libraries for a step, and where in the program they were made."""
    before, after = _around(path, proxy)
    assert before[0] > 0, "the start allocates; the counter does not count"
    known = dict(zip(before[3::2], before[4::2], strict=True))
    places = {
        offset: (calls - known.get(offset, 0)) / path.count
        for offset, calls in zip(after[3::2], after[4::2], strict=True) if calls > known.get(offset, 0)}
    return (after[0] - before[0]) / path.count, (after[1] - before[1]) / path.count, places


def held(path: paths.Path, proxy: Path) -> float:
    """Bytes of heap that a step has taken and not given back."""
    before, after = _around(path, proxy)
    return (after[2] - before[2]) / path.count


def _around(path: paths.Path, proxy: Path) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What the counter says before the steps, and behind them."""
    with tempfile.TemporaryDirectory(prefix="gates-") as name:
        library, counts = Path(name) / "malloc-count.so", Path(name) / "counts"
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, HERE / "malloc-count.c"], check=True)

        def read() -> tuple[int, ...]:
            data = counts.read_bytes()
            return struct.unpack(f"={len(data) // 8}Q", data)

        with running(path, proxy, MALLOC_COUNT=str(counts), LD_PRELOAD=str(library)) as bench:
            bench.steps(path.warm_up)
            before = read()
            bench.steps(path.count)
            after = read()
            bench.stop()
    return before, after


def where(proxy: Path, places: dict[int, float]) -> list[str]:
    """The places that allocate most for a step, as lines to print."""
    lines = []
    for offset, calls in sorted(places.items(), key=lambda place: -place[1])[:12]:
        # The call is before the address that it returns to.
        found = subprocess.run(
            ["addr2line", "-f", "-C", "-e", proxy, hex(offset - 1)], capture_output=True, text=True, check=False)
        lines.append(f"{calls:8.3f}  {found.stdout.splitlines()[0] if found.stdout else hex(offset)}")
    return lines


# Instructions.


_COST = re.compile(r"(?:\+\d+|-\d+|\*|\d+) (\d+)$")
_OBJECT = re.compile(r"(c?ob)=\((\d+)\)(?: (.*))?$")


def instructions(path: paths.Path, proxy: Path, keep: Path | None = None) -> dict[str, float]:
    """Instructions in user space for a step, by the file that they are in: of a long run without those of a short one.

    `keep` is where the long run's profile goes.
    """
    few, many = _whole_run(path, proxy, path.warm_up), _whole_run(path, proxy, path.warm_up + path.count, keep)
    return {name: (many[name] - few[name]) / path.count for name in many}


def _whole_run(path: paths.Path, proxy: Path, steps: int, keep: Path | None = None) -> Counter[str]:
    with tempfile.TemporaryDirectory(prefix="gates-") as name:
        out = Path(name) / "callgrind.out"
        if not keep:
            # valgrind gives up on what link-time optimisation leaves of line numbers.
            stripped = Path(name) / proxy.name
            subprocess.run(["strip", "-g", "-o", stripped, proxy], check=True)
            proxy = stripped
        with running(path, proxy, "valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--quiet") as bench:
            bench.steps(steps)
            bench.stop()
        if keep:
            shutil.copy(out, keep)
        return by_file(out.read_text())


def by_file(profile: str) -> Counter[str]:
    """The instructions of a profile by the file that they are in."""
    found: Counter[str] = Counter()
    names: dict[str, str] = {}
    current, is_call = "", False
    for line in profile.splitlines():
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
