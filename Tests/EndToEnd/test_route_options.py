"""`route_options`: what one route has for itself, on real parts: nginx with client certificates, sockets, the MCP SDK."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from conftest import DOMAIN, write_configuration
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from peers.upstream import Connection, Upstream, echo
from test_check import Check, check, settings  # noqa: F401
from test_mcp import play, server  # noqa: F401

FAST = {"reload_interval": "50ms"}


def seen(response) -> dict[str, list[str]]:
    """The fields that the `echo` upstream got."""
    fields: dict[str, list[str]] = {}
    for line in response.body.split(b"\n\n")[0].decode().split("\n")[1:]:
        name, _, value = line.partition(": ")
        fields.setdefault(name.lower(), []).append(value)
    return fields


# MARK: Values in place of those for all


async def test_host_and_times_of_one_route(start) -> None:
    async def silent(connection: Connection) -> None:
        await connection.head()
        await connection.wait_for_end()

    async with Upstream(echo) as upstream, Upstream(silent) as quiet:
        proxy = start(
            {"a": upstream, "b": upstream, "c": quiet}, route_options={
                "a": {"host_header": "upstream"}, "c": {"response_header_timeout": "200ms"}},
        )  # fmt: skip
        async with proxy.far.http("a") as http:
            assert seen(await http.get())["host"] == [f"127.0.0.1:{upstream.port}"]
        async with proxy.far.http("b") as http:
            assert seen(await http.get())["host"] == [f"b.{DOMAIN}"]
        async with proxy.far.http("c") as http:
            assert (await http.get()).status == 504


async def test_a_narrower_list_of_addresses(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start(
            {"a": upstream, "b": upstream}, upstream={"allowed_ips": ["127.0.0.0/8"]},
            route_options={"a": {"allowed_ips": ["127.0.0.2"]}})
        # The other route's connection is parked and good, and no way around the list.
        async with proxy.far.http("b") as http:
            assert (await http.get()).status == 200
        async with proxy.far.http("a") as http:
            assert (await http.get()).status == 502
        assert len(upstream.connections) == 1
        await proxy.logged("IP validation failed")


def refused(binary: Path, configuration: dict, tmp_path: Path, routes: dict, **changes: object) -> str:
    file = tmp_path / "refused.yaml"
    write_configuration(file, configuration, routes, **changes)
    result = subprocess.run([str(binary), "-config", str(file)], capture_output=True, text=True, timeout=30)
    assert result.returncode != 0
    return result.stderr


@pytest.mark.parametrize(("options", "words"), [
    ({"allowed_ips": ["10.0.0.0/8"]}, r"allowed_ips[0]: 10.0.0.0/8 is not within upstream.allowed_ips"),
    ({"tls": {"server_name": "x"}}, "a.tls: the route is not https"),
    ({"max_queued": 3}, "max_queued: has no effect without max_requests"),
    ({"paths": ["/a/../b"]}, "paths[0]: not a path"),
    ({"methods": ["get"]}, "methods[0]: not a method"),
    ({"set_headers": {"Host": {"file": "/x"}}}, "set_headers.Host: the proxy writes this field itself"),
    ({"max_request": 1}, "route_options.a.max_request: unknown key (did you mean 'max_requests'?)"),
])  # fmt: skip
def test_mistakes_are_named(binary, configuration, tmp_path: Path, options: dict, words: str) -> None:
    assert words in refused(binary, configuration, tmp_path, {"a": "http://127.0.0.1:1"}, route_options={"a": options})


def test_a_secret_in_the_configuration_is_not_repeated(binary, configuration, tmp_path: Path) -> None:
    for value in ("Bearer hush-0123", {"value": "hush-0123"}, ["hush-0123"]):
        told = refused(
            binary, configuration, tmp_path, {"a": "http://127.0.0.1:1"},
            route_options={"a": {"set_headers": {"Authorization": value}}})
        assert "set_headers.Authorization" in told and "hush" not in told


# MARK: Fields from files


async def test_fields_from_files(start, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("first-hush\n")
    secret.chmod(0o600)
    async with Upstream(echo) as upstream:
        options = {"a": {"set_headers": {"Authorization": {"file": "token", "prefix": "Bearer "}}}}
        proxy = start({"a": upstream, "b": upstream}, tls=FAST, route_options=options, log_level="debug")
        forged = [("AUTHORIZATION", "Bearer forged"), ("authorization", "x"), ("X-Other", "1")]
        async with proxy.far.http("a") as http:
            fields = seen(await http.request("POST", headers=forged, body=b"x"))
            assert fields["authorization"] == ["Bearer first-hush"] and fields["x-other"] == ["1"]
            secret.write_text("second-hush\n")
            while seen(await http.get())["authorization"] != ["Bearer second-hush"]:
                await asyncio.sleep(0.02)
            # What cannot be a value changes nothing.
            secret.write_text("third\r\nX-Evil: hush")
            await proxy.logged("route files not reloaded")
            fields = seen(await http.get())
            assert fields["authorization"] == ["Bearer second-hush"] and "x-evil" not in fields
        async with proxy.far.http("b") as http:
            assert seen(await http.request("GET", headers=[("Authorization", "mine")]))["authorization"] == ["mine"]
        assert "hush" not in proxy.log
        # The connection did not have to be made anew for another value.
        assert len(upstream.connections) <= 2


async def test_a_name_that_cgi_takes_for_the_same(start, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k")
    async with Upstream(echo) as upstream:
        proxy = start({"a": upstream}, route_options={"a": {"set_headers": {"X-Api-Key": {"file": "key"}}}})
        async with proxy.far.http("a") as http:
            fields = seen(await http.request("GET", headers=[("X_Api_Key", "forged"), ("X_API-KEY", "forged")]))
            assert fields["x-api-key"] == ["k"] and "x_api_key" not in fields and "x_api-key" not in fields


@pytest.mark.deadline(60)
async def test_the_mcp_sdk_through_a_route_with_a_token(start, nginx, server: int, tmp_path: Path) -> None:  # noqa: F811
    """The server asks for a token that no client has."""
    (tmp_path / "token").write_text("s3cret\n")
    guard = nginx(f"""server {{ listen 127.0.0.1:{{port}}; location / {{
        if ($http_authorization != "Bearer s3cret") {{ return 401; }}
        proxy_pass http://127.0.0.1:{server}; proxy_http_version 1.1; proxy_buffering off;
        proxy_set_header Host $http_host; proxy_set_header Connection ""; }} }}""")
    proxy = start(
        {"mcp": f"http://127.0.0.1:{guard.port}", "bare": f"http://127.0.0.1:{guard.port}"},
        route_options={"mcp": {"set_headers": {"Authorization": {"file": "token", "prefix": "Bearer "}}}})
    async with proxy.far.http("bare") as http:
        assert (await http.get("/mcp")).status == 401
    assert await play(proxy, "tour", "2", "auto")


# MARK: TLS


def pin(certificate: bytes) -> str:
    key = x509.load_pem_x509_certificate(certificate).public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return "sha256//" + base64.b64encode(hashlib.sha256(der).digest()).decode()


@pytest.fixture
def mutual(nginx, certificates, tmp_path: Path):
    """nginx that takes clients of one CA only, and tells whose certificate it saw."""
    leaf = certificates.authority.issue("inner.example", "localhost")
    certificate, key = leaf.write(tmp_path / "server")
    server = nginx(f"""server {{ listen 127.0.0.1:{{port}} ssl; keepalive_timeout 60;
        ssl_certificate {certificate}; ssl_certificate_key {key};
        ssl_client_certificate {certificates.ca_file}; ssl_verify_client optional;
        location / {{ return 200 "$ssl_client_verify $ssl_client_serial $ssl_server_name $connection"; }} }}""")
    server.leaf = leaf
    return server


def client(certificates, folder: Path, name: str = "client"):
    leaf = certificates.authority.issue(name, client=True)
    certificate, key = leaf.write(folder, name)
    return leaf, {"client_cert_file": str(certificate), "client_key_file": str(key)}


async def test_client_certificates_and_names(start, mutual, certificates, tmp_path: Path) -> None:
    one, first = client(certificates, tmp_path / "one")
    two, second = client(certificates, tmp_path / "two")
    url = f"https://localhost:{mutual.port}"
    ca = {"ca_file": str(certificates.ca_file)}
    proxy = start(
        {"a": url, "b": url, "c": url}, upstream={"tls": ca}, threads=1,
        route_options={"a": {"tls": {**first, "server_name": "inner.example"}}, "b": {"tls": second}})

    async def ask(route: str) -> list[str]:
        async with proxy.far.http(route) as http:
            return (await http.get()).body.decode().split(" ")

    def number(leaf) -> str:
        return f"{leaf.serial:X}"

    for _ in range(3):
        # Connections that are parked carry who made them, and are never lent to another route.
        a, b, c = await ask("a"), await ask("b"), await ask("c")
        assert (a[0], a[1].lstrip("0"), a[2]) == ("SUCCESS", number(one).lstrip("0"), "inner.example")
        assert (b[0], b[1].lstrip("0"), b[2]) == ("SUCCESS", number(two).lstrip("0"), "localhost")
        assert c[0] == "NONE"
    # They are parked all the same: three connections for nine requests.
    assert len({(await ask(route))[-1] for route in "abcabc"}) == 3


async def test_the_client_certificate_is_swapped(start, mutual, certificates, tmp_path: Path) -> None:
    _, files = client(certificates, tmp_path)
    proxy = start(
        {"a": f"https://localhost:{mutual.port}"}, tls=FAST,
        route_options={"a": {"tls": {"ca_file": str(certificates.ca_file), **files}}})
    newer = certificates.authority.issue("client", client=True)
    async with proxy.far.http("a") as http:
        assert (await http.get()).body.startswith(b"SUCCESS")
        # The key first: for a moment they are no pair, and the old pair stays.
        Path(files["client_key_file"]).write_bytes(newer.key)
        await proxy.logged("route files not reloaded")
        assert (await http.get()).body.startswith(b"SUCCESS")
        Path(files["client_cert_file"]).write_bytes(newer.certificate)
        wanted = f"{newer.serial:X}".lstrip("0").encode()
        while (await http.get()).body.split(b" ")[1].lstrip(b"0") != wanted:
            await asyncio.sleep(0.02)
    assert "PRIVATE" not in proxy.log


async def test_pins(start, mutual, certificates) -> None:
    url, ca = f"https://localhost:{mutual.port}", {"ca_file": str(certificates.ca_file)}
    other = pin(certificates.authority.issue("other").certificate)
    proxy = start(
        {"good": url, "bad": url}, route_options={
            "good": {"tls": {**ca, "pins": [other, pin(mutual.leaf.certificate)]}}, "bad": {"tls": {**ca, "pins": [other]}}},
    )  # fmt: skip
    async with proxy.far.http("good") as http:
        assert (await http.get()).status == 200
    async with proxy.far.http("bad") as http:
        assert (await http.get()).status == 502
    line = await proxy.logged("is not pinned")
    assert pin(mutual.leaf.certificate) in line.text


def test_pins_are_as_openssl_and_curl_have_them(mutual, tmp_path: Path) -> None:
    file = tmp_path / "leaf.pem"
    file.write_bytes(mutual.leaf.certificate)
    command = f"openssl x509 -in {file} -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary"
    digest = subprocess.run(["bash", "-c", command], capture_output=True, check=True).stdout
    assert "sha256//" + base64.b64encode(digest).decode() == pin(mutual.leaf.certificate)


async def test_own_ca(start, mutual, certificates) -> None:
    """A route's CA stands in place of what is trusted for all, and goes no further."""
    url = f"https://localhost:{mutual.port}"
    proxy = start(
        {"a": url, "b": url}, upstream={"tls": {"ca_file": str(certificates.stranger_file)}},
        route_options={"a": {"tls": {"ca_file": str(certificates.ca_file)}}})
    async with proxy.far.http("a") as http:
        assert (await http.get()).status == 200
    async with proxy.far.http("b") as http:
        assert (await http.get()).status == 502


