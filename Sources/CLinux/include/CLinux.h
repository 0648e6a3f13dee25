// Linux system calls and constants that Swift's Glibc module does not show: epoll, eventfd, accept4, prctl, setfsuid,
// sem_clockwait, a thread's own priority. No logic.
//
// No system header is included here but for integer types: a structure that two modules show belongs to either, as the
// compiler happens to read them, and then an import is missing in one build and unused in the next.
#ifndef CLINUX_H
#define CLINUX_H

#include <stddef.h>
#include <stdint.h>

/// One readiness report, unpacked: `struct epoll_event` is a packed union that Swift reads badly.
struct CLinux_event {
    uint32_t events;
    uint64_t data;
};

int CLinux_epoll_create(void);
int CLinux_epoll_add(int epoll, int fd, uint32_t events, uint64_t data);
int CLinux_epoll_remove(int epoll, int fd);
/// At most 64 reports at a time.
int CLinux_epoll_wait(int epoll, struct CLinux_event *events, int count, int milliseconds);

uint32_t CLinux_EPOLLIN(void);
uint32_t CLinux_EPOLLOUT(void);
uint32_t CLinux_EPOLLERR(void);
uint32_t CLinux_EPOLLHUP(void);
uint32_t CLinux_EPOLLRDHUP(void);
uint32_t CLinux_EPOLLET(void);
uint32_t CLinux_EPOLLEXCLUSIVE(void);

/// A non-blocking eventfd that starts at 0.
int CLinux_eventfd(void);

/// accept4 with a `struct sockaddr_storage *` and a `socklen_t *`; the connection does not block and is not inherited.
int CLinux_accept(int fd, void *address, uint32_t *length);

/// A stream socket that does not block and is not inherited.
int CLinux_socket(int family);

// Sends bytes with descriptors, of which there are at most CLinux_most_descriptors; the same results as of sendmsg(2).
enum { CLinux_most_descriptors = 250 };
long CLinux_send_descriptors(int fd, const void *bytes, size_t count, const int *descriptors, int number);
// Receives bytes with descriptors, which are not inherited; `number` is the room, and then how many came.
long CLinux_receive_descriptors(int fd, void *bytes, size_t count, int *descriptors, int *number);

int CLinux_set_flag(int fd, int level, int option, int value);
int CLinux_IPV6_V6ONLY(void);

/// The pending error of a socket, as an errno value; 0 for none.
int CLinux_socket_error(int fd);

/// Bytes of a stream socket that the peer's machine has not acknowledged; 0 if the kernel does not say.
int CLinux_unacknowledged(int fd);

/// PR_SET_DUMPABLE 0: no core file, and no other process of this user may read our memory. 0 or -1 with errno.
int CLinux_forbid_dump(void);

/// As whom the calling thread, and no other, opens and makes files: setfsuid, setfsgid and setgroups of the kernel. glibc
/// would change the groups of all threads. 0, or -1 with errno where the kernel did not do it.
int CLinux_set_file_user(uint32_t user);
int CLinux_set_file_group(uint32_t group);
int CLinux_set_thread_groups(const uint32_t *groups, int count);

int CLinux_O_PATH(void);

/// Gives what a descriptor of O_PATH leads to to another group: fchownat with AT_EMPTY_PATH. 0 or -1 with errno.
int CLinux_set_group(int fd, uint32_t group);

void CLinux_name_thread(const char *name);

/// Raises the nice value of the calling thread alone, at most to 19. 0 or -1 with errno.
int CLinux_nice_thread(int more);

/// Waits for a post of a `sem_t`, by CLOCK_MONOTONIC: a step of the wall clock neither ends nor prolongs it. 0, or -1
/// when none came in time. At most 2^63 nanoseconds.
int CLinux_sem_wait(void *semaphore, uint64_t nanoseconds);

/// Gives free memory of the allocator back to the system: malloc_trim.
void CLinux_trim_memory(void);

/// Cores that this thread may run on; 0 if the kernel does not say.
int CLinux_core_count(void);

#endif
