// Stands in front of glibc's allocator: whatever is given back is overwritten first, by whomever in the process. glibc's
// own M_PERTURB does not reach what it keeps for the thread that gave it back, which is most of it.
//
// For a program that holds secrets in texts all over its memory and has time. It is in force where it is linked.
#ifndef CWIPE_H
#define CWIPE_H
#endif
