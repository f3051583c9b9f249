/* SPDX-License-Identifier: Apache-2.0 */
/* Errors are one clean line, whatever was put into them. */
#include "base/error.h"

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static void setting_an_error_returns_its_code(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(error_set(&err, BURROW_EPROTO, "frame %d", 7), BURROW_EPROTO);
    assert_int_equal(err.code, BURROW_EPROTO);
    assert_string_equal(err.text, "frame 7");
}

static void an_error_nobody_wants_still_has_its_code(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, BURROW_EIO, "lost %s", "text"), BURROW_EIO);
}

static void a_prefix_goes_before_the_text_and_keeps_the_code(void **state)
{
    (void)state;
    struct error err = {0};
    error_set(&err, BURROW_EINVAL, "no port");
    assert_int_equal(error_prefix(&err, "--%s", "listen"), BURROW_EINVAL);
    assert_string_equal(err.text, "--listen: no port");
}

static void an_error_may_quote_itself(void **state)
{
    (void)state;
    struct error err = {0};
    error_set(&err, BURROW_EIO, "inner");
    error_set(&err, BURROW_EIO, "outer (%s)", err.text);
    assert_string_equal(err.text, "outer (inner)");
}

static void control_bytes_do_not_reach_the_terminal(void **state)
{
    (void)state;
    struct error err = {0};
    error_set(&err, BURROW_EINVAL, "bad \"%s\"", "a\nb\x1b[31m\x7f");
    assert_string_equal(err.text, "bad \"a?b?[31m?\"");
}

static void a_long_text_is_cut_between_characters(void **state)
{
    (void)state;
    struct error err = {0};
    char text[600];
    /* One byte, then two-byte characters: the limit of 511 falls between them;
     * then two bytes, so that it falls into one. */
    for (size_t lead = 1; lead <= 2; lead++) {
        memset(text, 'x', lead);
        for (size_t i = lead; i + 2 < sizeof text; i += 2)
            memcpy(text + i, "\xc3\xa9", 2);
        text[598] = '\0';
        error_set(&err, BURROW_EINVAL, "%s", text);
        size_t n = strlen(err.text);
        assert_true(n >= 508 && n < sizeof err.text);
        assert_int_equal((n - lead) % 2, 0);
    }
}

static void every_code_has_a_name(void **state)
{
    (void)state;
    for (int code = BURROW_OK; code >= BURROW_ENOSYS; code--) {
        assert_non_null(error_name(code));
        assert_string_not_equal(error_name(code), "unknown error");
    }
    assert_string_equal(error_name(1), "unknown error");
    assert_string_equal(error_name(-1000), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setting_an_error_returns_its_code),
        cmocka_unit_test(an_error_nobody_wants_still_has_its_code),
        cmocka_unit_test(a_prefix_goes_before_the_text_and_keeps_the_code),
        cmocka_unit_test(an_error_may_quote_itself),
        cmocka_unit_test(control_bytes_do_not_reach_the_terminal),
        cmocka_unit_test(a_long_text_is_cut_between_characters),
        cmocka_unit_test(every_code_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
