"""The sandbox in the image, under the profiles of system calls that engines of containers have by default: Docker's own
engine and containerd, as Debian has them. What is tried to get out is tried from inside a process that confines itself as
the proxy does (Tests/Support/sandbox-escape); what is in force, the proxy itself says.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from compose.engine import Engine
from conftest import REPOSITORY, Image, Namespace, run
from image.container import USER
from peers.pki import Authority
from peers.proxy import yaml

DOMAIN = "t.example"
ABI = ctypes.CDLL(None).syscall(444, None, 0, 1)
TOOL = os.environ.get("SANDBOX_ESCAPE", "")
PORTS = {"route": 9, "other": 13}
LANDLOCK = ["landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"]

#: What is denied by whom: Landlock says EACCES, the filter EPERM.
ATTEMPTS = {
    "read /mcp-proxy": "EACCES", "read /etc/passwd": "EACCES", "list /": "EACCES", "list /tmp": "EACCES",
    "write /tmp/new": "EACCES", "write /proc/self/mem": "EACCES",
    f"connect {PORTS['route']}": "ECONNREFUSED", f"connect {PORTS['other']}": "EACCES", "bind 8099": "EACCES",
    f"sendto {PORTS['other']}": "EPERM", f"mptcp {PORTS['other']}": "EPROTONOSUPPORT",
    "exec /mcp-proxy": "EPERM", "spawn /mcp-proxy": "EPERM", "fork x": "EPERM", "clone3 x": "ENOSYS",
    "namespace x": "EPERM", "dumpable x": "EPERM", "privileges x": "1", "type x": "EPERM",
    "read /data/tls.crt": "ok", "read /etc/mcp-gateway/config.yaml": "ok", "thread x": "ok", "facts x": "true",
}  # fmt: skip


class Docker:
    """Docker's engine. The containers have its network, which has a loopback interface alone."""

    def __init__(self, folder: Path, network: Namespace, image: Image) -> None:
        self.engine = Engine(folder, network)
        self.image = self.engine.docker("load", "--input", image.archive).split("image: ")[1].strip()

    def command(self, name: str, mounts: dict[str, Path], entry: list[str], *more: str) -> list[str]:
        volumes = [part for place, source in mounts.items() for part in ("--volume", f"{source}:{place}:ro")]
        return [
            "env", f"DOCKER_HOST={self.engine.address}", "docker", "run", "--rm", "--interactive", "--name", name,
            "--network", "host", "--user", f"{USER}:{USER}", "--read-only", "--cap-drop", "ALL", "--tmpfs", "/tmp",
            "--security-opt", "no-new-privileges", *more, *volumes, "--entrypoint", entry[0], self.image, *entry[1:],
        ]

    def stop(self, name: str) -> None:
        self.engine.docker("stop", name)

    def end(self) -> None:
        self.engine.stop()


