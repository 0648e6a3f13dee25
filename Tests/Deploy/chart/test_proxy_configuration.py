"""What mcp-proxy gets to read, by its own reader and by itself."""

import json
import os
import re
import signal
import subprocess

import pytest
import yaml

import chart


def test_our_yaml_reader_reads_them_alike(renderings, name):
    """Two readers, one of YAML 1.1 and one of 1.2, must not differ over what we emit."""
    texts = chart.documents(renderings[name]) + [chart.configuration(chart.load(renderings[name]))]
    compare_readers(texts)


def test_our_yaml_reader_reads_texts_that_need_quotes_or_folding(tmp_path):
    texts = [
        "a text of more than eighty characters, which some emitters fold into two lines, with: a colon and a # hash",
        "yes",
        "1e3",
        "0x1F",
        "null",
        "~",
        "- a",
        "{a}",
        "",
        " a ",
        "two\nlines\n",
        "\ttab",
        "tag: !a &b *c",
        "'",
        '"',
        "%a",
        "@a",
    ]
    # As anything but a route, whose form the chart looks at.
    config = {"texts": {f"text-{number}": text for number, text in enumerate(texts)}}
    objects = chart.render(chart.CASES["managed"], {"gateway": {"config": config}}, tmp_path)
    compare_readers([chart.configuration(objects)])
    read = yaml.safe_load(chart.configuration(objects))["texts"]
    assert [read[f"text-{number}"] for number in range(len(texts))] == texts


def compare_readers(texts):
    sent = b"".join(b"%d\n%s" % (len(text.encode()), text.encode()) for text in texts)
    done = subprocess.run([os.environ["YAML_DUMP"]], input=sent, capture_output=True, check=True)
    answers = done.stdout.splitlines()
    assert len(answers) == len(texts)
    for text, answer in zip(texts, answers):
        assert plain(json.loads(answer)["tree"]) == as_text(yaml.safe_load(text)), text


def plain(node):
    """A dump without types: numbers by value, all else by text."""
    match node:
        case ["!!map", entries]:
            return {plain(key): plain(value) for key, value in entries}
        case ["!!seq", items]:
            return [plain(item) for item in items]
        case ["!!int", _, _, value]:
            return str(value)
        case ["!!float", _, _, value]:
            return str(float(value))
        case ["!!null", *_]:
            return "null"
        case [_, text, *_]:
            return text
    raise AssertionError(f"not a dump: {node}")


def as_text(value):
    match value:
        case dict():
            return {as_text(key): as_text(each) for key, each in value.items()}
        case list():
            return [as_text(each) for each in value]
        case bool():
            return str(value).lower()
        case None:
            return "null"
    return str(value)


FORCED = {"listen_addr": "127.0.0.1:8080", "tls": {"cert_file": "/data/tls.crt", "key_file": "/data/tls.key"}}
SHARED = {"ticket_keys_file": "/data/ticket-keys"}


def values_of(name):
    return yaml.safe_load(chart.run(*chart.CASES[name].arguments(), "-print", "values"))


def has_sleeping_hook(objects):
    (pod,) = [chart.pod_of(each)[1] for each in objects if each["kind"] == "Deployment"]
    return "sleep" in chart.named(pod, "mcp-proxy").get("lifecycle", {}).get("preStop", {})


def test_configuration_is_passed_through_but_for_five_keys(objects, name):
    values = values_of(name)
    expected = values["gateway"]["config"]
    if values["cloudflared"]["metricsAddress"] in ("127.0.0.1", "0.0.0.0"):
        expected.setdefault("cloudflared_metrics", f"http://127.0.0.1:{values['cloudflared']['metricsPort']}")
    expected["listen_addr"] = FORCED["listen_addr"]
    expected["admin_addr"] = f":{values_of(name)['gateway']['adminPort']}"
    if not has_sleeping_hook(objects) and (seconds := values["gateway"]["preStopSleepSeconds"]):
        # In the place of a hook that would be too late, or that there is not yet.
        expected.setdefault("shutdown_delay", f"{seconds}s")
    expected["tls"] = {**SHARED, **expected.get("tls", {}), **FORCED["tls"]}
    assert yaml.safe_load(chart.configuration(objects)) == expected


@pytest.mark.parametrize("tls", [None, {}, {"reload_interval": "1s", "cert_file": None}])
def test_keys_are_forced_whatever_was_given(tls, tmp_path):
    config = {"listen_addr": None, "admin_addr": "127.0.0.1:1", "tls": tls}
    objects = chart.render(chart.CASES["managed"], {"gateway": {"config": config}}, tmp_path)
    read = yaml.safe_load(chart.configuration(objects))
    assert read["listen_addr"] == FORCED["listen_addr"] and read["admin_addr"] == ":8081"
    assert read["tls"].items() >= FORCED["tls"].items()


