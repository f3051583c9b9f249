/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes to the control decoder. What it takes must keep every promise of control.h, and
 * must come back the same after it was encoded and decoded once more.
 */
#include "base/object.h"
#include "wire/control.h"
#include "wire/frame.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define TERMINATED(array) (memchr((array), '\0', sizeof(array)) != NULL)

static void check_service(const struct control_service *s)
{
    must(s->id != 0);
    must(TERMINATED(s->name) && TERMINATED(s->target) && TERMINATED(s->bridge));
    must(TERMINATED(s->code) && TERMINATED(s->message));
}

static void check_promises(const struct control *c)
{
    must(TERMINATED(c->client_id) && TERMINATED(c->target) && TERMINATED(c->session_id));
    must(TERMINATED(c->previous_session_id) && TERMINATED(c->instance) && TERMINATED(c->agent));
    must(TERMINATED(c->code) && TERMINATED(c->message));
    must(c->type != CONTROL_REGISTER || c->client_id[0] != '\0');
    must(c->stream_id <= INT64_MAX);
    must(c->service_count <= CONTROL_MAX_SERVICES);
    bool services = c->type == CONTROL_SERVICES || c->type == CONTROL_SERVICES_ACK;
    bool token = c->type == CONTROL_TOKEN, token_ack = c->type == CONTROL_TOKEN_ACK;
    must((services || token || token_ack) == (c->serial != 0));
    if (!c->has_meta)
        must(c->protocol == 0 && token == (c->token != NULL) &&
             (services || c->service_count == 0));
    if (c->protocol >= FRAME_V2) {
        must(c->max_frame >= FRAME_LEAST_MAX_PAYLOAD && c->max_frame <= FRAME_MAX_PAYLOAD);
        must(c->window > 0);
        must(c->type != CONTROL_REGISTER || strlen(c->instance) == CONTROL_INSTANCE - 1);
        must(c->type != CONTROL_REGISTER_ACK || (c->heartbeat_ms > 0 && c->timeout_ms > 0));
    }
    for (size_t i = 0; i < c->service_count; i++)
        check_service(&c->services[i]);
}

static void check_same(const struct control *a, const struct control *b)
{
    must(a->type == b->type && a->stream_id == b->stream_id && a->has_meta == b->has_meta &&
         a->protocol == b->protocol);
    must(strcmp(a->client_id, b->client_id) == 0 && strcmp(a->target, b->target) == 0);
    must(strcmp(a->session_id, b->session_id) == 0);
    must(strcmp(a->previous_session_id, b->previous_session_id) == 0);
    must(strcmp(a->instance, b->instance) == 0 && strcmp(a->agent, b->agent) == 0);
    must(a->window == b->window && a->max_frame == b->max_frame);
    must(a->heartbeat_ms == b->heartbeat_ms && a->timeout_ms == b->timeout_ms);
    must(a->expires_ms == b->expires_ms && a->service_count == b->service_count);
    must(a->serial == b->serial && a->deadline_ms == b->deadline_ms);
    must(strcmp(a->code, b->code) == 0 && strcmp(a->message, b->message) == 0);
    must((a->token == NULL) == (b->token == NULL));
    must(a->token == NULL || strcmp(a->token, b->token) == 0);
    for (size_t i = 0; i < a->service_count; i++)
        must(memcmp(&a->services[i], &b->services[i], sizeof a->services[i]) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct control c, back; /* large, and only valid after a decode */
    struct error err = {0};
    const int r = control_decode(&c, p, n, &err);
    must(r == 0 || (r == BURROW_EPROTO && err.code == r && err.text[0] != '\0'));
    if (r != 0)
        return 0;
    must(n > 0 && n <= FRAME_MAX_CONTROL);
    check_promises(&c);
    char *text = NULL;
    size_t len = 0;
    if (c.type != CONTROL_UNKNOWN) {
        const int e = control_encode(&c, &text, &len);
        /* Escapes may make the text longer than the one that came. */
        must(e == 0 || e == BURROW_ENOMEM);
        if (e == 0) {
            must(len <= FRAME_MAX_CONTROL && strlen(text) == len);
            must(control_decode(&back, text, len, &err) == 0);
            check_same(&c, &back);
            control_finish(&back);
            control_text_free(text, len);
        }
    }
    control_finish(&c);
    return 0;
}
