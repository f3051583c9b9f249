/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether 32 bytes are an Ed25519 public key (RFC 8032, 5.1.3) that is worth something.
 * OpenSSL takes any bytes for a key. With one of small order a signature can be made that
 * fits many texts, by anybody; so the eight such points are refused, and what is no point.
 *
 * The curve is -x^2 + y^2 = 1 + d x^2 y^2 modulo p = 2^255 - 19; the bytes are y, little end
 * first, with the sign of x in the top bit.
 */
#include "jwt/parts.h"

#include <openssl/bn.h>
#include <string.h>

static const char curve_d[] = "52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3";

enum verdict { NO_MEMORY, NO_POINT, SMALL_ORDER, SOUND };

/* Temporary numbers of one calculation; any of them may be missing. */
struct numbers {
    BN_CTX *ctx;
    BIGNUM *p, *d, *y, *y2, *t, *u;
};

/* y^2 = (1 + x^2) / (1 - d x^2), solved for x^2: (y^2 - 1) / (d y^2 + 1), which must be a
 * square; so must be the product, then. The order divides 8 when y = 0, y^2 = 1, or, at the
 * halves of the points with y = 0, d y^4 + 2 y^2 = 1. */
static enum verdict judge(struct numbers *n)
{
    if (BN_ucmp(n->y, n->p) >= 0)
        return NO_POINT;
    bool done = BN_mod_sqr(n->y2, n->y, n->p, n->ctx) == 1 &&
                BN_mod_mul(n->t, n->d, n->y2, n->p, n->ctx) == 1 && /* t = d y^2 */
                BN_copy(n->u, n->t) && BN_add_word(n->u, 2) == 1 &&
                BN_mod_mul(n->u, n->u, n->y2, n->p, n->ctx) == 1; /* u = d y^4 + 2 y^2 */
    if (!done)
        return NO_MEMORY;
    if (BN_is_zero(n->y) || BN_is_one(n->y2) || BN_is_one(n->u))
        return SMALL_ORDER;
    done = BN_add_word(n->t, 1) == 1 && BN_copy(n->u, n->y2) && BN_sub_word(n->u, 1) == 1 &&
           BN_mod_mul(n->u, n->u, n->t, n->p, n->ctx) == 1;
    int square = done ? BN_kronecker(n->u, n->p, n->ctx) : -2; /* -2: it failed */
    return square == -2 ? NO_MEMORY : square == 1 ? SOUND : NO_POINT;
}

int jwt_check_ed25519(const uint8_t key[32], struct jwt_refusal *why)
{
    uint8_t y[32];
    memcpy(y, key, sizeof y);
    y[31] &= 0x7f;
    struct numbers n = {.ctx = BN_CTX_new(), .t = BN_new(), .u = BN_new()};
    n.p = BN_new();
    n.y2 = BN_new();
    n.y = BN_lebin2bn(y, sizeof y, NULL);
    enum verdict verdict = NO_MEMORY;
    if (n.ctx && n.t && n.u && n.p && n.y2 && n.y && BN_hex2bn(&n.d, curve_d) != 0 &&
        BN_set_bit(n.p, 255) == 1 && BN_sub_word(n.p, 19) == 1)
        verdict = judge(&n);
    BN_CTX_free(n.ctx);
    BN_free(n.p);
    BN_free(n.d);
    BN_free(n.y);
    BN_free(n.y2);
    BN_free(n.t);
    BN_free(n.u);
    switch (verdict) {
    case SOUND:
        return BURROW_OK;
    case NO_POINT:
        return jwt_bad_key(why, "the Ed25519 key is no point of the curve");
    case SMALL_ORDER:
        return jwt_bad_key(why, "the Ed25519 key is a point of small order");
    default:
        return BURROW_ENOMEM;
    }
}
