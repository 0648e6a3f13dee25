"""A root file system that has the static programs in it, and what a test writes there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from conftest import Namespace, run
from peers.pki import Authority
from peers.proxy import Proxy, yaml

STATIC = Path(os.environ["STATIC"])
DOMAIN = "t.example"
USER = 65532
#: In a view of the mounts of its own, so that /proc is there while the program runs.
ENTER = 'mount -t proc proc "$0/proc" && exec env -i /usr/sbin/chroot --userspec="$1" "$0" "${@:2}"'


class BareRoot:
    """No loader, no library, no shell, no configuration of the system; a network of its own, with loopback alone."""

    def __init__(self, folder: Path, network: Namespace) -> None:
        self.folder, self.network = folder, network
        for name in ("proc", "tmp", "data", "etc"):
            (folder / name).mkdir(parents=True)
        (folder / "tmp").chmod(0o1777)
        for program in ("mcp-proxy", "setup"):
            shutil.copy(STATIC / program, folder / program)
        self.authority = Authority()

    def write(self, path: str, content: str | bytes) -> None:
        file = self.folder / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def configure(self, routes: dict[str, str], **settings: object) -> None:
        """A configuration and a certificate, that the proxy's user can read."""
        certificate, key = self.authority.issue(f"*.{DOMAIN}", DOMAIN).write(self.folder / "data")
        for file in (certificate, key):
            os.chown(file, USER, USER)
        configuration = {
            "listen_addr": "127.0.0.1:8080",
            "tunnel_domain": DOMAIN,
            "tls": {"cert_file": "/data/tls.crt", "key_file": "/data/tls.key"},
            "routes": routes,
            **settings,
        }
        self.write("etc/mcp-gateway/config.yaml", yaml(configuration))

    def trap(self, path: str) -> None:
        """A library that ends whoever loads it, with all that it needs itself."""
        source = self.folder.with_name("trap.c")
        source.write_text(
            "#include <unistd.h>\n"
            '__attribute__((constructor)) static void spring(void) { write(2, "loaded\\n", 7); _exit(42); }\n'
        )
        file = self.folder / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        run("gcc", "-shared", "-fPIC", "-o", file, source)
        for needed in re.findall(r"(/\S+) \(0x", run("ldd", file)):
            # Where a static program's loader looks for the other one, too.
            for place in (needed, f"/lib/x86_64-linux-gnu/{Path(needed).name}"):
                self.write(place, Path(needed).read_bytes())

    def command(self, *words: str) -> list[str]:
        return self.network.command("unshare", "--mount", "bash", "-c", ENTER, self.folder, f"{USER}:{USER}", *words)

    def run(self, *words: str, status: int = 0, is_silent: bool = True) -> str:
        """The standard output of a program, that says nothing beside it unless `is_silent` is false."""
        result = subprocess.run(
            self.command(*words), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )
        assert result.returncode == status and not (is_silent and result.stderr), result.stdout + result.stderr
        return result.stdout

    def check(self, status: int = 0) -> dict[tuple[str, str | None], dict]:
        """What `mcp-proxy check` says, by what it looked at and for which route."""
        report = json.loads(self.run("/mcp-proxy", "check", "-json", "-timeout", "2s", status=status))
        return {(each["id"], each.get("route")): each for each in report["checks"]}

    def serve(self, launcher: Path) -> Proxy:
        """The proxy, started and listening."""
        launcher.write_text(f"#!/bin/bash\nexec {' '.join(map(_quoted, self.command('/mcp-proxy')))}\n")
        launcher.chmod(0o755)
        proxy = Proxy(launcher, Path("/etc/mcp-gateway/config.yaml"))
        proxy.wait_for(" listening ", seconds=20)
        return proxy


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"
