"""The proxy as a process: its configuration, its log, its end."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from .endpoint import Endpoint
from .far_side import FarSide

_FIELDS = re.compile(r' ([a-z_0-9.]+)=("(?:[^"\\]|\\.)*"|\S*)')
_LINE = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (?P<level>DEBUG|INFO|WARN|ERROR) "
    r'(?P<message>.*?)(?P<fields>(?: [a-z_0-9.]+=(?:"(?:[^"\\]|\\.)*"|\S*))*)\Z'
)


def _unquoted(value: str) -> str:
    """A quoted value, whose escapes are Go's: JSON's, and `\\x` with two digits."""
    return json.loads(re.sub(r"\\(?:x(..)|.)", lambda found: f"\\u00{found[1]}" if found[1] else found[0], value))


@dataclass(frozen=True)
class LogLine:
    """One line of the proxy's log. Lines that are not log lines have only their text."""

    text: str
    level: str = ""
    message: str = ""
    fields: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def parse(text: str) -> LogLine:
        if text.startswith("{"):
            parsed = json.loads(text)
            fields = {k: str(v) for k, v in parsed.items() if k not in ("time", "level", "msg")}
            return LogLine(text, parsed["level"].upper(), parsed["msg"], fields)
        match = _LINE.match(text)
        if not match:
            return LogLine(text)
        fields = {}
        for name, value in _FIELDS.findall(match["fields"]):
            fields[name] = _unquoted(value) if value.startswith('"') else value
        return LogLine(text, match["level"], match["message"], fields)


def yaml(value: object, indent: int = 0) -> str:
    """A configuration as people write it: block mappings, flow lists, quoted strings. JSON scalars are YAML's."""
    lines = []
    assert isinstance(value, dict)
    for key, item in value.items():
        name = key if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", key) else json.dumps(key)
        if isinstance(item, dict) and item:
            lines.append(f"{'  ' * indent}{name}:\n{yaml(item, indent + 1)}")
        else:
            lines.append(f"{'  ' * indent}{name}: {json.dumps(item, ensure_ascii=False)}\n")
    return "".join(lines)


def merged(base: dict, changes: dict) -> dict:
    """A configuration with changes: mappings merge except `routes`, None removes, the rest replaces."""
    result = dict(base)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict) and key != "routes":
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


class Proxy:
    """One running proxy. Its log is collected by a thread, so that the pipe never fills unless a test wants it."""

    def __init__(
        self, binary: Path, config_file: Path, *, arguments: list[str] | None = None, collect: bool = True,
        folder: Path | None = None, before: list[str] | None = None, user: int | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        """`before` is a command that runs the rest of its line, `user` whom the process runs as, and `pass_fds` are
        descriptors that it inherits."""
        self.config_file = config_file
        command = [*(before or []), str(binary), "-config", str(config_file), *(arguments or [])]
        # What the tests ask /proc for is shown to root alone.
        if os.geteuid() != 0 and "-debuggable" not in command:
            command.append("-debuggable")
        identity = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=folder, pass_fds=pass_fds, **identity)
        self.lines: list[LogLine] = []
        self._changed = threading.Condition()
        self._ended = False
        self.expected_status: int | None = 0
        self.check_requests = True
        if collect:
            threading.Thread(target=self._collect, daemon=True).start()
        else:
            self._collect_until_listening()

    def _take(self, raw: bytes) -> None:
        line = LogLine.parse(raw.decode("utf-8", "replace").rstrip("\n"))
        with self._changed:
            self.lines.append(line)
            self._changed.notify_all()

    def _collect(self) -> None:
        assert self.process.stderr
        for raw in self.process.stderr:
            self._take(raw)
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _collect_until_listening(self) -> None:
        # Byte by byte: a buffered reader would go on emptying the pipe.
        assert self.process.stderr
        descriptor, raw = self.process.stderr.fileno(), b""
        while not (self.lines and self.lines[-1].message == "listening"):
            byte = os.read(descriptor, 1)
            assert byte, "the proxy ended before it listened"
            raw += byte
            if byte == b"\n":
                self._take(raw)
                raw = b""

    # The log.

    @property
    def log(self) -> str:
        """The whole log so far."""
        with self._changed:
            return "\n".join(line.text for line in self.lines)

    def mark(self) -> int:
        """A place in the log, to look only at what follows it."""
        with self._changed:
            return len(self.lines)

    def found(self, pattern: str, since: int = 0) -> list[LogLine]:
        """The lines that contain a regular expression."""
        with self._changed:
            return [line for line in self.lines[since:] if re.search(pattern, line.text)]

    def wait_for(self, pattern: str, *, count: int = 1, since: int = 0, seconds: float = 8) -> LogLine:
        """Wait until a regular expression was seen `count` times and return the last of these lines."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                matches = [line for line in self.lines[since:] if re.search(pattern, line.text)]
                if len(matches) >= count:
                    return matches[count - 1]
                remaining = deadline - time.monotonic()
                if remaining <= 0 or self._ended:
                    why = "the proxy ended" if self._ended else f"{seconds} s went by"
                    raise AssertionError(f"{why} without {count}x {pattern!r} in the log")
                self._changed.wait(remaining)

    async def logged(self, pattern: str, **options: object) -> LogLine:
        """`wait_for` without holding up the test's own event loop."""
        return await asyncio.to_thread(self.wait_for, pattern, **options)  # type: ignore[arg-type]

    # The process.

    def far_side(self, domain: str, ca_file: Path) -> FarSide:
        """Wait until the proxy listens and return the far side for it."""
        line = self.wait_for(" listening | listening$|\"listening\"", seconds=20)
        self.endpoint = Endpoint.parse(line.fields["addr"])
        self.far = FarSide(self.endpoint, domain, ca_file)
        return self.far

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    async def exit_status(self, seconds: float = 15) -> int:
        """Wait for the process's end."""
        return await asyncio.to_thread(self.process.wait, seconds)

    def peak_memory(self) -> int:
        """The most memory the process ever had resident, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert match
        return int(match[1]) * 1024

    def open_descriptors(self) -> int:
        """How many descriptors the process has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def reset_peak_memory(self) -> None:
        """Let `peak_memory` count from now on (Linux: clear_refs)."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def stop(self, seconds: float = 15) -> int:
        """SIGTERM, and the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the proxy was still running {seconds} s after SIGTERM") from None

    def check(self) -> None:
        """What must hold after every test: a clean end, and one `request finished` for each `request started`."""
        status = self.stop()
        if self.expected_status is not None:
            assert status == self.expected_status, f"exit status {status}"
        if not self.check_requests:
            return
        deadline = time.monotonic() + 3
        with self._changed:
            while not self._ended and time.monotonic() < deadline:
                self._changed.wait(0.1)
        started = sorted(line.fields["id"] for line in self.lines if line.message == "request started")
        finished = sorted(line.fields["id"] for line in self.lines if line.message == "request finished")
        assert len(set(started)) == len(started), "an id was used twice"
        assert started == finished, f"started {started}\nfinished {finished}"
