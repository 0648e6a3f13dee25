// Headers of OpenSSL's TLS half, for Swift. Macros that Swift cannot import get a `static inline` wrapper; no logic.
#ifndef COPENSSL_TLS_H
#define COPENSSL_TLS_H

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdbool.h>

// Options: OpenSSL spells them SSL_OP_BIT(n), which the importer does not evaluate.
static inline uint64_t COpenSSL_OP_NO_RENEGOTIATION(void) { return SSL_OP_NO_RENEGOTIATION; }
static inline uint64_t COpenSSL_OP_NO_COMPRESSION(void) { return SSL_OP_NO_COMPRESSION; }
static inline uint64_t COpenSSL_OP_NO_TICKET(void) { return SSL_OP_NO_TICKET; }
static inline uint64_t COpenSSL_OP_CIPHER_SERVER_PREFERENCE(void) { return SSL_OP_CIPHER_SERVER_PREFERENCE; }
static inline uint64_t COpenSSL_OP_PRIORITIZE_CHACHA(void) { return SSL_OP_PRIORITIZE_CHACHA; }

// Calls that OpenSSL defines as macros over SSL_CTX_ctrl and SSL_ctrl.
static inline void COpenSSL_set_mode(SSL *connection, long mode) { SSL_set_mode(connection, mode); }
static inline void COpenSSL_clear_mode(SSL *connection, long mode) { SSL_clear_mode(connection, mode); }
static inline void COpenSSL_CTX_set_mode(SSL_CTX *context, long mode) { SSL_CTX_set_mode(context, mode); }
static inline void COpenSSL_CTX_clear_mode(SSL_CTX *context, long mode) { SSL_CTX_clear_mode(context, mode); }
static inline int COpenSSL_CTX_set_min_version(SSL_CTX *context, int version) {
    return (int)SSL_CTX_set_min_proto_version(context, version);
}
static inline int COpenSSL_CTX_set_max_version(SSL_CTX *context, int version) {
    return (int)SSL_CTX_set_max_proto_version(context, version);
}
static inline void COpenSSL_CTX_set_session_cache_mode(SSL_CTX *context, long mode) {
    SSL_CTX_set_session_cache_mode(context, mode);
}
static inline void COpenSSL_CTX_set_max_cert_list(SSL_CTX *context, long bytes) {
    SSL_CTX_set_max_cert_list(context, bytes);
}
static inline int COpenSSL_CTX_set_groups(SSL_CTX *context, const char *list) {
    return (int)SSL_CTX_set1_groups_list(context, (char *)list);
}
/// The context takes its own reference to `certificate`.
static inline int COpenSSL_CTX_add_chain_certificate(SSL_CTX *context, X509 *certificate) {
    return (int)SSL_CTX_add1_chain_cert(context, certificate);
}
static inline int COpenSSL_CTX_set_app_data(SSL_CTX *context, void *data) {
    return SSL_CTX_set_app_data(context, data);
}
static inline void *COpenSSL_CTX_get_app_data(const SSL_CTX *context) { return SSL_CTX_get_app_data(context); }
static inline int COpenSSL_set_server_name(SSL *ssl, const char *name) {
    return (int)SSL_set_tlsext_host_name(ssl, name);
}

/// Whether the peer has sent its half of the key exchange.
static inline bool COpenSSL_has_peer_key(SSL *ssl) {
    EVP_PKEY *key = NULL;
    bool has = SSL_get_peer_tmp_key(ssl, &key) == 1;
    EVP_PKEY_free(key);
    return has;
}

/// The group of the key exchange, for SSL_group_to_name; 0 where none was exchanged.
static inline int COpenSSL_negotiated_group(SSL *ssl) { return (int)SSL_get_negotiated_group(ssl); }

/// The certificates that a server has shown, its own first. The connection keeps owning them.
static inline int COpenSSL_peer_chain_count(const SSL *ssl) {
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
    return chain == NULL ? 0 : sk_X509_num(chain);
}
static inline X509 *COpenSSL_peer_chain_certificate(const SSL *ssl, int index) {
    return sk_X509_value(SSL_get_peer_cert_chain(ssl), index);
}

// Names that OpenSSL keeps a pointer to: a Swift string would be gone when it looks.
static inline const char *COpenSSL_MAC_PARAM_KEY(void) { return OSSL_MAC_PARAM_KEY; }
static inline const char *COpenSSL_MAC_PARAM_DIGEST(void) { return OSSL_MAC_PARAM_DIGEST; }
static inline char *COpenSSL_SHA256_name(void) { return (char *)SN_sha256; }

#endif
