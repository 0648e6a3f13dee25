"""Root file systems of Debian: made once a month by debootstrap, then used through overlays that are thrown away."""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
CACHE = REPOSITORY / "out" / "debian-root"
# What a system that boots has, and a minimal one has not.
BOOTING = ["dbus", "systemd-sysv"]


def run(*command: object, timeout: float = 600, **options: object) -> str:
    """The standard output of a command that must succeed."""
    given = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": timeout, **options}
    result = subprocess.run([str(part) for part in command], **given)  # type: ignore[call-overload]
    assert result.returncode == 0, f"{command}: exit status {result.returncode}\n{result.stdout}{result.stderr}"
    return result.stdout


def release() -> str:
    """The code name of this system's release: its libraries are what the package depends on."""
    return platform.freedesktop_os_release()["VERSION_CODENAME"]


def mirror() -> str:
    """Where this system gets that release from."""
    wanted = ("Created-By: Packages", f"Codename: {release()}")
    targets = run("apt-get", "indextargets", "--format", "$(CODENAME)|$(REPO_URI)", *wanted)
    for line in targets.splitlines():
        codename, _, address = line.partition("|")
        if codename == release() and "debian" in address:
            return address
    raise AssertionError(f"apt has no source of {release()}:\n{targets}")


def inside(root: Path, *command: object) -> str:
    """Run a command in a root file system, with the packages that were downloaded before and this system's network."""
    archives = CACHE / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    return run(
        "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--pipe", "--resolv-conf=copy-host",
        f"--bind={archives}:/var/cache/apt/archives", "--setenv=DEBIAN_FRONTEND=noninteractive", "-D", root, *command,
    )  # fmt: skip


def install(root: Path, *packages: str) -> str:
    """Install packages, by name or as a file of the root, with what they depend on."""
    return inside(root, "apt-get", "-qq", "install", "-y", "--no-install-recommends", *packages)


@contextlib.contextmanager
def overlay(folder: Path, lower: list[Path]) -> Iterator[Path]:
    """A root file system on top of others, which stay as they are; `folder` gets what is written."""
    for part in ("upper", "work", "root"):
        (folder / part).mkdir(parents=True)
    layers = ":".join(str(layer) for layer in lower)
    options = f"lowerdir={layers},upperdir={folder}/upper,workdir={folder}/work"
    run("mount", "-t", "overlay", "overlay", "-o", options, folder / "root")
    try:
        yield folder / "root"
    finally:
        run("umount", folder / "root")


def layers() -> list[Path]:
    """The layers of a system that boots, uppermost first; the last one alone is a minimal system."""
    month = time.strftime("%Y-%m")
    wanted = hashlib.sha256(json.dumps([release(), mirror(), BOOTING, month]).encode()).hexdigest()
    stamp = CACHE / "stamp"
    minimal, booting = CACHE / "minimal", CACHE / "booting"
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(CACHE, ignore_errors=True)
        CACHE.mkdir(parents=True)
        run("debootstrap", "--variant=minbase", release(), minimal, mirror())
        with overlay(booting, [minimal]) as root:
            install(root, *BOOTING)
            # The installer of Debian writes it; debootstrap does not.
            (root / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        stamp.write_text(wanted)
    return [booting / "upper", minimal]
