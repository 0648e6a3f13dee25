// Linux system calls and constants that Swift's Glibc module does not show: epoll, eventfd, accept4, prctl. No logic.
#ifndef CLINUX_H
#define CLINUX_H

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

/// One readiness report, unpacked: `struct epoll_event` is a packed union that Swift reads badly.
struct CLinux_event {
    uint32_t events;
    uint64_t data;
};

static inline int CLinux_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

static inline int CLinux_epoll_add(int epoll, int fd, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data = {.u64 = data}};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static inline int CLinux_epoll_remove(int epoll, int fd) { return epoll_ctl(epoll, EPOLL_CTL_DEL, fd, 0); }

static inline int CLinux_epoll_wait(int epoll, struct epoll_event *events, int count, int milliseconds) {
    return epoll_wait(epoll, events, count, milliseconds);
}

static inline struct CLinux_event CLinux_event_at(const struct epoll_event *events, int index) {
    struct CLinux_event event = {events[index].events, events[index].data.u64};
    return event;
}

static inline uint32_t CLinux_EPOLLIN(void) { return EPOLLIN; }
static inline uint32_t CLinux_EPOLLOUT(void) { return EPOLLOUT; }
static inline uint32_t CLinux_EPOLLERR(void) { return EPOLLERR; }
static inline uint32_t CLinux_EPOLLHUP(void) { return EPOLLHUP; }
static inline uint32_t CLinux_EPOLLRDHUP(void) { return EPOLLRDHUP; }
static inline uint32_t CLinux_EPOLLET(void) { return EPOLLET; }
static inline uint32_t CLinux_EPOLLEXCLUSIVE(void) { return EPOLLEXCLUSIVE; }

static inline int CLinux_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

// accept4 and SOCK_NONBLOCK need _GNU_SOURCE in strict C modes; the flags' values are part of the kernel's ABI.
int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
static inline int CLinux_accept(int fd, struct sockaddr_storage *address, socklen_t *length) {
    return accept4(fd, (struct sockaddr *)address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static inline int CLinux_socket(int family) { return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }

static inline int CLinux_set_flag(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value);
}

static inline int CLinux_IPV6_V6ONLY(void) { return IPV6_V6ONLY; }

static inline int CLinux_socket_error(int fd) {
    int error = 0;
    socklen_t length = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

static inline void CLinux_name_thread(const char *name) { prctl(PR_SET_NAME, name); }

/// Cores that this thread may run on; 0 if the kernel does not say. glibc's own call needs _GNU_SOURCE.
static inline int CLinux_core_count(void) {
    unsigned long mask[128] = {0};
    long bytes = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
    int count = 0;
    for (long i = 0; i < bytes / (long)sizeof mask[0]; i++) count += __builtin_popcountl(mask[i]);
    return count;
}

#endif
