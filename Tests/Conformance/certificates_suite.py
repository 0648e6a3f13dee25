"""Certificates: what `setup verify` says of odd ones, beside OpenSSL, a verifier in Rust and Go's."""

from __future__ import annotations

import datetime
import ipaddress
import itertools
import json
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from context import HERE, WORK, Context, openssl_version, pinned
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from peers.certificates import DOMAIN, make_key, name, now, pkcs8
from record import Case, Suite

HOST = f"wiki.{DOMAIN}"
HOUR, DAY = datetime.timedelta(hours=1), datetime.timedelta(days=1)

#: Who is asked beside us. A client of the server may well have OpenSSL or Go.
OTHERS = ("OpenSSL", "Rust", "Go")


def among(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


SOME = [names for count in range(1, len(OTHERS) + 1) for names in itertools.combinations(OTHERS, count)]
VERDICTS = {
    "good for all": 0, "refused by all": 0, "refused by us alone": 0,
    **{f"refused by {among(['us', *names])}": 0 for names in SOME[:-1]},
    **{f"warned of, refused by {among(names)}": 1 for names in SOME if "OpenSSL" not in names},
    "good but for Rust": 2,
    **{f"called good though {some} refuses": 5 for some in ("Go", "OpenSSL", "OpenSSL and others")},
}
SUITE = Suite(
    "certificates", "Certificates",
    """
Certificates of a CA and a server, good but for one oddity, are given to `setup verify`, to `openssl verify` as a client of the server
would, to Go's crypto/x509, which crypto/tls asks (`Tests/Conformance/verify-go`), and to the verifier of Python's cryptography, which
is written in Rust and stricter than most. What OpenSSL refuses must not be called good, and what Go refuses not without a
warning. That we refuse what all others take is no fault: the tunnel has requirements of its own, such as a CA that signs
directly, identifiers of keys, and names for every host. `Tests/EndToEnd/test_setup_verify.py` and
`Tests/EndToEnd/test_setup_odd_certificates.py` look at each rule by itself.
""",
    VERDICTS)

SUITE.remarks.update(
    {f"key usage/server, key_cert_sign and signatures, {how}": "may sign certificates though it is no CA" for how in ("critical", "not critical")}
    | {f"extended key usage/{whose}, server alone, critical": "Rust wants this extension not to be critical; RFC 5280 leaves it open"
       for whose in ("server", "CA")}
    | {f"name constraints/both ways, {how}": "the wildcard stands for an excluded host too; OpenSSL compares names as they are written"
       for how in ("critical", "not critical")}
    | {f"other extensions/{whose}, {what}, critical": "Rust does not know it, or not as a critical one" for whose in ("server", "CA")
       for what in ("policies", "a place of lists")}
    | {f"other extensions/{whose}, {what}, critical": "neither knows it as a critical one" for whose in ("server", "CA")
       for what in ("an explicit policy", "no any-policy", "no check")}
    | {f"BasicConstraints/server that is a CA, {path}, {how}": "Rust takes no CA for a server" for how in ("critical", "not critical")
       for path in ("any path", "path of 0", "path of 1", "path of 5")}
    | {"names/critical": "RFC 5280 would not have it critical beside a subject, and lets it be",
       "subjects/server, empty": "RFC 5280 would have the names critical then",
       "subjects/CA, empty": "a CA has a name by RFC 5280",
       "name constraints/of the server's": "an extension of CAs, which says nothing in a server's certificate"})

SHA = {"SHA-224": hashes.SHA224(), "SHA-256": hashes.SHA256(), "SHA-384": hashes.SHA384(), "SHA-512": hashes.SHA512()}
KINDS = ["p256", "p384", "p521", "rsa2048", "rsa3072"]
_keys: dict[str, Any] = {}


def key(kind: str, owner: str) -> Any:
    """Made once, since what is odd is seldom the key."""
    if f"{kind} {owner}" not in _keys:
        _keys[f"{kind} {owner}"] = Ed25519PrivateKey.generate() if kind == "ed25519" else make_key(kind)
    return _keys[f"{kind} {owner}"]


Extension = tuple[x509.ExtensionType, bool]


def usages(*bits: str) -> x509.KeyUsage:
    every = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
             "encipher_only", "decipher_only"]
    return x509.KeyUsage(**{bit: bit in bits for bit in every})


