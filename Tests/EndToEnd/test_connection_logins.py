"""Logins that a server keeps with its connection (NTLM, Negotiate) stay with the client that made them."""

from __future__ import annotations

import pytest
from peers.blocking import Tunnel, client_context
from peers.http2 import Client
from peers.scripted import Peer, Scripted


def tunnel(proxy, route: str = "echo") -> Tunnel:
    return Tunnel(proxy.endpoint.port, f"{route}.t.example", client_context(proxy.far.ca_file))


def field(head: str, name: str) -> str:
    for line in head.split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.lower() == name:
            return value.strip()
    return ""


def windows(offer: str, *, says_so: bool = True):
    """A server as IIS is one by default: who has logged in on a connection is the user of what follows on it."""
    def handler(peer: Peer) -> None:
        user = None
        while request := peer.request():
            credentials = field(request[0], "authorization").split(" ")
            if credentials[-1] == "hello":
                peer.respond(b"", f"WWW-Authenticate: {offer} challenge-{peer.number}", status="401 Unauthorized")
            elif credentials[-1].startswith("proof-"):
                # The proof is of this connection's challenge, as NTLM's is.
                name, number = credentials[-1].split("-")[1:]
                assert int(number) == peer.number, "the handshake was torn apart"
                user = name
                peer.respond(f"{user}".encode(), *(["Persistent-Auth: true"] if says_so else []))
            elif user is None and "/open" not in request[0]:
                peer.respond(b"", f"WWW-Authenticate: {offer}", status="401 Unauthorized")
            else:
                peer.respond((user or "nobody").encode())

    return handler


def log_in(one: Tunnel, scheme: str, user: str) -> None:
    assert one.request("GET", "/").status == 401
    challenge = one.request("GET", "/", b"", f"Authorization: {scheme} hello")
    assert challenge.status == 401
    number = (challenge.get("www-authenticate") or "").rpartition("-")[2]
    welcome = one.request("GET", "/", b"", f"Authorization: {scheme} proof-{user}-{number}")
    assert (welcome.status, welcome.body) == (200, user.encode())


@pytest.mark.parametrize("scheme", ["NTLM", "Negotiate", "negotiate", "Kerberos"])
def test_nobody_gets_anothers_login(start, scheme: str) -> None:
    with Scripted(windows(scheme, says_so=False)) as upstream:
        proxy = start({"echo": upstream.url}, threads=1)
        with tunnel(proxy) as alice, tunnel(proxy) as bob:
            log_in(alice, scheme, "alice")
            assert bob.request("GET", "/").status == 401
            # No more is needed on the same tunnel, whatever came in between.
            for _ in range(3):
                again = alice.request("POST", "/", b"{}")
                assert (again.status, again.body) == (200, b"alice")
                assert bob.request("GET", "/").status == 401
            log_in(bob, scheme, "bob")
            assert alice.request("GET", "/").body == b"alice"
            assert bob.request("GET", "/").body == b"bob"
            # A third one, after both.
            with tunnel(proxy) as carol:
                assert carol.request("GET", "/").status == 401


def test_streams_of_a_client_share_no_login(start) -> None:
    """By HTTP/2 a connection carries the requests of many at once. One of them is not all of them."""
    def handler(peer: Peer) -> None:
        user = None
        while request := peer.request():
            user = field(request[0], "authorization").rpartition("-")[2] or user
            peer.respond((user or "nobody").encode(), status="200 OK" if user else "401 Unauthorized")

    with Scripted(handler) as upstream:
        proxy = start({"echo": upstream.url}, threads=1)
        with Client.connect(proxy) as client:
            assert client.request(fields=[("authorization", "NTLM proof-alice")]).body == b"alice"
            assert client.request().status == 401


