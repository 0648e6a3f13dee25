"""The package on a clean system: it installs, runs, is upgraded and leaves nothing behind."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import Machine, booted
from package_fixtures import install_package
from roots import REPOSITORY, inside, overlay, run

STORE = "/var/lib/mcp-tunnel"
# For find, whatever is named after us.
NAMES = r"\( -name '*mcp-proxy*' -o -name '*mcp-tunnel*' -o -name '*mcp-gateway*' \)"


def test_on_a_minimal_system(minimal_root: Path, package: Path) -> None:
    assert not (minimal_root / "lib/systemd/systemd").exists(), "it is not minimal"
    install_package(minimal_root, package)
    version = inside(minimal_root, "mcp-proxy", "--version")
    assert version.startswith("mcp-proxy ")
    assert inside(minimal_root, "mcp-tunnel-setup", "--version").startswith("setup ")
    inside(
        minimal_root, "mcp-tunnel-setup", "generate-certs", f"--output=dir:{STORE}", "--tunnel-domain=t.example",
        "--key-type=ecdsa-p256",
    )  # fmt: skip
    listing = inside(minimal_root, "sh", "-c", f"stat --format='%n %a %U' {STORE} {STORE}/*")
    assert listing.splitlines() == [
        f"{STORE} 700 mcp-tunnel",
        f"{STORE}/ca.crt 644 mcp-tunnel",
        f"{STORE}/ca.key 600 mcp-tunnel",
        f"{STORE}/ticket-keys 600 mcp-tunnel",
        f"{STORE}/tls.crt 644 mcp-tunnel",
        f"{STORE}/tls.key 600 mcp-tunnel",
        f"{STORE}/tunnel-domain 644 mcp-tunnel",
    ]
    # The whole path, with these certificates.
    demo = inside(minimal_root, "mcp-proxy", "demo", "-data", STORE)
    assert "Hello, tunnel!" in demo
    inside(minimal_root, "apt-get", "-qq", "purge", "-y", "mcp-tunnel")
    assert remains(minimal_root) == []


def test_in_a_chroot_without_proc(minimal_root: Path, package: Path) -> None:
    """As image builders have it. systemd-tmpfiles refuses to work there; the folder is made all the same."""
    install_package(minimal_root, package)
    listing = f"stat --format='%a %U %G' {STORE}"
    for command in (f"rmdir {STORE}", "test ! -e /proc/self", "/var/lib/dpkg/info/mcp-tunnel.postinst configure"):
        run("chroot", minimal_root, "sh", "-ec", command)
    assert run("chroot", minimal_root, "sh", "-c", listing) == "700 mcp-tunnel mcp-tunnel\n"


def remains(root: Path) -> list[str]:
    """Files and folders of ours, but for what apt and dpkg keep themselves."""
    found = inside(root, "sh", "-c", f"find / -xdev {NAMES} -not -path '/proc/*' -not -path '/var/cache/apt/*'")
    return [line for line in found.splitlines() if not line.startswith(("/root/", "/var/log/"))]


@pytest.fixture
def other_machine(system_layers: list[Path], package: Path, tmp_path: Path) -> Iterator[Machine]:
    """A running system that has what the package depends on, and not the package."""
    with overlay(tmp_path / "system", system_layers) as root:
        install_package(root, package)
        inside(root, "apt-get", "-qq", "purge", "-y", "mcp-tunnel")
        with booted(root) as machine:
            yield machine


def test_on_a_running_system(other_machine: Machine, package: Path) -> None:
    machine, deb = other_machine, f"/root/{package.name}"
    units = ["mcp-proxy.service", "mcp-proxy.socket", "mcp-tunnel-renew.timer", "cloudflared-mcp-tunnel.service"]
    machine.run("dpkg", "--install", deb)
    for unit in units:
        assert machine.property(unit, "LoadState") == "loaded"
        assert machine.property(unit, "ActiveState") == "inactive"
        assert machine.property(unit, "UnitFileState") == "disabled"

    # As README.Debian says, with the example of the package.
    readme = machine.run("cat", "/usr/share/doc/mcp-tunnel/README.Debian")
    for step in (
        "cp /usr/share/doc/mcp-tunnel/examples/config.yaml /etc/mcp-gateway/",
        "systemctl enable --now mcp-proxy",
        "systemctl enable --now mcp-tunnel-renew.timer",
        "systemctl enable --now mcp-proxy.socket",
    ):
        assert step in readme
    machine.run(
        "mcp-tunnel-setup", "generate-certs", f"--output=dir:{STORE}", "--tunnel-domain=abcd1234.tunnel.anthropic.com"
    )
    machine.run("cp", "/usr/share/doc/mcp-tunnel/examples/config.yaml", "/etc/mcp-gateway/")
    machine.systemctl("enable", "--now", "mcp-proxy.socket")
    machine.systemctl("enable", "--now", "mcp-proxy", "mcp-tunnel-renew.timer")
    machine.run("mcp-proxy", "healthcheck")

    # An upgrade to the same version goes the same way as to a newer one.
    machine.run("touch", "--date=2020-01-01", "/lib/systemd/system/mcp-proxy.service")
    machine.systemctl("daemon-reload")
    before, cursor = machine.property("mcp-proxy", "MainPID"), machine.cursor()
    machine.run("dpkg", "--install", deb)
    # What the package asked for has ended when it is installed, and a start ends when the proxy serves.
    assert "listening" in machine.journal("mcp-proxy", f"--after-cursor={cursor}")
    assert machine.property("mcp-proxy", "MainPID") != before, "the old version still runs"
    assert machine.property("mcp-proxy", "NeedDaemonReload") == "no"
    assert machine.property("cloudflared-mcp-tunnel", "ActiveState") == "inactive"
    machine.run("mcp-proxy", "healthcheck")

    machine.run("dpkg", "--remove", "mcp-tunnel")
    assert machine.run("pidof", "systemd") and machine.fails("pidof", "mcp-proxy") == ""
    machine.run("test", "-f", f"{STORE}/ca.key", "-a", "-f", "/etc/mcp-gateway/config.yaml")
    machine.run("dpkg", "--purge", "mcp-tunnel")
    left = machine.run("sh", "-c", f"find /etc /lib /usr /var/lib /run {NAMES}")
    # What systemd notes of a timer itself, and of the store of a service.
    assert [line for line in left.splitlines() if not line.startswith("/var/lib/systemd/")] == []
    kinds = ["*.service", "*.timer", "*.socket"]
    assert "mcp" not in machine.systemctl("list-units", "--all", "--plain", "--no-legend", *kinds)
    assert machine.run("getent", "passwd", "mcp-tunnel")


def test_the_documents_lead_to_each_other(files: Path) -> None:
    folder = files / "usr/share/doc/mcp-tunnel"
    pages = sorted(folder.glob("*.md"))
    assert {"configuration.md", "operating.md", "setup.md", "troubleshooting.md"} <= {page.name for page in pages}
    for page in pages:
        for target in re.findall(r"\]\((\w[\w-]*\.md)[)#]", page.read_text()):
            assert (folder / target).is_file(), f"{page.name} leads to {target}"


def test_the_example_is_a_configuration(files: Path, binaries: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    run(
        binaries / "setup", "generate-certs", f"--output=dir:{store}", "--key-type=ecdsa-p256",
        "--tunnel-domain=abcd1234.tunnel.anthropic.com",
    )  # fmt: skip
    text = (files / "usr/share/doc/mcp-tunnel/examples/config.yaml").read_text()
    assert text.count(STORE + "/tls.") == 2
    file = tmp_path / "config.yaml"
    file.write_text(re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:0", text.replace(STORE, str(store))))
    with subprocess.Popen([binaries / "mcp-proxy", "-config", file], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        lines = []
        for line in process.stderr:
            lines.append(line)
            if " listening " in line:
                break
        process.terminate()
        assert process.wait(20) == 0, "".join(lines)
    assert any("listening" in line for line in lines), "".join(lines)


def test_the_examples_environment_is_what_setup_reads(files: Path) -> None:
    text = (files / "usr/share/doc/mcp-tunnel/examples/setup.env").read_text()
    names = set(re.findall(r"^#?([A-Z_]+)=", text, re.M))
    source = (REPOSITORY / "Sources/setup/SetupEnvironment.swift").read_text()
    # Not setup's own, but the unit's.
    assert "${TOKEN_VERSION}" in (files / "lib/systemd/system/mcp-tunnel-setup.service").read_text()
    assert "ANTHROPIC_IDENTITY_TOKEN_FILE" in names and "API_TOKEN" in names
    for name in names - {"TOKEN_VERSION"}:
        assert f'"{name}"' in source
