"""What a process in the proxy's sandbox cannot do, tried from inside by a program that confines itself as the proxy does."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import REPOSITORY, find_binary, write_configuration
from peers.without_calls import LANDLOCK, SECCOMP

WITHOUT = str(REPOSITORY / "Tests/Support/peers/without_calls.py")


def landlock_abi() -> int:
    import ctypes
    return ctypes.CDLL(None).syscall(444, None, 0, 1)


ABI = landlock_abi()
with_landlock = pytest.mark.skipif(ABI < 1, reason="the kernel has no Landlock")
with_ports = pytest.mark.skipif(ABI < 4, reason="the kernel's Landlock does not confine ports")
with_scopes = pytest.mark.skipif(ABI < 6, reason="the kernel's Landlock does not confine signals")


class Escape:
    """The process that tries, a line at a time."""

    def __init__(self, *command: str, user: int | None = None) -> None:
        identity = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **identity)
        assert self.process.stdout
        self.ready = self.process.stdout.readline()

    def ask(self, line: str) -> str:
        """What comes of it: `ok` or the name of an error; the empty text where it was the end of the process."""
        assert self.process.stdin and self.process.stdout
        print(line, file=self.process.stdin, flush=True)
        return self.process.stdout.readline().rpartition(": ")[2].strip()

    def lines(self, line: str, count: int) -> list[str]:
        assert self.process.stdin and self.process.stdout
        print(line, file=self.process.stdin, flush=True)
        return [self.process.stdout.readline().strip() for _ in range(count)]

    def end(self) -> int:
        assert self.process.stdin
        self.process.stdin.close()
        return self.process.wait(10)


@pytest.fixture
def server() -> Iterator[int]:
    """A port that somebody listens on, and that no setting names."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def route() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def escape(configuration: dict, tmp_path: Path, route: int) -> Iterator[Callable[..., Escape]]:
    started: list[Escape] = []
    tool = find_binary("sandbox-escape", "SANDBOX_ESCAPE")

    def start_escape(*, before: tuple[str, ...] = (), folder: Path | None = None, **changes: object) -> Escape:
        place = tmp_path / "configuration"
        place.mkdir(exist_ok=True)
        file = place / "config.yaml"
        settings = {"sandbox_ports": "configured", "listen_addr": f"127.0.0.1:{free_port()}"} | changes
        write_configuration(file, configuration, {"a": f"http://127.0.0.1:{route}"}, **settings)
        started.append(Escape(*before, str(tool), str(file), *([str(folder)] if folder else [])))
        return started[-1]

    yield start_escape
    for process in started:
        if process.process.poll() is None:
            process.end()


@with_landlock
def test_files_outside_of_what_it_needs_cannot_be_reached(escape, tmp_path: Path) -> None:
    secret, folder = tmp_path / "secret", tmp_path / "other"
    secret.write_text("s")
    folder.mkdir()
    beside = tmp_path / "configuration/more"
    attempts = {
        f"read {secret}": "EACCES", f"list {tmp_path}": "EACCES", f"list {folder}": "EACCES",
        f"write {secret}": "EACCES", f"write {folder}/new": "EACCES", f"write {beside}": "EACCES",
        f"remove {secret}": "EACCES", f"rename {secret} {folder}/moved": "EACCES", f"folder {folder}/x": "EACCES",
        f"link {folder}/x": "EACCES", "read /root/.bashrc": "EACCES", "list /": "EACCES", "list /home": "EACCES",
        f"read /proc/{os.getpid()}/environ": "EACCES", "read /proc/self/root/var/lib/dpkg/status": "EACCES",
        "write /proc/self/mem": "EACCES", "read /var/lib/dpkg/status": "EACCES", "write /dev/null": "EACCES",
    }
    if ABI >= 3:
        attempts[f"truncate {secret}"] = "EACCES"
    confined, free = escape(), escape(sandbox="off")
    assert {line: confined.ask(line) for line in attempts} == attempts
    # All of it is possible without, so that it was the sandbox.
    for line in (
        f"read {secret}", f"list {tmp_path}", f"write {folder}/new", "list /", f"read /proc/{os.getpid()}/environ",
    ):
        assert free.ask(line) == "ok", line


@with_landlock
def test_what_it_needs_is_readable(escape, certificates, tmp_path: Path) -> None:
    confined = escape()
    for path in (
        tmp_path / "configuration/config.yaml", certificates.certificate, certificates.key, "/etc/resolv.conf",
        "/etc/hosts", "/etc/nsswitch.conf", "/proc/self/stat",
    ):
        if Path(path).exists():
            assert confined.ask(f"read {path}") == "ok", path
    assert confined.ask("facts x") == "true"
    assert confined.ask("resolve localhost") == "ok"
    assert confined.ask("thread x") == "ok"


