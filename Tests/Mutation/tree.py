"""The copy of the repository in which mutants live, its builds, and commands that run there.

Nothing is ever written into the repository itself. As root the copy stands in the repository's place, in a mount
namespace of its own, so that what has been built counts for it too: a build then takes what the rewritten files need,
and not a quarter of an hour.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path

from mutations import ROOT

TREE = ROOT / "out/mutation/tree"
#: Not part of what is tested; `.build` and the environments of Python are copied once.
LEFT_OUT = {".git", "out", ".build", ".venv"}
ERROR = re.compile(r"^(/\S+?):(\d+):\d+: error: (.*)", re.MULTILINE)


class Tree:
    def __init__(self) -> None:
        self.stands_in = os.geteuid() == 0 and subprocess.run(
            ["unshare", "-m", "true"], capture_output=True).returncode == 0  # fmt: skip
        #: By this path programs see the copy.
        self.path = ROOT if self.stands_in else TREE

    def refresh(self, rewritten: set[Path]) -> None:
        """Brings the copy to the state of the repository. Files that are the same are left alone, with their times.
        So are those about to be rewritten: what they hold from the last run may be what they will hold."""
        TREE.mkdir(parents=True, exist_ok=True)
        wanted = set()
        for folder, folders, files in os.walk(ROOT):
            relative = Path(folder).relative_to(ROOT)
            folders[:] = [name for name in folders if name not in LEFT_OUT and not name.startswith(".venv")]
            for name in files:
                wanted.add(relative / name)
                if relative / name in rewritten and (TREE / relative / name).exists():
                    continue
                copy_if_changed(ROOT / relative / name, TREE / relative / name)
        for folder, folders, files in os.walk(TREE):
            relative = Path(folder).relative_to(TREE)
            folders[:] = [name for name in folders if name not in LEFT_OUT and not name.startswith(".venv")]
            for name in files:
                if relative / name not in wanted | rewritten:
                    (TREE / relative / name).unlink()
        if self.stands_in:
            environments = [path.relative_to(ROOT) for path in (ROOT / "Tests").glob("**/.venv*") if path.is_dir()]
            for path in [Path(".build"), *environments]:
                if (ROOT / path).exists() and not (TREE / path).exists():
                    partial = TREE / path.parent / (path.name + ".partial")
                    shutil.rmtree(partial, ignore_errors=True)
                    subprocess.run(["cp", "-a", "--reflink=auto", ROOT / path, partial], check=True)
                    partial.rename(TREE / path)

    def write(self, file: Path, text: str) -> None:
        """One file of the copy, whose time changes only with its text."""
        path = TREE / file
        if not path.exists() or path.read_text() != text:
            path.write_text(text)

    def read(self, file: Path) -> str:
        return (TREE / file).read_text()

    def restore(self, file: Path) -> None:
        """The file as the repository has it, or none."""
        if (ROOT / file).exists():
            self.write(file, (ROOT / file).read_text())
        else:
            (TREE / file).unlink(missing_ok=True)

    def run(
        self, command: list[str], environment: dict[str, str], seconds: float, until: bytes = b""
    ) -> tuple[int | None, str]:
        """Its status and what it printed; no status where it took too long. `until` ends it as soon as it prints that.
        Whatever it has started ends with it."""
        inside = ["bash", "-c", 'ulimit -v 16777216; cd "$1" && shift && exec "$@"', "_", str(self.path), *command]
        if self.stands_in:
            # A namespace of processes too: when the command ends or is ended, nothing of it is left.
            inside = ["unshare", "-m", "-p", "-f", "--kill-child", "--mount-proc", "bash", "-c",
                      'mount --bind "$1" "$2" && shift 2 && "$@"', "_", str(TREE), str(ROOT), *inside]  # fmt: skip
        process = subprocess.Popen(
            inside, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=os.environ | environment, start_new_session=True)  # fmt: skip
        assert process.stdout is not None
        out, deadline = bytearray(), time.monotonic() + seconds
        try:
            while True:
                left = deadline - time.monotonic()
                if left <= 0:
                    return None, out.decode(errors="replace")
                if not select.select([process.stdout], [], [], left)[0]:
                    continue
                part = os.read(process.stdout.fileno(), 1 << 16)
                if not part:
                    return process.wait(), out.decode(errors="replace")
                before = max(0, len(out) - len(until))
                out += part
                if until and out.find(until, before) >= 0:
                    return 1, out.decode(errors="replace")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()

    def build(self) -> tuple[bool, str, list[tuple[Path, int, str]]]:
        """Whether it builds, what was printed, and the errors: file, line, text."""
        status, out = self.run(["swift", "build", "--build-tests"], {}, 3 * 3600)
        errors = [(Path(file).relative_to(self.path), int(line), text) for file, line, text in ERROR.findall(out)
                  if Path(file).is_relative_to(self.path)]  # fmt: skip
        return status == 0, out, errors


def copy_if_changed(source: Path, target: Path) -> None:
    if target.is_symlink() or source.is_symlink():
        target.unlink(missing_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
    elif not is_same(source, target):
        target.parent.mkdir(parents=True, exist_ok=True)
        # A copy keeps the time, so that it counts as the file that was built.
        shutil.copy2(source, target)


def is_same(a: Path, b: Path) -> bool:
    return b.exists() and a.stat().st_mode == b.stat().st_mode and a.read_bytes() == b.read_bytes()
