"""Pods pass the Pod Security Standard `restricted`, hold no secret that they do not need, and none in clear."""

import base64
import re

import pytest

import chart

SECRETS = ("sk-ant-secret-0123456789",)
RESTRICTED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def test_pods_pass_restricted(objects):
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, field by field."""
    for _, _, spec in chart.pods(objects):
        for field in ("hostNetwork", "hostPID", "hostIPC"):
            assert not spec.get(field, False)
        for volume in spec.get("volumes", []):
            assert volume.keys() - {"name"} <= RESTRICTED_VOLUMES
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] != 0
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not security.keys() & {"sysctls", "seLinuxOptions", "windowsOptions", "appArmorProfile"}
    for _, _, container in chart.containers(objects):
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security.keys() <= {"allowPrivilegeEscalation", "capabilities", "readOnlyRootFilesystem"}
        assert all("hostPort" not in port for port in container.get("ports", []))


def test_containers_are_hardened_beyond_that(objects):
    for _, spec, container in chart.containers(objects):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["resources"]["limits"]["memory"]
        assert spec["enableServiceLinks"] is False
        assert ":latest" not in container["image"]


def test_only_setup_and_renewal_have_the_kubernetes_api(objects):
    for thing, _, spec in chart.pods(objects):
        needs = spec["containers"][0].get("command") == ["/setup"]
        assert spec["automountServiceAccountToken"] is needs
        assert needs is (thing["kind"] in ("Job", "CronJob"))
        assert spec.get("serviceAccountName", "").endswith(("-setup", "-cert-renew")) is needs
    for thing in objects:
        if thing["kind"] == "ServiceAccount":
            assert thing["automountServiceAccountToken"] is False


def test_secrets_stand_in_secrets_only(renderings, name):
    for text, thing in zip(chart.documents(renderings[name]), chart.load(renderings[name])):
        for secret in SECRETS:
            encoded = base64.b64encode(secret.encode()).decode()
            if thing["kind"] == "Secret":
                assert secret not in text
            else:
                assert secret not in text and encoded not in text
    for _, _, container in chart.containers(chart.load(renderings[name])):
        assert "envFrom" not in container
        for variable in container.get("env", []):
            if re.search("TOKEN$|KEY$|SECRET", variable["name"]):
                assert "value" not in variable
        for argument in container.get("args", []):
            assert not re.search("eyJ|sk-ant", argument)


def test_the_chart_makes_no_secret_but_the_empty_one_and_that_of_the_api_token(objects, name):
    made = {each["metadata"]["name"]: each for each in objects if each["kind"] == "Secret"}
    case = chart.CASES[name]
    is_there = case.cluster is not None or name in ("external", "external-egress", "replicas", "streams")
    assert made.keys() == (set() if is_there else {case.release}) | (
        {"mcp-tunnel-api-token"} if name == "api-token" else set()
    )


def test_no_upgrade_takes_the_data_of_the_secret(objects, name):
    """Where the cluster has it, it is not rendered at all; this is for where nobody could look."""
    for each in objects:
        if each["kind"] != "Secret" or each["metadata"]["name"] != chart.CASES[name].release:
            continue
        # Applied again, client-side or server-side, it says nothing of any key, so each stays as it is.
        assert each.keys() == {"apiVersion", "kind", "metadata", "type"}
        annotations = each["metadata"]["annotations"]
        # No part of the release, and no hook that is deleted before it is made, which without a policy it would be.
        assert annotations["helm.sh/hook-delete-policy"] == "hook-failed"
        assert annotations["helm.sh/resource-policy"] == "keep"
        # Argo CD deletes hooks before each run, and ignores Helm's annotations beside one of its own.
        assert annotations["argocd.argoproj.io/hook"] == "Skip"
        # The documented removal of what a failed installation has left goes by this label.
        assert each["metadata"]["labels"]["app.kubernetes.io/component"] != "setup"


def test_a_secret_of_another_kind_is_not_filled(tmp_path):
    """Such as one into which Kubernetes writes an account's token."""
    secret = (chart.HERE / "clusters/failed.yaml").read_text()
    (tmp_path / "cluster.yaml").write_text(secret.replace("Opaque", "kubernetes.io/service-account-token"))
    arguments = [*chart.CASES["managed"].arguments(), "-cluster", str(tmp_path / "cluster.yaml")]
    with pytest.raises(chart.RenderError, match="is of type kubernetes.io/service-account-token, which is not setup's"):
        chart.run(*arguments)


def test_keys_of_the_secret_go_where_they_are_needed(objects, name):
    """The proxy gets certificate, key and the keys of session tickets, cloudflared the token; the CA's key goes nowhere."""
    used = {}
    for _, spec, container in chart.containers(objects):
        keys = used.setdefault(container["name"], set())
        mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
        for volume in spec.get("volumes", []):
            if volume["name"] in mounted:
                keys |= {item["key"] for source in chart.secrets(volume) for item in source["items"]}
        for variable in container.get("env", []):
            if "secretKeyRef" in variable.get("valueFrom", {}):
                keys.add(variable["valueFrom"]["secretKeyRef"]["key"])
    managed = "cert-renew" in used
    assert used["mcp-proxy"] == {"tls.crt", "tls.key", "ticket-keys"} | ({"tunnel-domain"} if managed else set())
    assert used["cloudflared"] == {"tunnel-token"}
    assert used.get("setup", set()) == ({"api-token"} if name == "api-token" else set())
    assert used.get("cert-renew", set()) == set()
    assert used.get("healthcheck", set()) == set()
    for task in ("certs", "token", "rotate-ca", "finish-ca"):
        assert used.get(task, set()) == ({"api-token"} if name == "api-token" else set())


def test_secret_files_are_for_the_group_only(objects):
    for _, _, spec in chart.pods(objects):
        for volume in spec.get("volumes", []):
            if chart.secrets(volume):
                assert volume["projected"]["defaultMode"] == 0o440
                assert spec["securityContext"]["fsGroup"]


def test_roles_are_as_small_as_can_be(objects, name):
    """Above all, none makes Secrets: whoever can, can have Kubernetes write any account's token into one."""
    release = chart.CASES[name].release
    one = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [release], "verbs": ["get", "patch"]}
    for thing in objects:
        assert thing["kind"] not in ("ClusterRole", "ClusterRoleBinding")
        if thing["kind"] == "Role":
            assert thing["rules"] == [one]
        if thing["kind"] == "RoleBinding":
            account = thing["metadata"]["name"]
            assert thing["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account}
            assert [(each["kind"], each["name"]) for each in thing["subjects"]] == [("ServiceAccount", account)]