@with_landlock
def test_a_certificate_is_read_after_its_folder_was_swapped(escape, certificates, tmp_path: Path) -> None:
    """As Kubernetes does it, with one link for all files."""
    volume = tmp_path / "volume"

    def put(name: str) -> None:
        (volume / name).mkdir(parents=True)
        (volume / name / "tls.crt").write_bytes(Path(certificates.certificate).read_bytes())
        (volume / ".new").symlink_to(name)
        (volume / ".new").rename(volume / "..data")

    put("..1")
    (volume / "tls.crt").symlink_to("..data/tls.crt")
    confined = escape(tls={"cert_file": str(volume / "tls.crt")})
    assert confined.ask(f"read {volume}/tls.crt") == "ok"
    put("..2")
    assert confined.ask(f"read {volume}/tls.crt") == "ok"
    assert (volume / "tls.crt").resolve().parent.name == "..2"


@with_ports
def test_other_ports_are_closed(escape, route: int, server: int) -> None:
    confined, free = escape(), escape(sandbox="off")
    assert confined.ask(f"connect {route}") == "ok"
    assert confined.ask(f"connect {server}") == "EACCES"
    assert confined.ask(f"bind {free_port()}") == "EACCES"
    # Landlock does not see these.
    for way in ("sendto", "sendmsg", "sendmmsg"):
        assert confined.ask(f"{way} {server}") == "EPERM", way
        assert free.ask(f"{way} {server}") in ("ok", "EOPNOTSUPP"), way
    assert confined.ask(f"mptcp {server}") == "EPROTONOSUPPORT"
    assert confined.ask(f"sctp {server}") == "EPROTONOSUPPORT"
    assert free.ask(f"connect {server}") == "ok"


def test_any_port_stays_open_where_that_is_said(escape, server: int) -> None:
    assert escape(sandbox_ports="any").ask(f"connect {server}") == "ok"


def test_nothing_can_be_started(escape) -> None:
    confined, free = escape(), escape(sandbox="off")
    for line in ("exec /bin/true", "spawn /bin/true", "fork x", "namespace x", "dumpable x"):
        assert confined.ask(line) == "EPERM", line
    assert confined.ask("clone3 x") == "ENOSYS"
    assert confined.ask("privileges x") == "1"
    assert [free.ask(line) for line in ("fork x", "spawn /bin/true", "privileges x")] == ["ok", "ok", "0"]


def test_calls_that_are_never_made_fail(escape) -> None:
    confined = escape()
    known = re.findall(r'DeniedCall\("(\w+)", (\d+|nil)(?:, (\d+|nil))?\)',
                       (REPOSITORY / "Sources/TunnelIO/Sandbox/DeniedCalls.swift").read_text())
    index = 1 if os.uname().machine == "x86_64" else 2
    names = [found[0] for found in known if (found[index] or found[1]) != "nil"]
    assert len(names) > 50
    outcomes = confined.lines("calls", len(names))
    assert outcomes == [f"calls {name}: EPERM" for name in names]


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="x86-64 has other ABIs")
@pytest.mark.parametrize("abi", ["32-bit", "x32"])
def test_a_call_by_another_abi_ends_the_process(escape, abi: str) -> None:
    confined = escape()
    assert confined.ask(f"{abi} x") == ""
    assert confined.process.wait(10) == -signal.SIGSYS


@with_scopes
def test_other_processes_are_out_of_reach(escape, tmp_path: Path) -> None:
    confined, free = escape(), escape(sandbox="off")
    with socket.socket(socket.AF_UNIX) as listener:
        name = f"mcp-escape-{os.getpid()}"
        listener.bind(b"\0" + name.encode())
        listener.listen()
        assert (confined.ask(f"abstract {name}"), free.ask(f"abstract {name}")) == ("EPERM", "ok")
    signals = f"signal {os.getpid()}"
    assert (confined.ask(signals), free.ask(signals)) == ("EPERM", "ok")


def test_a_terminal_is_not_typed_into(escape) -> None:
    # Without the filter it is ENOTTY for a pipe: the request was understood.
    confined, free = escape(), escape(sandbox="off")
    assert (confined.ask("type x"), free.ask("type x")) == ("EPERM", "ENOTTY")


@with_landlock
def test_setup_writes_in_its_folder_alone(escape, tmp_path: Path) -> None:
    place, other = tmp_path / "place", tmp_path / "other"
    place.mkdir()
    other.mkdir()
    confined = escape(folder=place)
    for line in (
        f"write {place}/a", f"rename {place}/a {place}/b", f"folder {place}/c", f"read {place}/b", f"list {place}",
        f"remove {place}/b",
    ):
        assert confined.ask(line) == "ok", line
    assert confined.ask(f"write {other}/a") == "EACCES"
    assert confined.ask(f"link {place}/shadow") == "EACCES"


