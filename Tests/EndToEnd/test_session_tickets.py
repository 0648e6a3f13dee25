"""Keys for TLS session tickets that several proxies share: who comes back to another replica resumes its session."""

from __future__ import annotations

import base64
import json
import random
import re
import ssl
import subprocess
from pathlib import Path

import pytest
from conftest import write_configuration
from cryptography.hazmat.primitives.asymmetric import rsa
from peers.admin import Admin
from peers.metrics import Scrape, scrape
from peers.proxy import Proxy
from peers.setup import FAST, Output, Setup
from peers.upstream import Upstream, echo
from printed import blocks_under

VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
HANDSHAKES = "mcp_tunnel_tls_handshakes_total"


def made_by_hand(folder: Path) -> tuple[Path, str]:
    """Keys as docs/configuration.md makes them, and the lines by which it rotates them."""
    (block,) = blocks_under("docs/configuration.md", "Session tickets")
    umask, make, *rotate = block.splitlines()
    run(folder, f"{umask}\n{make}")
    return folder / "ticket-keys", "\n".join(rotate)


def run(folder: Path, script: str) -> None:
    subprocess.run(["bash", "-euc", script], cwd=folder, check=True, capture_output=True, timeout=30)


async def come_back(
    proxy: Proxy, context: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[bool, ssl.SSLSession]:
    """One connection with the last one's session: whether it was resumed, and the session for the next."""
    async with proxy.far.http("echo", context=context, session=session) as http:
        # TLS 1.3 hands its tickets out after the handshake.
        assert (await http.get()).status == 200
        assert http.stream.tls.session
        return http.stream.tls.session_reused, http.stream.tls.session


def handshakes(scrapes: list[Scrape], resumed: str) -> float:
    return sum(
        value for found in scrapes for labels, value in found.all(HANDSHAKES).items()
        if ("resumed", resumed) in labels)


@pytest.mark.deadline(120)
@pytest.mark.parametrize("shared", [True, False], ids=["shared", "alone"])
@pytest.mark.parametrize("version", VERSIONS)
async def test_replicas_resume_each_others_sessions(
    start, certificates, tmp_path: Path, version: str, shared: bool, record_property
) -> None:
    """Forty clients come back nine times each, behind a balancer that takes three replicas in turn."""
    clients, returns = 40, 9
    # The usual kind of key, whose signatures are what a resumption saves.
    certificate, key = certificates.authority.issue(
        "*.t.example", key=rsa.generate_private_key(65537, 2048)).write(tmp_path / "rsa")
    tls = {"cert_file": str(certificate), "key_file": str(key)}
    if shared:
        tls["ticket_keys_file"] = str(made_by_hand(tmp_path)[0])
    async with Upstream(echo) as upstream:
        replicas = [start({"echo": upstream}, tls=tls, admin_addr="127.0.0.1:0", threads=1) for _ in range(3)]
        context = replicas[0].far.context(maximum=VERSIONS[version])
        sessions: list[ssl.SSLSession | None] = [None] * clients
        # Each comes when it wants to, so the next replica is a stranger to it as often as chance has it.
        order = [client for client in range(clients) for _ in range(returns + 1)]
        random.Random(20260728).shuffle(order)
        resumed = 0
        for number, client in enumerate(order):
            is_first = sessions[client] is None
            was_resumed, sessions[client] = await come_back(replicas[number % 3], context, sessions[client])
            assert not (is_first and was_resumed)
            resumed += was_resumed
        share = resumed / (clients * returns)
        scrapes = [scrape(Admin(replica)) for replica in replicas]
        assert handshakes(scrapes, "true") == resumed
        # Each replica asks itself once after its start.
        signatures = handshakes(scrapes, "false") - len(replicas)
        assert signatures == len(order) - resumed
        record_property("resumed", f"{share:.1%} of {clients * returns} reconnects, {signatures:.0f} RSA signatures")
        if shared:
            assert share > 0.95
            assert signatures == clients, "one for each client, and none for its reconnects"
        else:
            assert 0.23 < share < 0.43, "one of three knows the ticket"
        assert all(replica.process.poll() is None for replica in replicas)


@pytest.mark.deadline(60)
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_rotation_is_not_seen_by_clients(start, tmp_path: Path, version: str) -> None:
    """The file changes under one replica, and minutes later under the other; whoever comes back meanwhile resumes."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    first, rotate = made_by_hand(folders[0])
    (folders[1] / "ticket-keys").write_bytes(first.read_bytes())
    async with Upstream(echo) as upstream:
        early, late = (
            start({"echo": upstream}, tls={"ticket_keys_file": str(folder / "ticket-keys"), "reload_interval": "50ms"})
            for folder in folders)
        context = early.far.context(maximum=VERSIONS[version])
        reused, session = await come_back(late, context, None)
        for turn in range(3):
            run(folders[0], rotate)
            await early.logged("session ticket keys reloaded", count=turn + 1)
            for replica in (early, late, late, early):
                reused, session = await come_back(replica, context, session)
                assert reused, (turn, replica is early)
            (folders[1] / "ticket-keys").write_bytes(first.read_bytes())
            await late.logged("session ticket keys reloaded", count=turn + 1)
            for replica in (early, late, early):
                reused, session = await come_back(replica, context, session)
                assert reused, (turn, replica is early)
        seals = [replica.found("session ticket keys (re)?loaded")[-1].fields["key"] for replica in (early, late)]
        assert seals[0] == seals[1], "the log says who seals alike"


async def test_a_restart_is_not_seen_by_clients(start, tmp_path: Path) -> None:
    file, _ = made_by_hand(tmp_path)
    async with Upstream(echo) as upstream:
        settings = {"tls": {"ticket_keys_file": str(file)}}
        first = start({"echo": upstream}, **settings)
        context = first.far.context()
        _, session = await come_back(first, context, None)
        assert first.stop() == 0
        reused, _ = await come_back(start({"echo": upstream}, **settings), context, session)
        assert reused


async def test_a_file_of_setup_is_taken_when_it_comes(start, setup: Setup, output: Output) -> None:
    """A folder of an earlier setup has none; the next renewal makes it, and each day another key seals."""
    setup("generate-certs", f"--output=dir:{output.folder}", "--tunnel-domain=t.example", FAST)
    made = output.path("ticket-keys")
    assert output.mode("ticket-keys") == 0o600
    made.unlink()
    proxy = start(
        {"echo": "http://127.0.0.1:1"}, tls={"ticket_keys_file": str(made), "reload_interval": "50ms"})
    await proxy.logged("finding=ticket-keys-missing")
    renew = ["renew-cert", f"--output=dir:{output.folder}", "--renew-before=720h", "--json"]
    outcome = setup(*renew)
    assert json.loads(outcome.stdout)["ticket_keys"] == "made" and not json.loads(outcome.stdout)["renewed"]
    assert "session ticket keys made" in outcome.stderr
    key = (await proxy.logged("session ticket keys reloaded")).fields["key"]
    before = made.read_text().splitlines()
    assert json.loads(setup(*renew).stdout)["ticket_keys"] == "kept" and made.read_text().splitlines() == before
    # A day passes.
    made.write_text(re.sub(r"# rotated \d{4}", "# rotated 2020", made.read_text()))
    assert json.loads(setup(*renew).stdout)["ticket_keys"] == "rotated"
    after = made.read_text().splitlines()
    assert after[2:4] == before[3:5] and after[4] not in before and output.mode("ticket-keys") == 0o600
    line = await proxy.logged(f"session ticket keys reloaded.*key=(?!{key})")
    # What seals now was the next key before.
    assert line.fields["key"] == base64.b64decode(after[3])[:4].hex() == base64.b64decode(before[4])[:4].hex()
    # No key is in the log, whole or in part.
    for text in {*before[2:], *after[2:]}:
        assert text[24:48] not in proxy.log and base64.b64decode(text)[16:32].hex() not in proxy.log


GOOD = [base64.b64encode(bytes([number]) * 80).decode() for number in range(1, 4)]


@pytest.mark.parametrize(("text", "problem"), [
    ("", "0 of 3 keys"), ("\n".join(GOOD[:2]), "2 of 3 keys"),
    ("\n".join([*GOOD, base64.b64encode(b"4" * 80).decode()]), "line 4: a fourth key"),
    ("\n".join([GOOD[0], GOOD[1][:-4], GOOD[2]]), "line 2: 104 characters; a key is 80 bytes in base64"),
    ("\n".join([*GOOD[:2], GOOD[0]]), "line 3: the key of line 1 again"),
    (GOOD[0][:-2] + "?=", "line 1: not base64"), (None, "permission denied"),
])
def test_a_file_that_cannot_be_used(
    binary: Path, configuration: dict, tmp_path: Path, text: str | None, problem: str
) -> None:
    """The start and `check` name configuration, line, field, file and remedy, and nothing of a key."""
    file = tmp_path / "ticket-keys"
    file.write_text("\n".join(GOOD) if text is None else text)
    file.chmod(0o600)
    if text is None:
        # Whatever the user, a folder is no file.
        file.unlink()
        file.mkdir()
        problem = "is a directory"
    config = tmp_path / "config.yaml"
    write_configuration(config, configuration, {"echo": "http://127.0.0.1:1"}, tls={"ticket_keys_file": str(file)})
    started = subprocess.run([binary, "-config", config], capture_output=True, text=True, timeout=20, check=False)
    assert started.returncode == 1
    assert re.search(rf"config\.yaml:\d+.*tls\.ticket_keys_file: .*{re.escape(str(file))}", started.stderr)
    assert problem in started.stderr and "setup renew-cert" in started.stderr
    checked = subprocess.run(
        [binary, "check", "-config", config, "-json"], capture_output=True, text=True, timeout=60, check=False)
    (found,) = (each for each in json.loads(checked.stdout)["checks"] if each["id"] == "session-tickets")
    assert found["fault"] == "ticket-keys-unusable" and problem in found["evidence"][0]
    for line in GOOD:
        assert line[8:24] not in started.stderr + checked.stdout


def test_check_says_whether_keys_are_shared(binary: Path, configuration: dict, tmp_path: Path) -> None:
    def check(**tls: object) -> dict:
        config = tmp_path / "config.yaml"
        write_configuration(config, configuration, {"echo": "http://127.0.0.1:1"}, tls=tls)
        result = subprocess.run(
            [binary, "check", "-config", config, "-json"], capture_output=True, text=True, timeout=60, check=False)
        return {each.get("fault", each["id"]): each for each in json.loads(result.stdout)["checks"]}

    file, _ = made_by_hand(tmp_path)
    assert "not set" in check()["session-tickets"]["summary"]
    assert "clients get none" in check(session_tickets=False)["session-tickets"]["summary"]
    shared = check(ticket_keys_file=str(file))
    assert f"{file}: 3 keys" in shared["session-tickets"]["summary"] and "ticket-keys-missing" not in shared
    missing = check(ticket_keys_file=str(tmp_path / "nothing"))
    assert missing["ticket-keys-missing"]["level"] == "warn" and "session-tickets" not in missing
    file.chmod(0o644)
    assert str(file) in check(ticket_keys_file=str(file))["key-readable-by-others"]["evidence"][0]
