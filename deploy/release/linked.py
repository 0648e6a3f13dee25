"""What is in the static programs of the archive besides ours: Debian's packages, with their licences."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from versions import ROOT, Fault

sys.path.insert(0, str(ROOT / "deploy/image"))
from spdx import declared_licence, stanza  # noqa: E402

DOCUMENTS = Path("/usr/share/doc")
#: Of packages whose copyright file no machine can read.
LICENCES = {
    "libc6-dev": "LGPL-2.1-or-later",
    "libgcc": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libstdc++": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libssl-dev": "Apache-2.0",
    "zlib1g-dev": "Zlib",
}


class Package:
    def __init__(self, name: str) -> None:
        self.name = name
        self.fields = stanza(_run("dpkg-query", "--status", name))
        self.copyright = DOCUMENTS / name / "copyright"
        declared = declared_licence(self.copyright)
        known = [licence for start, licence in LICENCES.items() if name.startswith(start)]
        self.licence = declared if declared != "NOASSERTION" or not known else known[0]


def packages(folder: Path, program: str) -> list[Package]:
    """Debian's packages that a static program has archives of, by what deploy/release/static noted beside it."""
    runtime = Path(_run("sh", "-c", "command -v swift").strip()).resolve().parents[1] / "lib/swift_static"
    archives = [Path(line) for line in (folder / f"{program}.archives").read_text().splitlines()]
    return [Package(name) for name in sorted({_owner(each) for each in archives if not each.is_relative_to(runtime)})]


def notice(linked: list[Package]) -> str:
    """What the licences want to be said beside the programs."""
    lines = [f"  {each.name} {each.fields['Version']}: {each.licence}" for each in linked]
    return (
        "mcp-proxy and setup contain, linked statically, parts of these packages of Debian 12, each under the licence whose\n"
        "text is in the file of its name:\n\n" + "\n".join(lines) + "\n\n"
        "The GNU C Library (libc6-dev) is under the GNU Lesser General Public License, version 2.1 or later. The programs can be\n"
        "linked again with another version of it: docs/releases.md of the source archive says how.\n"
    )


def _owner(archive: Path) -> str:
    for path in (archive, Path(str(archive).removeprefix("/usr"))):
        result = subprocess.run(["dpkg-query", "--search", path], capture_output=True, text=True, check=False)
        if result.returncode == 0:
            return result.stdout.split(":")[0]
    raise Fault(f"{archive}, which is linked into the static programs, is of no Debian package")


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
