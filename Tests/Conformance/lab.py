"""A proxy with a certificate of its own and one upstream, for suites that talk to it through its tunnel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from context import Context
from peers.pki import Authority
from peers.proxy import Proxy, yaml

DOMAIN = "t.example"
HOST = f"echo.{DOMAIN}"


class Files:
    """The CA and the proxy's certificate."""

    def __init__(self, folder: Path) -> None:
        self.ca = Authority()
        self.ca_file = self.ca.write(folder / "ca.crt")
        self.certificate, self.key = self.ca.issue(f"*.{DOMAIN}", DOMAIN).write(folder)


@contextmanager
def running(folder: Path, files: Files, upstream: str, **settings: object) -> Iterator[Proxy]:
    """A proxy on one loop, so that what it has done for one connection is done before it responds to the next."""
    file = folder / "config.yaml"
    file.write_text(yaml({
        "listen_addr": "127.0.0.1:0", "sandbox_ports": "any", "log_level": "info", "shutdown_timeout": "1s", "tunnel_domain": DOMAIN,
        "threads": 1, "upstream": {"allowed_ips": ["127.0.0.0/8"], "forwarded_headers": "off"}, "routes": {"echo": upstream},
        "tls": {"cert_file": str(files.certificate), "key_file": str(files.key)}, **settings}))
    proxy = Proxy(Context.binary("mcp-proxy"), file)
    try:
        proxy.far_side(DOMAIN, files.ca_file)
        yield proxy
        if proxy.process.poll() is not None:
            raise SystemExit(f"the proxy has ended: {proxy.process.returncode}\n{proxy.log[-3000:]}")
    finally:
        proxy.process.kill()
        proxy.process.wait()
