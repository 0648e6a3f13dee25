"""The admin listener: who may ask it, whether the proxy lives and is ready, and the log level."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import DOMAIN
from peers.admin import Admin
from peers.endpoint import free_port
from peers.threads import stopped_thread
from peers.upstream import Upstream, echo

ROUTES = {"echo": "http://127.0.0.1:1"}


@pytest.fixture
def admin(start):
    def run(**changes: object):
        proxy = start(ROUTES, **{"admin_addr": "127.0.0.1:0", **changes})
        return proxy, Admin(proxy)

    return run


# Liveness and readiness.


def test_it_lives_and_becomes_ready(admin) -> None:
    proxy, site = admin()
    assert site.ask("/healthz")[::2] == (200, b"ok\n")
    site.wait_until("/readyz", 200)
    assert all(holds for holds, _ in site.conditions().values())
    assert set(site.conditions()) == {"not_stopping", "certificate", "self_test"}
    proxy.wait_for(" INFO .*ready")


def test_without_a_setting_there_is_none(start) -> None:
    proxy = start(ROUTES)
    proxy.wait_for("listening")
    assert not proxy.found("admin listening")


def test_a_loop_that_hangs_is_not_alive(start) -> None:
    proxy = start(ROUTES, arguments=["-debuggable"], admin_addr="127.0.0.1:0", threads=2)
    site = Admin(proxy)
    site.wait_until("/readyz", 200)
    with stopped_thread(proxy.process.pid, "loop-1"):
        assert site.ask("/healthz")[::2] == (503, b"loops that do not turn: 1\n")
    site.wait_until("/healthz", 200)


def test_a_certificate_of_another_tunnel_is_not_ready(start, certificates, tmp_path: Path) -> None:
    leaf = certificates.authority.issue("*.other.example")
    certificate, key = leaf.write(tmp_path / "served")
    tls = {"cert_file": str(certificate), "key_file": str(key), "reload_interval": "50ms"}
    proxy = start(ROUTES, tls=tls, admin_addr="127.0.0.1:0")
    site = Admin(proxy)
    holds, detail = site.conditions()["certificate"]
    assert not holds and "certificate does not fit the routes" in detail
    assert site.ask("/readyz")[0] == 503
    # Mended while it runs, and tested anew.
    certificates.authority.issue(f"*.{DOMAIN}").write(tmp_path / "served")
    site.wait_until("/readyz", 200)
    proxy.wait_for(" INFO .*ready")


def test_an_expired_certificate_is_not_ready(start, certificates, tmp_path: Path) -> None:
    leaf = certificates.authority.issue(f"*.{DOMAIN}", left=timedelta(seconds=-5))
    certificate, key = leaf.write(tmp_path / "served")
    proxy = start(ROUTES, tls={"cert_file": str(certificate), "key_file": str(key)}, admin_addr="127.0.0.1:0")
    site = Admin(proxy)
    assert "certificate has expired" in site.conditions()["certificate"][1]
    assert site.ask("/readyz")[0] == 503


async def test_each_certificate_is_tested_through_our_own_listener(start, certificates, tmp_path: Path) -> None:
    certificate, key = certificates.authority.issue(f"*.{DOMAIN}").write(tmp_path / "served")
    tls = {"cert_file": str(certificate), "key_file": str(key), "reload_interval": "50ms"}
    proxy = start(ROUTES, tls=tls, admin_addr="127.0.0.1:0", limits={"max_connections": 1})
    site = Admin(proxy)
    await asyncio.to_thread(site.wait_until, "/readyz", 200)
    # The one place is taken, so the test of the next certificate finds none.
    stream = await proxy.far.open(raw=True)
    certificates.authority.issue(f"*.{DOMAIN}").write(tmp_path / "served")
    await asyncio.to_thread(site.wait_until, "/readyz", 503)
    assert "503" in site.conditions()["self_test"][1]
    await proxy.logged("WARN.*self-test failed")
    stream.abort()
    await asyncio.to_thread(site.wait_until, "/readyz", 200, 20)


async def test_it_is_not_ready_before_the_drain_begins(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, admin_addr="127.0.0.1:0", shutdown_delay="2s")
        site = Admin(proxy)
        await asyncio.to_thread(site.wait_until, "/readyz", 200)
        proxy.signal(signal.SIGTERM)
        await asyncio.to_thread(site.wait_until, "/readyz", 503)
        assert not site.conditions()["not_stopping"][0]
        # New tunnels and requests are served as before meanwhile.
        async with proxy.far.http("echo") as http:
            response = await http.request("GET")
            assert response.status == 200
        assert await proxy.exit_status() == 0


def test_a_second_signal_does_not_wait_for_the_delay(admin) -> None:
    proxy, site = admin(shutdown_delay="1h")
    site.wait_until("/readyz", 200)
    proxy.signal(signal.SIGTERM)
    site.wait_until("/readyz", 503)
    begin = time.monotonic()
    proxy.signal(signal.SIGTERM)
    assert proxy.process.wait(10) in (0, 1)
    assert time.monotonic() - begin < 5


# Who may ask.


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "[::1]:{port}", "10.1.2.3", "proxy.internal:1"])
def test_addresses_and_listed_names_are_ours(admin, host: str) -> None:
    _, site = admin(admin_hosts=["Proxy.internal"])
    host = host.format(port=site.address.rpartition(":")[2])
    assert site.ask("/healthz", Host=host)[0] == 200


@pytest.mark.parametrize("host", ["attacker.example:9090", "127.0.0.1.attacker.example", "localhost.attacker.example", "xproxy.internal"])
def test_a_name_that_a_page_was_rebound_to_is_not(admin, host: str) -> None:
    _, site = admin(admin_hosts=["proxy.internal"])
    for path in ["/healthz", "/readyz", "/log-level", "/nothing"]:
        assert site.ask(path, Host=host)[0] == 421


@pytest.mark.parametrize("origin", ["http://attacker.example", "null", "http://127.0.0.1:1"])
def test_a_request_of_another_page_is_refused(admin, origin: str) -> None:
    _, site = admin()
    for method, body in [("GET", None), ("PUT", b"debug")]:
        assert site.ask("/log-level", method=method, body=body, Origin=origin)[0] == 403
    assert site.ask("/log-level")[2] == b"info\n"
    assert site.ask("/log-level", method="PUT", body=b"debug", Sec_Fetch_Site="cross-site")[0] == 403
    own = f"http://{site.address}"
    assert site.ask("/log-level", method="PUT", body=b"warn", Origin=own, Sec_Fetch_Site="same-origin")[0] == 200


def test_a_socket_file_takes_any_host(start, tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    site = Admin(start(ROUTES, admin_addr=f"unix:{path}", listen_mode="0600"))
    assert site.ask("/healthz", Host="anything.example")[0] == 200
    assert path.stat().st_mode & 0o777 == 0o600


# Paths and methods.


def test_what_is_not_there_is_said(admin) -> None:
    _, site = admin()
    assert site.ask("/nothing")[0] == 404
    status, fields, _ = site.ask("/healthz", method="PUT", body=b"x")
    assert (status, fields["allow"]) == (405, "GET, HEAD")
    assert site.ask("/log-level", method="DELETE")[1]["allow"] == "GET, HEAD, PUT"
    status, fields, body = site.ask("/readyz", method="HEAD")
    assert body == b"" and int(fields["content-length"]) > 20
    assert fields["cache-control"] == "no-store" and fields["x-content-type-options"] == "nosniff"


def test_the_log_level_changes_while_it_runs(admin, tmp_path: Path) -> None:
    proxy, site = admin()
    assert not proxy.found("admin request")
    assert site.ask("/log-level", method="PUT", body=b"debug\n")[::2] == (200, b"debug\n")
    site.ask("/healthz")
    proxy.wait_for("DEBUG.*admin request.*/healthz")
    proxy.wait_for("log level changed.*from=info.*to=debug")
    status, _, body = site.ask("/log-level", method="PUT", body=b"loud")
    assert status == 400 and b"debug, info, warn, error" in body
    assert site.ask("/log-level", method="PUT", body=b"d" * 1024)[0] == 400
    assert site.ask("/log-level", method="PUT", body=b"d" * 1025)[0] == 413
    # A reload takes the configuration's.
    proxy.signal(signal.SIGHUP)
    proxy.wait_for("configuration reloaded")
    assert site.ask("/log-level")[2] == b"info\n"


# Bounds.


def test_who_is_silent_keeps_nobody_out(admin) -> None:
    proxy, site = admin()
    host, port = site.address.split(":")
    held = [socket.create_connection((host, int(port)), timeout=5) for _ in range(64)]
    try:
        # The first has had a request, so the second is the one that was heard last; half a head does not count.
        held[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert held[0].recv(1000).startswith(b"HTTP/1.1 200")
        held[1].sendall(b"GET /healthz HTTP/1.1\r\n")
        assert site.ask("/healthz")[0] == 200
        assert held[1].recv(1) == b""
        held[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert held[0].recv(1000).startswith(b"HTTP/1.1 200")
    finally:
        for connection in held:
            connection.close()
    assert not proxy.found("too many admin connections")


def test_a_route_does_not_lead_to_it(start) -> None:
    port = free_port()
    proxy = start({"echo": f"http://127.0.0.1:{port}"}, admin_addr=f"127.0.0.1:{port}")
    proxy.wait_for("finding=upstream-refused.*denied_own_listener")
