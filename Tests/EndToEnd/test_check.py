"""`mcp-proxy check` against servers that are well, and against one fault after another: each has its own name and remedy."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import DOMAIN, write_configuration
from peers.name_server import FAILS, NO_SUCH_NAME, NameServer, asking
from peers.scripted import Peer, Scripted
from test_mcp import ENVIRONMENT, PYTHON


class Report:
    """What `check -json` says."""

    def __init__(self, result: subprocess.CompletedProcess[str]) -> None:
        assert result.stderr == "", result.stderr
        self.status, self.data = result.returncode, json.loads(result.stdout)
        assert self.data["exit_status"] == self.status
        for check in self.data["checks"]:
            # Whatever is not in order has a name, a cause, what was seen, and what to do.
            if check["level"] in ("warn", "fail"):
                assert check["fault"] and check["why"] and check["next"] and check["summary"], check
            else:
                assert "fault" not in check

    def faults(self, *levels: str) -> list[str]:
        return [check["fault"] for check in self.data["checks"] if check["level"] in (levels or ("warn", "fail"))]

    def check(self, name: str, route: str | None = None) -> dict:
        found = [check for check in self.data["checks"] if check["id"] == name and check.get("route") == route]
        assert found, (name, route, self.data["checks"])
        return found[0]

    def fault(self, name: str) -> dict:
        return next(check for check in self.data["checks"] if check.get("fault") == name)

    def route(self, name: str) -> dict:
        return next(route for route in self.data["routes"] if route["name"] == name)


Check = Callable[..., Report]


@pytest.fixture
def settings(configuration: dict) -> dict:
    """A configuration with nothing to find in it but what its routes lead to."""
    return {**configuration, "listen_addr": "127.0.0.1:8080"}


@pytest.fixture
def check(binary: Path, settings: dict, tmp_path: Path) -> Check:
    """Writes a configuration and checks it."""
    def run(routes: dict, *flags: str, program: Path | None = None, timeout: str = "2s", **changes: object) -> Report:
        file = tmp_path / "config.yaml"
        write_configuration(file, settings, routes, **changes)
        return Report(call(program or binary, "-config", str(file), "-timeout", timeout, *flags))

    return run


def call(binary: Path, *flags: str, json_flag: str = "-json") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(binary), "check", *flags, json_flag], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


@pytest.fixture
def peers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def hello(binary: Path) -> Iterator[str]:
    """A healthy server of ours."""
    process = subprocess.Popen(
        [str(binary), "hello", "-listen", "127.0.0.1:0"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    yield "http://" + process.stderr.readline().split("listening on ")[1].split(",")[0]
    process.kill()
    process.wait()


# MARK: Healthy servers


@pytest.mark.parametrize("host", ["preserve", "upstream"])
def test_all_is_well(check: Check, hello: str, certificates, host: str) -> None:
    report = check({"echo": hello}, "-ca", str(certificates.ca_file), upstream={"host_header": host})
    assert (report.status, report.data["result"], report.faults()) == (0, "pass", [])
    assert re.fullmatch(r"\*\.t\.example, t\.example: (89|90) days left", report.check("certificate")["summary"])
    route = report.route("echo")
    assert route["public_url"] == f"https://echo.{DOMAIN}"
    assert route["addresses"] == [{"address": "127.0.0.1", "allowed": True, "verdict": "allowed_by_rule"}]
    assert route["mcp"] == {
        "path": "/mcp", "era": "modern", "versions": ["2026-07-28"], "name": f"hello-server {report.data['version']}",
        "get": 405,
    }


@pytest.mark.deadline(60)
@pytest.mark.parametrize("sdk", ["1", "2"])
def test_servers_of_the_sdk(check: Check, peers: ExitStack, tmp_path: Path, sdk: str) -> None:
    """Both majors of the Python SDK, as they are with the public name allowed, and with another one."""
    port = sdk_server(peers, tmp_path, sdk, f"good.{DOMAIN}")
    report = check({"good": f"http://127.0.0.1:{port}", "bad": f"http://127.0.0.1:{port}"}, timeout="10s")
    assert report.route("good")["mcp"]["era"] == {"1": "legacy", "2": "modern"}[sdk]
    assert report.check("route.mcp", "good")["level"] == "pass"
    assert report.faults() == ["mcp-host-refused"] and report.status == 1
    fault = report.fault("mcp-host-refused")
    assert any("421" in line and "Invalid Host header" in line for line in fault["evidence"])
    words = "\n".join(fault["next"])
    assert f'TransportSecuritySettings(allowed_hosts=["bad.{DOMAIN}"])' in words
    assert "FastMCP(" in words and "mcp.run(" in words and "host_header: upstream" in words
    # The handshake left no session behind: what it had begun it has ended.
    if sdk == "1":
        assert any(line.startswith("DELETE: 200") for line in report.check("route.mcp", "good")["evidence"])


def sdk_server(peers: ExitStack, folder: Path, sdk: str, *hosts: str, module: str = "peers.mcp_server") -> int:
    log = peers.enter_context(open(folder / f"{module}-{sdk}.log", "wb"))
    process = subprocess.Popen(
        [str(PYTHON[sdk]), "-m", module, *hosts], env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=log)
    peers.callback(lambda: (process.kill(), process.wait()))
    assert process.stdout
    return int(process.stdout.readline())


def test_a_hundred_routes_in_two_seconds(check: Check, hello: str) -> None:
    reports = [check({f"route{number}": hello for number in range(100)}) for _ in range(3)]
    assert all(report.status == 0 and len(report.data["routes"]) == 100 for report in reports)
    # The best of three: others use this machine too.
    assert min(report.data["ms"] for report in reports) < 2_000


@pytest.mark.deadline(60)
def test_dead_routes_leave_the_others_unharmed(check: Check, hello: str, peers: ExitStack) -> None:
    """More that say nothing than are looked at a time; each is given up by itself, and none changes what is said of others."""
    silent = peers.enter_context(Scripted(lambda peer: peer.read_to_end()))
    routes = {f"dead{number}": silent.url for number in range(40)}
    report = check({**routes, "echo": hello}, timeout="500ms")
    assert report.check("route.mcp", "echo")["level"] == "pass"
    assert report.faults() == ["upstream-silent"] * 40
    assert report.data["ms"] < 2 * 4 * 500 + 2_000


# MARK: Configuration


def test_a_file_that_is_not_there(binary: Path, tmp_path: Path) -> None:
    report = Report(call(binary, "-config", str(tmp_path / "none.yaml")))
    assert (report.status, report.faults()) == (2, ["configuration-unreadable"])


def test_what_is_not_yaml(binary: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("routes: {")
    report = Report(call(binary, "-config", str(tmp_path / "c.yaml")))
    assert (report.status, set(report.faults())) == (2, {"configuration-invalid"})


def test_all_errors_at_once(binary: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("listen_addr: 8080\nthreads: 1000\nroutes: {a: 'http://b/c'}\nnonsense: 1\n")
    report = Report(call(binary, "-config", str(tmp_path / "c.yaml"), json_flag="--json"))
    assert report.status == 1 and len(report.faults()) >= 6
    lines = [check["evidence"][0] for check in report.data["checks"] if check["level"] == "fail"]
    for words in ["listen_addr", "threads", "routes.a", "nonsense", "tls.cert_file"]:
        assert any(words in line for line in lines), words


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"upstream": {"allowed_ips": None, "disable_ip_validation": True}}, "upstream-validation-off"),
        ({"upstream": {"allowed_ips": ["0.0.0.0/0"]}}, "upstream-every-address"),
        ({"listen_addr": "8.8.8.8:8080"}, "listener-public"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unsafe_settings_warn(check: Check, hello: str, changes: dict, fault: str) -> None:
    report = check({"echo": hello}, **changes)
    assert (report.status, report.data["result"], report.faults()) == (0, "warn", [fault])


def test_key_that_others_can_read(check: Check, hello: str, certificates) -> None:
    os.chmod(certificates.key, 0o644)
    try:
        assert check({"echo": hello}).faults() == ["key-readable-by-others"]
    finally:
        os.chmod(certificates.key, 0o600)


def test_listener_that_the_network_reaches(check: Check, hello: str) -> None:
    """Only where it can be known: in a container its addresses say nothing."""
    if os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv"):
        assert check({"echo": hello}, listen_addr=":8080").faults() == []
    else:
        assert check({"echo": hello}, listen_addr=":8080").faults() in (["listener-beyond-host"], [])


def test_authorities_that_are_none(check: Check, hello: str, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    report = check({"echo": hello}, upstream={"tls": {"ca_file": str(tmp_path / "ca.pem")}})
    assert (report.status, report.faults()) == (1, ["upstream-ca-unusable"])


def test_route_outside_of_the_domain(check: Check, hello: str) -> None:
    report = check({"echo.other.example": hello})
    assert "route-outside-domain" in report.faults("warn")


# MARK: Certificate and clock


@pytest.mark.parametrize("case", ["names", "expired", "soon", "mismatch", "missing", "garbage", "stranger", "no-ca"])
def test_certificates(check: Check, hello: str, certificates, tmp_path: Path, case: str) -> None:
    import datetime

    leaf = {
        "names": lambda: certificates.authority.issue("*.other.example"),
        "expired": lambda: certificates.authority.issue(f"*.{DOMAIN}", DOMAIN, expired=True),
        "soon": lambda: certificates.authority.issue(f"*.{DOMAIN}", DOMAIN, left=datetime.timedelta(days=5)),
    }.get(case, lambda: certificates.authority.issue(f"*.{DOMAIN}", DOMAIN))()
    certificate, key = leaf.write(tmp_path / "pair")
    if case == "mismatch":
        key.write_bytes(certificates.leaf.key)
    if case == "missing":
        key.unlink()
    if case == "garbage":
        key.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    if key.exists():
        key.chmod(0o600)
    ca = {"stranger": certificates.stranger_file, "no-ca": tmp_path / "none.crt"}.get(case)
    flags = ["-ca", str(ca)] if ca else []
    report = check({"echo": hello}, *flags, tls={"cert_file": str(certificate), "key_file": str(key)})
    expected = {
        "names": ["server-names"], "expired": ["currently-valid"], "soon": ["expires-soon"], "mismatch": ["key-matches"],
        "missing": ["certificate-unreadable"], "garbage": ["key-readable"], "stranger": ["server-issuer"],
        "no-ca": ["ca-unreadable"],
    }[case]
    assert [fault for fault in report.faults() if fault != "server-authority-key-identifier"] == expected
    assert report.status == (0 if case == "soon" else 1)
    # The rest was looked at all the same.
    assert report.check("route.mcp", "echo")["level"] == "pass"


def test_clock_that_differs(check: Check, peers: ExitStack) -> None:
    def respond(peer: Peer) -> None:
        while peer.request():
            peer.respond(b"{}", "Date: Sun, 06 Nov 1994 08:49:37 GMT", status="401 Unauthorized")

    report = check({"echo": peers.enter_context(Scripted(respond)).url})
    assert "clock-skew" in report.faults("warn")


# MARK: Names and addresses


def test_names(check: Check, binary: Path, hello: str, tmp_path: Path, refusing_port: int) -> None:
    port = int(hello.rsplit(":", 1)[1])
    known = {
        "good.test": ["127.0.0.1"], "gone.test": NO_SUCH_NAME, "fails.test": FAILS,
        "partly.test": ["127.0.0.1", "8.8.8.8"], "half.test": ["127.0.0.2", "127.0.0.1"],
    }
    with NameServer(known) as names:
        program = asking(names.address, binary, tmp_path)
        routes = {name.split(".")[0]: f"http://{name}:{port}" for name in known}
        report = check(routes, program=program)
    faults = {check["route"]: check["fault"] for check in report.data["checks"] if "fault" in check}
    assert faults == {
        "gone": "upstream-name-unknown", "fails": "upstream-name-timeout", "partly": "upstream-partly-refused",
        "half": "upstream-address-dead",
    }
    assert report.route("partly")["addresses"] == [
        {"address": "127.0.0.1", "allowed": True, "verdict": "allowed_by_rule"},
        {"address": "8.8.8.8", "allowed": False, "verdict": "denied_not_allowed"},
    ]
    assert report.check("route.mcp", "partly")["level"] == "pass"


@pytest.mark.parametrize(
    ("upstream", "fault"),
    [
        ("http://10.1.2.3:9000", "upstream-refused"), ("http://169.254.169.254:80", "upstream-special-address"),
        ("http://127.0.0.1:8080", "upstream-is-the-proxy"),
    ],
)
def test_addresses_that_the_policy_refuses(check: Check, upstream: str, fault: str) -> None:
    report = check({"bad": upstream})
    assert (report.status, report.faults()) == (1, [fault])
    assert report.check("route.tcp", "bad")["level"] == "skip"


def test_refused_addresses_are_never_dialled(check: Check, peers: ExitStack) -> None:
    listening = peers.enter_context(Scripted(lambda peer: peer.read_to_end()))
    report = check({"bad": listening.url}, upstream={"allowed_ips": ["10.0.0.0/8"]})
    assert report.faults() == ["upstream-refused"]
    assert listening.peers == []


# MARK: Connections


def test_nothing_listens(check: Check, refusing_port: int) -> None:
    assert check({"bad": f"http://127.0.0.1:{refusing_port}"}).faults() == ["upstream-connection-refused"]


def test_no_way(check: Check) -> None:
    report = check({"bad": "http://[100::1]:80"}, upstream={"allowed_ips": ["100::/64"]})
    assert report.faults() in (["upstream-unreachable"], ["upstream-connect-timeout"])


def test_no_accept_in_time(check: Check) -> None:
    """A listener whose queue is full takes no more connections, and says so to nobody."""
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        report = check({"bad": f"http://127.0.0.1:{listener.getsockname()[1]}"}, timeout="500ms")
    assert report.faults() == ["upstream-connect-timeout"]


def reset(peer: Peer) -> None:
    peer.request()
    peer.reset()


def closed(peer: Peer) -> None:
    peer.request()


def cut(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")


def stall(peer: Peer) -> None:
    cut(peer)
    peer.read_to_end()


def says(greeting: bytes) -> Callable[[Peer], None]:
    def speak(peer: Peer) -> None:
        peer.request()
        peer.send(greeting)
        peer.read_to_end()

    return speak


def too_large(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    # What is announced is enough: a mebibyte and a byte.
    peer.send(b"100001\r\naaaa")
    peer.read_to_end()


def endless(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        peer.send(b"400\r\n" + b"a" * 1024 + b"\r\n")


def test_what_comes_in_pieces_is_read_once(check: Check, peers: ExitStack) -> None:
    """A thousand pieces up to the limit, in a time that is not a thousand times that of one."""
    report = check({"bad": peers.enter_context(Scripted(endless)).url}, timeout="5s")
    assert report.faults() == ["upstream-response-too-large"]


@pytest.mark.parametrize(
    ("behaviour", "fault"),
    [
        (reset, "upstream-reset"), (closed, "upstream-closed"), (cut, "upstream-broken-off"),
        (stall, "upstream-stalled"), (lambda peer: peer.read_to_end(), "upstream-silent"),
        (says(b"SSH-2.0-OpenSSH_9.2\r\n"), "upstream-not-http"), (too_large, "upstream-response-too-large"),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"), "upstream-not-http"),
        (says(b"\x15\x03\x01\x00\x02\x02\x46"), "upstream-speaks-tls"),
        (says(bytes.fromhex("000006040000000000000300000064")), "upstream-http2-only"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_servers_that_do_not_speak_http(check: Check, peers: ExitStack, behaviour, fault: str) -> None:
    report = check({"bad": peers.enter_context(Scripted(behaviour)).url}, timeout="500ms")
    assert (report.status, report.faults()) == (1, [fault])


def test_nginx_that_speaks_http2_alone(check: Check, nginx) -> None:
    server = nginx("server { listen 127.0.0.1:{port} http2; location / { return 200; } }")
    assert check({"bad": f"http://127.0.0.1:{server.port}"}).faults() == ["upstream-http2-only"]


def test_nginx_that_speaks_no_http2(check: Check, nginx) -> None:
    server = nginx("server { listen 127.0.0.1:{port}; location / { return 200; } }")
    report = check({"bad": f"h2c://127.0.0.1:{server.port}"})
    assert report.faults() == ["upstream-http1-only"]


# MARK: The command line


def test_table_is_for_people(binary: Path, settings: dict, tmp_path: Path, hello: str, refusing_port: int) -> None:
    file = tmp_path / "config.yaml"
    write_configuration(file, settings, {"echo": hello, "gone": f"http://127.0.0.1:{refusing_port}"})
    result = subprocess.run([str(binary), "check", "-config", str(file)], capture_output=True, text=True, timeout=30)
    lines = result.stdout.splitlines()
    assert result.returncode == 1 and lines[0].split() == ["LEVEL", "CHECK", "ROUTE", "WHAT"]
    place = next(index for index, line in enumerate(lines) if line.endswith("[upstream-connection-refused]"))
    assert [line.split()[0] for line in lines[place + 1 : place + 4]] == ["seen", "why", "next"]
    assert "not reached" not in result.stdout
    assert lines[-2].startswith("fail: 1 failure, ") and lines[-1].startswith("next: ")


@pytest.mark.parametrize("flags", [["-path", "mcp"], ["-path", "/a b"], ["-timeout", "0s"], ["-timeout", "1h"]])
def test_values_of_flags(binary: Path, flags: list[str]) -> None:
    result = call(binary, *flags)
    assert (result.returncode, result.stdout) == (2, "") and f"flag {flags[0]}" in result.stderr


@pytest.mark.parametrize(
    ("url", "status", "words"),
    [
        (f"https://echo.{DOMAIN}/mcp", 0, "echo is what stands before the tunnel's domain"),
        (f"echo.{DOMAIN}", 0, "address 127.0.0.1: dialled, allowed_by_rule"),
        (f"https://ECHO.{DOMAIN}:443/a?b", 0, "gets /a?b as it is"),
        (f"https://ecko.{DOMAIN}/", 1, "did you mean the route echo?"),
        ("https://echo.other.example/", 1, f"not below the tunnel's domain, {DOMAIN}"),
        (f"https://refused.{DOMAIN}/", 1, "denied_not_allowed"), ("https://", 1, "no URL with a host name"),
    ],
)
def test_one_url_explained(
    binary: Path, settings: dict, tmp_path: Path, hello: str, url: str, status: int, words: str
) -> None:
    file = tmp_path / "config.yaml"
    write_configuration(file, settings, {"echo": hello, "refused": "http://10.1.1.1:80"})
    result = subprocess.run(
        [str(binary), "check", "-config", str(file), "-explain", url], capture_output=True, text=True, timeout=30)
    assert (result.returncode, result.stderr) == (status, "") and words in result.stdout
    data = json.loads(call(binary, "-config", str(file), "-explain", url).stdout)
    assert ("fault" in data) == (status == 1)
