"""docs/moving.md for Helm: the accounts that a federation rule names for Anthropic's chart are those of ours."""

import pytest

import chart


@pytest.mark.parametrize("release", ["mcp-tunnel", "acme"])
def test_accounts_of_every_release_are_named_as_in_the_guide(release):
    """`<release>-setup` and `<release>-cert-renew`, and the Secret has the release's name."""
    objects = chart.load(chart.run(*chart.CASES["managed"].arguments(), "-release", release))
    accounts = {each["metadata"]["name"] for each in objects if each["kind"] == "ServiceAccount"}
    assert {f"{release}-setup", f"{release}-cert-renew"} <= accounts
    pod = chart.find(objects, "Job", f"{release}-setup")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == f"{release}-setup"
    (container,) = pod["containers"]
    assert f"--output=k8s-secret:{release}" in container["args"]
