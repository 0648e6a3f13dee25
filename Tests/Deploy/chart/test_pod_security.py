"""Pods pass the Pod Security Standard `restricted`, hold no secret that they do not need, and none in clear."""

import base64
import re

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
        needs = thing["metadata"]["name"].endswith(("-setup", "-cert-renew"))
        assert spec["automountServiceAccountToken"] is needs
        assert ("serviceAccountName" in spec) is needs
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


def test_the_chart_makes_no_secret_but_that_of_the_api_token(objects, name):
    made = [each["metadata"]["name"] for each in objects if each["kind"] == "Secret"]
    assert made == (["mcp-tunnel-api-token"] if name == "api-token" else [])


def test_keys_of_the_secret_go_where_they_are_needed(objects, name):
    """The proxy gets certificate and key, cloudflared the token; the CA's key goes nowhere."""
    used = {}
    for _, spec, container in chart.containers(objects):
        keys = used.setdefault(container["name"], set())
        mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
        for volume in spec.get("volumes", []):
            if "secret" in volume and volume["name"] in mounted:
                keys |= {item["key"] for item in volume["secret"]["items"]}
        for variable in container.get("env", []):
            if "secretKeyRef" in variable.get("valueFrom", {}):
                keys.add(variable["valueFrom"]["secretKeyRef"]["key"])
    managed = "cert-renew" in used
    assert used["mcp-proxy"] == {"tls.crt", "tls.key"} | ({"tunnel-domain"} if managed else set())
    assert used["cloudflared"] == {"tunnel-token"}
    assert used.get("setup", set()) == ({"api-token"} if name == "api-token" else set())
    assert used.get("cert-renew", set()) == set()
    assert used["healthcheck"] == set()


def test_secret_files_are_for_the_group_only(objects):
    for _, _, spec in chart.pods(objects):
        for volume in spec.get("volumes", []):
            if "secret" in volume:
                assert volume["secret"]["defaultMode"] == 0o440
                assert spec["securityContext"]["fsGroup"]


def test_roles_are_as_small_as_can_be(objects, name):
    release = chart.CASES[name].release
    one = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [release], "verbs": ["get", "patch"]}
    create = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}
    for thing in objects:
        assert thing["kind"] not in ("ClusterRole", "ClusterRoleBinding")
        if thing["kind"] == "Role":
            is_setup = thing["metadata"]["name"].endswith("-setup")
            assert thing["rules"] == ([create, one] if is_setup else [one])
        if thing["kind"] == "RoleBinding":
            account = thing["metadata"]["name"]
            assert thing["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account}
            assert [(each["kind"], each["name"]) for each in thing["subjects"]] == [("ServiceAccount", account)]
