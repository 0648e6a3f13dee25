"""The commands beside `init` and `renew-cert`: what they do, say, ask, and end with."""

from __future__ import annotations

import json
import os
import pty
import re
from pathlib import Path

import pytest
from conftest import TUNNEL_ID
from peers.certificates import DAY, Draft, make_key
from peers.setup import FAST, Output, Setup, TunnelsAPI, finished

COMMANDS = {
    "init": ["--api-url", "--tunnel-id", "--output", "--output-owner", "--display-name", "--token-version",
             "--refresh-token", "--drop-old-ca", "--cert-duration",
             "--key-type", "--api-generation", "--dry-run", "--json"],
    "renew-cert": ["--output", "--output-owner", "--cert-duration", "--renew-before", "--key-type", "--json"],
    "generate-certs": ["--tunnel-domain", "--output", "--output-owner", "--cert-duration", "--key-type", "--json"],
    "verify": ["--output", "--output-owner", "--ca", "--cert", "--key", "--tunnel-domain", "--expires-within",
               "--api", "--api-url", "--api-generation", "--json"],
    "rotate-ca": ["--api-url", "--output", "--output-owner", "--finish", "--json"],
    "tunnels list": ["--api-url", "--archived", "--archived-only", "--workspace", "--json"],
    "tunnels get": ["--api-url", "--tunnel-id", "--output", "--output-owner", "--json"],
    "tunnels create": ["--api-url", "--display-name", "--json"],
    "tunnels archive": ["--api-url", "--yes", "--json"],
    "certs list": ["--api-url", "--tunnel-id", "--output", "--output-owner", "--archived", "--archived-only", "--json"],
    "certs add": ["--api-url", "--tunnel-id", "--output", "--output-owner", "--json"],
    "certs revoke": ["--api-url", "--tunnel-id", "--output", "--output-owner", "--force", "--yes", "--json"],
    "token reveal": ["--api-url", "--tunnel-id", "--output", "--output-owner", "--json"],
    "token rotate": ["--api-url", "--tunnel-id", "--output", "--output-owner", "--reason", "--yes", "--json"],
}


@pytest.fixture
def alone(setup_binary: Path) -> Setup:
    """Setup without any API."""
    return Setup(setup_binary)


# Help, usage, exit statuses.


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_names_the_flags_and_has_an_example(alone: Setup, command: str, flag: str) -> None:
    outcome = alone(*command.split(), flag)
    assert outcome.stderr == ""
    assert outcome.stdout.startswith(f"Usage: setup {command} ")
    for name in [*COMMANDS[command], "--help"]:
        assert re.search(rf"^  {name}\b", outcome.stdout, re.MULTILINE), name
    example = outcome.stdout.split("\nExample:\n")[1]
    assert example.startswith(f"  setup {command} ")


@pytest.mark.parametrize("command", COMMANDS)
def test_example_works(setup: Setup, api: TunnelsAPI, output: Output, tmp_path: Path, command: str) -> None:
    """As it stands, with this machine's address, folder and certificate in place of the example's."""
    if command not in ("init", "generate-certs"):
        setup("init", f"--output={output}", FAST, environment={"TUNNEL_ID": TUNNEL_ID})
    if command == "certs add":
        key = make_key("p256")
        (tmp_path / "ca.crt").write_bytes(Draft.authority().signed(key, key))
    example = setup(*command.split(), "--help").stdout.split("\nExample:\n")[1].strip()
    for old, new in {"https://api.anthropic.com": api.url, "dir:/data": str(output),
                     "tcrt_01JmWq4ZxnBvR7tKpY2sLdH9": (api.authorities(TUNNEL_ID) or [{"id": ""}])[0]["id"]}.items():
        example = example.replace(old, new)
    extra = ["--yes", "--force"] if command == "certs revoke" else [FAST] if command in ("init", "generate-certs") else []
    setup(*example.split()[1:], *extra, environment={"API_URL": None}, cwd=tmp_path)


@pytest.mark.parametrize("flag", ["--help", "-help", "-h", "help"])
def test_help_names_every_command(alone: Setup, flag: str) -> None:
    outcome = alone(flag)
    for command in COMMANDS:
        assert f"  {command} " in outcome.stdout
    for name in ("ANTHROPIC_FEDERATION_RULE_ID", "API_TOKEN", "HTTPS_PROXY", "Exit status"):
        assert name in outcome.stdout


