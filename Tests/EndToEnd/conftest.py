"""Fixtures of the end-to-end tests: certificates once a session, a proxy per test, coroutine tests with a deadline."""

from __future__ import annotations

import asyncio
import fnmatch
import inspect
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from peers.ceilings import TIME, Ceiling, Found
from peers.nginx import Nginx
from peers.pki import Authority
from peers.proxy import Proxy, merged, yaml
from peers.setup import Output, Setup, TunnelsAPI
from peers.upstream import Upstream

REPOSITORY = Path(__file__).resolve().parents[2]
DOMAIN = "t.example"
#: Files whose tests play an attacker, or a peer that nobody would want: what `make attack-test` runs.
ATTACKS = [
    "test_attack_*.py", "test_connection_logins.py", "test_edge*.py", "test_floods.py", "test_forwarded_fields.py",
    "test_http2_attacks.py",
    "test_limits.py", "test_listener.py", "test_memory*.py", "test_names.py", "test_pipe_ends.py",
    "test_protocol_edges.py", "test_review_core.py", "test_sandbox.py", "test_setup_attack.py",
    "test_setup_https.py", "test_setup_secrets.py", "test_small_frames.py", "test_smuggling.py", "test_stalls.py", "test_upstream_policy.py",
]  # fmt: skip
#: Files whose tests let something go wrong, by what it is: what `make fault-test` runs, each proxy under the ceilings of
#: peers/ceilings.py. An attacker's file stands here too where the fault could be an accident.
FAULTS = {
    "far side": [
        "test_edge.py", "test_floods.py", "test_http2_attacks.py", "test_http2_limits.py", "test_limits.py",
        "test_listener.py", "test_pipe_ends.py", "test_protocol_edges.py", "test_small_frames.py", "test_smuggling.py",
        "test_stalls.py", "test_websocket.py",
    ],
    "upstream": ["test_http2_upstream.py", "test_kept_connections.py", "test_unlucky.py", "test_upstream_faults.py"],
    "clock": ["test_certificate_watch.py", "test_clock_steps.py"],
    "name": ["test_attack_ssrf.py", "test_names.py"],
    "signal": ["test_life.py", "test_reload.py", "test_shutdown.py", "test_upgrade_command.py"],
    "file": ["test_certificate_reload.py", "test_logs.py", "test_reload_reach.py"],
    "setup": ["test_setup_crash.py", "test_setup_failures.py"],
}  # fmt: skip
#: Files whose tests measure times, memory or CPU, which others on the machine would disturb. The others run side by side.
ALONE = [
    "test_clock_steps.py", "test_edge*.py", "test_floods.py", "test_http2_attacks.py", "test_http2_limits.py",
    "test_kept_connections.py", "test_memory*.py", "test_names.py", "test_rate_limits.py", "test_small_frames.py",
    "test_stalls.py", "test_upgrade_command.py",
]  # fmt: skip
#: Of what is not built with the programs: each names in a variable where it is, and the target of `make` that builds it sets it.
collect_ignore = [
    file for file, variable in {"test_examples.py": "EXAMPLES", "test_site.py": "SITE"}.items() if variable not in os.environ]
#: The tunnel that the fake of the Tunnels API has from the beginning.
TUNNEL_ID = "tnl_01Hx9Kp2RtQvMn3sWbYdLcF8"


def find_binary(name: str, variable: str) -> Path:
    """A program under test: the one that the variable names, else the debug build, else the release build."""
    if given := os.environ.get(variable):
        return Path(given).resolve()
    for build in ("debug", "release"):
        candidate = REPOSITORY / ".build" / build / name
        if candidate.exists():
            return candidate
    pytest.exit(f"no {name} binary: run `swift build` first, or set {variable}", returncode=2)


# First, because `-m` looks at the markers in the same hook.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(fnmatch.fnmatch(item.path.name, pattern) for pattern in ATTACKS):
            item.add_marker(pytest.mark.attack)
        if any(fnmatch.fnmatch(item.path.name, pattern) for pattern in ALONE):
            item.add_marker(pytest.mark.alone)
        for kind, patterns in FAULTS.items():
            if any(fnmatch.fnmatch(item.path.name, pattern) for pattern in patterns):
                item.add_marker(pytest.mark.fault(kind))


_found = Found()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The highest figures beside their ceilings."""
    if _found.tests:
        terminalreporter.section("ceilings of the tests with faults")
        terminalreporter.write("\n".join(_found.lines()) + "\n")


@pytest.fixture(autouse=True)
def ceiling_of_time(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test with a fault ends in its time, whatever it waits for."""
    begun = time.monotonic()
    yield
    if request.node.get_closest_marker("fault"):
        seconds = time.monotonic() - begun
        _found.tests += 1
        _found.seconds = max(_found.seconds, (seconds, request.node.nodeid))
        assert seconds <= TIME, f"the test took {seconds:.0f} s, the ceiling is {TIME:.0f}"


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run coroutine tests on an event loop of their own, within their deadline."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    marker = pyfuncitem.get_closest_marker("deadline")
    seconds = marker.args[0] if marker else 30
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}

    async def within_deadline() -> None:
        async with asyncio.timeout(seconds):
            await pyfuncitem.obj(**arguments)

    asyncio.run(within_deadline())
    return True


_running = pytest.StashKey[list[Proxy]]()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the proxy's log with every failure."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed:
        for proxy in item.stash.get(_running, []):
            report.sections.append(("proxy log", proxy.log[-6000:]))


