/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the service's answer. Only a 200 whose body says who it is lets anybody in; a 200 that
 * cannot be read is the service's fault, not the client's.
 */
#include "opinion.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TIME_S 253402300799 /* 9999-12-31, as of tokens */

static const struct {
    const char *name;
    uint32_t code;
} codes[] = {
    {"invalid_token", BURROW_CODE_INVALID_TOKEN},
    {"token_expired", BURROW_CODE_TOKEN_EXPIRED},
    {"token_not_yet_valid", BURROW_CODE_TOKEN_NOT_YET_VALID},
    {"missing_bearer", BURROW_CODE_MISSING_BEARER},
};

__attribute__((format(printf, 4, 5))) static void set(struct opinion *o, uint32_t result,
                                                      uint32_t code, const char *fmt, ...)
{
    va_list ap;
    opinion_finish(o);
    o->result = result;
    o->code = code;
    va_start(ap, fmt);
    vsnprintf(o->reason, sizeof o->reason, fmt, ap);
    va_end(ap);
}

void opinion_unavailable(const char *reason, struct opinion *ret)
{
    *ret = (struct opinion){.grants = NULL};
    set(ret, BURROW_AUTH_UNAVAILABLE, 0, "%s", reason);
}

/* ---- 200 ---- */

static bool is_subject(const char *text, size_t len)
{
    if (len == 0 || len > OPINION_MAX_SUBJECT)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    return true;
}

/* Seconds since 1970, whole: a fraction has no use here. */
static bool read_expires(const json_t *value, int64_t *ret_ms)
{
    json_int_t seconds = json_integer_value(value);
    if (!value)
        return true;
    if (!json_is_integer(value) || seconds <= 0 || seconds > MAX_TIME_S)
        return false;
    *ret_ms = (int64_t)seconds * 1000;
    return true;
}

static void read_allow(const json_t *object, int64_t now_ms, struct opinion *o)
{
    const json_t *subject = json_object_get(object, "subject");
    const json_t *grants = json_object_get(object, "grants");
    int64_t expires_ms = 0;
    if (!json_is_string(subject) ||
        !is_subject(json_string_value(subject), json_string_length(subject))) {
        set(o, BURROW_AUTH_UNAVAILABLE, 0, "the service's 200 has no \"subject\" of 1 to %u bytes",
            OPINION_MAX_SUBJECT);
        return;
    }
    if (!read_expires(json_object_get(object, "expires"), &expires_ms) ||
        (grants && !json_is_object(grants))) {
        set(o, BURROW_AUTH_UNAVAILABLE, 0,
            "the service's 200 has an \"expires\" that is no number of seconds, or \"grants\" that "
            "are no object");
        return;
    }
    if (expires_ms != 0 && expires_ms <= now_ms) {
        set(o, BURROW_AUTH_ABSTAIN, BURROW_CODE_TOKEN_EXPIRED, "the service says it has expired");
        return;
    }
    if (grants && !(o->grants = json_dumps(grants, JSON_COMPACT))) {
        set(o, BURROW_AUTH_UNAVAILABLE, 0, "out of memory");
        return;
    }
    o->result = BURROW_AUTH_ALLOW;
    o->subject_len = json_string_length(subject);
    memcpy(o->subject, json_string_value(subject), o->subject_len + 1);
    o->expires_ms = expires_ms;
}

/* ---- 401 and 403 ---- */

/* The body may say more: {"code": …, "reason": …}. What it does not say well is passed over. */
static void read_refusal(const json_t *object, uint32_t result, int status, struct opinion *o)
{
    const char *name = json_string_value(json_object_get(object, "code"));
    const char *reason = json_string_value(json_object_get(object, "reason"));
    uint32_t code = BURROW_CODE_INVALID_TOKEN;
    for (size_t i = 0; name && i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(name, codes[i].name) == 0)
            code = codes[i].code;
    set(o, result, code, "the service answered %d%s%s", status, reason ? ": " : "",
        reason ? reason : "");
}

void opinion_read(const struct http_response *response, int64_t now_ms, struct opinion *ret,
                  int64_t *ret_keep_ms)
{
    struct opinion o = {.grants = NULL};
    json_t *object =
        json_loadb(response->body.data, response->body.len, JSON_REJECT_DUPLICATES, NULL);
    int64_t keep_ms = http_keep_ms(response);
    if (response->status == 200 && json_is_object(object))
        read_allow(object, now_ms, &o);
    else if (response->status == 200)
        set(&o, BURROW_AUTH_UNAVAILABLE, 0, "the service's 200 is no JSON object");
    else if (response->status == 401) /* not known there: others of the chain may know it */
        read_refusal(object, BURROW_AUTH_ABSTAIN, 401, &o);
    else if (response->status == 403)
        read_refusal(object, BURROW_AUTH_DENY, 403, &o);
    else
        set(&o, BURROW_AUTH_UNAVAILABLE, 0, "the service answered %d", (int)response->status);
    json_decref(object);
    if (keep_ms < 0 || o.result == BURROW_AUTH_UNAVAILABLE)
        keep_ms = 0;
    if (keep_ms > OPINION_LONGEST_MS)
        keep_ms = OPINION_LONGEST_MS;
    if (o.expires_ms != 0 && keep_ms > o.expires_ms - now_ms)
        keep_ms = o.expires_ms - now_ms;
    *ret_keep_ms = keep_ms;
    *ret = o;
}

bool opinion_copy(const struct opinion *from, struct opinion *ret)
{
    struct opinion copy = *from;
    copy.grants = from->grants ? strdup(from->grants) : NULL;
    if (from->grants && !copy.grants)
        return false;
    *ret = copy;
    return true;
}

void opinion_finish(struct opinion *opinion)
{
    free(opinion->grants);
    *opinion = (struct opinion){.grants = NULL};
}

void opinion_answer(const struct opinion *o, const struct burrow_auth_host *host,
                    struct burrow_auth_request *request)
{
    const struct burrow_verdict verdict = {
        .size = sizeof verdict,
        .result = o->result,
        .code = o->code,
        .subject = o->result == BURROW_AUTH_ALLOW ? o->subject : NULL,
        .subject_len = o->subject_len,
        .expires_ms = o->expires_ms,
        .reason = o->reason[0] ? o->reason : NULL,
        .grants_json = o->grants,
    };
    host->answer(request, &verdict);
}
