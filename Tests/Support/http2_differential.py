#!/usr/bin/env python3
"""Compares our HPACK with PyPI's `hpack`, each as encoder and as decoder of the other, over random header lists.

    Tests/Support/http2_differential.py .build/debug/http2-dump [--count N] [--seed N]

All lists of a run go through one connection's tables in both directions, whose sizes change on the way. Blocks that `hpack`
made are changed here and there: what one of the two refuses and the other takes has to be a known difference.
"""

import argparse
import random
import struct
import subprocess
import sys
import threading

import hpack
import hpack.hpack

NAMES = [name.decode() for name, _ in hpack.hpack.HeaderTable.STATIC_TABLE] + [
    "x-request-id", "mcp-session-id", "mcp-protocol-version", "traceparent", "x-forwarded-for", "custom-key", "a", "x-api-key"]
VALUES = [value.decode() for _, value in hpack.hpack.HeaderTable.STATIC_TABLE if value] + [
    "application/json", "text/event-stream", "no-cache", "2025-06-18", "identity", "1", "Mon, 21 Oct 2013 20:13:21 GMT"]
LETTERS = "".join(map(chr, range(0x20, 0x7F)))
SECRET = {"authorization", "cookie", "set-cookie", "proxy-authorization", "mcp-session-id", "x-api-key", "x-auth-token"}
SIZES = [0, 32, 64, 100, 333, 1000, 4095, 4096]


class Dump:
    """Our side. Commands are written by a thread, so that neither side waits for a full pipe."""

    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run(self, commands):
        data = b"".join(letter + struct.pack(">I", len(payload)) + payload for letter, payload in commands)

        def write():
            self.process.stdin.write(data)
            self.process.stdin.flush()

        writer = threading.Thread(target=write)
        writer.start()
        responses = []
        for _ in commands:
            head = self.process.stdout.read(4)
            if len(head) < 4:
                raise SystemExit(f"http2-dump ended with status {self.process.wait()}")
            responses.append(self.process.stdout.read(struct.unpack(">I", head)[0]))
        writer.join()
        return responses


def pack(fields):
    return b"".join(
        bytes([flags]) + b"".join(struct.pack(">I", len(text)) + text for text in (name, value)) for flags, name, value in fields)


def unpack(data):
    fields, at = [], 0
    while at < len(data):
        texts, flags = [], data[at]
        at += 1
        for _ in range(2):
            (count,) = struct.unpack_from(">I", data, at)
            texts.append(data[at + 4:at + 4 + count])
            at += 4 + count
        fields.append((flags, *texts))
    return fields


def text(rng, alphabet, longest):
    return "".join(rng.choices(alphabet, k=rng.randint(0, rng.choice([4, 20, longest]))))


def random_list(rng):
    fields = []
    for _ in range(rng.choice([0, 1, 3, 5, 8, 15])):
        name = rng.choice(NAMES) if rng.random() < 0.8 else "x-" + text(rng, "abcdefghijklmnopqrstuvwxyz-0123456789", 30)
        choice = rng.random()
        if choice < 0.5:
            value = rng.choice(VALUES).encode()
        elif choice < 0.9:
            value = text(rng, LETTERS, 200).encode()
        else:
            value = rng.randbytes(rng.randint(0, 40))
        fields.append((name.encode(), value))
    return fields


def theirs(decoder, block):
    """What `hpack` makes of a block: fields with their mark, or the refusal."""
    try:
        return [(int(not field.indexable), field[0], field[1]) for field in decoder.decode(block, raw=True)], None
    except (hpack.HPACKError, IndexError, OverflowError, ValueError, UnicodeDecodeError) as error:
        return None, error


