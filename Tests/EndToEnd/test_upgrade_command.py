"""`mcp-proxy upgrade` lets a new process take the place of a running one, and nobody notices."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from peers.http_client import Incomplete
from peers.proxy import Proxy
from peers.upstream import Connection, Upstream, echo
from test_shutdown import Gate, begin


class Upgrades:
    """The processes that take each other's place, the first of them a test's."""

    def __init__(self, binary: Path, proxy: Proxy) -> None:
        self.binary, self.proxy = binary, proxy
        self.process: int | None = proxy.process.pid
        # Each process counts its own connections.
        proxy.check_requests = False

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        command = [self.binary, "upgrade", "-config", self.proxy.config_file, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def upgrade(self) -> int:
        """The new process's number."""
        done = self.run()
        assert done.returncode == 0, done.stderr
        match = re.fullmatch(rf"{self.proxy.config_file}: process (\d+) serves, process (\d+) drains\n", done.stdout)
        assert match and int(match[2]) == self.process, done.stdout
        self.process = int(match[1])
        return self.process

    def end(self) -> None:
        """Ends the last of them, and waits for the end of the log."""
        if self.process is None:
            return
        os.kill(self.process, signal.SIGTERM)
        # It is nobody's child here. Its standard error is the last that holds the pipe, so the log ends with it.
        with self.proxy._changed:
            assert self.proxy._changed.wait_for(lambda: self.proxy._ended, 20)
        self.process = None


@pytest.fixture
def upgrades(binary: Path) -> Iterator:
    made: list[Upgrades] = []

    def begin(proxy: Proxy) -> Upgrades:
        made.append(Upgrades(binary, proxy))
        return made[-1]

    yield begin
    for one in made:
        if one.process == one.proxy.process.pid:
            continue
        one.end()
        assert len(one.proxy.found("request started")) == len(one.proxy.found("request finished"))


async def handler(connection: Connection) -> None:
    """`/events` is a stream that lasts for a while; everything else is answered at once."""
    while head := await connection.head():
        await connection.body(head)
        if head.target != "/events":
            await connection.respond(body=b"here")
            continue
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(10):
            await connection.send(b"c\r\ndata: tick\n\n\r\n")
            await asyncio.sleep(0.01)
        await connection.send(b"0\r\n\r\n")


class Load:
    """Short requests without a pause, and event streams, until it is told to end. A failure of any of them is raised."""

    def __init__(self, proxy: Proxy) -> None:
        self.far = proxy.far
        self.requests = self.again = self.streams = 0
        self.is_ending = False

    async def fresh(self) -> None:
        """A connection for each request."""
        while not self.is_ending:
            async with self.far.http("echo") as http:
                assert (await http.get()).body == b"here"
            self.requests += 1

    async def kept(self) -> None:
        """As many requests on a connection as it takes."""
        while not self.is_ending:
            async with self.far.http("echo") as http:
                count = 0
                while not self.is_ending:
                    try:
                        response = await http.get()
                    except (OSError, EOFError, Incomplete) as end:
                        # RFC 9112 9.3.1: a connection may end between two requests, and the second goes to another then.
                        assert count > 0 and (isinstance(end, OSError) or "inside a line" in str(end))
                        self.again += 1
                        break
                    assert response.body == b"here"
                    self.requests += 1
                    count += 1
                    if response.get("connection") == "close":
                        break

    async def events(self) -> None:
        while not self.is_ending:
            async with self.far.http("echo") as http:
                assert (await http.get("/events")).body == b"data: tick\n\n" * 10
            self.streams += 1


async def was_told_once(process: int) -> bool:
    """Whether no second SIGTERM or SIGINT has come. The thread that waits for it ends with it: so if none is pending, and that
    thread sleeps afterwards, there was none."""
    stops = 1 << signal.SIGTERM - 1 | 1 << signal.SIGINT - 1
    while True:
        pending = re.search(r"(?m)^ShdPnd:\s*(\w+)$", Path(f"/proc/{process}/status").read_text())
        states = []
        for task in Path(f"/proc/{process}/task").iterdir():
            name, rest = (task / "stat").read_text().split("(", 1)[1].rsplit(") ", 1)
            if name == "signals":
                states.append(rest[0])
        if not states or states == ["S"]:
            return bool(states) and not int(pending[1], 16) & stops
        await asyncio.sleep(0.001)