@dataclass
class Parts:
    """Of both certificates, as they should be until an oddity changes them."""

    ca_kind: str = "p256"
    kind: str = "p256"
    ca_name: x509.Name = name("mcp-tunnel-ca")
    issuer: x509.Name = name("mcp-tunnel-ca")
    subject: x509.Name = name(DOMAIN)
    ca_digest: str = "SHA-256"
    digest: str = "SHA-256"
    ca_dates: tuple[datetime.timedelta, datetime.timedelta] = (-DAY, 30 * DAY + HOUR)
    dates: tuple[datetime.timedelta, datetime.timedelta] = (-DAY, 30 * DAY)
    serial: int = 4711
    ca_serial: int = 17
    ca: dict[str, Extension | None] = field(default_factory=dict)
    server: dict[str, Extension | None] = field(default_factory=dict)

    def files(self) -> dict[str, bytes]:
        ca_key, server_key = key(self.ca_kind, "ca"), key(self.kind, "server")
        ca_extensions: dict[str, Extension | None] = {
            "basic": (x509.BasicConstraints(True, None), True),
            "usage": (usages("key_cert_sign", "crl_sign"), True),
            "own key": (x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), False), **self.ca}
        extensions: dict[str, Extension | None] = {
            "names": (x509.SubjectAlternativeName([x509.DNSName(DOMAIN), x509.DNSName(f"*.{DOMAIN}")]), False),
            "issuer's key": (x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False),
            "extended": (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False), **self.server}
        ca = signed(self.ca_name, self.ca_name, ca_key, ca_key, self.ca_digest, self.ca_dates, self.ca_serial, ca_extensions)
        server = signed(self.subject, self.issuer, server_key, ca_key, self.digest, self.dates, self.serial, extensions)
        return {"ca": ca, "cert": server, "key": pkcs8(server_key)}


def signed(
    subject: x509.Name, issuer: x509.Name, own: Any, by: Any, digest: str, dates: tuple[datetime.timedelta, datetime.timedelta], serial: int,
    extensions: dict[str, Extension | None],
) -> bytes:
    moment = now()
    builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(own.public_key()).serial_number(serial)
               .not_valid_before(moment + dates[0]).not_valid_after(moment + dates[1]))
    for extension in extensions.values():
        if extension:
            builder = builder.add_extension(*extension)
    return builder.sign(by, SHA[digest]).public_bytes(Encoding.PEM)


