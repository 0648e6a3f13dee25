// A wall clock that tests can step, for one process:
//   cc -shared -fPIC -O1 -o clock-step.so clock-step.c
//   CLOCK_STEP=file LD_PRELOAD=./clock-step.so program
// The file holds a number of nanoseconds, 8 bytes in the machine's order, which is added to the wall clock at each call.
// Waits until a time of the wall clock end when this clock gets there, as the kernel's do when the true one is stepped.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t second = 1000000000;
// A wait looks so often whether the clock was stepped.
static const int64_t slice = 2000000;

static const volatile int64_t *step;
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_sem_clockwait)(sem_t *, clockid_t, const struct timespec *);

__attribute__((constructor)) static void start(void) {
    static const int64_t none;
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    real_sem_clockwait = dlsym(RTLD_NEXT, "sem_clockwait");
    step = &none;
    const char *file = getenv("CLOCK_STEP");
    int descriptor = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    if (descriptor < 0) return;
    void *map = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, descriptor, 0);
    if (map != MAP_FAILED) step = map;
    close(descriptor);
}

static int is_wall(clockid_t clock) { return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE; }

static int64_t nanoseconds(const struct timespec *time) { return time->tv_sec * second + time->tv_nsec; }

static struct timespec timespec_of(int64_t nanoseconds) {
    return (struct timespec){.tv_sec = nanoseconds / second, .tv_nsec = nanoseconds % second};
}

int clock_gettime(clockid_t clock, struct timespec *result) {
    if (!real_clock_gettime) start();
    int status = real_clock_gettime(clock, result);
    if (status == 0 && is_wall(clock)) *result = timespec_of(nanoseconds(result) + *step);
    return status;
}

static int64_t now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return nanoseconds(&time);
}

time_t time(time_t *result) {
    time_t seconds = now(CLOCK_REALTIME) / second;
    if (result) *result = seconds;
    return seconds;
}

int gettimeofday(struct timeval *restrict result, void *restrict zone) {
    (void)zone;
    int64_t time = now(CLOCK_REALTIME);
    *result = (struct timeval){.tv_sec = time / second, .tv_usec = time % second / 1000};
    return 0;
}

int sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *until) {
    if (!is_wall(clock)) return real_sem_clockwait(semaphore, clock, until);
    for (;;) {
        int64_t left = nanoseconds(until) - now(CLOCK_REALTIME);
        struct timespec part = timespec_of(now(CLOCK_MONOTONIC) + (left < slice ? (left > 0 ? left : 0) : slice));
        if (real_sem_clockwait(semaphore, CLOCK_MONOTONIC, &part) == 0) return 0;
        if (errno != ETIMEDOUT || left <= 0) return -1;
    }
}

int sem_timedwait(sem_t *semaphore, const struct timespec *until) {
    return sem_clockwait(semaphore, CLOCK_REALTIME, until);
}
