"""What the proxy tells a service manager, byte for byte, and what it does with sockets that were passed to it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import REPOSITORY, Certificates, write_configuration
from peers.endpoint import Endpoint, free_port
from peers.far_side import FarSide
from peers.http_client import HTTPConnection
from peers.proxy import Proxy
from peers.service_manager import NotifySocket, passing
from peers.threads import stopped_thread
from peers.upstream import Connection, Upstream, echo

NOWHERE = {"echo": "http://10.0.0.1:1"}
STATUS = re.compile(rb"STATUS=(\w+): tunnels (\d+), requests under way (\d+); certificate ends \d{4}-[0-9T:.-]+Z")


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NotifySocket]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@mcp-proxy-test-{os.getpid()}"
    notify = NotifySocket(name)
    yield notify
    notify.close()


def told_to(manager: NotifySocket, **variables: object) -> list[str]:
    """A command in front of the proxy's, as a manager's environment."""
    return ["env", f"NOTIFY_SOCKET={manager.name}", *(f"{name}={value}" for name, value in variables.items())]


def reload(proxy: Proxy, binary: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [binary, "reload", "-config", proxy.config_file], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=30, check=False,
    )  # fmt: skip


def check_reload(manager: NotifySocket) -> None:
    """RELOADING=1 with the time by the monotonic clock, and then READY=1."""
    message = manager.receive()
    found = re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=(\d+)", message)
    assert found, message
    assert 0 <= time.clock_gettime(time.CLOCK_MONOTONIC) - int(found[1]) / 1e6 < 5
    assert manager.receive() == b"READY=1"


# Messages.


async def test_start_reload_and_stop_are_told(start, manager: NotifySocket, binary: Path) -> None:
    proxy = start(NOWHERE, before=told_to(manager))
    ready, status = manager.receive().split(b"\n")
    assert ready == b"READY=1" and STATUS.fullmatch(status)[1] == b"serving"
    proxy.signal(signal.SIGHUP)
    check_reload(manager)
    assert reload(proxy, binary).returncode == 0
    check_reload(manager)
    # A reload that is refused is one that has ended too.
    good = proxy.config_file.read_text()
    proxy.config_file.write_text("routes: []")
    assert reload(proxy, binary).returncode == 1
    check_reload(manager)
    proxy.config_file.write_text(good)
    proxy.signal()
    stopping, status = manager.receive().split(b"\n")
    assert stopping == b"STOPPING=1"
    assert status.startswith(b"STATUS=draining: ") and status.endswith(b"; the last reload was refused, see the log")
    assert await proxy.exit_status() == 0
    assert manager.drain() == []


async def test_ready_is_told_when_connections_are_taken(start, manager: NotifySocket) -> None:
    port = free_port()
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, before=told_to(manager), listen_addr=f"127.0.0.1:{port}")
        assert manager.receive().startswith(b"READY=1\n")
        async with proxy.far.http() as http:
            assert (await http.get()).status == 200


def test_a_start_that_fails_is_not_told(manager: NotifySocket, binary: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("routes: []")
    done = subprocess.run(
        [*told_to(manager), binary, "-config", tmp_path / "config.yaml"], capture_output=True, timeout=30, check=False)
    assert done.returncode == 1 and manager.drain() == []


async def test_the_status_has_the_figures_of_now(start, manager: NotifySocket) -> None:
    async def slow(connection: Connection) -> None:
        while await connection.head():
            await gate.wait()
            await connection.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    gate = asyncio.Event()
    async with Upstream(slow) as upstream:
        # With every sign of the loops comes the status, where it is another one.
        proxy = start({"echo": upstream}, before=told_to(manager, WATCHDOG_USEC=200_000))
        await asyncio.to_thread(manager.wait_for, b"READY=1")
        http = HTTPConnection(await proxy.far.open(), "echo.t.example")
        await http.send_head("GET")
        while True:
            found = STATUS.search(await asyncio.to_thread(manager.receive))
            if found and found.groups() == (b"serving", b"1", b"1"):
                break
        gate.set()
        assert (await http.final_head()).status == 204
        while True:
            found = STATUS.search(await asyncio.to_thread(manager.receive))
            if found and found[3] == b"0":
                break
        http.stream.abort()


async def test_without_a_manager_nothing_is_said(start) -> None:
    proxy = start(NOWHERE, before=["env", "NOTIFY_SOCKET=", "WATCHDOG_USEC=1000"])
    names = {(task / "comm").read_text() for task in Path(f"/proc/{proxy.process.pid}/task").iterdir()}
    assert "service-watch\n" not in names
    assert not proxy.found("service manager")


async def test_a_manager_that_is_not_there_is_told_of_once(start, tmp_path: Path, binary: Path) -> None:
    proxy = start(NOWHERE, before=["env", f"NOTIFY_SOCKET={tmp_path}/nobody"])
    line = await proxy.logged("service manager is not told")
    assert line.fields["error"] == "NOTIFY_SOCKET: sendto: no such file or directory"
    for _ in range(2):
        assert reload(proxy, binary).returncode == 0
    assert len(proxy.found("service manager is not told")) == 1


# The watchdog.


async def test_the_watchdog_hears_of_the_loops(start, manager: NotifySocket) -> None:
    ours = ["sh", "-c", 'export WATCHDOG_PID=$$; exec "$@"', "sh"]
    start(NOWHERE, before=[*told_to(manager, WATCHDOG_USEC=200_000), *ours])
    for _ in range(3):
        # Half of the time that is given.
        manager.wait_for(b"WATCHDOG=1", 5)


async def test_the_watchdog_of_another_process_is_not_ours(start, manager: NotifySocket) -> None:
    start(NOWHERE, before=told_to(manager, WATCHDOG_USEC=20_000, WATCHDOG_PID=1))
    manager.wait_for(b"READY=1")
    assert manager.is_silent(1)


@pytest.mark.skipif(os.geteuid() != 0, reason="a thread of a process that forbids debuggers is stopped by root alone")
@pytest.mark.parametrize("loop", ["loop-0", "loop-1"])
def test_a_loop_that_hangs_stops_the_watchdog(start, manager: NotifySocket, loop: str) -> None:
    proxy = start(NOWHERE, before=told_to(manager, WATCHDOG_USEC=100_000))
    manager.wait_for(b"WATCHDOG=1")
    with stopped_thread(proxy.process.pid, loop):
        manager.drain()
        # One may have been on its way.
        manager.is_silent(0.5)
        assert manager.is_silent(1)
    # It goes on, and so do the signs.
    manager.wait_for(b"WATCHDOG=1")


# Passed sockets.


@pytest.fixture
def held() -> Iterator[socket.socket]:
    """A socket that listens, and goes on doing so whatever becomes of those it is passed to."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        yield listener