def oddities() -> Iterator[tuple[str, str, Callable[[], Parts]]]:
    """Group, name, and how to make it."""
    yield "none", "as it should be", Parts
    for ca in KINDS:
        for server in KINDS:
            yield "keys", f"{ca} signs {server}", lambda ca=ca, server=server: Parts(ca_kind=ca, kind=server)
    yield "keys", "server with ed25519", lambda: Parts(kind="ed25519")
    for digest in SHA:
        yield "digests", f"server signed with {digest}", lambda digest=digest: Parts(digest=digest)
        yield "digests", f"CA signed with {digest}", lambda digest=digest: Parts(ca_digest=digest)

    bits = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign"]
    for is_critical in (True, False):
        how = "critical" if is_critical else "not critical"
        for bit in bits:
            yield "key usage", f"server, {bit} alone, {how}", lambda bit=bit, c=is_critical: Parts(server={"usage": (usages(bit), c)})
            yield "key usage", f"server, {bit} and signatures, {how}", lambda bit=bit, c=is_critical: Parts(
                server={"usage": (usages("digital_signature", bit), c)})
            yield "key usage", f"CA, {bit} alone, {how}", lambda bit=bit, c=is_critical: Parts(ca={"usage": (usages(bit), c)})
            yield "key usage", f"CA, {bit} and certificates, {how}", lambda bit=bit, c=is_critical: Parts(
                ca={"usage": (usages("key_cert_sign", bit), c)})
    yield "key usage", "CA, none", lambda: Parts(ca={"usage": None})

    purposes = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH, "code": ExtendedKeyUsageOID.CODE_SIGNING,
                "mail": ExtendedKeyUsageOID.EMAIL_PROTECTION, "time": ExtendedKeyUsageOID.TIME_STAMPING,
                "OCSP": ExtendedKeyUsageOID.OCSP_SIGNING, "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
                "unknown": x509.ObjectIdentifier("1.2.3.4")}
    for purpose, identifier in purposes.items():
        alone, beside = x509.ExtendedKeyUsage([identifier]), x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, identifier])
        for is_critical in (True, False):
            how = "critical" if is_critical else "not critical"
            yield "extended key usage", f"server, {purpose} alone, {how}", lambda e=alone, c=is_critical: Parts(server={"extended": (e, c)})
            yield "extended key usage", f"CA, {purpose} alone, {how}", lambda e=alone, c=is_critical: Parts(ca={"extended": (e, c)})
        if purpose != "server":
            yield "extended key usage", f"server, {purpose} beside", lambda e=beside: Parts(server={"extended": (e, False)})
            yield "extended key usage", f"CA, {purpose} beside", lambda e=beside: Parts(ca={"extended": (e, False)})
    yield "extended key usage", "server, none", lambda: Parts(server={"extended": None})

    for title, entries in name_lists().items():
        yield "names", title, lambda e=entries: Parts(server={"names": (x509.SubjectAlternativeName(e), False)})
    yield "names", "none at all", lambda: Parts(server={"names": None})
    yield "names", "critical", lambda: Parts(server={"names": (x509.SubjectAlternativeName(dns(DOMAIN, f"*.{DOMAIN}")), True)})

    for is_critical in (True, False):
        how = "critical" if is_critical else "not critical"
        for length in (None, 0, 1, 5):
            text = "any path" if length is None else f"path of {length}"
            yield "BasicConstraints", f"CA, {text}, {how}", lambda n=length, c=is_critical: Parts(ca={"basic": (x509.BasicConstraints(True, n), c)})
            yield "BasicConstraints", f"server that is a CA, {text}, {how}", lambda n=length, c=is_critical: Parts(
                server={"basic": (x509.BasicConstraints(True, n), c)})
        yield "BasicConstraints", f"CA that is none, {how}", lambda c=is_critical: Parts(ca={"basic": (x509.BasicConstraints(False, None), c)})
        yield "BasicConstraints", f"server that is none, {how}", lambda c=is_critical: Parts(server={"basic": (x509.BasicConstraints(False, None), c)})
    yield "BasicConstraints", "CA, none", lambda: Parts(ca={"basic": None})

    other = x509.SubjectKeyIdentifier(b"\7" * 20)
    yield "key identifiers", "CA, none", lambda: Parts(ca={"own key": None})
    yield "key identifiers", "CA, another, and the server's is the key's", lambda: Parts(ca={"own key": (other, False)})
    yield "key identifiers", "CA, another, and the server's is that", lambda: Parts(
        ca={"own key": (other, False)}, server={"issuer's key": (x509.AuthorityKeyIdentifier(b"\7" * 20, None, None), False)})
    yield "key identifiers", "CA, critical", lambda: Parts(ca={"own key": (x509.SubjectKeyIdentifier.from_public_key(key("p256", "ca").public_key()), True)})
    yield "key identifiers", "server, none", lambda: Parts(server={"issuer's key": None})
    yield "key identifiers", "server, another", lambda: Parts(server={"issuer's key": (x509.AuthorityKeyIdentifier(b"\7" * 20, None, None), False)})
    yield "key identifiers", "server, empty", lambda: Parts(server={"issuer's key": (x509.AuthorityKeyIdentifier(b"", None, None), False)})
    for title, issuer, serial in (("right", "mcp-tunnel-ca", 17), ("another issuer", "another", 17), ("another serial", "mcp-tunnel-ca", 18)):
        yield "key identifiers", f"server, by issuer and serial, {title}", lambda i=issuer, n=serial: Parts(
            server={"issuer's key": (x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(name(i))], n), False)})
    yield "key identifiers", "server, its own too", lambda: Parts(server={"own": (x509.SubjectKeyIdentifier(b"\1"), False)})

    for title, dates in {
        "ended a second ago": (-DAY, datetime.timedelta(seconds=-1)), "ends in an hour": (-DAY, HOUR), "begins in an hour": (HOUR, DAY),
        "ten years": (-DAY, 3650 * DAY), "since 1951": (datetime.timedelta(days=-27000), 30 * DAY), "to 2049": (-DAY, 8000 * DAY),
        "to 2060": (-DAY, 12500 * DAY), "to 9999": (-DAY, datetime.timedelta(days=2912000)),
    }.items():
        yield "dates", f"server, {title}", lambda d=dates: Parts(dates=d)
        yield "dates", f"CA, {title}", lambda d=dates: Parts(ca_dates=d)

    for title, (allowed, excluded) in {
        "its own domain": ([DOMAIN], None), "the domain above": (["tunnel.anthropic.com"], None), "another": (["other.example"], None),
        "its own is excluded": (None, [DOMAIN]), "another is excluded": (None, ["other.example"]), "both ways": ([DOMAIN], [f"x.{DOMAIN}"]),
        "one host only": ([HOST], None), "with a dot before": ([f".{DOMAIN}"], None),
    }.items():
        constraint = x509.NameConstraints(dns(*allowed) if allowed else None, dns(*excluded) if excluded else None)
        for is_critical in (True, False):
            yield "name constraints", f"{title}, {'critical' if is_critical else 'not critical'}", lambda k=constraint, c=is_critical: Parts(
                ca={"constraints": (k, c)})
    yield "name constraints", "addresses only", lambda: Parts(ca={"constraints": (
        x509.NameConstraints([x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))], None), True)})
    yield "name constraints", "of the server's", lambda: Parts(server={"constraints": (x509.NameConstraints(dns(DOMAIN), None), True)})

    for title, extension in others().items():
        for is_critical in (True, False):
            how = "critical" if is_critical else "not critical"
            yield "other extensions", f"server, {title}, {how}", lambda e=extension, c=is_critical: Parts(server={"other": (e, c)})
            yield "other extensions", f"CA, {title}, {how}", lambda e=extension, c=is_critical: Parts(ca={"other": (e, c)})

    for title, subject in {
        "empty": x509.Name([]), "another name": name("another.example"), "long": name("x" * 64),
        "many parts": x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ö & Co"),
                                 x509.NameAttribute(NameOID.COMMON_NAME, DOMAIN)]),
        "the CA's": name("mcp-tunnel-ca"), "twice": x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DOMAIN)] * 2),
    }.items():
        yield "subjects", f"server, {title}", lambda s=subject: Parts(subject=s)
        yield "subjects", f"CA, {title}", lambda s=subject: Parts(ca_name=s, issuer=s)
    yield "subjects", "issuer in capitals", lambda: Parts(issuer=name("MCP-TUNNEL-CA"))
    yield "subjects", "another issuer", lambda: Parts(issuer=name("another"))
    for serial in (1, 127, 128, 2**63, 2**159 - 1):
        yield "serial numbers", f"server, of {serial.bit_length()} bits", lambda n=serial: Parts(serial=n)
        yield "serial numbers", f"CA, of {serial.bit_length()} bits", lambda n=serial: Parts(ca_serial=n)


