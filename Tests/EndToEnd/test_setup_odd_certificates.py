"""`setup verify` on certificates that `openssl` makes on request, and what clients say to them: whatever a client refuses
must not be called good.

The clients are OpenSSL's verification of a server's chain and that of Python's cryptography, which is written in Rust and
compares names byte for byte, as Go does. For each certificate it is said which of them refuses it.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from peers.certificates import DOMAIN, _content, _tlv
from peers.setup import Setup

HOST = f"wiki.{DOMAIN}"
CA = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign", "subjectKeyIdentifier=hash"]
SERVER = [f"subjectAltName=DNS:{DOMAIN},DNS:*.{DOMAIN}", "authorityKeyIdentifier=keyid", "extendedKeyUsage=serverAuth"]


class Forge:
    """A folder in which `openssl` works: ca.crt, ca.key, tls.crt and tls.key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.make_ca()
        self.make_server()

    def openssl(self, *arguments: str, given: bytes | None = None) -> bytes:
        result = subprocess.run(
            ["openssl", *arguments], cwd=self.folder, input=given, capture_output=True, timeout=30, check=False)
        assert result.returncode == 0, result.stderr.decode()
        return result.stdout

    def make_ca(self, extensions: list[str] = CA, subject: str = "/CN=mcp-tunnel-ca") -> None:
        self.openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "99", "-subj", subject,
            *(part for line in extensions for part in ("-addext", line)), "-keyout", "ca.key", "-out", "ca.crt")

    def make_server(self, extensions: list[str] = SERVER) -> None:
        self.request("tls", f"/CN={DOMAIN}")
        self.sign("tls", extensions)

    def request(self, name: str, subject: str) -> None:
        self.openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
            "-keyout", f"{name}.key", "-out", f"{name}.csr")

    def sign(self, name: str, extensions: list[str], issuer: str = "ca") -> None:
        (self.folder / f"{name}.ext").write_text("\n".join(extensions) + "\n")
        self.openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", f"{issuer}.crt", "-CAkey", f"{issuer}.key", "-CAcreateserial",
            "-days", "90", "-extfile", f"{name}.ext", "-out", f"{name}.crt")

    def patch(self, name: str, edit: Callable[[bytes], bytes]) -> None:
        """Edit the part that is signed, and let `openssl` sign it again."""
        path = self.folder / f"{name}.crt"
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        body = certificate.tbs_certificate_bytes
        edited = edit(_content(body))
        assert edited != _content(body), "the edit found nothing to edit"
        body = _tlv(0x30, edited)
        (self.folder / "body").write_bytes(body)
        signature = self.openssl("dgst", "-sha256", "-sign", "ca.key", "body")
        algorithm = _tlv(0x30, bytes.fromhex("06082a8648ce3d040302"))
        der = _tlv(0x30, body + algorithm + _tlv(0x03, b"\0" + signature))
        path.write_bytes(self.openssl("x509", "-inform", "DER", given=der))

    def key_identifier(self) -> bytes:
        certificate = x509.load_pem_x509_certificate((self.folder / "ca.crt").read_bytes())
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest

    # Clients.

    def refused_by_openssl(self) -> bool:
        return subprocess.run(
            ["openssl", "verify", "-no-CAfile", "-no-CApath", "-no-CAstore", "-CAfile", "ca.crt", "-purpose", "sslserver",
             "-verify_hostname", HOST, "tls.crt"],
            cwd=self.folder, capture_output=True, timeout=30, check=False).returncode != 0

    def refused_by_rust(self) -> bool:
        try:
            anchor, leaf = (x509.load_pem_x509_certificate((self.folder / name).read_bytes()) for name in (
                "ca.crt", "tls.crt"))
            PolicyBuilder().store(Store([anchor])).build_server_verifier(x509.DNSName(HOST)).verify(leaf, [])
        except (VerificationError, ValueError, x509.InvalidVersion):
            return True
        return False

    def refused_by_reader(self) -> bool:
        """Whoever looks at all the names cannot read them: Python's cryptography, and Go, which reads no such certificate."""
        leaf = x509.load_pem_x509_certificate((self.folder / "tls.crt").read_bytes())
        try:
            return not leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except ValueError:
            return True


def ca_having(*lines: str) -> Callable[[Forge], None]:
    def act(forge: Forge) -> None:
        forge.make_ca([*CA, *lines])
        forge.make_server()
    return act


def server_having(*lines: str) -> Callable[[Forge], None]:
    """Lines that take the place of those of the same extension, or come beside them."""
    kinds = {line.split("=")[0] for line in lines}
    return lambda forge: forge.make_server([*(line for line in SERVER if line.split("=")[0] not in kinds), *lines])


def patched(name: str, edit: Callable[[bytes], bytes]) -> Callable[[Forge], None]:
    return lambda forge: forge.patch(name, edit)