# MARK: Kernels without it


def without(error: int, numbers: list[int]) -> list[str]:
    return [sys.executable, WITHOUT, str(error), ",".join(map(str, numbers))]


@pytest.mark.parametrize(
    ("error", "words"),
    [(errno.ENOSYS, "the kernel has no Landlock"),
     (errno.EOPNOTSUPP, "Landlock is not among the security modules that the kernel was started with"),
     (errno.EPERM, "Landlock: operation not permitted")],
    ids=["not built", "not started", "denied"])
def test_without_landlock_it_takes_what_there_is(start, error: int, words: str) -> None:
    proxy = start(
        {"a": "http://127.0.0.1:1"}, before=without(error, LANDLOCK), admin_addr=f"127.0.0.1:{free_port()}")
    line, = proxy.found("^.*sandbox mode=")
    assert line.fields["landlock"] == "0" and line.fields["calls"] == "filtered"
    assert words in line.fields["missing"]
    assert re.search(r"^Seccomp:\s+2", Path(f"/proc/{proxy.process.pid}/status").read_text(), re.MULTILINE)


def run(binary: Path, file: Path, before: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*before, str(binary), "-config", str(file)], capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize("missing", ["landlock", "seccomp"])
def test_required_does_not_start_without(binary: Path, configuration: dict, tmp_path: Path, missing: str) -> None:
    file = tmp_path / "config.yaml"
    write_configuration(file, configuration, {"a": "http://127.0.0.1:1"}, sandbox="required")
    numbers = LANDLOCK if missing == "landlock" else [SECCOMP]
    ended = run(binary, file, without(errno.ENOSYS, numbers))
    assert ended.returncode == 1
    assert ended.stderr.startswith("mcp-proxy: sandbox: required, but ") and "sandbox: best-effort" in ended.stderr
    assert "listening" not in ended.stderr
    checked = subprocess.run(
        [*without(errno.ENOSYS, numbers), str(binary), "check", "-config", str(file)], capture_output=True, text=True,
        check=False, timeout=60)
    assert "sandbox-missing" in checked.stdout


@with_ports
def test_required_starts_with_it_and_says_what_is_in_force(start) -> None:
    port = free_port()
    proxy = start({"a": "http://127.0.0.1:1"}, sandbox="required", sandbox_ports="configured",
                  listen_addr=f"127.0.0.1:{port}")
    line, = proxy.found("^.*sandbox mode=")
    assert line.fields == {
        "mode": "required", "landlock": str(ABI), "calls": "filtered", "listens_on": f"port {port}",
        "connects_to": "ports 1, 53"}


# MARK: Reload


@with_ports
def test_a_reload_that_needs_a_closed_port_is_refused(start, binary: Path, configuration: dict, route: int,
                                                      server: int) -> None:
    proxy = start(
        {"a": f"http://127.0.0.1:{route}"}, listen_addr=f"127.0.0.1:{free_port()}", sandbox_ports="configured")
    text = proxy.config_file.read_text()

    def reload(content: str) -> subprocess.CompletedProcess[str]:
        proxy.config_file.write_text(content)
        return subprocess.run(
            [binary, "reload", "-config", proxy.config_file], capture_output=True, text=True, check=False, timeout=30)

    refused = reload(text.replace(f":{route}", f":{server}"))
    assert refused.returncode == 1
    assert f"the sandbox lets the proxy connect to ports 53, {route} and not to port {server}" in (
        refused.stderr.replace(f"ports {route}, 53", f"ports 53, {route}"))
    # File, place, field and remedy.
    assert f"{proxy.config_file}:" in refused.stderr and ": routes.a: the sandbox lets" in refused.stderr
    assert "(restart the proxy, or mcp-proxy upgrade; with sandbox_ports: any at its start" in refused.stderr
    moved = proxy.config_file.parent.parent / f"elsewhere-{os.getpid()}"
    moved.mkdir()
    try:
        certificate = configuration["tls"]["cert_file"]
        (moved / "tls.crt").write_bytes(Path(certificate).read_bytes())
        refused = reload(text.replace(certificate, str(moved / "tls.crt")))
        assert refused.returncode == 1 and "lies where the sandbox lets the proxy read nothing" in refused.stderr
    finally:
        (moved / "tls.crt").unlink()
        moved.rmdir()
    assert reload(text.replace("http://127.0.0.1", "http://localhost")).returncode == 0
