"""What goes wrong with the folder and on the network: one clear error, nothing lost, and the next run finishes."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import TUNNEL_ID
from peers.setup import FAST, NAMES, Outcome, Output, Setup, TunnelsAPI, finished

NOBODY = 65534
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts, or runs as another user, which is for root")


def one_error(outcome: Outcome, *words: str) -> None:
    """One error that names the hop first and the remedy last."""
    lines = outcome.stderr.splitlines()
    errors = [line for line in lines if line.startswith("setup ")]
    assert len(errors) == 1, outcome.stderr
    assert lines[-1].startswith("  remedy: ") and len(lines[-1]) > 20
    for word in words:
        assert word in outcome.stderr, f"{word!r} is not in\n{outcome.stderr}"


def init(setup: Setup, output: Output, *arguments: str, **options: object) -> Outcome:
    return setup("init", f"--output={output}", FAST, "--token-version=1", *arguments, **options)


def finish(setup: Setup, api: TunnelsAPI, output: Output, tunnels: int) -> None:
    """The next run finishes, and there are no more tunnels than there should be."""
    output.age()
    init(setup, output)
    output.check(api)
    setup("verify", f"--output={output}")
    assert len(api.tunnels()) == tunnels
    assert len(api.authorities(output.text("tunnel-id"))) == 1


# The folder.


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts a file system of a given size."""
    mounted: list[Path] = []

    def mount(size: str) -> Path:
        folder = tmp_path / f"tmpfs-{len(mounted)}"
        folder.mkdir()
        result = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "setup-test", str(folder)], capture_output=True, check=False)
        if result.returncode != 0:
            pytest.skip("mounting is not permitted here")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@only_root
@pytest.mark.parametrize("free", range(0, 16))
def test_full_disk(
    setup: Setup, api: TunnelsAPI, tmpfs: Callable[..., Path], free: int
) -> None:
    """A file system of 20 pages with fewer and fewer of them free, until all goes well."""
    folder = tmpfs("80k")
    output, ballast = Output(folder / "data"), folder / "ballast"
    output.folder.mkdir()
    with ballast.open("wb") as file:
        file.write(b"\0" * 4096 * (20 - free))
    outcome = init(setup, output, status=None)
    if outcome.status == 0:
        output.check(api)
        assert free > 8
    else:
        assert outcome.status == 1
        one_error(outcome, "output", str(output), "no space left on device", "free space")
    # A tunnel that could not be written down is told in the error.
    created = [tunnel for tunnel in api.tunnels() if tunnel["id"] != TUNNEL_ID]
    if created and not output.path("tunnel-id").exists() and not output.path(".setup-journal").exists():
        assert created[0]["id"] in outcome.stderr or output.path("setup-state.json").exists()
    assert not output.path("tls.key").exists() or output.path("tls.crt").exists()
    ballast.unlink()
    finish(setup, api, output, tunnels=1 + 1)


@only_root
def test_full_disk_keeps_what_was_there(setup: Setup, api: TunnelsAPI, tmpfs: Callable[..., Path]) -> None:
    folder = tmpfs("80k")
    output = Output(folder / "data")
    init(setup, output)
    before = output.contents()
    with pytest.raises(OSError, match="No space"), (folder / "ballast").open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)
    for command in (["renew-cert"], ["init", "--token-version=2"], ["rotate-ca"], ["token", "rotate", "--yes"]):
        outcome = setup(*command, f"--output={output}", status=1)
        one_error(outcome, "output", "no space left on device")
        assert output.contents() == before
        setup("verify", f"--output={output}")
    (folder / "ballast").unlink()
    setup("init", f"--output={output}", "--token-version=2")
    output.check(api)


def writable_by_nobody(folder: Path) -> None:
    """Let every user come to the test's folder, and write nowhere."""
    while folder != Path(tempfile.gettempdir()):
        folder.chmod((folder.stat().st_mode | 0o055) & ~0o022)
        folder = folder.parent


