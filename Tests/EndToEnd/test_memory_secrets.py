"""Keys and tokens in the memory of the two programs: where they lie, and what is left when they are done with."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import REPOSITORY, TUNNEL_ID
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from peers.blocking import Tunnel, client_context
from peers.setup import Output, Setup, TunnelsAPI
from test_memory_wipe import memory
from test_session_tickets import made_by_hand

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may read the memory of every process")


def pieces(text: str, size: int = 24) -> list[bytes]:
    """Stretches of a secret, none of them the beginning that all of its kind have."""
    return [text[start : start + size].encode() for start in range(16, max(17, len(text) - size + 1), 16)]


def forms(name: str, secret: bytes) -> dict[str, bytes]:
    """A number or a string of bytes as it may lie in memory: as it stands, turned round, in hexadecimal and in base64."""
    return {
        name: secret, f"{name}, little-endian": secret[::-1], f"{name}, hexadecimal": secret.hex().encode(),
        f"{name}, base64": base64.b64encode(secret[: len(secret) // 3 * 3]),
    }


def left(held: bytes, secrets: dict[str, list[bytes]]) -> dict[str, int]:
    """How many stretches of each secret are in memory."""
    return {name: count for name, parts in secrets.items() if (count := sum(held.count(part) for part in parts))}


def file_secrets(folder: Path, *names: str) -> dict[str, list[bytes]]:
    """The lines of files that hold keys, as text and as the bytes that it means."""
    found: dict[str, list[bytes]] = {}
    for name in names:
        lines = [line for line in (folder / name).read_text().splitlines() if not re.match("-----|#", line)]
        found[f"{name}, text"] = [piece for line in lines for piece in pieces(line)]
        if name != "ticket-keys":
            data = base64.b64decode("".join(lines))
            # DER: a long number, with its leading bytes in front.
            found[f"{name}, DER"] = [data[start : start + 24] for start in range(len(data) - 72, len(data) - 24, 24)]
    return found


class Region:
    """One mapping of a process, from proc(5)'s smaps."""

    def __init__(self, process: int, address: int) -> None:
        self.flags: set[str] = set()
        self.locked = 0
        inside = False
        for line in Path(f"/proc/{process}/smaps").read_text().splitlines():
            if bounds := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
                inside = int(bounds[1], 16) <= address < int(bounds[2], 16)
            elif inside and line.startswith("VmFlags:"):
                self.flags = set(line.split()[1:])
            elif inside and line.startswith("Locked:"):
                self.locked = int(line.split()[1])


class Snapshot:
    """What a process can write to, by address."""

    def __init__(self, process: int) -> None:
        self.parts: list[tuple[int, bytes]] = []
        with open(f"/proc/{process}/mem", "rb", buffering=0) as file:
            for line in Path(f"/proc/{process}/maps").read_text().splitlines():
                if not (match := re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)):
                    continue
                start, end = (int(bound, 16) for bound in match.groups())
                try:
                    file.seek(start)
                    self.parts.append((start, file.read(end - start)))
                except OSError:
                    # Pages that the kernel alone may touch.
                    continue

    def places(self, secret: bytes) -> list[int]:
        """The addresses at which a secret stands."""
        found = []
        for start, data in self.parts:
            at = data.find(secret)
            while at >= 0:
                found.append(start + at)
                at = data.find(secret, at + 1)
        return found


def test_keys_of_the_proxy(start, certificates, tmp_path: Path) -> None:
    """After handshakes of both kinds: of the files nothing is left, and each number of the keys stands where it must."""
    folder = tmp_path / "keys"
    certificate, key = certificates.authority.issue(
        "*.t.example", key=rsa.generate_private_key(65537, 2048)).write(folder)
    tickets, rotate = made_by_hand(folder)
    old = tickets.read_text()
    proxy = start(
        {"echo": "http://127.0.0.1:1"}, threads=1,
        tls={"cert_file": str(certificate), "key_file": str(key), "ticket_keys_file": str(tickets),
             "reload_interval": "50ms"})
    context = client_context(proxy.far.ca_file)

    def shake_hands() -> None:
        session = None
        for _ in range(6):
            with Tunnel(proxy.endpoint.port, "echo.t.example", context, session=session) as tunnel:
                assert tunnel.request("GET", "/").status == 502
                assert tunnel.tls.session_reused == (session is not None)
                session = tunnel.tls.session

    shake_hands()
    subprocess.run(["bash", "-euc", rotate], cwd=folder, check=True, capture_output=True, timeout=10)
    proxy.wait_for("session ticket keys reloaded")
    shake_hands()
    process = proxy.process.pid
    files = file_secrets(folder, key.name, "ticket-keys")
    # The proxy looks at its files all the time, and has them in hand for a millisecond.
    assert any(left(memory(process), files) == {} for _ in range(5))
    held = memory(process)
    snapshot = Snapshot(process)
    before = [base64.b64decode(line) for line in old.splitlines()]
    after = [base64.b64decode(line) for line in tickets.read_text().splitlines()]
    # The oldest key went with the rotation, in each of its parts.
    assert [held.count(part) for part in (before[0], before[0][16:48], before[0][48:])] == [0, 0, 0]
    for number in after:
        (place,) = snapshot.places(number)
        assert_is_kept_apart(process, place)
    # The private numbers of RSA: once, in OpenSSL's order of bytes. Its primes also as moduli of Montgomery's form.
    numbers = serialization.load_pem_private_key(key.read_bytes(), password=None).private_numbers()
    for name, value, copies in [("d", numbers.d, 1), ("p", numbers.p, 2), ("q", numbers.q, 2), ("dp", numbers.dmp1, 1),
                                ("dq", numbers.dmq1, 1), ("qinv", numbers.iqmp, 1)]:
        size = 256 if name == "d" else 128
        found = {form: snapshot.places(data) for form, data in forms(name, value.to_bytes(size, "big")).items()}
        inside = found.pop(f"{name}, little-endian")
        assert not any(found.values()), found
        apart = [place for place in inside if is_kept_apart(process, place)]
        assert len(apart) == 1 and len(inside) <= copies, (name, inside)


