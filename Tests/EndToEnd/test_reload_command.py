"""`mcp-proxy reload` finds the running proxy and tells what came of it; `config_watch` takes new content by itself.

Each test has a network namespace of its own where it can, as proxies are looked for in the whole of one.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Certificates, write_configuration
from peers.proxy import Proxy

UPSTREAM = "http://10.0.0.1:9"
STRANGER = 12345

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and other users need root")


class Place:
    """A network namespace with proxies in it."""

    def __init__(self, binary: Path, name: str, folder: Path, configuration: dict) -> None:
        self.binary, self.name, self.folder = binary, name, folder
        self.configuration = {**configuration, "listen_addr": "127.0.0.1:0"}
        self.proxies: list[Proxy] = []

    def inside(self, *command: object) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.name}", "--", *map(str, command)]

    def write(self, number: int = 0, **changes: object) -> Path:
        file = self.folder / f"config-{number}.yaml"
        write_configuration(file, self.configuration, {"a": UPSTREAM}, **changes)
        file.chmod(0o644)
        return file

    def start(self, number: int = 0, user: int = 0, **changes: object) -> Proxy:
        file = self.write(number, **changes)
        # A script in the place of the binary: Proxy adds the flags.
        program = self.folder / f"mcp-proxy-{number}"
        as_user = f"setpriv --reuid={user} --regid={user} --clear-groups" if user else ""
        program.write_text(f'#!/bin/sh\nexec {" ".join(self.inside(as_user, self.binary))} "$@"\n')
        program.chmod(0o755)
        proxy = Proxy(program, file)
        self.proxies.append(proxy)
        proxy.wait_for("listening")
        proxy.wait_for("route configured")
        # Bound, and listening: the flag of unix(7)'s list.
        wait_until(lambda: re.search(r" 00010000 .*@mcp-proxy-reload-", self.sockets(proxy)) is not None, "the socket")
        return proxy

    def sockets(self, proxy: Proxy) -> str:
        return Path(f"/proc/{proxy.process.pid}/net/unix").read_text()

    def reload(self, *arguments: str, user: int = 0, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        command = self.inside(*as_user, self.binary, "reload", *arguments)
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, cwd=cwd or "/"
        )


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 8) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.02)


@pytest.fixture
def place(
    binary: Path, configuration: dict, certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    # The session's folders are root's alone; another user has to read these files.
    folder = Path(f"/tmp/mcp-proxy-reload-{os.getpid()}")
    folder.mkdir(mode=0o755)
    name = f"mcp-proxy-reload-{os.getpid()}"
    program = shutil.copy(binary, folder / "program")
    for file in (certificates.certificate, certificates.key):
        Path(shutil.copy(file, folder)).chmod(0o644)
    tls = {"cert_file": str(folder / certificates.certificate.name), "key_file": str(folder / certificates.key.name)}
    subprocess.run(["ip", "netns", "add", name], check=True)
    subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
    place = Place(Path(program), name, folder, {**configuration, "tls": tls})
    try:
        yield place
    finally:
        for proxy in place.proxies:
            proxy.process.kill()
            proxy.process.wait()
        subprocess.run(["ip", "netns", "delete", name], check=True)
        shutil.rmtree(folder)


def test_a_good_file_is_put_in_force(place: Place) -> None:
    proxy = place.start()
    write_configuration(proxy.config_file, place.configuration, {"b": UPSTREAM}, threads=1)
    result = place.reload()
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == (
        f"{proxy.config_file}: in force, in process {proxy.process.pid}\nthreads: its new value needs a restart\n"
    )
    proxy.wait_for("configuration reloaded by=command")
    assert proxy.found("route configured route=b ")


def test_a_bad_file_changes_nothing_and_is_explained(place: Place) -> None:
    proxy = place.start()
    good = proxy.config_file.read_text()
    proxy.config_file.write_text(good.replace(UPSTREAM, "ftp://host") + "routs: {}\n")
    for arguments in ([], ["-config", str(proxy.config_file)]):
        result = place.reload(*arguments)
        assert (result.returncode, result.stdout) == (1, "")
        first, *errors = result.stderr.splitlines()
        assert first == f"mcp-proxy reload: the old configuration stays, in process {proxy.process.pid}"
        assert len(errors) == 2, errors
        number = good.splitlines().index(next(line for line in good.splitlines() if UPSTREAM in line)) + 1
        assert re.match(rf"{proxy.config_file}:{number}:\d+: routes.a: invalid upstream \(must be scheme", errors[0])
        assert "routs" in errors[1] and "routes" in errors[1]
    assert not proxy.found("configuration reloaded")
    proxy.config_file.unlink()
    result = place.reload()
    assert result.returncode == 1 and f"open {proxy.config_file}: no such file or directory" in result.stderr
    # And the next good one is taken.
    proxy.config_file.write_text(good)
    assert place.reload().returncode == 0


def test_without_a_process_it_says_where_it_looked(place: Place) -> None:
    result = place.reload()
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        "mcp-proxy reload: no proxy runs here: run this where it does, in its container or its network namespace\n"
    )
    # One that was killed leaves nothing behind that could be taken for it.
    proxy = place.start()
    proxy.process.kill()
    proxy.process.wait()
    assert "no proxy runs here" in place.reload().stderr


def test_of_two_processes_the_file_tells_which(place: Place) -> None:
    first, second = place.start(0), place.start(1)
    result = place.reload()
    assert result.returncode == 1
    assert result.stderr.startswith("mcp-proxy reload: 2 proxies run here, name one by -config: ")
    for proxy in (first, second):
        assert f"process {proxy.process.pid} with {proxy.config_file}" in result.stderr
    assert not first.found("reloaded") and not second.found("reloaded")

    result = place.reload("-config", second.config_file.name, cwd=place.folder)
    assert (result.returncode, result.stdout) == (0, f"{second.config_file}: in force, in process {second.process.pid}\n")
    second.wait_for("configuration reloaded")
    assert not first.found("reloaded")

    result = place.reload("-config", "/absent.yaml")
    assert result.returncode == 1
    assert result.stderr.startswith("mcp-proxy reload: no proxy runs here with /absent.yaml, but process ")


def test_anothers_process_is_left_alone(place: Place) -> None:
    proxy = place.start(user=STRANGER)
    result = place.reload(user=STRANGER + 1)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"mcp-proxy reload: the proxy that runs here is that of user {STRANGER}: run this as that user, or as root\n"
    )
    assert not proxy.found("reloaded")
    # Its own user, and root.
    for count, user in enumerate((STRANGER, 0), 1):
        result = place.reload(user=user)
        assert result.returncode == 0, result.stderr
        proxy.wait_for("configuration reloaded", count=count)


def test_a_strangers_word_is_not_taken(place: Place) -> None:
    """Another user's socket with a name like the proxy's is no proxy, and a stranger's request does nothing."""
    proxy = place.start(user=STRANGER)
    name = re.findall(r"@(mcp-proxy-reload-[0-9a-f]{16})$", place.sockets(proxy), re.MULTILINE)[0]
    stranger = f"""
import os, socket
os.setgid({STRANGER + 1}); os.setuid({STRANGER + 1})
with socket.socket(socket.AF_UNIX) as s:
    s.connect("\\0{name}")
    try:
        s.sendall(b"reload")
    except BrokenPipeError:
        pass
    # It hangs up without having read this, which the kernel says behind the words that it sent.
    print(s.recv(100).decode())
with socket.socket(socket.AF_UNIX) as liar:
    liar.bind("\\0mcp-proxy-reload-0000000000000000")
    liar.listen()
    print("ready", flush=True)
    os.read(0, 1)
"""
    process = subprocess.Popen(
        place.inside("python3", "-c", stranger), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        assert process.stdout.readline() == "stranger\n"
        assert process.stdout.readline() == "ready\n"
        assert not proxy.found("reloaded")
        result = place.reload(user=STRANGER)
        assert result.returncode == 0, result.stderr
    finally:
        process.kill()
        process.communicate()


def test_a_proxy_that_hangs_does_not_hang_the_command(place: Place) -> None:
    proxy = place.start()
    proxy.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    result = place.reload()
    assert time.monotonic() - began < 10
    proxy.process.send_signal(signal.SIGCONT)
    assert result.returncode == 1
    assert result.stderr == "mcp-proxy reload: the proxy that runs here does not answer: read: i/o timeout\n"


def test_silent_clients_do_not_keep_the_command_out(place: Place) -> None:
    proxy = place.start()
    name = re.findall(r"@(mcp-proxy-reload-[0-9a-f]{16})$", place.sockets(proxy), re.MULTILINE)[0]
    script = f"""
import socket, os
silent = socket.socket(socket.AF_UNIX); silent.connect("\\0{name}")
print("ready", flush=True); os.read(0, 1)
"""
    process = subprocess.Popen(
        place.inside("python3", "-c", script), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout and process.stdout.readline() == "ready\n"
        # The silent one is given up within its five seconds; one of the two questions waits for that.
        deadline = time.monotonic() + 20
        while (result := place.reload()).returncode != 0:
            assert time.monotonic() < deadline, result.stderr
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("way", ["replaced", "written in place", "behind a link"])
def test_a_watched_file_is_taken_by_itself(place: Place, way: str) -> None:
    file = place.write(config_watch=True, tls={"reload_interval": "50ms"})
    if way == "behind a link":
        # As the kubelet mounts a ConfigMap.
        (place.folder / "one").mkdir()
        file.rename(place.folder / "one" / file.name)
        (place.folder / "..data").symlink_to("one")
        file.symlink_to(f"..data/{file.name}")
    proxy = Proxy(place.folder / "program", file)
    place.proxies.append(proxy)
    proxy.wait_for("listening")
    changed = file.read_text().replace(f'"a": "{UPSTREAM}"', "").replace("  a: ", "  b: ")
    assert changed != file.read_text()
    if way == "replaced":
        (place.folder / "new").write_text(changed)
        (place.folder / "new").rename(file)
    elif way == "written in place":
        file.write_text(changed)
    else:
        (place.folder / "two").mkdir()
        (place.folder / "two" / file.name).write_text(changed)
        (place.folder / "..new").symlink_to("two")
        (place.folder / "..new").rename(place.folder / "..data")
    proxy.wait_for("configuration reloaded by=watch")
    assert proxy.found("route configured route=b ")
    assert len(proxy.found("configuration reloaded")) == 1


def test_a_watched_file_with_an_error_is_told_once_and_switched_off_by_a_reload(place: Place) -> None:
    proxy = place.start(config_watch=True, tls={"reload_interval": "20ms"})
    good = proxy.config_file.read_text()
    proxy.config_file.write_text(good.replace("routes:", "routs:"))
    proxy.wait_for("configuration not reloaded, the old one stays by=watch .*routs")
    proxy.config_file.unlink()
    proxy.wait_for("configuration not reloaded, the old one stays by=watch .*no such file")
    proxy.config_file.write_text(good.replace("config_watch: true", "config_watch: false"))
    proxy.wait_for("configuration reloaded by=watch")
    # The thread is gone, so nothing is left that could look.
    threads = Path(f"/proc/{proxy.process.pid}/task")
    wait_until(lambda: all((t / "comm").read_text() != "config-watch\n" for t in threads.iterdir()), "the watch's end")
    assert len(proxy.found("not reloaded")) == 2
    # And a reload switches it on again.
    proxy.config_file.write_text(good)
    assert place.reload().returncode == 0
    proxy.config_file.write_text(good.replace("  a: ", "  c: "))
    proxy.wait_for("configuration reloaded by=watch", count=2)
    assert proxy.found("route configured route=c ")


def test_half_a_file_is_not_taken(place: Place) -> None:
    """What is still being written may be in order as far as it goes: a file with fewer routes."""
    proxy = place.start(config_watch=True, tls={"reload_interval": "20ms"})
    good = proxy.config_file.read_text()
    longer = good + "".join(f"  r{number}: {UPSTREAM}\n" for number in range(40))
    with open(proxy.config_file, "w") as file:
        for line in longer.splitlines(keepends=True):
            file.write(line)
            file.flush()
            time.sleep(0.03)
    proxy.wait_for("configuration reloaded by=watch")
    assert len(proxy.found("configuration reloaded")) == 1
    assert proxy.found("route configured route=r39 ")
    assert not proxy.found("not reloaded")


def test_a_file_is_not_watched_unless_asked_for(place: Place) -> None:
    proxy = place.start()
    threads = Path(f"/proc/{proxy.process.pid}/task")
    names = {(thread / "comm").read_text().strip() for thread in threads.iterdir()}
    assert "reload" in names and "config-watch" not in names


def test_proc_of_roots_and_a_hidden_proc_make_no_difference(place: Place) -> None:
    """As in the unit, whose /proc shows own processes only (`ProcSubset=pid`, `ProtectProc=invisible`)."""
    proxy = place.start(user=STRANGER)
    script = "mount -t proc -o subset=pid,hidepid=invisible proc /proc && exec setpriv --reuid={0} --regid={0} --clear-groups {1} reload"
    command = place.inside("unshare", "--mount", "sh", "-ec", script.format(STRANGER, place.binary))
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, result.stderr
    proxy.wait_for("configuration reloaded by=command")
