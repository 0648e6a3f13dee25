"""The way to the API: TLS with the server verified, and through a proxy."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from peers.connect_proxy import ConnectProxy
from peers.nginx import Nginx
from peers.pki import Authority
from peers.setup import FAST, Output, Setup, TunnelsAPI

#: A name that nobody resolves: only a proxy, or a file of hosts, leads there.
NAME = "api.tunnels.test"


class Gateway:
    """nginx with TLS before the fake."""

    def __init__(self, nginx: Callable[..., Nginx], api: TunnelsAPI, folder: Path) -> None:
        self.authority = Authority("Gateway CA")
        self.ca_file = self.authority.write(folder / "gateway-ca.crt")
        self.stranger_file = Authority("A stranger's CA").write(folder / "stranger.crt")
        blocks = []
        for label, leaf in {
            "good": self.authority.issue(NAME, "localhost", "127.0.0.1"),
            "expired": self.authority.issue(NAME, "localhost", expired=True),
            "another": self.authority.issue("another.test")}.items():
            certificate, key = leaf.write(folder / label)
            blocks.append(f"""
                server {{
                    listen 127.0.0.1:{{port}} ssl;
                    ssl_certificate {certificate};
                    ssl_certificate_key {key};
                    location / {{ proxy_pass {api.url}; }}
                }}""")
        # One that only speaks versions of TLS which nobody should.
        blocks.append(blocks[0].replace("location", "ssl_protocols TLSv1.1; location"))
        self.good, self.expired, self.another, self.old = nginx(*blocks).ports


@pytest.fixture
def gateway(nginx: Callable[..., Nginx], api: TunnelsAPI, tmp_path: Path) -> Gateway:
    return Gateway(nginx, api, tmp_path)


def init(setup: Setup, output: Output, url: str, status: int = 0, **options: object):
    return setup("init", f"--output={output}", FAST, f"--api-url={url}", status=status, **options)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_https(setup: Setup, api: TunnelsAPI, output: Output, gateway: Gateway, host: str) -> None:
    init(setup, output, f"https://{host}:{gateway.good}", environment={"SSL_CERT_FILE": str(gateway.ca_file)})
    output.check(api)


def test_ca_of_a_folder(setup: Setup, api: TunnelsAPI, output: Output, gateway: Gateway, tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    folder.mkdir()
    (folder / "gateway.pem").write_bytes(gateway.authority.pem)
    subprocess.run(["openssl", "rehash", str(folder)], check=True, timeout=20)
    init(setup, output, f"https://localhost:{gateway.good}", environment={"SSL_CERT_DIR": str(folder)})
    output.check(api)


REFUSED = [
    ("unknown CA", "good", "localhost", "stranger_file", ["certificate"]),
    ("system's CAs", "good", "localhost", None, ["certificate"]),
    ("wrong name", "another", "localhost", "ca_file", ["localhost"]),
    ("expired", "expired", "localhost", "ca_file", ["expired"]),
    ("TLS 1.1", "old", "localhost", "ca_file", ["TLS"]),
]


@pytest.mark.parametrize(
    ("server", "host", "trust", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_servers_that_are_not_the_api_get_nothing(
    setup: Setup, api: TunnelsAPI, output: Output, gateway: Gateway, server: str, host: str, trust: str | None,
    words: list[str],
) -> None:
    address = f"https://{host}:{getattr(gateway, server)}"
    environment = {"SSL_CERT_FILE": str(getattr(gateway, trust))} if trust else {}
    outcome = init(setup, output, address, status=1, environment=environment)
    assert outcome.stderr.startswith("setup init: token exchange: ") and "remedy: " in outcome.stderr
    for word in [*words, address]:
        assert word in outcome.stderr
    assert api.calls() == [] and output.names() == set()


def test_plain_server_behind_https(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    outcome = init(setup, output, api.url.replace("http:", "https:"), status=1)
    assert "token exchange" in outcome.stderr and api.calls() == []


# Through a proxy.


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
@pytest.mark.parametrize("credentials", ["", "user:p%40ss:w%C3%B6rd@"], ids=["no name", "name and password"])
def test_through_a_proxy(
    setup: Setup, api: TunnelsAPI, output: Output, gateway: Gateway, credentials: str, variable: str
) -> None:
    with ConnectProxy(gateway.good) as proxy:
        init(setup, output, f"https://{NAME}", environment={
            "SSL_CERT_FILE": str(gateway.ca_file), variable: f"http://{credentials}127.0.0.1:{proxy.port}"})
        output.check(api)
        assert proxy.requests
        for request in proxy.requests:
            assert request.target == f"{NAME}:443" and request.fields["host"] == f"{NAME}:443"
            sent = request.fields.get("proxy-authorization")
            expected = "Basic " + base64.b64encode("user:p@ss:wörd".encode()).decode()
            assert sent == (expected if credentials else None)
    # What is for the proxy is not for the API.
    assert all("proxy-authorization" not in (name.lower() for name, _ in request["fields"])
               for request in api.requests())


def test_proxy_is_not_believed(setup: Setup, api: TunnelsAPI, output: Output, gateway: Gateway) -> None:
    """The server behind it is verified by the API's name."""
    with ConnectProxy(gateway.another) as proxy:
        outcome = init(setup, output, f"https://{NAME}", status=1, environment={
            "SSL_CERT_FILE": str(gateway.ca_file), "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}"})
    assert NAME in outcome.stderr and api.calls() == []


