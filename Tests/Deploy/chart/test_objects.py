"""What holds for the objects of every rendering."""

import re

import kubernetes_validate
import pytest

import chart


@pytest.mark.parametrize("version", ["1.27", "1.30", "1.37"])
def test_kubernetes_knows_every_field(objects, name, version):
    if version == "1.27" and name != "oldest-cluster":
        # Rendered for a cluster of that age, they have no `preStop.sleep`.
        objects = chart.load(chart.run(*chart.CASES[name].arguments(), "-kube-version", "1.27.0"))
    for thing in objects:
        # Those of the operator are in test_metrics.py.
        if not thing["apiVersion"].startswith("monitoring.coreos.com/"):
            kubernetes_validate.validate(thing, version, strict=True)


def test_names_are_unique_and_valid(objects):
    names = [(each["kind"], each["metadata"]["name"]) for each in objects]
    assert len(names) == len(set(names))
    for kind, name in names:
        assert re.fullmatch("[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
        assert len(name) <= (52 if kind == "CronJob" else 63), "a CronJob adds 11 characters"


def test_every_object_is_in_the_namespace_of_the_release(objects, name):
    assert {each["metadata"]["namespace"] for each in objects} == {chart.CASES[name].namespace}


def selectors(thing):
    """Every selector in an object that means pods of the release, with what they are for."""
    spec = thing.get("spec", {})
    match thing["kind"]:
        case "Deployment":
            yield spec["selector"]["matchLabels"]
            for constraint in spec["template"]["spec"].get("topologySpreadConstraints", []):
                yield constraint["labelSelector"]["matchLabels"]
        case "Service":
            yield spec["selector"]
        case "PodMonitor":
            yield spec["selector"]["matchLabels"]
        case "PodDisruptionBudget":
            yield spec["selector"]["matchLabels"]
        case "NetworkPolicy":
            yield spec["podSelector"]["matchLabels"]


def test_every_selector_matches_pods(objects):
    labels = [labels for _, labels, _ in chart.pods(objects)]
    for thing in objects:
        for selector in selectors(thing):
            if not any(selector.items() <= each.items() for each in labels):
                # The setup policy has its pods only where the hook is rendered, and always together with it.
                pytest.fail(f"{thing['kind']} {thing['metadata']['name']}: nothing has {selector}")


def test_the_deployment_selects_its_own_pods_only(objects):
    deployment = next(each for each in objects if each["kind"] == "Deployment")
    selector = deployment["spec"]["selector"]["matchLabels"]
    selected = [thing["kind"] for thing, labels, _ in chart.pods(objects) if selector.items() <= labels.items()]
    assert selected == ["Deployment"]


def test_labels_of_a_chart_version_are_not_in_pods(objects):
    """They would replace the pods at every upgrade of the chart, and cannot be in selectors."""
    for thing, labels, _ in chart.pods(objects):
        # The test's pod is made anew each time.
        assert thing["kind"] == "Pod" or not labels.keys() & {"helm.sh/chart", "app.kubernetes.io/version"}


def test_references_lead_somewhere(objects, name):
    case = chart.CASES[name]
    made_outside = {
        "Secret": {case.release, "mcp-tunnel-token", "mcp-tunnel-cert", "registry"},
        "ConfigMap": {"corp-ca", "trust"},
        "ServiceAccount": {"default", "acme-proxy"},
    }

    def check(kind, target):
        known = {each["metadata"]["name"] for each in objects if each["kind"] == kind}
        assert target in known | made_outside.get(kind, set()), f"{kind} {target}"

    for thing, _, spec in chart.pods(objects):
        check("ServiceAccount", spec.get("serviceAccountName", "default"))
        for volume in spec.get("volumes", []):
            for source in chart.secrets(volume):
                check("Secret", source["name"])
            if "configMap" in volume:
                check("ConfigMap", volume["configMap"]["name"])
    for _, _, container in chart.containers(objects):
        for variable in container.get("env", []):
            if "secretKeyRef" in variable.get("valueFrom", {}):
                check("Secret", variable["valueFrom"]["secretKeyRef"]["name"])
    for thing in objects:
        if thing["kind"] == "RoleBinding":
            check("Role", thing["roleRef"]["name"])
            for subject in thing["subjects"]:
                assert subject["namespace"] == case.namespace
                check("ServiceAccount", subject["name"])
        if thing["kind"] == "HorizontalPodAutoscaler":
            check("Deployment", thing["spec"]["scaleTargetRef"]["name"])


def test_mounts_are_volumes(objects):
    for thing, _, spec in chart.pods(objects):
        volumes = {volume["name"] for volume in spec.get("volumes", [])}
        containers = spec.get("initContainers", []) + spec["containers"]
        mounts = [mount for container in containers for mount in container.get("volumeMounts", [])]
        assert {mount["name"] for mount in mounts} == volumes, thing["metadata"]["name"]
        for mount in mounts:
            assert "subPath" not in mount, "would never see a new certificate"
        for container in spec["containers"]:
            paths = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
            assert len(paths) == len(set(paths))


def test_what_comes_from_the_cluster_is_mounted_to_be_read(objects):
    """The kubelet writes such a volume anew; what a container wrote into it would be lost or, in older ones, would stay."""
    for _, spec, container in chart.containers(objects):
        kinds = {volume["name"]: volume.keys() for volume in spec.get("volumes", [])}
        for mount in container.get("volumeMounts", []):
            if kinds[mount["name"]] & {"configMap", "projected", "secret"}:
                assert mount["readOnly"] is True, mount["mountPath"]


def test_no_two_jobs_of_a_schedule_run_at_a_time(objects):
    """Each would change the Secret under the other."""
    for thing in objects:
        if thing["kind"] == "CronJob":
            assert thing["spec"]["concurrencyPolicy"] == "Forbid", thing["metadata"]["name"]


def test_a_job_that_fails_leaves_its_log(objects):
    """A container that is started again takes the place of the one that failed; a new pod stands beside it."""
    for thing, _, spec in chart.pods(objects):
        if thing["kind"] in ("Job", "CronJob"):
            assert spec["restartPolicy"] == "Never", thing["metadata"]["name"]


def test_probes_and_ports_agree(objects):
    for _, _, container in chart.containers(objects):
        ports = {port["name"] for port in container.get("ports", [])}
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            for handler in ("tcpSocket", "httpGet"):
                port = container.get(kind, {}).get(handler, {}).get("port")
                assert port is None or isinstance(port, int) or port in ports
