"""Several tunnels in one process: certificates by SNI, routes and addresses by tunnel, and nothing that crosses."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from conftest import REPOSITORY, write_configuration
from peers.admin import Admin
from peers.bridge import Bridge
from peers.http2 import Client
from peers.metrics import scrape
from peers.proxy import Proxy
from peers.upstream import Connection, Upstream
from test_mcp import ENVIRONMENT, PYTHON
from test_status import closed, until

A, B = "a.t.example", "b.t.example"


def named(name: str):
    """An upstream that says who it is."""
    async def handler(connection: Connection) -> None:
        while head := await connection.head():
            await connection.body(head)
            await connection.respond(body=name.encode())

    return handler


@pytest.fixture
def tunnel(certificates, tmp_path: Path) -> Callable[..., dict]:
    """What one tunnel has below its domain, with a certificate of its own."""
    def make(domain: str, routes: dict, *, names: tuple[str, ...] = (), tls: dict | None = None, **more: object) -> dict:
        leaf = certificates.authority.issue(f"*.{domain}", domain, *names)
        certificate, key = leaf.write(tmp_path / f"{domain}-{leaf.serial}")
        return {
            "tls": {"cert_file": str(certificate), "key_file": str(key), **(tls or {})},
            "routes": {key: value if isinstance(value, str) else value.url for key, value in routes.items()}, **more}

    return make


@pytest.fixture
def serve(start) -> Callable[..., Proxy]:
    """Starts a proxy with tunnels in place of the fields of a single one."""
    return lambda tunnels, **changes: start(None, **several(tunnels, **changes))


def several(tunnels: dict, **changes: object) -> dict:
    return {"tunnel_domain": None, "tls": {"cert_file": None, "key_file": None, "reload_interval": "50ms"},
            "tunnels": tunnels, **changes}


async def command(*words: str, status: int | None = 0) -> str:
    """What a program says on both its outputs."""
    process = await asyncio.create_subprocess_exec(
        *words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    async with asyncio.timeout(30):
        output, _ = await process.communicate()
    assert status is None or process.returncode == status, output.decode()
    return output.decode("latin-1")


async def curl(proxy: Proxy, url: str, *options: str, status: int = 0) -> str:
    with Bridge(proxy) as bridge:
        return await command(
            "curl", "-sS", "--max-time", "20", "--cacert", str(proxy.far.ca_file), "--connect-to",
            f"::127.0.0.1:{bridge.port}", *options, url, status=status)


async def s_client(proxy: Proxy, *options: str, status: int | None = None) -> str:
    with Bridge(proxy) as bridge:
        return await command(
            "openssl", "s_client", "-connect", f"127.0.0.1:{bridge.port}", "-CAfile", str(proxy.far.ca_file), *options,
            status=status)


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
async def test_one_name_of_a_route_leads_to_each_tunnels_own_upstream(serve, tunnel, version: str) -> None:
    async with Upstream(named("first")) as first, Upstream(named("second")) as second:
        proxy = serve({A: tunnel(A, {"echo": first}), B: tunnel(B, {"echo": second})})
        assert await curl(proxy, f"https://echo.{A}/", version) == "first"
        assert await curl(proxy, f"https://echo.{B}/", version) == "second"


async def test_values_of_a_tunnels_fields_follow_their_files(serve, tunnel, tmp_path: Path) -> None:
    async def keys(connection: Connection) -> None:
        while head := await connection.head():
            await connection.respond(body=(head.get("x-key") or "").encode())

    value = tmp_path / "key"
    value.write_text("first")
    async with Upstream(keys) as upstream:
        options = {"echo": {"set_headers": {"X-Key": {"file": str(value)}}}}
        proxy = serve({A: tunnel(A, {"echo": upstream}, route_options=options), B: tunnel(B, {"echo": upstream})})
        assert await curl(proxy, f"https://echo.{A}/") == "first" and await curl(proxy, f"https://echo.{B}/") == ""
        value.write_text("second")
        await proxy.logged("route files reloaded")
        assert await curl(proxy, f"https://echo.{A}/") == "second"


async def test_the_certificate_is_the_one_that_was_asked_for(serve, tunnel) -> None:
    async with Upstream(named("")) as upstream:
        proxy = serve({A: tunnel(A, {"echo": upstream}), B: tunnel(B, {"echo": upstream})})
        for version in ("-tls1_2", "-tls1_3"):
            for domain in (A, B):
                found = await s_client(
                    proxy, version, "-servername", f"echo.{domain}", "-verify_hostname", f"echo.{domain}",
                    "-verify_return_error", status=0)
                assert f"subject=CN = *.{domain}" in found and "Verification: OK" in found


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize(
    "name", [["-noservername"], ["-servername", "echo.c.example"], ["-servername", "t.example"],
             ["-servername", f"x{A}"]], ids=["none", "unknown", "above", "beside"])
async def test_whoever_asks_for_no_tunnel_sees_no_certificate(serve, tunnel, name: list[str], version: str) -> None:
    async with Upstream(named("")) as upstream:
        proxy = serve({A: tunnel(A, {"echo": upstream}), B: tunnel(B, {"echo": upstream})})
        found = await s_client(proxy, version, *name)
        assert "unrecognized name" in found and "no peer certificate available" in found
        line = await proxy.logged("tls handshake failed")
        assert line.fields["reason"] == "unrecognized name" and line.fields["alert_from"] == "proxy"


# Nothing crosses.


async def test_a_host_of_another_tunnel_is_misdirected(serve, tunnel) -> None:
    async with Upstream(named("first")) as first, Upstream(named("second")) as second:
        proxy = serve({A: tunnel(A, {"echo": first}), B: tunnel(B, {"echo": second})})
        async with proxy.far.http(f"echo.{A}") as http:
            for host in (f"echo.{B}", f"ECHO.{B.upper()}.:443", f"none.{B}", B):
                response = await http.get(host=host)
                assert response.status == 421 and response.body == b"This connection is for another tunnel\n", host
            assert (await http.get(host=f"none.{A}")).status == 502
            assert (await http.get(host="echo.c.example")).status == 502
            assert (await http.get()).body == b"first"
        assert not second.requests


async def test_an_authority_of_another_tunnel_is_misdirected(serve, tunnel) -> None:
    async with Upstream(named("first")) as first, Upstream(named("second")) as second:
        proxy = serve({A: tunnel(A, {"echo": first}), B: tunnel(B, {"echo": second})})

        def play() -> list[tuple[int | None, bytes]]:
            with Client.connect(proxy, f"echo.{A}") as client:
                streams = [client.request("GET", "/", authority=host) for host in (f"echo.{B}", f"echo.{A}", B)]
                return [(stream.status, bytes(stream.body)) for stream in streams]

        refusal = (421, b"This connection is for another tunnel\n")
        assert await asyncio.to_thread(play) == [refusal, (200, b"first"), refusal]
        assert not second.requests


@pytest.mark.deadline(60)
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_a_ticket_is_good_in_its_own_tunnel_alone(serve, tunnel, tmp_path: Path, version: str) -> None:
    """The worst case: both tunnels have one certificate and seal with one file of keys."""
    keys = tmp_path / "ticket-keys"
    keys.write_text("".join(
        subprocess.run(["openssl", "rand", "-base64", "80"], capture_output=True, text=True, check=True)
        .stdout.replace("\n", "") + "\n" for _ in range(3)))
    async with Upstream(named("first")) as first, Upstream(named("second")) as second:
        both = tunnel(A, {"echo": first}, names=(f"*.{B}", B), tls={"ticket_keys_file": str(keys)})
        proxy = serve({A: both, B: both | {"routes": {"echo": second.url}}})
        session = tmp_path / "session"

        async def come(domain: str, *options: str) -> str:
            # The response comes behind the ticket.
            request = f"GET / HTTP/1.1\r\nHost: echo.{A}\r\nConnection: close\r\n\r\n"
            with Bridge(proxy) as bridge:
                process = await asyncio.create_subprocess_exec(
                    "openssl", "s_client", "-connect", f"127.0.0.1:{bridge.port}", version, "-ign_eof", "-servername",
                    f"echo.{domain}", *options, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT)
                async with asyncio.timeout(20):
                    return (await process.communicate(request.encode()))[0].decode("latin-1")

        assert "\nNew, " in (found := await come(A, "-sess_out", str(session))) and "200 OK" in found
        # At home it is good, or the rest would prove nothing.
        assert "\nReused, " in (found := await come(A, "-sess_in", str(session))) and "200 OK" in found
        found = await come(B, "-sess_in", str(session))
        assert "\nNew, " in found and "\nReused, " not in found and "HTTP/1.1 421" in found
        assert len(first.requests) == 2 and not second.requests


async def test_addresses_are_allowed_by_tunnel(serve, tunnel) -> None:
    async with Upstream(named("here")) as upstream:
        proxy = serve({
            A: tunnel(A, {"echo": upstream}, allowed_ips=["127.0.0.1"]),
            B: tunnel(B, {"echo": upstream}, allowed_ips=["127.0.0.2"])})
        async with proxy.far.http(f"echo.{A}") as http:
            assert (await http.get()).status == 200
        async with proxy.far.http(f"echo.{B}") as http:
            assert (await http.get()).status == 502
        await proxy.logged("127.0.0.1")
        assert len(upstream.requests) == 1


# Reload.


@pytest.mark.deadline(60)
async def test_a_reload_adds_changes_and_removes_tunnels(serve, tunnel, configuration) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow(connection: Connection) -> None:
        assert await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: one\n\n")
        begun.set()
        await may_end.wait()
        await connection.send(b"data: two\n\n")

    c = "c.t.example"
    async with Upstream(named("first")) as first, Upstream(slow) as second, Upstream(named("third")) as third:
        a, b = tunnel(A, {"echo": first}), tunnel(B, {"echo": second})
        proxy = serve({A: a, B: b})

        def reload(tunnels: dict) -> None:
            write_configuration(proxy.config_file, configuration, None, **several(tunnels))
            mark = proxy.mark()
            proxy.signal(1)
            proxy.wait_for("configuration reloaded|not reloaded", since=mark)

        idle = await proxy.far.open(f"echo.{B}")
        async with proxy.far.http(f"echo.{A}") as kept:
            assert (await kept.get()).body == b"first"
            stream = asyncio.create_task(curl(proxy, f"https://echo.{B}/", "--no-buffer"))
            await begun.wait()
            # B goes, C comes, and A leads elsewhere.
            reload({c: tunnel(c, {"echo": third}), A: a | {"routes": {"echo": third.url}}})
            assert await curl(proxy, f"https://echo.{c}/") == "third"
            assert (await kept.get()).body == b"third"
            assert (await kept.get(host=f"echo.{c}")).status == 421
            # Nothing was under way on this one.
            assert await idle.read() == b"" and idle.got_close_notify
            assert "unrecognized name" in await s_client(proxy, "-servername", f"echo.{B}")
            # The stream that was open ends when it wants to.
            may_end.set()
            assert await stream == "data: one\n\ndata: two\n\n"
            # One that has no certificate is no reload at all.
            mark = proxy.mark()
            reload({A: a, "d.t.example": {"tls": {"cert_file": "none", "key_file": "none"}, "routes": {"echo": third.url}}})
            line = proxy.wait_for("configuration not reloaded", since=mark)
            assert "tunnels.d.t.example.tls.cert_file" in line.fields["error"]
            assert (await kept.get()).body == b"third"


async def test_a_new_certificate_of_one_tunnel_is_taken_up(serve, tunnel, certificates) -> None:
    async with Upstream(named("")) as upstream:
        a, b = tunnel(A, {"echo": upstream}), tunnel(B, {"echo": upstream})
        proxy = serve({A: a, B: b})
        before = await s_client(proxy, "-servername", f"echo.{A}")
        fresh = certificates.authority.issue(f"*.{B}", B)
        fresh.write(Path(b["tls"]["cert_file"]).parent)
        line = await proxy.logged("certificate reloaded")
        assert line.fields["tunnel"] == B
        found = await s_client(proxy, "-servername", f"echo.{B}", "-showcerts")
        assert fresh.certificate.decode().strip() in found
        certificate = re.compile("BEGIN CERTIFICATE.*END CERTIFICATE", re.DOTALL)
        assert certificate.search(before)[0] == certificate.search(await s_client(proxy, "-servername", f"echo.{A}"))[0]


# What is told of it.


async def test_metrics_status_and_page_are_by_tunnel(serve, tunnel) -> None:
    async with Upstream(named("first")) as first, Upstream(named("second")) as second:
        proxy = serve(
            {A: tunnel(A, {"echo": first}), B: tunnel(B, {"echo": second})}, admin_addr="127.0.0.1:0")
        admin = Admin(proxy)
        for domain, count in ((A, 1), (B, 2)):
            async with proxy.far.http(f"echo.{domain}") as http:
                for _ in range(count):
                    assert (await http.get()).status == 200
        found = scrape(admin)
        for domain, count in ((A, 1), (B, 2)):
            assert found.get(
                "http_server_request_duration_seconds_count", tunnel=domain, route="echo", method="GET",
                status="2xx") == count
            assert found.get(
                "mcp_tunnel_certificate_not_after_timestamp_seconds", tunnel=domain, certificate="leaf") > 0
        status = until(admin, lambda status: sum(entry["requests"] for entry in status["routes"]) == 3)
        jsonschema.validate(status, closed(json.loads((REPOSITORY / "docs/status.schema.json").read_text())))
        assert [(entry["domain"], entry["routes"]) for entry in status["tunnels"]] == [(A, 1), (B, 1)]
        assert f"*.{B}" in status["tunnels"][1]["certificate"]["names"]
        assert [(entry["route"], entry["tunnel"], entry["requests"]) for entry in status["routes"]] == [
            (f"echo.{A}", A, 1), (f"echo.{B}", B, 2)]
        page = admin.ask("/")[2].decode()
        assert f"<dt>{A}</dt>" in page and f"https://echo.{B}" in page
        admin.wait_until("/readyz", 200)


async def test_one_bad_certificate_does_not_take_the_others_out(serve, tunnel, certificates, tmp_path: Path) -> None:
    expired = certificates.authority.issue(f"*.{A}", A, expired=True).write(tmp_path / "expired")
    async with Upstream(named("")) as upstream:
        a = tunnel(A, {"echo": upstream}, tls={"cert_file": str(expired[0]), "key_file": str(expired[1])})
        proxy = serve({A: a, B: tunnel(B, {"echo": upstream})}, admin_addr="127.0.0.1:0")
        admin = Admin(proxy)
        admin.wait_until("/readyz", 200)
        holds, detail = admin.conditions()["certificate"]
        assert holds and f"{A}: certificate has expired" in detail
        line = await proxy.logged("certificate has expired")
        assert line.fields["tunnel"] == A


async def test_a_single_tunnel_has_no_label(start) -> None:
    async with Upstream(named("")) as upstream:
        proxy = start({"echo": upstream}, admin_addr="127.0.0.1:0")
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 200
        admin = Admin(proxy)
        assert 'tunnel="' not in scrape(admin).text and "tunnels" not in admin.json("/status")


async def test_check_and_healthcheck_look_at_each_tunnel(binary: Path, serve, tunnel, tmp_path: Path) -> None:
    async with Upstream(named("")) as upstream:
        tunnels = {A: tunnel(A, {"echo": upstream}), B: tunnel(B, {"echo": upstream})}
        proxy = serve(tunnels, listen_addr=f"unix:{tmp_path}/proxy.sock")
        assert await command(str(binary), "healthcheck", "-config", str(proxy.config_file)) == ""
        report = json.loads(await command(
            str(binary), "check", "-json", "-config", str(proxy.config_file), status=None))
        certificates = [entry for entry in report["checks"] if entry["id"] == "certificate"]
        assert [(entry["level"], entry["route"]) for entry in certificates] == [("pass", A), ("pass", B)]
        assert [route["name"] for route in report["routes"]] == [f"echo.{A}", f"echo.{B}"]
        found = await command(
            str(binary), "check", "-explain", f"https://echo.{B}/mcp", "-config", str(proxy.config_file))
        assert f"tunnel {B}" in found and "route echo" in found
        await command(
            str(binary), "check", "-explain", "https://echo.c.example/", "-config", str(proxy.config_file), status=1)


async def test_both_forms_at_once_are_refused(binary: Path, configuration, tunnel, tmp_path: Path) -> None:
    file = tmp_path / "both.yaml"
    write_configuration(
        file, configuration, {"echo": "http://127.0.0.1:1"}, tunnels={A: tunnel(A, {"echo": "http://127.0.0.1:1"})})
    found = await command(str(binary), "-config", str(file), status=None)
    for field in ("tunnel_domain", "tls.cert_file", "tls.key_file", "routes"):
        assert re.search(rf"both.yaml:\d+:\d+: {field}: has no place beside tunnels", found), found
    assert "move it below a domain in tunnels, or remove tunnels" in found


# Size, and the real thing.


@pytest.mark.deadline(120)
async def test_a_hundred_tunnels(serve, certificates, tmp_path: Path) -> None:
    domains = [f"t{number}.t.example" for number in range(100)]

    async def who(connection: Connection) -> None:
        while head := await connection.head():
            await connection.respond(body=(head.get("host") or "").encode())

    async with Upstream(who) as upstream:
        tunnels = {}
        for domain in domains:
            certificate, key = certificates.authority.issue(f"*.{domain}").write(tmp_path / domain)
            tunnels[domain] = {
                "tls": {"cert_file": str(certificate), "key_file": str(key)}, "routes": {"echo": upstream.url}}
        proxy = serve(tunnels, admin_addr="127.0.0.1:0")

        async def ask(domain: str) -> None:
            async with proxy.far.http(f"echo.{domain}") as http:
                assert (await http.get()).body == f"echo.{domain}".encode()
                other = domains[(domains.index(domain) + 1) % len(domains)]
                assert (await http.get(host=f"echo.{other}")).status == 421

        for start in range(0, len(domains), 10):
            await asyncio.gather(*(ask(domain) for domain in domains[start:start + 10]))
        counted = scrape(Admin(proxy)).all("http_server_request_duration_seconds_count")
        assert {dict(labels).get("tunnel") for labels in counted} == {*domains, None}


@pytest.mark.deadline(90)
@pytest.mark.parametrize("client", ["1", "2"])
async def test_the_sdk_goes_through_either_tunnel(serve, tunnel, tmp_path: Path, client: str) -> None:
    servers = []
    try:
        for number, domain in enumerate((A, B)):
            with open(tmp_path / f"server-{number}.log", "wb") as log:
                servers.append(subprocess.Popen(
                    [str(PYTHON["2"]), "-m", "peers.mcp_server", f"mcp.{domain}"], env=ENVIRONMENT,
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log))
        ports = [int(server.stdout.readline()) for server in servers]
        proxy = serve({
            domain: tunnel(domain, {"mcp": f"http://127.0.0.1:{port}"})
            for domain, port in zip((A, B), ports, strict=True)})
        for domain in (A, B):
            # The server answers to its own public name alone.
            process = await asyncio.create_subprocess_exec(
                str(PYTHON[client]), "-m", "peers.mcp_client", "tour",
                f"{proxy.far.endpoint.host}:{proxy.far.endpoint.port}", str(proxy.far.ca_file), domain, "mcp", "legacy",
                env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            output, errors = await process.communicate()
            assert process.returncode == 0, errors.decode()[-3000:]
            seen = [json.loads(line) for line in output.splitlines()]
            assert seen[1]["names"] == ["echo", "open_gate", "wait_at"] and seen[-1]["event"] == "closed"
    finally:
        for server in servers:
            server.kill()
            server.wait()


async def test_the_documented_sample_is_taken_as_it_stands(binary: Path, tmp_path: Path) -> None:
    text = (REPOSITORY / "docs/configuration.md").read_text()
    section = text[text.index("\n## Several tunnels\n"):]
    sample = section[section.index("```yaml\n") + 8:]
    file = tmp_path / "config.yaml"
    file.write_text(sample[:sample.index("```")])
    report = json.loads(await command(
        str(binary), "check", "-json", "-timeout", "10ms", "-config", str(file), status=None))
    configuration = next(entry for entry in report["checks"] if entry["id"] == "configuration")
    assert configuration["level"] == "pass" and configuration["summary"].endswith("3 routes of 2 tunnels")