@pytest.mark.parametrize(("status", "words"), [
    ("407 Proxy Authentication Required", ["407", "HTTPS_PROXY"]), ("403 Forbidden", ["403"]),
    ("502 Bad Gateway", ["502"])])
def test_proxy_that_refuses(
    setup: Setup, api: TunnelsAPI, output: Output, gateway: Gateway, status: str, words: list[str]
) -> None:
    with ConnectProxy(gateway.good, status=status) as proxy:
        outcome = init(setup, output, f"https://{NAME}", status=1, environment={
            "SSL_CERT_FILE": str(gateway.ca_file), "HTTPS_PROXY": f"http://user:secret-word@127.0.0.1:{proxy.port}"})
    for word in [*words, "proxy", f"127.0.0.1:{proxy.port}"]:
        assert word in outcome.stderr
    assert "secret-word" not in outcome.all


def test_proxy_that_is_not_there(
    setup: Setup, api: TunnelsAPI, output: Output, refusing_port: int
) -> None:
    outcome = init(setup, output, f"https://{NAME}", status=1, environment={
        "HTTPS_PROXY": f"http://127.0.0.1:{refusing_port}"})
    assert "proxy" in outcome.stderr and "connection refused" in outcome.stderr and "HTTPS_PROXY" in outcome.stderr


def with_hosts(folder: Path) -> list[str]:
    """What a command is run behind for this machine to have the API's name. Skips the test where that is not
    permitted."""
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost {NAME}\n")
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    script = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'
    prefix = ["unshare", "--mount", *user, "sh", "-c", script, "sh", str(hosts)]
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("a mount namespace of its own is not permitted here")
    return prefix


# Through a proxy that is itself reached in TLS.


class TLSProxy:
    """What such a proxy needs: a CA of its own, beside that of the API."""

    def __init__(self, gateway: Gateway, folder: Path) -> None:
        self._folder, self.authority = folder, Authority("Proxy CA")
        self.bundle = folder / "both.crt"
        self.bundle.write_bytes(gateway.authority.pem + self.authority.pem)

    def tls(self, *names: str, expired: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.authority.issue(*names, expired=expired).write(self._folder / "proxy"))
        return context


@pytest.fixture
def tls_proxy(gateway: Gateway, tmp_path: Path) -> TLSProxy:
    return TLSProxy(gateway, tmp_path)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("credentials", ["", "user:p%40ss:w%C3%B6rd@"], ids=["no name", "name and password"])
