/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the server's URL apart; strict, since what is wrong here should be said at start. */
#include "client/url.h"

#include "base/address.h"
#include "config/option.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define EXPECTED "expected ws://HOST[:PORT]/ws, wss://HOST[:PORT]/ws or tls://HOST:PORT"
#define QUOTED 320

static const struct {
    const char *name;
    uint16_t port; /* 0: must be given */
    bool has_path, encrypted;
} SCHEMES[] = {{"ws", 80, true, false}, {"wss", 443, true, true}, {"tls", 0, false, true}};

static int wrong(struct error *err, const char *text, const char *what)
{
    char quoted[QUOTED];
    /* What stands before an @ may be a password. */
    if (strchr(text, '@') != NULL)
        return error_set(err, BURROW_EINVAL, "%s; " EXPECTED, what);
    return error_set(err, BURROW_EINVAL, "%s: %s; " EXPECTED,
                     option_quote(text, quoted, sizeof quoted), what);
}

static const char *check_path(const char *path)
{
    for (const char *p = path; *p != '\0'; p++)
        if (*p == '#')
            return "a fragment has no meaning";
    return NULL;
}

static int parse_authority(const char *text, const char *begin, size_t len, uint16_t default_port,
                           struct server_url *url, struct error *err)
{
    char authority[300];
    if (len == 0)
        return wrong(err, text, "no host");
    if (memchr(begin, '@', len) != NULL)
        return wrong(err, text, "user and password have no place in the URL");
    if (len > sizeof authority - 8)
        return wrong(err, text, "the host is too long");
    memcpy(authority, begin, len);
    authority[len] = '\0';
    /* A port that is not given is put there, so that one parser judges all. */
    const char *bracket = strrchr(authority, ']');
    if (strchr(bracket != NULL ? bracket : authority, ':') == NULL) {
        if (default_port == 0)
            return wrong(err, text, "no port");
        snprintf(authority + len, sizeof authority - len, ":%u", (unsigned)default_port);
    }
    struct endpoint ep;
    struct error inner = {0};
    if (endpoint_parse(authority, 0, &ep, &inner) != BURROW_OK)
        return wrong(err, text, "host or port is not valid");
    snprintf(url->host, sizeof url->host, "%s", ep.host);
    url->port = ep.port;
    return BURROW_OK;
}

/* The scheme of a transport plugin that is not bundled: scheme://HOST:PORT[/PATH], or
 * scheme:///PATH where the plugin dials no address. */
static int parse_foreign(const char *text, size_t scheme_len, struct server_url *url,
                         struct error *err)
{
    const char *rest = text + scheme_len + 3;
    size_t authority = strcspn(rest, "/?#");
    const char *path = rest + authority;
    if (scheme_len == 0 || scheme_len >= sizeof url->scheme || text[0] < 'a' || text[0] > 'z' ||
        strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789+.-") != scheme_len)
        return wrong(err, text, "unknown scheme");
    if (authority == 0 && path[0] != '/')
        return wrong(err, text, "neither a host nor a path");
    if (authority > 0 && parse_authority(text, rest, authority, 0, url, err) != BURROW_OK)
        return BURROW_EINVAL;
    const char *why = check_path(path);
    if (why == NULL && strlen(path) >= sizeof url->path)
        why = "the path is too long";
    if (why != NULL)
        return wrong(err, text, why);
    snprintf(url->scheme, sizeof url->scheme, "%.*s", (int)scheme_len, text);
    snprintf(url->path, sizeof url->path, "%s", path);
    return BURROW_OK;
}

int server_url_parse(const char *text, struct server_url *ret, struct error *err)
{
    struct server_url url = {0};
    for (const char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f)
            return wrong(err, text, "a space, control or non-ASCII character");
    const char *rest = strstr(text, "://");
    if (rest == NULL)
        return wrong(err, text, "no scheme");
    size_t i = 0, len = (size_t)(rest - text);
    while (i < sizeof SCHEMES / sizeof *SCHEMES &&
           (strlen(SCHEMES[i].name) != len || strncmp(text, SCHEMES[i].name, len) != 0))
        i++;
    if (i == sizeof SCHEMES / sizeof *SCHEMES) {
        int foreign = parse_foreign(text, len, &url, err);
        if (foreign == BURROW_OK)
            *ret = url;
        return foreign;
    }
    snprintf(url.scheme, sizeof url.scheme, "%s", SCHEMES[i].name);
    url.encrypted = SCHEMES[i].encrypted;
    rest += 3;
    size_t authority = strcspn(rest, "/?#");
    int rc = parse_authority(text, rest, authority, SCHEMES[i].port, &url, err);
    if (rc != BURROW_OK)
        return rc;
    const char *path = rest + authority;
    const char *why = check_path(path);
    if (why == NULL && !SCHEMES[i].has_path && path[0] != '\0' && strcmp(path, "/") != 0)
        why = "tls:// has no path";
    if (why == NULL && strlen(path) + 4 > sizeof url.path)
        why = "the path is too long";
    if (why != NULL)
        return wrong(err, text, why);
    if (SCHEMES[i].has_path)
        snprintf(url.path, sizeof url.path, "%s%s", path[0] == '/' ? "" : "/ws", path);
    *ret = url;
    return BURROW_OK;
}

int connect_addr_parse(const char *text, char ret_host[256], uint16_t *ret_port, struct error *err)
{
    struct burrow_addr literal;
    struct endpoint ep;
    char with_port[300];
    if (address_parse_literal(text, 0, &literal) == BURROW_OK) {
        snprintf(ret_host, 256, "%s", text);
        return BURROW_OK;
    }
    const char *bracket = strrchr(text, ']');
    bool has_port = strchr(bracket != NULL ? bracket : text, ':') != NULL;
    if (has_port || strlen(text) >= sizeof with_port - 2) {
        if (endpoint_parse(text, 0, &ep, err) != BURROW_OK)
            return BURROW_EINVAL;
    } else {
        snprintf(with_port, sizeof with_port, "%s:1", text);
        if (endpoint_parse(with_port, 0, &ep, NULL) != BURROW_OK) {
            char quoted[QUOTED];
            return error_set(err, BURROW_EINVAL, "%s is no address; expected HOST or HOST:PORT",
                             option_quote(text, quoted, sizeof quoted));
        }
    }
    snprintf(ret_host, 256, "%s", ep.host);
    if (has_port)
        *ret_port = ep.port;
    return BURROW_OK;
}
