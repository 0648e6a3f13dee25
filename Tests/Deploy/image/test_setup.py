"""`/setup` of the image under the hardening of the guides. What it does is tested where it is made."""

from __future__ import annotations

import os
import re
from pathlib import Path

from conftest import Namespace
from image.container import USER, Container


def test_version(tmp_path: Path, rootfs: Path, network: Namespace) -> None:
    result = Container(tmp_path / "version", rootfs, ["/setup", "--version"], network).run()
    assert (result.returncode, result.stderr) == (0, "")
    assert re.match(r"setup \d+\.\d+\.\d+\n", result.stdout)


def test_writes_only_where_it_may(tmp_path: Path, rootfs: Path, network: Namespace) -> None:
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, USER, USER)
    for parent in (tmp_path, *tmp_path.parents[:3]):
        parent.chmod(parent.stat().st_mode | 0o011)
    arguments = [
        "/setup", "generate-certs", "--tunnel-domain=t.example", "--key-type=ecdsa-p256", "--output=dir:/data"
    ]
    refused = Container(tmp_path / "refused", rootfs, arguments, network, {"/data": data}).run()
    assert refused.returncode == 1 and "read-only" in refused.stderr.lower()
    assert not list(data.iterdir())

    made = Container(tmp_path / "made", rootfs, arguments, network, writable={"/data": data}).run()
    assert made.returncode == 0, made.stderr
    status = (data / "tls.key").stat()
    assert (status.st_uid, status.st_mode & 0o777) == (USER, 0o600)
