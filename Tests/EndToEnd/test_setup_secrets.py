"""No secret reaches a log, an error, the command line, the environment that /proc shows, or a core file."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import TUNNEL_ID
from peers.setup import FAST, Outcome, Output, Setup, TunnelsAPI, finished

PASSWORD = "proxy-password-0123456789"


class Watch:
    """What must not be seen, with the names to tell it by."""

    def __init__(self, api: TunnelsAPI, output: Output) -> None:
        self.api, self.output = api, output
        self.secrets = {
            "identity token": api.identity_token, "API_TOKEN": api.KEY, "proxy password": PASSWORD,
            "proxy authorization": base64.b64encode(f"user:{PASSWORD}".encode()).decode()}

    def all(self) -> dict[str, str]:
        """Those that are known by now: tokens of the API, and keys in the folder."""
        found = dict(self.secrets)
        state = self.api.state()
        for number, token in enumerate(state["access_tokens"]):
            found[f"access token {number}"] = token["value"]
        for tunnel in state["tunnels"]:
            tokens = [tunnel["token"]] if tunnel.get("token") else []
            for number, token in enumerate([*tokens, *tunnel["former_tokens"]]):
                found[f"tunnel token {number} of {tunnel['id']}"] = token
        if self.output.folder.exists():
            for path in [*self.output.folder.glob("*.key"), *self.output.folder.glob("ticket-keys")]:
                # Without the lines that anybody may know.
                found[path.name] = re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE)
        return found

    def check(self, where: str, text: str, *, but: str = "") -> None:
        """Neither whole nor in part: a stretch of 24 characters is enough to be told."""
        for name, secret in self.all().items():
            if but and name.startswith(but):
                continue
            for line in secret.splitlines():
                if line.startswith("-----"):
                    continue
                # A JWT's and a token's beginning is the same for all; what follows is what must not be told.
                for start in range(0, max(1, len(line) - 24), 8):
                    piece = line[start:start + 24]
                    if len(piece) == 24 and start >= 16 or len(line) < 24:
                        assert piece not in text, f"the {name} is in {where}: {text[:2000]}"
        assert "BEGIN PRIVATE KEY" not in text, where

    def check_outcome(self, outcome: Outcome, *, but: str = "") -> None:
        self.check("standard error", outcome.stderr)
        self.check("standard output", outcome.stdout, but=but)


@pytest.fixture
def watch(api: TunnelsAPI, output: Output) -> Watch:
    return Watch(api, output)


COMMANDS: list[list[str]] = [
    ["init", FAST, "--token-version=1"], ["init", "--token-version=2", "--json"], ["init", "--dry-run"],
    ["renew-cert"], ["renew-cert", "--json"], ["verify"], ["verify", "--json"], ["tunnels", "list"],
    ["tunnels", "list", "--json"], ["tunnels", "get"], ["certs", "list"], ["certs", "list", "--json"],
    ["token", "reveal"], ["token", "reveal", "--json"], ["token", "rotate", "--yes"],
    ["token", "rotate", "--yes", "--json"], ["rotate-ca"], ["rotate-ca", "--json"], ["rotate-ca", "--finish"],
    ["generate-certs"]]


def arguments(command: list[str], output: Output) -> list[str]:
    if command == ["generate-certs"]:
        return [*command, f"--output={output}", f"--tunnel-domain={output.text('tunnel-domain')}"]
    return command if command[:2] == ["tunnels", "list"] else [*command, f"--output={output}"]


def test_no_command_shows_a_secret(setup: Setup, api: TunnelsAPI, output: Output, watch: Watch) -> None:
    for command in COMMANDS:
        outcome = setup(*arguments(command, output), environment={"HTTPS_PROXY": f"http://user:{PASSWORD}@127.0.0.1:1"})
        watch.check_outcome(outcome)


def test_reveal_shows_the_token_where_it_is_asked_for_and_nowhere_else(
    setup: Setup, api: TunnelsAPI, output: Output, watch: Watch
) -> None:
    setup("init", f"--output={output}", FAST)
    tunnel_id, token = output.text("tunnel-id"), output.text("tunnel-token")
    shown = setup("token", "reveal", f"--tunnel-id={tunnel_id}")
    assert shown.stdout == token + "\n"
    watch.check_outcome(shown, but="tunnel token")
    shown = setup("token", "rotate", "--yes", f"--tunnel-id={tunnel_id}", "--json")
    assert shown.json["tunnel_token"] == api.tunnel(tunnel_id)["token"]
    watch.check_outcome(shown, but="tunnel token")


PATHS = ["/v1/oauth/token", "/v1/tunnels", "/v1/tunnels/*/certificates", "/v1/tunnels/*/reveal_token",
         "/v1/tunnels/*/rotate_token"]


# A key is not exchanged, so it never comes to the token endpoint.
@pytest.mark.parametrize(
    ("path", "credential"), [(path, "identity token") for path in PATHS] + [(path, "API_TOKEN") for path in PATHS[1:]])
def test_server_that_repeats_what_it_was_sent(
    setup: Setup, api: TunnelsAPI, output: Output, watch: Watch, path: str, credential: str
) -> None:
    environment = {**dict.fromkeys(api.environment()), "API_TOKEN": api.KEY} if credential == "API_TOKEN" else {}
    if "rotate" in path:
        setup("init", f"--output={output}", FAST, "--token-version=1", environment=environment)
    for status in (400, 401, 403, 500):
        api.fail("echo", path, status=status, times=9, should_retry=False)
        for extra in ([], ["--json"]):
            outcome = setup(
                "init", f"--output={output}", FAST, "--token-version=2", *extra, status=1, environment=environment)
            output.age()
            assert f"HTTP {status}" in outcome.stderr
            watch.check_outcome(outcome)
        api.heal()


# Each command held in the middle of its work, and the request that it is held at.
HELD = [
    (["init", FAST], "/v1/oauth/token", "POST"), (["init", FAST], "/v1/tunnels/*/certificates", "POST"),
    (["init", FAST], "/v1/tunnels/*/reveal_token", "POST"), (["tunnels", "list"], "/v1/tunnels", "GET"),
    (["tunnels", "get", TUNNEL_ID], "/v1/tunnels/*", "GET"),
    (["certs", "list", f"--tunnel-id={TUNNEL_ID}"], "/v1/tunnels/*/certificates", "GET"),
    (["token", "reveal", f"--tunnel-id={TUNNEL_ID}"], "/v1/tunnels/*/reveal_token", "POST"),
    (["token", "rotate", f"--tunnel-id={TUNNEL_ID}", "--yes"], "/v1/tunnels/*/rotate_token", "POST"),
    (["tunnels", "archive", TUNNEL_ID, "--yes"], "/v1/tunnels/*/archive", "POST")]


HELD_WITH = [(*row, "identity token") for row in HELD] + [(*row, "API_TOKEN") for row in HELD if "oauth" not in row[1]]


@pytest.mark.parametrize(
    ("command", "path", "method", "credential"), HELD_WITH,
    ids=[f"{' '.join(row[0][:2])} at {row[1]} with {row[3]}" for row in HELD_WITH])
def test_process_shows_no_secret_while_it_runs(
    setup: Setup, api: TunnelsAPI, output: Output, watch: Watch, command: list[str], path: str, method: str,
    credential: str,
) -> None:
    environment = {"HTTPS_PROXY": f"http://user:{PASSWORD}@127.0.0.1:1", "https_proxy": f"http://u:{PASSWORD}@[::1]:1"}
    if credential == "API_TOKEN":
        environment |= {**dict.fromkeys(api.environment()), "API_TOKEN": api.KEY}  # type: ignore[dict-item]
    api.fail("stall", path, method)
    if command[0] == "init":
        command = [*command, f"--output={output}"]
    process = setup.start(*command, environment=environment)
    try:
        api.wait_for_fault(process)
        folder = Path(f"/proc/{process.pid}")
        watch.check("the command line", (folder / "cmdline").read_text())
        # Only root may look; another process of the same user may not even that.
        if os.geteuid() == 0:
            seen = (folder / "environ").read_text()
            assert "PATH=" in seen, "there is nothing to be seen at all"
            watch.check("the environment", seen)
        limits = (folder / "limits").read_text()
        assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE), limits
        # Not dumpable: its files in /proc are root's, whoever runs it.
        assert (folder / "mem").stat().st_uid == 0
        # Nor do the threads have another environment, or any child.
        assert all(not (task / "children").read_text() for task in (folder / "task").iterdir()
                   if (task / "children").exists())
    finally:
        process.kill()
        outcome = finished(process)
    watch.check_outcome(outcome)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which is for root")
def test_another_process_of_the_same_user_sees_nothing(
    setup: Setup, api: TunnelsAPI, tmp_path: Path, setup_binary: Path
) -> None:
    user = 65532
    copy = tmp_path / "setup"
    copy.write_bytes(setup_binary.read_bytes())
    for folder in [copy, *list(tmp_path.parents)[:2], tmp_path]:
        folder.chmod(0o755)
    api.fail("stall", "/v1/tunnels", "GET")
    process = Setup(copy, api).start("tunnels", "list", user=user, group=user, extra_groups=[])
    try:
        api.wait_for_fault(process)
        for name in ("environ", "mem", "maps"):
            look = subprocess.run(
                ["cat", f"/proc/{process.pid}/{name}"], user=user, group=user, extra_groups=[], capture_output=True,
                text=True, check=False)
            assert look.returncode != 0 and "Permission denied" in look.stderr, name
    finally:
        process.kill()
        finished(process)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGILL, signal.SIGBUS, signal.SIGQUIT])
def test_crash_leaves_no_core_file_and_no_report(
    setup: Setup, api: TunnelsAPI, tmp_path: Path, number: signal.Signals
) -> None:
    """Even where the shell's limit would allow a file; and the runtime's report would show memory."""
    api.fail("stall", "/v1/tunnels", "GET")
    process = setup.start(
        "tunnels", "list", cwd=tmp_path, environment={"SWIFT_BACKTRACE": "enable=yes"},
        prefix=["bash", "-c", 'ulimit -c unlimited 2>/dev/null; exec "$0" "$@"'])
    api.wait_for_fault(process)
    process.send_signal(number)
    outcome = finished(process, timeout=10)
    assert (outcome.status, outcome.all) == (-number, "")
    assert not list(tmp_path.glob("core*"))


def test_secrets_given_in_place_of_names_are_not_repeated(
    setup: Setup, api: TunnelsAPI, output: Output, watch: Watch
) -> None:
    """The classic mistakes: a token where a file or an id belongs."""
    for name in ("ANTHROPIC_IDENTITY_TOKEN_FILE", "ANTHROPIC_FEDERATION_RULE_ID", "ANTHROPIC_ORGANIZATION_ID",
                 "ANTHROPIC_WORKSPACE_ID", "TUNNEL_ID", "HTTPS_PROXY"):
        value = f"socks5://user:{PASSWORD}@host" if name == "HTTPS_PROXY" else api.identity_token
        removed = {"ANTHROPIC_IDENTITY_TOKEN": None} if name == "ANTHROPIC_IDENTITY_TOKEN_FILE" else {}
        outcome = setup("init", f"--output={output}", FAST, environment={name: value, **removed}, status=None)
        assert outcome.status in (1, 2)
        watch.check_outcome(outcome)
    outcome = setup("init", f"--output={output}", FAST, f"--api-url=https://user:{PASSWORD}@api.example", status=2)
    watch.check_outcome(outcome)


def test_secrets_in_the_output_are_not_repeated_in_errors(
    setup: Setup, api: TunnelsAPI, output: Output, watch: Watch
) -> None:
    """Files in each other's place."""
    setup("init", f"--output={output}", FAST, "--token-version=1")
    before = output.contents()
    token = api.tunnel(output.text("tunnel-id"))["token"]
    watch.secrets |= {"ca.key": output.text("ca.key"), "tls.key": output.text("tls.key"), "the token": token}
    for name in ("tunnel-id", "tunnel-domain", "token-version", "ca.crt", "tls.crt"):
        for other in ("ca.key", "tunnel-token"):
            output.path(name).write_bytes(before[other])
            for command in (["verify"], ["verify", "--json"], ["renew-cert", FAST], ["init", FAST], ["tunnels", "get"]):
                outcome = setup(*command, f"--output={output}", status=None)
                watch.check(f"what {command} says", outcome.all)
            for each, content in before.items():
                output.path(each).write_bytes(content)
