"""`mcp-proxy hello`, the sample MCP server: to the real clients through the tunnel, and to whoever else asks."""

from __future__ import annotations

import http.client
import json
import re
import resource
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_mcp import CLIENTS, play

JSON = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
MAX_BODY, MAX_CONNECTIONS = 65_536, 1_000


class Hello:
    def __init__(self, binary: Path, address: str = "127.0.0.1:0") -> None:
        self.process = subprocess.Popen(
            [str(binary), "hello", "-listen", address], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr
        line = self.process.stderr.readline()
        match = re.fullmatch(r"mcp-proxy hello: listening on (\S+), path /mcp\n", line)
        assert match, line
        self.address = match[1]
        self.port = int(self.address.rpartition(":")[2]) if not self.address.startswith("unix:") else 0

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def ask(self, method: str = "POST", path: str = "/mcp", headers: dict | None = None, body: object = None):
        connection = self.connect()
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        connection.request(method, path, data, {**JSON, **(headers or {})})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response, text

    def begin(self) -> dict[str, str]:
        response, _ = self.ask(body=message("initialize", {"protocolVersion": "2025-06-18"}))
        assert response.status == 200
        return {"Mcp-Session-Id": response.headers["Mcp-Session-Id"]}


@pytest.fixture
def hello(binary: Path) -> Iterator[Hello]:
    server = Hello(binary)
    yield server
    if server.process.poll() is None:
        server.process.kill()
    server.process.wait()
    assert server.process.stderr
    server.process.stderr.close()


def message(method: str, params: dict | None = None, **more: object) -> dict:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}, **more}


def greeting(token: bool = True) -> dict:
    meta = {"_meta": {"progressToken": "t"}} if token else {}
    return message("tools/call", {"name": "hello", "arguments": {"name": "you"}, **meta})


@pytest.mark.deadline(60)
@pytest.mark.parametrize(("client", "mode"), CLIENTS)
async def test_real_clients_through_the_tunnel(start, hello: Hello, client: str, mode: str) -> None:
    """Also: any host name will do, since the server gets the tunnel's."""
    proxy = start({"mcp": f"http://127.0.0.1:{hello.port}"})
    seen = await play(proxy, "greet", client, mode)
    assert [event["event"] for event in seen] == ["ready", "tools", "progress", "greeted", "closed"]
    assert seen[1]["names"] == ["hello"]
    assert (seen[2]["done"], seen[2]["total"]) == (1, 2)
    assert (seen[3]["text"], seen[3]["failed"]) == ('Hello, grüß "dich"!', False)


@pytest.mark.deadline(60)
async def test_newest_clients_discover_without_a_session(start, hello: Hello) -> None:
    proxy = start({"mcp": f"http://127.0.0.1:{hello.port}"})
    await play(proxy, "greet", "2", "auto")
    # A client that began a session would have ended it.
    assert not proxy.found("request started.*method=DELETE")
    await play(proxy, "greet", "2", "legacy")
    assert proxy.found("request started.*method=DELETE")


def test_a_session_in_http(hello: Hello) -> None:
    session = hello.begin()
    response, text = hello.ask(headers=session, body={"jsonrpc": "2.0", "method": "notifications/initialized"})
    assert (response.status, text) == (202, "")
    response, text = hello.ask(headers=session, body=message("tools/list"))
    assert response.headers["Content-Type"] == "application/json"
    assert json.loads(text)["result"]["tools"][0]["name"] == "hello"
    response, text = hello.ask(headers=session, body=greeting())
    assert response.headers["Content-Type"] == "text/event-stream"
    events = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]
    assert [event.get("method", "result") for event in events] == ["notifications/progress", "result"]
    assert hello.ask("DELETE", headers=session)[0].status == 204
    assert hello.ask(headers=session, body=message("ping"))[0].status == 404


def test_json_for_those_who_take_no_stream(hello: Hello) -> None:
    response, text = hello.ask(headers={**hello.begin(), "Accept": "application/json"}, body=greeting())
    assert response.headers["Content-Type"] == "application/json"
    assert json.loads(text)["result"]["content"][0]["text"] == "Hello, you!"


def test_what_it_does_not_serve(hello: Hello) -> None:
    response, _ = hello.ask("GET", headers=hello.begin())
    assert (response.status, response.headers["Allow"]) == (405, "POST, DELETE")
    assert hello.ask("GET", "/.well-known/oauth-protected-resource")[0].status == 404
    assert hello.ask(headers={"Mcp-Session-Id": "unknown"}, body=message("ping"))[0].status == 404
    assert hello.ask(body=message("ping"))[0].status == 400
    assert hello.ask(headers={"Accept": "text/html"}, body=message("initialize"))[0].status == 406
    assert hello.ask(body=b"{")[0].status == 400


@pytest.mark.parametrize("form", ["length", "chunked"])
def test_bodies_have_a_limit(hello: Hello, form: str) -> None:
    whole = json.dumps(message("initialize", {"x": ""})).encode()
    whole = whole.replace(b'""', b'"' + b"x" * (MAX_BODY - len(whole)) + b'"')
    for body, status in ((whole, 200), (whole + b" ", 413)):
        connection = hello.connect()
        pieces = iter([body]) if form == "chunked" else body
        connection.request("POST", "/mcp", pieces, JSON, encode_chunked=form == "chunked")
        assert connection.getresponse().status == status
        connection.close()


