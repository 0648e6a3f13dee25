// For programs that are linked statically: nothing is loaded into them while they run.
//
// glibc's own loader would be in them otherwise. It is for libraries of the very same glibc, and a system that the program
// comes to has another: what nsswitch.conf names there, or openssl.cnf, would end the process. As it is, a name service
// that is a library does not exist, and the next one in nsswitch.conf is asked; `files` and `dns` are built in.
#include <link.h>
#include <stddef.h>

void *dlopen(const char *file, int mode) {
    (void)file, (void)mode;
    return NULL;
}

void *dlsym(void *library, const char *name) {
    (void)library, (void)name;
    return NULL;
}

int dlclose(void *library) {
    (void)library;
    return -1;
}

char *dlerror(void) { return "a static program loads no library"; }

// By these names glibc calls its loader itself.
void *__libc_dlopen_mode(const char *file, int mode) { return dlopen(file, mode); }

void *__libc_dlsym(void *library, const char *name) { return dlsym(library, name); }

void *__libc_dlvsym(void *library, const char *name, const char *version) {
    (void)version;
    return dlsym(library, name);
}

int __libc_dlclose(void *library) { return dlclose(library); }

// What dladdr(3) and destructors of threads ask: whose an address is. glibc's answer comes with the loader, and there is one
// program only, which is the first of the first name space (`struct link_namespaces`).
extern struct {
    struct link_map *first;
} _dl_ns[];

struct link_map *_dl_find_dso_for_object(ElfW(Addr) address) {
    (void)address;
    return _dl_ns[0].first;
}
