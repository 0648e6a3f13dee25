"""Nothing of a request or its response is left in the proxy's memory once it is over."""

from __future__ import annotations

import os
import re
import secrets
import ssl
import time
from pathlib import Path

import pytest
from peers.blocking import Tunnel, client_context
from peers.http2 import Client
from peers.pki import Authority
from peers.scripted import Peer, Scripted

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may read the memory of every process")


def memory(process: int) -> bytes:
    """All that a process can write to, from proc(5)'s /proc/PID/mem."""
    parts = []
    with open(f"/proc/{process}/mem", "rb", buffering=0) as file:
        for line in Path(f"/proc/{process}/maps").read_text().splitlines():
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if not match:
                continue
            start, end = (int(bound, 16) for bound in match.groups())
            try:
                file.seek(start)
                while start < end:
                    part = file.read(min(end - start, 1 << 20))
                    if not part:
                        break
                    parts.append(part)
                    start += len(part)
            except OSError:
                # Pages that the kernel alone may touch.
                continue
    return b"".join(parts)


class Secrets:
    """Tokens for one request, each where a real one would stand."""

    def __init__(self) -> None:
        self.all: dict[str, bytes] = {}

    def __getitem__(self, name: str) -> str:
        return self.all.setdefault(name, secrets.token_hex(24).encode()).decode()

    def left(self, process: int) -> dict[str, int]:
        held = memory(process)
        return {name: count for name, token in self.all.items() if (count := held.count(token))}

    def come_to(self, process: int, expected: dict[str, int]) -> None:
        """What is left is that, as soon as the loop has come to its end."""
        end = time.monotonic() + 5
        while (left := self.left(process)) != expected and time.monotonic() < end:
            time.sleep(0.05)
        assert left == expected


def tunnel(proxy) -> Tunnel:
    return Tunnel(proxy.endpoint.port, "echo.t.example", client_context(proxy.far.ca_file))


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("head", "body"), [(0, 100), (3_900, 0), (5_000, 100), (40_000, 3_000), (0, 70_000), (0, 1_000_000)])
def test_a_token_does_not_outlive_its_request(start, tmp_path: Path, scheme: str, head: int, body: int) -> None:
    """Heads and bodies of every size: those that fit a buffer, those that outgrow it, those that are streamed."""
    def handler(peer: Peer) -> None:
        while request := peer.request():
            assert known["bearer"] in request[0] and known["cookie"] in request[0]
            answer = (known["answer-start"] + "a" * body + known["answer-end"]).encode()
            peer.respond(answer, f"Set-Cookie: session={known['set-cookie']}")

    known = Secrets()
    tls, changes = None, {}
    if scheme == "https":
        authority = Authority("The upstream's CA")
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*authority.issue("localhost").write(tmp_path / "upstream"))
        changes = {"upstream": {"tls": {"ca_file": str(authority.write(tmp_path / "upstream-ca.crt"))}}}
    with Scripted(handler, tls=tls) as upstream:
        url = f"https://localhost:{upstream.port}" if tls else upstream.url
        proxy = start({"echo": url}, threads=1, **changes)
        with tunnel(proxy) as one:
            for number in range(3):
                sent = (known["body-start"] + "b" * body + known["body-end"]).encode()
                reply = one.request(
                    "POST", "/", sent, f"X-Filler: {'f' * head}", f"Authorization: Bearer {known['bearer']}",
                    f"Cookie: a=b; id={known['cookie']}")
                assert reply.status == 200 and known["answer-end"] in reply.body.decode()
                proxy.wait_for("request finished", count=number + 1)
            # The connection is open and idle.
            assert known.left(proxy.process.pid) == {}
        proxy.wait_for("request finished", count=3)
        assert known.left(proxy.process.pid) == {}


@pytest.mark.parametrize("filler", [0, 5_000, 20_000])
def test_nor_over_http2(start, filler: int) -> None:
    """Where a secret is the last field of its head, too. What a client puts into the table of a connection stays as long as it."""
    def handler(peer: Peer) -> None:
        while request := peer.request():
            assert known["bearer"] in request[0] and known["cookie"] in request[0]
            answer = known["answer"].encode()
            lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(answer)}", f"Set-Cookie: {'f' * filler}{known['set-cookie']}"]
            peer.send("\r\n".join([*lines, "", ""]).encode() + answer)

    known = Secrets()
    with Scripted(handler) as upstream:
        proxy = start({"echo": upstream.url}, threads=1)
        with Client.connect(proxy) as one:
            for number in range(3):
                stream = one.request(
                    "POST", "/", known["body"].encode(),
                    [("cookie", known["cookie"]), ("authorization", "f" * filler + known["bearer"])])
                assert stream.status == 200 and known["answer"] in stream.body.decode()
                proxy.wait_for("request finished", count=number + 1)
            # The connection is open and idle.
            one.settle()
            known.come_to(proxy.process.pid, {"cookie": 1})
        known.come_to(proxy.process.pid, {})


def test_the_look_finds_what_is_there(start) -> None:
    """While a request waits for its response its token is in memory, so a clean result above means something."""
    known = Secrets()

    def handler(peer: Peer) -> None:
        while peer.request():
            held = known.left(proxy.process.pid)
            peer.respond(b"there" if held else b"nothing")

    with Scripted(handler) as upstream:
        proxy = start({"echo": upstream.url}, threads=1)
        with tunnel(proxy) as one:
            # What goes out on a connection that was used before may have to be sent again, and is kept until then.
            assert one.request("GET", "/").body == b"nothing"
            assert one.request("GET", "/", b"", f"Authorization: Bearer {known['bearer']}").body == b"there"
            assert one.request("GET", "/").body == b"nothing"
