#include "CWipe.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

// AddressSanitizer and its kin have an allocator of their own.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_OTHER_ALLOCATOR
#endif
#endif

#ifndef HAS_OTHER_ALLOCATOR
// glibc's own, by the names that it has for those who stand in front of them.
extern void *__libc_malloc(size_t);
extern void __libc_free(void *);

void free(void *block)
{
    if (!block)
        return;
    explicit_bzero(block, malloc_usable_size(block));
    __libc_free(block);
}

// One that moves a block would leave the old one as it is.
void *realloc(void *block, size_t size)
{
    if (!block)
        return __libc_malloc(size);
    if (size == 0) {
        free(block);
        return NULL;
    }
    size_t room = malloc_usable_size(block);
    if (size <= room && size > room / 2)
        return block;
    void *moved = __libc_malloc(size);
    if (moved) {
        memcpy(moved, block, room < size ? room : size);
        free(block);
    }
    return moved;
}
#endif
