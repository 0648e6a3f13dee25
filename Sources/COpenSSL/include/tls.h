// Headers of OpenSSL's TLS half, for Swift. Macros that Swift cannot import get a `static inline` wrapper; no logic.
#ifndef COPENSSL_TLS_H
#define COPENSSL_TLS_H

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#endif
