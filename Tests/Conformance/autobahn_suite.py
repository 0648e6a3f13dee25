"""WebSocket: the Autobahn test suite against the two programs of Examples/echo, which have nothing but TunnelCore's codec."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
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
#: Seconds between two lines that say how far a run has come.
PROGRESS = 30
#: Without what moves megabytes.
BOUNDED = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.1.*", "6.2.*", "6.3.*", "6.4.*", "7.*", "10.*", "12.1.1", "13.1.1"]
REMARKS = {
    "7.1.6": "a message of 256 KiB, and a Close right behind it: the suite asks only for a clean end",
    "7.13.1": "a Close code that nobody has defined (5000): the RFC leaves it open",
    "7.13.2": "a Close code that nobody has defined (65535): the RFC leaves it open",
}
ABOUT = """
The [Autobahn test suite](https://github.com/crossbario/autobahn-testsuite) {role} the {program} of `Examples/echo`, which has
plain sockets and the codec of `TunnelCore`. All its 517 cases run; it has no case 8 and 11. The verdicts are the suite's own, the
worse of its two for each case. A case that fails is tried again by itself, since the suite has deadlines of a second. A run that
was ended goes on where it was. The short part leaves out what moves megabytes: 9, and most of 6, 12 and 13.
"""


def suite(name: str, title: str, **words: str) -> Suite:
    version = re.search(r"^autobahntestsuite==(\S+)", (HERE / "autobahn/wheels.txt").read_text(), re.M)
    return Suite(name, title, ABOUT.format(**words), VERDICTS, REMARKS, {"autobahntestsuite": version[1]} if version else {})


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


class Journal:
    """What the suite has said so far: a line for each case when it has ended, the last one of a case counts.

    Whoever begins finds what a run that was ended has left, or one in which cases failed, if the programs are the same.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.path, self.mark = folder, folder / "verdicts.jsonl", folder / "unfinished"
        if not (self.mark.exists() and self.mark.read_text() == key):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self.mark.write_text(key)

    def verdicts(self) -> dict[str, Verdict]:
        found: dict[str, Verdict] = {}
        for line in self.path.read_text().splitlines() if self.path.exists() else []:
            # One may be cut off by what ended the run.
            with suppress(ValueError):
                verdict = json.loads(line)
                found[verdict.pop("id")] = verdict
        return found

    def finish(self) -> None:
        self.mark.unlink()


#: Runs cases in a folder of the journal's, in so many parts at a time. The verdicts go to the journal.
Attempt = Callable[[Journal, Path, list[str], int], None]


def tried(context: Context, name: str, programs: list[Path], attempt: Callable[[Path], Attempt]) -> Iterable[Case]:
    """All cases, and once more one by one those that failed: the suite has deadlines of a second, which a machine that is busy
    may miss. What fails each time has failed."""
    suite = install()
    inputs = [*programs, suite / "stamp", HERE / "autobahn/fuzz.py"]
    key = " ".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in inputs)
    # The short run does not take away what a long one has left.
    journal = Journal(WORK / (f"{name}-short" if context.bounded else name), key)
    run, wanted, found = attempt(suite), names(suite, journal.folder, context), journal.verdicts()
    if found:
        print(f"{name}: goes on with {len(found)} of {len(wanted)} cases, of a run that was ended", flush=True)
    for again in range(TRIES):
        missing = [case for case in wanted if case not in found]
        failed = [case for case in wanted if case in found and has_failed(worst(found[case]))]
        if again == 0 and missing:
            with progress(name, journal, len(wanted)):
                run(journal, journal.folder / "all", missing, PARTS)
        elif again and (missing or failed):
            print(f"{name}: once more, one by one: {' '.join(missing + failed)}", flush=True)
            run(journal, journal.folder / f"again-{again}", missing + failed, 1)
        found = journal.verdicts()
    words = {case: worst(found[case]) if case in found else "none" for case in wanted}
    if not any(has_failed(word) for word in words.values()):
        journal.finish()
    for case, word in words.items():
        verdict = found.get(case, {"behavior": "none", "behaviorClose": "none"})
        yield Case(case, GROUPS[case.split(".")[0]], word, is_bounded(case), f"({verdict['behavior']} and {verdict['behaviorClose']})")


