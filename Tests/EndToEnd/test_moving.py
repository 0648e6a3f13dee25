"""docs/moving.md: a folder as the vendor's documents describe theirs is taken over, and nothing outside changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import TUNNEL_ID
from cryptography.hazmat.primitives import serialization
from peers.proxy import Proxy, yaml
from peers.setup import NAMES, Output, Setup, TunnelsAPI
from peers.upstream import Upstream, echo
from test_setup_kubernetes import SECRET, Pod, cluster, pod  # noqa: F401

#: How a key may be written: PKCS#8, or as its kind was written before there was that.
FORMATS = {
    "PKCS#8": serialization.PrivateFormat.PKCS8,
    "SEC1 and PKCS#1": serialization.PrivateFormat.TraditionalOpenSSL,
}
TAKEN = sorted(NAMES - {"token-version"})


def as_theirs(output: Output, form: str, line_feed: bool) -> None:
    """Leaves the files that are documented, keys in a form, and values with a line feed or without."""
    for name in output.names() - set(TAKEN):
        output.path(name).unlink()
    output.path(".setup.lock").unlink()
    for name in ("ca.key", "tls.key"):
        key = serialization.load_pem_private_key(output.bytes(name), None)
        output.path(name).write_bytes(
            key.private_bytes(serialization.Encoding.PEM, FORMATS[form], serialization.NoEncryption()))
    if line_feed:
        for name in ("tunnel-id", "tunnel-domain", "tunnel-token"):
            output.path(name).write_text(output.text(name) + "\n")


def changed(api: TunnelsAPI) -> list[str]:
    """What was done to tunnels, CAs and tokens: not that somebody came in, nor that the token was compared."""
    return [kind for kind in api.audit() if kind not in ("tunnel_token_minted", "tunnel_token_revealed")]


@pytest.mark.parametrize("line_feed", [False, True])
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("key_type", ["rsa-2048", "ecdsa-p256"])
async def test_their_folder_is_taken_over(
    setup: Setup, api: TunnelsAPI, output: Output, binary: Path, tmp_path: Path, key_type: str, form: str, line_feed: bool
) -> None:
    tunnel = {"TUNNEL_ID": TUNNEL_ID}
    setup("init", f"--output={output}", f"--key-type={key_type}", environment=tunnel)
    as_theirs(output, form, line_feed)
    before, changes = output.contents(), changed(api)

    # Before anything is stopped.
    assert setup("verify", f"--output={output}").stdout.endswith(f"{output}: good\n")
    assert output.contents() == before

    # As their Compose file has it, whatever their token version was.
    setup("init", f"--output={output}", "--token-version=7", environment=tunnel)
    assert changed(api) == changes, "nothing was registered, rotated or made"
    after = output.contents()
    assert after.pop("token-version") == b"7"
    assert after == before, "what is there stays byte for byte"

    domain = output.text("tunnel-domain").strip()
    async with Upstream(echo) as upstream:
        file = tmp_path / "config.yaml"
        file.write_text(yaml({
            "listen_addr": "127.0.0.1:0", "tunnel_domain": domain,
            "tls": {"cert_file": str(output.path("tls.crt")), "key_file": str(output.path("tls.key"))},
            "routes": {"echo": f"http://127.0.0.1:{upstream.port}"}, "upstream": {"allowed_ips": ["127.0.0.1"]}}))
        proxy = Proxy(binary, file)
        try:
            proxy.far_side(domain, output.path("ca.crt"))
            async with proxy.far.http("echo") as http:
                assert (await http.get()).status == 200
        finally:
            proxy.stop()

    setup("renew-cert", f"--output={output}")
    token = output.bytes("tunnel-token")
    setup("init", f"--output={output}", "--token-version=8", environment=tunnel)
    assert output.bytes("tunnel-token") != token, "from now on another version rotates"


def test_their_secret_is_taken_over(setup: Setup, api: TunnelsAPI, output: Output, pod: Pod) -> None:  # noqa: F811
    """As their setup Job has left it, under the release's name: our Job's call registers and rotates nothing."""
    tunnel = {"TUNNEL_ID": TUNNEL_ID}
    setup("init", f"--output={output}", "--key-type=ecdsa-p256", environment=tunnel)
    as_theirs(output, "SEC1 and PKCS#1", line_feed=False)
    before, changes = output.contents(), changed(api)
    pod.cluster.put(SECRET, before)
    pod("verify", f"--output=k8s-secret:{SECRET}")
    pod("init", f"--output=k8s-secret:{SECRET}", "--token-version=7", environment=tunnel)
    assert changed(api) == changes, "nothing was registered, rotated or made"
    assert pod.values() == {**before, "token-version": b"7"}


def test_our_folder_has_what_theirs_is_documented_to_have(setup: Setup, output: Output) -> None:
    """The way back: their files by name, and beside them only what their documents do not name."""
    setup("init", f"--output={output}", "--key-type=ecdsa-p256", "--token-version=1", environment={"TUNNEL_ID": TUNNEL_ID})
    assert output.names() - set(TAKEN) == {"token-version"}
