"""The static programs need a kernel and nothing else, and have of their own what others have of the system."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from bare_root import DOMAIN, STATIC, USER, BareRoot
from conftest import ENVIRONMENT, PYTHON, REPOSITORY, Namespace, run

#: nsswitch.conf of a system without one, of Debian with a desktop, Fedora, and one whose first service is a trap.
SERVICES = {
    "none": None,
    "debian": "hosts: files mdns4_minimal [NOTFOUND=return] dns\n",
    "fedora": "hosts: files myhostname resolve [!UNAVAIL=return] dns\n",
    "trap": "passwd: trap files\nhosts: trap files dns\n",
}
#: Where distributions keep the CAs of the system: Debian, Fedora, SUSE, Alpine, and OpenSSL as Debian builds it.
BUNDLES = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/lib/ssl/cert.pem",
]


@pytest.fixture
def root(tmp_path: Path, network: Namespace) -> BareRoot:
    # For the user that the programs run as.
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o011)
    return BareRoot(tmp_path / "root", network)


@pytest.fixture
def name_server(network: Namespace) -> Iterator[None]:
    """On 127.0.0.1, where one is looked for without a resolv.conf; it knows mcp.example."""
    with network.server(PYTHON, "-m", "image.name_server", "mcp.example", "10.1.2.3"):
        yield


def test_they_are_what_they_promise_to_be() -> None:
    run(REPOSITORY / "Tests/Support/check-binaries", "--static", STATIC / "mcp-proxy", STATIC / "setup")
    # And the others are not: it can tell.
    with pytest.raises(AssertionError, match=r"is started by a loader \(INTERP\)"):
        run(REPOSITORY / "Tests/Support/check-binaries", "--static", "/bin/true")


def test_version_and_help(root: BareRoot) -> None:
    assert re.match(r"mcp-proxy \d+\.\d+\.\d+\n", root.run("/mcp-proxy", "-version"))
    assert re.match(r"setup \d+\.\d+\.\d+\n", root.run("/setup", "--version"))
    assert "usage" in root.run("/setup", "--help").lower()


def test_demo(root: BareRoot) -> None:
    assert "✓ tools/call" in root.run("/mcp-proxy", "demo")


def test_certificates(root: BareRoot) -> None:
    os.chown(root.folder / "data", USER, USER)
    output = "--output=dir:/data"
    made = ("generate-certs", f"--tunnel-domain={DOMAIN}", "--key-type=ecdsa-p256", output)
    root.run("/setup", *made, is_silent=False)
    root.run("/setup", "verify", output, is_silent=False)


@pytest.mark.parametrize("services", SERVICES)
def test_names(root: BareRoot, name_server: None, services: str) -> None:
    """From /etc/hosts and by DNS, whatever nsswitch.conf names besides."""
    if text := SERVICES[services]:
        root.write("/etc/nsswitch.conf", text)
    for kind in ("trap", "mdns4_minimal", "myhostname", "resolve"):
        root.trap(f"/lib/x86_64-linux-gnu/libnss_{kind}.so.2")
    root.write("/etc/hosts", "10.4.5.6 hosts.example\n")
    root.configure({
        "dns": "http://mcp.example:9000", "hosts": "http://hosts.example:9000", "unknown": "http://nobody.example:9000"
    })
    report = root.check(status=1)
    assert "mcp.example is 10.1.2.3" in report["route.dns", "dns"]["summary"]
    assert "hosts.example is 10.4.5.6" in report["route.dns", "hosts"]["summary"]
    assert report["route.dns", "unknown"]["level"] == "fail"


def test_the_trap_springs(root: BareRoot) -> None:
    """Under a static program that has glibc's loader in it."""
    source = root.folder / "look-up.c"
    source.write_text(
        "#include <netdb.h>\n#include <stddef.h>\n"
        'int main(void) { struct addrinfo *list; return getaddrinfo("nobody.example", NULL, NULL, &list) ? 1 : 0; }\n'
    )
    run("gcc", "-static-pie", "-o", root.folder / "look-up", source)
    root.write("/etc/nsswitch.conf", SERVICES["trap"])
    root.trap("/lib/x86_64-linux-gnu/libnss_trap.so.2")
    root.run("/look-up", status=42, is_silent=False)


def test_configuration_of_openssl_that_names_a_library(root: BareRoot) -> None:
    root.trap("/usr/lib/x86_64-linux-gnu/ossl-modules/trap.so")
    root.write(
        "/usr/lib/ssl/openssl.cnf",
        "openssl_conf = all\n[all]\nproviders = them\n[them]\ntrap = one\ndefault = other\n[one]\nactivate = 1\n"
        "[other]\nactivate = 1\n",
    )
    root.configure({"mcp": "http://127.0.0.1:9000"})
    assert root.check(status=1)["certificate", None]["level"] == "pass"


@pytest.mark.parametrize("place", [*BUNDLES, None])
def test_cas_of_the_system(root: BareRoot, place: str | None) -> None:
    if place:
        root.write(place, root.authority.pem)
    root.configure({"mcp": "https://127.0.0.1:9000"}, upstream={"tls": {"include_system_cas": True}})
    said = str(root.check(status=1))
    assert ("no certificate to trust was found" in said) == (place is None), said


def test_serves_in_the_sandbox_and_anywhere(root: BareRoot, tmp_path: Path) -> None:
    """Twice, at two addresses."""
    root.configure({"mcp": "http://127.0.0.1:9000"})
    places = set()
    for attempt in range(2):
        proxy = root.serve(tmp_path / f"launch-{attempt}")
        try:
            (line,) = proxy.found(r" sandbox mode=")
            # What the kernel of this machine has, as `check` says it of the kernel alone.
            assert line.fields["calls"] == "filtered"
            assert line.fields["landlock"] == str(max(0, landlock())) and ("missing" in line.fields) == (landlock() < 4)
            root.run("/mcp-proxy", "healthcheck")
            maps = (Path("/proc") / str(proxy.process.pid) / "maps").read_text().splitlines()
            files = {line.split(None, 5)[5] for line in maps if len(line.split(None, 5)) == 6}
            assert not [file for file in files if ".so" in file], files
            places.add(maps[0].split("-")[0])
            assert proxy.stop() == 0, proxy.log
        finally:
            proxy.process.kill()
            proxy.process.wait()
    assert len(places) == 2


def landlock() -> int:
    """The version of Landlock that this kernel has (landlock_create_ruleset)."""
    return ctypes.CDLL(None).syscall(444, None, 0, 1)
