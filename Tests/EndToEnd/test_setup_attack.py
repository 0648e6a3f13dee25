"""Somebody who owns the folder, or may write into it, plays root's setup for what he cannot do himself."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from peers.setup import FAST, NAMES, Output, Setup, TunnelsAPI, openssl

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the attacks are on root, by others")

#: The attacker.
MALLORY = 65531


@pytest.fixture
def trap(output: Output) -> Output:
    """A folder of the attacker's, made for him by root."""
    output.folder.mkdir(mode=0o755)
    os.chown(output.folder, MALLORY, MALLORY)
    return output


@pytest.fixture
def vault(tmp_path: Path, setup: Setup) -> Output:
    """Credentials that only root can read, in a folder that everybody can enter."""
    vault = Output(tmp_path / "vault")
    setup("generate-certs", f"--output={vault}", FAST, "--tunnel-domain=vault.example")
    vault.folder.chmod(0o755)
    (vault.folder / "password").write_text("root-only-line")
    (vault.folder / "password").chmod(0o600)
    return vault


def plant(trap: Output, name: str, *, link: Path | None = None, text: bytes = b"") -> None:
    """As the attacker does it: the file or link is his."""
    path = trap.path(name)
    if link:
        path.symlink_to(link)
    else:
        path.write_bytes(text)
    os.chown(path, MALLORY, MALLORY, follow_symlinks=False)


def test_a_planted_link_to_a_key_signs_nothing(setup: Setup, trap: Output, vault: Output) -> None:
    plant(trap, "ca.crt", text=vault.bytes("ca.crt"))
    plant(trap, "ca.key", link=vault.path("ca.key"))
    plant(trap, "tunnel-domain", text=b"mallory.example")
    outcome = setup("renew-cert", f"--output={trap}", FAST, status=1)
    assert "permission denied" in outcome.stderr and str(trap.path("ca.key")) in outcome.stderr
    assert not trap.path("tls.crt").exists() and not trap.path("tls.key").exists()


@pytest.mark.parametrize("command", ["renew-cert", "verify"])
def test_a_planted_link_shows_no_line_of_a_secret(setup: Setup, trap: Output, vault: Output, command: str) -> None:
    setup("generate-certs", f"--output={trap}", FAST, "--tunnel-domain=mallory.example")
    trap.path("tunnel-domain").unlink()
    plant(trap, "tunnel-domain", link=vault.path("password"))
    before = trap.bytes("tls.crt")
    outcome = setup(command, f"--output={trap}", status=1)
    assert "permission denied" in outcome.stderr and "root-only-line" not in outcome.all
    assert trap.bytes("tls.crt") == before


def test_a_lock_that_is_a_second_name_of_a_file_is_refused(setup: Setup, trap: Output, vault: Output) -> None:
    """Where the kernel allows such links, root's file would be given away and emptied."""
    os.link(vault.path("password"), trap.path(".setup.lock"))
    outcome = setup("init", f"--output={trap}", FAST, status=1)
    assert ".setup.lock" in outcome.stderr
    assert vault.text("password") == "root-only-line"
    status = vault.path("password").stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (0, 0o600)


def test_a_second_name_of_ones_own_file_is_no_lock(setup: Setup, trap: Output, tmp_path: Path) -> None:
    plant(trap, "notes", text=b"the owner's notes")
    os.link(trap.path("notes"), trap.path(".setup.lock"))
    outcome = setup("init", f"--output={trap}", FAST, status=1)
    assert "has a second name" in outcome.stderr
    assert trap.text("notes") == "the owner's notes"


def journal(folder: Path, vault: Output) -> None:
    """A change that looks committed: another CA with its key."""
    path = folder / ".setup-journal"
    path.mkdir(mode=0o777)
    for name in ("ca.crt", "ca.key", "tunnel-domain"):
        (path / name).write_bytes(vault.bytes(name))
        os.chown(path / name, MALLORY, MALLORY)
    os.chown(path, MALLORY, MALLORY)


def sticky(output: Output, owner: int) -> None:
    """As /tmp is."""
    os.chown(output.folder, owner, owner)
    output.folder.chmod(0o1777)


@pytest.mark.parametrize("owner", [0, 65532])
def test_a_folder_that_others_can_write_is_refused(setup: Setup, output: Output, owner: int) -> None:
    output.folder.mkdir()
    sticky(output, owner)
    outcome = setup("init", f"--output={output}", FAST, status=1)
    assert "others can write" in outcome.stderr and "chmod go-w" in outcome.stderr
    assert not output.names() and not output.path(".setup.lock").exists()


def test_a_planted_journal_is_not_believed(setup: Setup, output: Output, vault: Output) -> None:
    """Planted while others could write; what it holds would take the place of root's CA."""
    setup("generate-certs", f"--output={output}", FAST, "--tunnel-domain=t.example")
    before = output.contents()
    journal(output.folder, vault)
    for command in ("renew-cert", "verify"):
        outcome = setup(command, f"--output={output}", FAST if command != "verify" else "--json", status=1)
        assert ".setup-journal" in outcome.stderr and str(MALLORY) in outcome.stderr
    assert {name: output.bytes(name) for name in before} == before


