"""/status, /logs and /events of the admin listener: what a program reads of a running proxy."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import contextmanager
from pathlib import Path

import jsonschema
import pytest
from conftest import DOMAIN, REPOSITORY
from peers.admin import Admin
from peers.upstream import Connection, Upstream, echo

ADMIN = {"admin_addr": "127.0.0.1:0"}
SCHEMA = json.loads((REPOSITORY / "docs/status.schema.json").read_text())


def closed(schema: object) -> object:
    """The same schema, with which no field may be there that it does not name: our own fields are all documented."""
    if isinstance(schema, list):
        return [closed(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    result = {name: closed(entry) for name, entry in schema.items()}
    return result | {"additionalProperties": False} if schema.get("type") == "object" else result


def status(site: Admin) -> dict:
    """What `/status` says, held against its schema."""
    found, fields, body = site.ask("/status")
    assert found == 200 and fields["content-type"] == "application/json"
    value = json.loads(body)
    jsonschema.Draft202012Validator(closed(SCHEMA)).validate(value)
    return value


def until(site: Admin, holds, seconds: float = 10) -> dict:
    end = time.monotonic() + seconds
    while True:
        value = status(site)
        if holds(value):
            return value
        assert time.monotonic() < end, value
        time.sleep(0.1)


def route(value: dict, name: str) -> dict:
    return next(entry for entry in value["routes"] if entry["route"] == name)


async def refuse_host(connection: Connection) -> None:
    while head := await connection.head():
        await connection.body(head)
        await connection.respond("421 Misdirected Request", body=b"Invalid Host header")


def test_schema_is_strict() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate({"schema": 1})


def test_before_any_request(start) -> None:
    site = Admin(start({"echo": "http://127.0.0.1:1"}, **ADMIN))
    site.wait_until("/readyz", 200)
    value = status(site)
    assert value["schema"] == 1 and value["domain"] == DOMAIN and value["readiness"]["ready"]
    assert value["sandbox"]["mode"] == "best-effort" and value["sandbox"]["filters_calls"]
    assert value["reloads"] == [] and value["requests"] == []
    assert route(value, "echo")["url"] == f"https://echo.{DOMAIN}" and route(value, "echo")["verdict"] == "idle"
    assert value["certificate"]["names"] == [f"*.{DOMAIN}", DOMAIN] and value["certificate"]["days_left"] > 0
    assert value["far_side"] == {}
    assert status(site)["instance"]["id"] == value["instance"]["id"]


async def test_requests_and_what_failed(start) -> None:
    async with Upstream(echo) as upstream, Upstream(refuse_host) as refusing:
        routes = {"echo": upstream, "fastmcp": refusing, "gone": "http://127.0.0.1:1", "far": "http://8.8.8.8:80"}
        proxy = start(routes, **ADMIN)
        site = Admin(proxy)
        for name in routes:
            async with proxy.far.http(name) as http:
                await http.request("POST", "/mcp?token=verysecret", [("Authorization", "Bearer verysecret")], b"{}")
        async with proxy.far.http("echo") as http:
            await http.request("GET", "/x", host=f"stranger.{DOMAIN}")
        value = await asyncio.to_thread(until, site, lambda value: len(value["requests"]) == 5)
    assert b"verysecret" not in json.dumps(value).encode()
    found = {entry["cause"]: entry for entry in value["failures"]}
    assert set(found) == {"mcp-host-refused", "upstream-connection-refused", "upstream-refused", "route-unknown"}
    assert found["mcp-host-refused"]["routes"] == ["fastmcp"] and found["mcp-host-refused"]["count"] == 1
    assert all(entry["remedy"] and entry["title"] for entry in value["failures"])
    verdicts = {entry["route"]: entry["verdict"] for entry in value["routes"]}
    assert verdicts == {"echo": "ok", "fastmcp": "failing", "gone": "failing", "far": "refused"}
    assert route(value, "echo")["requests"] == 1 and route(value, "echo")["history"]["requests"][-1] <= 1
    assert sum(route(value, "echo")["history"]["requests"]) == 1
    newest = value["requests"][0]
    assert newest["host"] == f"stranger.{DOMAIN}" and newest["status"] == 502 and newest["cause"] == "route-unknown"
    assert value["requests"][-1]["path"] == "/mcp" and value["requests"][-1]["method"] == "POST"
    assert {finding["id"] for finding in value["findings"]} == {"upstream-refused"}
    assert value["far_side"]["request"]["age_seconds"] < 60 and value["far_side"]["connection"]["age_seconds"] < 60


@pytest.mark.parametrize(
    ("code", "body", "expected"),
    [
        (200, b'{"status":200,"readyConnections":4,"connectorId":"c"}', (True, 4, "connected to the edge")),
        (503, b'{"status":503,"readyConnections":0,"connectorId":"c"}', (False, 0, "no connection to the edge")),
        (200, b"<html>", (False, None, "")),
    ],
)
async def test_what_cloudflared_says_of_itself(start, code: int, body: bytes, expected: tuple) -> None:
    async def ready(connection: Connection) -> None:
        while head := await connection.head():
            assert head.target == "/ready"
            await connection.respond(f"{code} Status", body=body)

    async with Upstream(ready) as cloudflared:
        proxy = start({"echo": "http://127.0.0.1:1"}, cloudflared_metrics=cloudflared.url, **ADMIN)
        value = await asyncio.to_thread(until, Admin(proxy), lambda value: value.get("cloudflared"))
    said = value["cloudflared"]
    assert (said["ready"], said.get("connections")) == expected[:2] and expected[2] in said["detail"]


def test_a_cloudflared_that_is_not_there(start, refusing_port: int) -> None:
    proxy = start({"echo": "http://127.0.0.1:1"}, cloudflared_metrics=f"http://127.0.0.1:{refusing_port}", **ADMIN)
    value = until(Admin(proxy), lambda value: value.get("cloudflared"))
    assert not value["cloudflared"]["ready"] and "refused" in value["cloudflared"]["detail"]
    # It says nothing of whether requests from the tunnel can be served.
    Admin(proxy).wait_until("/readyz", 200)


def test_reloads_are_remembered(start) -> None:
    proxy = start({"echo": "http://127.0.0.1:1"}, **ADMIN)
    site = Admin(proxy)
    before = status(site)["configuration"]["hash"]
    text = proxy.config_file.read_text()
    proxy.config_file.write_text(text.replace('"5s"', '"6s"'))
    proxy.signal(1)
    proxy.wait_for("configuration reloaded")
    value = until(site, lambda value: len(value["reloads"]) == 1)
    assert value["reloads"][0]["result"] == "ok" and value["reloads"][0]["by"] == "signal"
    assert value["configuration"]["hash"] != before
    proxy.config_file.write_text(text + "nonsense: 1\nother: 2\n")
    for count in range(2, 30):
        proxy.signal(1)
        proxy.wait_for("configuration not reloaded", count=count - 1)
    value = status(site)
    assert len(value["reloads"]) == 20 and value["reloads"][-1]["result"] == "failed"
    detail = value["reloads"][-1]["detail"]
    assert "nonsense" in detail and "; " in detail and "u{a}" not in detail


# The log.


def test_logs(start) -> None:
    proxy = start({"echo": "http://127.0.0.1:1", "far": "http://8.8.8.8:80"}, **ADMIN)
    site = Admin(proxy)
    proxy.wait_for("admin listening")
    site.wait_until("/readyz", 200)
    lines = site.ask("/logs")[2].decode().splitlines()
    assert lines == proxy.log.splitlines()[: len(lines)] and any("admin listening" in line for line in lines)
    warnings = site.ask("/logs?level=warn")[2].decode().splitlines()
    assert warnings and all(" WARN " in line for line in warnings)
    assert site.ask("/logs?limit=1")[2].decode().splitlines() == lines[-1:]
    assert site.ask("/logs?download=1")[1]["content-disposition"] == 'attachment; filename="mcp-proxy.log"'
    for query in ("level=loud", "limit=0", "limit=-1", "limit=x", "limit=99999999999999999999"):
        assert site.ask(f"/logs?{query}")[0] == 400, query


# Events.


@contextmanager
def events(site: Admin, query: str = ""):
    """A reader of `/events`: yields a function that returns the next event, as its name and its data."""
    connection = site.connect(timeout=10)
    connection.request("GET", f"/events?{query}")
    response = connection.getresponse()
    assert response.status == 200 and response.getheader("Content-Type") == "text/event-stream", response.status

    def following() -> tuple[str, object]:
        name = ""
        while line := response.readline().decode().rstrip("\n"):
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                return name, json.loads(line[6:])
        return following() if not response.isclosed() else ("", None)

    yield following
    connection.close()


def test_events_tell_what_is_new(start) -> None:
    proxy = start({"echo": "http://127.0.0.1:1"}, **ADMIN)
    site = Admin(proxy)
    site.wait_until("/readyz", 200)
    with events(site, "since=0&log=0") as following:
        found: dict[str, object] = {}
        while set(found) < {"parts", "log"}:
            name, data = following()
            found.setdefault(name, data)
        ids = {part["id"] for part in found["parts"]["parts"]}
        assert {"state", "hops", "facts", "r0"} <= ids
        assert found["log"][0][0] == 1 and found["log"][0][1] == "info" and "listening" in json.dumps(found["log"])
        version = found["parts"]["version"]
        # A failed reload changes that part, and the state of nothing else.
        proxy.config_file.write_text("nonsense: 1\n")
        proxy.signal(1)
        while True:
            name, data = following()
            if name == "parts" and "reloads" in {part["id"] for part in data["parts"]}:
                assert "r0" not in {part["id"] for part in data["parts"]} and int(data["version"]) > int(version)
                break
    # Who was away gets what is newer than what it has.
    with events(site, f"since={version}&log=999999") as following:
        name, data = following()
        assert name == "parts" and "r0" not in {part["id"] for part in data["parts"]}


def test_another_process_has_another_document(start) -> None:
    site = Admin(start({"echo": "http://127.0.0.1:1"}, **ADMIN))
    with events(site, "since=99&instance=0-1") as following:
        assert following()[0] == "anew"


def test_other_routes_make_another_document(start) -> None:
    proxy = start({"echo": "http://127.0.0.1:1"}, **ADMIN)
    site = Admin(proxy)
    with events(site, "since=0&log=0") as following:
        following()
        proxy.config_file.write_text(proxy.config_file.read_text().replace('echo: "', 'other: "'))
        proxy.signal(1)
        while following()[0] != "anew":
            pass


def test_readers_are_bounded(start) -> None:
    """Sixteen read, the seventeenth hears that there are enough, and a place is free when one has gone."""
    proxy = start({"echo": "http://127.0.0.1:1"}, **ADMIN)
    site = Admin(proxy)
    site.wait_until("/readyz", 200)
    readers = []
    for _ in range(16):
        connection = site.connect(timeout=10)
        connection.request("GET", "/events")
        assert connection.getresponse().status == 200
        readers.append(connection)
    assert site.ask("/events")[0] == 503
    assert site.ask("/status")[0] == 200
    readers.pop().sock.shutdown(socket.SHUT_RDWR)
    site_frees = time.monotonic() + 10
    while True:
        connection = site.connect(timeout=10)
        connection.request("GET", "/events")
        if connection.getresponse().status == 200:
            break
        assert time.monotonic() < site_frees
        connection.close()
    for reader in [*readers, connection]:
        reader.sock.close()


def test_a_reader_that_takes_nothing_is_dropped(start) -> None:
    """It holds one event at most, and nobody else waits for it."""
    routes = {f"r{number:04}": "http://127.0.0.1:1" for number in range(1000)}
    proxy = start(routes, **ADMIN)
    site = Admin(proxy)
    site.wait_until("/readyz", 200)
    host, port = site.address.rsplit(":", 1)
    before = resident(proxy.process.pid)
    slow = []
    for _ in range(8):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((host, int(port)))
        connection.sendall(f"GET /events?since=0&log=0 HTTP/1.1\r\nHost: {site.address}\r\n\r\n".encode())
        slow.append(connection)
    started = time.monotonic()
    assert site.ask("/healthz")[0] == 200 and time.monotonic() - started < 2
    end = time.monotonic() + 25
    while established(int(port)) >= 8:
        assert time.monotonic() < end, "the slow readers are still there"
        time.sleep(0.2)
    assert resident(proxy.process.pid) - before < 48 << 20
    for connection in slow:
        connection.close()


def resident(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096


def established(port: int) -> int:
    """Connections at that port, as the listening side sees them."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "01" for line in lines)
