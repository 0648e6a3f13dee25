// Headers of OpenSSL's keys and certificates, for Swift. Macros that Swift cannot import get a `static inline`
// wrapper; no logic.
#ifndef COPENSSL_PKI_H
#define COPENSSL_PKI_H

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

/// How names are printed: RFC 2253, but with UTF-8 left readable; control characters stay escaped.
static inline unsigned long COpenSSL_pki_name_flags(void) {
    return XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB;
}

/// Points `bytes` at the contents of a memory BIO, which keeps owning them.
static inline long COpenSSL_pki_memory(BIO *bio, char **bytes) { return BIO_get_mem_data(bio, bytes); }

#endif
