// System calls of the sandbox that neither Glibc's module nor the headers of Debian 12 show whole: Landlock (landlock(7)),
// seccomp(2) and the prctl(2) before them. Numbers and layouts are the kernel's ABI and the same on x86-64 and arm64. No
// logic.
#ifndef CLINUX_SANDBOX_H
#define CLINUX_SANDBOX_H

#include <stdint.h>

/// The version of Landlock that the kernel has, from 1; -1 with errno: ENOSYS where it was built without, EOPNOTSUPP where
/// it was started without.
int CLinux_landlock_abi(void);

/// A new ruleset's descriptor, or -1 with errno. Rights that are handled are denied unless a rule allows them.
int CLinux_landlock_create(uint64_t files, uint64_t network, uint64_t scopes);

/// Allows rights on a file, or on all that lies under a folder; the descriptor may be one of O_PATH. 0, or -1 with errno.
int CLinux_landlock_allow_path(int ruleset, int descriptor, uint64_t rights);

/// Allows rights on a TCP port. 0, or -1 with errno.
int CLinux_landlock_allow_port(int ruleset, uint16_t port, uint64_t rights);

/// Puts a ruleset in force, for the calling thread and those that it starts, without a way back. 0, or -1 with errno.
int CLinux_landlock_restrict(int ruleset);

/// PR_SET_NO_NEW_PRIVS: no program that this process starts gets rights that it has not. 0, or -1 with errno.
int CLinux_forbid_new_privileges(void);

/// One instruction of a filter: `struct sock_filter`.
struct CLinux_instruction {
    uint16_t code;
    uint8_t if_true;
    uint8_t if_false;
    uint32_t value;
};

/// Puts a filter in force for all threads of the process, without a way back. 0, or -1 with errno.
int CLinux_seccomp_filter(const struct CLinux_instruction *instructions, uint16_t count);

/// Whether the kernel knows an action of filters. 0, or -1 with errno.
int CLinux_seccomp_knows(uint32_t action);

#endif
