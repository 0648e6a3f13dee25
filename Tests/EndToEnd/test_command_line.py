"""Flags, usage errors and exit statuses of the binary."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from conftest import DOMAIN, write_configuration
from peers.proxy import Proxy
from peers.upstream import Upstream, echo


def run(binary: Path, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(binary), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, **options
    )


@pytest.mark.parametrize("flag", ["-version", "--version"])
def test_version_is_printed(binary: Path, flag: str) -> None:
    result = run(binary, flag)
    assert (result.returncode, result.stderr) == (0, "")
    assert re.search(r"^mcp-proxy \d+\.\d+\.\d+", result.stdout), result.stdout


@pytest.mark.parametrize("flag", ["-help", "--help", "-h"])
def test_help_names_every_flag(binary: Path, flag: str) -> None:
    result = run(binary, flag)
    assert result.returncode == 0
    text = result.stdout + result.stderr
    for name in ("-config", "-tunnel-domain", "-debuggable", "-version", "-help", "demo", "/etc/mcp-gateway/config.yaml"):
        assert name in text


@pytest.mark.parametrize("command", ["healthcheck", "reload", "demo", "hello"])
@pytest.mark.parametrize("form", ["{} --help", "--help {}", "help {}", "{} -h"])
def test_commands_have_help(binary: Path, command: str, form: str) -> None:
    result = run(binary, *form.format(command).split())
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"Usage: mcp-proxy {command} [flags]\n") and "\nExample:\n" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-confg", "x"], "did you mean -config?"),
        (["-tunnel", "x"], "did you mean -tunnel-domain?"),
        (["healthchek"], "did you mean healthcheck?"),
        (["healthcheck", "-addr", "proxy"], "write 127.0.0.1:8080"),
        (["-addr", ":8080"], "flag -addr belongs to healthcheck"),
    ],
)
def test_usage_errors_are_one_line_with_a_remedy(binary: Path, arguments: list[str], text: str) -> None:
    result = run(binary, *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert text in result.stderr and "-help lists" in result.stderr and result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["-unknown"],
        ["--unknown=1"],
        ["-config"],
        ["-tunnel-domain"],
        ["surplus"],
        ["-config", "x", "surplus"],
        ["---config", "x"],
        ["-version=perhaps"],
        ["-"],
    ],
    ids=" ".join,
)
def test_usage_errors_end_with_2(binary: Path, arguments: list[str]) -> None:
    result = run(binary, *arguments)
    assert result.returncode == 2
    assert result.stderr.strip()
    assert result.stdout == ""


def test_default_path_is_the_images(binary: Path) -> None:
    assert not Path("/etc/mcp-gateway/config.yaml").exists()
    result = run(binary)
    assert result.returncode == 1
    assert "open /etc/mcp-gateway/config.yaml: no such file or directory" in result.stderr


@pytest.mark.parametrize("form", ["-config {}", "--config {}", "-config={}", "--config={}"])
def test_every_form_of_a_flag(binary: Path, tmp_path: Path, form: str) -> None:
    missing = tmp_path / "absent.yaml"
    result = run(binary, *form.format(missing).split(" "))
    assert result.returncode == 1
    assert f"open {missing}: no such file or directory" in result.stderr


@pytest.mark.parametrize("form", ["-tunnel-domain {}", "--tunnel-domain={}"])
async def test_tunnel_domain_flag_wins_over_the_file(start, form: str) -> None:
    async with Upstream(echo) as upstream:
        arguments = form.format(DOMAIN).split(" ")
        proxy = start({"echo": upstream}, arguments=arguments, tunnel_domain="other.example")
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 200
            assert (await http.get(host="echo.other.example")).status == 502


async def test_tunnel_domain_flag_may_stand_alone(start) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream}, arguments=["-tunnel-domain", DOMAIN], tunnel_domain=None)
        async with proxy.far.http("echo") as http:
            assert (await http.get()).status == 200


def test_occupied_port_ends_with_1(binary: Path, configuration: dict, tmp_path: Path) -> None:
    file = tmp_path / "second.yaml"
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        write_configuration(file, configuration, {"echo": "http://10.0.0.1:1"}, listen_addr=taken)
        result = run(binary, "-config", str(file))
    assert result.returncode == 1
    assert taken in result.stderr and "address already in use" in result.stderr


def test_an_address_of_another_machine_is_told_to_be_one(binary: Path, configuration: dict, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    write_configuration(file, configuration, {"echo": "http://10.0.0.1:1"}, listen_addr="203.0.113.1:8080")
    result = run(binary, "-config", str(file))
    assert result.returncode == 1
    assert "listen tcp 203.0.113.1:8080: bind: cannot assign requested address (" in result.stderr
    assert "`ip address` shows" in result.stderr


def test_clean_end_with_0_on_both_signals(start) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        proxy: Proxy = start({"echo": "http://10.0.0.1:1"})
        proxy.signal(number)
        assert proxy.process.wait(10) == 0


IGNORED = ["SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGPIPE", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGRTMIN", "SIGRTMAX"]


async def test_other_signals_are_ignored(start) -> None:
    async with Upstream(echo) as upstream:
        proxy: Proxy = start({"echo": upstream})
        async with proxy.far.http("echo") as http:
            for name in IGNORED:
                proxy.signal(getattr(signal, name))
                # A signal acts before the process goes on with anything else: the next response proves that it did.
                assert (await http.get()).status == 200, name
        assert proxy.process.poll() is None and not proxy.found("shutting down")
        # And so they are while it drains.
        proxy.signal(signal.SIGTERM)
        proxy.signal(signal.SIGUSR1)
        assert await asyncio.to_thread(proxy.process.wait, 10) == 0
        await proxy.logged("stopped .*clean=true")


async def test_signals_of_every_thread_and_of_one_moment_count(start) -> None:
    """Sent to each thread by its own number, and twice at once: a reload and an orderly end, and no other."""
    proxy: Proxy = start({"echo": "http://10.0.0.1:1"})
    threads = [int(name) for name in os.listdir(f"/proc/{proxy.process.pid}/task")]
    assert len(threads) > 1
    for thread in threads:
        os.kill(thread, signal.SIGHUP)
        os.kill(thread, signal.SIGHUP)
    proxy.wait_for("configuration reloaded")
    os.kill(threads[-1], signal.SIGTERM)
    assert await asyncio.to_thread(proxy.process.wait, 10) == 0


def test_quit_has_its_default(start) -> None:
    proxy: Proxy = start({"echo": "http://10.0.0.1:1"})
    proxy.expected_status = -signal.SIGQUIT
    proxy.signal(signal.SIGQUIT)
    assert proxy.process.wait(10) == -signal.SIGQUIT


def test_unreadable_files_are_named(binary: Path, configuration: dict, certificates, tmp_path: Path) -> None:
    # Root reads what nobody may; without its capabilities it is an owner like any other. It stays itself, so that its
    # home, where the program may be, stays open to it.
    without_rights = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    certificate, key = certificates.leaf.write(tmp_path)
    file = tmp_path / "config.yaml"
    tls = {"cert_file": str(certificate), "key_file": str(key)}
    write_configuration(file, configuration, {"echo": "http://10.0.0.1:1"}, tls=tls)
    for unreadable in (key, file):
        unreadable.chmod(0)
        program, *arguments = [*without_rights, binary, "-config", str(file)]
        result = run(program, *arguments)
        assert result.returncode == 1
        assert f"open {unreadable}: permission denied" in result.stderr
