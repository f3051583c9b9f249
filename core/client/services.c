/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's services, each a local target with an id on the wire: what the register
 * offers, what a running session is told when they change, what the server answers. An id
 * means one name for the life of the process; that of a withdrawn service is not used again
 * before the ids begin anew with a register.
 */
#include "client/internal.h"

#include "base/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RENUMBER_ABOVE (UINT16_MAX / 2)
#define REGISTER_ROOM 2048u /* of a control, for all that is neither token nor service */
#define SERVICE_ROOM 64u    /* JSON around a service's name and target */

const struct target *services_find(const struct client *c, uint16_t id)
{
    for (size_t i = 0; i < c->target_count; i++)
        if (c->targets[i].id == id)
            return &c->targets[i];
    return NULL;
}

static struct target *find_name(const struct client *c, const char *name)
{
    for (size_t i = 0; i < c->target_count; i++)
        if (strcmp(c->targets[i].name, name) == 0)
            return &c->targets[i];
    return NULL;
}

/* ---- what is told ---- */

/* Bytes of a text in JSON. */
static size_t json_length(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++)
        n += (unsigned char)*text < ' ' ? 6 : *text == '"' || *text == '\\' ? 2 : 1;
    return n;
}

void services_offer(struct client *c, struct control *ret)
{
    size_t length = REGISTER_ROOM + (c->token != NULL ? strlen(c->token) : 0);
    ret->service_count = 0;
    for (size_t i = 0; i < c->target_count; i++)
        length += SERVICE_ROOM + strlen(c->targets[i].name) + json_length(c->targets[i].text);
    for (size_t i = 0; i < c->target_count; i++) {
        struct control_service *service = &ret->services[ret->service_count++];
        const struct target *target = &c->targets[i];
        *service = (struct control_service){.id = target->id, .port = target->port};
        snprintf(service->name, sizeof service->name, "%s", target->name);
        /* Only information: where all of them do not fit, they are left out. */
        if (length <= FRAME_MAX_CONTROL)
            snprintf(service->target, sizeof service->target, "%s", target->text);
    }
}

void services_renumber(struct client *c)
{
    if (c->last_service_id <= RENUMBER_ABOVE)
        return;
    c->last_service_id = 0;
    for (size_t i = 0; i < c->target_count; i++)
        c->targets[i].id = ++c->last_service_id;
}

static void say_left_out(const struct client *c)
{
    for (size_t i = 0; i < c->target_count; i++)
        if (c->targets[i].id != c->registered_id)
            log_at(c->log, BURROW_LOG_ERROR, "service_left_out",
                   burrow_str("service", c->targets[i].name),
                   burrow_str("target", c->targets[i].text),
                   burrow_str("reason", "the server speaks wire protocol 1, which has room for "
                                        "one service; the first is served"));
}

void services_send(void *arg)
{
    struct client *c = arg;
    must_be(c, CLIENT_MAGIC);
    if (c->state != CLIENT_CONNECTED)
        return;
    if (session_protocol(c->current->session) == 1) {
        if (services_find(c, c->registered_id) == NULL)
            session_close(c->current->session, BURROW_CLOSE_NORMAL, NULL,
                          "the service was withdrawn");
        else
            say_left_out(c);
        return;
    }
    struct control *control = calloc(1, sizeof *control);
    if (control != NULL) {
        control->type = CONTROL_SERVICES;
        control->serial = ++c->services_serial;
        services_offer(c, control);
        session_send_control(c->current->session, control);
    }
    free(control);
}

/* ---- what is answered ---- */

void services_fill_v1(const struct client *c, struct control *ret_answer)
{
    ret_answer->service_count = 1;
    ret_answer->services[0] = (struct control_service){.id = c->registered_id};
    say_left_out(c);
}

static bool is_passing(const char *code)
{
    return strcmp(code, "limit") == 0 || strcmp(code, "internal") == 0;
}

