/* SPDX-License-Identifier: Apache-2.0 */
/* Makes tokens, good and bad, without the code under test, and asks the gate about them. */
#ifndef TEST_JWT_HELPER_H
#define TEST_JWT_HELPER_H

#include "jwt/parts.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW_S 1790000000
#define NOW_MS (NOW_S * 1000LL)
#define GOOD_HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
/* Claims that are right at NOW, but for the closing brace: append members and "}". */
#define GOOD_CLAIMS "{\"sub\":\"client-a\",\"exp\":1790000600"

extern const struct burrow_secret test_secret; /* 64 bytes */

/* Strict rules of a test: HS256, no issuer, no audience. */
struct jwt_rules plain_rules(void);

/* The compact form of any two texts, signed with HMAC by `digest` ("SHA256"). malloc'd. */
char *seal_with(const char *digest, const char *header, const char *payload);
char *seal(const char *header, const char *payload); /* SHA256 */
/* seal(GOOD_HEADER, payload) */
char *claims_token(const char *payload);

/* jwt_check at NOW with test_secret and the rules. */
int ask(const char *token, const struct jwt_rules *rules, struct jwt_identity *ret,
        struct jwt_refusal *why);

/* The gate accepts, or refuses with the code and a text that contains `part`. They free
 * the token. */
void accepts(char *token, const struct jwt_rules *rules);
void refuses(char *token, const struct jwt_rules *rules, uint32_t code, const char *part);

/* The same for claims and for a header, under the plain rules; refused as invalid_token. */
void accepts_claims(const char *payload);
void refuses_claims(const char *payload, const char *part);
void accepts_header(const char *header);
void refuses_header(const char *header, const char *part);

#endif
