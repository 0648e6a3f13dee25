"""What an upstream learns of the way of a request, and what a client cannot make it believe."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from peers.blocking import Tunnel, client_context
from peers.scripted import Peer, Scripted

#: What a client may say of itself, in spellings that one or the other server takes for the usual one.
SPOOFED = (
    "X-Forwarded-Proto: gopher", "X_Forwarded_Proto: gopher", "x-forwarded_proto: gopher",
    "X-Forwarded-Host: evil.example", "X_FORWARDED_HOST: evil.example", "X-Forwarded.Host: evil.example",
    "X_Forwarded_For: 203.0.113.9", "X-Real-IP: 203.0.113.9", "X_Real_IP: 203.0.113.9",
    "X-Forwarded-Port: 666", "X-Forwarded-Prefix: /evil", "X-Forwarded-Server: evil", "X-Forwarded-Ssl: off",
    "X-Forwarded-Scheme: gopher", "X-Forwarded-Protocol: gopher")
PASSED = ("X-Forwarded-For: 198.51.100.1", "X-Request-Id: 17", "X_Under: 1", "X-Forwarded-User: alice")


def tunnel(proxy) -> Tunnel:
    return Tunnel(proxy.endpoint.port, "echo.t.example", client_context(proxy.far.ca_file))


def lines_behind(proxy, *lines: str) -> list[str]:
    """The fields that an upstream gets for these, less Host."""
    with tunnel(proxy) as one:
        head = one.request("GET", "/", b"", *lines).body.decode("latin-1")
    return [line for line in head.split("\r\n")[1:] if not line.startswith("Host:")]


def show(peer: Peer) -> None:
    while request := peer.request():
        peer.respond(request[0].encode("latin-1"))


OURS = ["X-Forwarded-Host: echo.t.example", "X-Forwarded-Proto: https"]


@pytest.mark.parametrize("setting", [None, "on"])
def test_host_and_scheme_by_default(start, setting: str | None) -> None:
    with Scripted(show) as upstream:
        proxy = start({"echo": upstream.url}, upstream={"forwarded_headers": setting} if setting else {})
        assert lines_behind(proxy) == OURS
        assert lines_behind(proxy, *SPOOFED, "Forwarded: host=evil.example;proto=gopher", *PASSED) == [*PASSED, *OURS]


@pytest.mark.parametrize("setting", ["full", True])
def test_full(start, setting: object) -> None:
    with Scripted(show) as upstream:
        proxy = start({"echo": upstream.url}, upstream={"forwarded_headers": setting})
        assert lines_behind(proxy, *SPOOFED, "Forwarded: for=198.51.100.1", *PASSED) == [
            *PASSED[1:], 'Forwarded: for=198.51.100.1, for=127.0.0.1;host="echo.t.example";proto=https',
            "X-Forwarded-For: 198.51.100.1, 127.0.0.1", *OURS]


@pytest.mark.parametrize("setting", ["off", False])
def test_off_passes_what_came(start, setting: object) -> None:
    with Scripted(show) as upstream:
        proxy = start({"echo": upstream.url}, upstream={"forwarded_headers": setting})
        said = [*SPOOFED, "Forwarded: host=evil.example", *PASSED]
        assert lines_behind(proxy, *said) == said


@pytest.mark.parametrize("setting", ["on", "full", "off"])
def test_proxy_never_reaches_an_upstream(start, setting: str) -> None:
    """httpoxy: a CGI program would send its own requests there."""
    with Scripted(show) as upstream:
        proxy = start({"echo": upstream.url}, upstream={"forwarded_headers": setting})
        assert lines_behind(proxy, "A: 1", "Proxy: http://evil.example", "pRoXy: x") == lines_behind(proxy, "A: 1")


def test_a_websocket_is_told_the_same(start) -> None:
    with Scripted(show) as upstream:
        proxy = start({"echo": upstream.url})
        lines = lines_behind(
            proxy, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "X_Forwarded_Proto: gopher",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
        assert [line for line in lines if line.lower().startswith("x")] == OURS


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def wsgi_server() -> Iterator[str]:
    """A WSGI application that shows its environment, behind Python's own server."""
    def application(environ, start_response):
        shown = json.dumps({key: value for key, value in environ.items() if key.startswith("HTTP_")}).encode()
        start_response("200 OK", [("Content-Length", str(len(shown)))])
        return [shown]

    with make_server("127.0.0.1", 0, application, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_wsgi_application_sees_ours_alone(start) -> None:
    with wsgi_server() as url:
        proxy = start({"echo": url})
        with tunnel(proxy) as one:
            environ = json.loads(one.request("GET", "/", b"", *SPOOFED, "Proxy: http://evil.example").body)
        assert {key: value for key, value in environ.items() if "FORWARDED" in key or "REAL" in key} == {
            "HTTP_X_FORWARDED_HOST": "echo.t.example", "HTTP_X_FORWARDED_PROTO": "https"}
        assert "HTTP_PROXY" not in environ
        # What comes through where we say nothing is what the attack would be.
        proxy = start({"echo": url}, upstream={"forwarded_headers": "off"})
        with tunnel(proxy) as one:
            environ = json.loads(one.request("GET", "/", b"", *SPOOFED).body)
        assert environ["HTTP_X_FORWARDED_PROTO"] == "gopher,gopher,gopher"
