"""The alerts of the chart by promtool, Prometheus' own: each fires where it should, and is silent where it should be."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

import chart

ALERTS = chart.CHART / "files/alerts.yaml"
DAY = 86_400
T, A = 'job="t"', 'job="t",instance="a"'

if not shutil.which("promtool"):
    pytest.skip("needs promtool, of Debian's package prometheus", allow_module_level=True)


def promtool(*arguments, folder=None):
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def rules():
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def series(name, values):
    """Samples, one a minute from time 0 on; `a+bxn` is n more after a, each b more."""
    return {"series": name, "values": values}


def check(folder, alert, samples, minutes, expected, summary=None):
    """Whether an alert fires at a minute for exactly those labels, and what it says then."""
    tested = {**rules()[alert]}
    if summary is None:
        del tested["annotations"]
    else:
        tested["annotations"] = {"summary": tested["annotations"]["summary"]}
    (folder / "rules.yaml").write_text(json.dumps({"groups": [{"name": "tested", "rules": [tested]}]}))
    alerts = [
        {
            "exp_labels": {"severity": tested["labels"]["severity"], **labels},
            "exp_annotations": {} if summary is None else {"summary": summary},
        }
        for labels in expected
    ]
    test = {
        "interval": "1m",
        "input_series": samples,
        "alert_rule_test": [{"alertname": alert, "eval_time": f"{minutes}m", "exp_alerts": alerts}],
    }
    (folder / "test.yaml").write_text(
        json.dumps({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]})
    )
    promtool("test", "rules", "test.yaml", folder=folder)


def test_prometheus_reads_them_and_the_example():
    assert "8 rules found" in promtool("check", "rules", ALERTS)
    promtool("check", "config", chart.ROOT / "deploy/prometheus/prometheus.yaml")
    assert (chart.ROOT / "deploy/prometheus/alerts.yaml").samefile(ALERTS)


def test_each_says_what_is_and_what_to_do():
    for name, rule in rules().items():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"].keys() == {"summary", "description"}
        assert re.search(r"\{\{ \$labels\.\w+ \}\}", rule["annotations"]["summary"]), name


def certificate(seconds, kind="leaf", labels=A):
    return series(f'mcp_tunnel_certificate_not_after_timestamp_seconds{{{labels},certificate="{kind}"}}', f"{seconds}x99")


ENDS = [("McpTunnelCertificateEndsSoon", 14 * DAY, 60), ("McpTunnelCertificateEnds", 3 * DAY, 10)]


@pytest.mark.parametrize("alert, limit, wait", ENDS)
def test_a_certificate_ends(alert, limit, wait, tmp_path):
    # Under the limit from the first minute on, and for as long as the alert waits.
    found = [certificate(limit + 59), certificate(99 * DAY, labels='job="t",instance="b"'), certificate(99 * DAY, "ca")]
    check(tmp_path, alert, found, wait, [])
    check(tmp_path, alert, found, wait + 1, [{"job": "t", "certificate": "leaf"}])
    # Another minute of life, and there is a minute more of silence.
    check(tmp_path, alert, [certificate(limit + 60)], wait + 1, [])
    check(tmp_path, alert, [certificate(limit + 60)], wait + 2, [{"job": "t", "certificate": "leaf"}])


@pytest.mark.parametrize("alert, limit, wait", ENDS)
def test_a_ca_ends(alert, limit, wait, tmp_path):
    words = {14 * DAY: "13d 22h 59m 59s", 3 * DAY: "2d 23h 49m 59s"}[limit]
    found = [certificate(limit + 59, "ca"), certificate(99 * DAY)]
    check(
        tmp_path, alert, found, wait + 1, [{"job": "t", "certificate": "ca"}],
        f"The ca certificate of t ends in {words}",
    )  # fmt: skip


def test_a_certificate_that_was_renewed_is_silent(tmp_path):
    name = f'mcp_tunnel_certificate_not_after_timestamp_seconds{{{A},certificate="leaf"}}'
    renewed = [series(name, f"{DAY}x5 {90 * DAY}x99")]
    check(tmp_path, "McpTunnelCertificateEnds", renewed, 30, [])


def test_not_ready(tmp_path):
    ready = [series(f"mcp_tunnel_ready{{{A}}}", "1 0x9 1x9"), series('mcp_tunnel_ready{job="t",instance="b"}', "1x20")]
    check(tmp_path, "McpTunnelNotReady", ready, 5, [])
    check(
        tmp_path, "McpTunnelNotReady", ready, 6, [{"job": "t", "instance": "a"}], "a of t is not ready",
    )  # fmt: skip
    check(tmp_path, "McpTunnelNotReady", ready, 11, [])


SEEN = "mcp_tunnel_far_side_last_seen_timestamp_seconds"


def test_no_far_side(tmp_path):
    # Pings and requests count, to any replica, and not the connections that a health check makes.
    seen = [
        series(f'{SEEN}{{{A},event="connection"}}', "0+60x99"),
        series(f'{SEEN}{{{A},event="ping"}}', "60x99"),
        series(f'{SEEN}{{job="t",instance="b",event="request"}}', "_x4 240x99"),
        series(f"process_start_time_seconds{{{A}}}", "0x99"),
        series(f"mcp_tunnel_build_info{{{A}}}", "1x99"),
    ]
    check(tmp_path, "McpTunnelNoFarSide", seen, 14, [])
    words = "Nothing has come to t through the tunnel for 11m 0s"
    check(tmp_path, "McpTunnelNoFarSide", seen, 15, [{"job": "t"}], words)
    # One that has just been started anew gets its ten minutes.
    check(tmp_path, "McpTunnelNoFarSide", [*seen, *started(900, "c")], 20, [])


def started(second, instance):
    labels = f'job="t",instance="{instance}"'
    return [
        series(f"process_start_time_seconds{{{labels}}}", f"{second}x99"),
        series(f"mcp_tunnel_build_info{{{labels}}}", "1x99"),
    ]


def test_no_far_side_ever(tmp_path):
    # A process that is none of ours has a start too.
    others = [series('process_start_time_seconds{job="t",instance="x"}', "6000x99")]
    check(tmp_path, "McpTunnelNoFarSide", [*started(60, "a"), *others], 11, [])
    check(tmp_path, "McpTunnelNoFarSide", [*started(60, "a"), *others], 12, [{"job": "t"}])


def exchanges(route, failures, requests):
    """Requests and failures a minute on a route, spread over kinds and replicas."""
    return [
        series(f'mcp_tunnel_upstream_failures_total{{{A},route="{route}",error_type="dns"}}', f"0+{failures}x99"),
        series(f'mcp_tunnel_upstream_failures_total{{{A},route="{route}",error_type="tls"}}', "0x99"),
        series(
            f'http_server_request_duration_seconds_count{{{A},route="{route}",method="POST",status="2xx"}}',
            f"0+{requests - failures}x99",
        ),
        series(
            f'http_server_request_duration_seconds_count{{job="t",instance="b",route="{route}",method="POST",status="5xx"}}',
            f"0+{failures}x99",
        ),
    ]


def test_upstream_failures(tmp_path):
    busy = [*exchanges("docs", 6, 100), *exchanges("wiki", 5, 100), *exchanges("idle", 0, 0)]
    check(tmp_path, "McpTunnelUpstreamFailures", busy, 5, [])
    words = "6% of the requests to route docs of t fail"
    check(tmp_path, "McpTunnelUpstreamFailures", busy, 7, [{"job": "t", "route": "docs"}], words)


def handshakes(failed, made):
    return [
        series(f'mcp_tunnel_tls_handshake_failures_total{{{A},alert="unknown_ca"}}', f"0+{failed}x99"),
        series(
            f'mcp_tunnel_tls_handshakes_total{{{A},version="1.3",cipher="x",alpn="",resumed="false"}}', f"0+{made}x99"
        ),
    ]


def test_handshake_failures(tmp_path):
    check(tmp_path, "McpTunnelHandshakeFailures", handshakes(10, 90), 20, [])
    check(tmp_path, "McpTunnelHandshakeFailures", handshakes(11, 89), 5, [])
    words = "11% of the TLS handshakes in the tunnel of t fail"
    check(tmp_path, "McpTunnelHandshakeFailures", handshakes(11, 89), 7, [{"job": "t"}], words)
    # None was ever made, so there is nothing to compare with.
    check(tmp_path, "McpTunnelHandshakeFailures", handshakes(1, 0)[:1], 7, [{"job": "t"}])
    check(tmp_path, "McpTunnelHandshakeFailures", handshakes(0, 0), 20, [])


def test_reload_failed(tmp_path):
    reloads = [
        series(f'mcp_tunnel_reloads_total{{{A},kind="certificate",result="failed"}}', "0x4 1x99"),
        series(f'mcp_tunnel_reloads_total{{{A},kind="configuration",result="failed"}}', "7x99"),
        series(f'mcp_tunnel_reloads_total{{{A},kind="configuration",result="ok"}}', "0+1x99"),
    ]
    check(tmp_path, "McpTunnelReloadFailed", reloads, 4, [])
    expected = [{"job": "t", "instance": "a", "kind": "certificate"}]
    check(tmp_path, "McpTunnelReloadFailed", reloads, 6, expected, "a of t could not reload its certificate")
    check(tmp_path, "McpTunnelReloadFailed", reloads, 25, [])


def test_log_lines_dropped(tmp_path):
    dropped = [series(f"mcp_tunnel_log_lines_dropped_total{{{A}}}", "5x4 80x99")]
    check(tmp_path, "McpTunnelLogLinesDropped", dropped, 4, [])
    check(tmp_path, "McpTunnelLogLinesDropped", dropped, 6, [{"job": "t", "instance": "a"}])
    check(tmp_path, "McpTunnelLogLinesDropped", dropped, 25, [])