def given(listener: socket.socket, **options: str) -> dict:
    """How a proxy is started that gets it."""
    return {"before": passing(listener, **options), "pass_fds": (listener.fileno(),)}


def address_of(listener: socket.socket) -> str:
    return f"127.0.0.1:{listener.getsockname()[1]}"


async def test_a_passed_socket_is_served_by_all_loops(start, held: socket.socket) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, listen_addr=address_of(held), **given(held, names="proxy"))
        assert proxy.found("listening")[0].fields["from"] == "the service manager"
        for _ in range(20):
            async with proxy.far.http() as http:
                assert (await http.get()).status == 200
        # Neither inherited by anybody nor blocking.
        descriptor = Path(f"/proc/{proxy.process.pid}/fdinfo/3").read_text()
        flags = int(re.search(r"flags:\s+(\d+)", descriptor)[1], 8)
        assert flags & os.O_CLOEXEC and flags & os.O_NONBLOCK


async def test_a_passed_unix_socket_keeps_its_file(start, tmp_path: Path) -> None:
    path = tmp_path / "held.sock"
    with socket.socket(socket.AF_UNIX) as held:
        held.bind(str(path))
        held.listen(16)
        async with Upstream(echo) as upstream:
            proxy = start({"echo": upstream}, listen_addr=f"unix:{path}", **given(held))
            async with proxy.far.http() as http:
                assert (await http.get()).status == 200
            proxy.stop()
        assert path.is_socket()


def refusal(binary: Path, file: Path, passed: socket.socket, name: str = "proxy") -> str:
    done = subprocess.run(
        [*passing(passed, names=name), binary, "-config", file], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=30, pass_fds=(passed.fileno(),), check=False,
    )  # fmt: skip
    assert done.returncode == 1
    return done.stderr


def test_what_cannot_be_the_listener_is_refused(
    binary: Path, configuration: dict, tmp_path: Path, held: socket.socket
) -> None:
    file = tmp_path / "config.yaml"
    write_configuration(file, {**configuration, "listen_addr": address_of(held)}, NOWHERE)
    remedy = "(pass a listening TCP or Unix stream socket, ListenStream= of a socket unit)"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        words = refusal(binary, file, datagram)
        assert "LISTEN_FDS: descriptor 3, proxy: " in words and f"it is no stream socket {remedy}" in words
    with socket.socket() as silent:
        assert f"it does not listen {remedy}" in refusal(binary, file, silent)
    assert "descriptor 3 is named web (write FileDescriptorName=" in refusal(binary, file, held, "web")
    with socket.create_server(("127.0.0.1", 0)) as other:
        words = refusal(binary, file, other)
        wanted, found = address_of(held), address_of(other)
        assert f"listen_addr: {wanted}, but the socket that was passed listens at {found} (" in words


