#define _GNU_SOURCE
#include "CEscape.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

long CEscape_call(long number, long a, long b, long c, long d, long e, long f) {
    long result = syscall(number, a, b, c, d, e, f);
    return result == -1 ? -errno : result;
}

void CEscape_call_as_32_bit(void) {
#ifdef __x86_64__
    long number = 20;  // getpid, there
    __asm__ volatile("int $0x80" : "+a"(number) : : "r8", "r9", "r10", "r11", "memory");
#endif
}

void CEscape_call_as_x32(void) {
#ifdef __x86_64__
    syscall(0x40000000 | SYS_getpid);
#endif
}

const char *CEscape_name(int error) {
    const char *name = strerrorname_np(error);
    return name ? name : "?";
}

static struct sockaddr_in here(unsigned short port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int done(int fd, long result) {
    int error = result < 0 ? -errno : 0;
    if (fd >= 0) close(fd);
    return error;
}

int CEscape_fast_open(unsigned short port, int by_message) {
    struct sockaddr_in address = here(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    char byte = 'x';
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &part, .msg_iovlen = 1};
    struct mmsghdr several = {.msg_hdr = message};
    int flags = MSG_FASTOPEN | MSG_NOSIGNAL;
    switch (by_message) {
    case 0: return done(fd, sendto(fd, &byte, 1, flags, (struct sockaddr *)&address, sizeof address));
    case 1: return done(fd, sendmsg(fd, &message, flags));
    default: return done(fd, sendmmsg(fd, &several, 1, flags));
    }
}

int CEscape_connect(unsigned short port, int type, int protocol) {
    struct sockaddr_in address = here(port);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, protocol);
    if (fd < 0) return -errno;
    return done(fd, connect(fd, (struct sockaddr *)&address, sizeof address));
}

int CEscape_bind(unsigned short port) {
    struct sockaddr_in address = here(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    return done(fd, bind(fd, (struct sockaddr *)&address, sizeof address));
}

int CEscape_connect_unix(const char *name, int is_abstract) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strnlen(name, sizeof address.sun_path - 2), start = is_abstract ? 1 : 0;
    memcpy(address.sun_path + start, name, length);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + start + length + (is_abstract ? 0 : 1));
    return done(fd, connect(fd, (struct sockaddr *)&address, size));
}