@pytest.mark.parametrize("group", ["tunnels", "certs", "token"])
@pytest.mark.parametrize("form", ["{} --help", "--help {}", "help {}"])
def test_help_of_a_group_lists_its_commands(alone: Setup, group: str, form: str) -> None:
    outcome = alone(*form.format(group).split())
    assert outcome.stdout.startswith(f"Usage: setup {group} COMMAND [flags]\n") and outcome.stderr == ""
    for command in COMMANDS:
        assert (f"  {command} " in outcome.stdout) == command.startswith(f"{group} ")


def test_flags_may_stand_before_the_command(alone: Setup, output: Output) -> None:
    alone("--output", str(output), "generate-certs", "--tunnel-domain=abcd1234.tunnel.anthropic.com", FAST)
    assert "tls.crt" in output.names()


@pytest.mark.parametrize("flag", ["--version", "-version", "version"])
def test_version(alone: Setup, flag: str) -> None:
    outcome = alone(flag)
    assert re.match(r"setup \d+\.\d+\.\d+\n", outcome.stdout) and "TunnelSetup" in outcome.stdout


USAGE = [
    ([], "a command is needed"),
    (["inti"], "did you mean init?"),
    (["renew-crt"], "did you mean renew-cert?"),
    (["tunnels"], "tunnels list|get|create|archive"),
    (["tunnels", "lst"], "did you mean list?"),
    (["token", "--yes"], "token reveal|rotate"),
    (["init", "--ouput=dir:/data"], "did you mean --output?"),
    (["init", "--tokenversion=1"], "did you mean --token-version?"),
    (["init", "--out=dir:/data"], "did you mean --output?"),
    (["verify", "--finish"], "flag --finish belongs to rotate-ca"),
    (["renew-cert", "--renew-befor=1h"], "did you mean --renew-before?"),
    (["init", "--nothing-like-it"], "unknown flag --nothing-like-it"),
    (["init", "--output"], "flag needs a value: --output"),
    (["init", "--output="], "flag is empty: --output"),
    (["init", "--json=perhaps"], "flag takes no value: --json"),
    (["init", "---output", "x"], "bad flag syntax"),
    (["init", "surplus"], "unexpected argument surplus"),
    (["tunnels", "archive"], "ID is needed"),
    (["certs", "revoke", "a", "b"], "unexpected argument b"),
    (["init"], "--output"),
    (["init", "--output=/data"], "dir:/path or k8s-secret:NAME"),
    (["init", "--output=dir:"], "dir:/path or k8s-secret:NAME"),
    (["init", "--output=k8s-secret:Not_A_Name"], "dir:/path or k8s-secret:NAME"),
    (["renew-cert", "--output=dir:/x", "--output-owner=nobody-of-that-name"], "--output-owner is a user's name or number"),
    (["renew-cert", "--output=k8s-secret:x", "--output-owner=root"], "--output-owner goes with --output=dir:/path"),
    (["renew-cert", "--output-owner=root"], "--output-owner goes with --output=dir:/path"),
    (["verify", "--ca=x", "--output-owner=root"], "--output-owner goes with --output=dir:/path"),
    (["renew-cert", "--output=dir:/x", "--renew-before=30d"], "--renew-before"),
    (["renew-cert", "--output=dir:/x", "--renew-before=-1h"], "--renew-before must be at least 0"),
    (["renew-cert", "--output=dir:/x", "--cert-duration=59s"], "--cert-duration must be at least 1m"),
    (["renew-cert", "--output=dir:/x", "--key-type=ecdsa-p265"], "did you mean ecdsa-p256?"),
    (["generate-certs", "--output=dir:/x"], "--tunnel-domain"),
    (["verify"], "--output"),
    (["verify", "--ca=x"], "--ca, --cert and --key go together"),
    (["verify", "--output=dir:/x", "--ca=x"], "give one"),
    (["init", "--output=dir:/x", "--api-generation=3", "--api-url=https://api.anthropic.com"], "1 or 2"),
]


@pytest.mark.parametrize(("arguments", "text"), USAGE, ids=[" ".join(row[0]) or "nothing" for row in USAGE])
def test_usage_errors_end_with_2_and_a_line_each(
    alone: Setup, tmp_path: Path, arguments: list[str], text: str
) -> None:
    outcome = alone(*arguments, status=2, cwd=tmp_path)
    assert text in outcome.stderr and "--help" in outcome.stderr and outcome.stdout == ""
    first, *others = outcome.stderr.splitlines()
    assert bool(others) == (" settings are missing or wrong (" in first)
    assert all(line.startswith(("  - ", "    remedy: ")) for line in others)
    assert list(tmp_path.iterdir()) == []


