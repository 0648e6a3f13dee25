"""The inner TLS: each client's outcome at `mcp-proxy` beside what it gets from `openssl s_server` with the same settings."""

from __future__ import annotations

import random
import re
import socket
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from context import Context, openssl_version
from lab import HOST, Files, running
from peers.blocking import frames
from peers.bridge import Bridge
from peers.endpoint import free_port
from peers.pki import Leaf
from peers.raw_websocket import upgrade_head
from record import Case, Suite
from smuggling_suite import Origin

SEED = 7
HELLOS, BOUNDED_HELLOS = 1_000, 50
SUITES12 = ("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
            "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:@SECLEVEL=2")
SUITES13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

ALPN = ("no common protocol; we go on without ALPN, since such a client may speak HTTP/1.1 all the same, and `s_server` ends the "
        "handshake, as RFC 7301 would have it")
SUITE = Suite(
    "tls", "Inner TLS",
    f"""
Clients of many settings, each once against `mcp-proxy` and once against `openssl s_server` with the proxy's settings: versions,
suites, groups, signatures with an ECDSA and an RSA certificate, ALPN, resumption, fragments. The same is version, suite, group, signature,
protocol, whether the session was resumed, or the alert. Then a ClientHello in {HELLOS:,} damaged forms, each in one piece and without more behind it:
the same is the ServerHello's version and suite, a HelloRetryRequest, the alert, or silence. One that is cut off gets an alert from
`s_server` and silence from us, since by then the client has gone. Both run on the same OpenSSL, so this
shows what our driving of it adds or takes away, not OpenSSL itself.
""",
    {"the same": 0, "cut off": 0, "differs on purpose": 1, "differs": 5},
    {
        **{f"{kind}/alpn {name}": ALPN for kind in ("ecdsa", "rsa") for name in (
            "acme-tls/1", "acme-tls/1 -tls1_2", "http/1.0", "http/1.0 -tls1_2")},
        **{f"hello/{SEED}/{number}": f"its protocol is damaged: {ALPN}" for number in range(1, HELLOS + 1)},
    })


@dataclass
class Pair:
    """One certificate, at the proxy and at OpenSSL's server. Both are reached at a port by TLS alone."""

    proxy: int
    theirs: int
    #: The proxy's own port.
    listener: int
    ca_file: Path


@contextmanager
def pair(folder: Path, key: str, origin: Origin) -> Iterator[Pair]:
    folder.mkdir()
    files = Files(folder)
    if key == "rsa":
        from peers.certificates import make_key, pkcs8

        private = make_key("rsa2048")
        leaf = files.ca.issue("*.t.example", "t.example", key=private)
        files.certificate, files.key = Leaf(leaf.certificate, pkcs8(private), 0).write(folder)
    port = free_port()
    server = subprocess.Popen(
        ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", files.certificate, "-key", files.key, "-cipher", SUITES12,
         "-ciphersuites", SUITES13, "-groups", "X25519:P-256:P-384", "-alpn", "h2,http/1.1", "-serverpref", "-prioritize_chacha",
         "-no_renegotiation", "-no_comp", "-min_protocol", "TLSv1.2", "-num_tickets", "1", "-no_cache", "-www"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with running(folder, files, origin.url) as proxy, Bridge(proxy) as bridge:
            wait_for(port)
            yield Pair(bridge.port, port, proxy.endpoint.port, files.ca_file)
    finally:
        server.kill()
        server.wait()


def wait_for(port: int) -> None:
    import time

    for _ in range(400):
        with suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.05)
    raise SystemExit("s_server does not listen")


# Whole handshakes, by `openssl s_client`.


def outcome(port: int, pair: Pair, *arguments: str | Path) -> str:
    """What a client says of its connection, in one line."""
    result = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", HOST, "-CAfile", pair.ca_file, "-ign_eof", *arguments],
        input=f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n", capture_output=True, text=True, timeout=30, check=False,
        errors="replace")
    said = result.stdout + result.stderr
    if found := re.search(r"^(New|Reused), (TLSv\S+), Cipher is (\S+)", said, re.M):
        parts = [found[1], found[2], found[3]]
        for label in ("Server Temp Key", "Peer signature type", "Peer signing digest", "ALPN protocol", "Verification"):
            parts += re.findall(rf"^{label}: (.*)$", said, re.M)[:1]
        return " ".join(parts)
    alert = re.search(r"SSL alert number (\d+)", said)
    return f"alert {alert[1]}" if alert else "no handshake"


