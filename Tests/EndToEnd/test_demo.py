"""`mcp-proxy demo`: needs nothing, shows every hop, ends by itself."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path


def test_demo_shows_the_whole_way_without_colour(binary: Path, tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    result = subprocess.run(
        [str(binary), "demo"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
        cwd=tmp_path, env=environment,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    for word in ("WebSocket", "TLSv1.3", "initialize", "tools/list", "tools/call", "jsonrpc", "ms"):
        assert word in result.stdout
    assert "\x1b" not in result.stdout + result.stderr
    assert list(tmp_path.iterdir()) == [], "the demo left files behind"


def test_demo_of_a_folder_that_setup_has_not_written(binary: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        [str(binary), "demo", "-data", str(tmp_path)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
    )
    assert result.returncode == 1
    assert f"{tmp_path} has no tunnel-domain: name the folder that setup init" in result.stderr


def test_demo_is_coloured_on_a_terminal(binary: Path, tmp_path: Path) -> None:
    controller, terminal = pty.openpty()
    environment = {"PATH": "/usr/bin:/bin", "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [str(binary), "demo"], stdin=terminal, stdout=terminal, stderr=terminal, cwd=tmp_path, env=environment
    )
    os.close(terminal)
    shown = b""
    try:
        while piece := os.read(controller, 1 << 16):
            shown += piece
    except OSError:
        pass  # Linux says EIO where the terminal's last user is gone.
    os.close(controller)
    assert process.wait(30) == 0, shown.decode()
    assert b"\x1b[" in shown
