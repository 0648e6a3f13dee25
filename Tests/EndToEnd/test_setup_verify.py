"""`setup verify` on certificates that break one rule each, made by Python's cryptography and the `openssl` command."""

from __future__ import annotations

import datetime
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from conftest import TUNNEL_ID
from peers.certificates import DAY, DOMAIN, Draft, encrypted, make_key, name, names, pkcs8, usage, with_sha1
from peers.setup import Output, Setup, TunnelsAPI


@pytest.fixture
def manual(setup_binary: Path) -> Setup:
    return Setup(setup_binary)


@dataclass
class Case:
    """Three files for `verify`, good until a test breaks something."""

    authority_key: Any = field(default_factory=lambda: make_key("p256"))
    server_key: Any = field(default_factory=lambda: make_key("p256"))
    authority: bytes = b""
    server: bytes = b""
    key: bytes = b""

    def __post_init__(self) -> None:
        self.sign(Draft.authority(), Draft.server())

    def sign(self, authority: Draft | None = None, server: Draft | None = None) -> None:
        if authority:
            self.authority = authority.signed(self.authority_key, self.authority_key)
        if server:
            self.server = server.signed(self.server_key, self.authority_key)
        self.key = pkcs8(self.server_key)


Break = Callable[[Case], None]


def broken_authority(**changes: Any) -> Break:
    return lambda case: case.sign(replace(Draft.authority(), **changes))


def broken_server(**changes: Any) -> Break:
    return lambda case: case.sign(None, replace(Draft.server(), **changes))


def authority_having(**extensions: Any) -> Break:
    return lambda case: case.sign(Draft.authority().having(**extensions))


def server_having(**extensions: Any) -> Break:
    return lambda case: case.sign(None, Draft.server().having(**extensions))


def file(which: str, make: Callable[[Case], bytes]) -> Break:
    return lambda case: setattr(case, which, make(case))


def with_keys(authority: Any, server: Any) -> Break:
    def act(case: Case) -> None:
        case.authority_key, case.server_key = authority or case.authority_key, server or case.server_key
        case.sign(Draft.authority(), Draft.server())
    return act


