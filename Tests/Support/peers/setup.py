"""Setup as a process, the fake of the Tunnels API that it talks to, and the folder that it fills.

    with TunnelsAPI(fake_binary) as api:
        setup = Setup(setup_binary, api)
        setup("init", f"--output=dir:{folder}")
        Output(folder).text("tunnel-id")
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from cryptography import x509
from cryptography.hazmat.primitives import hashes

#: What setup fills a folder with, besides the lock that stays.
NAMES = {
    "tunnel-id", "tunnel-domain", "tunnel-token", "token-version", "ca.crt", "ca.key", "tls.crt", "tls.key",
    "ticket-keys"}
#: An RSA key of 4096 bits takes seconds; one test makes it.
FAST = "--key-type=ecdsa-p256"


def plain_environment() -> dict[str, str]:
    """The path and the locale: nothing of the machine's own settings reaches the program."""
    return {key: value for key, value in os.environ.items() if key in ("PATH", "LANG", "LC_ALL", "TMPDIR", "MUTANT")}


class TunnelsAPI:
    """One running `tunnels-api-fake`, steered over its control interface."""

    #: A Tunnels API key that it takes. Nothing in it tells that it is one: who hides it knows it.
    KEY = "tunnels-key-0123456789abcdefghijklmnopqrstuvwxyz"

    def __init__(self, binary: Path, *arguments: str, state: Path | None = None, listen: str = "127.0.0.1:0") -> None:
        command = [str(binary), "--listen", listen, "--json", "--quiet", *arguments]
        if state:
            command += ["--state", str(state)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            env={**plain_environment(), "FAKE_API_TOKEN": self.KEY})
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "the fake of the Tunnels API ended before it listened"
        greeting = json.loads(line)
        self.url: str = greeting["api_url"]
        self.host, _, port = greeting["listen"].rpartition(":")
        self.port = int(port)
        self.rule, self.organization = greeting["federation_rule_id"], greeting["organization_id"]
        self.identity_token: str = greeting["identity_token"]

    def __enter__(self) -> TunnelsAPI:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        assert self.process.stdout
        self.process.stdout.close()

    def environment(self) -> dict[str, str]:
        """The variables of the guides' "Provision the tunnel", but for the tunnel's id and the API's address."""
        return {
            "ANTHROPIC_FEDERATION_RULE_ID": self.rule, "ANTHROPIC_ORGANIZATION_ID": self.organization,
            "ANTHROPIC_IDENTITY_TOKEN": self.identity_token}

    def _control(self, method: str, path: str, body: Any = None) -> bytes:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        try:
            connection.request(method, f"/_fake/{path}", None if body is None else json.dumps(body))
            response = connection.getresponse()
            content = response.read()
            assert response.status == 200, content
            return content
        finally:
            connection.close()

    # What there is.

    def state(self) -> dict[str, Any]:
        return json.loads(self._control("GET", "state"))

    def tunnels(self) -> list[dict[str, Any]]:
        """Those that are not archived."""
        return [tunnel for tunnel in self.state()["tunnels"] if "archived_at" not in tunnel]

    def tunnel(self, tunnel_id: str) -> dict[str, Any]:
        return next(tunnel for tunnel in self.state()["tunnels"] if tunnel["id"] == tunnel_id)

    def authorities(self, tunnel_id: str, *, revoked: bool = False) -> list[dict[str, Any]]:
        """The registered CAs of a tunnel: those in force, or those that were revoked."""
        return [entry for entry in self.state()["certificates"]
                if entry["tunnel_id"] == tunnel_id and ("archived_at" in entry) == revoked]

    def audit(self) -> list[str]:
        """The kinds of all changes, in order."""
        return [event["kind"] for event in self.state()["audit"]]

    def requests(self) -> list[dict[str, Any]]:
        return json.loads(self._control("GET", "requests"))["requests"]

    def calls(self) -> list[str]:
        """Method and path of all requests."""
        return [f"{request['method']} {request['path']}" for request in self.requests()]

    def wait_for_fault(self, process: subprocess.Popen[Any], count: int = 1) -> None:
        """Wait until a request has met a fault, as long as the process that sends it runs."""
        while sum(request["fault"] is not None for request in self.requests()) < count:
            assert process.poll() is None, "the process ended before it met the fault"
            time.sleep(0.01)

    # What happens to it.

    def fail(self, kind: str, path: str | None = None, method: str | None = "POST", **members: Any) -> None:
        """Let the next requests run into a fault; see FakeFault."""
        members.update(kind=kind, **{k: v for k, v in (("path", path), ("method", method)) if v})
        self._control("POST", "faults", members)

    def heal(self) -> None:
        self._control("DELETE", "faults")

    def reset(self) -> None:
        self._control("POST", "reset")

    def make_tunnel(self, name: str | None = None, **members: str) -> dict[str, Any]:
        """Make a tunnel as the Console does."""
        return json.loads(self._control("POST", "tunnels", {"display_name": name, **members}))

    def advance(self, seconds: int) -> None:
        self._control("POST", "clock", {"advance": seconds})

    def revoke_access_tokens(self) -> None:
        self._control("POST", "revoke-access-tokens")

    def fresh_identity_token(self, **query: object) -> str:
        text = "&".join(f"{key}={value}" for key, value in query.items())
        return self._control("GET", f"identity-token?{text}").decode()


