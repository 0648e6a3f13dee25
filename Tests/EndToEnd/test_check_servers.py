"""`mcp-proxy check` against TLS servers, MCP servers, authorization metadata, the edge and cloudflared, one fault at a time."""

from __future__ import annotations

import datetime
import json
import ssl
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import DOMAIN
from peers.endpoint import free_port
from peers.name_server import NO_SUCH_NAME, NameServer, asking
from peers.pki import Authority
from peers.scripted import Peer, Scripted
from test_check import Check, check, hello, peers, sdk_server, settings  # noqa: F401

DISCOVERED = {
    "jsonrpc": "2.0", "id": "server-discover-probe-1",
    "result": {"supportedVersions": ["2026-07-28"], "capabilities": {}, "serverInfo": {"name": "scripted", "version": "1"}},
}
INITIALIZED = {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25", "serverInfo": {"name": "old"}}}

Answers = Callable[[str, str], "tuple[str, bytes, list[str]] | None"]


def serving(answer: Answers) -> Callable[[Peer], None]:
    """A server that is asked with a request's start line and body, and says status, body and fields; 405 if it says nothing."""

    def serve(peer: Peer) -> None:
        while request := peer.request():
            head, body = request
            result = answer(head.split("\r\n")[0], body.decode())
            status, content, fields = result or ("405 Method Not Allowed", b"", [])
            if content and not any(field.lower().startswith("content-type") for field in fields):
                fields = [*fields, "Content-Type: application/json"]
            peer.respond(content, *fields, status=status)

    return serve


def message(value: dict, *fields: str, status: str = "200 OK") -> tuple[str, bytes, list[str]]:
    return status, json.dumps(value).encode(), list(fields)


def healthy(start: str, body: str) -> tuple[str, bytes, list[str]] | None:
    return message(DISCOVERED) if "server/discover" in body else None


def error(code: int, **more: object) -> dict:
    return {"jsonrpc": "2.0", "id": "server-discover-probe-1", "error": {"code": code, "message": "no", **more}}


# MARK: TLS


class Keys:
    """A CA that the proxy trusts for upstreams, and contexts of servers under it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.authority = folder, Authority("Upstreams")
        self.trust = {"tls": {"ca_file": str(self.authority.write(folder / "upstreams.crt"))}}

    def context(self, *names: str, authority: Authority | None = None, **options: object) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.files(*names, authority=authority, **options))
        return context

    def files(self, *names: str, authority: Authority | None = None, **options: object) -> tuple[Path, Path]:
        leaf = (authority or self.authority).issue(*(names or ("127.0.0.1",)), **options)  # type: ignore[arg-type]
        return leaf.write(self.folder, f"leaf-{leaf.serial}")


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def test_tls_server_that_is_well(check: Check, peers: ExitStack, keys: Keys) -> None:
    server = peers.enter_context(Scripted(serving(healthy), tls=keys.context()))
    report = check({"good": server.url}, upstream=keys.trust)
    assert (report.status, report.faults()) == (0, [])
    assert report.check("route.tls", "good")["summary"].startswith("TLS 1.3")


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"authority": Authority("Somebody")}, "upstream-tls-untrusted"), ({"names": ["other.test"]}, "upstream-tls-name"),
        ({"expired": True}, "upstream-tls-expired"), ({"left": datetime.timedelta(days=3)}, "upstream-tls-expires-soon"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_certificates_of_upstreams(check: Check, peers: ExitStack, keys: Keys, options: dict, fault: str) -> None:
    names = options.pop("names", [])
    server = peers.enter_context(Scripted(serving(healthy), tls=keys.context(*names, **options)))
    report = check({"bad": server.url}, upstream=keys.trust)
    assert report.faults() == [fault]
    # What the certificate says stands beside the verdict.
    assert any(line.startswith("the certificate is for ") for line in report.fault(fault)["evidence"])


def test_certificate_of_tomorrow(check: Check, peers: ExitStack, tmp_path: Path) -> None:
    """Made by openssl itself: our helper dates every certificate back."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "db").touch()
    (tmp_path / "serial").write_text("01\n")
    (tmp_path / "ca.cnf").write_text(
        "[ca]\ndefault_ca=d\n[d]\ndatabase=db\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n"
        "copy_extensions=copy\n[p]\ncommonName=supplied\n")
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "own.key")
    openssl(
        "req", "-new", "-key", "own.key", "-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1", "-out", "own.csr")
    openssl(
        "ca", "-batch", "-selfsign", "-config", "ca.cnf", "-keyfile", "own.key", "-in", "own.csr", "-out", "late.crt",
        "-notext", "-startdate", "20991231000000Z", "-enddate", "21001231000000Z")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "late.crt", tmp_path / "own.key")
    server = peers.enter_context(Scripted(serving(healthy), tls=context))
    report = check({"bad": server.url}, upstream={"tls": {"ca_file": str(tmp_path / "late.crt")}})
    assert report.faults() == ["upstream-tls-not-yet-valid"]


