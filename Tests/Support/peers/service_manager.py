"""What a service manager gives the processes that it starts: a socket for their messages, and sockets that listen."""

from __future__ import annotations

import contextlib
import socket
import time


class NotifySocket:
    """Receives what processes say to `NOTIFY_SOCKET`, each message as it came (sd_notify(3))."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)

    def receive(self, seconds: float = 10) -> bytes:
        """The next message."""
        self.socket.settimeout(seconds)
        return self.socket.recv(4096)

    def wait_for(self, wanted: bytes, seconds: float = 10) -> list[bytes]:
        """All messages up to the first with an assignment."""
        messages, deadline = [], time.monotonic() + seconds
        while not messages or wanted not in messages[-1].split(b"\n"):
            left = deadline - time.monotonic()
            assert left > 0, f"no {wanted!r} in {messages}"
            with contextlib.suppress(TimeoutError):
                messages.append(self.receive(left))
        return messages

    def is_silent(self, seconds: float) -> bool:
        """Whether nothing comes for so long."""
        try:
            self.receive(seconds)
        except TimeoutError:
            return True
        return False

    def drain(self) -> list[bytes]:
        """What has come already."""
        self.socket.settimeout(0)
        messages = []
        with contextlib.suppress(BlockingIOError):
            while True:
                messages.append(self.socket.recv(4096))
        return messages

    def close(self) -> None:
        self.socket.close()


def passing(*listeners: socket.socket, names: str | None = None, process: str = "$$") -> list[str]:
    """A command in front of another, which gets listening sockets as its descriptors 3 and on (sd_listen_fds(3)).

    The sockets have to be inherited by it."""
    # First out of the way, as one may stand where another has to go.
    moves = [f"exec {30 + index}<&{each.fileno()}" for index, each in enumerate(listeners)]
    moves += [f"exec {3 + index}<&{30 + index} {30 + index}<&-" for index in range(len(listeners))]
    named = f"export LISTEN_FDNAMES='{names}'" if names is not None else ":"
    script = "; ".join(
        [*moves, named, f"export LISTEN_PID={process} LISTEN_FDS={len(listeners)}", 'exec "$@"'])
    # dash knows descriptors of one digit only.
    return ["bash", "-c", script, "passing"]