@only_root
@pytest.mark.parametrize("kind", ["another's folder", "another's parent", "another's files"])
def test_without_permission(
    setup: Setup, api: TunnelsAPI, output: Output, tmp_path: Path, setup_binary: Path, kind: str
) -> None:
    writable_by_nobody(tmp_path)
    copy = tmp_path / "setup"
    shutil.copy(setup_binary, copy)
    copy.chmod(0o755)
    if kind == "another's folder":
        output.folder.mkdir(mode=0o755)
    elif kind == "another's files":
        init(setup, output)
        output.folder.chmod(0o777)
    outcome = init(Setup(copy, api), output, status=1, user=NOBODY, group=NOBODY, extra_groups=[])
    if kind == "another's files":
        # Who can write there could have put them there too.
        one_error(outcome, "output", str(output), "others can write", "--output-owner=0")
    else:
        one_error(outcome, "output", str(output), "permission denied", f"{NOBODY}:{NOBODY}", "chown")
    assert len(api.tunnels()) == (2 if kind == "another's files" else 1)


@only_root
def test_read_only_file_system(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    """`./data:/data:ro`, as the proxy has it."""
    init(setup, output)
    script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
    prefix = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", str(output.folder)]
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("a mount namespace of its own is not permitted here")
    before = output.contents()
    for command in (["init"], ["renew-cert"], ["rotate-ca"]):
        outcome = setup(*command, f"--output={output}", prefix=prefix, status=1)
        one_error(outcome, "output", "read-only file system", "mount the file system writable")
    # What only reads does not mind.
    setup("verify", f"--output={output}", prefix=prefix)
    setup("init", f"--output={output}", "--dry-run", prefix=prefix)
    setup("certs", "list", f"--output={output}", prefix=prefix)
    assert output.contents() == before


def test_missing_parent(setup: Setup, api: TunnelsAPI, tmp_path: Path) -> None:
    output = Output(tmp_path / "missing" / "data")
    one_error(init(setup, output, status=1), "output", str(output), "no such file or directory", "make the folder")
    assert api.calls() == []


def test_output_is_a_file(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    output.folder.write_text("mine")
    one_error(init(setup, output, status=1), "output", str(output), "not a directory")
    assert output.folder.read_text() == "mine" and api.calls() == []


@pytest.mark.parametrize("name", ["tunnel-id", "tls.key", "setup-state.json"])
def test_folder_in_place_of_a_file(setup: Setup, api: TunnelsAPI, output: Output, name: str) -> None:
    output.path(name).mkdir(parents=True)
    one_error(init(setup, output, status=1), "output", name, "not a file")
    assert len(api.tunnels()) == 1


def test_state_that_is_not_ours(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    output.folder.mkdir()
    for text in ("{", "[]", '{"version":2}', ""):
        output.path("setup-state.json").write_text(text)
        one_error(init(setup, output, status=1), "setup-state.json")
    assert len(api.tunnels()) == 1


def test_file_that_is_too_large(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    init(setup, output)
    with output.path("ca.crt").open("ab") as file:
        file.write(b"#" * (64 * 1024 + 1))
    one_error(init(setup, output, status=1), "ca.crt", "larger than 65536 bytes")


# Two runs at once.


@pytest.mark.parametrize("attach", [False, True], ids=["create", "attach"])
def test_two_runs_at_once(setup: Setup, api: TunnelsAPI, output: Output, attach: bool) -> None:
    environment = {"TUNNEL_ID": TUNNEL_ID} if attach else {}
    runs = [setup.start("init", f"--output={output}", FAST, "--token-version=1", environment=environment)
            for _ in range(3)]
    outcomes = [finished(run) for run in runs]
    assert [outcome.status for outcome in outcomes] == [0, 0, 0], "\n\n".join(outcome.all for outcome in outcomes)
    output.check(api)
    assert len(api.tunnels()) == (1 if attach else 2)
    assert len(api.authorities(output.text("tunnel-id"))) == 1
    # Once to store it, and twice to compare the stored one with it.
    assert api.audit().count("tunnel_token_revealed") == 3


def test_second_run_waits_for_the_first(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    api.fail("stall", "/v1/tunnels/*/certificates")
    first = setup.start("init", f"--output={output}", FAST)
    api.wait_for_fault(first)
    second = setup.start("renew-cert", f"--output={output}")
    assert second.stderr
    line = second.stderr.readline()
    assert "another run of setup" in line and f"process {first.pid}" in line and "waiting" in line
    # Whatever ends the first lets the second go on.
    first.kill()
    finished(first)
    outcome = finished(second)
    assert outcome.status == 1 and "setup init" in outcome.stderr
    finish(setup, api, output, tunnels=2)


def test_failure_while_a_key_is_made(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    """The process ends in the middle of that, and in order; often enough to meet the moment."""
    environment = {"ANTHROPIC_IDENTITY_TOKEN": None, "ANTHROPIC_IDENTITY_TOKEN_FILE": "/dev/null"}
    for key_type in ("rsa-4096", "ecdsa-p384"):
        for _ in range(30):
            setup("init", f"--output={output}", f"--key-type={key_type}", environment=environment, status=1)


# The network.


def test_says_what_it_waits_for(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    """A server that takes the connection and stays silent: no minute passes without a word."""
    api.fail("stall", "/v1/oauth/token")
    process = setup.start("init", f"--output={output}", FAST, environment={"TUNNEL_ID": TUNNEL_ID})
    assert process.stderr
    line = process.stderr.readline()
    process.kill()
    finished(process)
    assert line == f"{api.url} has not responded to POST for 5 s; waiting up to 30 s\n"


def test_refused_connection(setup: Setup, api: TunnelsAPI, output: Output, refusing_port: int) -> None:
    address = f"http://127.0.0.1:{refusing_port}"
    outcome = init(setup, output, f"--api-url={address}", status=1)
    one_error(outcome, "token exchange", "connection refused", address, "--api-url", "HTTPS_PROXY")
    assert output.names() == set()
    finish(setup, api, output, tunnels=2)


POSTS = {
    "exchange": "/v1/oauth/token", "create": "/v1/tunnels", "register": "/v1/tunnels/*/certificates",
    "reveal": "/v1/tunnels/*/reveal_token"}
#: What is asked after a lost answer, having been asked once before.
QUESTIONS = {"create": "/v1/tunnels", "register": "/v1/tunnels/*/certificates"}


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "drop_mid_body", "malformed_json"])
@pytest.mark.parametrize("step", POSTS)
def test_one_lost_answer_is_overcome(
    setup: Setup, api: TunnelsAPI, output: Output, step: str, kind: str
) -> None:
    """By another attempt, where that does no harm, or else by looking what became of it, or by the next run."""
    api.fail(kind, POSTS[step])
    outcome = init(setup, output, status=None)
    if outcome.status != 0:
        assert outcome.status == 1
        one_error(outcome, "Tunnels API" if step != "exchange" else "token exchange")
    finish(setup, api, output, tunnels=2)
    assert api.audit().count("tunnel_created") == 2


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
@pytest.mark.parametrize("step", POSTS)
def test_lost_answers_all_along(setup: Setup, api: TunnelsAPI, output: Output, step: str, kind: str) -> None:
    """No attempt gets an answer, nor the questions after it: the run fails, and the next finishes the work."""
    api.fail(kind, POSTS[step], times=20)
    if step in QUESTIONS:
        api.fail("drop_before", QUESTIONS[step], "GET", skip=1, times=20)
    outcome = init(setup, output, status=1)
    hop = "token exchange" if step == "exchange" else "Tunnels API"
    one_error(outcome, f"setup init: {hop}: ", "connection")
    assert not output.path("tls.key").exists()
    if step == "create":
        output.age()
        # Once more with everything as it was: it looks, and does not create on a mere suspicion.
        one_error(init(setup, output, status=1), f"setup init: {hop}: ")
        assert len(api.tunnels()) == (2 if kind == "drop_after" else 1)
    api.heal()
    finish(setup, api, output, tunnels=2)
    assert api.audit().count("tunnel_created") == 2
    assert api.audit().count("tunnel_certificate_added") == 1


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
def test_lost_rotation(setup: Setup, api: TunnelsAPI, output: Output, kind: str) -> None:
    init(setup, output)
    old = output.text("tunnel-token")
    api.fail(kind, "/v1/tunnels/*/rotate_token", times=20)
    one_error(setup("init", f"--output={output}", "--token-version=2", status=1), "Tunnels API", "rotate")
    assert (output.text("tunnel-token"), output.text("token-version")) == (old, "1")
    api.heal()
    before = api.audit().count("tunnel_token_rotated")
    setup("init", f"--output={output}", "--token-version=2")
    output.check(api)
    assert output.text("token-version") == "2" and output.text("tunnel-token") != old
    # One that has happened is taken, not done again.
    assert api.audit().count("tunnel_token_rotated") == (before or 1)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_passing_failures_are_overcome(setup: Setup, api: TunnelsAPI, output: Output, status: int) -> None:
    """All but for the creation, of which nobody can say what it did."""
    for path in ("/v1/oauth/token", "/v1/tunnels/*/certificates", "/v1/tunnels/*/reveal_token"):
        api.fail("answer", path, status=status, retry_after_ms="1")
    init(setup, output)
    output.check(api)
    assert len(api.tunnels()) == 2 and len(api.authorities(output.text("tunnel-id"))) == 1


@pytest.mark.parametrize("status", [429, 500, 529])
def test_lasting_failures_are_told(setup: Setup, api: TunnelsAPI, output: Output, status: int) -> None:
    api.fail("answer", "/v1/tunnels/*/certificates", "GET", status=status, retry_after_ms="1", times=20)
    outcome = init(setup, output, status=1)
    one_error(outcome, "Tunnels API", f"HTTP {status}", "request id req_", "try again later")
    assert len([call for call in api.calls() if call.startswith("GET") and call.endswith("/certificates")]) == 3
    report = init(setup, output, "--json", status=1).json["error"]
    assert report["is_temporary"] is (status != 500) and report["request_id"].startswith("req_")
    api.heal()
    finish(setup, api, output, tunnels=2)


@pytest.mark.parametrize("status", [500, 502, 503, 529, 429, 408])
def test_creation_is_never_sent_twice_where_it_may_have_happened(
    setup: Setup, api: TunnelsAPI, output: Output, status: int
) -> None:
    api.fail("answer", "/v1/tunnels", status=status, acts=True, retry_after_ms="1")
    outcome = init(setup, output, status=None)
    assert api.calls().count("POST /v1/tunnels") == 1
    if outcome.status:
        one_error(outcome, "Tunnels API", f"HTTP {status}", "request id req_")
    finish(setup, api, output, tunnels=2 if outcome.status == 0 or status in (500, 502, 503, 408) else 3)


def test_retry_after_beyond_our_patience(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    api.fail("answer", "/v1/oauth/token", status=429, retry_after="3600")
    one_error(init(setup, output, status=1), "token exchange", "HTTP 429", "asks for 3600 seconds", "request id req_")


@pytest.mark.parametrize("step", [*POSTS, "look"])
@pytest.mark.parametrize("kind", ["oversized_body", "html", "malformed_json"])
def test_answers_that_are_none(setup: Setup, api: TunnelsAPI, output: Output, kind: str, step: str) -> None:
    path, method = (POSTS[step], "POST") if step != "look" else ("/v1/tunnels/*/certificates", "GET")
    # A gateway's page of an error, which is tried again; a portal's page of a log-in, which is not.
    members = {"status": 502 if step == "exchange" else 200} if kind == "html" else {}
    api.fail(kind, path, method, times=20, **members)
    if step in QUESTIONS:
        api.fail(kind, QUESTIONS[step], "GET", skip=1, times=20, **members)
    outcome = init(setup, output, status=1)
    words = {"oversized_body": "1048576 bytes", "html": f"HTTP {members.get('status')}", "malformed_json": ""}
    one_error(outcome, "token exchange" if step == "exchange" else "Tunnels API", words[kind])
    assert "<html" not in outcome.stderr.lower()
    api.heal()
    finish(setup, api, output, tunnels=2)


# The texts that operators search for.


def test_cap_of_ten_tunnels(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    for number in range(9):
        api.make_tunnel(f"tunnel {number}")
    outcome = init(setup, output, status=1)
    one_error(
        outcome, "Tunnels API", "Organization already has the maximum of 10 non-archived Tunnels", "--tunnel-id",
        "archive", "request id req_")
    assert len(api.tunnels()) == 10 and output.names() == set()
    setup("tunnels", "archive", api.tunnels()[-1]["id"], "--yes")
    finish(setup, api, output, tunnels=10)


def test_failed_authentication(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    """The server says no more than that it failed: what the token says of itself is laid beside the rule's fields."""
    token = api.fresh_identity_token(subject="somebody")
    outcome = init(setup, output, status=1, environment={"ANTHROPIC_IDENTITY_TOKEN": token})
    one_error(
        outcome, "token exchange", "HTTP 401", "Authentication failed",
        "Ensure your federation rule matches your identity token.", "ANTHROPIC_WORKSPACE_ID",
        'its iss "https://', "with the URL of the rule's issuer", 'its sub "somebody" with subject_prefix', 'its aud "',
        "with audience", "its exp is 20",
        "View your authentication events in the Workload identity page of Claude Console for more details.",
        "request id req_")
    # Its claims are shown, and nothing of its text.
    for part in token.split("."):
        assert part not in outcome.all


@pytest.mark.parametrize(("token", "words"), [
    ("lifetime=-60", ["has ended at 20", "now", "this machine's clock"]),
    ("sk-ant-oat01-0123456789abcdefghijklmnop", ["is not a JWT: it has 1 part"]),
    ("eyJhbGciOiJub25lIn0.e30.", ["is not a JWT: it has no signature"])], ids=["ended", "a key", "not signed"])
def test_what_cannot_be_taken_is_not_sent(
    setup: Setup, api: TunnelsAPI, output: Output, token: str, words: list[str]
) -> None:
    if token == "lifetime=-60":
        token = api.fresh_identity_token(lifetime=-60)
    outcome = init(setup, output, status=1, environment={"ANTHROPIC_IDENTITY_TOKEN": token})
    one_error(outcome, "identity token", *words, "ANTHROPIC_IDENTITY_TOKEN_FILE")
    assert token not in outcome.all and api.calls() == []


def test_forbidden_after_the_exchange(
    setup_binary: Path, start_api: Callable[..., TunnelsAPI], output: Output
) -> None:
    api = start_api("--scope", "org:manage_tunnels", "--tunnel", f"staging={TUNNEL_ID}")
    outcome = init(Setup(setup_binary, api), output, "--api-generation=2", status=1)
    one_error(
        outcome, "Tunnels API", "HTTP 403", "workspace:manage_tunnels", "member of the tunnel's workspace",
        "request id req_")


def test_tunnel_of_another_workspace(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    other = api.make_tunnel("elsewhere", workspace_id="wrkspc_01Elsewhere")
    outcome = init(setup, output, f"--tunnel-id={other['id']}", status=1)
    one_error(outcome, "Tunnels API", "HTTP 404", "--tunnel-id", "ANTHROPIC_WORKSPACE_ID", "request id req_")


def test_archived_tunnel(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    init(setup, output, f"--tunnel-id={TUNNEL_ID}")
    before = output.contents()
    setup("tunnels", "archive", TUNNEL_ID, "--yes")
    outcome = init(setup, output, status=1)
    one_error(outcome, TUNNEL_ID, "archived", "--tunnel-id")
    assert output.contents() == before


def test_revoked_ca_is_not_registered_again(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    init(setup, output)
    entry, = api.authorities(output.text("tunnel-id"))
    setup("certs", "revoke", entry["id"], f"--output={output}", "--yes", "--force")
    one_error(init(setup, output, status=1), entry["id"], entry["fingerprint"], "revoked", "setup rotate-ca")
    setup("rotate-ca", f"--output={output}")
    setup("rotate-ca", "--finish", f"--output={output}")
    finish(setup, api, output, tunnels=2)
    assert output.names() == NAMES
