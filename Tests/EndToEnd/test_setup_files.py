"""What setup writes into a folder: names, modes, owners; and that the proxy serves with it."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest
from conftest import TUNNEL_ID
from cryptography import x509
from peers.far_side import FarSide
from peers.setup import FAST, NAMES, Output, Setup, TunnelsAPI
from peers.upstream import Upstream, echo

SECRETS = {"tunnel-token", "ca.key", "tls.key", "ticket-keys"}
#: The user of the containers.
CONTAINER = 65532

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user, which is for root")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=lambda value: f"{value:03o}")
def test_modes_do_not_depend_on_the_umask(setup: Setup, api: TunnelsAPI, output: Output, umask: int) -> None:
    setup("init", f"--output={output}", FAST, "--token-version=1", umask=umask)
    output.check(api)
    assert output.mode() == 0o700
    for name in NAMES:
        assert output.mode(name) == (0o600 if name in SECRETS else 0o644), name
    assert output.mode(".setup.lock") & 0o077 == 0


def test_modes_of_files_that_are_replaced(setup: Setup, output: Output) -> None:
    """A key that somebody has made readable by all is no longer so after the renewal."""
    setup("init", f"--output={output}", FAST)
    output.path("tls.key").chmod(0o644)
    setup("renew-cert", f"--output={output}")
    assert output.mode("tls.key") == 0o600


def test_folder_stays_as_it_is_found(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    output.folder.mkdir(mode=0o755)
    output.folder.chmod(0o2755)
    (output.folder / "notes.txt").write_text("mine")
    setup("init", f"--output={output}", FAST)
    assert output.mode() == 0o2755
    assert (output.folder / "notes.txt").read_text() == "mine"


@only_root
@pytest.mark.parametrize("command", ["init", "generate-certs"])
def test_root_gives_the_files_to_the_folders_owner(
    setup: Setup, output: Output, command: str
) -> None:
    """`chown 65532:65532 data`, and then setup run by root all the same."""
    output.folder.mkdir()
    os.chown(output.folder, CONTAINER, CONTAINER)
    setup(command, f"--output={output}", FAST, *(["--tunnel-domain=t.example"] if command != "init" else []))
    setup("renew-cert", f"--output={output}")
    for name in [*output.names(), ".setup.lock"]:
        status = output.path(name).stat()
        assert (status.st_uid, status.st_gid) == (CONTAINER, CONTAINER), name


@only_root
def test_container_user_fills_its_folder(
    setup: Setup, api: TunnelsAPI, output: Output, reachable_setup: Path, tmp_path: Path
) -> None:
    """As Compose runs it: `user: "65532:65532"`, all capabilities dropped, no new privileges."""
    output.folder.mkdir()
    os.chown(output.folder, CONTAINER, CONTAINER)
    prefix = ["setpriv", f"--reuid={CONTAINER}", f"--regid={CONTAINER}", "--clear-groups", "--no-new-privs",
              "--bounding-set=-all", "--inh-caps=-all"]
    Setup(reachable_setup, api)("init", f"--output={output}", FAST, "--token-version=1", prefix=prefix)
    output.check(api)
    for name in NAMES:
        assert output.path(name).stat().st_uid == CONTAINER
        assert output.mode(name) == (0o600 if name in SECRETS else 0o644), name


@pytest.fixture
def reachable_setup(setup_binary: Path, tmp_path: Path):
    """A copy of setup where every user can run it, in a folder that every user can enter."""
    folder = tmp_path
    while folder != Path(tempfile.gettempdir()):
        folder.chmod(folder.stat().st_mode | 0o055)
        folder = folder.parent
    copy = tmp_path / "setup"
    shutil.copy(setup_binary, copy)
    copy.chmod(0o755)
    return copy


def test_links_are_replaced_by_files(setup: Setup, api: TunnelsAPI, output: Output, tmp_path: Path) -> None:
    """An operator's link is followed when it is read; what it leads to is not written through it."""
    setup("init", f"--output={output}", FAST)
    elsewhere = tmp_path / "elsewhere.key"
    output.path("tls.key").rename(elsewhere)
    output.path("tls.key").symlink_to(elsewhere)
    old = elsewhere.read_bytes()
    setup("init", f"--output={output}")
    assert output.path("tls.key").is_symlink()
    setup("renew-cert", f"--output={output}")
    assert elsewhere.read_bytes() == old
    assert stat.S_ISREG(output.path("tls.key").lstat().st_mode)
    setup("verify", f"--output={output}")


