// Counts a process's allocations by who asked for them, and the bytes that are held:
//   cc -shared -fPIC -O2 -o malloc-count.so malloc-count.c
//   MALLOC_COUNT=file LD_PRELOAD=./malloc-count.so program
// The file is three numbers of 8 bytes: calls from the program itself, and from its libraries, and the bytes of heap that are
// in use, with what the allocator adds; then the places in the program that called, as pairs of the offset in its file and the
// number of calls.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { places = 1022, header = sizeof(size_t) };

struct counts {
    _Atomic uint64_t own, others, held;
    struct {
        _Atomic uint64_t offset, calls;
    } place[places];
};

static struct counts none;
static struct counts *counts = &none;
static uintptr_t base, first, last;

// glibc's own names for what is replaced here: no dlsym, which would allocate.
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

// The first object is the program itself.
static int take_program(struct dl_phdr_info *info, size_t size, void *unused) {
    (void)size, (void)unused;
    base = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_LOAD || !(header->p_flags & PF_X)) continue;
        first = base + header->p_vaddr;
        last = first + header->p_memsz;
    }
    return 1;
}

__attribute__((constructor)) static void start(void) {
    const char *file = getenv("MALLOC_COUNT");
    int descriptor = file ? open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (descriptor < 0 || ftruncate(descriptor, sizeof(struct counts)) != 0) return;
    void *map = mmap(NULL, sizeof(struct counts), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    if (map == MAP_FAILED) return;
    dl_iterate_phdr(take_program, NULL);
    counts = map;
}

static void count(uintptr_t caller) {
    if (caller < first || caller >= last) {
        atomic_fetch_add_explicit(&counts->others, 1, memory_order_relaxed);
        return;
    }
    atomic_fetch_add_explicit(&counts->own, 1, memory_order_relaxed);
    uint64_t offset = caller - base;
    for (uint64_t i = 0, at = offset * 0x9E3779B97F4A7C15 >> 40; i < places; i++, at++) {
        uint64_t free_place = 0;
        _Atomic uint64_t *place = &counts->place[at % places].offset;
        if (atomic_load(place) == offset || atomic_compare_exchange_strong(place, &free_place, offset)
            || free_place == offset) {
            atomic_fetch_add_explicit(&counts->place[at % places].calls, 1, memory_order_relaxed);
            return;
        }
    }
}

static void *took(void *memory) {
    if (memory) atomic_fetch_add_explicit(&counts->held, malloc_usable_size(memory) + header, memory_order_relaxed);
    return memory;
}

static void gave(void *memory) {
    if (memory) atomic_fetch_sub_explicit(&counts->held, malloc_usable_size(memory) + header, memory_order_relaxed);
}

#define CALLER ((uintptr_t)__builtin_return_address(0))

void *malloc(size_t size) {
    count(CALLER);
    return took(__libc_malloc(size));
}

void *calloc(size_t number, size_t size) {
    count(CALLER);
    return took(__libc_calloc(number, size));
}

void *realloc(void *memory, size_t size) {
    count(CALLER);
    // No use of this program's shrinks to nothing, and none of its allocations fails.
    gave(memory);
    return took(__libc_realloc(memory, size));
}

void *aligned_alloc(size_t alignment, size_t size) {
    count(CALLER);
    return took(__libc_memalign(alignment, size));
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
    count(CALLER);
    *memory = took(__libc_memalign(alignment, size));
    return *memory ? 0 : ENOMEM;
}

void free(void *memory) {
    gave(memory);
    __libc_free(memory);
}
