"""Configuration errors: the exact texts that operators look for, with place and remedy, all at once."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import DOMAIN, write_configuration
from peers.proxy import Proxy
from peers.upstream import Upstream, echo


@pytest.fixture
def refuse(binary: Path, tmp_path: Path, certificates):
    """Runs the proxy on a text that it must refuse, and returns what it says."""

    def run(text: str) -> str:
        file = tmp_path / "config.yaml"
        file.write_text(text.replace("CERT", str(certificates.certificate)).replace("KEY", str(certificates.key)))
        result = subprocess.run(
            [str(binary), "-config", str(file)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20
        )
        assert result.returncode == 1, result.stderr
        return result.stderr.replace(str(file), "FILE")

    return run


GOOD = """\
listen_addr: "127.0.0.1:0"
tunnel_domain: t.example
tls:
  cert_file: CERT
  key_file: KEY
routes:
  echo: http://10.0.0.1:9000
"""


def place(message: str, line: int, column: int | None = None) -> bool:
    return f"FILE:{line}:" in message if column is None else f"FILE:{line}:{column}" in message


def test_routes_as_a_list(refuse) -> None:
    message = refuse(GOOD.replace("  echo: http", "  - echo: http"))
    assert "cannot unmarshal !!seq into map[string]string" in message
    assert place(message, 7) or place(message, 6)


@pytest.mark.parametrize(
    "value",
    [
        "http://10.0.0.1:9000/mcp",
        "http://10.0.0.1:9000/",
        "http://10.0.0.1",
        "10.0.0.1:9000",
        "ftp://10.0.0.1:9000",
        "http://10.0.0.1:9000?x=1",
        "http://10.0.0.1:9000#x",
        "http://me:secret@10.0.0.1:9000",
        "http://10.0.0.1:0",
        "http://10.0.0.1:65536",
        "http://:9000",
        "http://fd00::1:9000",
        # Forms that inet_aton would read as 127.0.0.1.
        "http://2130706433:9000",
        "http://0x7f000001:9000",
        "http://0177.0.0.1:9000",
        "http://127.1:9000",
        "''",
    ],
)
def test_invalid_upstreams(refuse, value: str) -> None:
    message = refuse(GOOD.replace("http://10.0.0.1:9000", value))
    assert "invalid upstream (must be scheme://host:port)" in message
    assert place(message, 7)
    assert "secret" not in message


def test_unknown_key_names_the_nearest(refuse) -> None:
    message = refuse(GOOD + "shutdown_timout: 5s\n")
    assert place(message, 8, 1)
    assert "shutdown_timout" in message and "shutdown_timeout" in message


def test_unknown_nested_key(refuse) -> None:
    message = refuse(GOOD + "upstream:\n  allowed_ip: [10.0.0.0/8]\n")
    assert place(message, 9, 3)
    assert "allowed_ips" in message


def test_duplicate_key(refuse) -> None:
    message = refuse(GOOD + "  echo: http://10.0.0.2:9000\n")
    assert place(message, 8, 3)
    assert "echo" in message


def test_several_errors_are_reported_together(refuse) -> None:
    message = refuse(
        "listen_addr: nonsense\ntunnel_domain: t.example\nlog_level: loud\nshutdown_timeout: 30\n"
        "tls:\n  cert_file: CERT\n  key_file: KEY\nroutes:\n  a: b\n"
    )
    for line in (1, 3, 4, 9):
        assert place(message, line), message


@pytest.mark.parametrize("field", ["listen_addr", "cert_file", "key_file"])
def test_required_fields(refuse, field: str) -> None:
    message = refuse(re.sub(rf"(?m)^ *{field}:.*\n", "", GOOD))
    assert field in message


def test_routes_are_required(refuse) -> None:
    assert "routes" in refuse(GOOD[: GOOD.index("routes:")])
    assert "routes" in refuse(GOOD[: GOOD.index("routes:")] + "routes: {}\n")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("shutdown_timeout", "30"),
        ("shutdown_timeout", "5 s"),
        ("shutdown_timeout", "-5s"),
        ("shutdown_timeout", "1d"),
        ("shutdown_timeout", "99999999999h"),
        ("log_level", "verbose"),
        ("log_format", "xml"),
        ("listen_addr", "8080"),
        ("listen_addr", ":99999"),
        ("threads", "257"),
        ("threads", "-1"),
        ("threads", "two"),
        ("limits", "{max_headers: -1}"),
        ("limits", "{max_header_bytes: 64KiB}"),
        ("limits", "{buffer_size: 1000}"),
        ("websocket", "{compression: yES}"),
        ("tls", "[]"),
    ],
)
def test_bad_values_name_their_field(refuse, field: str, value: str) -> None:
    text = re.sub(rf"(?m)^{field}:.*\n(  .*\n)*", "", GOOD)
    message = refuse(f"{field}: {value}\n{text}")
    named = re.match(r"\{(\w+)", value)
    assert (named[1] if named else field) in message
    assert place(message, 1)


@pytest.mark.parametrize(
    "upstream",
    [
        "{allowed_ips: []}",
        "{allowed_ips: [10.0.0.0/8], disable_ip_validation: true}",
        "{allowed_ips: [10.0.0.0/33]}",
        "{allowed_ips: [ten]}",
        "{allowed_ips: 10.0.0.0/8}",
    ],
)
def test_upstream_policy_errors(refuse, upstream: str) -> None:
    message = refuse(GOOD + f"upstream: {upstream}\n")
    assert "allowed_ips" in message
    assert place(message, 8)


def test_https_upstream_without_trust_anchor(refuse) -> None:
    message = refuse(GOOD.replace("http://", "https://"))
    assert "upstream.tls.ca_file" in message and "upstream.tls.include_system_cas" in message


def test_bare_route_without_domain(refuse) -> None:
    assert "tunnel_domain" in refuse(GOOD.replace("tunnel_domain: t.example\n", ""))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: &anchor 1\n", 8),
        ("a: *alias\n", 8),
        ("a: !!str x\n", 8),
        ("<<: {a: b}\n", 8),
        ("? a\n: b\n", 8),
        ("---\na: b\n", 8),
        ("tls2:\n\tcert_file: x\n", 9),
        ("a: 'open\n", 8),
        ("a: [1, 2\n", 8),
        ("a: \"\\q\"\n", 8),
    ],
)
def test_yaml_that_is_refused_by_place(refuse, text: str, line: int) -> None:
    message = refuse(GOOD + text)
    assert re.search(rf"FILE:({line}|{line + 1}|{line + 2}):\d+", message), message


def test_all_files_that_cannot_be_read_are_named_at_once(refuse, tmp_path: Path) -> None:
    """In the order of the configuration, each with its place; a file of ticket keys may come later."""
    text = """\
