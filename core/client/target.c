/* SPDX-License-Identifier: Apache-2.0 */
/* Parses local targets. */
#include "client/target.h"

#include "config/option.h"

#include <stdio.h>
#include <string.h>

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789-"

int target_parse(const char *text, uint16_t id, struct target *ret, struct error *err)
{
    struct target target = {.id = id};
    const char *place = text, *equals = strchr(text, '=');
    char quoted[320];
    /* A Unix socket's path may hold '=' as well. */
    if (equals != NULL && strncmp(text, "unix:", 5) != 0) {
        size_t len = (size_t)(equals - text);
        if (len == 0 || len >= sizeof target.name || strspn(text, NAME_CHARACTERS) != len)
            return error_set(err, BURROW_EINVAL,
                             "%s: the name before '=' must be 1 to 63 of a-z, 0-9 and hyphens",
                             option_quote(text, quoted, sizeof quoted));
        memcpy(target.name, text, len);
        place = equals + 1;
    }
    if (strlen(place) >= sizeof target.text)
        return error_set(err, BURROW_EINVAL, "%s is too long for an address",
                         option_quote(place, quoted, sizeof quoted));
    int rc = endpoint_parse(place, ENDPOINT_UNIX, &target.endpoint, err);
    if (rc != BURROW_OK)
        return rc;
    snprintf(target.text, sizeof target.text, "%s", place);
    *ret = target;
    return BURROW_OK;
}