@pytest.fixture
def s_server(keys: Keys, peers: ExitStack) -> Callable[..., int]:
    """openssl's own server, with what it is told."""

    def start(*flags: str) -> int:
        certificate, key = keys.files()
        port = free_port()
        process = subprocess.Popen(
            ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", certificate, "-key", key, "-www", *flags],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        peers.callback(lambda: (process.kill(), process.wait()))
        assert process.stdout
        while "ACCEPT" not in process.stdout.readline():
            assert process.poll() is None
        return port

    return start


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        (["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], "upstream-tls-protocol"),
        (["-alpn", "h2"], "upstream-tls-http2-only"), (["-Verify", "1", "-verify_return_error"], "upstream-tls-client-certificate"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_openssl_as_the_server(check: Check, keys: Keys, s_server, flags: list[str], fault: str) -> None:
    # One that offers nothing but HTTP/2 is a fault only where that may not be chosen.
    upstream = {**keys.trust, "http2": "off"} if "-alpn" in flags else keys.trust
    report = check({"bad": f"https://127.0.0.1:{s_server(*flags)}"}, upstream=upstream)
    assert (report.status, report.faults()) == (1, [fault])


def test_nginx_wants_a_certificate(check: Check, keys: Keys, nginx) -> None:
    certificate, key = keys.files()
    server = nginx(
        f"server {{ listen 127.0.0.1:{{port}} ssl; ssl_certificate {certificate}; ssl_certificate_key {key};"
        f" ssl_client_certificate {keys.trust['tls']['ca_file']}; ssl_verify_client on; }}")
    report = check({"bad": f"https://127.0.0.1:{server.port}"}, upstream=keys.trust)
    assert report.faults() == ["upstream-tls-client-certificate"]


def test_http_route_to_a_tls_port(check: Check, keys: Keys, nginx) -> None:
    certificate, key = keys.files()
    server = nginx(f"server {{ listen 127.0.0.1:{{port}} ssl; ssl_certificate {certificate}; ssl_certificate_key {key}; }}")
    assert check({"bad": f"http://127.0.0.1:{server.port}"}).faults() == ["upstream-speaks-tls"]


def test_https_route_to_a_plain_port(check: Check, keys: Keys, nginx) -> None:
    server = nginx("server { listen 127.0.0.1:{port}; }")
    report = check({"bad": f"https://127.0.0.1:{server.port}"}, upstream=keys.trust)
    assert report.faults() == ["upstream-tls-plain"]


@pytest.mark.parametrize(
    ("behaviour", "fault"),
    [
        (lambda peer: peer.read_to_end(), "upstream-tls-timeout"), (lambda peer: peer.socket.recv(100), "upstream-tls-closed"),
        (lambda peer: (peer.socket.recv(1 << 16), peer.reset()), "upstream-tls-closed"),
    ],
    ids=["silent", "closed", "reset"],
)
def test_ends_of_a_handshake(check: Check, peers: ExitStack, keys: Keys, behaviour, fault: str) -> None:
    server = peers.enter_context(Scripted(behaviour))
    report = check({"bad": f"https://127.0.0.1:{server.port}"}, upstream=keys.trust, timeout="500ms")
    assert report.faults() == [fault]


# MARK: MCP


def nothing(start: str, body: str) -> None:
    return None


FAULTS: dict[str, Answers] = {
    "mcp-post-not-allowed": nothing,
    "mcp-request-refused": lambda start, body: ("400 Bad Request", b"no", ["Content-Type: text/plain"]),
    "mcp-redirected": lambda start, body: ("307 Temporary Redirect", b"", ["Location: http://inner/mcp/"]),
    "mcp-server-error": lambda start, body: ("500 Internal Server Error", b"oops", ["Content-Type: text/plain"]),
    "mcp-rate-limited": lambda start, body: ("429 Too Many Requests", b"slower", ["Content-Type: text/plain"]),
    "mcp-not-mcp": lambda start, body: ("200 OK", b"<html>", ["Content-Type: text/html"]),
    "mcp-discover-not-json": lambda start, body: message(INITIALIZED) if "initialize" in body else ("200 OK", b"ok", []),
    "mcp-error": lambda start, body: message({**INITIALIZED, "result": None, "error": {"code": -32603, "message": "broken"}})
    if "initialize" in body else None,
    "mcp-version-unsupported": lambda start, body: message(
        error(-32022, data={"supported": ["2099-01-01"], "requested": "2026-07-28"}), status="400 Bad Request"),
    "mcp-header-mismatch": lambda start, body: message(error(-32020), status="400 Bad Request"),
    "mcp-capability-required": lambda start, body: message(error(-32021), status="400 Bad Request"),
    "mcp-stream-without-response": lambda start, body: ("200 OK", b": bye\n\n", ["Content-Type: text/event-stream"])
    if "initialize" in body else None,
    "mcp-get-fails": lambda start, body: ("500 Oops", b"", []) if start.startswith("GET /mcp") else healthy(start, body),
    "mcp-host-refused": lambda start, body: ("403 Forbidden", b'{"error":"Invalid Host: x"}', []),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_mcp_servers(check: Check, peers: ExitStack, fault: str) -> None:
    report = check({"bad": peers.enter_context(Scripted(serving(FAULTS[fault]))).url})
    assert report.faults() == [fault]
    assert report.fault(fault)["evidence"], "nothing was seen of it"


def test_no_server_at_the_path(check: Check, nginx) -> None:
    server = nginx("server { listen 127.0.0.1:{port}; location / { return 404; } }")
    report = check({"bad": f"http://127.0.0.1:{server.port}"})
    assert report.faults() == ["mcp-path-not-found"] and "-path" in report.fault("mcp-path-not-found")["next"][0]


def test_other_paths(check: Check, peers: ExitStack) -> None:
    """The root is looked at where /mcp is not; any other path has to be named."""

    def at(path: str) -> Answers:
        return lambda start, body: healthy(start, body) if f" {path} " in start else ("404 Not Found", b"", [])

    root, deep = peers.enter_context(Scripted(serving(at("/")))), peers.enter_context(Scripted(serving(at("/v1/mcp"))))
    report = check({"root": root.url, "deep": deep.url})
    assert report.route("root")["mcp"]["path"] == "/" and report.faults() == ["mcp-path-not-found"]
    assert check({"deep": deep.url}, "-path", "/v1/mcp").faults() == []


def test_slow_server(check: Check, peers: ExitStack) -> None:
    def answer(start: str, body: str):
        if "server/discover" in body:
            time.sleep(2.2)
        return healthy(start, body)

    report = check({"slow": peers.enter_context(Scripted(serving(answer))).url}, timeout="5s")
    assert (report.status, report.faults()) == (0, ["mcp-slow"])


@pytest.mark.deadline(60)
def test_server_of_2024(check: Check, peers: ExitStack, tmp_path: Path) -> None:
    """The old transport of the SDK itself."""
    port = sdk_server(peers, tmp_path, "1", f"old.{DOMAIN}", module="peers.mcp_sse_server")
    report = check({"old": f"http://127.0.0.1:{port}"}, timeout="10s")
    assert report.route("old")["mcp"]["path"] == "/sse" and report.route("old")["mcp"]["era"] == "old"
    assert (report.status, report.faults()) == (0, ["mcp-old-transport"])


def test_discovery_in_events(check: Check, peers: ExitStack) -> None:
    """The response may come as an event, behind others, in a stream that stays open."""

    def serve(peer: Peer) -> None:
        head, body = peer.request() or ("", b"")
        if b"server/discover" not in body:
            return peer.respond(status="405 Method Not Allowed")
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        peer.send(b': hi\n\ndata: {"jsonrpc":"2.0","method":"notifications/message"}\n\n')
        peer.send(f"event: message\ndata: {json.dumps(DISCOVERED)}\n\n".encode())
        peer.read_to_end()
        return None

    report = check({"good": peers.enter_context(Scripted(serve)).url})
    assert (report.status, report.faults(), report.route("good")["mcp"]["name"]) == (0, [], "scripted 1")


def test_what_the_server_is_sent(check: Check, peers: ExitStack) -> None:
    """The fields of a request are those that the proxy would send, and the response to a handshake is no order to it."""
    heads: list[str] = []

    def serve(peer: Peer) -> None:
        while request := peer.request():
            heads.append(request[0])
            body = request[1].decode()
            if "initialize" in body:
                peer.respond(json.dumps(INITIALIZED).encode(), "Content-Type: application/json", "Mcp-Session-Id: s-1")
            else:
                peer.respond(status="400 Bad Request" if "discover" in body else "405 Method Not Allowed")

    check({"echo": peers.enter_context(Scripted(serve)).url})
    for head in heads:
        assert f"\r\nHost: echo.{DOMAIN}\r\n" in head and "\r\nX-Forwarded-Proto: https\r\n" in head
    assert heads[-1].startswith("GET /.well-known/")
    ended = next(head for head in heads if head.startswith("DELETE /mcp "))
    assert "\r\nMcp-Session-Id: s-1" in ended


# MARK: Authorization

HOST = f"https://echo.{DOMAIN}"


def protected(metadata: object, challenge: str | None = None) -> Answers:
    """A server that wants a token, and says whose."""

    def answer(start: str, body: str):
        if "/.well-known/oauth-protected-resource" in start:
            if metadata is None:
                return "404 Not Found", b"", []
            return "200 OK", metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode(), []
        return "401 Unauthorized", b"", [f"WWW-Authenticate: {challenge or 'Bearer'}"]

    return answer


@pytest.mark.parametrize(
    ("metadata", "challenge", "faults"),
    [
        ({"resource": f"{HOST}/mcp", "authorization_servers": ["https://login.example.com"]}, None, []),
        ({"resource": HOST, "authorization_servers": [f"https://auth.{DOMAIN}/x"]}, None, []),
        ({"resource": HOST}, f'Bearer resource_metadata="{HOST}/.well-known/oauth-protected-resource"', []),
        (None, None, ["oauth-metadata-missing"]), (b"<html>", None, ["oauth-metadata-malformed"]),
        ({"resource": f"http://echo.{DOMAIN}/mcp"}, None, ["oauth-resource-http"]),
        ({"resource": "https://inner:9000/mcp"}, None, ["oauth-resource-mismatch"]),
        ({"resource": f"{HOST}/other"}, None, ["oauth-resource-mismatch"]),
        ({"resource": HOST}, 'Bearer resource_metadata="http://inner:9000/x"', ["oauth-challenge-mismatch"]),
        ({"resource": HOST, "authorization_servers": [f"https://login.{DOMAIN}"]}, None, ["oauth-server-unrouted"]),
        ({"resource": HOST, "authorization_servers": ["https://keycloak:8443/realm"]}, None, ["oauth-server-private"]),
        ({"resource": HOST, "authorization_servers": ["nonsense"]}, None, ["oauth-metadata-malformed"]),
    ],
)
def test_authorization(check: Check, peers: ExitStack, hello: str, metadata, challenge, faults: list[str]) -> None:
    url = peers.enter_context(Scripted(serving(protected(metadata, challenge)))).url
    report = check({"echo": url, "auth": hello})
    assert report.check("route.mcp", "echo")["level"] == "pass"
    assert report.check("route.mcp", "echo")["summary"].startswith("reachable, needs authorization (401)")
    assert report.faults() == faults


def test_a_page_at_every_path_is_no_metadata(check: Check, peers: ExitStack) -> None:
    def answer(start: str, body: str):
        return healthy(start, body) or ("200 OK", b"<html>", ["Content-Type: text/html"])

    report = check({"echo": peers.enter_context(Scripted(serving(answer))).url})
    assert report.faults() == [] and report.check("route.oauth", "echo")["level"] == "skip"


def test_metadata_elsewhere_is_not_fetched(check: Check, peers: ExitStack) -> None:
    """A server cannot have the check ask somebody else: only the route's own upstream is asked."""
    victim = peers.enter_context(Scripted(serving(healthy)))
    challenge = f'Bearer resource_metadata="{victim.url}/secret"'
    url = peers.enter_context(Scripted(serving(protected(None, challenge)))).url
    assert "oauth-challenge-mismatch" in check({"echo": url}).faults()
    assert victim.peers == []


# MARK: Edge and cloudflared

REGIONS = ["region1.v2.argotunnel.com", "region2.v2.argotunnel.com"]


@pytest.mark.parametrize(
    ("names", "listening", "faults"),
    [
        ({REGIONS[0]: ["127.78.44.1"], REGIONS[1]: ["127.78.44.2"], "api.cloudflare.com": ["127.78.44.3"]},
         [("127.78.44.1", 7844), ("127.78.44.2", 7844), ("127.78.44.3", 443)], []),
        ({REGIONS[0]: ["127.78.44.1"], REGIONS[1]: ["127.78.44.2"], "api.cloudflare.com": ["127.78.44.3"]},
         [("127.78.44.1", 7844)], ["edge-partly-blocked", "edge-api-blocked"]),
        ({REGIONS[0]: ["127.78.44.1"], REGIONS[1]: ["127.78.44.2"], "api.cloudflare.com": ["127.78.44.3"]},
         [("127.78.44.3", 443)], ["edge-blocked"]),
        ({name: NO_SUCH_NAME for name in REGIONS}, [], ["edge-name-unknown"]),
    ],
    ids=["well", "partly", "blocked", "no names"],
)  # fmt: skip
def test_edge(check: Check, binary: Path, hello: str, peers: ExitStack, tmp_path: Path, names, listening, faults) -> None:
    for host, port in listening:
        peers.enter_context(Scripted(lambda peer: peer.read_to_end(), host=host, port=port))
    with NameServer(names) as server:
        program = asking(server.address, binary, tmp_path)
        assert check({"echo": hello}, "-edge", program=program).faults() == faults


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"status": 200, "readyConnections": 4, "connectorId": "2ad9a6e5"}, None),
        ({"status": 503, "readyConnections": 0, "connectorId": "2ad9a6e5"}, "cloudflared-not-ready"),
        ({"hello": 1}, "cloudflared-not-understood"),
    ],
    ids=["ready", "not ready", "another program"],
)
def test_cloudflared(check: Check, hello: str, peers: ExitStack, body: dict, fault: str | None) -> None:
    status = "503 Service Unavailable" if body.get("status") == 503 else "200 OK"
    url = peers.enter_context(Scripted(serving(lambda start, _: message(body, status=status)))).url
    report = check({"echo": hello}, cloudflared_metrics=url)
    assert report.faults() == ([fault] if fault else [])
    if fault is None:
        assert report.check("cloudflared")["summary"] == "4 connections to the edge"


def test_cloudflared_that_does_not_run(check: Check, hello: str, refusing_port: int) -> None:
    report = check({"echo": hello}, cloudflared_metrics=f"http://127.0.0.1:{refusing_port}")
    assert (report.status, report.faults()) == (1, ["cloudflared-unreachable"])


@pytest.mark.parametrize("value", ["https://127.0.0.1:2000", "127.0.0.1:2000", "http://127.0.0.1:2000/metrics"])
def test_cloudflared_metrics_is_an_address(check: Check, hello: str, value: str) -> None:
    report = check({"echo": hello}, cloudflared_metrics=value)
    assert (report.status, report.faults()) == (1, ["configuration-invalid"])