async def test_one_that_is_stopping_already_cuts_nothing(start, upgrades, binary: Path) -> None:
    gate = Gate()
    async with Upstream(gate) as upstream:
        proxy = start({"echo": upstream}, shutdown_delay="60s", shutdown_timeout="60s")
        processes = upgrades(proxy)
        http, body = await begin(proxy)
        mark = proxy.mark()
        await asyncio.to_thread(subprocess.run, [binary, "stop", "-config", proxy.config_file], check=True, timeout=30)
        await proxy.logged("about to end", since=mark)
        text = proxy.config_file.read_text()
        proxy.config_file.write_text(re.sub("(?m)^shutdown_delay: .*$", "shutdown_delay: 0s", text))
        await asyncio.to_thread(processes.upgrade)
        assert await was_told_once(proxy.process.pid)
        # Now that another one serves, there is no reason for the delay.
        await proxy.logged("shutting down requests=1", since=mark)
        gate.open.set()
        assert b"".join([part async for part in body]) == b"last"
        http.stream.abort()
        assert await proxy.exit_status() == 0


class HeldUpgrade:
    """One whose new process has the sockets and does not serve yet: it waits for its configuration."""

    def __init__(self, processes: Upgrades) -> None:
        self.processes, self.file = processes, processes.proxy.config_file
        self.text = self.file.read_text()
        self.file.unlink()
        os.mkfifo(self.file)

    async def __aenter__(self) -> HeldUpgrade:
        self.command = asyncio.create_task(asyncio.to_thread(self.processes.run))
        # This waits for a reader, which is the new process.
        self.pipe = await asyncio.to_thread(self.file.open, "w")
        return self

    async def go_on(self, more: str = "") -> subprocess.CompletedProcess:
        with self.pipe:
            self.pipe.write(self.text + more)
        done = await self.command
        if match := re.search(r": process (\d+) serves", done.stdout):
            self.processes.process = int(match[1])
        return done

    async def __aexit__(self, *error: object) -> None:
        self.pipe.close()
        await self.command


@pytest.mark.parametrize("is_underway", [False, True])
async def test_the_old_one_is_ended_in_the_midst(start, upgrades, tmp_path: Path, is_underway: bool) -> None:
    """What waits at the sockets, and the files of Unix sockets, are the new one's all the same."""
    path, admin = tmp_path / "s", tmp_path / "a"
    gate = Gate()
    async with Upstream(gate) as upstream:
        proxy = start({"echo": upstream}, listen_addr=f"unix:{path}", admin_addr=f"unix:{admin}")
        processes = upgrades(proxy)
        inodes = path.stat().st_ino, admin.stat().st_ino
        streams = [await begin(proxy)] if is_underway else []
        async with HeldUpgrade(processes) as held:
            proxy.process.send_signal(signal.SIGTERM)
            await proxy.logged("shutting down")
            if not is_underway:
                assert await proxy.exit_status() == 0
            # Accepted by nobody yet.
            waiting = asyncio.create_task(begin(proxy))
            done = await held.go_on()
        assert done.returncode == 0 and not done.stderr
        end = "drains" if is_underway else "has ended"
        assert done.stdout == f"{held.file}: process {processes.process} serves, process {proxy.process.pid} {end}\n"
        streams.append(await waiting)
        gate.open.set()
        for http, body in streams:
            assert b"".join([part async for part in body]) == b"last"
            http.stream.abort()
        assert await proxy.exit_status() == 0
        assert (path.stat().st_ino, admin.stat().st_ino) == inodes
        await asyncio.to_thread(processes.end)
        assert not path.exists() and not admin.exists()


async def test_one_that_nobody_waits_for_ends(start, upgrades) -> None:
    """The command was ended by the operator, and so nobody would tell the old process to leave."""
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        text = proxy.config_file.read_text()
        proxy.config_file.unlink()
        os.mkfifo(proxy.config_file)
        command = subprocess.Popen([upgrades(proxy).binary, "upgrade", "-config", proxy.config_file])
        with await asyncio.to_thread(proxy.config_file.open, "w") as pipe:
            # Not SIGINT, which a shell makes its jobs in the background ignore.
            command.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(command.wait, 20) == -signal.SIGTERM
            pipe.write(text)
        await proxy.logged('listening .*from="the process before"')
        await proxy.logged("stopped clean=true")
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 200


async def test_one_that_does_not_come_up_in_time_for_the_end(start, upgrades, tmp_path: Path) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, listen_addr=f"unix:{tmp_path / 's'}")
        async with HeldUpgrade(upgrades(proxy)) as held:
            proxy.process.send_signal(signal.SIGTERM)
            assert await proxy.exit_status() == 0
            done = await held.go_on("nonsense: 1\n")
        assert done.returncode == 1 and f"process {proxy.process.pid} has ended: the new one ended" in done.stderr


async def test_twenty_upgrades_under_load_lose_nothing(start, upgrades) -> None:
    async with Upstream(handler) as upstream:
        proxy = start({"echo": upstream}, threads=2, shutdown_timeout="10s")
        processes = upgrades(proxy)
        load = Load(proxy)
        async with asyncio.TaskGroup() as group:
            for work in (load.fresh, load.kept, *[load.events] * 4):
                group.create_task(work())
            seen = 0
            for _ in range(20):
                await asyncio.to_thread(processes.upgrade)
                # Some of each kind on the new process, before it is the old one.
                while load.requests < seen + 10:
                    await asyncio.sleep(0.005)
                seen = load.requests
            load.is_ending = True
        assert load.requests >= 200 and load.streams >= 20
        await asyncio.to_thread(processes.end)
        assert len(proxy.found('listening .*from="the process before"')) == 20
        assert len(proxy.found("stopped clean=true")) == 21


