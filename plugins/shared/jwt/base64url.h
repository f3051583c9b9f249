/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64url as JWTs use it (RFC 7515, 2): no padding, and only the one canonical spelling
 * of every byte string, so that no two tokens mean the same bytes.
 */
#ifndef JWT_BASE64URL_H
#define JWT_BASE64URL_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that n characters decode to at most, and characters that n bytes need (no NUL).
 * For n up to a million, which no token reaches. */
#define BASE64URL_DECODED(n) ((n) / 4 * 3 + 2)
#define BASE64URL_ENCODED(n) (((n)*4 + 2) / 3)

/* Decodes text into out. BURROW_EPROTO: a character outside the alphabet (also padding and
 * white space), an impossible length, or unused bits that are not zero; BURROW_ENOMEM: out
 * is too small. */
int base64url_decode(const char *text, size_t len, uint8_t *out, size_t capacity, size_t *ret_len);

/* Encodes n bytes into out, which has room for BASE64URL_ENCODED(n); returns that number. */
size_t base64url_encode(const uint8_t *bytes, size_t n, char *out);

#endif