def test_pipelined_and_dripping_requests(hello: Hello) -> None:
    body = json.dumps(message("initialize")).encode()
    head = b"POST /mcp HTTP/1.1\r\nHost: anything:1\r\nContent-Length: %d\r\n\r\n" % len(body)
    with socket.create_connection(("127.0.0.1", hello.port), timeout=10) as connection:
        connection.sendall((head + body) * 2)
        for byte in head + body:
            connection.sendall(bytes([byte]))
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    assert received.count(b"HTTP/1.1 200 ") == 3 and received.count(b'"serverInfo"') == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_finishes_what_is_under_way(hello: Hello, number: int) -> None:
    session = hello.begin()
    idle, busy = hello.connect(), hello.connect()
    idle.request("POST", "/mcp", json.dumps(message("initialize")), JSON)
    assert idle.getresponse().read()
    busy.request("POST", "/mcp", json.dumps(greeting()), {**JSON, **session})
    response = busy.getresponse()
    assert response.readline() == b"event: message\n"
    hello.process.send_signal(number)
    # An idle connection is closed at once, long before the other one's second event.
    assert idle.sock.recv(1) == b""
    assert "Hello, you!" in response.read().decode()
    assert hello.process.wait(10) == 0


def test_a_subscription_ends_with_the_server(hello: Hello) -> None:
    """With its last event and at once, long before the next comment would be due."""
    key = "io.modelcontextprotocol"
    meta = {f"{key}/protocolVersion": "2026-07-28", f"{key}/clientCapabilities": {}}
    body = message("subscriptions/listen", {"notifications": {}, "_meta": meta})
    fields = {**JSON, "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"}
    listening = hello.connect()
    listening.request("POST", "/mcp", json.dumps(body), fields)
    response = listening.getresponse()
    assert response.headers["X-Accel-Buffering"] == "no"
    assert response.readline() == b"event: message\n" and b"/acknowledged" in response.readline()
    hello.process.send_signal(signal.SIGTERM)
    # The socket's own time-out is 10 s, and a comment comes after 15.
    assert b'"resultType":"complete"' in response.read()
    assert hello.process.wait(10) == 0


def test_a_second_signal_does_not_wait(hello: Hello) -> None:
    with socket.create_connection(("127.0.0.1", hello.port), timeout=10) as half:
        half.sendall(b"POST /mcp HTTP/1.1\r\n")
        idle = hello.connect()
        idle.request("POST", "/mcp", json.dumps(message("initialize")), JSON)
        # Its response proves that the half request before it has been read.
        assert idle.getresponse().read()
        hello.process.send_signal(signal.SIGTERM)
        assert idle.sock.recv(1) == b"" and hello.process.poll() is None
        hello.process.send_signal(signal.SIGTERM)
        assert hello.process.wait(10) == 0


def test_connections_have_a_limit(binary: Path) -> None:
    """The one above it is closed at once, and a place that is given back is taken."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + 200
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"takes {wanted} descriptors, and {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    server = Hello(binary)
    held = []
    try:
        for _ in range(MAX_CONNECTIONS):
            held.append(socket.create_connection(("127.0.0.1", server.port), timeout=10))
        # They are accepted in the order in which they came.
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as surplus:
            assert surplus.recv(1) == b""
        held[-1].sendall(b"GET /mcp HTTP/1.1\r\nHost: a\r\n\r\n")
        assert held[-1].recv(100).startswith(b"HTTP/1.1 4")
        held[0].shutdown(socket.SHUT_WR)
        assert held[0].recv(1) == b"", "it gives its place back"
        assert server.ask(body=message("initialize"))[0].status == 200
    finally:
        for connection in held:
            connection.close()
        server.process.terminate()
        assert server.process.wait(10) == 0
        assert server.process.stderr
        server.process.stderr.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("address", [":0", "[::]:0", "[::1]:0", "localhost:0", "unix:{}/hello.sock"])
def test_forms_of_the_address(binary: Path, tmp_path: Path, address: str) -> None:
    server = Hello(binary, address.format(tmp_path))
    try:
        if server.port == 0:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(f"{tmp_path}/hello.sock")
        else:
            host = "::1" if "::" in address else "127.0.0.1"
            socket.create_connection((host, server.port), timeout=10).close()
    finally:
        server.process.terminate()
        assert server.process.wait(10) == 0
        assert server.process.stderr
        server.process.stderr.close()


def test_an_occupied_port_ends_with_1(binary: Path, hello: Hello) -> None:
    result = subprocess.run(
        [str(binary), "hello", "-listen", f"127.0.0.1:{hello.port}"], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=20,
    )
    assert result.returncode == 1
    assert result.stderr == (
        f"mcp-proxy hello: listen tcp 127.0.0.1:{hello.port}: bind: address already in use "
        f"(`ss -ltnp 'sport = :{hello.port}'` names who listens there: stop it, or write another port)\n")
