"""A repository of its own to try a release in: the working tree as it is now, as one commit."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
#: The same commit each time, wherever it is made.
IDENTITY = {
    "GIT_AUTHOR_NAME": "test",
    "GIT_AUTHOR_EMAIL": "test@example.com",
    "GIT_AUTHOR_DATE": "2026-11-28T12:00:00Z",
    "GIT_COMMITTER_NAME": "test",
    "GIT_COMMITTER_EMAIL": "test@example.com",
    "GIT_COMMITTER_DATE": "2026-11-28T12:00:00Z",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}


def run(*command: object, status: int = 0, **options: object) -> str:
    """What a command prints, to both its outputs, when it ends as it should."""
    environment = {**os.environ, **IDENTITY, **options.pop("env", {})}  # type: ignore[dict-item]
    result = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1200,
        env=environment,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    assert result.returncode == status, f"{command}: exit status {result.returncode}\n{result.stdout}"
    return result.stdout


class Tree:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        run("git", "clone", "--quiet", "--no-tags", REPOSITORY, folder)
        changed = (
            run("git", "-C", REPOSITORY, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
            .strip("\0")
            .split("\0")
        )
        run("git", "-C", folder, "rm", "-r", "--quiet", "--cached", ".")
        run(
            "sh",
            "-c",
            'rm -rf "$1"/* && tar -C "$2" -c --null -T "$3" | tar -C "$1" -x',
            "sh",
            folder,
            REPOSITORY,
            self._list(changed),
        )
        self.git("checkout", "--quiet", "--orphan", "trial")
        self.commit("all of it")

    def _list(self, names: list[str]) -> Path:
        file = self.folder.with_name(self.folder.name + ".list")
        file.write_text("\0".join(name for name in names if os.path.lexists(REPOSITORY / name)))
        return file

    def git(self, *arguments: object, **options: object) -> str:
        return run("git", "-C", self.folder, *arguments, **options)

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replaces what is there, once."""
        path = self.folder / name
        text = path.read_text()
        assert old in text, f"{name} has no {old!r}"
        path.write_text(text.replace(old, new, 1))

    def text(self, name: str) -> str:
        return (self.folder / name).read_text()

    def check(self, *arguments: str) -> list[str]:
        """What release-check finds; nothing when it is content."""
        result = subprocess.run(
            [self.folder / "deploy/release/check", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        lines = result.stdout.splitlines()
        assert result.returncode == bool(lines), result.stdout + result.stderr
        return lines

    def raise_(self, *arguments: str, status: int = 0) -> str:
        return run(self.folder / "deploy/release/raise", *arguments, status=status)