/* True when it makes sense to ask again later. */
static bool answered_one(struct client *c, const struct control_service *s, bool is_first)
{
    struct target *target = NULL;
    for (size_t i = 0; i < c->target_count; i++)
        if (c->targets[i].id == s->id)
            target = &c->targets[i];
    if (target == NULL)
        return false;
    bool is_new = is_first || strcmp(target->bridge, s->bridge) != 0 || target->is_refused;
    snprintf(target->bridge, sizeof target->bridge, "%s", s->bridge);
    target->is_refused = s->code[0] != '\0';
    if (target->is_refused)
        log_at(c->log, BURROW_LOG_WARN, "service_refused", burrow_str("service", target->name),
               burrow_str("code", s->code), burrow_str("reason", s->message));
    else if (is_new)
        log_at(c->log, BURROW_LOG_INFO, "service_ready", burrow_str("service", target->name),
               burrow_str("bridge", s->bridge), burrow_str("target", target->text));
    return is_passing(s->code);
}

void services_answered(struct client *c, const struct control *answer, bool is_first)
{
    bool again = false;
    if (!is_first && answer->serial != c->services_serial)
        return; /* to a list that has changed since */
    for (size_t i = 0; i < answer->service_count; i++)
        if (answered_one(c, &answer->services[i], is_first))
            again = true;
    loop_timer_stop(c->services_timer);
    if (again)
        loop_timer_set(c->services_timer,
                       backoff_next(&c->services_backoff, BACKOFF_REFUSED, client_random()));
    else
        backoff_after_session(&c->services_backoff, BACKOFF_LONG_SESSION_MS);
}

/* ---- what changes ---- */

/* Those whose name stays keep their id; a name that is new gets a new one. */
static int give_ids(const struct client *c, struct target *targets, size_t n, uint16_t *ret_last,
                    struct error *err)
{
    uint16_t last = *ret_last;
    for (size_t i = 0; i < n; i++) {
        const struct target *old = find_name(c, targets[i].name);
        if (old != NULL) {
            targets[i].id = old->id;
            targets[i].is_refused = old->is_refused;
            snprintf(targets[i].bridge, sizeof targets[i].bridge, "%s", old->bridge);
        } else if (last == UINT16_MAX) {
            return error_set(err, BURROW_ENOMEM,
                             "too many services have come and gone since the "
                             "client connected");
        } else {
            targets[i].id = ++last;
        }
    }
    *ret_last = last;
    return BURROW_OK;
}

static void say_withdrawn(const struct client *c, const struct target *old, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (find_name(c, old[i].name) == NULL)
            log_at(c->log, BURROW_LOG_INFO, "service_withdrawn", burrow_str("service", old[i].name),
                   burrow_str("target", old[i].text));
}

static bool is_same(const struct target *a, const struct target *b)
{
    return a->id == b->id && a->port == b->port && strcmp(a->text, b->text) == 0;
}

/* What the server knows of the two lists is the same. */
static bool are_same(const struct target *a, size_t a_count, const struct target *b, size_t b_count)
{
    for (size_t i = 0; i < a_count && a_count == b_count; i++)
        if (!is_same(&a[i], &b[i]))
            return false;
    return a_count == b_count;
}

int client_set_targets(struct client *c, const struct burrow_list *list, struct error *err)
{
    struct target *targets;
    uint16_t last = c->last_service_id;
    must_be(c, CLIENT_MAGIC);
    int rc = targets_parse(list, &targets, err);
    if (rc == BURROW_OK && give_ids(c, targets, list->count, &last, err) != BURROW_OK) {
        free(targets);
        rc = BURROW_ENOMEM;
    }
    if (rc != BURROW_OK)
        return rc;
    struct target *old = c->targets;
    size_t old_count = c->target_count;
    c->targets = targets;
    c->target_count = list->count;
    c->last_service_id = last;
    say_withdrawn(c, old, old_count);
    bool told = are_same(old, old_count, targets, list->count);
    free(old);
    if (told)
        return BURROW_OK;
    backoff_after_session(&c->services_backoff, BACKOFF_LONG_SESSION_MS);
    /* While a register is under way, its answer is awaited first. */
    c->services_changed = c->state == CLIENT_REGISTERING;
    services_send(c);
    return BURROW_OK;
}
