"""The MCP SDK's server behind the proxy and its client in front, both majors of the SDK."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import DOMAIN, REPOSITORY

FOLDER = REPOSITORY / "Tests" / "EndToEnd"
PYTHON = {"1": FOLDER / ".venv-mcp1" / "bin" / "python", "2": FOLDER / ".venv" / "bin" / "python"}
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY / "Tests" / "Support")}


@pytest.fixture(params=["1", "2"], ids=["server mcp 1", "server mcp 2"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    """The port of a running MCP server that answers only to its public name."""
    with open(tmp_path / "server.log", "wb") as log:
        process = subprocess.Popen(
            [str(PYTHON[request.param]), "-m", "peers.mcp_server", f"mcp.{DOMAIN}"],
            env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
        )
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()
            process.wait()


async def play(proxy, scenario: str, client: str, mode: str, *more: str) -> list[dict]:
    """Run a scenario of the SDK's client in its own environment and return what it saw, in order."""
    far = proxy.far
    address = f"{far.endpoint.host}:{far.endpoint.port}"
    process = await asyncio.create_subprocess_exec(
        str(PYTHON[client]), "-m", "peers.mcp_client", scenario, address, str(far.ca_file), DOMAIN, "mcp", mode, *more,
        env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    try:
        output, errors = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        raise
    assert process.returncode == 0, errors.decode()[-3000:]
    return [json.loads(line) for line in output.splitlines()]


CLIENTS = [("1", "legacy"), ("2", "legacy"), ("2", "auto")]


@pytest.mark.deadline(60)
@pytest.mark.parametrize(("client", "mode"), CLIENTS)
async def test_initialize_list_call_and_progress(start, server: int, client: str, mode: str) -> None:
    proxy = start({"mcp": f"http://127.0.0.1:{server}"})
    seen = await play(proxy, "tour", client, mode)
    names = [event["event"] for event in seen]
    assert names[:3] == ["ready", "tools", "echo"] and names[-2:] == ["passed", "closed"]
    assert seen[1]["names"] == ["echo", "open_gate", "wait_at"]
    assert seen[2]["text"] == "grüß dich, tunnel"
    # The gate was opened because progress came while the call was running.
    assert names.index("progress") < names.index("opening gate") < names.index("passed")
    assert seen[-2]["text"] == "passed tour"


@pytest.mark.deadline(60)
@pytest.mark.parametrize("client", ["1", "2"])
async def test_resumption_and_end_of_the_session(start, server: int, client: str) -> None:
    proxy = start({"mcp": f"http://127.0.0.1:{server}"})
    seen = await play(proxy, "resume", client, "legacy")
    by_name = {event["event"]: event for event in seen}
    assert by_name["resumed"]["status"] == 200 and by_name["resumed"]["type"].startswith("text/event-stream")
    # After the break only what was missed comes: the second progress and the answer.
    after = seen[seen.index(by_name["resumed"]) + 1 :]
    assert [event["event"] for event in after] == ["progress", "passed", "deleted", "after"]
    assert after[0]["done"] == 2
    assert after[1]["text"] == "passed resume"
    assert by_name["deleted"]["status"] == 200 and by_name["after"]["status"] == 404


@pytest.mark.deadline(90)
@pytest.mark.parametrize("client", ["1", "2"])
async def test_fifty_sessions_at_once(start, server: int, client: str) -> None:
    proxy = start({"mcp": f"http://127.0.0.1:{server}"})
    seen = await play(proxy, "crowd", client, "legacy")
    assert sorted(event["text"] for event in seen) == sorted(f"session {number}" for number in range(50))


async def test_host_check_of_the_server_is_met(start, server: int) -> None:
    """The SDK answers 421 to names it was not told: proof that it sees the public name, and only that."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()
    headers = [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")]
    url = f"http://127.0.0.1:{server}"
    proxy = start({"mcp": url, "alias": url})
    async with proxy.far.http("mcp") as http:
        assert (await http.request("POST", "/mcp", headers, body)).status != 421
        assert (await http.request("POST", "/mcp", headers, body, host=f"alias.{DOMAIN}")).status == 421
        assert (await http.get("/")).status == 404