async def test_both_listeners_can_be_passed(start, held: socket.socket) -> None:
    with socket.create_server(("127.0.0.1", 0)) as admin:
        proxy = start(
            NOWHERE, listen_addr=address_of(held), admin_addr=address_of(admin),
            before=passing(admin, held, names="admin:proxy"), pass_fds=(held.fileno(), admin.fileno()))
        await proxy.logged("ready$")
        reader, writer = await asyncio.open_connection(*admin.getsockname())
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()


def test_an_admin_socket_needs_an_admin_listener(
    binary: Path, configuration: dict, tmp_path: Path, held: socket.socket
) -> None:
    file = tmp_path / "config.yaml"
    write_configuration(file, configuration, NOWHERE)
    assert "admin_addr: not set, but the socket that was passed listens at" in refusal(binary, file, held, "admin")


async def test_sockets_for_another_process_are_not_taken(start, held: socket.socket) -> None:
    port = free_port()
    proxy = start(NOWHERE, listen_addr=f"127.0.0.1:{port}", **given(held, names="proxy", process="1"))
    assert proxy.endpoint.port == port


@pytest.fixture(scope="module")
def systemd() -> None:
    """Debian's package, with systemd-socket-activate in it."""
    subprocess.run([REPOSITORY / "Tests/Support/need", "systemd"], check=True)


@pytest.mark.usefixtures("systemd")
async def test_systemd_socket_activate_starts_the_proxy(
    binary: Path, configuration: dict, certificates: Certificates, tmp_path: Path
) -> None:
    """systemd's own program for trying it: it listens, and starts the proxy when somebody connects."""
    activate = shutil.which("systemd-socket-activate")
    assert activate
    port = free_port()
    async with Upstream(echo) as upstream:
        file = tmp_path / "config.yaml"
        write_configuration(file, {**configuration, "listen_addr": f"127.0.0.1:{port}"}, {"echo": upstream})
        command = [activate, f"--listen=127.0.0.1:{port}", "--fdname=proxy", binary, "-config", file]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stderr and "Listening on" in process.stderr.readline()
                far = FarSide(Endpoint("127.0.0.1", port), "t.example", certificates.ca_file)
                async with far.http() as http:
                    assert (await http.get()).status == 200
            finally:
                process.terminate()
                log = process.stderr.read()
            assert process.wait(20) == 0 and 'from="the service manager"' in log, log


class Callers:
    """Clients that connect one after another, without a pause, until they are told to end."""

    def __init__(self, far: FarSide, count: int) -> None:
        self.far = far
        self.served, self.turned_away, self.refused = 0, 0, 0
        self._is_over = False
        self.tasks = [asyncio.create_task(self._call()) for _ in range(count)]

    async def _call(self) -> None:
        while not self._is_over:
            try:
                plain = self.far.endpoint.socket()
            except ConnectionRefusedError:
                self.refused += 1
                continue
            plain.close()
            try:
                async with self.far.http() as http:
                    assert (await http.get()).status == 200
                    self.served += 1
            except ConnectionRefusedError:
                self.refused += 1
            # Whoever is in the midst of its handshake when the proxy stops is told so, as without a passed socket.
            except Exception:
                self.turned_away += 1

    async def served_more(self, count: int) -> None:
        wanted = self.served + count
        while self.served < wanted:
            await asyncio.sleep(0.01)

    async def end(self) -> None:
        self._is_over = True
        await asyncio.gather(*self.tasks)


@pytest.mark.deadline(90)
async def test_a_restart_refuses_no_connection(start, held: socket.socket) -> None:
    async with Upstream(echo) as upstream:
        def begin() -> Proxy:
            return start({"echo": upstream}, listen_addr=address_of(held), **given(held, names="proxy"))

        proxy = await asyncio.to_thread(begin)
        callers = Callers(proxy.far, 6)
        for _ in range(3):
            await callers.served_more(20)
            proxy.signal()
            assert await proxy.exit_status() == 0
            # Nobody serves now: who connects waits.
            proxy = await asyncio.to_thread(begin)
        await callers.served_more(20)
        await callers.end()
        assert callers.refused == 0 and callers.served >= 80
        # At each restart no more than each of them once.
        assert callers.turned_away <= 3 * 6
