"""A Docker engine of the test's own: network, mounts, processes, socket and data, all gone when it stops."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
from pathlib import Path

from conftest import Namespace, run

# /run becomes the engine's own too: containerd keeps sockets there that have no option.
_BOOT = 'mount -t tmpfs -o mode=755 tmpfs /run && exec dockerd "$@"'


class Engine:
    """`dockerd` from Debian, in a network without a way out. `vfs` works on every file system."""

    def __init__(self, folder: Path, network: Namespace) -> None:
        self.folder, self.network = folder, network
        self.address = f"unix://{folder}/docker.sock"
        self.environment = {**os.environ, "DOCKER_HOST": self.address, "DOCKER_CONFIG": str(folder / "client")}
        self.environment.pop("DOCKER_CONTEXT", None)
        (folder / "daemon.json").write_text("{}")
        command = network.command(
            "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-ec", _BOOT, "dockerd",
            "--config-file", folder / "daemon.json", "--data-root", folder / "data", "--exec-root", folder / "exec",
            "--pidfile", folder / "docker.pid", "--host", self.address, "--storage-driver", "vfs",
            # Private addresses (RFC 1918), which upstreams have to have.
            "--bip", "172.30.255.1/24", "--default-address-pool", "base=172.31.0.0/16,size=24",
            "--shutdown-timeout", "5",
        )
        self._lines: list[str] = []
        self._ready = threading.Event()
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._collect, daemon=True).start()
        try:
            self._wait_for_socket()
        except BaseException:
            self.stop()
            raise

    def _collect(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self._lines.append(line)
            if "API listen on" in line:
                self._ready.set()
        self._ready.set()

    def _wait_for_socket(self) -> None:
        assert self._ready.wait(60), "the engine did not start within 60 s"
        assert self.process.poll() is None, "".join(self._lines)[-3000:]

    def docker(self, *arguments: object, **options: object) -> str:
        """The output of a `docker` command that must succeed."""
        return run("docker", *arguments, env=self.environment, **options)

    def inspect(self, container: str) -> dict:
        (only,) = json.loads(self.docker("inspect", container))
        return only

    def processes(self, container: str) -> list[int]:
        """A container's first processes, by their numbers on this system: the engine has numbers of its own."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and container in (entry / "cgroup").read_text():
                    numbers = re.search(r"^NSpid:\s*(.*)$", (entry / "status").read_text(), re.MULTILINE)
                    if numbers and numbers[1].split()[-1] == "1":
                        found.append(int(entry.name))
        return found

    def in_network_of(self, process: int, script: str, *arguments: str) -> list[str]:
        """The lines that a Python script prints in the network of a container's process."""
        return run("nsenter", f"--net=/proc/{process}/ns/net", "--", "python3", "-c", script, *arguments).split()

    def stop(self) -> None:
        """Containers first, then the engine; what is left of its namespaces ends with it."""
        if self.process.poll() is None:
            (child,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            os.kill(int(child), signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder / "data")
