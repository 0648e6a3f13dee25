#define _GNU_SOURCE
#include "CLinux_sandbox.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// Debian 12's <linux/landlock.h> is that of ABI 2.
enum {
    landlock_create_ruleset = 444,
    landlock_add_rule = 445,
    landlock_restrict_self = 446,

    ask_for_version = 1,
    rule_path_beneath = 1,
    rule_net_port = 2,
};

struct ruleset_attributes {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};

struct path_beneath {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));

struct net_port {
    uint64_t allowed_access;
    uint64_t port;
};

int CLinux_landlock_abi(void) { return (int)syscall(landlock_create_ruleset, 0, 0, ask_for_version); }

// An older kernel takes the whole structure as long as what it does not know is zero.
int CLinux_landlock_create(uint64_t files, uint64_t network, uint64_t scopes) {
    struct ruleset_attributes attributes = {files, network, scopes};
    return (int)syscall(landlock_create_ruleset, &attributes, sizeof attributes, 0);
}

int CLinux_landlock_allow_path(int ruleset, int descriptor, uint64_t rights) {
    struct path_beneath rule = {rights, descriptor};
    return (int)syscall(landlock_add_rule, ruleset, rule_path_beneath, &rule, 0);
}

int CLinux_landlock_allow_port(int ruleset, uint16_t port, uint64_t rights) {
    struct net_port rule = {rights, port};
    return (int)syscall(landlock_add_rule, ruleset, rule_net_port, &rule, 0);
}

int CLinux_landlock_restrict(int ruleset) { return (int)syscall(landlock_restrict_self, ruleset, 0); }

int CLinux_forbid_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }

_Static_assert(sizeof(struct CLinux_instruction) == sizeof(struct sock_filter), "an instruction is the kernel's");

int CLinux_seccomp_filter(const struct CLinux_instruction *instructions, uint16_t count) {
    struct sock_fprog program = {count, (struct sock_filter *)instructions};
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
}

int CLinux_seccomp_knows(uint32_t action) {
    return (int)syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action);
}
