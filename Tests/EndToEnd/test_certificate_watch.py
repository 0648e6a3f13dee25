"""What the proxy says of its own certificate: at the start, while time passes, and to a health check."""

from __future__ import annotations

import signal
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import DOMAIN, find_binary, write_configuration
from peers.clock import Clock

DAY = 86_400
ROUTES = {"echo": "http://127.0.0.1:1"}
NAMES = "certificate does not fit the routes"


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path, find_binary("mcp-proxy", "MCP_PROXY"))


@pytest.fixture
def serve(start, certificates, tmp_path: Path):
    """Starts a proxy with a certificate of its own."""

    def run(*names: str, folder: str = "served", left: float = 90 * DAY, **changes: object):
        leaf = certificates.authority.issue(*names, left=timedelta(seconds=left))
        certificate, key = leaf.write(tmp_path / folder)
        tls = {"cert_file": str(certificate), "key_file": str(key), "reload_interval": "50ms"}
        return start(ROUTES, tls=tls, **changes)

    return run


def check(binary: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(binary), "healthcheck", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)


def complaints(proxy, since: int = 0) -> list[str]:
    return [line.message for line in proxy.found(" (WARN|ERROR) ", since=since)]


# At the start.


@pytest.mark.parametrize(
    ("names", "detail"),
    [
        (["*.other.example"], "hosts one label below other.example"),
        ([DOMAIN], f"no name matches echo.{DOMAIN}; it is good for {DOMAIN}"),
        ([], "it has no subject alternative names"),
        (["127.0.0.1"], "it has no DNS name, only"),
    ],
    ids=["another domain", "the bare domain", "no names", "an address"],
)
def test_names_that_do_not_fit_are_told_at_the_start(serve, names: list[str], detail: str) -> None:
    proxy = serve(*names)
    line = proxy.wait_for(NAMES)
    assert line.level == "WARN"
    assert line.fields["finding"] == "server-names"
    assert detail in line.fields["detail"]
    assert f"DNS:*.{DOMAIN}" in line.fields["remedy"]
    assert complaints(proxy) == [NAMES]


def test_a_good_certificate_is_no_news(serve) -> None:
    proxy = serve(f"*.{DOMAIN}")
    proxy.wait_for("certificate loaded")
    line = proxy.wait_for("route configured")
    assert line.fields["url"] == f"https://echo.{DOMAIN}"
    proxy.stop()
    assert complaints(proxy) == []


def test_names_are_held_against_the_routes_of_a_reload(serve, configuration: dict) -> None:
    proxy = serve(f"echo.{DOMAIN}")
    proxy.wait_for("certificate loaded")
    assert complaints(proxy) == []
    routes = {**ROUTES, "auth": "http://127.0.0.1:1"}
    tls = {"cert_file": str(proxy.config_file.parent / "served/tls.crt"),
           "key_file": str(proxy.config_file.parent / "served/tls.key"), "reload_interval": "50ms"}
    for round in range(2):
        mark = proxy.mark()
        write_configuration(proxy.config_file, configuration, routes, tls=tls)
        proxy.signal(signal.SIGHUP)
        assert proxy.wait_for("route=auth", since=mark).fields["url"] == f"https://auth.{DOMAIN}"
        proxy.wait_for("configuration reloaded", since=mark)
        assert complaints(proxy, mark) == ([NAMES] if round == 0 else []), "not told, or told again"


def test_an_expired_certificate_is_told_at_the_start(serve) -> None:
    proxy = serve(f"*.{DOMAIN}", left=-60)
    line = proxy.wait_for("certificate has expired")
    assert line.level == "WARN" and line.fields["finding"] == "currently-valid"
    assert "it expired at" in line.fields["detail"]
    assert complaints(proxy) == ["certificate has expired"]


# While time passes.


