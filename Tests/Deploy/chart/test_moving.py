"""docs/moving.md for Helm: what is there from Anthropic's chart stays in use, and nothing of ours stands in its way."""

import chart

MANAGED = chart.CASES["managed"]


def rendered(*arguments):
    return chart.load(chart.run(*MANAGED.arguments(), *arguments))


def names(objects, kind):
    return {each["metadata"]["name"] for each in objects if each["kind"] == kind}


def test_the_secret_of_a_release_is_used_and_not_made():
    """Helm refuses to install what is there already, and the Secret is there."""
    objects = rendered()
    assert "mcp-tunnel" not in names(objects, "Secret")
    job = chart.find(objects, "Job", "mcp-tunnel-setup")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert "--output=k8s-secret:mcp-tunnel" in container["args"]


def test_accounts_of_another_release_are_named_as_in_the_guide():
    """`<release>-setup` and `<release>-cert-renew`, with the override that the page names."""
    objects = rendered("-release", "acme", "-set", "fullnameOverride=acme")
    assert {"acme-setup", "acme-cert-renew"} <= names(objects, "ServiceAccount")
    job = chart.find(objects, "Job", "acme-setup")
    assert job["spec"]["template"]["spec"]["serviceAccountName"] == "acme-setup"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert "--output=k8s-secret:acme" in container["args"]