def probes() -> Iterator[tuple[str, str, list[str]]]:
    """Group, name, and what `s_client` is told."""
    for version in ("-tls1", "-tls1_1", "-tls1_2", "-tls1_3"):
        yield "version", f"version {version}", [version, "-cipher", "ALL:@SECLEVEL=0"]
    yield "version", "version any", []
    for suite in (*SUITES13.split(":"), "TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256", ":".join(reversed(SUITES13.split(":")))):
        yield "suite of 1.3", f"suite {suite}", ["-tls1_3", "-ciphersuites", suite]
    every = subprocess.run(["openssl", "ciphers", "-s", "-tls1_2", "ALL:@SECLEVEL=0"], capture_output=True, text=True, check=True).stdout
    for suite in every.strip().split(":"):
        yield "suite of 1.2", f"suite {suite}", ["-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0"]
    for version in ("-tls1_2", "-tls1_3"):
        for groups in ("X25519", "P-256", "P-384", "P-521", "X448", "P-521:P-256", "X448:X25519", "P-384:P-256", "P-256:X25519",
                       "ffdhe2048", "ffdhe2048:P-384", "brainpoolP256r1"):
            yield "group", f"groups {groups} {version}", [version, "-groups", groups]
        for algorithms in ("ECDSA+SHA256", "ECDSA+SHA384", "ECDSA+SHA512", "RSA-PSS+SHA256", "RSA-PSS+SHA384", "RSA-PSS+SHA512", "RSA+SHA256",
                           "RSA+SHA384", "RSA+SHA1", "ECDSA+SHA1", "ed25519", "ECDSA+SHA256:RSA-PSS+SHA256", "RSA+SHA1:RSA+SHA256",
                           "ECDSA+SHA224:ECDSA+SHA256"):
            yield "signature", f"signature {algorithms} {version}", [version, "-sigalgs", algorithms, "-cipher", "ALL:@SECLEVEL=0"]
        for size in (512, 1024, 2048, 4096):
            yield "fragments", f"max fragment {size} {version}", [version, "-maxfraglen", str(size)]
        yield "fragments", f"send fragment 512 {version}", [version, "-max_send_frag", "512"]
    for names in ("h2", "http/1.1", "h2,http/1.1", "http/1.1,h2", "spdy/3,http/1.1", "acme-tls/1", "http/1.0"):
        for version in ([], ["-tls1_2"]):
            yield "ALPN", " ".join(["alpn", names, *version]), ["-alpn", names, *version]


def resumed(port: int, pair: Pair, folder: Path, first: list[str], second: list[str]) -> str:
    file = folder / f"session-{port}"
    file.unlink(missing_ok=True)
    before = outcome(port, pair, *first, "-sess_out", file)
    return f"{before}; {outcome(port, pair, *second, '-sess_in', file) if file.exists() else 'no ticket'}"


