"""Renders the chart, and looks at what comes out of it."""

import dataclasses
import json
import os
import pathlib
import subprocess

import yaml

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]
CHART = ROOT / "deploy/helm/mcp-tunnel"
MANAGED = "guide-configure-tunnel-attachment-and-routes"
EXTERNAL = "guide-set-values-for-external-mode"


class RenderError(Exception):
    """The chart refused its values; the message is what Helm's user would read."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One set of values. Later files win over earlier ones."""

    files: tuple[str, ...]
    sets: tuple[str, ...] = ()
    release: str = "mcp-tunnel"
    namespace: str = "mcp-tunnel"
    is_upgrade: bool = False
    kube_version: str = "1.34.0"
    #: What `lookup` finds: a file in clusters/. Without it nothing, as where there is no cluster.
    cluster: str | None = None
    #: APIs that the cluster has beside Kubernetes' own.
    api_versions: tuple[str, ...] = ()

    def arguments(self):
        arguments = ["-release", self.release, "-namespace", self.namespace, "-kube-version", self.kube_version]
        for name in self.files:
            arguments += ["-f", str(HERE / f"cases/{name}.yaml")]
        for text in self.sets:
            arguments += ["-set", text]
        for version in self.api_versions:
            arguments += ["-api-versions", version]
        if self.cluster:
            arguments += ["-cluster", str(HERE / f"clusters/{self.cluster}.yaml")]
        return arguments + ["-is-upgrade"] * self.is_upgrade


CASES = {
    "managed": Case((MANAGED,)),
    "external": Case((EXTERNAL,)),
    "sample-server": Case(("guide-use-a-sample-mcp-server",)),
    "federation": Case((MANAGED, "guide-set-up-workload-identity-federation")),
    "egress": Case((MANAGED, "guide-restrict-egress-with-networkpolicy")),
    "external-egress": Case((EXTERNAL, "guide-restrict-egress-with-networkpolicy")),
    "tuned": Case((MANAGED, "guide-tune-the-proxy")),
    "own-token": Case((MANAGED, "guide-supply-your-own-oidc-token")),
    "rotate": Case(
        (MANAGED, "guide-rotate-the-tunnel-token"), ("setup.force=true",), is_upgrade=True, cluster="complete"
    ),
    "reinstall": Case((MANAGED,), cluster="complete"),
    "upgrade": Case((MANAGED,), is_upgrade=True, cluster="complete"),
    "upgrade-after-failure": Case((MANAGED,), is_upgrade=True, cluster="failed"),
    "upgrade-without-cluster": Case((MANAGED,), is_upgrade=True),
    "chart-2-names": Case((MANAGED, "chart-2-names")),
    "api-token": Case(("api-token",)),
    "everything": Case(("everything",), release="acme", namespace="tools"),
    "replicas": Case((EXTERNAL, "replicas")),
    "metrics": Case((MANAGED, "metrics"), api_versions=("monitoring.coreos.com/v1",)),
    "metrics-without-operator": Case((MANAGED, "metrics")),
    "oldest-cluster": Case((MANAGED,), kube_version="1.27.0"),
    "without-sidecars": Case((MANAGED,), kube_version="1.32.0"),
    "streams": Case((EXTERNAL, "streams")),
}


def pins():
    """The versions of cloudflared that our files name."""
    lines = (ROOT / "deploy/cloudflared.pins").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def run(*arguments, chart=CHART):
    """What chart-render prints."""
    done = subprocess.run([os.environ["CHART_RENDER"], *arguments, str(chart)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RenderError(done.stderr)
    return done.stdout


def documents(text):
    """The texts of the YAML documents in a rendering."""
    return [part for part in text.split("---\n") if part.strip()]


def load(text):
    """The objects in a rendering."""
    return [yaml.safe_load(part) for part in documents(text)]


def render(case, values=None, tmp_path=None):
    """The objects of a case, with further values on top."""
    arguments = case.arguments()
    if values is not None:
        extra = tmp_path / "values.yaml"
        extra.write_text(json.dumps(values))  # JSON quotes texts, so that no reader can mistake them.
        arguments += ["-f", str(extra)]
    return load(run(*arguments))


def find(objects, kind, name):
    """The one object of a kind and name."""
    found = [each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name]
    assert len(found) == 1, f"{len(found)} of {kind} {name}"
    return found[0]


def secrets(volume):
    """The Secrets of a projected volume, each with its name and items."""
    assert "secret" not in volume, "a volume of one Secret cannot take a key that may be missing"
    return [source["secret"] for source in volume.get("projected", {}).get("sources", []) if "secret" in source]


def pod_of(thing):
    """Labels and spec of the pods that an object makes, or nothing."""
    match thing["kind"]:
        case "Pod":
            return thing["metadata"].get("labels", {}), thing["spec"]
        case "CronJob":
            template = thing["spec"]["jobTemplate"]["spec"]["template"]
        case "Deployment" | "Job":
            template = thing["spec"]["template"]
        case _:
            return None
    return template["metadata"]["labels"], template["spec"]


def pods(objects):
    """(object, labels, spec) of everything that makes pods."""
    return [(each, *pod_of(each)) for each in objects if pod_of(each)]


def containers(objects):
    """(object, pod's spec, container) of every container."""
    return [
        (thing, spec, container)
        for thing, _, spec in pods(objects)
        for container in spec.get("initContainers", []) + spec["containers"]
    ]


def named(spec, name):
    """The one container of a pod by its name, a sidecar too."""
    (found,) = [each for each in spec.get("initContainers", []) + spec["containers"] if each["name"] == name]
    return found


def configuration(objects):
    """The text of the proxy's configuration."""
    found = [each for each in objects if each["kind"] == "ConfigMap" and "config.yaml" in each["data"]]
    assert len(found) == 1
    return found[0]["data"]["config.yaml"]


def hooks(objects):
    """Hook annotations by kind and name."""
    return {
        (each["kind"], each["metadata"]["name"]): each["metadata"]["annotations"]
        for each in objects
        if "helm.sh/hook" in each["metadata"].get("annotations", {})
    }