def is_kept_apart(process: int, place: int) -> bool:
    return {"dd", "lo"} <= Region(process, place).flags


def assert_is_kept_apart(process: int, place: int) -> None:
    region = Region(process, place)
    assert {"dd", "lo"} <= region.flags, "in no core file, and locked"
    assert region.locked > 0, "never in swap"


def test_without_leave_to_lock_all_else_holds(start, tmp_path: Path) -> None:
    tickets, _ = made_by_hand(tmp_path)
    # Root may lock whatever the limit is, so another user it is.
    tickets.chmod(0o644)
    proxy = start(
        {"echo": "http://127.0.0.1:1"}, tls={"ticket_keys_file": str(tickets)},
        before=["prlimit", "--memlock=0", "setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-all"])
    key = base64.b64decode(tickets.read_text().splitlines()[1])
    (place,) = Snapshot(proxy.process.pid).places(key)
    assert "dd" in Region(proxy.process.pid, place).flags
    with Tunnel(proxy.endpoint.port, "echo.t.example", client_context(proxy.far.ca_file)) as tunnel:
        assert tunnel.request("GET", "/").status == 502


@pytest.fixture(scope="session")
def stopping(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What has a program stop itself at its end, when LD_PRELOAD names it."""
    library = tmp_path_factory.mktemp("preload") / "stop-at-exit.so"
    source = REPOSITORY / "Tests" / "Support" / "stop-at-exit.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    return library


def stopped_at_its_end(process: subprocess.Popen[str]) -> None:
    """Waits until a program has done its work, and has stopped."""
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        process.returncode = os.waitstatus_to_exitcode(status)
    assert os.WIFSTOPPED(status), process.communicate()


def secrets_of(api: TunnelsAPI, output: Output) -> dict[str, list[bytes]]:
    """All that setup has read or made."""
    state = api.state()
    texts = {"identity token": api.identity_token, "API_TOKEN": api.KEY}
    texts |= {f"access token {number}": token["value"] for number, token in enumerate(state["access_tokens"])}
    for tunnel in state["tunnels"]:
        for number, token in enumerate([tunnel.get("token", ""), *tunnel["former_tokens"]]):
            if token:
                texts[f"tunnel token {number}"] = token
    found = {name: pieces(text) for name, text in texts.items()}
    keys = [name for name in ("ca.key", "tls.key", "ticket-keys") if output.path(name).exists()]
    return found | file_secrets(output.folder, *keys)


COMMANDS = [
    ["init", "--key-type=ecdsa-p256"], ["init", "--key-type=rsa-2048"], ["init", "--token-version=2"], ["renew-cert"],
    ["token", "rotate", "--yes"], ["rotate-ca"], ["verify"], ["tunnels", "list"]]


@pytest.mark.parametrize("credential", ["identity token", "API_TOKEN"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_setup_leaves_nothing_in_memory(
    setup: Setup, api: TunnelsAPI, output: Output, stopping: Path, command: list[str], credential: str
) -> None:
    """Stopped when its work is done: what it has read, fetched and made is not to be found any more."""
    environment = {**dict.fromkeys(api.environment()), "API_TOKEN": api.KEY} if credential == "API_TOKEN" else {}
    if command[0] != "init":
        setup("init", f"--output={output}", "--key-type=ecdsa-p256", environment=environment)
    place = [] if command[:2] == ["tunnels", "list"] else [f"--output={output}"]
    before = secrets_of(api, output) if output.folder.exists() else {}
    # As `make release` links it: the loader that binds a call late would write the registers to the stack for it.
    preload = {"LD_PRELOAD": str(stopping), "LD_BIND_NOW": "1"}
    process = setup.start(*command, *place, environment={**environment, **preload})
    try:
        stopped_at_its_end(process)
        held = memory(process.pid)
        assert TUNNEL_ID.encode() in held, "the look finds what is there"
        assert left(held, before | secrets_of(api, output)) == {}
    finally:
        process.send_signal(signal.SIGCONT)
        process.communicate(timeout=30)
    assert process.returncode == 0


@pytest.mark.parametrize(("limit", "least", "most"), [
    ("unlimited", 4_097, 1 << 30), (str(2 << 20), 1_024, 1_024), ("65536", 0, 0)])
def test_setup_is_locked_where_it_may_be(
    setup: Setup, api: TunnelsAPI, output: Output, limit: str, least: int, most: int
) -> None:
    """Without a limit all of it, under one the keys alone, or nothing; it does its work all the same."""
    prefix = ["prlimit", f"--memlock={limit}", "setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-all"]
    if subprocess.run([*prefix[:2], "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let root lift the limit")
    api.fail("stall", "/v1/tunnels/*/reveal_token")
    process = setup.start("init", f"--output={output}", "--key-type=ecdsa-p256", prefix=prefix)
    try:
        api.wait_for_fault(process)
        status = Path(f"/proc/{process.pid}/status").read_text()
    finally:
        process.kill()
        process.communicate(timeout=10)
    locked = int(re.search(r"^VmLck:\s+(\d+) kB", status, re.MULTILINE)[1])  # type: ignore[index]
    assert least <= locked <= most
    api.heal()
    setup("init", f"--output={output}", "--key-type=ecdsa-p256", prefix=prefix)
    output.check(api)