def test_a_folder_that_somebody_made_first_is_refused(setup: Setup, tmp_path: Path) -> None:
    """In a place like /tmp anybody can make the folder that root is going to name."""
    place = tmp_path / "place"
    place.mkdir()
    place.chmod(0o1777)
    output = Output(place / "data")
    output.folder.mkdir(mode=0o700)
    os.chown(output.folder, MALLORY, MALLORY)
    outcome = setup("init", f"--output={output}", FAST, status=1)
    assert f"belongs to user {MALLORY}" in outcome.stderr
    assert not os.listdir(output.folder)


def test_the_owner_can_be_named(setup: Setup, api: TunnelsAPI, tmp_path: Path) -> None:
    """What the message asks for is enough, from the first run to the last; and a wrong name is refused everywhere."""
    place = tmp_path / "place"
    place.mkdir()
    place.chmod(0o1777)
    output = Output(place / "data")
    output.folder.mkdir(mode=0o700)
    os.chown(output.folder, MALLORY, MALLORY)
    refused = setup("init", f"--output={output}", FAST, status=1)
    flag = f"--output-owner={MALLORY}"
    assert refused.stderr.rstrip().endswith(flag)
    setup("init", f"--output={output}", flag, FAST, "--token-version=1")
    output.check(api)
    assert {output.path(name).stat().st_uid for name in NAMES} == {MALLORY}
    before = output.contents()
    for command in ("init", "renew-cert", "rotate-ca", "verify", "certs list", "token rotate --yes", "init --dry-run"):
        outcome = setup(*command.split(), f"--output={output}", "--output-owner=root", status=1)
        assert f"belongs to user {MALLORY}, not to 0" in outcome.stderr, command
    assert output.contents() == before
    for command in ("renew-cert", "verify", "certs list", "token reveal"):
        setup(*command.split(), f"--output={output}", flag)


def test_a_link_that_somebody_made_leads_nowhere(setup: Setup, tmp_path: Path, vault: Output) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (place / "data").symlink_to(vault.folder)
    os.chown(place / "data", MALLORY, MALLORY, follow_symlinks=False)
    before = vault.contents()
    outcome = setup("renew-cert", f"--output=dir:{place / 'data'}", FAST, status=1)
    assert "symbolic link" in outcome.stderr
    assert vault.contents() == before


def test_all_files_are_the_owners_and_no_right_of_roots_is_used(
    setup: Setup, api: TunnelsAPI, trap: Output
) -> None:
    """A folder that its owner cannot write is none that root fills for him."""
    trap.folder.chmod(0o500)
    outcome = setup("init", f"--output={trap}", FAST, status=1)
    assert "permission denied" in outcome.stderr
    trap.folder.chmod(0o700)
    setup("init", f"--output={trap}", FAST, "--token-version=1")
    trap.check(api)
    for name in [*NAMES, ".setup.lock"]:
        status = trap.path(name).stat()
        assert (status.st_uid, status.st_gid) == (MALLORY, MALLORY), name


def test_the_owners_own_link_is_followed(setup: Setup, trap: Output, tmp_path: Path) -> None:
    """`ca.key` may lie on a medium of its own, also for root's run."""
    setup("generate-certs", f"--output={trap}", FAST, "--tunnel-domain=t.example")
    medium = tmp_path / "medium"
    medium.mkdir(mode=0o755)
    for parent in list(medium.parents)[:3]:
        parent.chmod(parent.stat().st_mode | 0o055)
    key = medium / "key"
    trap.path("ca.key").rename(key)
    plant(trap, "ca.key", link=key)
    setup("renew-cert", f"--output={trap}")
    assert trap.path("ca.key").is_symlink()
    assert openssl("verify", "-CAfile", str(trap.path("ca.crt")), str(trap.path("tls.crt"))).endswith("OK\n")


def test_a_folder_in_place_of_the_lock_is_named(setup: Setup, output: Output) -> None:
    output.folder.mkdir(mode=0o700)
    output.path(".setup.lock").mkdir()
    outcome = setup("init", f"--output={output}", FAST, status=1)
    assert f"{output.path('.setup.lock')} is a folder, not a file" in outcome.stderr
    assert "disk" not in outcome.stderr


@pytest.mark.parametrize("time", [2**63 - 1, -(2**63)])
def test_extreme_times_in_the_state_do_not_crash(setup: Setup, api: TunnelsAPI, output: Output, time: int) -> None:
    """A time beyond all clocks is one like any other; one in the future is waited for as a fresh one is."""
    output.folder.mkdir(mode=0o700)
    output.path("setup-state.json").write_text(
        f'{{"creation":{{"displayName":"x","known":[],"startedAt":{time}}},"version":1}}')
    setup("init", f"--output={output}", FAST)
    output.check(api)
