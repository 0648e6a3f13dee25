"""The certificate is polled and swapped as a pair, without touching live connections."""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from peers.upstream import Upstream, echo

VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
FAST = {"reload_interval": "50ms"}


async def serial(proxy) -> int:
    """The serial number of the certificate a new connection gets."""
    stream = await proxy.far.open()
    certificate = x509.load_der_x509_certificate(stream.tls.getpeercert(binary_form=True))
    await stream.close()
    return certificate.serial_number


async def until_serial(proxy, wanted: int) -> None:
    while await serial(proxy) != wanted:
        await asyncio.sleep(0.02)


async def test_swap_leaves_live_connections_alone(start, certificates, tmp_path: Path) -> None:
    old, new = certificates.authority.issue("*.t.example"), certificates.authority.issue("*.t.example")
    certificate, key = old.write(tmp_path / "data")
    async with Upstream(echo) as upstream:
        tls = {"cert_file": str(certificate), "key_file": str(key), **FAST}
        proxy = start({"echo": upstream}, tls=tls)
        assert await serial(proxy) == old.serial
        async with proxy.far.http("echo") as live:
            assert (await live.get()).status == 200
            # Key first: for a moment the pair does not match.
            key.write_bytes(new.key)
            certificate.write_bytes(new.certificate)
            await until_serial(proxy, new.serial)
            assert (await live.get()).status == 200


async def test_renewed_certificate_with_the_same_key(start, certificates, tmp_path: Path) -> None:
    """The documented manual renewal replaces only tls.crt."""
    leaf = certificates.authority.issue("*.t.example")
    certificate, key = leaf.write(tmp_path / "data")
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, tls={"cert_file": str(certificate), "key_file": str(key), **FAST})
        renewed = certificates.authority.issue(
            "*.t.example", key=serialization.load_pem_private_key(leaf.key, password=None)
        )
        certificate.write_bytes(renewed.certificate)
        await until_serial(proxy, renewed.serial)


async def test_change_right_after_the_start_is_not_missed(start, certificates, tmp_path: Path) -> None:
    """The files may change between the reading at the start and the first look; several starts, to meet that moment."""
    async with Upstream(echo) as upstream:
        for number in range(6):
            old, new = certificates.authority.issue("*.t.example"), certificates.authority.issue("*.t.example")
            folder = tmp_path / f"data-{number}"
            certificate, key = old.write(folder)
            tls = {"cert_file": str(certificate), "key_file": str(key), **FAST}
            proxy = start({"echo": upstream}, tls=tls)
            new.write(folder)
            async with asyncio.timeout(3):
                await until_serial(proxy, new.serial)


async def test_kubernetes_symlink_swap(start, certificates, tmp_path: Path) -> None:
    volume, leaves = tmp_path / "volume", [certificates.authority.issue("*.t.example") for _ in range(3)]
    leaves[0].write(volume / "..2026_11_21_1")
    (volume / "..data").symlink_to("..2026_11_21_1")
    for name in ("tls.crt", "tls.key"):
        (volume / name).symlink_to(f"..data/{name}")
    async with Upstream(echo) as upstream:
        tls = {"cert_file": str(volume / "tls.crt"), "key_file": str(volume / "tls.key"), **FAST}
        proxy = start({"echo": upstream}, tls=tls)
        for number, leaf in enumerate(leaves[1:], start=2):
            leaf.write(volume / f"..2026_11_21_{number}")
            (volume / "..data_tmp").symlink_to(f"..2026_11_21_{number}")
            os.rename(volume / "..data_tmp", volume / "..data")
            await until_serial(proxy, leaf.serial)
        assert not proxy.found(" (WARN|ERROR) ")