# MARK: Lists


async def test_methods_and_paths(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"a": upstream}, route_options={"a": {"methods": ["GET", "POST"], "paths": ["/mcp", "/files/*"]}})
        async with proxy.far.http("a") as http:
            for path in ("/mcp", "/mcp?x=/../y", "/files/", "/files/a.b/c", "/files/%41"):
                assert (await http.get(path)).status == 200, path
            assert (await http.request("DELETE", "/mcp")).status == 403
            passed = len(upstream.requests)
            for path in (
                "/", "/mcp/", "/MCP", "/files", "/files/../admin", "/files/./x", "/files//x", "/files/..;/admin",
                "/files/%2e%2e/admin", "/files/%2E./x", "/files/%2fx", "/files/%5cx", "/files/%252e%252e/", "/files/..",
                "/mcp%2f..", "/x/../mcp", "/files/%zz",
            ):  # fmt: skip
                assert (await http.get(path)).status == 404, path
            assert len(upstream.requests) == passed
    assert (await proxy.logged("request finished", count=6)).fields["end"] in ("refused", "complete")


# MARK: Sockets


async def test_a_socket_as_upstream(start, nginx, tmp_path: Path) -> None:
    path = tmp_path / "mcp.sock"
    nginx(f"server {{ listen 127.0.0.1:{{port}}; listen unix:{path}; location / {{ return 200 $http_host; }} }}")
    proxy = start({"a": f"unix:{path}", "b": f"unix:{path}"}, route_options={"b": {"host_header": "upstream"}})
    async with proxy.far.http("a") as http:
        for _ in range(3):
            assert (await http.get()).body == f"a.{DOMAIN}".encode()
    async with proxy.far.http("b") as http:
        assert (await http.get()).body == b"localhost"
    line = await proxy.logged("request finished")
    assert line.fields["upstream"] == f"unix:{path}" or str(path) in line.text
    path.unlink()


