"""What mcp-proxy shows of itself: no core file, and nothing to a debugger of its own user."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import let_everybody_enter


def test_leaves_no_core_file_and_shows_itself_to_root_alone(start, tmp_path: Path) -> None:
    proxy = start({"quiet": "http://127.0.0.1:1"}, before=["bash", "-c", 'ulimit -c unlimited; exec "$0" "$@"'])
    folder = Path(f"/proc/{proxy.process.pid}")
    assert re.search(r"^Max core file size +0 +0 ", (folder / "limits").read_text(), re.MULTILINE)
    # Not dumpable: its files in /proc are root's, whoever runs it.
    assert (folder / "mem").stat().st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which is for root")
@pytest.mark.parametrize("arguments", [[], ["-debuggable"]], ids=["hardened", "debuggable"])
def test_another_process_of_the_same_user_reads_its_memory_only_when_told(
    start, binary: Path, configuration: dict, tmp_path: Path, arguments: list[str]
) -> None:
    user = 65532
    program, files = tmp_path / "mcp-proxy", {}
    program.write_bytes(binary.read_bytes())
    program.chmod(0o755)
    let_everybody_enter(tmp_path)
    for field in ("cert_file", "key_file"):
        files[field] = str(tmp_path / field)
        Path(files[field]).write_bytes(Path(configuration["tls"][field]).read_bytes())
        os.chown(files[field], user, user)
    proxy = start({"quiet": "http://127.0.0.1:1"}, program=program, arguments=arguments, user=user, tls=files)
    for name in ("environ", "mem", "maps"):
        look = subprocess.run(
            ["head", "-c", "0" if name == "mem" else "64", f"/proc/{proxy.process.pid}/{name}"], user=user, group=user,
            extra_groups=[], capture_output=True, text=True, check=False)
        if arguments:
            assert look.returncode == 0, look.stderr
        else:
            assert look.returncode != 0 and "Permission denied" in look.stderr, name


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGQUIT])
def test_a_crash_leaves_no_core_file_and_no_report(start, tmp_path: Path, number: signal.Signals) -> None:
    proxy = start({"quiet": "http://127.0.0.1:1"}, before=[
        "bash", "-c", f'cd {tmp_path}; export SWIFT_BACKTRACE=enable=yes; ulimit -c unlimited 2>/dev/null; exec "$0" "$@"'])
    proxy.expected_status = -number
    mark = proxy.mark()
    proxy.signal(number)
    assert proxy.process.wait(10) == -number
    assert not list(tmp_path.glob("core*"))
    assert not proxy.found("Crash|Backtrace|Registers|0x", since=mark)
