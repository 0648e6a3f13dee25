"""How pods start, end, are replaced and are spread."""

import dataclasses

import pytest

import chart
import test_metrics


def pod_of(objects):
    deployment = next(each for each in objects if each["kind"] == "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    return spec, {each["name"]: each for each in spec.get("initContainers", []) + spec["containers"]}


def cloudflared_grace(containers):
    return next(each["value"] for each in containers["cloudflared"]["env"] if each["name"] == "TUNNEL_GRACE_PERIOD")


@pytest.mark.parametrize(
    "timeout, grace, cloudflared",
    [
        (None, 40, "38s"),
        ("30s", 40, "38s"),
        ("1m30s", 100, "98s"),
        ("0", 10, "8s"),
        (0, 10, "8s"),
        ("1.5s", 12, "10s"),
        ("300ms", 11, "9s"),
        ("1s500ms", 12, "10s"),
        ("2m51.5s", 182, "180s"),
        ("2m52s", 182, "180s"),
        ("2m53s", 183, "180s"),
        ("1h", 3610, "180s"),
        ("1h0.5m", 3640, "180s"),
        ("1000000us", 11, "9s"),
        ("2µs", 11, "9s"),
    ],
)
def test_a_pod_has_the_time_that_its_proxy_may_take(timeout, grace, cloudflared, tmp_path):
    objects = chart.render(chart.CASES["managed"], {"gateway": {"config": {"shutdown_timeout": timeout}}}, tmp_path)
    spec, containers = pod_of(objects)
    assert spec["terminationGracePeriodSeconds"] == grace
    assert cloudflared_grace(containers) == cloudflared


@pytest.mark.parametrize("delay, grace, cloudflared", [("10s", 50, "48s"), ("0", 40, "38s"), ("1500ms", 42, "40s")])
def test_a_delay_of_the_proxys_own_is_time_too(delay, grace, cloudflared, tmp_path):
    values = {"gateway": {"config": {"shutdown_delay": delay}}}
    objects = chart.render(chart.CASES["without-sidecars"], values, tmp_path)
    spec, containers = pod_of(objects)
    assert spec["terminationGracePeriodSeconds"] == grace
    assert cloudflared_grace(containers) == cloudflared


def test_the_proxy_waits_for_cloudflared_to_take_its_leave(renderings):
    objects = chart.load(renderings["without-sidecars"])
    _, containers = pod_of(objects)
    assert containers["mcp-proxy"]["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    assert "lifecycle" not in containers["cloudflared"] and "restartPolicy" not in containers["mcp-proxy"]
    assert "shutdown_delay" not in chart.configuration(objects)


def test_as_a_native_sidecar_the_proxy_comes_first_and_drains_from_the_beginning_of_the_end(renderings):
    objects = chart.load(renderings["managed"])
    spec, containers = pod_of(objects)
    assert [each["name"] for each in spec["initContainers"]] == ["mcp-proxy"]
    assert [each["name"] for each in spec["containers"]] == ["cloudflared"]
    proxy = containers["mcp-proxy"]
    # cloudflared starts when the probe has passed, so the edge is told of nobody who does not serve.
    assert proxy["restartPolicy"] == "Always" and proxy["startupProbe"]["httpGet"]["path"] == "/healthz"
    # SIGTERM would come when cloudflared has ended, and every stream with it.
    assert proxy["lifecycle"] == {"preStop": {"exec": {"command": ["/mcp-proxy", "stop"]}}}
    assert "shutdown_delay: 5s" in chart.configuration(objects).splitlines()
    assert spec["terminationGracePeriodSeconds"] == 40 and cloudflared_grace(containers) == "38s"


@pytest.mark.parametrize(
    "wanted, version, is_sidecar",
    [(None, "1.32.9", False), (None, "1.33.0", True), (None, "1.33.0-gke.100", True), (True, "1.29.0", True),
     (False, "1.34.0", False)],
)  # fmt: skip
def test_who_has_native_sidecars(wanted, version, is_sidecar, tmp_path):
    case = dataclasses.replace(chart.CASES["managed"], kube_version=version)
    spec, containers = pod_of(chart.render(case, {"gateway": {"nativeSidecar": wanted}}, tmp_path))
    assert ("initContainers" in spec) is is_sidecar
    assert ("exec" in containers["mcp-proxy"]["lifecycle"]["preStop"]) is is_sidecar


def test_clusters_without_a_sleeping_hook_have_a_proxy_that_waits(renderings):
    objects = chart.load(renderings["oldest-cluster"])
    spec, containers = pod_of(objects)
    assert "lifecycle" not in containers["mcp-proxy"]
    assert "shutdown_delay: 5s" in chart.configuration(objects).splitlines()
    assert spec["terminationGracePeriodSeconds"] == 40
    assert cloudflared_grace(containers) == "38s"


def test_an_own_delay_wins_on_such_clusters(tmp_path):
    values = {"gateway": {"config": {"shutdown_delay": "7s"}}}
    objects = chart.render(chart.CASES["oldest-cluster"], values, tmp_path)
    assert "shutdown_delay: 7s" in chart.configuration(objects).splitlines()
    assert pod_of(objects)[0]["terminationGracePeriodSeconds"] == 42


def test_no_wait_is_no_hook(tmp_path):
    values = {"gateway": {"preStopSleepSeconds": 0}}
    spec, containers = pod_of(chart.render(chart.CASES["without-sidecars"], values, tmp_path))
    assert "lifecycle" not in containers["mcp-proxy"]
    assert spec["terminationGracePeriodSeconds"] == 35
    objects = chart.render(chart.CASES["managed"], values, tmp_path)
    assert "shutdown_delay" not in chart.configuration(objects)
    assert pod_of(objects)[0]["terminationGracePeriodSeconds"] == 35


def test_probes_ask_the_admin_listener_and_can_be_something_else(renderings):
    _, containers = pod_of(chart.load(renderings["managed"]))
    proxy = containers["mcp-proxy"]
    assert proxy["ports"] == [{"name": "admin", "containerPort": 8081}]
    # A pod with a bad certificate is not ready; to start it again would not mend it.
    paths = {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    for probe, path in paths.items():
        assert proxy[probe]["httpGet"] == {"path": path, "port": "admin"}
        # /healthz gives each loop 2 s.
        assert proxy[probe]["timeoutSeconds"] > 2
    # A restart ends every tunnel.
    assert proxy["livenessProbe"]["periodSeconds"] * proxy["livenessProbe"]["failureThreshold"] >= 60
    assert containers["cloudflared"]["readinessProbe"]["exec"]["command"] == ["cloudflared", "tunnel", "ready"]
    _, containers = pod_of(chart.load(renderings["everything"]))
    proxy = containers["mcp-proxy"]
    assert proxy["livenessProbe"]["tcpSocket"] == {"port": 9090} and "httpGet" not in proxy["livenessProbe"]
    assert proxy["readinessProbe"] == {
        "exec": {"command": ["/mcp-proxy", "healthcheck", "-addr", "127.0.0.1:8080"]},
        "periodSeconds": 5,
        "timeoutSeconds": 5,
        "failureThreshold": 2,
    }


def test_a_probe_can_be_left_out(tmp_path):
    values = {"gateway": {"livenessProbe": None, "startupProbe": None}}
    _, containers = pod_of(chart.render(chart.CASES["managed"], values, tmp_path))
    assert not containers["mcp-proxy"].keys() & {"livenessProbe", "startupProbe"}


def test_nothing_but_the_admin_listener_listens_for_others(objects, name):
    """The listener of the proxy and the metrics of cloudflared, with its profiles, are for their own pod."""
    services = [each for each in objects if each["kind"] == "Service"]
    assert [each["metadata"]["name"] for each in services] == ["acme-mcp-tunnel-metrics"] * (name == "everything")
    lines = chart.configuration(objects).splitlines()
    assert "listen_addr: 127.0.0.1:8080" in lines
    for _, _, container in chart.containers(objects):
        address = [each["value"] for each in container.get("env", []) if each["name"] == "TUNNEL_METRICS"]
        is_opened = name == "everything"
        assert all(each.startswith("127.0.0.1:") is not is_opened for each in address)
        if container["name"] == "mcp-proxy":
            (port,) = container["ports"]
            assert port["name"] == "admin" and f"admin_addr: :{port['containerPort']}" in lines
        else:
            assert ("ports" in container) is (is_opened and bool(address))


@pytest.mark.parametrize(
    "values, replicas, has_budget",
    [
        ({}, 1, False),
        ({"replicaCount": 2}, 2, True),
        ({"replicaCount": 2, "podDisruptionBudget": {"enabled": False}}, 2, False),
        ({"autoscaling": {"enabled": True}}, None, True),
        ({"autoscaling": {"enabled": True, "minReplicas": 1}}, None, False),
    ],
)
def test_several_pods_have_a_budget_and_one_has_not(values, replicas, has_budget, tmp_path):
    objects = chart.render(chart.CASES["managed"], values, tmp_path)
    deployment = next(each for each in objects if each["kind"] == "Deployment")
    assert deployment["spec"].get("replicas") == replicas
    budgets = [each for each in objects if each["kind"] == "PodDisruptionBudget"]
    assert len(budgets) == has_budget
    assert all(each["spec"]["maxUnavailable"] == 1 for each in budgets)
    scalers = [each for each in objects if each["kind"] == "HorizontalPodAutoscaler"]
    assert len(scalers) == (replicas is None)


def test_the_autoscaler_aims_at_what_was_set(renderings):
    scaler = chart.find(chart.load(renderings["everything"]), "HorizontalPodAutoscaler", "acme-mcp-tunnel")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 30)
    aims = {each["resource"]["name"]: each["resource"]["target"]["averageUtilization"] for each in scaler["metrics"]}
    assert aims == {"cpu": 60, "memory": 80}
    assert scaler["behavior"] == {"scaleDown": {"stabilizationWindowSeconds": 600}}


def test_the_autoscaler_aims_at_active_streams(renderings):
    objects = chart.load(renderings["streams"])
    scaler = chart.find(objects, "HorizontalPodAutoscaler", "mcp-tunnel")
    assert scaler["apiVersion"] == "autoscaling/v2"
    assert scaler["spec"]["metrics"] == [
        {
            "type": "Pods",
            "pods": {
                "metric": {"name": "mcp_tunnel_event_streams_open"},
                "target": {"type": "AverageValue", "averageValue": "16000"},
            },
        }
    ]
    # What it asks for is a metric that there is, and Prometheus may come for it.
    assert "mcp_tunnel_event_streams_open" in test_metrics.documented()
    assert chart.find(objects, "NetworkPolicy", "mcp-tunnel")["spec"]["ingress"]


@pytest.mark.parametrize(
    "values, words",
    [
        ({"targetCPUUtilizationPercentage": None}, "needs something to aim at"),
        ({"targetActiveStreams": 100}, "autoscaling.targetActiveStreams: needs metrics.enabled: true"),
        ({"minReplicas": 6}, "autoscaling.maxReplicas: 5 is less than minReplicas, 6"),
    ],
)
def test_an_autoscaler_that_could_not_scale_is_refused(values, words, tmp_path):
    with pytest.raises(chart.RenderError, match=words):
        chart.render(chart.CASES["managed"], {"autoscaling": {"enabled": True, **values}}, tmp_path)


def test_new_pods_come_before_old_ones_go(renderings):
    deployment = chart.find(chart.load(renderings["managed"]), "Deployment", "mcp-tunnel")
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_pods_are_spread(renderings):
    spec, _ = pod_of(chart.load(renderings["managed"]))
    assert [each["topologyKey"] for each in spec["topologySpreadConstraints"]] == [
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    ]
    spec, _ = pod_of(chart.load(renderings["everything"]))
    (given,) = spec["topologySpreadConstraints"]
    assert given["labelSelector"] == {"matchLabels": {"app.kubernetes.io/name": "mcp-tunnel"}}, "left as it was"


def test_what_was_set_for_pods_arrives(renderings):
    objects = chart.load(renderings["everything"])
    for thing, labels, spec in chart.pods(objects):
        assert spec["imagePullSecrets"] == [{"name": "registry"}]
        assert spec["priorityClassName"] == "high"
        assert spec["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
        assert spec["tolerations"] == [{"key": "dedicated", "operator": "Exists"}]
        assert spec["securityContext"]["runAsUser"] == 1000
        assert spec["hostAliases"] == [{"ip": "10.1.2.3", "hostnames": ["docs-mcp.internal"]}]
        assert spec["dnsPolicy"] == "None" and spec["dnsConfig"]["nameservers"] == ["10.0.0.10"]
        assert ("team" in labels) is (thing["kind"] != "Pod")
    for _, _, container in chart.containers(objects):
        if container["name"] in ("first", "beside"):
            continue
        if container["name"] == "cloudflared":
            assert container["image"] == "registry.example.com/cloudflared:2026.3.0"
        else:
            assert container["image"] == f"registry.example.com/mcp-proxy@sha256:{1:064}"
        assert container["imagePullPolicy"] == "Always"
    spec, containers = pod_of(objects)
    assert spec["affinity"]["nodeAffinity"]
    assert spec["terminationGracePeriodSeconds"] == 600
    assert {"name": "TUNNEL_METRICS", "value": "0.0.0.0:2000"} in containers["cloudflared"]["env"]
    assert containers["cloudflared"]["ports"] == [{"name": "metrics", "containerPort": 2000}]
    assert containers["cloudflared"]["args"][:4] == ["tunnel", "--no-autoupdate", "--loglevel", "debug"]
    assert containers["cloudflared"]["volumeMounts"] == [{"name": "notes", "mountPath": "/notes"}]
    assert containers["cloudflared"]["livenessProbe"]["exec"]["command"] == ["cloudflared", "tunnel", "ready"]
    assert [each["name"] for each in spec["initContainers"]] == ["first", "mcp-proxy"]
    assert [each["name"] for each in spec["containers"]] == ["cloudflared", "beside"]
    assert spec["serviceAccountName"] == "acme-proxy"
    assert {"name": "TUNNEL_TRANSPORT_PROTOCOL", "value": "http2"} in containers["cloudflared"]["env"]
    assert {"name": "TZ", "value": "UTC"} in containers["mcp-proxy"]["env"]
    deployment = chart.find(objects, "Deployment", "acme-mcp-tunnel")
    assert deployment["spec"]["revisionHistoryLimit"] == 3
    assert deployment["metadata"]["annotations"]["example.com/reload"] == "no"


def test_what_was_set_for_all_objects_arrives_and_is_in_no_selector(renderings):
    objects = chart.load(renderings["everything"])
    for thing in objects:
        assert thing["metadata"]["labels"]["example.com/cost"] == "tunnels"
        assert thing["metadata"]["annotations"]["example.com/owner"] == "networks"
        if pod := chart.pod_of(thing):
            assert pod[0]["example.com/cost"] == "tunnels"
        for field in ("selector", "podSelector"):
            assert "example.com/cost" not in str(thing.get("spec", {}).get(field))
    account = chart.find(objects, "ServiceAccount", "acme-setup")["metadata"]["annotations"]
    assert account["example.com/team"] == "tunnels" and "helm.sh/hook" in account


def test_an_account_of_the_pods_is_made_when_asked_for(tmp_path):
    values = {"serviceAccount": {"create": True, "annotations": {"a": "b"}}}
    objects = chart.render(chart.CASES["external"], values, tmp_path)
    account = chart.find(objects, "ServiceAccount", "mcp-tunnel")
    assert account["metadata"]["annotations"] == {"a": "b"} and account["automountServiceAccountToken"] is False
    assert pod_of(objects)[0]["serviceAccountName"] == "mcp-tunnel"
