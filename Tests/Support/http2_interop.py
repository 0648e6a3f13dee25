#!/usr/bin/env python3
"""Our HTTP/2 connection against PyPI's `h2`, in both roles, over arrays: no socket, any split.

    Tests/Support/http2_interop.py .build/debug/http2-dump [--count N] [--seed N]

Each round is a connection with its own settings and dozens of streams at once: bodies from none to several windows, padding,
trailers, priorities, resets, pings. Windows grow and shrink with bodies on the way, also below zero (RFC 9113 6.9.2). Every
body has to come back as it went.

Two faults of h2 4.4.1 are kept out of the way, since it would fail without a fault of ours:

- It gives back what was taken only as more is taken (`WindowManager.process_bytes`). 16,384 bytes of DATA, all of them
  acknowledged, are below half of 65,535, so no WINDOW_UPDATE goes out; SETTINGS_INITIAL_WINDOW_SIZE=100 and its ACK follow. The
  sender's window is -16,284 then, h2 sends nothing more, and the stream stands still for good. So we give back ourselves.
- The first ACK confirms all that is queued (`Settings.acknowledge`): SETTINGS, SETTINGS with INITIAL_WINDOW_SIZE=1, and the ACK
  of the first one alone put the new window into effect. It then refuses DATA that was sent before the second came. So nothing is
  changed before the first ACK has come.
"""

import argparse
import random
import struct
import sys

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from http2_differential import Dump

CODES = h2.settings.SettingCodes


class Link:
    """The bytes between the two, cut anywhere."""

    def __init__(self, dump, rng, theirs):
        self.dump, self.rng, self.theirs = dump, rng, theirs
        self.events = []
        self.taken = self.negative = 0

    def run(self, letter, payload=b""):
        (response,) = self.dump.run([(letter, payload)])
        return response

    def give(self, data):
        """Our bytes to h2."""
        at = 0
        while at < len(data):
            size = self.rng.choice([1, 9, 100, 1 << 14, 1 << 20] if len(data) < 2_000 else [500, 1 << 14])
            self.events += self.theirs.receive_data(data[at:at + size])
            at += size

    def take(self, event):
        """h2 has taken a piece of a body, and gives its bytes back."""
        self.taken += event.flow_controlled_length
        if self.taken >= 30_000:
            self.theirs.increment_flow_control_window(self.taken)
            self.taken = 0
        if event.stream_ended is None and event.flow_controlled_length:
            try:
                self.theirs.increment_flow_control_window(event.flow_controlled_length, event.stream_id)
            except h2.exceptions.StreamClosedError:
                pass

    def change_windows(self, step):
        """h2's window for our bodies changes time and again, until all is through."""
        for window in self.rng.choices([0, 0, 1, 2, 100, 1_000, 65_535, 200_000], k=self.rng.choice([0, 3, 12])) + [65_535]:
            self.pump(step, self.rng.choice([0, 1, 2, 5, 20]))
            self.theirs.update_settings({CODES.INITIAL_WINDOW_SIZE: window})
            # A stream that h2 has forgotten is no longer counted here.
            windows = [self.theirs.streams[stream]._inbound_window_manager.current_window_size for stream in self.theirs.streams]
            self.negative += sum(size < 0 for size in windows)
        self.pump(step)

    def pump(self, step, turns=1 << 62):
        """Back and forth, until neither has anything to say; `step` is asked what else h2 does."""
        idle = 0
        while idle < 2 and turns > 0:
            turns -= 1
            step()
            data = self.theirs.data_to_send()
            idle = 0 if data else idle + 1
            at = 0
            while at < len(data):
                size = self.rng.choice([1, 9, 100, 1 << 14, 1 << 20]) if len(data) < 2_000 else self.rng.choice([500, 1 << 14])
                self.give(self.run(b"R", data[at:at + size]))
                at += size


def checksum(body):
    total = 0
    for byte in body:
        total = (total * 31 + byte) & 0xFFFFFFFF
    return total