@contextmanager
def progress(name: str, journal: Journal, total: int) -> Iterator[None]:
    """Says again and again how many cases have ended."""
    done, began = threading.Event(), time.monotonic()

    def tell() -> None:
        while not done.wait(PROGRESS):
            found = journal.verdicts()
            failed = sum(has_failed(worst(verdict)) for verdict in found.values())
            print(f"{name}: {len(found)} of {total} cases, {failed} to try again ({time.monotonic() - began:.0f} s)", flush=True)

    thread = threading.Thread(target=tell)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def worst(verdict: Verdict) -> str:
    both = [verdict["behavior"], verdict["behaviorClose"]]
    return max((word if word in VERDICTS else "none" for word in both), key=VERDICTS.__getitem__)


def has_failed(word: str) -> bool:
    return VERDICTS[word] > VERDICTS["INFORMATIONAL"]


@contextmanager
def side_by_side(commands: list[tuple[list[str | Path], Path]]) -> Iterator[list[subprocess.Popen]]:
    """Programs with their logs. None is left behind when the run is ended."""
    running: list[subprocess.Popen] = []
    try:
        for command, log in commands:
            with log.open("w") as file:
                running.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file))
        yield running
    finally:
        for process in running:
            process.kill()
            process.wait()


def as_server(context: Context) -> Iterable[Case]:
    server = programs() / "echo-server"

    def run(suite: Path, place: str, journal: Journal, folder: Path, cases: list[str], parts: int) -> None:
        commands = []
        for number in range(min(parts, len(cases))):
            part = folder / str(number)
            file = specification(part, cases[number::parts], mode="fuzzingclient", journal=str(journal.path),
                                 servers=[{"agent": "echo", "url": f"ws://{place}"}])
            commands.append(([HERE / "autobahn/wstest", suite, file], part / "log"))
        with side_by_side(commands) as running:
            for process, (_, log) in zip(running, commands, strict=True):
                if process.wait():
                    raise SystemExit(f"the suite has failed: {log.read_text()[-2000:]}")

    with started([server, "0"], WORK / "echo-server.log", "listening on ") as place:
        yield from tried(context, SERVER.name, [server], lambda suite: partial(run, suite, place))


def as_client(context: Context) -> Iterable[Case]:
    client = programs() / "echo-client"

    def run(suite: Path, journal: Journal, folder: Path, cases: list[str], parts: int) -> None:
        place = f"ws://127.0.0.1:{free_port()}"
        file = specification(folder, cases, mode="fuzzingserver", journal=str(journal.path), url=place)
        with started([HERE / "autobahn/wstest", suite, file], folder / "suite.log", "ready"):
            commands = []
            for number in range(min(parts, len(cases))):
                addresses = [f"{place}/runCase?casetuple={name}&agent=echo" for name in cases[number::parts]]
                commands.append(([client, *addresses], folder / f"client-{number}.log"))
            with side_by_side(commands) as running:
                for process in running:
                    # A case that fails is the suite's to judge.
                    process.wait()
            # Whoever is served now comes behind the end of the last case.
            subprocess.run([client, f"{place}/updateReports?agent=echo"], stdout=subprocess.DEVNULL, check=True)

    return tried(context, CLIENT.name, [client], lambda suite: partial(run, suite))


def is_bounded(name: str) -> bool:
    return any(name == pattern or pattern.endswith("*") and name.startswith(pattern[:-1]) for pattern in BOUNDED)


SUITES = [(SERVER, as_server), (CLIENT, as_client)]