class TestTime:
    @pytest.fixture
    def binary(self, clock: Clock) -> Path:
        return clock.program

    def test_the_end_is_told_in_time(self, serve, clock: Clock, certificates, tmp_path: Path) -> None:
        """A month is stepped through in seconds: 30, 7 and 1 days before the end, and at the end, each once."""
        proxy = serve(f"*.{DOMAIN}", left=31 * DAY)
        proxy.wait_for("certificate loaded")
        assert complaints(proxy) == []
        stages = [(30 * DAY, "certificate expires soon", "in 29 days"), (7 * DAY, "certificate expires soon", "in 6 days"),
                  (DAY, "certificate expires soon", "in 23 hours"), (-1, "certificate has expired", "it expired at")]
        for left, message, detail in stages:
            mark = proxy.mark()
            # Half a minute beyond the mark, for the time that the test itself takes.
            clock.step(31 * DAY - left + 30)
            line = proxy.wait_for(message, since=mark)
            assert line.level == "WARN" and detail in line.fields["detail"]
        # Steps back by minutes, as a time server makes them, and many looks later nothing is told again.
        for seconds in (-1800, 60, -60, 3600):
            clock.step(31 * DAY + 31 + seconds)
            certificates.authority.issue(f"*.{DOMAIN}", left=timedelta(days=365)).write(tmp_path / "other")
            mark = proxy.mark()
            (tmp_path / "served/tls.key").write_bytes((tmp_path / "other/tls.key").read_bytes())
            proxy.wait_for("certificate not reloaded", since=mark)
        assert [m for m in complaints(proxy) if "expire" in m] == [message for _, message, _ in stages]
        # A renewed one ends the matter.
        certificates.authority.issue(f"*.{DOMAIN}", left=timedelta(days=365)).write(tmp_path / "served")
        mark = proxy.mark()
        proxy.wait_for("certificate reloaded")
        clock.step(31 * DAY + 7200)
        proxy.stop()
        assert [m for m in complaints(proxy, mark) if "expire" in m] == []

    def test_a_clock_that_was_ahead_does_not_hide_the_end(self, serve, clock: Clock) -> None:
        proxy = serve(f"*.{DOMAIN}", left=10 * DAY)
        proxy.wait_for("certificate expires soon")
        clock.step(400 * DAY)
        proxy.wait_for("certificate has expired")
        clock.step(0)
        # Between two looks at the files there is one at the clock.
        certificate = proxy.config_file.parent / "served/tls.crt"
        for text in (b"", b"x"):
            mark = proxy.mark()
            certificate.write_bytes(text)
            proxy.wait_for("certificate not reloaded", since=mark)
        for left, message in ((7 * DAY, "certificate expires soon"), (-1, "certificate has expired")):
            mark = proxy.mark()
            clock.step(10 * DAY - left + 30)
            proxy.wait_for(message, since=mark)


# The health check.


def ask(proxy, binary: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return check(binary, "-addr", f"127.0.0.1:{proxy.endpoint.port}", *arguments)


def test_a_good_certificate_is_healthy(serve, binary: Path) -> None:
    proxy = serve(f"*.{DOMAIN}", log_level="debug")
    mark = proxy.mark()
    for arguments in ([], ["-tunnel-domain", DOMAIN], ["-listener-only"]):
        result = ask(proxy, binary, *arguments)
        assert (result.returncode, result.stdout, result.stderr) == (0, "", ""), arguments
    proxy.wait_for("tls handshake complete", since=mark, count=2)
    proxy.wait_for("closed before a tls handshake", since=mark)
    assert complaints(proxy) == [], "a check is no reason to alert anybody"


def test_an_expired_certificate_is_not_healthy(serve, binary: Path) -> None:
    proxy = serve(f"*.{DOMAIN}", left=-60)
    result = ask(proxy, binary)
    assert result.returncode == 1
    assert result.stderr.startswith("mcp-proxy: healthcheck: certificate has expired: it expired at ")
    assert result.stderr.count("\n") == 1
    assert ask(proxy, binary, "-listener-only").returncode == 0


@pytest.mark.parametrize("names", [["*.other.example"], []], ids=["another domain", "no names"])
def test_a_certificate_of_another_domain_is_not_healthy(serve, binary: Path, tmp_path: Path, names: list[str]) -> None:
    proxy = serve(*names, listen_addr=f"unix:{tmp_path}/proxy.sock")
    for arguments in (["-config", str(proxy.config_file)],
                      ["-addr", f"unix:{tmp_path}/proxy.sock", "-tunnel-domain", DOMAIN]):
        result = check(binary, *arguments)
        assert result.returncode == 1, arguments
        assert f"mcp-proxy: healthcheck: {NAMES}: it " in result.stderr
        assert check(binary, *arguments, "-listener-only").returncode == 0
    # Where nobody says which tunnel it is, any name will do, but there must be one.
    assert check(binary, "-addr", f"unix:{tmp_path}/proxy.sock").returncode == (0 if names else 1)


def test_one_route_without_a_name_does_not_fail_the_others(serve, binary: Path, tmp_path: Path) -> None:
    proxy = serve(f"auth.{DOMAIN}", listen_addr=f"unix:{tmp_path}/proxy.sock")
    proxy.wait_for(NAMES)
    assert check(binary, "-config", str(proxy.config_file)).returncode == 0