class Containerd:
    """containerd alone, by its own command, with its default profile."""

    def __init__(self, folder: Path, network: Namespace, image: Image) -> None:
        self.folder, self.address = folder, f"{folder}/containerd.sock"
        settings = folder / "config.toml"
        settings.write_text(
            f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\n[grpc]\naddress = "{self.address}"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
        self.log = open(folder / "containerd.log", "w")
        self.process = subprocess.Popen(
            network.command(
                "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-ec",
                'mount -t tmpfs -o mode=755 tmpfs /run && exec containerd "$@"', "containerd", "--config", settings),
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        end = time.monotonic() + 60
        while subprocess.run([*self.ctr(), "version"], capture_output=True).returncode != 0:
            assert time.monotonic() < end and self.process.poll() is None, (folder / "containerd.log").read_text()[-2000:]
            time.sleep(0.1)
        run(*self.ctr(), "images", "import", "--snapshotter", "native", image.archive)
        self.image = run(*self.ctr(), "images", "list", "-q").split()[0]

    def ctr(self) -> list[str]:
        return ["ctr", "--address", self.address, "--namespace", "test"]

    def command(self, name: str, mounts: dict[str, Path], entry: list[str], *more: str) -> list[str]:
        binds = [
            part for place, source in mounts.items()
            for part in ("--mount", f"type=bind,src={source},dst={place},options=rbind:ro")
        ]  # fmt: skip
        capabilities = [part for name in CAPABILITIES for part in ("--cap-drop", name)]
        # The user is the image's. ctr's own fifos are in /run, which is another one for the engine.
        fifos = self.folder / "fifos"
        return [
            *self.ctr(), "run", "--rm", "--snapshotter", "native", "--net-host", "--read-only", "--seccomp", "--fifo-dir", str(fifos),
            *capabilities, "--mount", "type=tmpfs,dst=/tmp,options=mode=1777", *binds, *more, self.image, name, *entry,
        ]

    def stop(self, name: str) -> None:
        run(*self.ctr(), "tasks", "kill", name)

    def end(self) -> None:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


#: Those that containerd gives by default.
CAPABILITIES = [
    f"CAP_{name}" for name in
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL "
    "AUDIT_WRITE".split()
]  # fmt: skip


@pytest.fixture(scope="module", params=[Docker, Containerd])
def containers(
    request: pytest.FixtureRequest, image: Image, tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Docker | Containerd]:  # fmt: skip
    folder = tmp_path_factory.mktemp("engine")
    network = Namespace(f"mcp-tunnel-sandbox-{os.getpid()}")
    try:
        engine = request.param(folder, network, image)
        engine.network = network
        try:
            yield engine
        finally:
            engine.end()
    finally:
        network.remove()


#: What is tried from inside is tried with one engine; of the other there is what the proxy says of itself.
with_docker = pytest.mark.parametrize("containers", [Docker], indirect=True)


@pytest.fixture
def mounts(tmp_path: Path) -> dict[str, Path]:
    """Configuration and certificate, as the guides mount them."""
    data, settings = tmp_path / "data", tmp_path / "settings"
    Authority().issue(f"*.{DOMAIN}", DOMAIN).write(data)
    settings.mkdir()
    write(settings)
    for file in [*data.iterdir(), data, settings]:
        os.chown(file, USER, USER)
    for parent in (tmp_path, *tmp_path.parents[:3]):
        parent.chmod(parent.stat().st_mode | 0o011)
    return {"/data": data, "/etc/mcp-gateway": settings}


def write(folder: Path, **changes: object) -> None:
    configuration = {
        "listen_addr": "127.0.0.1:8080", "admin_addr": "127.0.0.1:8081", "tunnel_domain": DOMAIN,
        "sandbox_ports": "configured", "tls": {"cert_file": "/data/tls.crt", "key_file": "/data/tls.key"},
        "routes": {"a": f"http://127.0.0.1:{PORTS['route']}"}, "upstream": {"allowed_ips": ["127.0.0.0/8"]}, **changes,
    }  # fmt: skip
    (folder / "config.yaml").write_text(yaml(configuration))


def attempt(containers, mounts: dict[str, Path], name: str, lines: list[str], *more: str) -> tuple[str, dict[str, str]]:
    """What is in force, and what came of each line."""
    if not TOOL:
        pytest.skip("SANDBOX_ESCAPE names no program: Tests/Deploy/run builds it")
    mounts = {**mounts, "/sandbox-escape": Path(TOOL)}
    command = containers.command(name, mounts, ["/sandbox-escape", "/etc/mcp-gateway/config.yaml"], *more)
    done = subprocess.run(
        command, input="".join(f"{line}\n" for line in lines), capture_output=True, text=True, timeout=120, check=False)
    ready, *rest = done.stdout.splitlines() or [done.stderr]
    return ready, dict(line.rpartition(": ")[::2] for line in rest)


@pytest.mark.skipif(ABI < 6, reason="the kernel's Landlock lacks what is tried here")
@with_docker
def test_what_the_sandbox_denies_under_the_default_profile(containers, mounts: dict[str, Path]) -> None:
    ready, outcomes = attempt(containers, mounts, "confined", list(ATTEMPTS))
    # The profile lets the three calls pass, and the filter of ours is added to it.
    assert ready == f"ready landlock={min(ABI, 7)} calls=true missing=[]"
    assert outcomes == ATTEMPTS
    # It was the sandbox, and not the engine, that denied these.
    write(mounts["/etc/mcp-gateway"], sandbox="off")
    lines = ["read /mcp-proxy", "read /etc/passwd", "list /", "write /tmp/new", f"connect {PORTS['other']}", "fork x"]
    _, free = attempt(containers, mounts, "free", lines)
    assert free == {**dict.fromkeys(lines, "ok"), f"connect {PORTS['other']}": "ECONNREFUSED"}


@with_docker
def test_calls_that_are_never_made_fail_under_the_default_profile(containers, mounts: dict[str, Path]) -> None:
    _, outcomes = attempt(containers, mounts, "calls", ["calls"])
    assert len(outcomes) > 50
    # Where both filters deny, the kernel takes the stricter, and the profiles have other errors for some.
    assert set(outcomes.values()) <= {"EPERM", "ENOSYS"}, outcomes


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="x86-64 has other ABIs")
@with_docker
def test_a_call_by_another_abi_ends_the_process(containers, mounts: dict[str, Path]) -> None:
    for abi in ("32-bit", "x32"):
        _, outcomes = attempt(containers, mounts, abi, ["thread x", f"{abi} x", "thread x"])
        assert list(outcomes) == ["thread x"], (abi, outcomes)


def serve(containers, mounts: dict[str, Path], image: Image, name: str, *more: str) -> tuple[dict, str]:
    """`sandbox` of /status, and the line of the log, of the image's own command."""
    settings = image.configuration["config"]
    command = containers.command(name, mounts, [*settings["Entrypoint"], *settings["Cmd"]], *more)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as proxy:
        log = ""
        assert proxy.stdout
        try:
            for line in proxy.stdout:
                log += line
                if "admin listening" in line:
                    break
            else:
                raise AssertionError(log)
            status = containers.network.run(
                "python3", "-c", "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8081/status').read().decode())")
        finally:
            if proxy.poll() is None:
                containers.stop(name)
            proxy.stdout.read()
            proxy.wait(30)
    (line,) = re.findall(r"^.* sandbox mode=.*$", log, re.MULTILINE)
    return json.loads(status)["sandbox"], line


@pytest.mark.skipif(ABI < 6, reason="the kernel's Landlock lacks what is tried here")
def test_the_proxy_says_that_all_of_it_is_in_force(containers, mounts: dict[str, Path], image: Image) -> None:
    status, line = serve(containers, mounts, image, "proxy")
    assert f"landlock={min(ABI, 7)} calls=filtered" in line and "missing=" not in line
    assert status["landlock_abi"] == min(ABI, 7) and status["filters_calls"] and status["missing"] == [], status


@with_docker
def test_a_profile_without_landlock_is_named(containers, mounts: dict[str, Path], image: Image, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    denied = {"names": LANDLOCK, "action": "SCMP_ACT_ERRNO"}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [denied]}))
    status, line = serve(containers, mounts, image, "older", "--security-opt", f"seccomp={profile}")
    assert 'landlock=0 calls=filtered' in line and "Landlock: operation not permitted" in line
    assert status["landlock_abi"] == 0 and status["filters_calls"]
    assert [each for each in status["missing"] if "Landlock: operation not permitted" in each], status
