#ifndef AITBC_COPENSSL_SHIM_H
#define AITBC_COPENSSL_SHIM_H

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

/* EVP_PKEY_ED25519 is a chain of macros, which Swift does not import. */
static inline int aitbc_pkey_is_ed25519(const EVP_PKEY *key) { return EVP_PKEY_get_id(key) == EVP_PKEY_ED25519; }

#endif
