"""The Compose guide with programmatic access: setup against a fake of the Tunnels API, up, a call, renewal, rotation."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator

import pytest
from compose.conftest import CONFIGURATION, SAMPLE, Project
from conftest import REPOSITORY

USER = 65532
RENEWAL = ["run", "--rm", "-T", "setup", "renew-cert", "--output=dir:/data"]

# The fake listens on loopback only, so setup joins the engine's own network. All else stays as it is.
OVERRIDE = """
services:
  setup:
    network_mode: host
    command: [init, --api-url={api_url}, --output=dir:/data, --token-version={version}]
"""


@pytest.fixture
def api(engine) -> Iterator[dict]:
    """What the fake says of itself: its URL, and the identifiers that the Console would show."""
    fake = REPOSITORY / ".build/debug/tunnels-api-fake"
    with engine.network.server(fake, "--listen", "127.0.0.1:0", "--json", "--quiet", "--tunnel", "compose") as line:
        yield json.loads(line)


def override(project: Project, api: dict, version: int) -> None:
    text = OVERRIDE.format(api_url=api["api_url"], version=version)
    (project.folder / "docker-compose.override.yaml").write_text(text)


def data(project: Project, name: str) -> str:
    return (project.folder / "data" / name).read_text().strip()


def write_environment(project: Project, **variables: str) -> None:
    """Fills the example in, as README.md says."""
    project.shell("install -m 600 .env.example .env")
    with open(project.folder / ".env", "a") as file:
        file.writelines(f"{name}={value}\n" for name, value in variables.items())


def test_from_setup_to_rotation(project: Project, api: dict) -> None:
    identifiers = {
        "TUNNEL_ID": api["tunnels"][0]["id"],
        "ANTHROPIC_FEDERATION_RULE_ID": api["federation_rule_id"],
        "ANTHROPIC_ORGANIZATION_ID": api["organization_id"],
    }
    write_environment(project, **identifiers)
    override(project, api, version=1)
    project.shell(f"mkdir -p config data && chown {USER}:{USER} data")
    project.environment["ANTHROPIC_IDENTITY_TOKEN"] = api["identity_token"]

    project.compose("run", "--rm", "-T", "setup")
    check_output(project)
    domain, token = data(project, "tunnel-domain"), data(project, "tunnel-token")
    assert domain == api["tunnels"][0]["domain"]

    # From here on the identity is not needed.
    del project.environment["ANTHROPIC_IDENTITY_TOKEN"]
    project.environment["TUNNEL_DOMAIN"] = domain
    project.shell(SAMPLE + CONFIGURATION)
    write_environment(project, TUNNEL_TOKEN=token, **identifiers)
    project.compose("up", "-d")
    project.wait_for_log("cloudflared", "Registered tunnel connection", count=4)
    project.wait_for_log("hello-mcp", "listening on")
    ca_file = project.folder / "data/ca.crt"
    answer, first = project.call(ca_file, domain)
    assert (answer, first) == ("Hello, tunnel!", project.served_serial())
    cloudflared = project.engine.inspect(project.container("cloudflared"))
    assert f"TUNNEL_TOKEN={token}" in cloudflared["Config"]["Env"]

    project.compose(*RENEWAL, "--renew-before=720h")
    assert project.served_serial() == first, "more than 30 days are left: nothing to do"
    project.compose(*RENEWAL)
    project.wait_for_log("mcp-proxy", "certificate reloaded")
    answer, second = project.call(ca_file, domain)
    assert (answer, second) == ("Hello, tunnel!", project.served_serial())
    assert second != first

    override(project, api, version=2)
    project.environment["ANTHROPIC_IDENTITY_TOKEN"] = api["identity_token"]
    project.compose("run", "--rm", "-T", "setup")
    assert data(project, "tunnel-token") != token
    project.compose("down", "--timeout", "0")


def check_output(project: Project) -> None:
    """Everything belongs to the image's user, and nobody else can read the secrets."""
    for file in (project.folder / "data").iterdir():
        status = file.stat()
        assert (status.st_uid, status.st_gid) == (USER, USER), file.name
        if file.name in ("ca.key", "tls.key", "tunnel-token"):
            assert status.st_mode & 0o077 == 0, f"{file.name}: {status.st_mode:o}"
    for name in ("tunnel-id", "tunnel-domain", "tunnel-token", "ca.crt", "ca.key", "tls.crt", "tls.key"):
        assert data(project, name), name


def test_a_refused_identity_is_told(project: Project, api: dict) -> None:
    write_environment(
        project, TUNNEL_ID=api["tunnels"][0]["id"], ANTHROPIC_FEDERATION_RULE_ID=api["federation_rule_id"],
        ANTHROPIC_ORGANIZATION_ID=api["organization_id"],
    )
    override(project, api, version=1)
    project.shell(f"mkdir -p config data && chown {USER}:{USER} data")
    # In order as far as can be seen from here, and signed by nobody.
    claims = {"iss": "https://idp.example", "sub": "nobody", "aud": "somewhere", "exp": int(time.time()) + 600}
    parts = [json.dumps(part).encode() for part in ({"alg": "RS256"}, claims)] + [b"no signature"]
    token = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    project.environment["ANTHROPIC_IDENTITY_TOKEN"] = token
    result = project.attempt("run", "--rm", "-T", "setup")
    assert result.returncode == 1
    assert "401" in result.stdout + result.stderr
    assert token not in result.stdout + result.stderr
