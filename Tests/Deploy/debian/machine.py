"""A machine: systemd as the first process of a root file system, in a network of its own."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from roots import REPOSITORY, run

ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{REPOSITORY}/Tests/Support:{REPOSITORY}/Tests/Deploy/debian"}


class Machine:
    """A booted system. It has a loopback interface, and no other."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.console = root.parent / "console.log"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, open(self.console, "wb") as console:
            address = root.parent / "ready.sock"
            ready.bind(str(address))
            ready.settimeout(120)
            self.process = subprocess.Popen(
                ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--notify-ready=yes", "--private-network",
                 # Its own filter is older than these calls; what the unit allows is to be seen.
                 "--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self",
                 "--console=pipe", "--boot", "-D", str(root)],
                stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT,
                env={**os.environ, "NOTIFY_SOCKET": str(address)},
            )  # fmt: skip
            self.leader = 0
            message = ""
            while not re.search(r"^READY=1$", message, re.M):
                try:
                    message = ready.recv(4096).decode()
                except TimeoutError:
                    self.stop()
                    raise AssertionError(f"the machine did not boot:\n{self.console.read_text()}") from None
                if found := re.search(r"^X_NSPAWN_LEADER_PID=(\d+)$", message, re.M):
                    self.leader = int(found[1])
        assert self.leader

    def command(self, *command: object) -> list[str]:
        """A command line that runs as root in the machine."""
        spaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd")
        return ["nsenter", f"--target={self.leader}", *spaces, "--", *map(str, command)]

    def run(self, *command: object, **options: object) -> str:
        """The standard output of a command in the machine that must succeed."""
        return run(*self.command(*command), **options)  # type: ignore[arg-type]

    def fails(self, *command: object) -> str:
        """What a command in the machine that must fail prints."""
        result = subprocess.run(
            self.command(*command), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
        )
        assert result.returncode != 0, f"{command}: {result.stdout}{result.stderr}"
        return result.stdout + result.stderr

    def systemctl(self, *arguments: str) -> str:
        return self.run("systemctl", "--no-pager", *arguments)

    def property(self, unit: str, name: str) -> str:
        return self.systemctl("show", "--value", f"--property={name}", unit).strip()

    def journal(self, unit: str, *arguments: str) -> str:
        """A unit's journal so far. What was printed a moment ago may be missing: `wait_for` waits for it."""
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}", *arguments)

    def wait_for(self, unit: str, pattern: str, cursor: str = "", seconds: float = 20) -> str:
        """Follow a unit's journal until a line has a regular expression, and return the line."""
        since = [f"--after-cursor={cursor}"] if cursor else ["--lines=all"]
        command = ["timeout", str(seconds), "journalctl", "--follow", "--output=cat", f"--unit={unit}", *since]
        with subprocess.Popen(self.command(*command), stdout=subprocess.PIPE, text=True) as follower:
            assert follower.stdout
            lines = []
            for line in follower.stdout:
                lines.append(line)
                if re.search(pattern, line):
                    follower.terminate()
                    return line
        raise AssertionError(f"no {pattern!r} in the journal of {unit}:\n{''.join(lines)}")

    def cursor(self) -> str:
        """The journal's end, to look only at what follows it."""
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--lines=0", "--show-cursor").split("-- cursor: ")[1].strip()

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """A file of root's in the machine."""
        self.run("sh", "-c", f"umask 077; mkdir -p $(dirname {path}); cat >{path}; chmod {mode:o} {path}",
                 stdin=None, input=text)  # fmt: skip

    def in_network(self, *command: object) -> list[str]:
        """A command line that runs on this system, but in the machine's network."""
        return ["nsenter", f"--net=/proc/{self.leader}/ns/net", "--", *map(str, command)]

    @contextlib.contextmanager
    def server(self, *command: object) -> Iterator[str]:
        """A program of this system that serves in the machine's network until the block ends; its first line."""
        process = subprocess.Popen(
            self.in_network(*command), env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout
            line = process.stdout.readline()
            assert line, f"{command} ended"
            yield line.strip()
        finally:
            process.kill()
            process.wait()

    def call(self, listener: str, domain: str, authority: Path, host: str, path: str = "/") -> str:
        """The answer to a GET through the tunnel: status and body."""
        return run(
            *self.in_network(sys.executable, REPOSITORY / "Tests/Deploy/debian/tunnel_call.py"),
            listener, domain, authority, host, path, env=ENVIRONMENT,
        ).strip()  # fmt: skip

    def stop(self) -> None:
        """Power off, and wait for the end."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def booted(root: Path) -> Iterator[Machine]:
    machine = Machine(root)
    try:
        yield machine
    finally:
        machine.stop()