def test_the_proxys_own_sockets_are_no_upstream(binary, configuration, tmp_path: Path) -> None:
    own = f"unix:{tmp_path}/own.sock"
    told = refused(binary, configuration, tmp_path, {"a": own}, admin_addr=own)
    assert "routes.a: the proxy listens there itself" in told


async def test_a_socket_that_is_gone(start, tmp_path: Path) -> None:
    proxy = start({"a": f"unix:{tmp_path}/none.sock"})
    async with proxy.far.http("a") as http:
        assert (await http.get()).status == 502


# MARK: check


def test_check_shakes_hands_as_the_proxy_does(check: Check, mutual, certificates, tmp_path: Path) -> None:  # noqa: F811
    _, files = client(certificates, tmp_path)
    url, ca = f"https://localhost:{mutual.port}", {"ca_file": str(certificates.ca_file)}
    wrong = pin(certificates.authority.issue("other").certificate)
    report = check(
        {"good": url, "bad": url},
        route_options={"good": {"tls": {**ca, **files}}, "bad": {"tls": {**ca, "pins": [wrong]}}})
    assert report.check("route.tls", "good")["level"] == "pass"
    assert "is not pinned" in json.dumps(report.check("route.tls", "bad"))


def test_check_sees_who_may_read_a_secret(check: Check, hello_route: dict, tmp_path: Path) -> None:  # noqa: F811
    secret = tmp_path / "token"
    secret.write_text("hush")
    secret.chmod(0o644)
    report = check(hello_route, route_options={"a": {"set_headers": {"X-Token": {"file": "token"}}}})
    assert "key-readable-by-others" in json.dumps(report.data) and "hush" not in json.dumps(report.data)
    secret.unlink()
    missing = check(hello_route, route_options={"a": {"set_headers": {"X-Token": {"file": "token"}}}})
    assert "route_options.a.set_headers.X-Token.file" in json.dumps(missing.data)


@pytest.fixture
def hello_route() -> dict:
    return {"a": "http://127.0.0.1:9"}
