"""The commands of docs/releases.md, run as they are printed, where the programs are to be had."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from made import SUMS, VERSION, Made
from printed import blocks_under
from tree import Tree, run

PAGE = "docs/releases.md"


def block(heading: str, first: str) -> str:
    """The block of commands that begins like this."""
    (found,) = [text for text in blocks_under(PAGE, heading) if text.startswith(first)]
    return found


def shell(commands: str, folder: Path, **environment: str) -> str:
    return run("bash", "-euc", commands, cwd=folder, env=environment)


def test_check_one(release: Made) -> None:
    assert "files are in order" in shell(block("Check one", "./verify"), release.folder)


def test_build_it_again(tree: Tree, places: tuple[Path, Path], tmp_path: Path) -> None:
    """Who makes the release anew, in a clone that has gone on, has the published sums."""
    tree.raise_("--released", "2026-12-01")
    tree.commit("Release")
    tree.git("tag", VERSION)
    binaries = str(places[1].with_name(places[1].name + "-programs"))
    run(tree.folder / "deploy/release/dist", tmp_path / "published", env={"BINARIES": binaries})
    tree.git("commit", "--quiet", "--allow-empty", "--message", "later")
    run("git", "clone", "--quiet", tree.folder, tmp_path / "clone")
    printed = shell(block("Check one", "git checkout"), tmp_path / "clone", HOME=str(tmp_path), BINARIES=binaries)
    assert printed.count(": OK\n") == len(Made(tmp_path / "published").names) - 1 and "no tag" not in printed


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """The address of a registry on this machine."""
    settings = {
        "version": 0.1,
        "log": {"level": "info"},
        "http": {"addr": "127.0.0.1:0"},
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
    }
    (tmp_path / "registry.json").write_text(json.dumps(settings))
    process = subprocess.Popen(
        ["docker-registry", "serve", tmp_path / "registry.json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},
    )
    try:
        assert process.stderr
        for line in process.stderr:
            if address := re.search(r"listening on (127\.0\.0\.1:\d+)", line):
                break
        else:
            pytest.fail("the registry does not listen")
        yield address[1]
    finally:
        process.kill()
        process.wait()


def test_push_the_image(release: Made, registry: str, tmp_path: Path) -> None:
    (tmp_path / "registries.conf").write_text(f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n')
    commands = block("Push it to a registry", "skopeo copy").replace("registry.example.com", registry)
    # One without TLS.
    commands = commands.replace("skopeo ", f"skopeo --registries-conf {tmp_path}/registries.conf ")
    printed = shell(commands, release.folder)
    subjects = {each["name"]: each["digest"] for each in release.json(release.named(".provenance.json"))["subject"]}
    assert printed.strip().split("\n")[-1] == "sha256:" + subjects[f"mcp-tunnel:{VERSION}"]["sha256"]


def test_sign_with_ssh(release: Made, tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / ".ssh/id_ed25519")
    signer = f"releases@example.com {(tmp_path / '.ssh/id_ed25519.pub').read_text()}"
    commands = block("Sign it", "ssh-keygen").replace("-f allowed_signers", f"-f {tmp_path}/allowed_signers")
    (tmp_path / "allowed_signers").write_text(signer)
    sign, check = commands.replace("~/", f"{tmp_path}/").strip().split("\n")
    shell(sign, release.folder)
    assert 'Good "mcp-tunnel" signature for releases@example.com' in shell(check, release.folder)
    # It lies beside the sums, and is no file of the release.
    assert f"{SUMS}.sig" in release.names and release.verify() == []
    release.write(SUMS, release.read(SUMS).replace(b"0", b"1", 1))
    with pytest.raises(AssertionError, match="Could not verify signature"):
        shell(check, release.folder)


def test_predicate_alone(release: Made) -> None:
    (command,) = [line for line in block("Sign it", "cosign sign --key").split("\n") if line.startswith("python3")]
    shell(command, release.folder)
    assert release.json("predicate.json") == release.json(release.named(".provenance.json"))["predicate"]


def test_make_one(tree: Tree) -> None:
    """From a change to the tag, by the commands alone."""
    tree.edit("Sources/TunnelCore/CHANGELOG.md", "## 0.2.0", "## Unreleased\n\n- Something.\n\n## 0.2.0")
    shell(block("Make one", "deploy/release/raise TunnelCore"), tree.folder)
    tree.edit("CHANGELOG.md", "(unreleased)\n", "(unreleased)\n\nWords.\n")
    assert tree.check() == []
    shell(block("Make one", "deploy/release/raise --released"), tree.folder)
    assert tree.git("describe", "--exact-match").strip() == VERSION
