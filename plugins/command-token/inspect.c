/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `burrow token inspect`: what a token says of itself. Nothing of it is verified, and the
 * signature, which is what makes it worth stealing, is not shown.
 */
#include "token.h"

#include "jwt/base64url.h"
#include "jwt/parts.h"
#include "utc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* "in 2 h 5 min", "3 d ago": the two largest units that count. */
static void print_distance(int64_t seconds)
{
    static const struct {
        const char *name;
        int64_t seconds;
    } units[] = {{"y", 31557600}, {"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}};
    int64_t left = seconds < 0 ? -seconds : seconds;
    unsigned shown = 0;
    if (left == 0) {
        printf("now");
        return;
    }
    printf("%s", seconds < 0 ? "" : "in ");
    for (size_t i = 0; i < sizeof units / sizeof units[0] && shown < 2; i++) {
        int64_t n = left / units[i].seconds;
        if (n == 0)
            continue;
        printf("%s%" PRId64 " %s", shown ? " " : "", n, units[i].name);
        left %= units[i].seconds;
        shown++;
    }
    printf("%s", seconds < 0 ? " ago" : "");
}

static bool is_time(const char *name)
{
    return strcmp(name, "exp") == 0 || strcmp(name, "nbf") == 0 || strcmp(name, "iat") == 0 ||
           strcmp(name, "auth_time") == 0;
}

static void print_member(const char *name, const json_t *value, int64_t now_s)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    char shown[JWT_SHOWN];
    printf("  %-8s %s", jwt_show(shown, name, strlen(name)), text ? text : "?");
    free(text);
    double seconds = json_number_value(value);
    if (is_time(name) && json_is_number(value) && seconds >= 0 && seconds <= JWT_MAX_TIME_S) {
        time_t at = (time_t)seconds;
        struct tm tm;
        char date[40];
        if (gmtime_r(&at, &tm) && strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
            printf(" = %s, ", date);
        print_distance((int64_t)at - now_s);
    }
    printf("\n");
}

/* One of the two JSON segments. Returns where the next begins, or NULL. */
static const char *print_object(const char *segment, const char *what, json_t **ret,
                                unsigned *problems)
{
    struct jwt_refusal why;
    const char *dot = strchr(segment, '.');
    size_t len = dot ? (size_t)(dot - segment) : strlen(segment), n = 0;
    uint8_t bytes[JWT_MAX_TOKEN];
    printf("%s\n", what);
    int r = base64url_decode(segment, len, bytes, sizeof bytes, &n);
    json_t *object = NULL;
    if (r == BURROW_OK)
        r = jwt_parse_object(bytes, n, what, &object, &why);
    else
        jwt_refuse(&why, BURROW_CODE_INVALID_TOKEN, "the %s is no canonical base64url", what);
    if (r < 0) {
        printf("  problem: %s\n", r == BURROW_ENOMEM ? "out of memory" : why.text);
        (*problems)++;
    }
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value) print_member(name, value, utc_now_ms() / 1000);
    *ret = object;
    return dot ? dot + 1 : NULL;
}

static int believe(const void *key, const struct jwt_signed *token, struct jwt_refusal *why)
{
    (void)key;
    (void)token;
    (void)why;
    return BURROW_OK;
}

/* What the gate says when any algorithm and signature will do. */
static void print_problem(const char *token, const json_t *header, unsigned *problems)
{
    const char *name = json_string_value(json_object_get(header, "alg"));
    const struct jwt_rules rules = {.alg = name ? jwt_alg_find(name) : NULL,
                                    .grants = JWT_GRANTS_CLAIM};
    struct jwt_identity who;
    struct jwt_refusal why;
    if (!rules.alg)
        jwt_refuse(&why, 0, "alg is none that burrow verifies: " JWT_ALL_ALGS);
    else if (jwt_check(token, strlen(token), &rules, believe, NULL, utc_now_ms(), &who, &why) ==
             BURROW_OK)
        return;
    printf("problem\n  %s\n", why.text);
    (*problems)++;
}

int token_inspect(const struct burrow_host *host, const char *token, unsigned *ret_problems)
{
    json_t *header = NULL, *claims = NULL;
    unsigned problems = 0;
    const char *rest = print_object(token, "header", &header, &problems);
    if (rest)
        rest = print_object(rest, "payload", &claims, &problems);
    if (rest)
        printf("signature\n  %zu bytes, neither shown nor verified\n",
               BASE64URL_DECODED(strlen(rest)) - 2 + (strlen(rest) % 4 * 3) / 4);
    if (problems == 0)
        print_problem(token, header, &problems);
    json_decref(header);
    json_decref(claims);
    *ret_problems = problems;
    if (fflush(stdout) != 0)
        return burrow_error(host, BURROW_EIO, "cannot write: %s", strerror(errno));
    return BURROW_OK;
}
