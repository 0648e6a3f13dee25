"""The command lines of the guides "Deploy with Docker Compose" and "Reference: Setup CLI", as they stand there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TUNNEL_ID
from peers.setup import FAST, NAMES, Output, Setup, TunnelsAPI, finished

GENERATIONS = {
    1: ("org:manage_tunnels", "/v1/organizations/tunnels", "mcp-tunnels-2026-05-19"),
    2: ("workspace:manage_tunnels", "/v1/tunnels", "mcp-tunnels-2026-06-22"),
}


def compose(setup: Setup, output: Output, *arguments: str, version: str = "1", **options: object):
    """The `setup` service of docker-compose.yaml: flags with `=`, the address as a flag, ids and token as variables."""
    assert setup.api
    environment = {
        "API_URL": None, "TUNNEL_ID": TUNNEL_ID, "ANTHROPIC_WORKSPACE_ID": "", **options.pop("environment", {})}
    return setup(
        "init", f"--api-url={setup.api.url}", f"--output={output}", f"--token-version={version}", *arguments,
        environment=environment, **options)


def fields(request: dict) -> dict[str, str]:
    return {name.lower(): value for name, value in request["fields"]}


# Deploy with Docker Compose: Provision the tunnel.


def test_provision_the_tunnel(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    output.folder.mkdir()
    outcome = compose(setup, output, FAST)
    output.check(api)
    assert output.names() == NAMES
    assert output.text("tunnel-id") == TUNNEL_ID
    assert output.text("token-version") == "1"
    assert outcome.stdout == ""
    for word in (TUNNEL_ID, output.text("tunnel-domain"), output.fingerprint(), "attached", "written"):
        assert word in outcome.stderr
    # The documented order: authenticate, tunnel, CA, token; the tunnel was made before, so none is created.
    assert api.audit() == [
        "tunnel_created", "tunnel_token_minted", "tunnel_certificate_added", "tunnel_token_revealed"]


def test_exports_for_the_later_steps_have_no_line_feed(setup: Setup, output: Output) -> None:
    """`export TUNNEL_DOMAIN=$(cat data/tunnel-domain)` would drop one, a mounted Secret would not."""
    compose(setup, output, FAST)
    for name in ("tunnel-id", "tunnel-domain", "tunnel-token", "token-version"):
        assert output.text(name) == output.text(name).strip() != ""


def test_setup_is_idempotent_over_data(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    compose(setup, output, FAST)
    before, times = output.contents(), {n: output.path(n).stat().st_mtime_ns for n in output.names()}
    changes = api.audit()
    outcome = compose(setup, output)
    assert output.contents() == before
    assert {n: output.path(n).stat().st_mtime_ns for n in output.names()} == times
    # The stored token is compared with the one in force, which the provider records.
    assert api.audit() == [*changes, "tunnel_token_minted", "tunnel_token_revealed"]
    assert "nothing changed" in outcome.stderr


def test_new_ca_when_tunnel_id_has_changed(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    compose(setup, output, FAST)
    before, other = output.contents(), api.make_tunnel("other")
    outcome = compose(setup, output, FAST, environment={"TUNNEL_ID": other["id"]})
    after = output.contents()
    assert output.text("tunnel-id") == other["id"]
    same = {name for name in NAMES if after[name] == before[name]}
    assert same == {"token-version"}
    # What is still registered there is kept, and said.
    assert {name.removeprefix("old-"): content for name, content in after.items() if name.startswith("old-")} == {
        name: before[name] for name in ("tunnel-id", "ca.crt", "ca.key")}
    assert output.mode("old-ca.key") == 0o600
    for words in (f"changes from {before['tunnel-domain'].decode()} to {output.text('tunnel-domain')}", "stays registered",
                  f"--tunnel-id={TUNNEL_ID}", "--drop-old-ca", f"tunnel_domain: {output.text('tunnel-domain')}"):
        assert words in outcome.stderr
    compose(setup, output, "--drop-old-ca", environment={"TUNNEL_ID": other["id"]})
    output.check(api)
    # The old tunnel keeps its CA; nobody asked for it to be revoked.
    assert len(api.authorities(TUNNEL_ID)) == len(api.authorities(other["id"])) == 1


def test_cap_of_two_names_the_slots(setup: Setup, api: TunnelsAPI, output: Output, tmp_path: Path) -> None:
    for number in range(2):
        compose(setup, Output(tmp_path / f"host-{number}"), FAST)
    outcome = compose(setup, output, FAST, status=1)
    slots = api.authorities(TUNNEL_ID)
    assert len(slots) == 2
    for slot in slots:
        assert slot["id"] in outcome.stderr and slot["fingerprint"] in outcome.stderr
    assert "setup certs revoke" in outcome.stderr
    # Nothing was written that would let the proxy start, and the way on is free once a slot is.
    assert output.names() == set()
    setup("certs", "revoke", slots[0]["id"], f"--tunnel-id={TUNNEL_ID}", "--yes")
    compose(setup, output, FAST)
    output.check(api)


# Deploy with Docker Compose: rotate the tunnel token, renew the certificate.


def test_rotate_by_editing_the_token_version(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    compose(setup, output, FAST)
    before = output.contents()
    outcome = compose(setup, output, version="2", environment={
        "ANTHROPIC_IDENTITY_TOKEN": api.fresh_identity_token()})
    output.check(api)
    after = output.contents()
    assert {name for name in NAMES if after[name] != before[name]} == {"tunnel-token", "token-version"}
    assert output.text("token-version") == "2"
    assert api.tunnel(TUNNEL_ID)["former_tokens"] == [before["tunnel-token"].decode()]
    assert "rotated" in outcome.stderr and "cloudflared" in outcome.stderr
    # The same version again does not.
    compose(setup, output, version="2")
    assert api.audit().count("tunnel_token_rotated") == 1
    assert output.contents() == after


def test_first_version_is_recorded_without_a_rotation(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    setup("init", f"--output={output}", FAST, environment={"TUNNEL_ID": TUNNEL_ID})
    assert not output.path("token-version").exists()
    compose(setup, output)
    assert output.text("token-version") == "1"
    assert "tunnel_token_rotated" not in api.audit()


def test_renew_cert(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    """The Compose call: nothing but the output, and no identity either. With 60 days left it is a no-op."""
    compose(setup, output, FAST)
    before, calls = output.contents(), api.calls()
    alone = Setup(setup.binary)
    outcome = alone("renew-cert", f"--output={output}", "--renew-before=720h")
    assert output.contents() == before and "not renewed" in outcome.stderr
    alone("renew-cert", f"--output={output}")
    after = output.contents()
    assert {name for name in NAMES if after[name] != before[name]} == {"tls.crt", "tls.key"}
    alone("verify", f"--output={output}")
    assert api.calls() == calls


@pytest.mark.parametrize(("left", "before", "renewed"), [
    ("721h", "720h", False), ("719h", "720h", True), ("48h", "1h30m", False), ("2160h", "0", True)])
def test_renew_before_is_compared_with_what_is_left(
    setup_binary: Path, output: Output, left: str, before: str, renewed: bool
) -> None:
    setup = Setup(setup_binary)
    setup("generate-certs", "--tunnel-domain=t.example", f"--output={output}", FAST, f"--cert-duration={left}")
    old = output.bytes("tls.crt")
    outcome = setup("renew-cert", f"--output={output}", f"--renew-before={before}", "--json")
    assert outcome.json["renewed"] is renewed
    assert (output.bytes("tls.crt") != old) is renewed


# Reference: setup init.


def test_tunnel_is_created_without_an_id(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    setup("init", f"--output={output}", FAST, "--display-name=Production")
    output.check(api)
    assert [t["display_name"] for t in api.tunnels() if t["id"] == output.text("tunnel-id")] == ["Production"]
    # With the stored one it is not created again.
    setup("init", f"--output={output}", "--display-name=Another")
    assert len(api.tunnels()) == 2
    assert api.audit().count("tunnel_created") == 2  # One of them by the Console.


def test_id_of_a_created_tunnel_is_written_before_anything_else(
    setup: Setup, api: TunnelsAPI, output: Output
) -> None:
    api.fail("stall", "/v1/tunnels/*/certificates")
    process = setup.start("init", f"--output={output}", FAST)
    api.wait_for_fault(process)
    process.kill()
    finished(process)
    created = next(tunnel for tunnel in api.tunnels() if tunnel["id"] != TUNNEL_ID)
    assert output.text("tunnel-id") == created["id"]
    assert output.text("tunnel-domain") == created["domain"]


def test_flag_beats_variable(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    other = api.make_tunnel("other")
    setup("init", f"--output={output}", FAST, f"--tunnel-id={TUNNEL_ID}", f"--api-url={api.url}",
          environment={"TUNNEL_ID": other["id"], "API_URL": "http://127.0.0.1:1"})
    assert output.text("tunnel-id") == TUNNEL_ID


def test_empty_variables_are_unset(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    """Compose and Helm set those that nobody gave."""
    setup("init", f"--output={output}", FAST, environment={
        "TUNNEL_ID": "", "API_TOKEN": "", "ANTHROPIC_WORKSPACE_ID": "", "ANTHROPIC_IDENTITY_TOKEN_FILE": "",
        "HTTPS_PROXY": "", "NO_PROXY": ""})
    output.check(api)
    assert output.text("tunnel-id") != TUNNEL_ID


@pytest.mark.parametrize("generation", [1, 2])
def test_generation_is_that_of_the_scope(
    setup_binary: Path, start_api: Callable[..., TunnelsAPI], output: Output, generation: int
) -> None:
    scope, path, beta = GENERATIONS[generation]
    api = start_api("--scope", scope, "--tunnel", f"staging={TUNNEL_ID}")
    outcome = Setup(setup_binary, api)(
        "init", f"--output={output}", FAST, "--json", environment={"TUNNEL_ID": TUNNEL_ID})
    output.check(api)
    assert outcome.json["api_generation"] == generation
    exchange, *calls = api.requests()
    assert exchange["target"] == "/v1/oauth/token" and calls
    for call in calls:
        assert call["target"].startswith(path)
        sent = fields(call)
        assert sent["anthropic-version"] == "2023-06-01"
        assert sent["anthropic-beta"].split(",")[0] == beta
        assert sent["authorization"].startswith("Bearer ")


def test_first_generation_where_no_scope_is_named(
    setup_binary: Path, start_api: Callable[..., TunnelsAPI], output: Output
) -> None:
    api = start_api("--scope", GENERATIONS[1][0], "--omit-scope", "--tunnel", f"staging={TUNNEL_ID}")
    Setup(setup_binary, api)("init", f"--output={output}", FAST, environment={"TUNNEL_ID": TUNNEL_ID})
    output.check(api)
    assert all(call.split()[1].startswith("/v1/organizations/tunnels") for call in api.calls()[1:])


@pytest.mark.parametrize("generation", [1, 2])
def test_api_generation_overrides_the_scope(
    setup_binary: Path, start_api: Callable[..., TunnelsAPI], output: Output, generation: int
) -> None:
    api = start_api("--scope", f"{GENERATIONS[1][0]} {GENERATIONS[2][0]}", "--tunnel", f"staging={TUNNEL_ID}")
    Setup(setup_binary, api)(
        "init", f"--output={output}", FAST, f"--api-generation={generation}", environment={"TUNNEL_ID": TUNNEL_ID})
    output.check(api)
    assert all(call.split()[1].startswith(GENERATIONS[generation][1]) for call in api.calls()[1:])


def test_first_generation_cannot_create(
    setup_binary: Path, start_api: Callable[..., TunnelsAPI], output: Output
) -> None:
    api = start_api("--scope", GENERATIONS[1][0])
    outcome = Setup(setup_binary, api)("init", f"--output={output}", FAST, status=1)
    for word in ("Console", "--tunnel-id", "TUNNEL_ID", "workspace:manage_tunnels"):
        assert word in outcome.stderr
    assert api.tunnels() == [] and output.names() == set()


def test_exchange_is_the_documented_one(
    setup_binary: Path, start_api: Callable[..., TunnelsAPI], output: Output
) -> None:
    api = start_api("--workspace", "wrkspc_01One", "--workspace", "wrkspc_01Two", "--tunnel", f"staging={TUNNEL_ID}")
    setup = Setup(setup_binary, api)
    environment = {"TUNNEL_ID": TUNNEL_ID, "ANTHROPIC_WORKSPACE_ID": "wrkspc_01One"}
    setup("init", f"--output={output}", FAST, environment=environment)
    exchange = api.requests()[0]
    assert json.loads(exchange["body"]) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": api.identity_token,
        "federation_rule_id": api.rule, "organization_id": api.organization, "workspace_id": "wrkspc_01One"}
    sent = fields(exchange)
    assert sent["anthropic-beta"] == "oauth-2025-04-20,oidc-federation-2026-04-01"
    assert sent["content-type"] == "application/json" and sent["user-agent"] and "authorization" not in sent
    # Without the workspace the server says no more than that it failed; setup says what to look at.
    outcome = setup("init", f"--output={output}", environment={**environment, "ANTHROPIC_WORKSPACE_ID": None}, status=1)
    for text in ("token exchange", "Authentication failed", "Ensure your federation rule matches your identity token.",
                 "ANTHROPIC_WORKSPACE_ID", "View your authentication events", "request id req_"):
        assert text in outcome.stderr


def test_api_token_is_the_other_way_in(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    names = dict.fromkeys(api.environment())
    setup("init", f"--output={output}", FAST, environment={**names, "API_TOKEN": api.KEY})
    output.check(api)
    assert "POST /v1/oauth/token" not in api.calls()
    outcome = setup("init", f"--output={output}", environment={**names, "API_TOKEN": f"{api.KEY}x"}, status=1)
    for word in ("401", "API_TOKEN", "revoked", "copied incompletely", "another organization", "request id req_"):
        assert word in outcome.stderr


def test_identity_token_file_is_read_again_for_every_exchange(
    setup: Setup, api: TunnelsAPI, output: Output, tmp_path: Path
) -> None:
    """A kubelet replaces it before it expires; the second attempt must not send the old one."""
    file = tmp_path / "token"
    file.write_text(api.fresh_identity_token(subject="somebody"))
    api.fail("answer", "/v1/oauth/token", status=429, retry_after="1")
    process = setup.start("init", f"--output={output}", FAST, environment={
        "ANTHROPIC_IDENTITY_TOKEN": None, "ANTHROPIC_IDENTITY_TOKEN_FILE": str(file)})
    api.wait_for_fault(process)
    file.write_text(f"\n{api.fresh_identity_token()}\n")
    outcome = finished(process)
    assert outcome.status == 0, outcome.stderr
    output.check(api)


def test_refused_access_token_is_replaced_once(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    api.fail("answer", "/v1/tunnels/*/certificates", status=401)
    compose(setup, output, FAST)
    output.check(api)
    assert api.calls().count("POST /v1/oauth/token") == 2
    api.fail("answer", "/v1/tunnels/*", method="GET", status=401, times=5)
    outcome = compose(setup, output, status=1)
    assert api.calls().count("POST /v1/oauth/token") == 4
    assert "401" in outcome.stderr and "request id req_" in outcome.stderr


VARIABLES = [
    ({"ANTHROPIC_FEDERATION_RULE_ID": None}, ["ANTHROPIC_FEDERATION_RULE_ID"]),
    ({"ANTHROPIC_ORGANIZATION_ID": None}, ["ANTHROPIC_ORGANIZATION_ID"]),
    ({"ANTHROPIC_IDENTITY_TOKEN": None}, ["ANTHROPIC_IDENTITY_TOKEN_FILE", "ANTHROPIC_IDENTITY_TOKEN"]),
    ({"ANTHROPIC_IDENTITY_TOKEN": ""}, ["ANTHROPIC_IDENTITY_TOKEN_FILE", "ANTHROPIC_IDENTITY_TOKEN"]),
    ({"ANTHROPIC_FEDERATION_RULE_ID": None, "ANTHROPIC_ORGANIZATION_ID": None, "ANTHROPIC_IDENTITY_TOKEN": None},
     ["ANTHROPIC_FEDERATION_RULE_ID", "ANTHROPIC_ORGANIZATION_ID", "ANTHROPIC_IDENTITY_TOKEN_FILE", "API_TOKEN"]),
    ({"ANTHROPIC_IDENTITY_TOKEN_FILE": "/tmp/token"}, ["both set", "ANTHROPIC_IDENTITY_TOKEN_FILE"]),
    ({"API_TOKEN": "sk-ant-key"}, ["both set", "API_TOKEN"]),
    ({"ANTHROPIC_FEDERATION_RULE_ID": "rule"}, ["ANTHROPIC_FEDERATION_RULE_ID", "fdrl_"]),
    ({"ANTHROPIC_ORGANIZATION_ID": "acme"}, ["ANTHROPIC_ORGANIZATION_ID", "UUID"]),
    ({"ANTHROPIC_WORKSPACE_ID": "main"}, ["ANTHROPIC_WORKSPACE_ID", "wrkspc_"]),
    ({"API_URL": None}, ["--api-url", "API_URL", "https://api.anthropic.com"]),
    ({"API_URL": "http://api.anthropic.com"}, ["https"]),
    ({"API_URL": "http://localhost.evil"}, ["https"]),
    ({"HTTPS_PROXY": "socks5://proxy"}, ["HTTPS_PROXY", "SOCKS"]),
]


@pytest.mark.parametrize(("changes", "words"), VARIABLES, ids=lambda value: ",".join(value))
def test_unfit_variables_are_usage_errors(
    setup: Setup, api: TunnelsAPI, output: Output, changes: dict[str, str | None], words: list[str]
) -> None:
    outcome = setup("init", f"--output={output}", FAST, environment=changes, status=2)
    for word in words:
        assert word in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert api.calls() == [] and not output.folder.exists()


IDENTITY_FILES = [
    (None, ["no such file"]), (b"", ["is empty"]), (b" \n\t", ["is empty"]), (b"\xff\xfe\x00", ["is not text"]),
    (b"a" * 16385, ["16384-byte limit", "16385"]), (b"a" * 70000, ["larger", "identity token file"])]


@pytest.mark.parametrize(("content", "words"), IDENTITY_FILES, ids=lambda value: str(value)[:20])
def test_identity_token_file_that_cannot_be_used(
    setup: Setup, api: TunnelsAPI, output: Output, tmp_path: Path, content: bytes | None, words: list[str]
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    outcome = setup("init", f"--output={output}", FAST, status=1, environment={
        "ANTHROPIC_IDENTITY_TOKEN": None, "ANTHROPIC_IDENTITY_TOKEN_FILE": str(file)})
    for word in ["identity token", str(file) if content is None or len(content) < 5 else "", *words]:
        assert word in outcome.stderr
    assert "ANTHROPIC_IDENTITY_TOKEN" in outcome.stderr
    assert api.calls() == []


def test_token_at_the_limit_is_sent(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    """Refused by the fake, which knows no such token, and not before."""
    start = next(token for subject in ("x", "xx", "xxx") if (16384 - (
        token := api.fresh_identity_token(subject=subject)).rindex(".") - 1) % 4 != 1)
    token = start + "A" * (16384 - len(start))
    outcome = setup("init", f"--output={output}", FAST, status=1, environment={"ANTHROPIC_IDENTITY_TOKEN": token})
    assert "token exchange" in outcome.stderr and api.calls() == ["POST /v1/oauth/token"]
