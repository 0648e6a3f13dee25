"""What a process with a unit's file system and user can do: inside_unit.py PID UID. It prints JSON.

It enters the mount namespace of the process and becomes its user, but starts no program, because none may be.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys

libc = ctypes.CDLL(None, use_errno=True)


def attempt(action: object) -> str:
    try:
        action()  # type: ignore[operator]
    except OSError as error:
        return error.strerror or ""
    return "done"


def execute(path: str) -> None:
    child = os.fork()
    if child == 0:
        try:
            os.execv(path, [path, "--version"])
        except OSError as error:
            os._exit(error.errno or 255)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        raise OSError(status, os.strerror(status))


process, user = int(sys.argv[1]), int(sys.argv[2])
namespace = os.open(f"/proc/{process}/ns/mnt", os.O_RDONLY)
if libc.setns(namespace, 0x20000) != 0:
    sys.exit(f"setns: {os.strerror(ctypes.get_errno())}")
os.setgroups([])
os.setgid(user)
os.setuid(user)

folders = ["/", "/etc", "/etc/mcp-gateway", "/var/lib/mcp-tunnel", "/var/log", "/usr/bin", "/run", "/run/mcp-proxy"]
names = [
    "tls.crt", "tls.key", "ticket-keys", "ca.crt", "ca.key", "tunnel-token", "setup-state.json", ".setup-journal/ca.key",
    ".setup-journal.tmp/tunnel-token",
]
report = {
    "read": {name: attempt(lambda: open(f"/var/lib/mcp-tunnel/{name}").read(1)) for name in names},
    "write": {folder: attempt(lambda: open(f"{folder}/left-by-test", "x")) for folder in folders},
    "execute": {path: attempt(lambda: execute(path)) for path in ["/bin/sh", "/usr/bin/mcp-tunnel-setup"]},
    "list": {folder: attempt(lambda: os.listdir(folder)) for folder in ["/home", "/root"]},
}
print(json.dumps(report))
