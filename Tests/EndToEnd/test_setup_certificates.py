"""Certificates and keys that setup makes, read by others; and those that others make, read by setup."""

from __future__ import annotations

import datetime
import math
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from peers.certificates import DAY, DOMAIN, Draft, encrypted, make_key, now, pkcs8, traditional
from peers.setup import FAST, Output, Setup, openssl


@pytest.fixture
def manual(setup_binary: Path) -> Setup:
    """Setup without any API: what the manual flow needs."""
    return Setup(setup_binary)


def generate(manual: Setup, output: Output, *arguments: str) -> None:
    manual("generate-certs", f"--tunnel-domain={DOMAIN}", f"--output={output}", *arguments)


# What setup makes.


def extension(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> tuple[Any, bool]:
    found = certificate.extensions.get_extension_for_oid(oid)
    return found.value, found.critical


@pytest.mark.parametrize("key_type", ["rsa-4096", "ecdsa-p256", "ecdsa-p384"])
def test_certificates_are_the_documented_ones(manual: Setup, output: Output, key_type: str) -> None:
    begin = now().replace(microsecond=0)
    # The first is what is made where nothing is asked for.
    generate(manual, output, *([] if key_type == "rsa-4096" else [f"--key-type={key_type}"]))
    end = now()
    authority, server = output.certificate("ca.crt"), output.certificate("tls.crt")

    # CA: ECDSA P-256, five years, the critical extensions.
    assert isinstance(authority.public_key(), ec.EllipticCurvePublicKey)
    assert authority.public_key().curve.name == "secp256r1"
    assert authority.subject.rfc4514_string() == authority.issuer.rfc4514_string() == "CN=mcp-tunnel-ca"
    assert extension(authority, ExtensionOID.BASIC_CONSTRAINTS)[0].ca
    assert extension(authority, ExtensionOID.BASIC_CONSTRAINTS)[1], "BasicConstraints is critical"
    usage, is_critical = extension(authority, ExtensionOID.KEY_USAGE)
    assert usage.key_cert_sign and usage.crl_sign and not usage.digital_signature and is_critical
    identifier, is_critical = extension(authority, ExtensionOID.SUBJECT_KEY_IDENTIFIER)
    assert len(identifier.digest) >= 20 and not is_critical
    years = authority.not_valid_after_utc - begin
    assert years / DAY == pytest.approx(5 * 365.25, abs=1)

    # Server: the key asked for, SAN domain and wildcard, AKI equal to the CA's SKI, serverAuth, 90 days.
    public = server.public_key()
    if key_type == "rsa-4096":
        assert isinstance(public, rsa.RSAPublicKey) and public.key_size == 4096 and public.public_numbers().e == 65537
    else:
        assert isinstance(public, ec.EllipticCurvePublicKey)
        assert public.curve.name == {"ecdsa-p256": "secp256r1", "ecdsa-p384": "secp384r1"}[key_type]
    assert server.subject.rfc4514_string() == f"CN={DOMAIN}"
    assert server.issuer == authority.subject
    names, is_critical = extension(server, ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    assert names.get_values_for_type(x509.DNSName) == [DOMAIN, f"*.{DOMAIN}"] and not is_critical
    assert extension(server, ExtensionOID.AUTHORITY_KEY_IDENTIFIER)[0].key_identifier == identifier.digest
    assert list(extension(server, ExtensionOID.EXTENDED_KEY_USAGE)[0]) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not extension(server, ExtensionOID.BASIC_CONSTRAINTS)[0].ca
    usage, is_critical = extension(server, ExtensionOID.KEY_USAGE)
    assert usage.digital_signature and not usage.key_cert_sign and is_critical
    server.verify_directly_issued_by(authority)
    assert begin <= server.not_valid_after_utc - 90 * DAY <= end

    for certificate in (authority, server):
        assert certificate.version == x509.Version.v3
        assert certificate.signature_hash_algorithm.name in ("sha256", "sha384", "sha512")
        assert begin <= certificate.not_valid_before_utc + datetime.timedelta(minutes=5) <= end
        # Random of 128 bits: shorter than 65 once in 2^63 runs.
        assert 2**64 < certificate.serial_number < 2**159
    assert authority.serial_number != server.serial_number

    # PKCS#8, and each key is its certificate's.
    for name in ("ca", "tls"):
        pem = output.bytes(f"{name}.key")
        assert pem.startswith(b"-----BEGIN PRIVATE KEY-----\n") and pem.endswith(b"-----END PRIVATE KEY-----\n")
        key = serialization.load_pem_private_key(pem, password=None)
        assert key.public_key() == output.certificate(f"{name}.crt").public_key()
        openssl("pkey", "-in", output.path(f"{name}.key"), "-check", "-noout")

    verdict = openssl("verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", f"wiki.{DOMAIN}",
                      "-CAfile", output.path("ca.crt"), output.path("tls.crt"))
    assert verdict.rstrip().endswith("OK")
    openssl("verify", "-x509_strict", "-check_ss_sig", "-CAfile", output.path("ca.crt"), output.path("ca.crt"))
    assert manual("verify", f"--output={output}", "--json").json["good"] is True


def test_serials_keys_and_identifiers_are_fresh_each_time(manual: Setup, tmp_path: Path) -> None:
    outputs = [Output(tmp_path / f"{number}") for number in range(8)]
    for output in outputs:
        generate(manual, output, FAST)
    for name in ("ca.crt", "tls.crt"):
        serials = {output.certificate(name).serial_number for output in outputs}
        assert len(serials) == len(outputs)
        # Independent bits: over 16 serials of 128 bits, each of these leading bits is once 0 and once 1 (all but
        # surely), apart from the sign.
    values = [output.certificate(name).serial_number for output in outputs for name in ("ca.crt", "tls.crt")]
    low = [value & (2**120 - 1) for value in values]
    assert math.gcd(*low) == 1
    every, some = low[0], low[0]
    for value in low[1:]:
        every, some = every & value, some | value
    assert every.bit_count() < 4 and some.bit_count() > 116
    assert len({output.bytes("tls.key") for output in outputs}) == len(outputs)


@pytest.mark.parametrize("days", [1, 90, 825])
def test_duration_is_the_one_given(manual: Setup, output: Output, days: int) -> None:
    begin = now().replace(microsecond=0)
    generate(manual, output, FAST, f"--cert-duration={days * 24}h")
    assert begin <= output.certificate("tls.crt").not_valid_after_utc - days * DAY <= now()


def test_server_certificate_does_not_outlive_its_ca(manual: Setup, output: Output) -> None:
    generate(manual, output, FAST)
    outcome = manual("renew-cert", f"--output={output}", "--cert-duration=87600h")
    assert output.certificate("tls.crt").not_valid_after_utc == output.certificate("ca.crt").not_valid_after_utc
    assert "rotate-ca" in outcome.stderr
    manual("verify", f"--output={output}")


def test_renewal_keeps_the_kind_of_key_unless_told(manual: Setup, output: Output) -> None:
    generate(manual, output, "--key-type=ecdsa-p384")
    manual("renew-cert", f"--output={output}")
    assert output.certificate("tls.crt").public_key().key_size == 384
    manual("renew-cert", f"--output={output}", "--key-type=rsa-2048")
    assert output.certificate("tls.crt").public_key().key_size == 2048
    manual("verify", f"--output={output}")


# What setup reads: keys.

def bring_authority(output: Output, key: Any, pem: bytes) -> None:
    """Put a CA of somebody else's making, with this key, in the place of setup's."""
    output.path("ca.crt").write_bytes(Draft.authority().signed(key, key))
    output.path("ca.key").write_bytes(pem)


@pytest.mark.parametrize("shape", ["PKCS#8", "PKCS#1 or SEC1"])
@pytest.mark.parametrize("kind", ["rsa2048", "p256", "p384", "p521"])
def test_keys_made_by_cryptography_are_read(manual: Setup, output: Output, kind: str, shape: str) -> None:
    generate(manual, output, FAST)
    key = make_key(kind)
    bring_authority(output, key, pkcs8(key) if shape == "PKCS#8" else traditional(key))
    manual("renew-cert", f"--output={output}")
    output.certificate("tls.crt").verify_directly_issued_by(output.certificate("ca.crt"))
    manual("verify", f"--output={output}")


OPENSSL_KEYS = [
    ("rsa, PKCS#8", [["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]]),
    ("rsa, PKCS#1", [["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], ["rsa", "-traditional"]]),
    ("ec, SEC1 behind its parameters", [["ecparam", "-name", "prime256v1", "-genkey"]]),
    ("ec, PKCS#8", [["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]]),
]


@pytest.mark.parametrize("commands", [row[1] for row in OPENSSL_KEYS], ids=[row[0] for row in OPENSSL_KEYS])
def test_keys_made_by_openssl_are_read(manual: Setup, output: Output, commands: list[list[str]]) -> None:
    generate(manual, output, FAST)
    pem = b""
    for command in commands:
        pem = subprocess.run(["openssl", *command], input=pem, capture_output=True, check=True, timeout=60).stdout
    bring_authority(output, serialization.load_pem_private_key(pem, password=None), pem)
    manual("renew-cert", f"--output={output}")
    manual("verify", f"--output={output}")


UNFIT_KEYS: list[tuple[str, Callable[[Any], bytes], str]] = [
    ("encrypted PKCS#8", encrypted, "encrypted"),
    ("encrypted SEC1", lambda key: encrypted(key, PrivateFormat.TraditionalOpenSSL), "encrypted"),
    ("empty", lambda key: b"", "no private key in the file"),
    ("no PEM", lambda key: b"not a key\n", "no private key in the file"),
    ("cut", lambda key: pkcs8(key)[:120], "cut off"),
    ("DER", lambda key: key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
     "the file is DER, not PEM"),
    ("another one", lambda key: pkcs8(make_key("p256")), "belong together"),
    ("public key", lambda key: key.public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "PUBLIC KEY"),
    ("two", lambda key: pkcs8(key) * 2, "2"),
]


@pytest.mark.parametrize(("make", "word"), [row[1:] for row in UNFIT_KEYS], ids=[row[0] for row in UNFIT_KEYS])
def test_unfit_keys_are_refused_with_a_clear_word(
    manual: Setup, output: Output, make: Callable[[Any], bytes], word: str
) -> None:
    generate(manual, output, FAST)
    before = output.bytes("tls.crt")
    key = serialization.load_pem_private_key(output.bytes("ca.key"), password=None)
    output.path("ca.key").write_bytes(make(key))
    outcome = manual("renew-cert", f"--output={output}", status=1)
    assert "ca.key" in outcome.stderr and word in outcome.stderr
    assert "remedy" in outcome.stderr
    assert output.bytes("tls.crt") == before


# What setup reads: the manual recipe.

RECIPE = """
TUNNEL_DOMAIN={domain}
mkdir -p data
openssl req -x509 -newkey rsa:2048 -nodes \\
  -keyout data/ca.key -out data/ca.crt \\
  -days 3650 -subj "/CN=mcp-tunnel-ca" \\
  -addext "basicConstraints=critical,CA:TRUE" \\
  -addext "keyUsage=critical,keyCertSign,cRLSign" \\
  -addext "subjectKeyIdentifier=hash"
cat > data/tls.ext <<EOF
subjectAltName = DNS:${{TUNNEL_DOMAIN}},DNS:*.${{TUNNEL_DOMAIN}}
authorityKeyIdentifier = keyid,issuer
extendedKeyUsage = serverAuth
EOF
openssl req -newkey rsa:2048 -nodes \\
  -keyout data/tls.key -out server.csr \\
  -subj "/CN=${{TUNNEL_DOMAIN}}"
openssl x509 -req -in server.csr \\
  -CA data/ca.crt -CAkey data/ca.key -CAcreateserial \\
  -out data/tls.crt -days 90 \\
  -extfile data/tls.ext
chmod 644 data/tls.key
"""
RENEWAL = """
TUNNEL_DOMAIN={domain}
openssl req -new -key data/tls.key -out server.csr \\
  -subj "/CN=${{TUNNEL_DOMAIN}}"
openssl x509 -req -in server.csr \\
  -CA data/ca.crt -CAkey data/ca.key -CAcreateserial \\
  -out data/tls.crt -days 90 \\
  -extfile data/tls.ext
"""


def shell(script: str, folder: Path) -> None:
    subprocess.run(
        ["bash", "-euc", script.format(domain=DOMAIN)], cwd=folder, capture_output=True, check=True, timeout=60)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the guide's commands make."""
    folder = tmp_path_factory.mktemp("recipe")
    shell(RECIPE, folder)
    return folder / "data"


def test_manual_recipe_passes(manual: Setup, recipe: Path, tmp_path: Path) -> None:
    files = [f"--ca={recipe / 'ca.crt'}", f"--cert={recipe / 'tls.crt'}", f"--key={recipe / 'tls.key'}"]
    report = manual("verify", *files, f"--tunnel-domain={DOMAIN}", "--json").json
    assert report["good"] is True and report["findings"] == [] and report["missing"] == []
    shutil.copytree(recipe, tmp_path / "data")
    shell(RENEWAL, tmp_path)
    renewed = [file.replace(str(recipe), str(tmp_path / "data")) for file in files]
    manual("verify", *renewed, f"--tunnel-domain={DOMAIN}")


def test_manual_recipe_is_renewed_by_setup(manual: Setup, recipe: Path, tmp_path: Path) -> None:
    """The folder of the manual flow as the output, with the one thing that it lacks."""
    output = Output(tmp_path / "data")
    shutil.copytree(recipe, output.folder)
    outcome = manual("renew-cert", f"--output={output}", status=1)
    assert "tunnel-domain" in outcome.stderr and "generate-certs" in outcome.stderr
    generate(manual, output)
    assert output.bytes("ca.crt") == (recipe / "ca.crt").read_bytes()
    assert output.bytes("tls.crt") == (recipe / "tls.crt").read_bytes()
    manual("renew-cert", f"--output={output}", "--renew-before=720h")
    manual("renew-cert", f"--output={output}")
    assert output.certificate("tls.crt").public_key().key_size == 2048
    manual("verify", f"--output={output}")
