"""nginx as an upstream, in the foreground, from a configuration in a temporary folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from .endpoint import free_port

_FRAME = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
{user}
events {{ worker_connections 512; }}
http {{
    access_log off;
    default_type application/octet-stream;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
    sendfile on;
{servers}
}}
"""


class Nginx:
    """Runs one nginx. `{port}` in each server block is replaced with a free port."""

    def __init__(self, folder: Path, *servers: str) -> None:
        binary = shutil.which("nginx") or "/usr/sbin/nginx"
        folder.mkdir(parents=True, exist_ok=True)
        self.ports = [free_port() for _ in servers]
        blocks = "\n".join(block.replace("{port}", str(port)) for block, port in zip(servers, self.ports, strict=True))
        # The worker would become "nobody", which may not read the test's folder.
        user = "user root;" if os.geteuid() == 0 else ""
        config = folder / "nginx.conf"
        config.write_text(_FRAME.format(folder=folder, user=user, servers=blocks))
        self.folder = folder
        self.process = subprocess.Popen(
            [binary, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(config)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        self._wait_until_listening()

    @property
    def port(self) -> int:
        """The first server's port."""
        return self.ports[0]

    def _wait_until_listening(self) -> None:
        deadline = time.monotonic() + 10
        for port in self.ports:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    assert self.process.poll() is None, (self.folder / "error.log").read_text()
                    assert time.monotonic() < deadline, "nginx does not listen"
                    time.sleep(0.01)

    def stop(self) -> None:
        """End nginx at once."""
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