def test_white_space_that_editors_leave_is_no_change(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    setup("init", f"--output={output}", FAST, "--token-version=1")
    for name in ("tunnel-id", "tunnel-domain", "token-version", "tunnel-token"):
        output.path(name).write_text(output.text(name) + "\r\n")
    outcome = setup("init", f"--output={output}", "--token-version=1")
    assert "nothing changed" in outcome.stderr
    assert len(api.tunnels()) == 2


def test_missing_file_is_made_again(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    setup("init", f"--output={output}", FAST, "--token-version=1")
    whole = output.contents()
    for name in ("tunnel-token", "tls.crt", "tls.key", "tunnel-domain", "tunnel-id"):
        output.path(name).unlink()
        # The id is the one thing that only the operator can know.
        setup("init", f"--output={output}", FAST, environment={"TUNNEL_ID": whole["tunnel-id"].decode()})
        output.check(api)
        setup("verify", f"--output={output}")
    assert output.bytes("ca.crt") == whole["ca.crt"] and output.bytes("tunnel-token") == whole["tunnel-token"]
    assert len(api.authorities(output.text("tunnel-id"))) == 1


def test_server_certificate_is_issued_without_the_cas_key_only_where_none_is_needed(
    setup: Setup, api: TunnelsAPI, output: Output
) -> None:
    """`ca.key` may be moved to safe storage."""
    setup("init", f"--output={output}", FAST)
    key = output.bytes("ca.key")
    output.path("ca.key").unlink()
    setup("init", f"--output={output}")
    setup("verify", f"--output={output}")
    outcome = setup("renew-cert", f"--output={output}", status=1)
    assert "ca.key" in outcome.stderr and "put the CA's key back" in outcome.stderr
    output.path("ca.key").write_bytes(key)
    setup("renew-cert", f"--output={output}")
    setup("verify", f"--output={output}")


# The proxy serves with it.


async def test_proxy_serves_what_setup_wrote_and_takes_up_what_it_renews(
    start, setup: Setup, output: Output
) -> None:
    setup("init", f"--output={output}", "--key-type=ecdsa-p256", environment={"TUNNEL_ID": TUNNEL_ID})
    domain = output.text("tunnel-domain")
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, tunnel_domain=domain, tls={
            "cert_file": str(output.path("tls.crt")), "key_file": str(output.path("tls.key")),
            "reload_interval": "50ms"})
        # The far side trusts the registered CA and no other, as Anthropic's does.
        far = FarSide(proxy.endpoint, domain, output.path("ca.crt"))

        async def serial() -> int:
            stream = await far.open()
            certificate = x509.load_der_x509_certificate(stream.tls.getpeercert(binary_form=True))
            await stream.close()
            return certificate.serial_number

        assert await serial() == output.certificate("tls.crt").serial_number
        async with far.http("echo") as client:
            assert (await client.get()).status == 200
            for arguments in (["renew-cert"], ["rotate-ca"]):
                await asyncio.to_thread(setup, *arguments, f"--output={output}")
                far = FarSide(proxy.endpoint, domain, output.path("ca.crt"))
                wanted = output.certificate("tls.crt").serial_number
                while True:
                    try:
                        if await serial() == wanted:
                            break
                    except OSError:  # The old certificate, under the new CA.
                        assert arguments == ["rotate-ca"]
                    await asyncio.sleep(0.02)
                # What is under way goes on.
                assert (await client.get()).status == 200
        assert not proxy.found(" ERROR ")


def test_openssl_verifies_what_the_proxy_presents(setup: Setup, output: Output) -> None:
    setup("init", f"--output={output}", FAST)
    result = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname",
         f"echo.{output.text('tunnel-domain')}", "-CAfile", str(output.path("ca.crt")), str(output.path("tls.crt"))],
        capture_output=True, text=True, timeout=20, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
