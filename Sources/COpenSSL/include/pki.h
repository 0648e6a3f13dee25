// Headers of OpenSSL's keys and certificates, for Swift. Macros that Swift cannot import get a `static inline`
// wrapper; no logic.
#ifndef COPENSSL_PKI_H
#define COPENSSL_PKI_H

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#endif