IDENTITY = {
    "ANTHROPIC_FEDERATION_RULE_ID": "fdrl_01Rule", "ANTHROPIC_ORGANIZATION_ID": "00000000-0000-4000-8000-000000000001"}
SEVERAL = [
    (["init"], {}, 2, [
        "--api-url or API_URL is needed: base URL of the API: https://api.anthropic.com",
        "--output is needed outside of a Kubernetes pod: dir:/path or k8s-secret:NAME",
        "not set: ANTHROPIC_FEDERATION_RULE_ID, ANTHROPIC_ORGANIZATION_ID, ANTHROPIC_IDENTITY_TOKEN_FILE or "
        "ANTHROPIC_IDENTITY_TOKEN (or set API_TOKEN to a Tunnels API key)",
    ]),
    (["init", "--output-owner=no-such-user", "--output=data", "--cert-duration=3d", "--key-type=rsa", "--api-generation=9"],
     {"API_URL": "ftp://x", "ANTHROPIC_FEDERATION_RULE_ID": "x", "ANTHROPIC_ORGANIZATION_ID": "x",
      "ANTHROPIC_WORKSPACE_ID": "x", "ANTHROPIC_IDENTITY_TOKEN_FILE": "no-such-token", "HTTPS_PROXY": "socks5://x"}, 2, [
        "--api-url must start with https://",
        "--output is dir:/path or k8s-secret:NAME, not data",
        "--output-owner is a user's name or number, and there is no no-such-user",
        "--cert-duration: unknown unit in duration",
        "--key-type is one of rsa-2048",
        "--api-generation is 1 or 2",
        "ANTHROPIC_FEDERATION_RULE_ID must be",
        "ANTHROPIC_ORGANIZATION_ID must be",
        "ANTHROPIC_WORKSPACE_ID must be",
        "HTTPS_PROXY: a SOCKS proxy is not supported",
        'identity token: cannot authenticate: failed to read identity token file "no-such-token": no such file',
     ]),
    (["rotate-ca", "--output=dir:nowhere", "--api-url=https://api.example"],
     {**IDENTITY, "ANTHROPIC_IDENTITY_TOKEN_FILE": "no-such-token"}, 1, [
        "output: dir:nowhere: no such folder",
        'identity token: cannot authenticate: failed to read identity token file "no-such-token": no such file',
    ]),
    (["renew-cert", "--output=dir:damaged", "--renew-before=1d"], {}, 2, [
        "output: dir:damaged: damaged/tls.key is a folder",
        "--renew-before: unknown unit",
    ]),
    (["verify", "--ca=a", "--cert=damaged", "--key=c"], {}, 1, [
        "certificate: open a: no such file", "certificate: read damaged: is a directory", "certificate: open c: no such file",
    ]),
    (["verify", "--cert=c", "--output=dir:damaged", "--api"], {"API_TOKEN": "with a blank"}, 2, [
        "--output and --cert are two ways", "--ca, --cert and --key go together", "certificate: open c",
        "--api-url or API_URL is needed", "API_TOKEN must be",
    ]),
    (["generate-certs", "--tunnel-domain=*.t.example"], {}, 2, ["--tunnel-domain is the tunnel's", "--output is needed"]),
    (["certs", "add", "no-such-file", "--api-url=https://api.example"], {**IDENTITY, "ANTHROPIC_IDENTITY_TOKEN": "x"}, 2, [
        "--tunnel-id, TUNNEL_ID or an --output that holds a tunnel is needed", "certificate: open no-such-file",
        "identity token: cannot authenticate: identity token value is not a JWT",
    ]),
    (["token", "reveal", "--api-url=https://api.example", "--output=dir:nowhere", "--tunnel-id=tnl_1"], {}, 2, [
        "output: dir:nowhere: no such folder", "not set: ANTHROPIC_FEDERATION_RULE_ID",
    ]),
]


