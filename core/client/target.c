/* SPDX-License-Identifier: Apache-2.0 */
/* Parses local targets. */
#include "client/target.h"

#include "config/option.h"
#include "wire/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789-"
#define QUOTED 320

/* ---- one part after the other ---- */

static int set_name(struct target *t, const char *name, size_t len, struct error *err)
{
    if (len == 0 || len >= sizeof t->name || strspn(name, NAME_CHARACTERS) < len)
        return error_set(err, BURROW_EINVAL, "a name must be 1 to 63 of a-z, 0-9 and hyphens");
    memcpy(t->name, name, len);
    t->name[len] = '\0';
    return BURROW_OK;
}

static int option_name(struct target *t, const char *value, struct error *err)
{
    return set_name(t, value, strlen(value), err);
}

static int option_target(struct target *t, const char *value, struct error *err)
{
    if (strlen(value) >= sizeof t->text)
        return error_set(err, BURROW_EINVAL, "too long for an address");
    int rc = endpoint_parse(value, ENDPOINT_UNIX, &t->endpoint, err);
    if (rc == BURROW_OK)
        snprintf(t->text, sizeof t->text, "%s", value);
    return rc;
}

static int option_port(struct target *t, const char *value, struct error *err)
{
    size_t n = strlen(value);
    unsigned long port = n <= 5 ? strtoul(value, NULL, 10) : 0;
    if (strspn(value, "0123456789") != n || port < 1 || port > UINT16_MAX)
        return error_set(err, BURROW_EINVAL, "not a port, expected 1 to 65535");
    t->port = (uint16_t)port;
    return BURROW_OK;
}

static int option_proxy(struct target *t, const char *value, struct error *err)
{
    static const char *const values[] = {
        [PROXY_NONE] = "off", [PROXY_V1] = "v1", [PROXY_V2] = "v2"};
    for (unsigned i = 0; i < sizeof values / sizeof *values; i++) {
        if (strcmp(value, values[i]) == 0) {
            t->proxy = (enum proxy_protocol)i;
            return BURROW_OK;
        }
    }
    return error_set(err, BURROW_EINVAL, "expected v1, v2 or off");
}

enum { OPTION_NAME, OPTION_TARGET, OPTION_PORT, OPTION_PROXY, OPTIONS };
static const struct {
    const char *name;
    int (*set)(struct target *t, const char *value, struct error *err);
} options[OPTIONS] = {
    [OPTION_NAME] = {"name", option_name},
    [OPTION_TARGET] = {"target", option_target},
    [OPTION_PORT] = {"port", option_port},
    [OPTION_PROXY] = {"proxy-protocol", option_proxy},
};

/* The option that the part names, OPTIONS if none; *ret_value: behind its '='. */
static unsigned find_option(const char *part, const char **ret_value)
{
    size_t len = strcspn(part, "=");
    for (unsigned i = 0; part[len] == '=' && i < OPTIONS; i++) {
        if (strlen(options[i].name) == len && strncmp(part, options[i].name, len) == 0) {
            *ret_value = part + len + 1;
            return i;
        }
    }
    return OPTIONS;
}

static int take_option(struct target *t, const char *part, unsigned *seen, struct error *err)
{
    char quoted[QUOTED];
    const char *value = NULL;
    unsigned which = find_option(part, &value);
    if (which == OPTIONS)
        return error_set(err, BURROW_EINVAL,
                         "%s: expected port=, proxy-protocol=, name= or target= behind a comma",
                         option_quote(part, quoted, sizeof quoted));
    if (*seen & 1u << which)
        return error_set(err, BURROW_EINVAL, "%s: the %s is there twice",
                         option_quote(part, quoted, sizeof quoted), options[which].name);
    *seen |= 1u << which;
    if (options[which].set(t, value, err) == BURROW_OK)
        return BURROW_OK;
    return error_prefix(err, "%s", option_quote(part, quoted, sizeof quoted));
}

