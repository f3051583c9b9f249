/* SPDX-License-Identifier: Apache-2.0 */
/* base64url: one spelling for each byte string, and no other. */
#include "helper.h"
#include "jwt/base64url.h"

static int decode(const char *text, uint8_t *out, size_t capacity, size_t *ret_len)
{
    return base64url_decode(text, strlen(text), out, capacity, ret_len);
}

static void decoder_gives_back_what_the_encoder_wrote(void **state)
{
    (void)state;
    uint8_t bytes[256], back[256];
    char text[BASE64URL_ENCODED(sizeof bytes) + 1];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + 11);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        size_t len = base64url_encode(bytes, n, text);
        assert_int_equal(len, BASE64URL_ENCODED(n));
        size_t got = 999;
        assert_int_equal(base64url_decode(text, len, back, n, &got), BURROW_OK);
        assert_int_equal(got, n);
        assert_memory_equal(back, bytes, n);
        assert_true(BASE64URL_DECODED(len) >= n);
    }
}

static void encoder_uses_the_url_alphabet_without_padding(void **state)
{
    (void)state;
    /* RFC 7515, appendix C */
    const uint8_t bytes[] = {3, 236, 255, 224, 193};
    char text[8];
    size_t len = base64url_encode(bytes, sizeof bytes, text);
    assert_int_equal(len, 7);
    assert_memory_equal(text, "A-z_4ME", 7);
}

static void decoder_refuses_padding_and_white_space(void **state)
{
    (void)state;
    static const char *const bad[] = {"QQ==", "QUI=", " QUJD", "QUJD\n", "QU JD", "QUJD\r\n", "="};
    uint8_t out[16];
    size_t len = 99;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(decode(bad[i], out, sizeof out, &len), BURROW_EPROTO);
    assert_int_equal(len, 99);
}

static void decoder_refuses_every_character_outside_the_alphabet(void **state)
{
    (void)state;
    uint8_t out[8];
    unsigned good = 0;
    for (int c = 0; c < 256; c++) {
        const char text[4] = {'A', (char)c, 'A', 'A'};
        size_t len = 0;
        good += base64url_decode(text, 4, out, sizeof out, &len) == BURROW_OK;
    }
    assert_int_equal(good, 64);
}

static void decoder_refuses_unused_bits_that_are_not_zero(void **state)
{
    (void)state;
    uint8_t out[8];
    size_t len = 0;
    assert_int_equal(decode("QQ", out, sizeof out, &len), BURROW_OK);
    assert_int_equal(decode("QR", out, sizeof out, &len), BURROW_EPROTO);
    assert_int_equal(decode("QUI", out, sizeof out, &len), BURROW_OK);
    assert_int_equal(decode("QUJ", out, sizeof out, &len), BURROW_EPROTO);
}

static void decoder_refuses_a_length_that_no_bytes_have(void **state)
{
    (void)state;
    uint8_t out[8];
    size_t len = 0;
    assert_int_equal(decode("A", out, sizeof out, &len), BURROW_EPROTO);
    assert_int_equal(decode("AAAAA", out, sizeof out, &len), BURROW_EPROTO);
}

static void decoder_refuses_what_the_buffer_cannot_hold(void **state)
{
    (void)state;
    uint8_t out[3];
    size_t len = 99;
    assert_int_equal(decode("QUJDRA", out, sizeof out, &len), BURROW_ENOMEM);
    assert_int_equal(len, 99);
    assert_int_equal(decode("QUJD", out, sizeof out, &len), BURROW_OK);
    assert_int_equal(len, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoder_gives_back_what_the_encoder_wrote),
        cmocka_unit_test(encoder_uses_the_url_alphabet_without_padding),
        cmocka_unit_test(decoder_refuses_padding_and_white_space),
        cmocka_unit_test(decoder_refuses_every_character_outside_the_alphabet),
        cmocka_unit_test(decoder_refuses_unused_bits_that_are_not_zero),
        cmocka_unit_test(decoder_refuses_a_length_that_no_bytes_have),
        cmocka_unit_test(decoder_refuses_what_the_buffer_cannot_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