@pytest.mark.parametrize(("arguments", "variables", "status", "problems"), SEVERAL, ids=[" ".join(row[0]) for row in SEVERAL])
def test_all_that_is_wrong_is_reported_in_one_run(
    alone: Setup, tmp_path: Path, arguments: list[str], variables: dict[str, str], status: int, problems: list[str]
) -> None:
    """In the order of the documentation; nothing is asked and nothing changed. As JSON too."""
    (tmp_path / "damaged/tls.key").mkdir(parents=True, mode=0o755)
    outcome = alone(*arguments, status=status, cwd=tmp_path, environment=variables)
    first, *others = outcome.stderr.splitlines()
    assert first.startswith(f"setup {' '.join(arguments[:2] if arguments[0] in ('certs', 'token') else arguments[:1])}: ")
    assert f"{len(problems)} settings are missing or wrong (" in first
    found = [line.removeprefix("  - ") for line in others if line.startswith("  - ")]
    assert [line[:len(wanted)] for line, wanted in zip(found, problems, strict=True)] == problems
    error = alone(*arguments, "--json", status=status, cwd=tmp_path, environment=variables).json["error"]
    told = [f"{'' if one['hop'] == 'usage' else one['hop'] + ': '}{one['reason']}" for one in error["problems"]]
    assert told == found
    for one in error["problems"]:
        assert one["hop"] == "usage" or f"    remedy: {one['remedy']}" in others
    assert [path.name for path in tmp_path.iterdir()] == ["damaged"]