def weak(kind: str) -> Any:
    """Python refuses to make some keys; the `openssl` command does not."""
    arguments = {"rsa1024": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
                 "p224": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp224r1"]}[kind]
    pem = subprocess.run(["openssl", "genpkey", *arguments], capture_output=True, check=True, timeout=60).stdout
    return serialization.load_pem_private_key(pem, password=None)


def behind_an_intermediate(case: Case) -> None:
    middle = make_key("p256")
    between = replace(Draft.authority(), subject="Middle").having(issuer=(None, False))
    server = replace(Draft.server(), issuer="Middle").signed(case.server_key, middle)
    case.server = server + between.signed(middle, case.authority_key)


def signed_by_another(case: Case) -> None:
    case.server = Draft.server().signed(case.server_key, make_key("p256"))


def self_signed(case: Case) -> None:
    case.server = replace(Draft.server(), issuer=DOMAIN).signed(case.server_key, case.server_key)


def damaged_authority(case: Case) -> None:
    case.authority = Draft.authority().signed(case.authority_key, make_key("p256"))


def ed25519(case: Case) -> None:
    case.server_key = Ed25519PrivateKey.generate()
    case.sign(None, Draft.server())


def request(case: Case) -> bytes:
    return x509.CertificateSigningRequestBuilder().subject_name(name(DOMAIN)).sign(
        case.server_key, hashes.SHA256()).public_bytes(Encoding.PEM)


def der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def filled(pem: bytes, size: int) -> bytes:
    """The file with a comment before it, `size` bytes in all."""
    return b"#" * (size - len(pem) - 1) + b"\n" + pem


OTHER_KEY = x509.AuthorityKeyIdentifier(b"\1" * 20, None, None)
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\5\0")
OTHER_NAMES = x509.NameConstraints([x509.DNSName("other.example")], None)
CLIENTS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
PAST = {"starts": -9 * DAY, "ends": -datetime.timedelta(seconds=1)}

#: What is broken, how, the rule that it breaks.
AUTHORITY: list[tuple[str, Break, str]] = [
    # PEM, exactly one certificate, at most 8 kB, no private key.
    ("empty", file("authority", lambda case: b""), "pem"),
    ("a request", file("authority", request), "pem"),
    ("DER", file("authority", lambda case: der(case.authority)), "pem"),
    ("cut", file("authority", lambda case: case.authority[:200]), "pem"),
    ("two", file("authority", lambda case: case.authority * 2), "single-certificate"),
    ("with its key", file("authority", lambda case: case.authority + pkcs8(case.authority_key)), "no-private-key"),
    ("8193 bytes", file("authority", lambda case: filled(case.authority, 8193)), "size"),
    # BasicConstraints present, critical, CA:TRUE.
    ("without BasicConstraints", authority_having(basic=None), "ca-basic-constraints"),
    ("BasicConstraints not critical", authority_having(basic=(x509.BasicConstraints(True, None), False)),
     "ca-basic-constraints"),
    ("CA:FALSE", authority_having(basic=(x509.BasicConstraints(False, None), True)), "ca-basic-constraints"),
    # SubjectKeyIdentifier, KeyUsage.
    ("without SubjectKeyIdentifier", authority_having(subject=None), "ca-subject-key-identifier"),
    ("without KeyUsage", authority_having(usage=None), "ca-key-usage"),
    ("may not sign", authority_having(usage=(usage(crl_sign=True), True)), "ca-key-usage"),
    # Valid now; RSA ≥ 2048 or ECDSA ≥ P-256; SHA-256 or stronger.
    ("expired", broken_authority(**PAST), "currently-valid"),
    ("of tomorrow", broken_authority(starts=DAY), "currently-valid"),
    ("RSA 1024", lambda case: with_keys(weak("rsa1024"), None)(case), "key-strength"),
    ("P-224", lambda case: with_keys(weak("p224"), None)(case), "key-strength"),
    ("SHA-1", file("authority", lambda case: with_sha1(case.authority, case.authority_key)), "signature-digest"),
    # Standards.
    ("damaged", damaged_authority, "ca-self-signature"),
]
SERVER: list[tuple[str, Break, str]] = [
    ("empty", file("server", lambda case: b""), "pem"),
    ("with its key", file("server", lambda case: case.server + case.key), "no-private-key"),
    # Signed directly by the CA, no intermediates.
    ("signed by another CA of the name", signed_by_another, "server-issuer"),
    ("of another CA", broken_server(issuer="Another CA"), "server-issuer"),
    ("self-signed", self_signed, "server-issuer"),
    ("the CA's own", file("server", lambda case: case.authority), "server-issuer"),
    ("behind an intermediate", behind_an_intermediate, "server-intermediates"),
    # AuthorityKeyIdentifier present and equal to the CA's SubjectKeyIdentifier.
    ("without AuthorityKeyIdentifier", server_having(issuer=None), "server-authority-key-identifier"),
    ("AuthorityKeyIdentifier of another", server_having(issuer=(OTHER_KEY, False)), "server-authority-key-identifier"),
    # A DNS name for each host.
    ("without names", server_having(names=None), "server-names"),
    ("names of another tunnel", server_having(names=(names("x.example", "*.x.example"), False)), "server-names"),
    ("domain without wildcard", server_having(names=(names(DOMAIN), False)), "server-names"),
    ("wildcard a label deeper", server_having(names=(names(f"*.a.{DOMAIN}"), False)), "server-names"),
    ("outside the CA's names", authority_having(constraints=(OTHER_NAMES, True)), "ca-name-constraints"),
    # serverAuth where there is ExtendedKeyUsage.
    ("for clients", server_having(extended=(CLIENTS, False)), "server-extended-key-usage"),
    # Valid now; keys and digests.
    ("expired", broken_server(**PAST), "currently-valid"),
    ("of tomorrow", broken_server(starts=DAY), "currently-valid"),
    ("RSA 1024", lambda case: with_keys(None, weak("rsa1024"))(case), "key-strength"),
    ("P-224", lambda case: with_keys(None, weak("p224"))(case), "key-strength"),
    ("Ed25519", ed25519, "key-strength"),
    ("SHA-1", file("server", lambda case: with_sha1(case.server, case.authority_key)), "signature-digest"),
    # Standards.
    ("critical and unknown", server_having(unknown=(UNKNOWN, True)), "critical-extensions"),
]
KEY: list[tuple[str, Break, str]] = [
    ("of another", file("key", lambda case: pkcs8(make_key("p256"))), "key-matches"),
    ("of another kind", file("key", lambda case: pkcs8(make_key("rsa2048"))), "key-matches"),
    ("encrypted", file("key", lambda case: encrypted(case.server_key)), "key-readable"),
    ("a certificate", file("key", lambda case: case.server), "key-readable"),
]
BROKEN = [(document, *row) for document, rows in [
    ("CA certificate", AUTHORITY), ("server certificate", SERVER), ("private key", KEY)] for row in rows]
WARNINGS: list[tuple[str, Break, set[str]]] = [
    ("text before the CA's block", file("authority", lambda case: b"Our CA\n" + case.authority), {"text-around"}),
    ("CA of 8001 bytes", file("authority", lambda case: filled(case.authority, 8001)), {"size", "text-around"}),
    ("CA of 8192 bytes", file("authority", lambda case: filled(case.authority, 8192)), {"size", "text-around"}),
    ("CA of 8000 bytes", file("authority", lambda case: filled(case.authority, 8000)), {"text-around"}),
    ("the CA behind the server's", file("server", lambda case: case.server + case.authority), {"single-certificate"}),
    ("outlives its CA", broken_server(ends=31 * DAY), {"server-outlives-ca"}),
    ("key that may not sign", server_having(usage=(usage(key_encipherment=True), True)), {"server-key-usage"}),
    ("server that is a CA", server_having(basic=(x509.BasicConstraints(True, None), True)), {"server-not-authority"}),
    ("single hosts", server_having(names=(names(f"wiki.{DOMAIN}"), False)), {"server-names"}),
    # OpenSSL knows it, Go does not, and refuses the certificate.
    ("critical and little known", server_having(policy=(x509.PolicyConstraints(0, None), True)), {"critical-extensions"}),
]


def verify(manual: Setup, case: Case, folder: Path, *arguments: str, status: int) -> dict[str, Any]:
    files = {"ca": case.authority, "cert": case.server, "key": case.key}
    for flag, content in files.items():
        (folder / flag).write_bytes(content)
    outcome = manual(
        "verify", *(f"--{flag}={folder / flag}" for flag in files), f"--tunnel-domain={DOMAIN}", "--json", *arguments,
        status=status)
    return json.loads(outcome.stdout)


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "rsa2048"])
def test_unbroken_certificates_pass(manual: Setup, tmp_path: Path, kind: str) -> None:
    case = Case()
    with_keys(make_key(kind), make_key(kind))(case)
    report = verify(manual, case, tmp_path, status=0)
    assert report["good"] is True and report["findings"] == []


