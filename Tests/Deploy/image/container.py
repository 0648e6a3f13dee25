"""The unpacked image run by runc as container engines run it, under the hardening of the deployment guides."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from conftest import Namespace, run

USER = 65532
# What engines put into every container, with Docker's default options.
SYSTEM_MOUNTS = [
    {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
]


class Container:
    """One container: UID 65532, read-only, no capabilities, no new privileges, in namespaces of its own."""

    def __init__(
        self, folder: Path, rootfs: Path, arguments: list[str], network: Namespace,
        mounts: dict[str, Path] | None = None, writable: dict[str, Path] | None = None,
    ) -> None:
        self.name, self.bundle, self.state = f"mcp-tunnel-{folder.name}", folder / "bundle", folder / "runc"
        self.bundle.mkdir(parents=True)
        bind = [
            {"destination": place, "type": "bind", "source": str(source), "options": ["bind", mode]}
            for mode, places in (("ro", mounts), ("rw", writable))
            for place, source in (places or {}).items()
        ]
        specification = {
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": USER, "gid": USER},
                "args": arguments,
                "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "cwd": "/",
                "capabilities": {kind: [] for kind in ("bounding", "effective", "permitted")},
                "noNewPrivileges": True,
            },
            "root": {"path": str(rootfs), "readonly": True},
            "hostname": "mcp-proxy",
            "mounts": SYSTEM_MOUNTS + bind,
            "linux": {
                "namespaces": [
                    {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
                    {"type": "network", "path": str(network.path)},
                ],
            },
        }
        (self.bundle / "config.json").write_text(json.dumps(specification))
        # For whoever starts a program and not a container.
        self.launcher = folder / "launch"
        self.launcher.write_text(
            f"#!/bin/sh\nexec runc --root {self.state} run --bundle {self.bundle} {self.name}\n"
        )
        self.launcher.chmod(0o755)

    def run(self) -> subprocess.CompletedProcess[str]:
        """Runs it to its end."""
        return subprocess.run([self.launcher], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    def execute(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs another program in the running container, as a health check is."""
        command = ["runc", "--root", self.state, "exec", self.name, *arguments]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    @property
    def process(self) -> Path:
        """The /proc folder of its first process."""
        state = json.loads(run("runc", "--root", self.state, "state", self.name))
        return Path("/proc") / str(state["pid"])

    def remove(self) -> None:
        subprocess.run(
            ["runc", "--root", self.state, "delete", "--force", self.name], capture_output=True, check=False
        )
