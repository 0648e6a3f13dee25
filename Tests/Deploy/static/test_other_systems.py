"""The static programs on a Debian whose C library and OpenSSL are too old for the Debian package: Debian 11."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from bare_root import STATIC
from conftest import REPOSITORY, Namespace, run

#: Kept between runs.
ROOT = REPOSITORY / "out/debian-11"
ENTER = 'mount -t proc proc "$0/proc" && mount --bind "$1" "$0/mnt" && exec env -i PATH=/usr/bin:/bin /usr/sbin/chroot "$0" "${@:2}"'


@pytest.fixture(scope="module")
def older() -> Path:
    if not ROOT.exists():
        made = ROOT.with_name(ROOT.name + ".new")
        shutil.rmtree(made, ignore_errors=True)
        run("debootstrap", "--variant=minbase", "bullseye", made, timeout=900)
        made.rename(ROOT)
    return ROOT


def inside(root: Path, network: Namespace, *words: str) -> str:
    """What a program prints in that system, where ours are in /mnt."""
    return network.run("unshare", "--mount", "bash", "-c", ENTER, root, STATIC, *words)


def test_debian_11(older: Path, network: Namespace) -> None:
    assert "2.31" in inside(older, network, "ldd", "--version")
    assert "✓ tools/call" in inside(older, network, "/mnt/mcp-proxy", "demo")
    output = ("--output=dir:/tmp/data", "--tunnel-domain=t.example", "--key-type=ecdsa-p256")
    inside(older, network, "sh", "-c", f"rm -rf /tmp/data && /mnt/setup generate-certs {' '.join(output)} && rm -r /tmp/data")