async def test_broken_pairs_keep_the_old_one_and_are_told_once(start, certificates, tmp_path: Path) -> None:
    old, new = certificates.authority.issue("*.t.example"), certificates.authority.issue("*.t.example")
    certificate, key = old.write(tmp_path / "data")
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, tls={"cert_file": str(certificate), "key_file": str(key), **FAST})
        broken = [
            (new.certificate[: len(new.certificate) // 2], old.key),  # half written
            (new.certificate, old.key),  # mismatched
            (b"", b""),  # truncated to nothing
            (old.certificate, b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        ]
        for certificate_bytes, key_bytes in broken:
            mark = proxy.mark()
            certificate.write_bytes(certificate_bytes)
            key.write_bytes(key_bytes)
            await proxy.logged(f" (WARN|ERROR) .*{tmp_path}", since=mark)
            # Many polls later it has still been said once for this content. (Between the two writes a poll may
            # have seen one more, different, broken pair.)
            await asyncio.sleep(0.4)
            assert len(proxy.found(" (WARN|ERROR) ", since=mark)) <= 2
            assert await serial(proxy) == old.serial
        new.write(tmp_path / "data")
        await until_serial(proxy, new.serial)


async def test_a_missing_file_keeps_the_old_pair(start, certificates, tmp_path: Path) -> None:
    old, new = certificates.authority.issue("*.t.example"), certificates.authority.issue("*.t.example")
    certificate, key = old.write(tmp_path / "data")
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, tls={"cert_file": str(certificate), "key_file": str(key), **FAST})
        key.unlink()
        await proxy.logged(f"open {key}: no such file or directory")
        assert await serial(proxy) == old.serial
        new.write(tmp_path / "data")
        await until_serial(proxy, new.serial)


@pytest.mark.parametrize("change", ["renewed", "other-authority"])
@pytest.mark.parametrize("version", VERSIONS)
async def test_no_session_outlives_its_certificate(
    start, certificates, tmp_path: Path, version: str, change: str
) -> None:
    """Who comes back with a session of the old certificate sees the new one. A look that finds the same goes on."""
    old = certificates.authority.issue("*.t.example")
    authority = certificates.authority if change == "renewed" else certificates.stranger
    new = authority.issue("*.t.example")
    certificate, key = old.write(tmp_path / "data")
    async with Upstream(echo) as upstream:
        tls = {"cert_file": str(certificate), "key_file": str(key), **FAST}
        proxy = start({"echo": upstream}, tls=tls)
        context = proxy.far.context(maximum=VERSIONS[version])
        context.load_verify_locations(certificates.stranger_file)

        async def once(session: ssl.SSLSession | None) -> tuple[bool, int, ssl.SSLSession]:
            async with proxy.far.http("echo", context=context, session=session) as http:
                assert (await http.get()).status == 200
                tls = http.stream.tls
                shown = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True))
                return tls.session_reused, shown.serial_number, tls.session

        _, _, session = await once(None)
        # Another text with the same certificate in it is taken up, and changes nothing.
        mark = proxy.mark()
        certificate.write_bytes(b"# the same\n" + old.certificate)
        await proxy.logged("certificate reloaded", since=mark)
        reused, _, session = await once(session)
        assert reused
        mark = proxy.mark()
        new.write(tmp_path / "data")
        await proxy.logged("certificate reloaded", since=mark)
        reused, shown, fresh = await once(session)
        assert (reused, shown) == (False, new.serial)
        reused, shown, _ = await once(fresh)
        assert (reused, shown) == (True, new.serial)


async def test_old_session_ends_where_the_authority_changed(start, certificates, tmp_path: Path) -> None:
    """After a swap the far side trusts what the new certificate says, not what an old one said."""
    old, new = certificates.authority.issue("*.t.example"), certificates.stranger.issue("*.t.example")
    certificate, key = old.write(tmp_path / "data")
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, tls={"cert_file": str(certificate), "key_file": str(key), **FAST})
        new.write(tmp_path / "data")
        context = proxy.far.context(ca_file=certificates.stranger_file)
        while True:
            try:
                stream = await proxy.far.open(context=context)
                break
            except ssl.SSLCertVerificationError:
                await asyncio.sleep(0.02)
        await stream.close()