def our_server(dump, rng):
    theirs = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
    link = Link(dump, rng, theirs)
    theirs.initiate_connection()
    window = rng.choice([1, 100, 1_000, 65_535, 1 << 20])
    # A window of one byte takes a round trip for each.
    most = 200_000 if window > 100 else 300
    settings = link.run(b"S", struct.pack(">II", 50, window))
    # Ours reach h2 ahead of its bodies, or when they are on their way and leave windows below zero.
    is_late = rng.random() < 0.5
    if not is_late:
        link.give(settings)
        link.pump(lambda: None)
        theirs.update_settings({CODES.INITIAL_WINDOW_SIZE: rng.choice([1, 100, 65_535]), CODES.HEADER_TABLE_SIZE: rng.choice([0, 100, 4_096])})
    wanted, waiting, got, ended, trailers, resets, statuses = {}, {}, {}, set(), {}, set(), {}
    for _ in range(rng.choice([1, 5, 30])):
        stream = theirs.get_next_available_stream_id()
        body = rng.randbytes(rng.choice([0, 0, 1, min(most, 1_000), min(most, 20_000), most] if rng.random() < 0.5 else [0, 10]))
        fields = [(":method", "POST" if body else "GET"), (":scheme", "https"), (":authority", "h.example"), (":path", f"/p?{stream}")]
        fields += [("cookie", "a=1"), ("cookie", "b=2"), ("x-some", "v" * rng.choice([1, 100, 3_000]))]
        if rng.random() < 0.3:
            fields.append(("priority", rng.choice(["u=0", "u=7, i", "i", "u=1"])))
        theirs.send_headers(stream, fields, end_stream=not body)
        wanted[stream], got[stream] = body, b""
        if body:
            waiting[stream] = [body, rng.random() < 0.3]

    def step():
        for event in link.events:
            match event:
                case h2.events.ResponseReceived():
                    statuses[event.stream_id] = dict(event.headers)
                case h2.events.DataReceived():
                    got[event.stream_id] += event.data
                    link.take(event)
                case h2.events.TrailersReceived():
                    trailers[event.stream_id] = event.headers
                case h2.events.StreamEnded():
                    ended.add(event.stream_id)
                case h2.events.StreamReset() | h2.events.ConnectionTerminated():
                    raise SystemExit(f"our server ends it: {event}")
        link.events.clear()
        for stream, (body, has_trailers) in list(waiting.items()):
            if rng.random() < 0.03 and stream not in statuses:
                theirs.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
                resets.add(stream)
                del waiting[stream]
                continue
            window = theirs.local_flow_control_window(stream)
            padding = rng.choice([None, None, 0, 20]) if window > 21 else None
            size = min(len(body), window - (0 if padding is None else padding + 1), theirs.max_outbound_frame_size - 256)
            if size <= 0:
                continue
            if rng.random() < 0.2:
                size = rng.randint(1, size)
            rest = body[size:]
            theirs.send_data(stream, body[:size], end_stream=not rest and not has_trailers, pad_length=padding)
            if not rest and has_trailers:
                theirs.send_headers(stream, [("x-sum", str(stream))], end_stream=True)
            waiting[stream] = [rest, has_trailers]
            if not rest:
                del waiting[stream]
        if rng.random() < 0.05:
            theirs.ping(rng.randbytes(8))

    if is_late:
        step()
        first = theirs.data_to_send()
        link.give(settings)
        link.give(link.run(b"R", first))
        link.pump(step, 2)
    link.change_windows(step)
    for stream, body in wanted.items():
        if stream in resets:
            continue
        if got[stream] != body or stream not in ended:
            raise SystemExit(f"stream {stream}: {len(got[stream])} of {len(body)} bytes, ended: {stream in ended}")
        if statuses[stream]["x-target"] != f"/p?{stream}" or statuses[stream][":status"] != "200":
            raise SystemExit(f"stream {stream}: {statuses[stream]}")
    for stream, fields in trailers.items():
        assert list(fields) == [("x-sum", str(stream))], fields
    link.give(link.run(b"G"))
    if not any(isinstance(event, h2.events.ConnectionTerminated) and event.error_code == 0 for event in link.events):
        raise SystemExit(f"no GOAWAY: {link.events}")
    return len(wanted), link.negative


