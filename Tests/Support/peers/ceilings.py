"""What every fault must leave: a proxy within its ceilings that serves a neighbour.

The tests of faults say what becomes of the one who has the fault. These say that nobody else notices: after each of
them a neighbour comes, asks and is served, and the proxy has taken no more than what is written here.
"""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass, field

from .blocking import Ended, Tunnel
from .proxy import Proxy

#: The most memory that a proxy may ever have resident, in bytes: of the debug build, with two loops.
MEMORY = 160 << 20
#: The most descriptors that may be open beyond those at its start, once everybody has gone: parked connections.
DESCRIPTORS = 24
#: The longest that a neighbour may wait for a tunnel and a response, in seconds: on two cores that do other things too.
NEIGHBOUR = 5.0
#: The longest that one test of a fault may take, in seconds.
TIME = 120.0
#: The host that no test has a route for: its 502 needs every part of the proxy but an upstream.
STRANGER = "neighbour-of-a-fault"


@dataclass
class Found:
    """The highest figures of a run, each with the test that had them."""

    memory: tuple[int, str] = (0, "")
    descriptors: tuple[int, str] = (0, "")
    neighbour: tuple[float, str] = (0.0, "")
    seconds: tuple[float, str] = (0.0, "")
    tests: int = 0
    proxies: int = 0
    failures: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        mib = 1 << 20
        return [
            f"{self.tests} tests with faults, {self.proxies} proxies that ran to their end",
            f"memory       {self.memory[0] / mib:.0f} of {MEMORY / mib:.0f} MiB        {self.memory[1]}",
            f"descriptors  {self.descriptors[0]} of {DESCRIPTORS} left open    {self.descriptors[1]}",
            f"neighbour    {self.neighbour[0]:.2f} of {NEIGHBOUR:.0f} s           {self.neighbour[1]}",
            f"time         {self.seconds[0]:.1f} of {TIME:.0f} s           {self.seconds[1]}",
        ]


class Ceiling:
    """Of one proxy: what it had at its start, and what is asked of it when the test is over."""

    def __init__(self, proxy: Proxy, domain: str) -> None:
        self.proxy, self.host = proxy, f"{STRANGER}.{domain}"
        self.descriptors = proxy.open_descriptors()

    def check(self, test: str, found: Found) -> None:
        """Fails where a ceiling is passed. A proxy that has ended, or is about to, is asked for nothing."""
        proxy = self.proxy
        if proxy.process.poll() is not None or proxy.found(r" shutting down |\"shutting down\""):
            return
        found.proxies += 1
        memory = proxy.peak_memory()
        waited = self.serve_neighbour()
        left = self.settle()
        found.memory = max(found.memory, (memory, test))
        found.neighbour = max(found.neighbour, (waited, test))
        found.descriptors = max(found.descriptors, (left, test))
        assert memory <= MEMORY, f"the proxy had {memory >> 20} MiB resident, the ceiling is {MEMORY >> 20}"
        assert left <= DESCRIPTORS, f"{left} descriptors more than at the start are open, the ceiling is {DESCRIPTORS}"

    def serve_neighbour(self) -> float:
        """How long a newcomer waits for his response."""
        if self.proxy.endpoint.path:
            return 0
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # Whether the certificate is in order is for other tests: some of them let it end.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["http/1.1"])
        begun, trouble = time.monotonic(), "nothing"
        while (left := begun + NEIGHBOUR - time.monotonic()) > 0:
            try:
                endpoint = self.proxy.endpoint
                with Tunnel(endpoint.port, self.host, context, timeout=left, address=endpoint.host) as tunnel:
                    status = tunnel.request().status
                assert status == 502, f"the neighbour got {status}"
                return time.monotonic() - begun
            except (Ended, OSError) as error:
                if "HTTP/1.1 431 " in str(error):
                    # The test allows fewer fields than an upgrade has: he was told so, at once.
                    return time.monotonic() - begun
                # A limit of connections that the test has set may still hold those that are about to go.
                trouble = repr(error)
                time.sleep(0.05)
        raise AssertionError(f"a neighbour was not served within {NEIGHBOUR} s: {trouble}")

    def settle(self) -> int:
        """How many descriptors more than at the start stay open."""
        end = time.monotonic() + 5
        while (left := self.proxy.open_descriptors() - self.descriptors) > DESCRIPTORS and time.monotonic() < end:
            time.sleep(0.05)
        return left
