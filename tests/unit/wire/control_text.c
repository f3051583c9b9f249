/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of CONTROL frames share, see control_text.h. */
#include "control_text.h"

struct control decoded(const char *json)
{
    struct control c;
    struct error err = {0};
    const int r = control_decode(&c, json, strlen(json), &err);
    if (r != 0)
        print_error("%s\n%s\n", err.text, json);
    assert_int_equal(r, 0);
    return c;
}

void assert_refused_n(const void *json, size_t n, const char *what)
{
    struct control c;
    struct error err = {0};
    memset(&c, 0x5a, sizeof c);
    assert_int_equal(control_decode(&c, json, n, &err), BURROW_EPROTO);
    assert_int_equal(err.code, BURROW_EPROTO);
    if (strstr(err.text, what) == NULL)
        fail_msg("\"%s\" does not name %s", err.text, what);
    for (size_t i = 0; i < sizeof c; i++)
        assert_int_equal(((const uint8_t *)&c)[i], 0x5a);
}

void assert_refused(const char *json, const char *what)
{
    assert_refused_n(json, strlen(json), what);
}

struct control round_trip(const struct control *c)
{
    char *text = NULL;
    size_t n = 0;
    assert_int_equal(control_encode(c, &text, &n), 0);
    assert_int_equal(strlen(text), n);
    const struct control back = decoded(text);
    control_text_free(text, n);
    return back;
}
