"""The Compose guide without programmatic access, followed to the letter: certificates by openssl, up, a call, renewal."""

from __future__ import annotations

from compose.conftest import CONFIGURATION, DOMAIN, SAMPLE, Project

CERTIFICATES = """
# Self-signed CA. Explicit extensions so it satisfies the certificate
# requirements regardless of distro openssl.cnf defaults.
openssl req -x509 -newkey rsa:2048 -nodes \
  -keyout data/ca.key -out data/ca.crt \
  -days 3650 -subj "/CN=mcp-tunnel-ca" \
  -addext "basicConstraints=critical,CA:TRUE" \
  -addext "keyUsage=critical,keyCertSign,cRLSign" \
  -addext "subjectKeyIdentifier=hash"
cat > data/tls.ext <<EOF
subjectAltName = DNS:${TUNNEL_DOMAIN},DNS:*.${TUNNEL_DOMAIN}
authorityKeyIdentifier = keyid,issuer
extendedKeyUsage = serverAuth
EOF
openssl req -newkey rsa:2048 -nodes \
  -keyout data/tls.key -out server.csr \
  -subj "/CN=${TUNNEL_DOMAIN}"
openssl x509 -req -in server.csr \
  -CA data/ca.crt -CAkey data/ca.key -CAcreateserial \
  -out data/tls.crt -days 90 \
  -extfile data/tls.ext
chmod 644 data/tls.key
"""

RENEWAL = """
openssl req -new -key data/tls.key -out server.csr \
  -subj "/CN=${TUNNEL_DOMAIN}"
openssl x509 -req -in server.csr \
  -CA data/ca.crt -CAkey data/ca.key -CAcreateserial \
  -out data/tls.crt -days 90 \
  -extfile data/tls.ext
"""


def test_from_certificates_to_renewal(project: Project) -> None:
    project.environment |= {"TUNNEL_DOMAIN": DOMAIN, "TUNNEL_TOKEN": "eyJhIjoiYWNjb3VudCJ9"}
    project.shell("mkdir -p data config")
    project.shell(SAMPLE + CERTIFICATES + CONFIGURATION)

    project.compose("up", "-d")
    project.wait_for_log("mcp-proxy", "route configured")
    project.wait_for_log("cloudflared", "Registered tunnel connection", count=4)
    project.wait_for_log("hello-mcp", "listening on")
    assert not project.container("setup"), "setup is a command, not a service to be started"
    check_hardening(project)

    answer, shown = project.call(project.folder / "data/ca.crt")
    assert answer == "Hello, tunnel!"
    assert shown == project.served_serial()
    project.wait_for_log("mcp-proxy", "request finished")
    # The checks that the engine runs, as it runs them.
    for service in ("mcp-proxy", "cloudflared"):
        test = project.engine.inspect(project.container(service))["Config"]["Healthcheck"]["Test"]
        assert test[0] == "CMD"
        project.engine.docker("exec", project.container(service), *test[1:])

    project.shell(RENEWAL)
    assert project.served_serial() != shown
    project.wait_for_log("mcp-proxy", "certificate reloaded")
    assert project.call(project.folder / "data/ca.crt") == ("Hello, tunnel!", project.served_serial())

    container = project.container("mcp-proxy")
    project.compose("restart", "mcp-proxy")
    project.compose("stop", "mcp-proxy")
    assert project.engine.inspect(container)["State"]["ExitCode"] == 0
    project.compose("down", "--timeout", "0")
    assert project.engine.docker("ps", "--all", "--quiet") == ""


def check_hardening(project: Project) -> None:
    """What the engine made of the file's settings."""
    for service in ("mcp-proxy", "cloudflared"):
        container = project.engine.inspect(project.container(service))
        host = container["HostConfig"]
        assert container["Config"]["User"] == "65532:65532", service
        assert host["ReadonlyRootfs"] and not host["Privileged"]
        assert host["CapDrop"] == ["ALL"] and not host["CapAdd"]
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert not host["PortBindings"], "nothing listens on the host"
    mounts = project.engine.inspect(project.container("mcp-proxy"))["Mounts"]
    assert {mount["Destination"]: mount["RW"] for mount in mounts} == {
        "/data": False, "/etc/mcp-gateway": False,
    }


def test_a_key_that_the_proxy_cannot_read_is_named(project: Project) -> None:
    project.environment |= {"TUNNEL_DOMAIN": DOMAIN, "TUNNEL_TOKEN": "eyJhIjoiYWNjb3VudCJ9"}
    project.shell("mkdir -p data config")
    project.shell(CERTIFICATES.replace("chmod 644", "chmod 600") + CONFIGURATION)
    result = project.attempt("run", "--rm", "-T", "mcp-proxy")
    assert result.returncode == 1
    assert "open /data/tls.key: permission denied" in result.stdout + result.stderr