/* [NAME=]ADDRESS. The path of a Unix socket may hold '=' as well. */
static int take_address(struct target *t, const char *part, unsigned *seen, struct error *err)
{
    char quoted[QUOTED];
    const char *equals = strncmp(part, "unix:", 5) != 0 ? strchr(part, '=') : NULL, *value;
    if (equals != NULL && set_name(t, part, (size_t)(equals - part), err) != BURROW_OK)
        return error_prefix(err, "%s", option_quote(part, quoted, sizeof quoted));
    *seen = 1u << OPTION_TARGET | (equals != NULL ? 1u << OPTION_NAME : 0);
    if (option_target(t, equals != NULL ? equals + 1 : part, err) == BURROW_OK)
        return BURROW_OK;
    if (find_option(part, &value) == OPTIONS)
        return BURROW_EINVAL;
    return error_prefix(err, "%s belongs behind the address and a comma (\"\\,\" in the variable)",
                        option_quote(part, quoted, sizeof quoted));
}

/* The text up to the next comma, in which "\," is a comma; NULL: this was the last part. */
static const char *next_part(const char *p, char *buf)
{
    for (; *p != '\0' && *p != ','; p++) {
        p += p[0] == '\\' && p[1] == ',';
        *buf++ = *p;
    }
    *buf = '\0';
    return *p == ',' ? p + 1 : NULL;
}

int target_parse(const char *text, struct target *ret, struct error *err)
{
    struct target target = {0};
    char part[1024], quoted[QUOTED];
    unsigned seen = 0;
    if (strlen(text) >= sizeof part)
        return error_set(err, BURROW_EINVAL, "%s is too long for a target",
                         option_quote(text, quoted, sizeof quoted));
    const char *rest = next_part(text, part);
    int rc = BURROW_OK;
    if (part[0] != '\0' || rest == NULL)
        rc = take_address(&target, part, &seen, err);
    while (rc == BURROW_OK && rest != NULL) {
        rest = next_part(rest, part);
        rc = take_option(&target, part, &seen, err);
    }
    if (rc == BURROW_OK && (seen & 1u << OPTION_TARGET) == 0)
        rc = error_set(err, BURROW_EINVAL,
                       "%s: it has no target=", option_quote(text, quoted, sizeof quoted));
    if (rc == BURROW_OK)
        *ret = target;
    return rc;
}

/* ---- all of them ---- */

static int check_pair(const struct target *a, const struct target *b, struct error *err)
{
    if (strcmp(a->name, b->name) == 0 && a->name[0] == '\0')
        return error_set(err, BURROW_EINVAL,
                         "\"%s\" and \"%s\" have no name; of several targets each needs its own, "
                         "as in pg=%s",
                         a->text, b->text, a->text);
    if (strcmp(a->name, b->name) == 0)
        return error_set(err, BURROW_EINVAL, "two targets have the name \"%s\"", a->name);
    if (a->port != 0 && a->port == b->port)
        return error_set(err, BURROW_EINVAL, "two targets ask for the bridge port %u", a->port);
    return BURROW_OK;
}

static int parse_all(const struct burrow_list *list, struct target *targets, struct error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        int rc = target_parse(list->items[i], &targets[i], err);
        for (size_t j = 0; rc == BURROW_OK && j < i; j++)
            rc = check_pair(&targets[j], &targets[i], err);
        if (rc != BURROW_OK)
            return rc;
    }
    return BURROW_OK;
}

int targets_parse(const struct burrow_list *list, struct target **ret, struct error *err)
{
    struct target *targets = NULL;
    int rc;
    if (list->count == 0)
        rc = error_set(err, BURROW_EINVAL, "required, HOST:PORT of the local service");
    else if (list->count > CONTROL_MAX_SERVICES)
        rc = error_set(err, BURROW_EINVAL, "given %zu times; a client has at most %d services",
                       list->count, CONTROL_MAX_SERVICES);
    else if ((targets = calloc(list->count, sizeof *targets)) == NULL)
        return error_set(err, BURROW_ENOMEM, "out of memory");
    else
        rc = parse_all(list, targets, err);
    if (rc == BURROW_OK) {
        *ret = targets;
        return rc;
    }
    free(targets);
    return error_prefix(err, "--local-target (BURROW_LOCAL_TARGET)");
}
