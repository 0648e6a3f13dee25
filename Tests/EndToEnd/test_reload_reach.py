"""How far a reload reaches: certificates, anchors, routes that are gone, connections of before that end after it."""

from __future__ import annotations

import signal
import ssl
import threading
import time
from pathlib import Path

import pytest
from conftest import write_configuration
from peers.blocking import Tunnel, client_context
from peers.scripted import Peer, Scripted


def server_context(leaf, folder: Path) -> ssl.SSLContext:
    certificate, key = leaf.write(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def ok(peer: Peer) -> None:
    while peer.request():
        peer.respond(str(peer.number).encode())


def tunnel(proxy, ca_file: Path | None = None, route: str = "echo") -> Tunnel:
    return Tunnel(proxy.endpoint.port, f"{route}.t.example", client_context(ca_file or proxy.far.ca_file))


def reload(proxy) -> None:
    mark = proxy.mark()
    proxy.signal(signal.SIGHUP)
    proxy.wait_for("reload", since=mark)


def trusting(ca_file: Path, **more: object) -> dict:
    return {"allowed_ips": ["127.0.0.0/8"], "tls": {"ca_file": str(ca_file)}, **more}


def test_streams_of_before_a_reload_leave_the_new_pool_alone(
    start, configuration: dict, certificates, tmp_path: Path
) -> None:
    """Fresh connections to the same upstream are not thrown away whenever an old stream ends."""
    gates = [threading.Event() for _ in range(3)]

    def handler(peer: Peer) -> None:
        while request := peer.request():
            if "/old/" in request[0]:
                gate = gates[int(request[0].split("/old/")[1][0])]
                peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
                assert gate.wait(20)
                peer.send(b"4\r\nlast\r\n0\r\n\r\n")
            else:
                peer.respond(str(peer.number).encode())

    context = server_context(certificates.authority.issue("127.0.0.1"), tmp_path / "up")
    with Scripted(handler, tls=context) as upstream:
        policy = trusting(certificates.ca_file)
        proxy = start({"echo": upstream.url}, threads=1, upstream=policy)
        old = [tunnel(proxy) for _ in gates]
        for number, one in enumerate(old):
            one.send(one.head("GET", f"/old/{number}"))
            one.until(b"first\r\n")
        write_configuration(
            proxy.config_file, configuration, {"echo": upstream.url}, threads=1, upstream=policy,
            limits={"max_headers": 100})
        reload(proxy)
        with tunnel(proxy) as one:
            fresh = one.request().body
            connected = len(upstream.peers)
            for number, gate in enumerate(gates):
                gate.set()
                old[number].until(b"0\r\n\r\n")
                proxy.wait_for("request finished", count=2 * number + 2)
                assert one.request().body == fresh, f"after the end of old stream {number}"
            assert len(upstream.peers) == connected
        for one in old:
            one.abort()


@pytest.mark.parametrize("trusted", [True, False])
def test_pooled_tls_connections_go_when_the_anchors_change(
    start, configuration: dict, certificates, tmp_path: Path, trusted: bool
) -> None:
    """What was verified with the old anchors is not used with the new ones, whatever these say."""
    context = server_context(certificates.authority.issue("127.0.0.1"), tmp_path / "up")
    anchors = tmp_path / "anchors.crt"
    anchors.write_bytes(certificates.authority.pem)
    with Scripted(ok, tls=context) as upstream:
        proxy = start({"echo": upstream.url}, upstream=trusting(anchors))
        with tunnel(proxy) as one:
            assert one.request().body == b"1"
            assert one.request().body == b"1"
            # The same file with another content.
            anchors.write_bytes((certificates.authority.pem if trusted else b"") + certificates.stranger.pem)
            reload(proxy)
            reply = one.request()
            assert (reply.status, reply.body) == (200, b"2") if trusted else reply.status == 502
            # The connection of before.
            upstream.wait(3)


def test_connections_to_removed_upstreams_are_closed(start, configuration: dict) -> None:
    with Scripted(ok) as gone, Scripted(ok) as stays:
        proxy = start({"gone": gone.url, "stays": stays.url}, threads=1)
        for route in ("gone", "stays"):
            with tunnel(proxy, route=route) as one:
                assert one.request().status == 200
        write_configuration(proxy.config_file, configuration, {"stays": stays.url}, threads=1)
        reload(proxy)
        # Not when its idle time of 90 s is over.
        gone.wait(2)
        with tunnel(proxy, route="stays") as one:
            assert one.request().body == b"1"


def test_other_certificate_files_are_taken_up(start, configuration: dict, certificates, tmp_path: Path) -> None:
    stranger, key = certificates.stranger.issue("*.t.example").write(tmp_path, "other")
    with Scripted(ok) as upstream:
        proxy = start({"echo": upstream.url})
        with tunnel(proxy) as one:
            assert one.request().status == 200
            write_configuration(
                proxy.config_file, configuration, {"echo": upstream.url},
                tls={"cert_file": str(stranger), "key_file": str(key), "reload_interval": "50ms"})
            reload(proxy)
            # Live connections go on with the old one.
            assert one.request().status == 200
        deadline = time.monotonic() + 3
        while True:
            try:
                with tunnel(proxy, certificates.stranger_file) as one:
                    assert one.request().status == 200
                    break
            except ssl.SSLCertVerificationError:
                assert time.monotonic() < deadline, "the old certificate is still served"
        with pytest.raises(ssl.SSLCertVerificationError):
            tunnel(proxy)


def test_a_tls_upstream_hears_close_notify(start, certificates, tmp_path: Path) -> None:
    """A connection that is left after its idle time ends in order (RFC 8446 §6.1)."""
    def handler(peer: Peer) -> str:
        while peer.request():
            peer.respond()
        return "close_notify"

    context = server_context(certificates.authority.issue("127.0.0.1"), tmp_path / "up")
    with Scripted(handler, tls=context) as upstream:
        proxy = start({"echo": upstream.url}, upstream=trusting(certificates.ca_file, idle_timeout="200ms"))
        with tunnel(proxy) as one:
            assert one.request().status == 200
            # An end without it would be an SSLEOFError.
            assert upstream.wait(3) == "close_notify"