def test_through_a_proxy_in_tls(
    setup: Setup, api: TunnelsAPI, output: Output, gateway: Gateway, tls_proxy: TLSProxy, credentials: str, host: str
) -> None:
    with ConnectProxy(gateway.good, tls=tls_proxy.tls(host)) as proxy:
        init(setup, output, f"https://{NAME}", environment={
            "SSL_CERT_FILE": str(tls_proxy.bundle), "HTTPS_PROXY": f"https://{credentials}{host}:{proxy.port}"})
        output.check(api)
        assert proxy.requests
        for request in proxy.requests:
            assert request.target == f"{NAME}:443"
            sent = request.fields.get("proxy-authorization")
            expected = "Basic " + base64.b64encode("user:p@ss:wörd".encode()).decode()
            assert sent == (expected if credentials else None)
    assert all("proxy-authorization" not in (name.lower() for name, _ in request["fields"])
               for request in api.requests())


def test_cas_of_api_and_proxy_from_two_places(
    setup: Setup, api: TunnelsAPI, output: Output, gateway: Gateway, tls_proxy: TLSProxy, tmp_path: Path
) -> None:
    """As the document has it for a proxy whose CA is one's own: both variables count."""
    folder = tmp_path / "certs"
    folder.mkdir()
    (folder / "gateway.pem").write_bytes(gateway.authority.pem)
    ca_file = tls_proxy.authority.write(tmp_path / "proxy-ca.crt")
    with ConnectProxy(gateway.good, tls=tls_proxy.tls("localhost")) as proxy:
        init(setup, output, f"https://{NAME}", environment={
            "SSL_CERT_FILE": str(ca_file), "SSL_CERT_DIR": str(folder),
            "HTTPS_PROXY": f"https://localhost:{proxy.port}"})
    output.check(api)


@pytest.mark.parametrize(("names", "expired", "trust", "words"), [
    (("another.test",), False, "both", ["hostname mismatch"]), (("localhost",), True, "both", ["expired"]),
    (("localhost",), False, "api", ["certificate"])], ids=["wrong name", "expired", "unknown CA"])
def test_proxies_that_prove_nothing_get_nothing(
    setup: Setup, api: TunnelsAPI, output: Output, gateway: Gateway, tls_proxy: TLSProxy, names: tuple[str, ...],
    expired: bool, trust: str, words: list[str],
) -> None:
    """Neither the host that is asked for nor the password."""
    with ConnectProxy(gateway.good, tls=tls_proxy.tls(*names, expired=expired)) as proxy:
        outcome = init(setup, output, f"https://{NAME}", status=1, environment={
            "SSL_CERT_FILE": str(tls_proxy.bundle if trust == "both" else gateway.ca_file),
            "HTTPS_PROXY": f"https://user:secret-word@localhost:{proxy.port}"})
        assert proxy.requests == []
    for word in [*words, f"TLS handshake with the proxy localhost:{proxy.port}: ", "SSL_CERT_FILE", "HTTPS_PROXY"]:
        assert word in outcome.stderr
    assert "secret-word" not in outcome.all and api.calls() == [] and output.names() == set()


def test_proxy_in_plain_behind_https(
    setup: Setup, output: Output, gateway: Gateway, nginx: Callable[..., Nginx]
) -> None:
    port = nginx("server { listen 127.0.0.1:{port}; return 204; }").ports[0]
    outcome = init(setup, output, f"https://{NAME}", status=1, environment={
        "SSL_CERT_FILE": str(gateway.ca_file), "HTTPS_PROXY": f"https://user:secret-word@127.0.0.1:{port}"})
    assert f"TLS handshake with the proxy 127.0.0.1:{port}: " in outcome.stderr
    assert "wrong version number" in outcome.stderr and "write http://" in outcome.stderr
    assert "secret-word" not in outcome.all


def test_proxy_in_tls_is_not_believed(
    setup: Setup, api: TunnelsAPI, output: Output, gateway: Gateway, tls_proxy: TLSProxy
) -> None:
    with ConnectProxy(gateway.another, tls=tls_proxy.tls("localhost")) as proxy:
        outcome = init(setup, output, f"https://{NAME}", status=1, environment={
            "SSL_CERT_FILE": str(tls_proxy.bundle), "HTTPS_PROXY": f"https://localhost:{proxy.port}"})
    assert f"TLS handshake with {NAME}:443: " in outcome.stderr and api.calls() == []


