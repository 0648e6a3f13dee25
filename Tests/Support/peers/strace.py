"""Kills a program at a system call of one's choice: the fault injection of strace(1)."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Calls that leave a trace outside of the process, on the disk or at a peer. `recvfrom` leaves none, but is where an
#: answer to what has left a trace is waited for.
WRITING = (
    "openat", "write", "writev", "pwrite64", "ftruncate", "fallocate", "fsync", "fdatasync", "rename", "renameat",
    "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "chmod",
    "fchmod", "fchmodat", "chown", "fchown", "fchownat", "sendto", "sendmsg", "recvfrom", "recvmsg")
_CALL = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Point:
    """The n-th call of its kind, before which the program is killed, and what it would have done."""

    call: str
    number: int
    arguments: str

    def __str__(self) -> str:
        return f"{self.call} #{self.number} ({self.arguments[:80]})"


def points(log: str) -> list[Point]:
    """The calls of a whole run which succeeded and may have left a trace, in order."""
    found, counts = [], {}
    for thread, call, arguments, result in _CALL.findall(log):
        # strace counts by thread and by call, whether it succeeds or not.
        counts[thread, call] = counts.get((thread, call), 0) + 1
        if int(result) < 0 or (call == "openat" and "O_CREAT" not in arguments):
            continue
        found.append(Point(call, counts[thread, call], arguments))
    return found


def traced(command: Sequence[str], environment: Mapping[str, str], log: Path) -> list[Point]:
    """Run a command to its successful end, and return where it can be killed."""
    subprocess.run(
        ["strace", "--follow-forks", "--seccomp-bpf", f"--output={log}", f"--trace={','.join(WRITING)}", *command],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=60)
    return points(log.read_text(errors="replace"))


def killed(command: Sequence[str], environment: Mapping[str, str], point: Point) -> subprocess.CompletedProcess[str]:
    """Run a command that is killed at a point. Its status is -9 then; one that has taken another way may end else."""
    # Not with --seccomp-bpf: the signal gets lost where the kernel stops for it.
    return subprocess.run(
        ["strace", "--follow-forks", "--output=/dev/null", f"--trace={point.call}",
         f"--inject={point.call}:signal=SIGKILL:when={point.number}", *command],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
