"""`setup rotate-ca`: a new CA beside the old one, then in its place; told at each step what is left."""

from __future__ import annotations

from pathlib import Path

from conftest import TUNNEL_ID
from peers.setup import FAST, NAMES, Output, Setup, TunnelsAPI, finished


def test_rotate_ca_the_whole_way(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    setup("init", f"--output={output}", FAST, "--token-version=1", environment={"TUNNEL_ID": TUNNEL_ID})
    old, before = api.authorities(TUNNEL_ID)[0], output.contents()
    nothing = setup("rotate-ca", "--finish", f"--output={output}", "--json")
    assert nothing.json["stage"] == "nothing-to-finish" and output.contents() == before

    begun = setup("rotate-ca", f"--output={output}", "--json")
    new = api.authorities(TUNNEL_ID)[1]
    report = begun.json
    assert (report["stage"], report["ca_id"], report["previous_ca_id"]) == ("waiting-to-finish", new["id"], old["id"])
    assert "--finish" in report["next"] and old["id"] in report["next"] and report["next"] in begun.stderr
    assert output.fingerprint() == new["fingerprint"] != old["fingerprint"]
    changed = {name for name in NAMES if output.bytes(name) != before[name]}
    assert changed == {"ca.crt", "ca.key", "tls.crt", "tls.key"}
    verdict = setup("verify", f"--output={output}", "--json")
    assert "rotate-ca" in verdict.json["note"]

    # Again: told what is left, and nothing is done twice; the other commands work meanwhile.
    after = output.contents()
    again = setup("rotate-ca", f"--output={output}", "--json")
    assert again.json["stage"] == "waiting-to-finish" and output.contents() == after
    assert len(api.authorities(TUNNEL_ID)) == 2
    setup("renew-cert", f"--output={output}")
    setup("init", f"--output={output}", "--token-version=1")
    assert len(api.authorities(TUNNEL_ID)) == 2

    done = setup("rotate-ca", "--finish", f"--output={output}", "--json")
    assert done.json["stage"] == "finished" and done.json["previous_ca_id"] == old["id"]
    assert [entry["id"] for entry in api.authorities(TUNNEL_ID)] == [new["id"]]
    assert [entry["id"] for entry in api.authorities(TUNNEL_ID, revoked=True)] == [old["id"]]
    output.check(api)
    again = setup("rotate-ca", "--finish", f"--output={output}", "--json")
    assert again.json["stage"] == "nothing-to-finish"


def test_rotate_ca_refuses_when_both_slots_are_foreign(
    setup: Setup, api: TunnelsAPI, output: Output, tmp_path: Path
) -> None:
    setup("init", f"--output={output}", FAST, environment={"TUNNEL_ID": TUNNEL_ID})
    setup("certs", "revoke", api.authorities(TUNNEL_ID)[0]["id"], f"--tunnel-id={TUNNEL_ID}", "--yes", "--force")
    for number in range(2):
        setup("init", f"--output=dir:{tmp_path}/other-{number}", FAST, environment={"TUNNEL_ID": TUNNEL_ID})
    before, foreign = output.contents(), api.authorities(TUNNEL_ID)
    outcome = setup("rotate-ca", f"--output={output}", status=1)
    for entry in foreign:
        assert entry["id"] in outcome.stderr and entry["fingerprint"] in outcome.stderr
    assert "not the one in" in outcome.stderr and output.contents() == before
    assert api.authorities(TUNNEL_ID) == foreign


def test_rotate_ca_refuses_when_no_slot_is_free(
    setup: Setup, api: TunnelsAPI, output: Output, tmp_path: Path
) -> None:
    setup("init", f"--output={output}", FAST, environment={"TUNNEL_ID": TUNNEL_ID})
    setup("init", f"--output=dir:{tmp_path}/other", FAST, environment={"TUNNEL_ID": TUNNEL_ID})
    outcome = setup("rotate-ca", f"--output={output}", status=1)
    assert "setup certs revoke" in outcome.stderr and len(api.authorities(TUNNEL_ID)) == 2
    output.check(api)


def test_finish_does_not_cut_the_tunnel_off(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    """The old CA stays while the new one is not registered, or the server's certificate is not good under it."""
    setup("init", f"--output={output}", FAST, environment={"TUNNEL_ID": TUNNEL_ID})
    tls = {name: output.bytes(name) for name in ("tls.crt", "tls.key")}
    setup("rotate-ca", f"--output={output}")
    for name, content in tls.items():
        output.path(name).write_bytes(content)
    outcome = setup("rotate-ca", "--finish", f"--output={output}", status=1)
    assert "renew-cert" in outcome.stderr and len(api.authorities(TUNNEL_ID)) == 2
    setup("renew-cert", f"--output={output}")
    new = next(entry for entry in api.authorities(TUNNEL_ID) if entry["fingerprint"] == output.fingerprint())
    setup("certs", "revoke", new["id"], f"--output={output}", "--yes", "--force")
    outcome = setup("rotate-ca", "--finish", f"--output={output}", status=1)
    assert "not registered" in outcome.stderr and len(api.authorities(TUNNEL_ID)) == 1


def test_rotate_ca_without_a_tunnel(setup: Setup, output: Output) -> None:
    for extra in ([], ["--finish"]):
        assert "setup init" in setup("rotate-ca", f"--output={output}", *extra, status=1).stderr


def test_rotate_ca_killed_between(setup: Setup, api: TunnelsAPI, output: Output) -> None:
    """After the registration, before the answer: the same CA is gone on with."""
    setup("init", f"--output={output}", FAST, "--token-version=1", environment={"TUNNEL_ID": TUNNEL_ID})
    before = output.contents()
    api.fail("stall", "/v1/tunnels/*/certificates", acts=True)
    process = setup.start("rotate-ca", f"--output={output}")
    api.wait_for_fault(process)
    process.kill()
    finished(process)
    assert {name: output.bytes(name) for name in NAMES} == {name: before[name] for name in NAMES}
    setup("verify", f"--output={output}")
    assert len(api.authorities(TUNNEL_ID)) == 2
    outcome = setup("rotate-ca", "--finish", f"--output={output}", status=1)
    assert "run setup rotate-ca without --finish" in outcome.stderr
    setup("rotate-ca", f"--output={output}")
    assert output.fingerprint() == api.authorities(TUNNEL_ID)[1]["fingerprint"]
    setup("rotate-ca", "--finish", f"--output={output}")
    assert len(api.authorities(TUNNEL_ID)) == 1
    output.check(api)