def round_trips(dump, rng, count):
    ours_to_them, they_to_us = hpack.Decoder(max_header_list_size=1 << 20), hpack.Encoder()
    done = changes = 0
    while done < count:
        commands, checks = [], []
        if rng.random() < 0.3:
            # We announce a size to them, and they one to us.
            size = rng.choice(SIZES)
            they_to_us.header_table_size = size
            commands.append((b"L", struct.pack(">I", size)))
            checks.append(None)
            changes += 1
        if rng.random() < 0.3:
            size = rng.choice(SIZES)
            ours_to_them.max_allowed_table_size = size
            commands.append((b"T", struct.pack(">I", size)))
            checks.append(None)
            changes += 1
        for _ in range(25):
            fields = random_list(rng)
            if rng.random() < 0.5:
                commands.append((b"E", pack([(0, *field) for field in fields])))
                checks.append((fields, [int(name.decode() in SECRET) for name, _ in fields], None))
            else:
                ways = [rng.randrange(4) for _ in fields]
                commands.append((b"F", pack([(way, *field) for way, field in zip(ways, fields)])))
                marks = [int(way == 3 or way == 0 and name.decode() in SECRET) for way, (name, _) in zip(ways, fields)]
                checks.append((fields, marks, None))
            marked = [(*field, rng.random() < 0.1) for field in fields]
            block = they_to_us.encode(
                [hpack.NeverIndexedHeaderTuple(name, value) if mark else hpack.HeaderTuple(name, value)
                 for name, value, mark in marked], huffman=rng.random() < 0.5)
            commands.append((b"D", block))
            checks.append((fields, [int(mark) for *_, mark in marked], block))
        for check, response in zip(checks, dump.run(commands), strict=True):
            if check is None:
                continue
            fields, marks, block = check
            if block is not None:
                if response[:1] != b"+":
                    raise SystemExit(f"we refuse {block.hex()}: {response.decode()}")
                got = unpack(response[1:])
            else:
                got, error = theirs(ours_to_them, response)
                if error is not None:
                    raise SystemExit(f"hpack refuses our {response.hex()}: {error!r} for {fields}")
            wanted = [(mark, *field) for mark, field in zip(marks, fields)]
            # A field of the static table has no mark in hpack's blocks, and nothing secret in ours.
            same = [(name, value) for _, name, value in got] == fields
            marks_agree = all(a == b or a == (0 if b else a) for (a, *_), (b, *_) in zip(got, wanted))
            if not same or (block is None and [a for a, *_ in got] != marks) or not marks_agree:
                raise SystemExit(f"differs: {got}\n wanted {wanted}\n block {(block or response).hex()}")
        done += 25
    return done, changes


# Where we refuse what `hpack` takes.
KNOWN: set[str] = {
    # §4.2 has the table size at the front of a block; hpack takes it anywhere.
    "hpack: table size behind a field (RFC 7541 4.2)",
    # §5.1 lets a decoder bound integers; hpack has none.
    "hpack: integer too large (RFC 7541 5.1)",
}


def mutations(path, rng, count):
    """Each block on tables of its own, for after a refusal they are of no use. One process serves the blocks that are taken."""
    taken = refused = 0
    for _ in range(count):
        block = bytearray(hpack.Encoder().encode([hpack.HeaderTuple(*field) for field in random_list(rng)]))
        for _ in range(rng.choice([1, 1, 2, 4])):
            at = rng.randrange(len(block) + 1)
            choice = rng.random()
            if choice < 0.4 and at < len(block):
                block[at] = rng.randrange(256)
            elif choice < 0.7:
                block[at:at] = bytes([rng.choice([0x80, 0xFF, 0x3F, 0x20, 0x40, 0x00, 0x10, 0x7F, 0xBE, rng.randrange(256)])])
            else:
                del block[at:at + rng.randint(1, 4)]
        block = bytes(block)
        process = Dump(path)
        (response,) = process.run([(b"D", block)])
        process.process.stdin.close()
        process.process.wait()
        process.process.stdout.close()
        fields, error = theirs(hpack.Decoder(), block)
        if response[:1] == b"+":
            taken += 1
            if error is not None or unpack(response[1:]) != fields:
                raise SystemExit(f"we take {block.hex()} as {unpack(response[1:])}, hpack: {fields} {error!r}")
        else:
            refused += 1
            if error is None and response[1:].decode() not in KNOWN:
                raise SystemExit(f"we refuse {block.hex()}: {response.decode()}, hpack takes it: {fields}")
    return taken, refused


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("dump", help="path of the http2-dump executable")
    arguments.add_argument("--count", type=int, default=100_000, help="header lists in each direction (default 100000)")
    arguments.add_argument("--mutations", type=int, default=2_000, help="blocks that are changed (default 2000)")
    arguments.add_argument("--seed", type=int, default=1, help="seed of the generator (default 1)")
    options = arguments.parse_args()
    rng = random.Random(options.seed)
    done, changes = round_trips(Dump(options.dump), rng, options.count)
    print(f"{done} header lists in each direction, {changes} table sizes (seed {options.seed}): all the same")
    taken, refused = mutations(options.dump, rng, options.mutations)
    print(f"{taken + refused} changed blocks, {refused} refused: no difference")


if __name__ == "__main__":
    sys.exit(main())
