/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The right of a session: what the token of its client gave, for how long, and how a newer
 * token renews it while the streams go on. An expired right opens no more streams, and half a
 * minute later it ends the session, unless a newer token has come by CONTROL `token`.
 */
#include "server/internal.h"

#include "base/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPIRY_CHECK_MS 60000 /* the wall clock may be set meanwhile */

bool right_holds(const struct attachment *a)
{
    return a->expires_ms == 0 || loop_unix_ms(a->server->loop) < a->expires_ms;
}

static void arm_expiry(struct attachment *a)
{
    if (a->expires_ms == 0) {
        loop_timer_stop(a->expiry);
        return;
    }
    int64_t left = a->expires_ms + AUTH_LEEWAY_MS - loop_unix_ms(a->server->loop);
    if (left > EXPIRY_CHECK_MS)
        left = EXPIRY_CHECK_MS;
    loop_timer_set(a->expiry, left > 0 ? (uint64_t)left : 0);
}

static void on_expiry(void *arg)
{
    struct attachment *a = arg;
    must_be(a, ATTACHMENT_MAGIC);
    if (loop_unix_ms(a->server->loop) < a->expires_ms + AUTH_LEEWAY_MS) {
        arm_expiry(a);
        return;
    }
    seat_close(a->seat, BURROW_CLOSE_POLICY, auth_code_name(BURROW_CODE_TOKEN_EXPIRED),
               auth_code_text(BURROW_CODE_TOKEN_EXPIRED));
}

int right_begin(struct attachment *a, int64_t expires_ms)
{
    a->expires_ms = expires_ms;
    a->expiry = loop_timer_create(a->server->loop, on_expiry, a);
    if (a->expiry == NULL)
        return BURROW_ENOMEM;
    arm_expiry(a);
    return BURROW_OK;
}

void right_end(struct attachment *a)
{
    auth_cancel(a->renewal);
    a->renewal = NULL;
    loop_timer_destroy(a->expiry);
    a->expiry = NULL;
}

/* ---- renewal ---- */

/* code "": the token is taken. */
static void answer(struct attachment *a, const char *code)
{
    struct control *ack = calloc(1, sizeof *ack);
    if (ack == NULL) {
        seat_close(a->seat, BURROW_CLOSE_INTERNAL, "internal", "out of memory");
        return;
    }
    ack->type = CONTROL_TOKEN_ACK;
    ack->serial = a->renewal_serial;
    if (code[0] == '\0')
        ack->expires_ms = a->expires_ms;
    snprintf(ack->code, sizeof ack->code, "%s", code);
    seat_send(a->seat, ack);
}

static void renewed(struct attachment *a, const struct auth_verdict *v)
{
    struct server *server = a->server;
    if (v->subject != NULL && strcmp(v->subject, a->client_id) != 0) {
        server->stats.renewals_refused++;
        seat_close(a->seat, BURROW_CLOSE_POLICY, "identity_mismatch",
                   "the token's subject is not the client id");
        return;
    }
    server->stats.renewals_taken++;
    a->expires_ms = v->expires_ms;
    arm_expiry(a);
    attachment_set_grants(a, v->grants);
    log_at(server->log, BURROW_LOG_INFO, "token_renewed", burrow_str("client", a->client_id),
           burrow_str("session", a->session_id), burrow_int("expires_ms", a->expires_ms));
    answer(a, "");
}

static void on_verdict(void *arg, const struct auth_verdict *v)
{
    struct attachment *a = arg;
    must_be(a, ATTACHMENT_MAGIC);
    a->renewal = NULL;
    if (v->result == BURROW_AUTH_ALLOW) {
        renewed(a, v);
        return;
    }
    a->server->stats.renewals_refused++;
    refusal_note(&a->server->workers[0], &a->peer, a->renewal_request, v);
    answer(a, v->result == BURROW_AUTH_DENY ? auth_code_name(v->code) : "internal");
}

void right_renew(struct attachment *a, const struct control *control)
{
    const struct burrow_credential credential = {
        .size = sizeof credential,
        .method = BURROW_CREDENTIAL_CONTROL,
        .token = control->token,
        .token_len = strlen(control->token),
        .peer = a->peer,
    };
    must(a->renewal == NULL); /* the seat lets one through at a time */
    a->renewal_serial = control->serial;
    a->renewal_request = ++a->server->next_request;
    a->renewal = auth_ask(a->server->chain, &credential, on_verdict, a);
    if (a->renewal == NULL)
        answer(a, "internal"); /* the decoder has bounded the token: memory is short */
}
