"""WebSocket: the Autobahn test suite against the two programs of Examples/echo, which have nothing but TunnelCore's codec."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from context import HERE, ROOT, WORK, Context
from peers.endpoint import free_port
from record import Case, Suite

#: The suite's words, and how bad they are. Each case is judged by what was sent and by how the connection was closed;
#: what counts is the worse of both.
VERDICTS = {"OK": 0, "INFORMATIONAL": 1, "NON-STRICT": 2, "UNIMPLEMENTED": 3, "WRONG CODE": 4, "UNCLEAN": 4,
            "FAILED BY CLIENT": 4, "FAILED": 5, "none": 5}
GROUPS = {
    "1": "1 framing", "2": "2 pings and pongs", "3": "3 reserved bits", "4": "4 opcodes", "5": "5 fragmentation",
    "6": "6 UTF-8", "7": "7 closing", "9": "9 limits and speed", "10": "10 odd packets", "12": "12 compression",
    "13": "13 compression with parameters",
}
#: At a time: most of a case's time is waiting for the other side.
PARTS = 4
TRIES = 3
#: Without what moves megabytes.
BOUNDED = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.1.*", "6.2.*", "6.3.*", "6.4.*", "7.*", "10.*", "12.1.1", "13.1.1"]
REMARKS = {
    "7.1.6": "a message of 256 KiB, and a Close right behind it: the suite asks only for a clean end",
    "7.13.1": "a Close code that nobody has defined (5000): the RFC leaves it open",
    "7.13.2": "a Close code that nobody has defined (65535): the RFC leaves it open",
}
ABOUT = """
The [Autobahn test suite](https://github.com/crossbario/autobahn-testsuite) {role} the {program} of `Examples/echo`, which has
plain sockets and the codec of `TunnelCore`. All its cases run; it has no case 8 and 11. The verdicts are the suite's own, the
worse of its two for each case. A case that fails is tried again by itself, since the suite has deadlines of a second. CI leaves out what moves megabytes: 9, and most of 12 and 13.
"""


def suite(name: str, title: str, **words: str) -> Suite:
    return Suite(name, title, ABOUT.format(**words), VERDICTS, REMARKS)


SERVER = suite("autobahn-server", "WebSocket, as the server", role="as client, against", program="server")
CLIENT = suite("autobahn-client", "WebSocket, as the client", role="as server, against", program="client")


def programs() -> Path:
    """The folder with both programs. They are built for speed: the suite has cases of many megabytes."""
    build = ["swift", "build", "-c", "release", "--package-path", str(ROOT / "Examples/echo"),
             "--scratch-path", str(ROOT / ".build/examples/echo")]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    return ROOT / ".build/examples/echo/release"


def install() -> Path:
    folder = WORK / "autobahn"
    subprocess.run([HERE / "autobahn/install", folder, WORK / "venv/bin/python"], check=True)
    return folder


@contextmanager
def started(command: list[str | Path], log: Path, line: str) -> Iterator[str]:
    """A program that runs until the end of the block, once it has printed a line that begins so; gives the rest of it."""
    with log.open("w") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        with waiting(f"{command[0]} to print {line!r}") as again:
            while not (found := re.search(rf"^{re.escape(line)}(.*)\n", log.read_text(), re.M)):
                if process.poll() is not None:
                    raise SystemExit(f"{command[0]} has ended: {process.returncode}\n{log.read_text()[-2000:]}")
                again()
        yield found[1].strip()
    finally:
        process.kill()
        process.wait()


@contextmanager
def waiting(what: str, seconds: float = 600) -> Iterator[Callable[[], None]]:
    """Gives what to call before looking once more; it ends the run when that has been too often."""
    deadline = time.monotonic() + seconds

    def again() -> None:
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.05)

    yield again


def specification(folder: Path, cases: list[str], **more: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "specification.json"
    path.write_text(json.dumps({
        "outdir": str(folder), "cases": cases, "exclude-cases": [], "exclude-agent-cases": {}, **more}))
    return path


def names(suite: Path, folder: Path, context: Context) -> list[str]:
    file = specification(folder, BOUNDED if context.bounded else ["*"], mode="list")
    return json.loads(subprocess.run([HERE / "autobahn/wstest", suite, file], stdout=subprocess.PIPE, check=True).stdout)


#: What the suite says of a case.
Verdict = dict[str, str]
#: Runs cases in a folder, in so many parts at a time.
Attempt = Callable[[Path, list[str], int], dict[str, Verdict]]


def tried(context: Context, folder: Path, attempt: Callable[[Path], Attempt]) -> Iterable[Case]:
    """All cases, and once more one by one those that failed: the suite has deadlines of a second, which a machine that is busy
    may miss. What fails each time has failed."""
    suite = install()
    run = attempt(suite)
    found = run(folder / "all", names(suite, folder, context), PARTS)
    for again in range(1, TRIES):
        failed = [name for name, verdict in found.items() if VERDICTS[worst(verdict)] > VERDICTS["INFORMATIONAL"]]
        if failed:
            found |= run(folder / f"again-{again}", failed, 1)
    for name in sorted(found, key=lambda name: [int(part) for part in name.split(".")]):
        note = f"({found[name]['behavior']} and {found[name]['behaviorClose']})"
        yield Case(name, GROUPS[name.split(".")[0]], worst(found[name]), is_bounded(name), note)


def worst(verdict: Verdict) -> str:
    both = [verdict["behavior"], verdict["behaviorClose"]]
    return max((word if word in VERDICTS else "none" for word in both), key=VERDICTS.__getitem__)


def as_server(context: Context) -> Iterable[Case]:
    folder, built = context.folder("autobahn-server"), programs()

    def run(suite: Path, place: str, folder: Path, cases: list[str], parts: int) -> dict[str, Verdict]:
        running = []
        for number in range(parts):
            part = folder / str(number)
            file = specification(part, cases[number::parts], mode="fuzzingclient", servers=[{"agent": "echo", "url": f"ws://{place}"}])
            with (part / "log").open("w") as log:
                running.append(subprocess.Popen([HERE / "autobahn/wstest", suite, file], stdout=log, stderr=log))
        for number, process in enumerate(running):
            if process.wait():
                raise SystemExit(f"the suite has failed: {(folder / str(number) / 'log').read_text()[-2000:]}")
        return verdicts(*(folder / str(number) for number in range(parts)))

    with started([built / "echo-server", "0"], folder / "server.log", "listening on ") as place:
        yield from tried(context, folder, lambda suite: partial(run, suite, place))


def as_client(context: Context) -> Iterable[Case]:
    folder, built = context.folder("autobahn-client"), programs()

    def run(suite: Path, folder: Path, cases: list[str], parts: int) -> dict[str, Verdict]:
        place = f"ws://127.0.0.1:{free_port()}"
        file = specification(folder, cases, mode="fuzzingserver", url=place)
        with started([HERE / "autobahn/wstest", suite, file], folder / "suite.log", "ready"):
            running = []
            for number in range(parts):
                addresses = [f"{place}/runCase?casetuple={name}&agent=echo" for name in cases[number::parts]]
                with (folder / f"client-{number}.log").open("w") as log:
                    running.append(subprocess.Popen([built / "echo-client", *addresses], stdout=log, stderr=log))
            for process in running:
                # A case that fails is the suite's to judge.
                process.wait()
            subprocess.run([built / "echo-client", f"{place}/updateReports?agent=echo"], stdout=subprocess.DEVNULL, check=True)
            with waiting("the suite's verdicts") as again:
                while not (folder / "verdicts.json").exists():
                    again()
        return verdicts(folder)

    return tried(context, folder, lambda suite: partial(run, suite))


def verdicts(*folders: Path) -> dict[str, Verdict]:
    found: dict[str, Verdict] = {}
    for folder in folders:
        # A part without cases has no agent.
        found |= json.loads((folder / "verdicts.json").read_text()).get("echo", {})
    return found


def is_bounded(name: str) -> bool:
    return any(name == pattern or pattern.endswith("*") and name.startswith(pattern[:-1]) for pattern in BOUNDED)


SUITES = [(SERVER, as_server), (CLIENT, as_client)]
