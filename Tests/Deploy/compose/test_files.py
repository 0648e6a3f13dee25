"""The files of deploy/compose: the guide's settings, and nothing weaker."""

from __future__ import annotations

import re
import shlex
import subprocess

import yaml
from conftest import REPOSITORY, Image, run

COMPOSE = REPOSITORY / "deploy/compose"
RENEWAL = "docker compose run --rm -T setup renew-cert --output=dir:/data --renew-before=720h"


def services() -> dict[str, dict]:
    return yaml.safe_load((COMPOSE / "docker-compose.yaml").read_text())["services"]


def test_is_the_guides_file_but_for_the_images() -> None:
    guide = yaml.safe_load((REPOSITORY / "Tests/Deploy/compose/guide.yaml").read_text())["services"]
    ours = services()
    # The image has a health check that a command with an end has no use for.
    assert ours["setup"].pop("healthcheck") == {"disable": True}
    for name in ("setup", "mcp-proxy"):
        assert re.fullmatch(r"\$\{MCP_TUNNEL_IMAGE:-mcp-tunnel:[0-9.]+\}", ours[name].pop("image"))
        guide[name].pop("image")
    pinned = guide["cloudflared"].pop("image")
    assert ours["cloudflared"].pop("image") == f"${{CLOUDFLARED_IMAGE:-{pinned}}}"
    assert ours == guide


def test_every_service_is_hardened() -> None:
    for name, service in services().items():
        assert service["user"] == "65532:65532", name
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"] and "cap_add" not in service
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not {"privileged", "ports", "devices", "pid", "ipc"} & service.keys()


def test_the_default_image_is_the_one_that_is_built(image: Image) -> None:
    (name,) = {services()[service]["image"] for service in ("setup", "mcp-proxy")}
    (built,) = yaml.safe_load(image.read("manifest.json"))[0]["RepoTags"]
    assert name == f"${{MCP_TUNNEL_IMAGE:-{built}}}"


def test_no_secret_is_written_down() -> None:
    for line in (COMPOSE / ".env.example").read_text().splitlines():
        name, _, value = line.removeprefix("#").partition("=")
        if "TOKEN" in name and " " not in name:
            assert value == "", line


def test_the_scheduled_renewal_is_the_documented_one() -> None:
    unit = (COMPOSE / "mcp-tunnel-compose-renew.service").read_text()
    (command,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    assert shlex.split(command) == ["/usr/bin/docker", *shlex.split(RENEWAL)[1:]]
    assert RENEWAL in (COMPOSE / "README.md").read_text()


def test_systemd_takes_the_units(tmp_path) -> None:
    for kind in ("service", "timer"):
        name = f"mcp-tunnel-compose-renew.{kind}"
        # Debian's engine brings its unit file along; the folder of the deployment is the operator's.
        text = (COMPOSE / name).read_text().replace("/srv/mcp-tunnel", str(tmp_path))
        (tmp_path / name).write_text(text)
        result = subprocess.run(["systemd-analyze", "verify", tmp_path / name], capture_output=True, text=True)
        assert (result.returncode, result.stderr) == (0, ""), result.stderr
    assert "daily" in run("grep", "OnCalendar", tmp_path / "mcp-tunnel-compose-renew.timer")
