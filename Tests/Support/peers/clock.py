"""A wall clock of the proxy's own, which a test steps."""

from __future__ import annotations

import mmap
import struct
import subprocess
from pathlib import Path


class Clock:
    """The wall clock of the proxy, and a program that runs the proxy with it."""

    def __init__(self, folder: Path, binary: Path) -> None:
        library, file = folder / "clock-step.so", folder / "step"
        source = Path(__file__).resolve().parents[1] / "clock-step.c"
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source, "-ldl"], check=True)
        file.write_bytes(bytes(8))
        with file.open("r+b") as opened:
            self._map = mmap.mmap(opened.fileno(), 8)
        self.program = folder / "stepped"
        self.program.write_text(
            f'#!/bin/sh\nCLOCK_STEP={file} LD_PRELOAD={library} exec {binary} "$@"\n')
        self.program.chmod(0o755)

    def step(self, seconds: float) -> None:
        """From the true time; a step does not add to the one before."""
        self._map[:] = struct.pack("=q", int(seconds * 1e9))
