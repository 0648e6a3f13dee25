"""How the image is built: twice the same, described by its bill of materials, and taken by other tools."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from conftest import REPOSITORY, Image, run
from spdx_tools.spdx.model.document import Document
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document


@pytest.fixture(scope="module")
def bill() -> Document:
    return parse_file(str(REPOSITORY / "out/mcp-tunnel.spdx.json"))


def test_a_second_build_gives_the_same_bytes(image: Image, tmp_path: Path) -> None:
    printed = run(REPOSITORY / "deploy/image/build", tmp_path / "again", timeout=600)
    assert image.descriptor["digest"] in printed
    for name in ("mcp-tunnel-image.tar", "mcp-tunnel.spdx.json"):
        first, second = (REPOSITORY / "out" / name).read_bytes(), (tmp_path / "again" / name).read_bytes()
        assert hashlib.sha256(first).hexdigest() == hashlib.sha256(second).hexdigest(), name


def test_another_tool_reads_the_archive(image: Image) -> None:
    seen = json.loads(run("skopeo", "inspect", f"oci-archive:{image.archive}"))
    assert seen["Digest"] == image.descriptor["digest"]
    assert seen["Layers"] == [layer["digest"] for layer in image.manifest["layers"]]
    raw = json.loads(run("skopeo", "inspect", "--config", "--raw", f"docker-archive:{image.archive}"))
    assert raw["config"]["Healthcheck"] == image.configuration["config"]["Healthcheck"]


def test_the_bill_of_materials_is_valid(bill: Document) -> None:
    assert not [message.validation_message for message in validate_full_spdx_document(bill)]
    assert bill.creation_info.spdx_version == "SPDX-2.3"


def test_it_lists_every_debian_package(bill: Document, rootfs: Path) -> None:
    listed = {package.name: package.version for package in bill.packages}
    for file in (rootfs / "var/lib/dpkg/status.d").iterdir():
        if file.suffix != ".md5sums":
            assert f"\nVersion: {listed[file.name]}\n" in file.read_text()
    for library in ("TunnelCore", "TunnelTLS", "TunnelPKI", "TunnelProxy", "TunnelAPI", "TunnelSetup", "swift-runtime"):
        assert listed[library]


def test_its_checksums_are_those_of_the_image(bill: Document, rootfs: Path) -> None:
    for file in bill.files:
        data = (rootfs / file.name).read_bytes()
        sums = {checksum.algorithm.name.lower(): checksum.value for checksum in file.checksums}
        assert sums == {kind: hashlib.new(kind, data).hexdigest() for kind in ("sha1", "sha256")}, file.name
    programs = {"./mcp-proxy", "./setup"}
    assert programs < {file.name for file in bill.files}