def authority(issuer: str, serial: bytes) -> Callable[[Forge], None]:
    """AuthorityKeyIdentifier with the right keyid, and with issuer and serial beside it."""
    def act(forge: Forge) -> None:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]).public_bytes()
        value = _tlv(0x30, _tlv(0x80, forge.key_identifier()) + _tlv(0xA1, _tlv(0xA4, name)) + _tlv(0x82, serial))
        server_having(f"authorityKeyIdentifier=DER:{value.hex()}")(forge)
    return act


def of_the_cas_name(forge: Forge) -> None:
    forge.request("tls", "/CN=mcp-tunnel-ca")
    # With an identifier of its own key it would be seen not to be self-signed.
    forge.sign("tls", [*SERVER, "subjectKeyIdentifier=none"])


def under_a_root(subject: str) -> Callable[[Forge], None]:
    """What is registered as the CA was signed by another key."""
    def act(forge: Forge) -> None:
        for suffix in ("crt", "key"):
            (forge.folder / f"ca.{suffix}").rename(forge.folder / f"root.{suffix}")
        forge.request("ca", subject)
        forge.sign("ca", [*CA, "authorityKeyIdentifier=keyid"], issuer="root")
        forge.make_server()
    return act


def date(kind: int, spell: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Another spelling of both dates, which stand as UTCTime in one SEQUENCE."""
    def edit(body: bytes) -> bytes:
        at = body.index(b"\x30\x1e\x17\x0d")
        dates = body[at + 4:at + 17], body[at + 19:at + 32]
        return body[:at] + _tlv(0x30, b"".join(_tlv(kind, spell(text)) for text in dates)) + body[at + 32:]
    return edit


def version(number: int) -> Callable[[bytes], bytes]:
    """The first version has no field for it."""
    field = b"\xa0\x03\x02\x01"
    return lambda body: body.removeprefix(field + b"\2") if number == 1 else body.replace(
        field + b"\2", field + bytes([number - 1]), 1)


OTHER_SPELLING = lambda body: body.replace(b"\x0c\x0dmcp-tunnel-ca", b"\x0c\x0dMCP-Tunnel-CA", 1)  # noqa: E731
OTHER_STRING = lambda body: body.replace(b"\x0c\x0dmcp-tunnel-ca", b"\x13\x0dmcp-tunnel-ca", 1)  # noqa: E731
SHORT_ADDRESS = _tlv(0x30, _tlv(0x82, f"*.{DOMAIN}".encode()) + _tlv(0x87, b"\x0a\0\0")).hex()
DATES = {
    "without seconds": date(0x17, lambda text: text[:10] + b"Z"),
    "with an offset": date(0x17, lambda text: text[:-1] + b"+0000"),
    "with a fraction": date(0x18, lambda text: b"20" + text[:-1] + b".5Z"),
    "GeneralizedTime": date(0x18, lambda text: b"20" + text),
}

#: What is odd, how it is made, the rule, and who refuses it.
ODD: list[tuple[str, Callable[[Forge], None], str, str]] = [
    ("CA for clients only", ca_having("extendedKeyUsage=clientAuth"), "ca-extended-key-usage", "openssl"),
    ("CA for any purpose alone", ca_having("extendedKeyUsage=anyExtendedKeyUsage"), "ca-extended-key-usage", "openssl"),
    ("CA under a root", under_a_root("/CN=middle"), "ca-self-signature", "openssl"),
    ("CA under a root of its name", under_a_root("/CN=mcp-tunnel-ca"), "ca-self-signature", "openssl"),
    ("server of the CA's name", of_the_cas_name, "server-issuer", "openssl"),
    ("issuer of another", authority("another-ca", b"\1"), "server-authority-key-identifier", "openssl"),
    ("serial of another", authority("mcp-tunnel-ca", b"\1"), "server-authority-key-identifier", "openssl"),
    *((f"server, dates {name}", patched("tls", edit), "date-form", "rust" if name == "GeneralizedTime" else "openssl")
      for name, edit in DATES.items()),
    *((f"CA, dates {name}", patched("ca", edit), "date-form", "openssl")
      for name, edit in DATES.items() if name != "GeneralizedTime"),
    ("server of version 1", patched("tls", version(1)), "version", "rust"),
    ("server of version 2", patched("tls", version(2)), "version", "rust"),
    ("CA of version 1", patched("ca", version(1)), "version", "rust"),
    ("CA of version 2", patched("ca", version(2)), "version", "rust"),
    ("address of three bytes", server_having(f"subjectAltName=DER:{SHORT_ADDRESS}"), "extensions", "reader"),
    ("issuer in capitals", patched("tls", OTHER_SPELLING), "server-issuer", "rust"),
    ("issuer of another string type", patched("tls", OTHER_STRING), "server-issuer", "rust"),
    ("may sign certificates only", server_having("keyUsage=keyCertSign"), "server-key-usage", "openssl"),
    ("may sign lists only", server_having("keyUsage=cRLSign"), "server-key-usage", "openssl"),
    ("may commit only", server_having("keyUsage=nonRepudiation"), "server-key-usage", "openssl"),
    ("any purpose alone", server_having("extendedKeyUsage=anyExtendedKeyUsage"), "server-extended-key-usage", "openssl"),
    ("wildcard below a host", server_having(f"subjectAltName=DNS:*.a.{DOMAIN}"), "server-names", "openssl"),
]


@dataclass
class Verdict:
    good: bool
    errors: set[str]


def verify(setup: Setup, forge: Forge, status: int | None = None, *arguments: str) -> Verdict:
    outcome = setup(
        "verify", *(f"--{flag}={forge.folder / name}" for flag, name in (
            ("ca", "ca.crt"), ("cert", "tls.crt"), ("key", "tls.key"))),
        *(arguments or (f"--tunnel-domain={DOMAIN}",)), "--json", status=status)
    report = json.loads(outcome.stdout)
    return Verdict(report["good"], {entry["rule"] for entry in report["findings"] if entry["severity"] == "error"})


@pytest.fixture
def manual(setup_binary: Path) -> Setup:
    return Setup(setup_binary)


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return Forge(tmp_path)


def test_unbroken_pass_with_all(manual: Setup, forge: Forge) -> None:
    assert verify(manual, forge, 0) == Verdict(True, set())
    assert not forge.refused_by_openssl() and not forge.refused_by_rust()


@pytest.mark.parametrize(("act", "rule", "client"), [row[1:] for row in ODD], ids=[row[0] for row in ODD])
def test_what_a_client_refuses_is_not_good(
    manual: Setup, forge: Forge, act: Callable[[Forge], None], rule: str, client: str,
) -> None:
    act(forge)
    clients = {"openssl": forge.refused_by_openssl, "rust": forge.refused_by_rust, "reader": forge.refused_by_reader}
    assert clients[client](), "nobody refuses it"
    assert verify(manual, forge, 1) == Verdict(False, {rule})


def test_lines_that_end_with_cr_alone(manual: Setup, forge: Forge) -> None:
    """The proxy reads them; whoever reads the upload does not, nor does OpenSSL."""
    def with_cr(name: str) -> None:
        path = forge.folder / name
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r"))

    with_cr("tls.crt")
    with_cr("tls.key")
    assert verify(manual, forge, 0).good
    with_cr("ca.crt")
    assert forge.refused_by_openssl()
    assert verify(manual, forge, 1) == Verdict(False, {"pem"})


# A folder that was made with openssl has no tunnel-domain.


def test_folder_of_the_recipe(manual: Setup, forge: Forge) -> None:
    place = f"--output=dir:{forge.folder}"
    outcome = manual("verify", place)
    assert f"tunnel's domain: {DOMAIN}, as the certificate says of itself" in outcome.stdout
    assert json.loads(manual("verify", place, "--json").stdout)["tunnel_domain"] == DOMAIN
    outcome = manual("verify", place, f"--tunnel-domain={DOMAIN}")
    assert f"tunnel's domain: {DOMAIN}\n" in outcome.stdout
    outcome = manual("verify", place, "--tunnel-domain=other.example", status=1)
    assert "[server-names]" in outcome.stdout and outcome.stdout.endswith("not good\n")
    # And the three files without it.
    assert verify(manual, forge, 0, "--expires-within=1h").good


def test_stored_domain_and_flag_must_agree(manual: Setup, forge: Forge) -> None:
    place = f"--output=dir:{forge.folder}"
    (forge.folder / "tunnel-domain").write_text(DOMAIN)
    manual("verify", place, f"--tunnel-domain={DOMAIN.upper()}")
    outcome = manual("verify", place, "--tunnel-domain=other.example", status=1)
    assert f"belongs to {DOMAIN}" in outcome.stderr
    # A key that lies in its place is not shown.
    key = (forge.folder / "tls.key").read_text()
    (forge.folder / "tunnel-domain").write_text(key)
    for arguments in ([place], [place, "--tunnel-domain=other.example"], [place, "--json"]):
        outcome = manual("verify", *arguments, status=1)
        assert key.splitlines()[1] not in outcome.all


def test_without_a_wildcard_the_domain_is_missing(manual: Setup, forge: Forge) -> None:
    server_having(f"subjectAltName=DNS:{HOST}")(forge)
    outcome = manual("verify", f"--output=dir:{forge.folder}", status=1)
    assert "missing: the tunnel's domain, which --tunnel-domain gives too (tunnel-domain)" in outcome.stdout