def dns(*names: str) -> list[x509.GeneralName]:
    return [x509.DNSName(text) for text in names]


def name_lists() -> dict[str, list[x509.GeneralName]]:
    return {
        "domain only": dns(DOMAIN), "wildcard only": dns(f"*.{DOMAIN}"), "one host": dns(HOST), "another tunnel's": dns("x.example", "*.x.example"),
        "in capitals": dns(DOMAIN.upper(), f"*.{DOMAIN.upper()}"), "with a dot at the end": dns(f"{DOMAIN}.", f"*.{DOMAIN}."),
        "wildcard a label deeper": dns(DOMAIN, f"*.a.{DOMAIN}"), "wildcard a label higher": dns(DOMAIN, "*.tunnel.anthropic.com"),
        "two wildcards": dns(DOMAIN, f"*.*.{DOMAIN}"), "wildcard in a label": dns(DOMAIN, f"w*.{DOMAIN}"), "wildcard at an end": dns(DOMAIN, f"*i.{DOMAIN}"),
        "bare wildcard": dns(DOMAIN, "*"), "wildcard of all": dns(DOMAIN, "*.com"), "a dot before": dns(DOMAIN, f".{DOMAIN}"), "empty": dns(""),
        "with a space": dns(DOMAIN, f"*.{DOMAIN}", "a b.example"), "with an underscore": dns(DOMAIN, f"*.{DOMAIN}", "a_b.example"),
        "an A-label": dns(DOMAIN, f"*.{DOMAIN}", "xn--bcher-kva.example"), "too long a label": dns(DOMAIN, f"*.{DOMAIN}", "x" * 64 + ".example"),
        "too long a name": dns(DOMAIN, f"*.{DOMAIN}", ".".join(["x" * 60] * 5)), "NUL inside": dns(DOMAIN, f"*.{DOMAIN}\0.example"),
        "an address that is text": dns(DOMAIN, f"*.{DOMAIN}", "10.0.0.1"), "twice each": dns(DOMAIN, DOMAIN, f"*.{DOMAIN}", f"*.{DOMAIN}"),
        "a hundred more": dns(DOMAIN, f"*.{DOMAIN}", *(f"h{n}.example" for n in range(100))), "other way round": dns(f"*.{DOMAIN}", DOMAIN),
        "with an address": [*dns(DOMAIN, f"*.{DOMAIN}"), x509.IPAddress(ipaddress.ip_address("10.0.0.1"))],
        "with mail": [*dns(DOMAIN, f"*.{DOMAIN}"), x509.RFC822Name("a@example.com")],
        "with a URI": [*dns(DOMAIN, f"*.{DOMAIN}"), x509.UniformResourceIdentifier("https://a.example/")],
        "with a directory's name": [*dns(DOMAIN, f"*.{DOMAIN}"), x509.DirectoryName(name("a"))],
        "with an id": [*dns(DOMAIN, f"*.{DOMAIN}"), x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))],
        "address only": [x509.IPAddress(ipaddress.ip_address("10.0.0.1"))],
    }


