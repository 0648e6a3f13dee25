"""docs/moving.md for Compose: the vendor's file with our image in it, over a folder as theirs is documented."""

from __future__ import annotations

import re

from compose.conftest import CLOUDFLARED, CONFIGURATION, DOMAIN, Project
from compose.test_manual_flow import CERTIFICATES
from conftest import REPOSITORY
from printed import blocks_under, commands

THEIRS = f"us-docker.pkg.dev/anthropic-public-registry/images/mcp-proxy@sha256:{'6b' * 32}"
USER = 65532

# What stands in for the registry's images and for the MCP server; all else is the vendor's file.
OVERRIDE = f"""
services:
  cloudflared:
    image: {CLOUDFLARED}
  hello-mcp:
    image: mcp-tunnel:VERSION
    command: [hello, -listen, ":9000"]
    healthcheck: {{disable: true}}
"""
FILES = f"""
printf tnl_01Hx9Kp2RtQvMn3sWbYdLcF8 >data/tunnel-id
printf %s "$TUNNEL_DOMAIN" >data/tunnel-domain
printf %s "$TUNNEL_TOKEN" >data/tunnel-token
chown -R {USER}:{USER} data
chmod 600 data/*.key data/tunnel-token
"""


def test_their_file_with_the_image_swapped(project: Project) -> None:
    page = [command for block in blocks_under("docs/moving.md", "Compose") for _, command in commands(block.split("\n"))]
    (keep,) = (command for command in page if command.startswith("sudo cp -a"))
    (swap,) = (command for command in page if command.startswith("sed -i"))
    (verify,) = (command for command in page if command.startswith("docker compose run"))
    (verify_by_hand,) = (command for command in page if command.startswith("docker run"))
    version = re.findall(r"mcp-tunnel:([0-9.]+)", swap)[0]

    guide = (REPOSITORY / "Tests/Deploy/compose/guide.yaml").read_text()
    (project.folder / "docker-compose.yaml").write_text(guide.replace("${MCP_TUNNEL_IMAGE}", THEIRS))
    (project.folder / "docker-compose.override.yaml").write_text(OVERRIDE.replace("VERSION", version))
    project.environment |= {"TUNNEL_DOMAIN": DOMAIN, "TUNNEL_TOKEN": "eyJhIjoiYWNjb3VudCJ9"}
    project.shell("mkdir -p data config")
    project.shell(CERTIFICATES + CONFIGURATION + FILES)
    # The guide's, as everything of this file is.
    project.shell("""sed -i 's/^listen_addr: .*/listen_addr: ":8080"/' config/mcp-proxy.yaml""")

    project.shell(keep.replace("sudo ", ""))
    project.shell(swap)
    assert THEIRS not in project.compose("config")
    said = project.compose(*verify.removeprefix("docker compose ").replace("run --rm", "run --rm -T").split())
    assert said.strip().endswith("dir:/data: good")
    project.shell(verify_by_hand.replace("abcd1234.tunnel.anthropic.com", DOMAIN))

    project.compose("up", "-d")
    project.wait_for_log("mcp-proxy", "route configured")
    project.wait_for_log("cloudflared", "Registered tunnel connection", count=4)
    assert project.call(project.folder / "data/ca.crt") == ("Hello, tunnel!", project.served_serial())

    # And back: the file of before, over the same folder.
    project.shell("cp docker-compose.yaml.before docker-compose.yaml && diff -r data data.before")
    assert THEIRS in (project.folder / "docker-compose.yaml").read_text()
