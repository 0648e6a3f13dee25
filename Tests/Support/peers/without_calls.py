"""Runs a program on a kernel that lacks some system calls:

    without_calls.py ERRNO NUMBER[,NUMBER...] PROGRAM [ARGUMENT...]

A filter of its own lets each of these calls fail with that error, as a kernel does that was built without it (ENOSYS), one
that was started without it (EOPNOTSUPP), or a container's profile (EPERM).
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

LANDLOCK, SECCOMP = [444, 445, 446], {"x86_64": 317, "aarch64": 277}[os.uname().machine]
_LOAD, _EQUAL, _END = 0x20, 0x15, 0x06
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000


def forbid(numbers: list[int], error: int) -> None:
    steps = [(_LOAD, 0, 0, 0)]
    for index, number in enumerate(numbers):
        steps.append((_EQUAL, len(numbers) - index, 0, number))
    steps += [(_END, 0, 0, _ALLOW), (_END, 0, 0, _FAIL | error)]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), 0), 16)
    instructions = ctypes.create_string_buffer(code, len(code))
    struct.pack_into("P", program, 8, ctypes.addressof(instructions))
    library = ctypes.CDLL(None, use_errno=True)
    for call in ((38, 1, 0, 0, 0), (22, 2, ctypes.addressof(program), 0, 0)):
        if library.prctl(*(ctypes.c_ulong(word) for word in call)) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    forbid([int(number) for number in sys.argv[2].split(",")], int(sys.argv[1]))
    os.execv(sys.argv[3], sys.argv[3:])
