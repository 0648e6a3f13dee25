"""Requests, connections, aborted streams, reloads and certificate swaps for ten minutes: does anything stay behind?

`tunnel-bench` sends the mass of the requests and is their upstream; the rest comes from threads of this program.
Rates are those of a run of 600 s with 10^6 requests, 10^4 connections and 10^4 aborted streams; a shorter run has as
many fewer.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from peers.blocking import Ended, Tunnel, client_context
from peers.pki import Authority
from peers.proxy import Proxy, yaml

DOMAIN = "bench.test"
SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))
#: Long-lived connections, and seconds from one request to the next on each: 1,882 requests a second.
CONNECTIONS, INTERVAL = 16, 0.0085
#: A second, each.
CONNECTS, ABORTS, RELOADS, SWAPS = 18, 18, 0.5, 0.3
#: How the end may differ from the beginning. Descriptors may not.
MEMORY = 4 << 20
#: Main, two loops, log, reload, and the two for files, of which the second begins when the first is busy.
THREADS = 7
ROWS = 20


class Soak:
    """The proxy, its surroundings, and what was done to it."""

    def __init__(self, folder: Path, proxy: Path) -> None:
        self.folder, self.bench = folder, proxy.parent / "tunnel-bench"
        self.done: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.complaints: Counter[str] = Counter()
        self.failures: list[str] = []
        self.authority = Authority()
        self.ca_file = self.authority.write(folder / "ca.crt")
        self.authority.issue(f"*.{DOMAIN}").write(folder)
        self.upstream = subprocess.Popen(
            [self.bench, "upstream"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.upstream.stdout
        self.url = f"http://127.0.0.1:{self.upstream.stdout.readline().rsplit(':', 1)[-1].strip()}"
        self.write_configuration(0)
        self.proxy = Proxy(proxy, folder / "config.yaml", collect=False)
        threading.Thread(target=self._read_log, daemon=True).start()
        self.proxy.far_side(DOMAIN, self.ca_file)
        self.context = client_context(self.ca_file)
        self.stop = threading.Event()

    def write_configuration(self, number: int) -> None:
        """Another one each time: a route more or less, other limits, another policy."""
        configuration = {
            "listen_addr": "127.0.0.1:0", "tunnel_domain": DOMAIN, "threads": 2,
            "tls": {"cert_file": str(self.folder / "tls.crt"), "key_file": str(self.folder / "tls.key"),
                    "reload_interval": "200ms"},
            # So that nothing of the upstream's side is left a moment after the end.
            "upstream": {"allowed_ips": ["127.0.0.1", f"10.0.0.{number % 250}"], "idle_timeout": "2s"},
            "limits": {"max_headers": 100 + number % 100},
            "routes": {"r0": self.url, f"r{1 + number % 3}": self.url}}
        fresh = self.folder / "config.new"
        fresh.write_text(yaml(configuration))
        fresh.rename(self.folder / "config.yaml")

    def _read_log(self) -> None:
        """Counts what the log says, without keeping it."""
        assert self.proxy.process.stderr
        rest = b""
        while data := os.read(self.proxy.process.stderr.fileno(), 1 << 20):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if b" request finished " in line:
                    self.done["requests"] += 1
                    if match := re.search(rb" end=(\w+)", line):
                        self.ends[match[1].decode()] += 1
                elif b" WARN " in line or b" ERROR " in line:
                    # Without the time in front and the fields behind.
                    text = line.decode("utf-8", "replace").split(" ", 1)[1]
                    self.complaints[text.split("=")[0].rsplit(" ", 1)[0]] += 1
                elif b" certificate reloaded" in line:
                    self.done["certificates"] += 1
                elif b" configuration reloaded" in line or b" reloaded" in line:
                    self.done["reloads"] += 1

    # What is done to it.

    def tunnel(self) -> Tunnel:
        return Tunnel(self.proxy.endpoint.port, f"r0.{DOMAIN}", self.context, timeout=10)

    def connect(self, number: int) -> None:
        with self.tunnel() as one:
            reply = one.request("POST", "/mcp", b"{}")
            assert reply.status == 200, reply.head
            if number % 2:
                one.close()
        self.done["connects"] += 1

    def abort(self, number: int) -> None:
        """In the middle of an event stream, of a download, of an upload; by RST, or in order."""
        with self.tunnel() as one:
            if number % 3 == 0:
                one.send(one.head("GET", "/events/50"))
                one.until(b"data:")
            elif number % 3 == 1:
                one.send(one.head("GET", "/download/10000000"))
                one.take(100_000)
            else:
                one.send(one.head("POST", "/upload", "Content-Length: 10000000") + b"x" * 100_000)
            if number % 2:
                one.close()
        self.done["aborted"] += 1

    def reload(self, number: int) -> None:
        self.write_configuration(number + 1)
        self.proxy.signal(signal.SIGHUP)

    def swap(self, number: int) -> None:
        certificate, key = self.authority.issue(f"*.{DOMAIN}").write(self.folder, f"fresh-{number % 2}")
        certificate.rename(self.folder / "tls.crt")
        key.rename(self.folder / "tls.key")

    def repeatedly(self, action: Callable[[int], None], rate: float) -> threading.Thread:
        def run() -> None:
            number, due = 0, time.monotonic()
            while not self.stop.wait(max(0.0, due - time.monotonic())):
                try:
                    action(number)
                except (AssertionError, OSError, Ended) as failure:
                    self.failures.append(f"{action.__name__}: {failure!r}")
                number, due = number + 1, due + 1 / rate

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def phase(self, seconds: float, on_tick: Callable[[], None] | None = None) -> None:
        """Everything at once for a time, and then nothing until what was open has ended."""
        self.stop.clear()
        load = subprocess.Popen(
            [self.bench, "load", "--kind", "requests", "--mode", "tunnel", "--port", str(self.proxy.endpoint.port),
             "--ca", str(self.ca_file), "--connections", str(CONNECTIONS), "--interval", str(INTERVAL),
             "--warm-up", "0.1", "--seconds", str(seconds)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        threads = [
            self.repeatedly(self.connect, CONNECTS), self.repeatedly(self.abort, ABORTS),
            self.repeatedly(self.reload, RELOADS), self.repeatedly(self.swap, SWAPS)]
        begun = time.monotonic()
        try:
            for tick in range(1, ROWS + 1):
                time.sleep(max(0.0, begun + seconds * tick / ROWS - time.monotonic()))
                if on_tick:
                    on_tick()
                assert self.proxy.process.poll() is None, "the proxy is gone"
            _, complaint = load.communicate(timeout=60)
            if load.returncode:
                self.failures.append(f"tunnel-bench: {complaint.strip()}")
        finally:
            self.stop.set()
            load.kill()
            for thread in threads:
                thread.join()
        self.settle()

    def settle(self) -> None:
        """Wait until nothing changes any more, 15 s at most."""
        deadline, last, still = time.monotonic() + 15, -1, 0
        while still < 8 and time.monotonic() < deadline:
            time.sleep(0.5)
            now = self.proxy.open_descriptors()
            still, last = (still + 1 if now == last else 0), now

    # What is measured.

    def resident(self) -> int:
        return int(Path(f"/proc/{self.proxy.process.pid}/statm").read_text().split()[1]) * 4096

    def threads(self) -> int:
        return len(os.listdir(f"/proc/{self.proxy.process.pid}/task"))


HEAD = f"{'second':>8}{'requests':>11}{'connects':>10}{'aborted':>9}{'reloads':>9}{'certificates':>14}" \
    f"{'RSS MiB':>9}{'threads':>9}{'descriptors':>13}"


def row(soak: Soak, second: float | str) -> str:
    second = second if isinstance(second, str) else f"{second:.0f}"
    done = soak.done
    return (f"{second:>8}{done['requests']:>11,}{done['connects']:>10,}{done['aborted']:>9,}{done['reloads']:>9,}"
            f"{done['certificates']:>14,}{soak.resident() / (1 << 20):>9.1f}{soak.threads():>9}"
            f"{soak.proxy.open_descriptors():>13}")


def main() -> int:
    proxy = Path(sys.argv[1] if len(sys.argv) > 1 else ".build/release/mcp-proxy").resolve()
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        soak = Soak(Path(name), proxy)
        try:
            # Pools, caches and the heap get the size that they need, which takes some thousand connections.
            soak.phase(min(150.0, SECONDS / 4))
            soak.done.clear()
            say(HEAD)
            before = soak.resident(), soak.proxy.open_descriptors(), soak.threads()
            say(row(soak, "before"))
            begun = time.monotonic()
            soak.phase(SECONDS, lambda: say(row(soak, time.monotonic() - begun)))
            after = soak.resident(), soak.proxy.open_descriptors(), soak.threads()
            say(row(soak, "after"))
            status = soak.proxy.stop(30)
        finally:
            if soak.proxy.process.poll() is None:
                soak.proxy.process.kill()
                soak.proxy.process.wait()
            soak.upstream.kill()
            soak.upstream.wait()
    say("ends: " + ", ".join(f"{end} {count:,}" for end, count in soak.ends.most_common()))
    for complaint, count in soak.complaints.most_common(8):
        say(f"{count:>6}x {complaint}")
    problems = list(soak.failures[:10])
    if status != 0:
        problems.append(f"exit status {status}")
    if after[0] > before[0] + MEMORY:
        problems.append(f"{(after[0] - before[0]) / (1 << 20):.1f} MiB more than before")
    if after[1] != before[1]:
        problems.append(f"{after[1]} descriptors, before {before[1]}")
    if after[2] > THREADS:
        problems.append(f"{after[2]} threads, {before[2]} before")
    if not soak.done["requests"] or soak.done["requests"] < SECONDS * 1_000:
        problems.append(f"only {soak.done['requests']} requests in {SECONDS:.0f} s")
    passed = "passed: memory, threads and descriptors are where they began"
    say("FAILED: " + "; ".join(problems) if problems else passed)
    with contextlib.suppress(OSError):
        Path("out/soak.txt").write_text("\n".join(lines) + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