def our_client(dump, rng):
    theirs = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
    link = Link(dump, rng, theirs)
    theirs.initiate_connection()
    link.give(link.run(b"C", struct.pack(">II", 100, rng.choice([100, 1_000, 65_535]))))
    link.pump(lambda: None)
    if rng.random() < 0.5:
        theirs.update_settings({CODES.INITIAL_WINDOW_SIZE: rng.choice([0, 1, 100])})
    bodies, responses, waiting = {}, {}, {}
    requests = []
    for number in range(rng.choice([1, 5, 20])):
        body = rng.randbytes(rng.choice([0, 0, 1, 300, 70_000, 200_000]))
        lines = f":method: {'POST' if body else 'GET'}\r\n:scheme: https\r\n:authority: h\r\n:path: /{number}\r\nX-Some: {number}\r\n".encode()
        requests.append(body)
        link.give(link.run(b"Q", struct.pack(">I", len(lines)) + lines + body))

    def step():
        for event in link.events:
            match event:
                case h2.events.RequestReceived():
                    bodies[event.stream_id] = b""
                case h2.events.DataReceived():
                    bodies[event.stream_id] += event.data
                    link.take(event)
                case h2.events.StreamEnded():
                    response = rng.randbytes(rng.choice([0, 1, 5_000, 100_000]))
                    if rng.random() < 0.3:
                        theirs.send_headers(event.stream_id, [(":status", "103"), ("link", "x")])
                    theirs.send_headers(event.stream_id, [(":status", "200"), ("content-length", str(len(response)))], end_stream=not response)
                    responses[event.stream_id] = response
                    if response:
                        waiting[event.stream_id] = response
                case h2.events.StreamReset() | h2.events.ConnectionTerminated():
                    raise SystemExit(f"our client ends it: {event}")
        link.events.clear()
        for stream, body in list(waiting.items()):
            size = min(len(body), theirs.local_flow_control_window(stream), theirs.max_outbound_frame_size)
            if size > 0:
                theirs.send_data(stream, body[:size], end_stream=size == len(body))
                waiting[stream] = body[size:]
                if not waiting[stream]:
                    del waiting[stream]

    link.change_windows(step)
    if [bodies[stream] for stream in sorted(bodies)] != requests:
        raise SystemExit("our client's bodies differ")
    report = {int(line.split()[0]): line.split()[1:] for line in link.run(b"X").decode().splitlines()}
    for stream, response in responses.items():
        note, status, size, total = report[stream][:4]
        if note != "done" or status not in ("200", "103200") or int(size) != len(response) or int(total) != checksum(response):
            raise SystemExit(f"stream {stream}: {report[stream]} for {len(response)} bytes")
    if len(report) != len(requests):
        raise SystemExit(f"{report}")
    return len(requests), link.negative


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("dump", help="path of the http2-dump executable")
    arguments.add_argument("--count", type=int, default=40, help="connections in each role (default 40)")
    arguments.add_argument("--seed", type=int, default=1, help="seed of the generator (default 1)")
    options = arguments.parse_args()
    dump = Dump(options.dump)
    streams = negative = 0
    for round_number in range(options.count):
        for side in (our_server, our_client):
            # Each round has a seed of its own, so that it can be run again by itself.
            seed = options.seed * 100_000 + round_number
            try:
                more, below = side(dump, random.Random(seed))
                streams, negative = streams + more, negative + below
            except h2.exceptions.ProtocolError as error:
                raise SystemExit(f"{side.__name__}, --seed {options.seed}, round {round_number}: h2 refuses us: {error!r}") from error
            except SystemExit as error:
                raise SystemExit(f"{side.__name__}, --seed {options.seed}, round {round_number}: {error}") from error
    print(f"{2 * options.count} connections with {streams} streams (seed {options.seed}): every body came back; {negative} windows were below zero")


if __name__ == "__main__":
    sys.exit(main())