def let_everybody_enter(folder: Path) -> None:
    """Opens a test's folder, and what of the tests lies above it, to every user; never the folder of all temporary files."""
    while folder != Path(tempfile.gettempdir()) and folder != folder.parent:
        folder.chmod(folder.stat().st_mode | 0o055)
        folder = folder.parent



@pytest.fixture(scope="session")
def binary() -> Path:
    return find_binary("mcp-proxy", "MCP_PROXY")


@pytest.fixture(scope="session")
def setup_binary() -> Path:
    return find_binary("setup", "MCP_SETUP")


@pytest.fixture(scope="session")
def fake_binary() -> Path:
    return find_binary("tunnels-api-fake", "TUNNELS_API_FAKE")


@pytest.fixture
def start_api(fake_binary: Path) -> Iterator[Callable[..., TunnelsAPI]]:
    """Starts fakes of the Tunnels API; they are ended after the test."""
    started: list[TunnelsAPI] = []

    def start_fake(*arguments: str, **options: object) -> TunnelsAPI:
        started.append(TunnelsAPI(fake_binary, *arguments, **options))  # type: ignore[arg-type]
        return started[-1]

    yield start_fake
    for api in started:
        api.stop()


@pytest.fixture
def api(start_api: Callable[..., TunnelsAPI]) -> TunnelsAPI:
    """The second generation of the Tunnels API, with one tunnel that was made in the Console."""
    return start_api("--tunnel", f"staging={TUNNEL_ID}")


@pytest.fixture
def setup(setup_binary: Path, api: TunnelsAPI) -> Setup:
    return Setup(setup_binary, api)


@pytest.fixture
def output(tmp_path: Path) -> Output:
    """A folder that setup is to make."""
    return Output(tmp_path / "data")


class Certificates:
    """A CA the far side trusts, the proxy's certificate under it, and a CA nobody trusts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority, self.stranger = Authority(), Authority("A stranger's CA")
        self.ca_file = self.authority.write(folder / "ca.crt")
        self.stranger_file = self.stranger.write(folder / "stranger.crt")
        self.leaf = self.authority.issue(f"*.{DOMAIN}", DOMAIN)
        self.certificate, self.key = self.leaf.write(folder)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def configuration(certificates: Certificates) -> dict:
    """A configuration that works, to be changed by the test. It needs routes."""
    return {
        "listen_addr": "127.0.0.1:0",
        # A test's servers have any port, and reloads bring new ones.
        "sandbox_ports": "any",
        "log_level": "info",
        "shutdown_timeout": "5s",
        "tunnel_domain": DOMAIN,
        "threads": 2,
        "tls": {"cert_file": str(certificates.certificate), "key_file": str(certificates.key)},
        "upstream": {"allowed_ips": ["127.0.0.0/8"]},
    }


Routes = dict[str, "str | Upstream"]
StartProxy = Callable[..., Proxy]


@pytest.fixture
def start(
    binary: Path, configuration: dict, certificates: Certificates, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[StartProxy]:
    """Starts a proxy with routes and changed settings; it is ended and checked after the test."""
    running = request.node.stash.setdefault(_running, [])
    ceilings: list[Ceiling] = []

    def start_proxy(
        routes: Routes | None, *, arguments: list[str] | None = None, collect: bool = True, program: Path | None = None,
        before: list[str] | None = None, user: int | None = None, pass_fds: tuple[int, ...] = (), **changes: object
    ) -> Proxy:
        file = tmp_path / f"config-{len(running)}.yaml"
        write_configuration(file, configuration, routes, **changes)
        proxy = Proxy(
            program or binary, file, arguments=arguments, collect=collect, before=before, user=user, pass_fds=pass_fds)
        running.append(proxy)
        proxy.far_side(DOMAIN, certificates.ca_file)
        if request.node.get_closest_marker("fault"):
            ceilings.append(Ceiling(proxy, DOMAIN))
        return proxy

    yield start_proxy
    failures = []
    for ceiling in ceilings:
        try:
            ceiling.check(request.node.nodeid, _found)
        except AssertionError as failure:
            failures.append(failure)
    for proxy in running:
        try:
            proxy.check()
        except AssertionError as failure:
            failures.append(failure)
        finally:
            if proxy.process.poll() is None:
                proxy.process.kill()
            proxy.process.wait()
    if failures:
        raise failures[0]


def write_configuration(file: Path, base: dict, routes: Routes | None, **changes: object) -> None:
    """Write a configuration file in one step, as an editor or a volume mount would. Without routes it has `tunnels`."""
    targets = None if routes is None else {
        name: target if isinstance(target, str) else target.url for name, target in routes.items()}
    fresh = file.with_suffix(".new")
    fresh.write_text(yaml(merged(base, {**changes, "routes": targets})))
    fresh.rename(file)


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Callable[..., Nginx]]:
    """Starts nginx servers; they are ended after the test."""
    started: list[Nginx] = []

    def start_nginx(*servers: str) -> Nginx:
        started.append(Nginx(tmp_path / f"nginx-{len(started)}", *servers))
        return started[-1]

    yield start_nginx
    for server in started:
        server.stop()


@pytest.fixture
def refusing_port() -> Iterator[int]:
    """A port that refuses connections for sure: bound, so nobody else gets it, but not listened on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
