// Headers of OpenSSL's digests, for Swift. Macros that Swift cannot import get a `static inline` wrapper; no logic.
#ifndef COPENSSL_DIGEST_H
#define COPENSSL_DIGEST_H

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#endif
