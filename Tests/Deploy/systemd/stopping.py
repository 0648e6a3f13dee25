"""Stops one thread of a process as one that is hung, for as long as the process lives: stopping.py PID THREAD.

It prints a line when the thread stands still. A process ends only when whoever traces its threads has heard of it.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

SEIZE, INTERRUPT, CONTINUE, WALL = 0x4206, 0x4207, 7, 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
tasks = Path(f"/proc/{sys.argv[1]}/task")
(thread,) = [int(task.name) for task in tasks.iterdir() if (task / "comm").read_text() == f"{sys.argv[2]}\n"]
for request in (SEIZE, INTERRUPT):
    if libc.ptrace(request, thread, None, None) != 0:
        sys.exit(f"ptrace: {os.strerror(ctypes.get_errno())}")
os.waitpid(thread, WALL)
print("stopped", flush=True)
while True:
    _, status = os.waitpid(thread, WALL)
    if os.WIFEXITED(status) or os.WIFSIGNALED(status):
        break
