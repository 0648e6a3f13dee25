#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <sched.h>
#include <semaphore.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int CLinux_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

int CLinux_epoll_add(int epoll, int fd, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data = {.u64 = data}};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

int CLinux_epoll_remove(int epoll, int fd) { return epoll_ctl(epoll, EPOLL_CTL_DEL, fd, 0); }

int CLinux_epoll_wait(int epoll, struct CLinux_event *events, int count, int milliseconds) {
    struct epoll_event reports[64];
    int ready = epoll_wait(epoll, reports, count < 64 ? count : 64, milliseconds);
    for (int i = 0; i < ready; i++) {
        events[i].events = reports[i].events;
        events[i].data = reports[i].data.u64;
    }
    return ready;
}

uint32_t CLinux_EPOLLIN(void) { return EPOLLIN; }
uint32_t CLinux_EPOLLOUT(void) { return EPOLLOUT; }
uint32_t CLinux_EPOLLERR(void) { return EPOLLERR; }
uint32_t CLinux_EPOLLHUP(void) { return EPOLLHUP; }
uint32_t CLinux_EPOLLRDHUP(void) { return EPOLLRDHUP; }
uint32_t CLinux_EPOLLET(void) { return EPOLLET; }
uint32_t CLinux_EPOLLEXCLUSIVE(void) { return EPOLLEXCLUSIVE; }

int CLinux_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

int CLinux_accept(int fd, void *address, uint32_t *length) {
    return accept4(fd, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int CLinux_socket(int family) { return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }

long CLinux_send_descriptors(int fd, const void *bytes, size_t count, const int *descriptors, int number) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int) * CLinux_most_descriptors)];
    } control = {0};
    if (number < 0 || number > CLinux_most_descriptors) {
        errno = EINVAL;
        return -1;
    }
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (number > 0) {
        message.msg_control = control.room;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * number);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int) * number);
        memcpy(CMSG_DATA(&control.header), descriptors, sizeof(int) * number);
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

long CLinux_receive_descriptors(int fd, void *bytes, size_t count, int *descriptors, int *number) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int) * CLinux_most_descriptors)];
    } control;
    struct iovec part = {.iov_base = bytes, .iov_len = count};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
    long received = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    int room = *number;
    *number = 0;
    if (received < 0) return received;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        int came = (int)((part->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (int i = 0; i < came; i++) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
            if (*number < room) descriptors[(*number)++] = descriptor;
            else close(descriptor);
        }
    }
    return received;
}

int CLinux_set_flag(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value);
}

int CLinux_IPV6_V6ONLY(void) { return IPV6_V6ONLY; }

int CLinux_socket_error(int fd) {
    int error = 0;
    socklen_t length = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

int CLinux_forbid_dump(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

void CLinux_name_thread(const char *name) { prctl(PR_SET_NAME, name); }

int CLinux_nice_thread(int more) {
    id_t thread = (id_t)gettid();
    return setpriority(PRIO_PROCESS, thread, getpriority(PRIO_PROCESS, thread) + more);
}

int CLinux_sem_wait(void *semaphore, uint64_t nanoseconds) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    nanoseconds += (uint64_t)until.tv_nsec;
    until.tv_sec += (time_t)(nanoseconds / 1000000000u);
    until.tv_nsec = (long)(nanoseconds % 1000000000u);
    int result;
    do {
        result = sem_clockwait(semaphore, CLOCK_MONOTONIC, &until);
    } while (result != 0 && errno == EINTR);
    return result;
}

int CLinux_core_count(void) {
    cpu_set_t mask;
    return sched_getaffinity(0, sizeof mask, &mask) == 0 ? CPU_COUNT(&mask) : 0;
}

int CLinux_unacknowledged(int fd) {
    int count = 0;
    return ioctl(fd, SIOCOUTQ, &count) == 0 ? count : 0;
}

// The kernel reports no failure: it returns the user before, so a second call shows whether the first one worked.
int CLinux_set_file_user(uint32_t user) {
    setfsuid(user);
    if ((uint32_t)setfsuid((uid_t)-1) == user) return 0;
    errno = EPERM;
    return -1;
}

int CLinux_set_file_group(uint32_t group) {
    setfsgid(group);
    if ((uint32_t)setfsgid((gid_t)-1) == group) return 0;
    errno = EPERM;
    return -1;
}

int CLinux_set_thread_groups(const uint32_t *groups, int count) {
    return (int)syscall(SYS_setgroups, (size_t)count, groups);
}

int CLinux_O_PATH(void) { return O_PATH; }

int CLinux_set_group(int fd, uint32_t group) { return fchownat(fd, "", (uid_t)-1, group, AT_EMPTY_PATH); }

void CLinux_trim_memory(void) { malloc_trim(0); }
