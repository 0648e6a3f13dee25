"""What an operator reads of a certificate and a key that cannot be used, made by `openssl`: the proxy that does not start or
warns, `mcp-proxy check` and `setup verify` name the files, what is wrong, and what to do."""

from __future__ import annotations

import datetime
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from peers.certificates import DAY, DOMAIN, Draft, make_key, pkcs8

NAMES = f"subjectAltName=DNS:{DOMAIN},DNS:*.{DOMAIN}"
AUTHORITY = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign", "subjectKeyIdentifier=hash"]


class Pair:
    """A folder with ca.crt, tls.crt and tls.key, good until something is broken."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate, self.key, self.ca = folder / "tls.crt", folder / "tls.key", folder / "ca.crt"
        self.make("ca", "/CN=ca", AUTHORITY)
        self.issue("tls", NAMES)

    def openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def make(self, name: str, subject: str, extensions: list[str]) -> None:
        added = [word for extension in extensions for word in ("-addext", extension)]
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1825",
                     "-subj", subject, *added, "-keyout", f"{name}.key", "-out", f"{name}.crt")

    def issue(self, name: str, names: str) -> None:
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={DOMAIN}",
                     "-keyout", f"{name}.key", "-out", f"{name}.csr")
        lines = ([names] if names else []) + ["authorityKeyIdentifier=keyid", "extendedKeyUsage=serverAuth"]
        (self.folder / f"{name}.ext").write_text("\n".join(lines))
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days",
                     "90", "-extfile", f"{name}.ext", "-out", f"{name}.crt")

    # What goes wrong.

    def other_key(self) -> None:
        self.issue("other", NAMES)
        (self.folder / "other.key").rename(self.key)

    def wrong_order(self) -> None:
        self.certificate.write_bytes(self.ca.read_bytes() + self.certificate.read_bytes())

    def passphrase(self) -> None:
        self.openssl("pkcs8", "-topk8", "-in", "tls.key", "-passout", "pass:x", "-out", "sealed.key")
        (self.folder / "sealed.key").rename(self.key)

    def swapped(self) -> None:
        certificate = self.certificate.read_bytes()
        self.certificate.write_bytes(self.key.read_bytes())
        self.key.write_bytes(certificate)

    def empty(self) -> None:
        self.key.write_bytes(b"")

    def no_names(self) -> None:
        self.issue("tls", "")

    def other_names(self) -> None:
        self.issue("tls", "subjectAltName=DNS:*.other.example")

    def at(self, starts: datetime.timedelta, ends: datetime.timedelta) -> None:
        """`openssl x509 -req` of Debian 12 takes no dates."""
        authority, key = make_key("p256"), make_key("p256")
        self.ca.write_bytes(Draft.authority().signed(authority, authority))
        self.certificate.write_bytes(replace(Draft.server(), starts=starts, ends=ends).signed(key, authority))
        self.key.write_bytes(pkcs8(key))

    def expired(self) -> None:
        self.at(-90 * DAY, -DAY)

    def early(self) -> None:
        self.at(DAY, 90 * DAY)


#: What is broken; what the proxy does; words that all three say; the remedy that each has.
FAULTS = {
    "other_key": (True, "belong together", "renew-cert", ["tls.crt", "tls.key"]),
    "wrong_order": (True, "the key is that of certificate 2 in the file", "first", ["tls.crt", "tls.key"]),
    "passphrase": (True, "the private key is encrypted with a passphrase", "openssl pkey -in FILE -out PLAIN", ["tls.key"]),
    "swapped": (True, "it holds PRIVATE KEY", "renew-cert", ["tls.crt"]),
    "empty": (True, "no private key in the file", "renew-cert", ["tls.key"]),
    "expired": (False, "it expired at ", "renew-cert", ["tls.crt"]),
    "early": (False, "it is not valid before ", "check the clock", ["tls.crt"]),
    "no_names": (False, "it has no subject alternative names", "renew-cert", ["tls.crt"]),
    "other_names": (False, "it is good for ", "renew-cert", ["tls.crt"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_files_the_fault_and_the_remedy_are_named(
    start, binary: Path, setup_binary: Path, tmp_path: Path, fault: str
) -> None:
    refuses, words, remedy, files = FAULTS[fault]
    pair = Pair(tmp_path)
    getattr(pair, fault)()
    named = [str(tmp_path / name) for name in files]
    text = f"""
        listen_addr: 127.0.0.1:0
        tunnel_domain: {DOMAIN}
        tls: {{cert_file: {pair.certificate}, key_file: {pair.key}}}
        routes: {{echo: "http://127.0.0.1:1"}}
        upstream: {{allowed_ips: [127.0.0.0/8]}}
    """
    (tmp_path / "config.yaml").write_text(text)

    def run(*arguments: str | Path) -> str:
        outcome = subprocess.run([*arguments], capture_output=True, text=True, timeout=30, check=False)
        assert outcome.returncode == 1, outcome
        return outcome.stdout + outcome.stderr

    def tells(output: str, words: str) -> None:
        line, = [line for line in output.splitlines() if words in line]
        for name in named:
            assert name in line, line
        assert remedy in output

    if refuses:
        output = run(binary, "-config", tmp_path / "config.yaml")
        # The log has a thread of its own, so its lines may stand before it or behind.
        line, = [line for line in output.splitlines() if line.startswith("mcp-proxy: ")]
        assert line.startswith(f"mcp-proxy: tls.cert_file {pair.certificate}, tls.key_file {pair.key}: ")
        tells(output, words)
        assert "renew-cert" in output
    else:
        files = {"cert_file": str(pair.certificate), "key_file": str(pair.key)}
        proxy = start({"echo": "http://127.0.0.1:1"}, tunnel_domain=DOMAIN, tls=files)
        line = proxy.wait_for(f"finding=.*{words}")
        assert f"tls.cert_file {pair.certificate}: " in line.fields["detail"] and remedy in line.fields["remedy"]
    # The two others go through the files one by one: what the proxy says of the pair may be several findings there.
    seen = {"other_key": "is not that of the certificate", "swapped": "the file holds a private key"}.get(fault, words)
    found = run(binary, "check", "-config", tmp_path / "config.yaml", "-ca", pair.ca)
    if fault == "swapped":
        remedy = "keep the key in a file of its own"
    tells(found, seen)
    arguments = [f"--ca={pair.ca}", f"--cert={pair.certificate}", f"--key={pair.key}", f"--tunnel-domain={DOMAIN}"]
    tells(run(setup_binary, "verify", *arguments), seen)


def test_the_key_of_the_ca_is_told_from_that_of_the_server(setup_binary: Path, tmp_path: Path) -> None:
    """In a folder of setup, where both lie."""
    pair = Pair(tmp_path)
    (tmp_path / "tunnel-domain").write_text(DOMAIN)
    verify = [setup_binary, "verify", f"--output=dir:{tmp_path}"]
    assert subprocess.run(verify, capture_output=True, text=True, check=False).returncode == 0
    pair.make("other", "/CN=other", AUTHORITY)
    (tmp_path / "other.key").rename(tmp_path / "ca.key")
    outcome = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert outcome.returncode == 1
    line, = [line for line in outcome.stdout.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: CA's private key ca.key, CA certificate ca.crt: the key (ECDSA P-256) is not that of ")
