// What a program that wants out of its sandbox does: system calls by their numbers, as smuggled-in code makes them. For
// tests alone.
#ifndef CESCAPE_H
#define CESCAPE_H

/// A system call with as many arguments as there can be. Its result, or an errno value below zero.
long CEscape_call(long number, long a, long b, long c, long d, long e, long f);

/// A call by an ABI that is not the program's own: 32-bit x86, or x32. Returns where there is none, or nobody minded.
void CEscape_call_as_32_bit(void);
void CEscape_call_as_x32(void);

/// `EACCES` and the like.
const char *CEscape_name(int error);

/// Connects a TCP socket with its first byte, which takes no connect(2). 0, or an errno value below zero.
int CEscape_fast_open(unsigned short port, int by_message);

/// Connects by TCP, or by another protocol of that name, to a port of this machine.
int CEscape_connect(unsigned short port, int type, int protocol);
int CEscape_bind(unsigned short port);
/// Connects to an abstract Unix socket, or to one at a path.
int CEscape_connect_unix(const char *name, int is_abstract);

#endif