@pytest.mark.parametrize(
    ("document", "act", "rule"), [(row[0], row[2], row[3]) for row in BROKEN],
    ids=[f"{row[0]}: {row[1]}" for row in BROKEN])
def test_broken_rule_is_found(manual: Setup, tmp_path: Path, document: str, act: Break, rule: str) -> None:
    case = Case()
    act(case)
    report = verify(manual, case, tmp_path, status=1)
    assert report["good"] is False
    found = [entry for entry in report["findings"] if (entry["rule"], entry["document"]) == (rule, document)]
    assert found, report["findings"]
    for entry in found:
        assert entry["severity"] == "error" and entry["found"] and entry["requirement"] and entry["remedy"]
    # People read the same.
    text = manual("verify", f"--ca={tmp_path / 'ca'}", f"--cert={tmp_path / 'cert'}", f"--key={tmp_path / 'key'}",
                  f"--tunnel-domain={DOMAIN}", status=1).stdout
    file = tmp_path / {"CA certificate": "ca", "server certificate": "cert", "private key": "key"}[document]
    assert f"error: {document} {file}" in text and f"[{rule}]" in text and "Remedy: " in text


@pytest.mark.parametrize(("act", "rules"), [row[1:] for row in WARNINGS], ids=[row[0] for row in WARNINGS])
def test_what_works_but_is_odd_is_a_warning(manual: Setup, tmp_path: Path, act: Break, rules: set[str]) -> None:
    case = Case()
    act(case)
    report = verify(manual, case, tmp_path, status=0)
    assert {entry["rule"] for entry in report["findings"]} == rules
    assert {entry["severity"] for entry in report["findings"]} == {"warning"}


