/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A newer token for a session that goes on. Shortly before the token ends its file is read
 * again, every few seconds until there is another one, which is offered to the server by
 * CONTROL `token`. One offer is outstanding at a time; a refusal leaves the old token in force
 * until it ends. A server that does not answer does not know the control: the session is then
 * given up for a new one, as it would have to be anyway.
 */
#include "client/internal.h"

#include "base/object.h"

#include <stdlib.h>
#include <string.h>

#define CHECK_MS 60000u  /* the wall clock may be set meanwhile */
#define ANSWER_MS 15000u /* the server's chain has 10 s */

static void drop_offer(struct client *c)
{
    token_free(c->offered);
    c->offered = NULL;
}

static void keep_refused(struct client *c, char *token)
{
    token_free(c->refused);
    c->refused = token;
}

void renew_stop(struct client *c)
{
    loop_timer_stop(c->refresh);
    drop_offer(c);
    keep_refused(c, NULL);
}

/* Waits for the token's last moments, a while at a time. Without a file it cannot change. */
static void wait_for_the_end(struct client *c)
{
    if (c->token_source.file == NULL || c->expires_ms == 0) {
        loop_timer_stop(c->refresh);
        return;
    }
    int64_t left = c->expires_ms - c->options->token_refresh_window - loop_unix_ms(c->loop);
    if (left > 0)
        loop_timer_set(c->refresh, (uint64_t)(left < CHECK_MS ? left : CHECK_MS));
    else
        loop_timer_set(c->refresh,
                       backoff_next(&c->backoff, BACKOFF_EXPIRED_FILE, client_random()));
}

static void reconnect(struct client *c)
{
    renew_stop(c);
    c->refreshing = true;
    session_close(c->current->session, BURROW_CLOSE_NORMAL, NULL,
                  "reconnecting with a newer token");
}

/* Takes the token. */
static void offer(struct client *c, char *token)
{
    struct control *control = calloc(1, sizeof *control);
    int rc = BURROW_ENOMEM;
    c->offered = token;
    if (control != NULL) {
        control->type = CONTROL_TOKEN;
        control->serial = ++c->offer_serial != 0 ? c->offer_serial : ++c->offer_serial;
        control->token = strdup(token);
        if (control->token != NULL)
            rc = session_send_control(c->current->session, control);
        control_finish(control);
        free(control);
    }
    if (rc != BURROW_OK)
        drop_offer(c); /* tried again later; or the session is over */
    loop_timer_set(c->refresh, ANSWER_MS);
}

static bool differs(const char *token, const char *other)
{
    return other == NULL || strcmp(token, other) != 0;
}

/* The token of now if it is another one than the session has, and not refused, else NULL. */
static char *newer_token(const struct client *c)
{
    char *token = NULL;
    struct error err = {0};
    int rc = token_load(&c->token_source, &token, &err);
    if (rc == BURROW_OK && token != NULL && differs(token, c->token) && differs(token, c->refused))
        return token;
    token_free(token);
    return NULL;
}

void renew_now(struct client *c)
{
    if (c->offered != NULL || (c->state != CLIENT_CONNECTED && c->state != CLIENT_WAITING))
        return;
    char *token = newer_token(c);
    if (token == NULL) {
        if (c->state == CLIENT_CONNECTED)
            wait_for_the_end(c);
    } else if (c->state == CLIENT_WAITING) {
        token_free(token);
        loop_timer_set(c->timer, 0); /* the pause was for the token of before */
    } else if (session_protocol(c->current->session) == 1) {
        token_free(token);
        reconnect(c); /* it has no control for this */
    } else {
        offer(c, token);
    }
}

void renew_begin(struct client *c)
{
    int64_t left = c->expires_ms - c->options->token_refresh_window - loop_unix_ms(c->loop);
    if (c->token_source.file != NULL && c->expires_ms != 0 && left <= 0)
        renew_now(c);
    else
        wait_for_the_end(c);
}

void renew_due(void *arg)
{
    struct client *c = arg;
    must_be(c, CLIENT_MAGIC);
    if (c->state != CLIENT_CONNECTED)
        return;
    if (c->offered != NULL)
        reconnect(c); /* the server says nothing to it */
    else
        renew_begin(c);
}

void renew_answered(struct client *c, const struct control *ack)
{
    if (c->offered == NULL || ack->serial != c->offer_serial)
        return;
    if (ack->code[0] != '\0') {
        log_at(c->log, BURROW_LOG_WARN, "token_refused", burrow_str("code", ack->code));
        bool for_good =
            strcmp(ack->code, "token_not_yet_valid") != 0 && strcmp(ack->code, "internal") != 0;
        if (for_good) {
            keep_refused(c, c->offered);
            c->offered = NULL;
        }
        drop_offer(c);
        loop_timer_set(c->refresh,
                       backoff_next(&c->backoff, BACKOFF_EXPIRED_FILE, client_random()));
        return;
    }
    token_free(c->token);
    c->token = c->offered;
    c->offered = NULL;
    c->expires_ms = ack->expires_ms != 0 ? ack->expires_ms : token_expiry_ms(c->token);
    log_at(c->log, BURROW_LOG_INFO, "token_renewed", burrow_int("expires_ms", c->expires_ms));
    wait_for_the_end(c);
}