@pytest.mark.parametrize(("tls", "file"), [
    ({"session_tickets": False}, None), ({"session_tickets": True}, "/data/ticket-keys"),
    ({"ticket_keys_file": "/extra/keys"}, "/extra/keys"), ({"ticket_keys_file": None}, "/data/ticket-keys"),
])
def test_ticket_keys_are_set_where_there_are_tickets(tls, file, tmp_path):
    objects = chart.render(chart.CASES["managed"], {"gateway": {"config": {"tls": tls}}}, tmp_path)
    assert yaml.safe_load(chart.configuration(objects))["tls"].get("ticket_keys_file") == file


@pytest.mark.parametrize(("address", "asked"), [
    ("127.0.0.1", "http://127.0.0.1:20241"), ("0.0.0.0", "http://127.0.0.1:20241"), ("10.1.2.3", None), ("[::1]", None),
])
def test_the_proxy_asks_cloudflared_only_where_it_listens(address, asked, tmp_path):
    values = {"cloudflared": {"metricsAddress": address}}
    objects = chart.render(chart.CASES["managed"], values, tmp_path)
    assert yaml.safe_load(chart.configuration(objects)).get("cloudflared_metrics") == asked
    values["gateway"] = {"config": {"cloudflared_metrics": f"http://{address}:20241"}}
    objects = chart.render(chart.CASES["managed"], values, tmp_path)
    assert yaml.safe_load(chart.configuration(objects))["cloudflared_metrics"] == f"http://{address}:20241"


def proxy_of(objects):
    deployment = next(each for each in objects if each["kind"] == "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    return spec, chart.named(spec, "mcp-proxy")


def test_arguments_name_the_file_that_is_mounted_and_the_domain_of_managed_mode(objects, name):
    spec, proxy = proxy_of(objects)
    arguments = ["-config", "/etc/mcp-gateway/config.yaml"]
    if values_of(name)["setup"]["enabled"]:
        arguments += ["-tunnel-domain", "$(TUNNEL_DOMAIN)"]
        source = {"secretKeyRef": {"name": chart.CASES[name].release, "key": "tunnel-domain"}}
        assert {"name": "TUNNEL_DOMAIN", "valueFrom": source} in proxy["env"]
    assert proxy["args"] == arguments
    assert "command" not in proxy, "the image's entrypoint is the proxy"
    mounts = {mount["mountPath"]: mount["name"] for mount in proxy["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert "configMap" in volumes[mounts["/etc/mcp-gateway"]]
    items = [item for source in chart.secrets(volumes[mounts["/data"]]) for item in source["items"]]
    assert [item["key"] for item in items] == [item["path"] for item in items] == ["tls.crt", "tls.key", "ticket-keys"]


def test_a_change_of_the_configuration_replaces_the_pods(tmp_path):
    def checksum(values):
        objects = chart.render(chart.CASES["managed"], values, tmp_path)
        deployment = next(each for each in objects if each["kind"] == "Deployment")
        return deployment["spec"]["template"]["metadata"]["annotations"]["checksum/config"]

    assert checksum({"replicaCount": 2}) == checksum({})
    assert checksum({"gateway": {"config": {"log_level": "warn"}}}) != checksum({})


def test_the_proxy_starts_with_it(objects, name, certificate, tmp_path):
    """The real one, with the arguments of its container; only paths and port are those of this machine."""
    text = re.sub(r"(?m)^admin_addr: :\d+$", "admin_addr: 127.0.0.1:0", chart.configuration(objects))
    assert "admin_addr: 127.0.0.1:0" in text
    # It would only take time.
    text = re.sub(r"(?m)^shutdown_delay: .*\n", "", text)
    for pattern, replacement in (
        ("listen_addr: 127.0.0.1:8080", "listen_addr: 127.0.0.1:0"),
        ("/data/tls.", f"{certificate}/tls."),
        ("/etc/ssl/corp-ca/ca.pem", f"{certificate}/tls.crt"),
    ):
        assert pattern in text or "corp-ca" in pattern
        text = text.replace(pattern, replacement)
    path = tmp_path / "config.yaml"
    path.write_text(text)
    _, proxy = proxy_of(objects)
    paths = {"/etc/mcp-gateway/config.yaml": str(path), "$(TUNNEL_DOMAIN)": "abcd1234.tunnel.anthropic.com"}
    arguments = [paths.get(each, each) for each in proxy["args"]]

    routes = yaml.safe_load(text)["routes"]
    with subprocess.Popen([os.environ["MCP_PROXY"], *arguments], stderr=subprocess.PIPE, text=True) as process:
        log = []
        for line in process.stderr:
            log.append(line)
            if "listening" in line:
                process.send_signal(signal.SIGTERM)
    assert process.returncode == 0, "".join(log)
    assert len(re.findall("route configured", "".join(log))) == len(routes)
