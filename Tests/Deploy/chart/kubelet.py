"""Starts and ends a pod in the order in which the kubelet does it, with the commands, variables, hooks, probes and times
that were rendered (`kuberuntime_container.go` and `kuberuntime_termination_order.go` of Kubernetes).

Start: init containers one after another; one that is a native sidecar is started, and the next comes when its startup probe
has passed. Then the others, together.

End, for all containers at once: the hook, whose time is of the grace period's; for a native sidecar then the end of those
that came after it; SIGTERM; and SIGKILL when the grace period is over, two seconds after SIGTERM at the soonest.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request

from peers.network import Network

LEAST_GRACE = 2


class Pod:
    def __init__(self, spec, commands, folder, environment):
        """`commands` says what stands for the entry point of each container's image."""
        self.spec, self.commands, self.folder, self.environment = spec, commands, folder, environment
        self.network = Network()
        self.sidecars = [each for each in spec.get("initContainers", []) if each.get("restartPolicy") == "Always"]
        self.processes, self.ended = {}, {}
        #: (seconds since the end began, container, what)
        self.events = []
        folder.mkdir()

    async def start(self):
        for container in self.sidecars:
            self.spawn(container)
            await self.until(container, "startupProbe")
        for container in self.spec["containers"]:
            self.spawn(container)

    async def ready(self):
        for container in self.containers:
            await self.until(container, "readinessProbe")

    @property
    def containers(self):
        return [*self.sidecars, *self.spec["containers"]]

    def spawn(self, container):
        name = container["name"]
        variables = {each["name"]: each.get("value", "eyJ") for each in container.get("env", [])}
        with open(self.folder / name, "w") as log:
            self.processes[name] = self.network.run(
                subprocess.Popen, [*self.commands[name], *container["args"]], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env={**os.environ, **self.environment, **variables})
        self.ended[name] = asyncio.create_task(asyncio.to_thread(self.processes[name].wait))

    def log(self, name):
        return (self.folder / name).read_text()

    async def until(self, container, kind):
        """Probes until it passes. The period is shorter than what was rendered, so that nobody waits for it."""
        probe = container.get(kind, {}).get("httpGet")
        if not probe:
            return
        (port,) = [each["containerPort"] for each in container["ports"] if each["name"] == probe["port"]]
        end = time.monotonic() + 20
        while not await asyncio.to_thread(self.network.run, answers, f"http://10.1.2.3:{port}{probe['path']}"):
            assert time.monotonic() < end and not self.ended[container["name"]].done(), self.log(container["name"])
            await asyncio.sleep(0.05)

    async def end(self):
        """All of it; the exit status of each container."""
        self.begun = time.monotonic()
        await asyncio.gather(*(self.end_container(each) for each in self.containers))
        return {name: process.returncode for name, process in self.processes.items()}

    def note(self, name, what):
        self.events.append((time.monotonic() - self.begun, name, what))

    async def end_container(self, container):
        name = container["name"]
        left = self.spec["terminationGracePeriodSeconds"]
        if hook := container.get("lifecycle", {}).get("preStop"):
            begun = time.monotonic()
            await self.run_hook(name, hook, left)
            left -= int(time.monotonic() - begun)
        before = self.before(container)
        if before and left > 0:
            begun = time.monotonic()
            await asyncio.wait([self.ended[each] for each in before], timeout=left)
            left -= int(time.monotonic() - begun)
        if not self.ended[name].done():
            self.note(name, "SIGTERM")
            self.processes[name].send_signal(signal.SIGTERM)
        await asyncio.wait([self.ended[name]], timeout=max(left, LEAST_GRACE))
        if not self.ended[name].done():
            self.note(name, "SIGKILL")
            self.processes[name].kill()
        await self.ended[name]
        self.note(name, "end")

    def before(self, container):
        """Whose end a sidecar waits for: the main containers', and the sidecars' that were started after it."""
        if container not in self.sidecars:
            return []
        later = self.sidecars[self.sidecars.index(container) + 1 :]
        return [each["name"] for each in [*self.spec["containers"], *later]]

    async def run_hook(self, name, hook, seconds):
        if "sleep" in hook:
            return await asyncio.sleep(min(hook["sleep"]["seconds"], seconds))
        program, *arguments = hook["exec"]["command"]
        assert program == f"/{name}", "there is nothing else in the image"
        done = await asyncio.to_thread(
            self.network.run, subprocess.run, [*self.commands[name], *arguments], capture_output=True, text=True,
            timeout=seconds)
        self.note(name, f"hook ended with {done.returncode}: {done.stdout}{done.stderr}")
        assert done.returncode == 0, done.stderr

    def kill(self):
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.network.__exit__()


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status < 400
    except (OSError, urllib.error.HTTPError):
        return False