def test_failures_are_json_too(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    api.fail("answer", "/v1/oauth/token", status=403)
    outcome = setup("init", f"--output={output}", "--json", FAST, status=1)
    error = outcome.json["error"]
    assert error["hop"] == "token exchange" and "HTTP 403" in error["reason"] and error["remedy"]
    assert error["request_id"].startswith("req_") and error["is_temporary"] is False
    assert error["reason"] in outcome.stderr


# generate-certs.


def test_generate_certs(alone: Setup, output: Output) -> None:
    """Without any API; it says where to upload ca.crt, and keeps what is there."""
    arguments = ["generate-certs", "--tunnel-domain=abcd1234.tunnel.anthropic.com", f"--output={output}"]
    outcome = alone(*arguments, FAST, "--json")
    assert output.names() == {"ca.crt", "ca.key", "tls.crt", "tls.key", "ticket-keys", "tunnel-domain"}
    report = outcome.json
    assert report["ca"]["fingerprint"] == output.fingerprint()
    assert report["server_certificate"]["fingerprint"] == output.fingerprint("tls.crt")
    assert report["ca_is_new"] is report["server_certificate_is_new"] is True
    for word in ("ca.crt", "Console", "Add certificate", output.fingerprint()):
        assert word in report["next"] and word in outcome.stderr
    before = output.contents()
    again = alone(*arguments, "--json").json
    assert output.contents() == before and again["ca_is_new"] is again["server_certificate_is_new"] is False
    other = alone("generate-certs", "--tunnel-domain=other.example", f"--output={output}", status=1)
    assert "abcd1234.tunnel.anthropic.com" in other.stderr and output.contents() == before
    alone("verify", f"--output={output}")


@pytest.mark.parametrize("domain", ["https://t.example", "t.example:443", "*.t.example", "t..example", "t_.example",
                                    "x" * 64 + ".example", "täst.example", "-t.example"])
def test_generate_certs_refuses_what_is_no_domain(alone: Setup, output: Output, domain: str) -> None:
    outcome = alone("generate-certs", f"--tunnel-domain={domain}", f"--output={output}", FAST, status=2)
    assert "--tunnel-domain" in outcome.stderr and "DNS name" in outcome.stderr and not output.folder.exists()


def test_manual_certificates_are_registered_by_init(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    """From the manual flow to the programmatic one: the CA that is there is used."""
    domain = api.tunnel(TUNNEL_ID)["domain"]
    setup("generate-certs", f"--tunnel-domain={domain}", f"--output={output}", FAST)
    before = output.contents()
    outcome = setup("init", f"--output={output}", "--json", environment={"TUNNEL_ID": TUNNEL_ID})
    output.check(api)
    assert outcome.json["ca"]["action"] == "registered"
    assert {name: content for name, content in output.contents().items() if name in before} == before


# tunnels.


def test_tunnels_list_and_get(setup: Setup, api: TunnelsAPI) -> None:
    made = [api.make_tunnel(f"tunnel {number}")["id"] for number in range(3)]
    setup("tunnels", "archive", made[0], "--yes")
    listed = setup("tunnels", "list", "--json").json
    assert [tunnel["id"] for tunnel in listed] == [made[2], made[1], TUNNEL_ID]
    everything = setup("tunnels", "list", "--archived", "--json").json
    assert [tunnel["id"] for tunnel in everything] == [made[2], made[1], made[0], TUNNEL_ID]
    assert everything[2]["archived_at"] and everything[0]["display_name"] == "tunnel 2"
    table = setup("tunnels", "list", "--archived").stdout.splitlines()
    assert table[0].split() == ["ID", "DOMAIN", "CREATED", "STATE", "NAME"] and len(table) == 5
    assert made[0] in table[3] and "Archived" in table[3]
    only = setup("tunnels", "list", "--archived-only", "--json").json
    assert [tunnel["id"] for tunnel in only] == [made[0]]
    got = setup("tunnels", "get", TUNNEL_ID, "--json").json
    assert got["id"] == TUNNEL_ID and got["domain"] == api.tunnel(TUNNEL_ID)["domain"]
    assert got["domain"] in setup("tunnels", "get", environment={"TUNNEL_ID": TUNNEL_ID}).stdout
    missing = setup("tunnels", "get", "tnl_01Missing", status=1)
    assert "HTTP 404" in missing.stderr and "request id req_" in missing.stderr


def test_tunnels_have_the_state_that_the_console_shows(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    created = setup("tunnels", "create", "--display-name=made here", "--json").json
    assert created["id"] == api.tunnels()[-1]["id"] and created["display_name"] == "made here"
    assert created["state"] == "needs-certificate"
    setup("init", f"--output={output}", FAST, environment={"TUNNEL_ID": TUNNEL_ID})
    gone = api.make_tunnel("gone")["id"]
    setup("tunnels", "archive", gone, "--yes")
    states = {entry["id"]: entry["state"] for entry in setup("tunnels", "list", "--archived", "--json").json}
    assert states == {TUNNEL_ID: "active", created["id"]: "needs-certificate", gone: "archived"}
    table = setup("tunnels", "list", "--archived").stdout
    assert "Needs certificate" in table and "Active" in table and "Archived" in table
    assert "Needs certificate" in setup("tunnels", "get", created["id"]).stdout


def test_tunnels_list_reads_all_pages(setup: Setup, api: TunnelsAPI) -> None:
    """More than a page of the default size, archived ones among them because of the cap."""
    ids = [TUNNEL_ID]
    for number in range(24):
        ids.append(api.make_tunnel(f"tunnel {number}")["id"])
    listed = setup("tunnels", "list", "--archived", "--json").json
    assert [tunnel["id"] for tunnel in listed] == ids[::-1]


def test_names_that_others_chose_stay_on_their_line(setup: Setup, api: TunnelsAPI) -> None:
    api.make_tunnel("nice\nID  evil \u001b[31mred\u202e")
    table = setup("tunnels", "list").stdout
    assert table.count("\n") == 3 and "\u001b" not in table and "\u202e" not in table
    assert setup("tunnels", "list", "--json").json[0]["display_name"] == "nice\nID  evil \u001b[31mred\u202e"


def at_terminal(setup: Setup, typed: str, *arguments: str) -> tuple[int, str]:
    """Run setup at a terminal, type a line when it asks, and return its status and what the terminal showed."""
    controller, terminal = pty.openpty()
    process = setup.start(*arguments, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    shown = b""
    try:
        while piece := os.read(controller, 4096):
            shown += piece
            if b" to go on: " in shown and typed:
                os.write(controller, typed.encode() + b"\n")
                typed = ""
    except OSError:
        pass  # Linux says EIO where the terminal's last user is gone.
    os.close(controller)
    return process.wait(30), shown.decode()


def at_half_a_terminal(setup: Setup, typed: str, *arguments: str) -> tuple[int, str]:
    """The same, where standard input is a terminal and standard error is not."""
    controller, terminal = pty.openpty()
    os.write(controller, typed.encode() + b"\n")
    process = setup.start(*arguments, stdin=terminal)
    os.close(terminal)
    _, stderr = process.communicate(timeout=30)
    os.close(controller)
    return process.returncode, stderr


ASKED = [
    (["tunnels", "archive", TUNNEL_ID], TUNNEL_ID, "cannot be undone", "tunnel_archived"),
    (["certs", "revoke", "CERTIFICATE", "--force"], "CERTIFICATE", "the last one", "tunnel_certificate_revoked"),
    (["token", "rotate"], TUNNEL_ID, "ends the use of the old token", "tunnel_token_rotated"),
]


@pytest.mark.parametrize(("command", "name", "warning", "event"), ASKED, ids=[" ".join(row[0][:2]) for row in ASKED])
def test_what_cannot_be_undone_is_asked_for(
    setup: Setup, api: TunnelsAPI, output: Output, command: list[str], name: str, warning: str, event: str
) -> None:
    setup("init", f"--output={output}", FAST, environment={"TUNNEL_ID": TUNNEL_ID})
    certificate = api.authorities(TUNNEL_ID)[0]["id"]
    command = [word.replace("CERTIFICATE", certificate) for word in command]
    name = name.replace("CERTIFICATE", certificate)
    if command[0] != "tunnels":
        command.append(f"--output={output}")
    # Without a terminal: refused, even if something is written to standard input.
    process = setup.start(*command, stdin=-1)
    stdout, stderr = process.communicate(f"{name}\n", timeout=30)
    assert process.returncode == 2 and "--yes" in stderr and "no terminal" in stderr
    assert event not in api.audit()
    # Nor where the question would go into a file.
    status, stderr = at_half_a_terminal(setup, name, *command)
    assert status == 2 and "no terminal" in stderr
    assert event not in api.audit()
    for typed in ("yes", name[:-1], ""):
        if typed:
            status, shown = at_terminal(setup, typed, *command)
            assert status == 1 and warning in shown and name in shown
            assert event not in api.audit()
    status, shown = at_terminal(setup, name, *command)
    assert status == 0, shown
    assert api.audit().count(event) == 1


def test_yes_does_not_ask(setup: Setup, api: TunnelsAPI) -> None:
    archived = setup("tunnels", "archive", TUNNEL_ID, "--yes", "--json").json
    assert archived["id"] == TUNNEL_ID and archived["archived_at"]
    # Once more it is the same, and no error.
    assert setup("tunnels", "archive", TUNNEL_ID, "--yes", "--json").json == archived


# certs.


def test_certs_list_add_revoke(setup: Setup, api: TunnelsAPI, tmp_path: Path) -> None:
    where = f"--tunnel-id={TUNNEL_ID}"
    keys, made = [make_key("p256") for _ in range(3)], []
    for number, key in enumerate(keys[:2]):
        file = tmp_path / f"ca-{number}.crt"
        file.write_bytes(Draft.authority().signed(key, key))
        made.append(setup("certs", "add", str(file), where, "--json").json)
    assert [entry["id"] for entry in api.authorities(TUNNEL_ID)] == [entry["id"] for entry in made]
    listed = setup("certs", "list", where, "--json").json
    assert {entry["fingerprint"] for entry in listed} == {entry["fingerprint"] for entry in made}
    third = tmp_path / "third.crt"
    third.write_bytes(Draft.authority().signed(keys[2], keys[2]))
    refused = setup("certs", "add", str(third), where, status=1)
    assert "2 active CA certificates already" in refused.stderr
    assert made[0]["id"] in refused.stderr and made[1]["id"] in refused.stderr
    # One that is there already has words of its own.
    again = setup("certs", "add", str(tmp_path / "ca-0.crt"), where, "--json")
    assert "is registered already, as " + made[0]["id"] in again.stderr and again.json == made[0]
    assert len(api.authorities(TUNNEL_ID)) == 2
    revoked = setup("certs", "revoke", made[0]["id"], where, "--yes", "--json").json
    assert revoked["archived_at"]
    assert len(setup("certs", "list", where, "--json").json) == 1
    assert [entry["id"] for entry in setup("certs", "list", where, "--archived-only", "--json").json] == [made[0]["id"]]
    assert "1 of 2 places for a CA are taken" in setup("certs", "list", where).stderr
    table = setup("certs", "list", where, "--archived").stdout
    assert "revoked" in table and "active" in table and made[0]["fingerprint"] in table
    setup("certs", "add", str(third), where)


def test_the_ca_in_use_is_known_and_not_revoked_by_mistake(setup: Setup, api: TunnelsAPI, output: Output, tmp_path: Path) -> None:
    setup("init", f"--output={output}", FAST, environment={"TUNNEL_ID": TUNNEL_ID})
    ours, = api.authorities(TUNNEL_ID)
    # The tunnel's last one, whoever asks.
    outcome = setup("certs", "revoke", ours["id"], f"--tunnel-id={TUNNEL_ID}", "--yes", status=1)
    assert "the tunnel's last CA" in outcome.stderr and "--force" in outcome.stderr
    key, file = make_key("p256"), tmp_path / "other.crt"
    file.write_bytes(Draft.authority().signed(key, key))
    other = setup("certs", "add", str(file), f"--output={output}", "--json").json
    listed = setup("certs", "list", f"--output={output}")
    line = next(line for line in listed.stdout.splitlines() if ours["id"] in line)
    assert line.endswith(f"that of {output}") and listed.stdout.count(str(output)) == 1
    assert "2 of 2 places for a CA are taken" in listed.stderr
    known = {entry["id"]: entry["is_ours"] for entry in setup("certs", "list", f"--output={output}", "--json").json}
    assert known == {ours["id"]: True, other["id"]: False}
    # That of the output, although there is another.
    outcome = setup("certs", "revoke", ours["id"], f"--output={output}", "--yes", status=1)
    assert f"is the CA in {output}" in outcome.stderr and "rotate-ca" in outcome.stderr
    assert len(api.authorities(TUNNEL_ID)) == 2
    setup("certs", "revoke", other["id"], f"--output={output}", "--yes")
    setup("certs", "revoke", ours["id"], f"--output={output}", "--yes", "--force")
    assert "is not among those in force" in setup("certs", "list", f"--output={output}").stderr


def test_certs_add_checks_before_it_sends(setup: Setup, api: TunnelsAPI, tmp_path: Path) -> None:
    key, file = make_key("p256"), tmp_path / "ca.crt"
    for content, rule in [
        (Draft.authority().having(basic=None).signed(key, key), "ca-basic-constraints"),
        (Draft("x", "x", ends=-DAY / 2).signed(key, key), "currently-valid"), (b"", "pem")]:
        file.write_bytes(content)
        outcome = setup("certs", "add", str(file), f"--tunnel-id={TUNNEL_ID}", "--json", status=1)
        assert rule in [finding["rule"] for finding in outcome.json["error"]["findings"]]
        assert f"[{rule}]" in outcome.stderr
    outcome = setup("certs", "add", str(tmp_path / "missing"), f"--tunnel-id={TUNNEL_ID}", status=1)
    assert "no such file" in outcome.stderr
    assert api.calls() == []


# token.


def test_token_reveal_and_rotate(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    where = f"--tunnel-id={TUNNEL_ID}"
    first = api.tunnel(TUNNEL_ID)["token"]
    assert setup("token", "reveal", where).stdout == f"{first}\n"
    rotated = setup("token", "rotate", where, "--yes", "--reason=leaked", "--json").json
    assert rotated["tunnel_token"] == api.tunnel(TUNNEL_ID)["token"] != first
    event = next(event for event in api.state()["audit"] if event["kind"] == "tunnel_token_rotated")
    assert event["reason"] == "leaked" and event["token_id"] == rotated["id"]
    # Into an output, which must be that tunnel's.
    setup("init", f"--output={output}", FAST, "--token-version=1", environment={"TUNNEL_ID": TUNNEL_ID})
    outcome = setup("token", "rotate", f"--output={output}", "--yes")
    assert outcome.stdout == "" and output.text("token-version") == "1"
    output.check(api)
    output.path("tunnel-token").write_text("lost")
    setup("token", "reveal", f"--output={output}")
    output.check(api)
    other = api.make_tunnel("other")
    outcome = setup("token", "rotate", f"--output={output}", f"--tunnel-id={other['id']}", "--yes", status=1)
    assert other["id"] in outcome.stderr and TUNNEL_ID in outcome.stderr
    assert api.tunnel(other["id"])["former_tokens"] == []


# --dry-run, --json of init, verify of an output.


def test_dry_run_prints_the_plan_and_changes_nothing(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    plans = [
        ([], {}, ["create a tunnel", "make a CA", "fetch the tunnel token", "issue a server certificate"]),
        ([], {"TUNNEL_ID": TUNNEL_ID}, [f"attach to tunnel {TUNNEL_ID}", "make a CA", "fetch the tunnel token"])]
    for arguments, environment, words in plans:
        outcome = setup("init", f"--output={output}", "--dry-run", *arguments, environment=environment)
        for word in words:
            assert f"would {word}" in outcome.stdout
    assert not output.folder.exists() and set(api.audit()) == {"tunnel_created", "tunnel_token_minted"}
    setup("init", f"--output={output}", FAST, "--token-version=1")
    before, changes = output.contents(), api.audit()
    plan = setup("init", f"--output={output}", "--dry-run", "--token-version=2", "--json").json["plan"]
    assert plan[0].startswith("use the stored tunnel") and plan[1].startswith("use the stored CA")
    assert plan[2] == "rotate the tunnel token to version 2" and plan[3] == "keep the stored server certificate"
    assert output.contents() == before
    assert [event for event in api.audit()[len(changes):] if event != "tunnel_token_minted"] == []
    # A run that holds the folder does not hold up one that only looks.
    api.fail("stall", "/v1/tunnels/*/rotate_token")
    process = setup.start("init", f"--output={output}", "--token-version=2")
    api.wait_for_fault(process)
    plan = setup("init", f"--output={output}", "--dry-run", "--token-version=2").stdout
    assert "would finish the rotation of the tunnel token to version 2 that an earlier run began" in plan
    process.kill()
    finished(process)


def test_result_of_init_is_readable_by_machines(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    report = setup("init", f"--output={output}", FAST, "--token-version=1", "--json", "--display-name=Prod").json
    tunnel = api.tunnel(output.text("tunnel-id"))
    assert report["output"] == str(output) and report["changed"] is True and report["api_generation"] == 2
    assert report["tunnel"] == {
        "action": "created", "id": tunnel["id"], "domain": tunnel["domain"], "display_name": "Prod"}
    assert report["ca"]["id"] == api.authorities(tunnel["id"])[0]["id"]
    assert report["ca"]["certificate"]["fingerprint"] == output.fingerprint()
    assert report["server_certificate"]["certificate"]["key_type"] == "ECDSA P-256"
    assert report["server_certificate"]["certificate"]["dns_names"] == [tunnel["domain"], f"*.{tunnel['domain']}"]
    assert report["token"] == {"action": "revealed", "version": "1", "current": True}
    assert set(report["time"]) == {"total_ms", "api_ms", "api_requests", "output_ms"}
    again = setup("init", f"--output={output}", "--json").json
    assert again["changed"] is False
    actions = [again[part]["action"] for part in ("tunnel", "ca", "token", "server_certificate")]
    assert actions == ["reused", "reused", "kept", "kept"]


@pytest.mark.parametrize("command", [
    ["verify"], ["renew-cert"], ["rotate-ca"], ["rotate-ca", "--finish"], ["token", "reveal", f"--tunnel-id={TUNNEL_ID}"],
    ["token", "rotate", "--yes", f"--tunnel-id={TUNNEL_ID}"],
], ids=" ".join)
def test_a_folder_that_has_to_be_there_is_not_made(
    setup: Setup, api: TunnelsAPI, output: Output, command: list[str]
) -> None:
    """Where nothing is, the name of the folder is most likely misspelt."""
    outcome = setup(*command, f"--output={output}", status=1)
    assert f"{output}: no such folder" in outcome.stderr and "remedy: name the one" in outcome.stderr
    assert not output.folder.exists()


def test_verify_of_an_output(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    output.folder.mkdir(mode=0o700)
    empty = setup("verify", f"--output={output}", "--json", status=1).json
    assert empty["good"] is False and len(empty["missing"]) == 3 and list(output.folder.iterdir()) == []
    lines = setup("verify", f"--output={output}", status=1).stdout.splitlines()
    assert lines[2].startswith("missing: ") and lines[3].startswith("  remedy: run setup init") and lines[4].endswith("not good")
    setup("init", f"--output={output}", FAST)
    good = setup("verify", f"--output={output}", "--json").json
    assert good["good"] is True and good["ca"]["fingerprint"] == output.fingerprint()
    assert f"{output}: good" in setup("verify", f"--output={output}").stdout
    setup("verify", f"--output={output}", "--expires-within=720h")
    own = output.text("tunnel-domain")
    setup("verify", f"--output={output}", f"--tunnel-domain={own.upper()}")
    other = setup("verify", f"--output={output}", "--tunnel-domain=other.tunnel.anthropic.com", status=1)
    assert f"belongs to {own}, not to that of --tunnel-domain" in other.stderr and other.stdout == ""
    soon = setup("verify", f"--output={output}", "--expires-within=2161h", status=1)
    assert "expires-soon" in soon.stdout and f"{output}: not good" in soon.stdout
    output.path("tls.key").write_bytes(output.bytes("ca.key"))
    assert "key-matches" in setup("verify", f"--output={output}", status=1).stdout


def test_display_name_is_bounded(setup: Setup, api: TunnelsAPI, tmp_path: Path) -> None:
    setup("init", f"--output=dir:{tmp_path}/a", FAST, f"--display-name={'n' * 255}")
    outcome = setup("init", f"--output=dir:{tmp_path}/b", FAST, f"--display-name={'n' * 256}", status=None)
    assert outcome.status in (1, 2) and "255" in outcome.stderr
    assert len(api.tunnels()) == 2


def test_json_is_one_document_on_standard_output(setup: Setup, output: Output) -> None:
    setup("init", f"--output={output}", FAST)
    for command in (["renew-cert"], ["verify"], ["certs", "list"], ["tunnels", "get"], ["rotate-ca"], ["init"]):
        json.loads(setup(*command, f"--output={output}", "--json").stdout)