def test_all_findings_are_told_at_once(manual: Setup, tmp_path: Path) -> None:
    case = Case()
    case.sign(replace(Draft.authority(), **PAST).having(usage=None, subject=None),
              Draft.server().having(names=None, issuer=None))
    rules = {entry["rule"] for entry in verify(manual, case, tmp_path, status=1)["findings"]}
    assert rules >= {"currently-valid", "ca-key-usage", "ca-subject-key-identifier", "server-names",
                     "server-authority-key-identifier"}


def test_wrong_names_tell_which_hosts_they_would_cover(manual: Setup, tmp_path: Path) -> None:
    case = Case()
    server_having(names=(names("old.example", "*.old.example"), False))(case)
    finding, = verify(manual, case, tmp_path, status=1)["findings"]
    assert "hosts one label below old.example" in finding["found"] and DOMAIN in finding["found"] + finding["remedy"]


def test_expires_within(manual: Setup, tmp_path: Path) -> None:
    case = Case()
    broken_server(ends=20 * DAY)(case)
    assert verify(manual, case, tmp_path, "--expires-within=479h", status=0)["good"]
    report = verify(manual, case, tmp_path, "--expires-within=480h1m", status=1)
    assert [(entry["rule"], entry["document"]) for entry in report["findings"]] == [
        ("expires-soon", "server certificate")]


def test_elliptic_curve_by_its_parameters_is_refused(manual: Setup, tmp_path: Path) -> None:
    """A key that spells its curve out instead of naming it, which TLS stacks do not take."""
    case = Case()
    pem = subprocess.run(
        ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-param_enc", "explicit", "-noout"],
        capture_output=True, check=True, timeout=20).stdout
    case.key = pem
    rules = {entry["rule"] for entry in verify(manual, case, tmp_path, status=1)["findings"]}
    assert rules <= {"key-readable", "key-matches"} and rules


def test_curve_is_that_of_the_key(manual: Setup, tmp_path: Path) -> None:
    case = Case()
    assert isinstance(case.server_key, ec.EllipticCurvePrivateKey)
    report = verify(manual, case, tmp_path, status=0)
    assert report["ca"]["key_type"] == report["server_certificate"]["key_type"] == "ECDSA P-256"
    assert report["server_certificate"]["dns_names"] == [DOMAIN, f"*.{DOMAIN}"]


# What is stored, against the API.


def test_verify_asks_the_api_where_it_is_told_to(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    setup("init", f"--output={output}", "--key-type=ecdsa-p256", environment={"TUNNEL_ID": TUNNEL_ID})
    assert setup("verify", f"--output={output}", "--api", "--json").json["api"] == []
    calls = api.calls()
    assert "api" not in setup("verify", f"--output={output}", "--json").json and api.calls() == calls
    # Rotated in the Console: no file tells.
    setup("token", "rotate", f"--tunnel-id={TUNNEL_ID}", "--yes")
    setup("verify", f"--output={output}")
    outcome = setup("verify", f"--output={output}", "--api", status=1)
    assert "API: the tunnel token in" in outcome.stdout and outcome.stdout.endswith("not good\n")
    assert "setup init --refresh-token" in outcome.stdout
    # `init` says it too, replaces nothing unasked, and fetches it where it is asked to.
    outcome = setup("init", f"--output={output}", "--json", environment={"TUNNEL_ID": TUNNEL_ID})
    assert "is not the one in force" in outcome.stderr and outcome.json["token"] == {"action": "kept", "current": False}
    outcome = setup("init", f"--output={output}", "--refresh-token", "--json", environment={"TUNNEL_ID": TUNNEL_ID})
    assert outcome.json["token"] == {"action": "revealed", "current": True}
    output.check(api)
    assert setup("verify", f"--output={output}", "--api").stdout.endswith(": good\n")
    for token in api.tunnel(TUNNEL_ID)["former_tokens"]:
        assert token not in outcome.all


def test_verify_of_files_has_nothing_to_ask_the_api(setup: Setup, tmp_path: Path) -> None:
    outcome = setup("verify", "--api", *(f"--{flag}=/dev/null" for flag in ("ca", "cert", "key")), status=2)
    assert "--api compares what is stored" in outcome.stderr