async def test_one_that_does_not_come_up_changes_nothing(start, upgrades) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        processes = upgrades(proxy)
        good = proxy.config_file.read_text()
        proxy.config_file.write_text(good + "nonsense: 1\n")
        done = await asyncio.to_thread(processes.run)
        assert done.returncode == 1
        assert f"process {proxy.process.pid} goes on: the new one ended with status 1 before it served" in done.stderr
        assert proxy.found("nonsense: unknown key")
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 200
        # And a better one takes its place.
        proxy.config_file.write_text(good)
        await asyncio.to_thread(processes.upgrade)
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 200


async def test_one_that_takes_too_long_is_ended(start, upgrades) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        processes = upgrades(proxy)
        # Opening it waits for a writer that never comes.
        proxy.config_file.unlink()
        os.mkfifo(proxy.config_file)
        done = await asyncio.to_thread(processes.run, "-timeout", "1")
        assert done.returncode == 1 and "the new one did not serve within 1 s" in done.stderr
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 200


@pytest.mark.parametrize("threads", [(1, 3), (3, 1), (2, 5)])
async def test_the_number_of_loops_may_change(start, upgrades, threads: tuple[int, int]) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, threads=threads[0])
        processes = upgrades(proxy)
        text = proxy.config_file.read_text()
        for number in (threads[1], threads[0]):
            proxy.config_file.write_text(re.sub(r"(?m)^threads: \d+$", f"threads: {number}", text))
            await asyncio.to_thread(processes.upgrade)
            await proxy.logged(f"listening .*loops={number} from")
            # The kernel spreads connections over the sockets that share the port, and each is served.
            for _ in range(12):
                async with proxy.far.http("echo") as http:
                    assert (await http.get()).status == 200


async def test_a_unix_socket_keeps_its_file(start, upgrades, tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, listen_addr=f"unix:{path}")
        processes = upgrades(proxy)
        inode = path.stat().st_ino
        for _ in range(2):
            await asyncio.to_thread(processes.upgrade)
            await proxy.logged("stopped clean=true")
            assert path.stat().st_ino == inode
            async with proxy.far.http("echo") as http:
                assert (await http.get()).status == 200
        await asyncio.to_thread(processes.end)
        assert not path.exists()


async def test_a_failed_upgrade_leaves_the_socket_file_alone(start, upgrades, tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, listen_addr=f"unix:{path}")
        processes = upgrades(proxy)
        proxy.config_file.write_text(proxy.config_file.read_text() + "nonsense: 1\n")
        assert (await asyncio.to_thread(processes.run)).returncode == 1
        assert path.exists()
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 200
        # It is this one's still.
        proxy.process.send_signal(signal.SIGTERM)
        assert await proxy.exit_status() == 0
        assert not path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root reaches other users' proxies")
async def test_another_users_proxy_is_not_taken_over(start, upgrades) -> None:
    """It would say how the new process is to be called, and that one would be root's."""
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        # Where that user can run it: the clone may lie in a home that nobody else can read.
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            program = shutil.copy(upgrades(proxy).binary, folder)
            done = await asyncio.to_thread(
                subprocess.run, [program, "upgrade", "-config", proxy.config_file], capture_output=True, text=True,
                user=12345, group=12345, extra_groups=[], cwd="/", timeout=60)
        assert done.returncode == 1 and "is that of user 0" in done.stderr


async def test_the_admin_listener_goes_along(start, upgrades) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, admin_addr="127.0.0.1:0")
        processes = upgrades(proxy)
        address = (await proxy.logged("admin listening")).fields["addr"]
        text = proxy.config_file.read_text()
        proxy.config_file.write_text(re.sub("(?m)^admin_addr: .*$", f"admin_addr: {address}", text))
        await asyncio.to_thread(processes.upgrade)
        await proxy.logged("admin listening", count=2)
        host, port = address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()


async def test_what_a_manager_started_is_left_to_it(start, upgrades) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, before=["env", "NOTIFY_SOCKET=@nobody-listens-here"])
        done = await asyncio.to_thread(upgrades(proxy).run)
        assert done.returncode == 1
        assert "does not hand its listeners on" in done.stderr and "restarted by that manager" in done.stderr
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 200


@pytest.mark.parametrize("value", ["0", "3601", "x"])
def test_a_bad_timeout_is_named(binary: Path, value: str) -> None:
    done = subprocess.run([binary, "upgrade", "-timeout", value], capture_output=True, text=True)
    assert done.returncode == 2 and f'-timeout: invalid value "{value}"' in done.stderr
