"""Certificates of any shape, good ones and broken ones, made by Python's cryptography."""

from __future__ import annotations

import datetime
import subprocess
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DOMAIN = "abcd1234.tunnel.anthropic.com"
DAY = datetime.timedelta(days=1)


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


# Keys.


def make_key(kind: str) -> Any:
    """`rsa2048`, `p256` and the like."""
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind[3:]))
    return ec.generate_private_key({"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}[kind])


def pkcs8(key: Any) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def traditional(key: Any) -> bytes:
    """PKCS#1 for RSA, SEC1 for EC."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def encrypted(key: Any, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"secret"))


# Certificates.


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def names(*texts: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.DNSName(text) for text in texts])


def usage(**bits: bool) -> x509.KeyUsage:
    every = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]
    return x509.KeyUsage(**{bit: bits.get(bit, False) for bit in every})


@dataclass(frozen=True)
class Draft:
    """A certificate before it is signed: all its parts, so that a test can change one."""

    subject: str
    issuer: str
    starts: datetime.timedelta = -DAY
    ends: datetime.timedelta = 30 * DAY
    #: With whether it is critical. `subject` and `issuer` without a value are the key identifiers as they should be.
    extensions: dict[str, tuple[x509.ExtensionType | None, bool] | None] = field(default_factory=dict)

    @staticmethod
    def authority() -> Draft:
        """As the guide's recipe makes it. It outlives a server's that is signed a little later."""
        return Draft("mcp-tunnel-ca", "mcp-tunnel-ca", ends=30 * DAY + datetime.timedelta(hours=1), extensions={
            "basic": (x509.BasicConstraints(True, None), True),
            "usage": (usage(key_cert_sign=True, crl_sign=True), True), "subject": (None, False)})

    @staticmethod
    def server() -> Draft:
        return Draft(DOMAIN, "mcp-tunnel-ca", extensions={
            "names": (names(DOMAIN, f"*.{DOMAIN}"), False), "issuer": (None, False),
            "extended": (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)})

    def having(self, **extensions: tuple[x509.ExtensionType | None, bool] | None) -> Draft:
        """With other extensions: None leaves one out."""
        return replace(self, extensions={**self.extensions, **extensions})

    def signed(self, key: Any, issuer_key: Any) -> bytes:
        """In PEM, signed with SHA-256."""
        moment = now()
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(self.subject)).issuer_name(name(self.issuer)).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(moment + self.starts).not_valid_after(moment + self.ends))
        identifiers = {
            "subject": lambda: x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
            "issuer": lambda: x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())}
        for kind, entry in self.extensions.items():
            if entry is not None:
                value, is_critical = entry
                builder = builder.add_extension(value or identifiers[kind](), is_critical)
        return builder.sign(issuer_key, hashes.SHA256()).public_bytes(Encoding.PEM)


# A digest that Python does not sign with any more.


def with_sha1(pem: bytes, issuer_key: ec.EllipticCurvePrivateKey) -> bytes:
    """The same certificate, signed with ECDSA and SHA-1: its algorithm exchanged in the DER, and a new signature."""
    sha256, sha1 = (_tlv(0x30, bytes.fromhex(oid)) for oid in ("06082a8648ce3d040302", "06072a8648ce3d0401"))
    body = x509.load_pem_x509_certificate(pem).tbs_certificate_bytes
    assert body.count(sha256) == 1
    body = _tlv(0x30, _content(body).replace(sha256, sha1))
    signature = issuer_key.sign(body, ec.ECDSA(hashes.SHA1()))
    certificate = _tlv(0x30, body + sha1 + _tlv(0x03, b"\0" + signature))
    return subprocess.run(
        ["openssl", "x509", "-inform", "DER"], input=certificate, capture_output=True, check=True, timeout=20).stdout


def _tlv(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + content


def _content(der: bytes) -> bytes:
    return der[2 if der[1] < 0x80 else 2 + (der[1] & 0x7F):]