RESUMPTIONS = {
    "1.2": (["-tls1_2"], ["-tls1_2"]), "1.3": (["-tls1_3"], ["-tls1_3"]), "1.2, then any": (["-tls1_2"], []), "1.3, then 1.2": (["-tls1_3"], ["-tls1_2"]),
    "1.2 without tickets": (["-tls1_2", "-no_ticket"], ["-tls1_2"]), "1.3, other group": (["-tls1_3"], ["-tls1_3", "-groups", "P-384"]),
    "1.3, other suite": (["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"], ["-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"]),
    "1.3, suite of the same digest": (["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"],
                                      ["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"]),
    "1.3, without PSK alone": (["-tls1_3"], ["-tls1_3", "-allow_no_dhe_kex"]), "1.2, other suite": (
        ["-tls1_2"], ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"]),
}


# A ClientHello by itself, byte for byte.


#: Of OpenSSL 3.0, for echo.t.example with `http/1.1` by ALPN and one key share of X25519; the random bytes, the session and the key
#: are made up. Kept, since those of two patch releases differ, and damage with the same number would be another damage.
CLIENT_HELLO = bytes.fromhex(
    "1603010200010001fc030355555555555555555555555555555555555555555555555555555555555555552066666666666666666666666666666666"
    "666666666666666666666666666666660024130213031301c02cc030c02bc02fcca9cca8c024c028c023c027009f009e006b006700ff0100018f0000"
    "0013001100000e6563686f2e742e6578616d706c65000b000403000102000a00160014001d0017001e00190018010001010102010301040023000000"
    "10000b000908687474702f312e310016000000170000000d002a0028040305030603080708080809080a080b08040805080604010501060103030301"
    "0302040205020602002b00050403040303002d00020101003300260024001d0020777777777777777777777777777777777777777777777777777777"
    "7777777777001500d0") + bytes(208)


FIXED: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda hello: hello,
    "nothing": lambda hello: b"",
    "half": lambda hello: hello[:len(hello) // 2],
    "twice": lambda hello: hello * 2,
    "records of 1 byte": lambda hello: recorded(hello, 1),
    "records of 7 bytes": lambda hello: recorded(hello, 7),
    "records of 100 bytes": lambda hello: recorded(hello, 100),
    "an empty record first": lambda hello: b"\x16\x03\x01\0\0" + hello,
    "33 empty records first": lambda hello: b"\x16\x03\x01\0\0" * 33 + hello,
    "a warning first": lambda hello: b"\x15\x03\x01\0\2\1\x5a" + hello,
    "six warnings first": lambda hello: b"\x15\x03\x01\0\2\1\x5a" * 6 + hello,
    "a fatal alert first": lambda hello: b"\x15\x03\x01\0\2\2\x28" + hello,
    "close_notify first": lambda hello: b"\x15\x03\x01\0\2\1\0" + hello,
    "ChangeCipherSpec first": lambda hello: b"\x14\x03\x03\0\1\1" + hello,
    "data first": lambda hello: b"\x17\x03\x03\0\5hello" + hello,
    "heartbeat first": lambda hello: b"\x18\x03\x03\0\3\1\x40\0" + hello,
    "record type 99": lambda hello: b"\x63" + hello[1:],
    "record of 3.0": lambda hello: b"\x16\x03\x00" + hello[3:],
    "record of 3.4": lambda hello: b"\x16\x03\x04" + hello[3:],
    "record of 4.1": lambda hello: b"\x16\x04\x01" + hello[3:],
    "record too long": lambda hello: b"\x16\x03\x01\x48\x01" + b"\1" * 0x4801,
    "message too long": lambda hello: b"\x16\x03\x01\x40\0" + b"\1\xff\xff\xff" + b"\0" * 0x3FFC,
    "SSL 2": lambda hello: bytes.fromhex("802e0103010015000000100100800200800300800400800500800600400700c0") + b"\0" * 17,
    "HTTP": lambda hello: b"GET / HTTP/1.1\r\nHost: echo.t.example\r\n\r\n",
    "HTTP/2": lambda hello: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "SSH": lambda hello: b"SSH-2.0-client\r\n",
    "zeros": lambda hello: b"\0" * 200,
    "a message of a server": lambda hello: hello[:5] + b"\2" + hello[6:],
}


def recorded(hello: bytes, size: int) -> bytes:
    body = hello[5:]
    return b"".join(b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part for part in (
        body[at:at + size] for at in range(0, len(body), size)))


def mutated(rng: random.Random, hello: bytes) -> bytes:
    data = bytearray(hello)
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.randrange(5, len(data))
        match rng.randrange(5):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                data[at] ^= 1 << rng.randrange(8)
            case 2:
                del data[at:at + rng.randint(1, 8)]
            case 3:
                data[at:at] = rng.randbytes(rng.randint(1, 8))
            case _:
                data[at:at + 2] = rng.choice([b"\0\0", b"\xff\xff", b"\0\1", b"\x7f\xff"])
    if rng.random() < 0.7:
        # The lengths outside of what was damaged are right, so that it is looked at.
        data[3:5] = (len(data) - 5).to_bytes(2, "big")
        data[6:9] = (len(data) - 9).to_bytes(3, "big")
    return bytes(data)


def to_theirs(pair: Pair, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", pair.theirs), timeout=20) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return to_end(connection)


def to_ours(pair: Pair, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", pair.listener), timeout=20) as connection:
        head, _ = upgrade_head(HOST)
        connection.sendall(head)
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(65_536)
        connection.sendall((frames(2, data) if data else b"") + frames(8, b"\x03\xe8"))
        received = received.partition(b"\r\n\r\n")[2] + to_end(connection)
    plain = b""
    while len(received) >= 2:
        length, start = received[1] & 0x7F, 2
        if length > 125:
            start = 4 if length == 126 else 10
            length = int.from_bytes(received[2:start], "big")
        if received[0] & 15 == 2:
            plain += received[start:start + length]
        received = received[start + length:]
    return plain


def to_end(connection: socket.socket) -> bytes:
    received = b""
    with suppress(OSError):
        while piece := connection.recv(65_536):
            received += piece
    return received


RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


def first_words(data: bytes) -> str:
    """What a server says first: its hello, or an alert."""
    words = []
    while len(data) >= 5:
        kind, size = data[0], int.from_bytes(data[3:5], "big")
        record, data = data[5:5 + size], data[5 + size:]
        if kind == 21 and size == 2:
            words.append(f"alert {record[1]}")
        elif kind == 22 and record[:1] == b"\2" and len(record) > 40:
            session = record[38]
            suite = record[39 + session:41 + session].hex()
            is_retry = record[6:38] == RETRY
            is_13 = b"\x00\x2b\x00\x02\x03\x04" in record
            words.append(f"{'retry' if is_retry else 'hello'} {'1.3' if is_13 else record[4:6].hex()} {suite}")
            if not is_retry:
                break
    return ", ".join(words) or "silence"


def run(context: Context) -> Iterable[Case]:
    folder, origin = context.folder("tls"), Origin()
    SUITE.tools["OpenSSL"] = openssl_version()
    for key in ("ecdsa", "rsa"):
        with pair(folder / key, key, origin) as one:
            for group, name, arguments in probes():
                is_bounded = key == "ecdsa" and group in ("version", "suite of 1.3", "group", "ALPN")
                if context.bounded and not is_bounded:
                    continue
                ours, theirs = (outcome(port, one, *arguments) for port in (one.proxy, one.theirs))
                yield compared(f"{key}/{name}", group, ours, theirs, is_bounded)
            for name, (first, second) in RESUMPTIONS.items():
                ours, theirs = (resumed(port, one, folder, first, second) for port in (one.proxy, one.theirs))
                yield compared(f"{key}/resumption {name}", "resumption", ours, theirs, True)
            if key == "rsa":
                continue
            for name, edit in FIXED.items():
                data = edit(CLIENT_HELLO)
                yield compared(f"hello/{name}", "odd beginnings", first_words(to_ours(one, data)), first_words(to_theirs(one, data)), True)
            rng = random.Random(SEED)
            for number in range(1, (BOUNDED_HELLOS if context.bounded else HELLOS) + 1):
                data = mutated(rng, CLIENT_HELLO)
                ours, theirs = first_words(to_ours(one, data)), first_words(to_theirs(one, data))
                yield compared(f"hello/{SEED}/{number}", "damaged ClientHello", ours, theirs, number <= BOUNDED_HELLOS)
    origin.socket.close()


def compared(name: str, group: str, ours: str, theirs: str, is_bounded: bool) -> Case:
    if ours == theirs:
        return Case(name, group, "the same", is_bounded)
    if name.startswith("hello/") and (ours, theirs) == ("silence", "alert 50"):
        verdict = "cut off"
    elif theirs.endswith("alert 120") and name in SUITE.remarks:
        verdict = "differs on purpose"
    else:
        verdict = "differs"
    return Case(name, group, verdict, is_bounded, f"ours: {ours}; s_server: {theirs}")


SUITES = [(SUITE, run)]
