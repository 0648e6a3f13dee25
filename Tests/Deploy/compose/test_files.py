"""The files of deploy/compose: the guide's settings, and nothing weaker."""

from __future__ import annotations

import ipaddress
import re
import shlex
import subprocess

import pytest
import yaml
from conftest import REPOSITORY, Image, run

COMPOSE = REPOSITORY / "deploy/compose"
RENEWAL = "docker compose run --rm -T setup renew-cert --output=dir:/data --renew-before=720h"


FILES = ["docker-compose.yaml", "shared-namespace.yaml"]
METRICS = "127.0.0.1:20241"


def services(file: str = "docker-compose.yaml") -> dict[str, dict]:
    """Those of a file, with what `extends` takes from another."""
    found = yaml.safe_load((COMPOSE / file).read_text())["services"]
    for service in found.values():
        if source := service.pop("extends", None):
            service.update(services(source["file"])[source["service"]] | service)
    return found


def guide() -> dict[str, dict]:
    return yaml.safe_load((REPOSITORY / "Tests/Deploy/compose/guide.yaml").read_text())["services"]


@pytest.mark.parametrize("file", FILES)
def test_differs_from_the_guides_file_in_what_is_named_here(file: str) -> None:
    ours, theirs = services(file), guide()
    # The image has a health check that a command with an end has no use for.
    assert ours["setup"].pop("healthcheck") == {"disable": True}
    for name in ("setup", "mcp-proxy"):
        assert re.fullmatch(r"\$\{MCP_TUNNEL_IMAGE:-mcp-tunnel:[0-9.]+\}", ours[name].pop("image"))
        theirs[name].pop("image")
    # In the place of the identifiers, where it is set.
    assert ours["setup"]["environment"].pop() == "API_TOKEN"
    pinned = theirs["cloudflared"].pop("image")
    assert ours["cloudflared"].pop("image") == f"${{CLOUDFLARED_IMAGE:-{pinned}}}"

    # A folder, so that a file that is replaced is seen, and with it the path in two commands.
    path = "/etc/mcp-gateway/mcp-proxy.yaml"
    assert "./config/mcp-proxy.yaml:/etc/mcp-gateway/config.yaml:ro" in theirs["mcp-proxy"]["volumes"]
    theirs["mcp-proxy"]["volumes"] = ["./config:/etc/mcp-gateway:ro", "./data:/data:ro"]
    assert ours["mcp-proxy"].pop("command") == ["-config", path]
    assert ours["mcp-proxy"].pop("healthcheck")["test"] == ["CMD", "/mcp-proxy", "healthcheck", "-config", path]
    # A look-up that nobody responds to is repeated soon.
    assert ours["mcp-proxy"].pop("environment") == ["RES_OPTIONS=timeout:1 attempts:5"]
    # cloudflared's metrics are its own, and its health is known.
    assert ours["cloudflared"].pop("healthcheck")["test"] == ["CMD", "cloudflared", "tunnel", "--metrics", METRICS, "ready"]
    command = theirs["cloudflared"]["command"].replace(" run ", f" --metrics {METRICS} run ")
    if file == "docker-compose.yaml":
        command = command.replace("localhost", "mcp-proxy")
        del theirs["cloudflared"]["network_mode"]
        assert ours["cloudflared"].pop("networks") == ["tunnel", "outside"]
        assert ours["mcp-proxy"].pop("networks").keys() == {"tunnel", "default"}
    theirs["cloudflared"]["command"] = command
    assert ours == theirs


def test_the_listener_is_on_a_network_without_a_way_out() -> None:
    file = yaml.safe_load((COMPOSE / "docker-compose.yaml").read_text())
    tunnel = file["networks"]["tunnel"]
    assert tunnel["internal"] is True
    (pool,) = tunnel["ipam"]["config"]
    address = file["services"]["mcp-proxy"]["networks"]["tunnel"]["ipv4_address"]
    assert ipaddress.ip_address(address) in ipaddress.ip_network(pool["subnet"]).hosts()
    # Whoever starts first would get it otherwise.
    assert ipaddress.ip_network(pool["ip_range"]).subnet_of(ipaddress.ip_network(pool["subnet"]))
    assert ipaddress.ip_address(address) not in ipaddress.ip_network(pool["ip_range"])
    example = yaml.safe_load((COMPOSE / "mcp-proxy.example.yaml").read_text())
    assert example["listen_addr"] == f"{address}:8080"
    assert example["admin_addr"].startswith("127.0.0.1:")
    # No route can lead there: it is in none of the ranges that are allowed where nothing else is.
    private = [ipaddress.ip_network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
    assert not any(ipaddress.ip_address(address) in block for block in private)


@pytest.mark.parametrize("file", FILES)
def test_every_service_is_hardened(file: str) -> None:
    for name, service in services(file).items():
        assert service["user"] == "65532:65532", name
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"] and "cap_add" not in service
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not {"privileged", "ports", "devices", "pid", "ipc"} & service.keys()


def test_the_default_image_is_the_one_that_is_built(image: Image) -> None:
    (name,) = {services(file)[service]["image"] for file in FILES for service in ("setup", "mcp-proxy")}
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


def test_nothing_is_installed_when_a_container_starts() -> None:
    """What a file or a document starts is in an image, or is named with its version."""
    documents = [REPOSITORY / "docs/quickstart.md", COMPOSE / "README.md"]
    for path in [COMPOSE / file for file in FILES] + documents:
        for line in re.findall(r".*(?:pip|npm|apt-get|apk) (?:install|add).*", path.read_text()):
            assert re.search(r"pip install 'mcp>=\d,<\d'$|`pip install mcp` takes whatever is newest", line), line


def test_systemd_takes_the_units(tmp_path) -> None:
    for name in sorted(path.name for path in COMPOSE.glob("mcp-tunnel-compose-*")):
        # Debian's engine brings its unit file along; the folder of the deployment is the operator's.
        text = (COMPOSE / name).read_text().replace("/srv/mcp-tunnel", str(tmp_path))
        (tmp_path / name).write_text(text)
        result = subprocess.run(["systemd-analyze", "verify", tmp_path / name], capture_output=True, text=True)
        assert (result.returncode, result.stderr) == (0, ""), result.stderr
    assert "daily" in run("grep", "OnCalendar", tmp_path / "mcp-tunnel-compose-renew.timer")