@dataclass(frozen=True)
class Outcome:
    """How a run of setup ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def all(self) -> str:
        return self.stdout + self.stderr


class Setup:
    """Runs setup with the variables that the fake wants."""

    def __init__(self, binary: Path, api: TunnelsAPI | None = None) -> None:
        self.binary, self.api = binary, api

    def environment(self, changes: Mapping[str, str | None] | None = None) -> dict[str, str]:
        """The variables, with changes: None removes."""
        variables = plain_environment()
        if self.api:
            variables.update(self.api.environment(), API_URL=self.api.url)
        for name, value in (changes or {}).items():
            if value is None:
                variables.pop(name, None)
            else:
                variables[name] = value
        return variables

    def __call__(
        self, *arguments: str, environment: Mapping[str, str | None] | None = None, status: int | None = 0,
        prefix: Sequence[str] = (), timeout: float = 60, **options: Any,
    ) -> Outcome:
        """Run setup to its end, which must be with the given exit status; None takes any."""
        result = subprocess.run(
            [*prefix, str(self.binary), *arguments], env=self.environment(environment), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=timeout, check=False, **options)
        outcome = Outcome(result.returncode, result.stdout, result.stderr)
        if status is not None and outcome.status != status:
            fail(f"setup {' '.join(arguments)}: exit status {outcome.status}, not {status}", outcome.all)
        return outcome

    def start(
        self, *arguments: str, environment: Mapping[str, str | None] | None = None, prefix: Sequence[str] = (),
        **options: Any,
    ) -> subprocess.Popen[str]:
        """Start setup and let it run."""
        return subprocess.Popen(
            [*prefix, str(self.binary), *arguments], env=self.environment(environment), text=True,
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options})


def finished(process: subprocess.Popen[str], timeout: float = 60) -> Outcome:
    """Wait for the end of a started setup."""
    stdout, stderr = process.communicate(timeout=timeout)
    return Outcome(process.returncode, stdout, stderr)


def fail(*lines: str) -> NoReturn:
    raise AssertionError("\n".join(lines))


class Output:
    """A folder that setup has filled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __str__(self) -> str:
        return f"dir:{self.folder}"

    def path(self, name: str) -> Path:
        return self.folder / name

    def bytes(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def text(self, name: str) -> str:
        return self.bytes(name).decode()

    def names(self) -> set[str]:
        """Everything in the folder but the lock."""
        return set(os.listdir(self.folder)) - {".setup.lock"}

    def contents(self) -> dict[str, bytes]:
        return {name: self.bytes(name) for name in self.names()}

    def mode(self, name: str = "") -> int:
        return (self.folder / name).stat().st_mode & 0o7777

    def certificate(self, name: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.bytes(name))

    def fingerprint(self, name: str = "ca.crt") -> str:
        """As the API writes it: SHA-256 of the DER, in hexadecimal digits."""
        return self.certificate(name).fingerprint(hashes.SHA256()).hex()

    def age(self) -> None:
        """Let a note of a creation be an hour old. A fresh one may be of a tunnel that the API is still making, and the
        next run waits for that ten seconds."""
        for path in (self.path("setup-state.json"), self.path(".setup-journal") / "setup-state.json"):
            if not path.is_file():
                continue
            state = json.loads(path.read_bytes())
            if "creation" in state:
                state["creation"]["startedAt"] -= 3600
                path.write_text(json.dumps(state))

    def check(self, api: TunnelsAPI) -> None:
        """What must hold for every finished output: it is whole, it is the API's, and nothing else lies there."""
        assert self.names() >= NAMES - {"token-version"}
        assert self.names() <= NAMES, f"left behind: {self.names() - NAMES}"
        tunnel = api.tunnel(self.text("tunnel-id"))
        assert "archived_at" not in tunnel
        assert tunnel["domain"] == self.text("tunnel-domain")
        assert tunnel["token"] == self.text("tunnel-token")
        registered = [entry["fingerprint"] for entry in api.authorities(tunnel["id"])]
        assert self.fingerprint() in registered


def openssl(*arguments: str, data: bytes | None = None) -> str:
    """Run the `openssl` command and return what it says."""
    result = subprocess.run(
        ["openssl", *map(str, arguments)], input=data or b"", capture_output=True, timeout=60, check=False)
    text = (result.stdout + result.stderr).decode()
    assert result.returncode == 0, f"openssl {' '.join(map(str, arguments))}\n{text}"
    return text