listen_addr: "127.0.0.1:0"
upstream:
  tls: {ca_file: ABSENT/ca.pem}
tunnel_domain: t.example
routes: {echo: "https://10.0.0.1:9000"}
tls:
  key_file: ABSENT/tls.key
  cert_file: ABSENT/tls.crt
  ticket_keys_file: ABSENT/ticket-keys
route_options:
  echo:
    set_headers: {X-Token: {file: ABSENT/token}}
    tls: {client_cert_file: ABSENT, client_key_file: ABSENT/client.key}
"""
    (tmp_path / "absent").mkdir()
    lines = refuse(text.replace("ABSENT", str(tmp_path / "absent"))).splitlines()
    found = [line.removeprefix("mcp-proxy: ").split(f"{tmp_path}/absent")[0] for line in lines if "FILE:" in line]
    assert [place.split(": ", 1)[0].split(":")[1] for place in found] == ["3", "7", "8", "12", "13", "13"]
    assert [place.split(": ", 1)[1] for place in found] == [
        "upstream.tls.ca_file: open ", "tls.key_file: open ", "tls.cert_file: open ",
        "route_options.echo.set_headers.X-Token.file: open ", "route_options.echo.tls.client_cert_file: read ",
        "route_options.echo.tls.client_key_file: open ",
    ]
    assert all("65532 in the image" in line for line in lines if "FILE:" in line)


def test_missing_and_broken_files_are_named(refuse, tmp_path: Path, certificates) -> None:
    absent = tmp_path / "absent.pem"
    message = refuse(GOOD.replace("CERT", str(absent)))
    assert f"open {absent}: no such file or directory" in message

    message = refuse(GOOD.replace("http:", "https:") + f"upstream:\n  tls:\n    ca_file: {absent}\n")
    assert f"FILE:10:14: upstream.tls.ca_file: open {absent}: no such file or directory" in message

    garbage = tmp_path / "garbage.pem"
    garbage.write_text("not a certificate\n")
    assert str(garbage) in refuse(GOOD.replace("CERT", str(garbage)))
    assert str(garbage) in refuse(GOOD.replace("KEY", str(garbage)))

    message = refuse(GOOD + f"upstream:\n  tls:\n    ca_file: {garbage}\n")
    assert f"FILE:10:14: upstream.tls.ca_file: {garbage}: no CERTIFICATE in the file" in message

    _, other_key = certificates.authority.issue("x.example").write(tmp_path, "other")
    assert str(other_key) in refuse(GOOD.replace("KEY", str(other_key)))


def test_names_of_files_begin_at_the_configurations_folder(
    binary: Path, certificates, configuration: dict, tmp_path: Path
) -> None:
    """Also when the process was started elsewhere; a file that lies there and not here is told of."""
    folder, elsewhere = tmp_path / "conf", tmp_path / "elsewhere"
    elsewhere.mkdir()
    certificates.leaf.write(folder / "data")
    certificates.authority.write(folder / "ca.pem")
    file = folder / "config.yaml"
    changes = {"tls": {"cert_file": "data/tls.crt", "key_file": "./data/tls.key"},
               "upstream": {"tls": {"ca_file": "ca.pem"}}}
    write_configuration(file, configuration, {"echo": "https://127.0.0.1:1"}, **changes)
    for path in (str(file), "../conf/config.yaml"):
        proxy = Proxy(binary, Path(path), folder=elsewhere)
        try:
            proxy.wait_for("listening")
        finally:
            assert proxy.stop() == 0
    (folder / "ca.pem").rename(elsewhere / "ca.pem")
    result = subprocess.run(
        [str(binary), "-config", str(file)], cwd=elsewhere, capture_output=True, text=True, timeout=20)
    assert result.returncode == 1
    assert f"upstream.tls.ca_file: open {folder}/ca.pem: no such file or directory (it is in the working folder" in (
        result.stderr)


@pytest.mark.parametrize(
    ("route", "host"), [("'123'", "123"), ("123", "123"), ("0x1F", "0x1f"), ("007", "007")])
async def test_subdomains_may_be_numbers(start, route: str, host: str) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        text = proxy.config_file.read_text()
        proxy.config_file.write_text(text.replace("  echo:", f"  {route}:"))
        proxy.signal(signal.SIGHUP)
        line = await proxy.logged(f"route configured route={host} ")
        assert line.fields["url"] == f"https://{host}.{DOMAIN}"
        async with proxy.far.http(host) as http:
            assert (await http.get("/mcp")).status == 200


@pytest.mark.parametrize("value", ["yes", "On", "'y'", "true"])
def test_the_words_of_go_for_true(start, value: str) -> None:
    proxy = start({"echo": "http://127.0.0.1:1"})
    text = proxy.config_file.read_text().replace('allowed_ips: ["127.0.0.0/8"]', f"disable_ip_validation: {value}")
    assert value in text
    mark = proxy.mark()
    proxy.config_file.write_text(text)
    proxy.signal(signal.SIGHUP)
    assert proxy.wait_for("upstream addresses are not validated", since=mark).fields["finding"] == (
        "upstream-validation-off")


def test_variables_are_told_not_to_be_expanded(refuse) -> None:
    message = refuse(GOOD.replace("http://10.0.0.1:9000", "http://${HOST}:9000").replace("KEY", "/${DATA}/tls.key"))
    assert 'FILE:7:9: routes.echo: variables are not expanded: "${HOST}"' in message
    assert 'FILE:5:13: tls.key_file: variables are not expanded: "${DATA}"' in message


@pytest.mark.parametrize(
    ("upstream", "finding", "message"),
    [
        ({"disable_ip_validation": True, "allowed_ips": None}, "upstream-validation-off",
         "upstream addresses are not validated"),
        ({"allowed_ips": ["127.0.0.0/8", "0.0.0.0/0"]}, "upstream-every-address",
         "upstream addresses are not validated"),
        ({"allowed_ips": ["10.0.0.0/8"]}, "upstream-refused",
         "IP validation failed: 127.0.0.1 is not a private address"),
    ],
    ids=["off", "/0", "refused"],
)
def test_what_weakens_or_breaks_is_told_at_the_start(start, upstream: dict, finding: str, message: str) -> None:
    proxy = start({"echo": "http://127.0.0.1:1"}, upstream=upstream)
    proxy.wait_for("certificate loaded")
    lines = proxy.found(" (WARN|ERROR) ")
    assert [(line.level, line.message, line.fields["finding"]) for line in lines] == [("WARN", message, finding)]
    assert lines[0].fields["remedy"]


def test_a_folder_is_not_a_configuration(binary: Path, tmp_path: Path) -> None:
    result = subprocess.run([str(binary), "-config", str(tmp_path)], capture_output=True, text=True, timeout=20)
    assert result.returncode == 1
    assert str(tmp_path) in result.stderr and "is a directory" in result.stderr


async def test_json_and_helm_style_files_are_accepted(start, configuration: dict) -> None:
    async with Upstream(echo) as upstream:
        proxy = start({"echo": upstream})
        # The same file as JSON, taken over by a reload: JSON is YAML.
        text = json.dumps({**configuration, "routes": {"json": upstream.url}}, indent=2)
        proxy.config_file.write_text(text)
        mark = proxy.mark()
        proxy.signal(signal.SIGHUP)
        await proxy.logged("reload", since=mark)
        async with proxy.far.http("json") as http:
            assert (await http.get()).status == 200


async def test_the_documents_sample_works(start, certificates, tmp_path: Path) -> None:
    """The full sample of the vendor's reference page, with only addresses and paths of this machine."""
    async with Upstream(echo) as upstream:
        proxy = start(
            {"echo": upstream, "auth": "https://sso.example.corp:8443"},
            log_level="info",
            shutdown_timeout="30s",
            upstream={
                "allowed_ips": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.1"],
                "tls": {"ca_file": str(certificates.ca_file), "include_system_cas": True},
            },
        )
        async with proxy.far.http("echo") as http:
            assert (await http.get("/mcp")).status == 200
        await proxy.logged("route configured", count=2)
        assert {line.fields["route"] for line in proxy.found("route configured")} == {"echo", "auth"}
        assert DOMAIN in proxy.config_file.read_text()