def test_a_login_in_the_request_alone_is_enough(start) -> None:
    """A client may begin with its credentials, and the server need not say a word of the scheme."""
    def handler(peer: Peer) -> None:
        user = b""
        while request := peer.request():
            if field(request[0], "authorization") == "Negotiate ticket-of-alice":
                user = b"alice"
            peer.respond(user or b"nobody")

    with Scripted(handler) as upstream:
        proxy = start({"echo": upstream.url}, threads=1)
        with tunnel(proxy) as alice, tunnel(proxy) as bob:
            # A connection that others used before is hers from now on.
            assert bob.request("GET", "/").body == b"nobody"
            assert alice.request("GET", "/", b"", "Authorization: Negotiate ticket-of-alice").body == b"alice"
            assert len(upstream.peers) == 1
            assert bob.request("GET", "/").body == b"nobody"
            assert alice.request("GET", "/").body == b"alice"
            assert len(upstream.peers) == 2


def test_what_only_says_persistent_auth_is_bound(start) -> None:
    """A scheme of its own, and the field that IIS announces such a login with."""
    def handler(peer: Peer) -> None:
        user = b""
        while request := peer.request():
            lines = []
            if credentials := field(request[0], "authorization"):
                user, lines = credentials.encode(), ["Persistent-Auth: true"]
            peer.respond(user or b"nobody", *lines)

    with Scripted(handler) as upstream:
        proxy = start({"echo": upstream.url}, threads=1)
        with tunnel(proxy) as alice, tunnel(proxy) as bob:
            assert alice.request("GET", "/", b"", "Authorization: Own alice").body == b"Own alice"
            assert bob.request("GET", "/").body == b"nobody"
            assert alice.request("GET", "/").body == b"Own alice"


def test_the_connection_ends_with_its_client(start) -> None:
    with Scripted(windows("NTLM")) as upstream:
        proxy = start({"echo": upstream.url}, threads=1)
        with tunnel(proxy) as alice:
            log_in(alice, "NTLM", "alice")
            assert len(upstream.peers) == 1
            assert not upstream.results, "it is kept as long as she is there"
        upstream.wait(5)
        with tunnel(proxy) as bob:
            assert bob.request("GET", "/").status == 401


def test_each_upstream_keeps_its_own(start) -> None:
    """One tunnel with two routes: a login at one is none at the other, and both are kept."""
    with Scripted(windows("NTLM")) as first, Scripted(windows("Negotiate")) as second:
        proxy = start({"one": first.url, "two": second.url}, threads=1)
        with tunnel(proxy, "one") as alice:
            log_in(alice, "NTLM", "alice")
            host = "two.t.example"
            assert alice.request("GET", "/", host=host).status == 401
            challenge = alice.request("GET", "/", b"", "Authorization: Negotiate hello", host=host)
            number = (challenge.get("www-authenticate") or "").rpartition("-")[2]
            proof = f"Authorization: Negotiate proof-anna-{number}"
            assert alice.request("GET", "/", b"", proof, host=host).body == b"anna"
            assert alice.request("GET", "/").body == b"alice"
            assert alice.request("GET", "/", host=host).body == b"anna"
        first.wait(5)
        second.wait(5)


@pytest.mark.parametrize("credentials", ["Bearer NTLM", "Basic YWxpY2U6eA==", "Bearer eyJhbGciOiJub25lIn0.Negotiate.x"])
def test_ordinary_logins_share_connections(start, credentials: str) -> None:
    def handler(peer: Peer) -> None:
        while request := peer.request():
            allowed = bool(field(request[0], "authorization"))
            status = "200 OK" if allowed else "401 Unauthorized"
            peer.respond(b"", 'WWW-Authenticate: Bearer realm="NTLM", Basic realm="x"', status=status)

    with Scripted(handler) as upstream:
        proxy = start({"echo": upstream.url}, threads=1)
        for _ in range(3):
            with tunnel(proxy) as one:
                assert one.request("GET", "/").status == 401
                assert one.request("GET", "/", b"", f"Authorization: {credentials}").status == 200
        assert len(upstream.peers) == 1