def others() -> dict[str, x509.ExtensionType]:
    def unknown(number: str, value: bytes = b"\5\0") -> x509.ExtensionType:
        return x509.UnrecognizedExtension(x509.ObjectIdentifier(number), value)

    place = [x509.UniformResourceIdentifier("http://a.example/")]
    return {
        "unknown": unknown("1.2.3.4.5"), "unknown and empty": unknown("1.2.3.4.6", b""),
        "policies": x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("2.5.29.32.0"), None)]),
        "an explicit policy": x509.PolicyConstraints(0, None), "no any-policy": x509.InhibitAnyPolicy(0),
        "a place of lists": x509.CRLDistributionPoints([x509.DistributionPoint(place, None, None, None)]),
        "access": x509.AuthorityInformationAccess([x509.AccessDescription(x509.AuthorityInformationAccessOID.OCSP, place[0])]),
        "issuer's other name": x509.IssuerAlternativeName(dns("a.example")), "poison": x509.PrecertPoison(), "no check": x509.OCSPNoCheck(),
        "must staple": x509.TLSFeature([x509.TLSFeatureType.status_request]),
    }


def refused_by_openssl(folder: Path) -> bool:
    return subprocess.run(
        ["openssl", "verify", "-no-CAfile", "-no-CApath", "-no-CAstore", "-CAfile", "ca", "-purpose", "sslserver", "-verify_hostname", HOST, "cert"],
        cwd=folder, capture_output=True, timeout=60, check=False).returncode != 0