@pytest.mark.parametrize(("status", "words"), [
    ("407 Proxy Authentication Required", ["407", "user name and password", "HTTPS_PROXY"]),
    ("403 Forbidden", ["403"])])
def test_proxy_in_tls_that_refuses(
    setup: Setup, output: Output, gateway: Gateway, tls_proxy: TLSProxy, status: str, words: list[str]
) -> None:
    with ConnectProxy(gateway.good, status=status, tls=tls_proxy.tls("localhost")) as proxy:
        outcome = init(setup, output, f"https://{NAME}", status=1, environment={
            "SSL_CERT_FILE": str(tls_proxy.bundle),
            "HTTPS_PROXY": f"https://user:secret-word@localhost:{proxy.port}"})
    for word in [*words, f"CONNECT through the proxy localhost:{proxy.port}: "]:
        assert word in outcome.stderr
    assert "secret-word" not in outcome.all


# In the handshake with the API, and in its response.
@pytest.mark.parametrize("bytes_left", [100, 1600])
def test_proxy_in_tls_that_cuts_the_tunnel(
    setup: Setup, output: Output, gateway: Gateway, tls_proxy: TLSProxy, bytes_left: int
) -> None:
    with ConnectProxy(gateway.good, tls=tls_proxy.tls("localhost"), cut_after=bytes_left) as proxy:
        outcome = init(setup, output, f"https://{NAME}", status=1, environment={
            "SSL_CERT_FILE": str(tls_proxy.bundle),
            "HTTPS_PROXY": f"https://user:secret-word@localhost:{proxy.port}"})
    assert f"{NAME}:443: the proxy localhost:{proxy.port} ended the tunnel: " in outcome.stderr
    assert "secret-word" not in outcome.all


@pytest.mark.parametrize("exceptions", [NAME, ".tunnels.test", "other.test, tunnels.test", "*", f"{NAME}:PORT"])
def test_no_proxy_is_honoured(
    setup: Setup, api: TunnelsAPI, output: Output, gateway: Gateway, tmp_path: Path, exceptions: str
) -> None:
    with ConnectProxy(gateway.good) as proxy:
        init(setup, output, f"https://{NAME}:{gateway.good}", prefix=with_hosts(tmp_path), environment={
            "SSL_CERT_FILE": str(gateway.ca_file), "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}",
            "NO_PROXY": exceptions.replace("PORT", str(gateway.good))})
        output.check(api)
        assert proxy.requests == []


@pytest.mark.parametrize("exceptions", ["other.test", "unnels.test", f"{NAME}:1", "127.0.0.2"])
def test_no_proxy_for_others_leaves_the_proxy_in_use(
    setup: Setup, api: TunnelsAPI, output: Output, gateway: Gateway, tmp_path: Path, exceptions: str
) -> None:
    with ConnectProxy(gateway.good) as proxy:
        init(setup, output, f"https://{NAME}:{gateway.good}", prefix=with_hosts(tmp_path), environment={
            "SSL_CERT_FILE": str(gateway.ca_file), "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}",
            "NO_PROXY": exceptions})
        assert proxy.requests
    output.check(api)


def test_this_machine_is_never_reached_through_a_proxy(
    setup: Setup, api: TunnelsAPI, output: Output, gateway: Gateway
) -> None:
    with ConnectProxy(gateway.good) as proxy:
        for url in (api.url, f"https://localhost:{gateway.good}"):
            init(setup, output, url, environment={
                "SSL_CERT_FILE": str(gateway.ca_file), "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}"})
        assert proxy.requests == []


def test_ipv6(setup_binary: Path, start_api: Callable[..., TunnelsAPI], output: Output) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    api = start_api(listen="[::1]:0")
    api.host = "::1"
    Setup(setup_binary, api)("init", f"--output={output}", FAST)
    output.check(api)