def refused_by_rust(files: dict[str, bytes]) -> bool:
    try:
        anchor, leaf = (x509.load_pem_x509_certificate(files[name]) for name in ("ca", "cert"))
        PolicyBuilder().store(Store([anchor])).build_server_verifier(x509.DNSName(HOST)).verify(leaf, [])
    except (VerificationError, ValueError, x509.InvalidVersion):
        return True
    return False


class Go:
    """Go's verifier, where there is Go to build it. One process for all certificates."""

    def __init__(self, folder: Path) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.version = ""
        if not shutil.which("go"):
            print("certificates: without Go's verifier; Debian has it in golang-go", flush=True)
            return
        program = WORK / "go/verify-go"
        subprocess.run([HERE / "verify-go/build", program], check=True)
        self.process = subprocess.Popen([program, "ca", "cert", HOST], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.version = self.line().removeprefix("go")

    def line(self) -> str:
        if self.process and self.process.stdout and (line := self.process.stdout.readline()):
            return line.rstrip("\n")
        raise SystemExit("Go's verifier has ended")

    def refusal(self) -> str:
        """Why it refuses the certificates in the folder; empty when it does not."""
        if not (self.process and self.process.stdin):
            return ""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.line().removeprefix("good").removeprefix("refused: ")

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()


def judged_by_us(setup: Path, folder: Path) -> tuple[str, str]:
    """Good, warned of or refused, and by which rules."""
    result = subprocess.run(
        [setup, "verify", *(f"--{flag}={flag}" for flag in ("ca", "cert", "key")), f"--tunnel-domain={DOMAIN}", "--json"],
        cwd=folder, capture_output=True, timeout=60, check=False)
    if result.returncode not in (0, 1):
        raise SystemExit(f"setup verify: {result.returncode}: {result.stderr.decode()}")
    report = json.loads(result.stdout)
    severity = "warning" if report["good"] else "error"
    rules = [entry["rule"] for entry in report["findings"] if entry["severity"] == severity]
    return "refused" if not report["good"] else "warned of" if rules else "good", " ".join(rules)


def verdict(ours: str, refusing: list[str], count: int) -> str:
    """The words for it: `refusing` are those of `count` others who refuse."""
    if ours == "refused":
        return ("refused by us alone" if not refusing else "refused by all" if len(refusing) == count
                else f"refused by {among(['us', *refusing])}")
    if not refusing:
        return "good for all"
    if "OpenSSL" in refusing:
        return f"called good though OpenSSL{' and others' if len(refusing) > 1 else ''} refuses"
    if ours == "warned of":
        return f"warned of, refused by {among(refusing)}"
    return "called good though Go refuses" if "Go" in refusing else "good but for Rust"


#: Groups that CI has time for.
BOUNDED = {"none", "names", "name constraints", "key identifiers"}


def run(context: Context) -> Iterable[Case]:
    folder, setup = context.folder("certificates"), context.binary("setup")
    go = Go(folder)
    SUITE.tools.update({"OpenSSL": openssl_version(), **pinned("cryptography")} | ({"Go": go.version} if go.version else {}))
    try:
        for group, title, make in oddities():
            if context.bounded and group not in BOUNDED:
                continue
            files = make().files()
            for flag, content in files.items():
                (folder / flag).write_bytes(content)
            ours, rules = judged_by_us(setup, folder)
            why = go.refusal()
            refuses = {"OpenSSL": refused_by_openssl(folder), "Rust": refused_by_rust(files), "Go": bool(why)}
            word = verdict(ours, [name for name in OTHERS if refuses[name]], len(OTHERS) if go.version else len(OTHERS) - 1)
            yield Case(f"{group}/{title}", group, word, group in BOUNDED, f"{rules} {why}".strip())
    finally:
        go.stop()


SUITES = [(SUITE, run)]
