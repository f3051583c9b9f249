/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells the registries which clients are there. Per client and registry there is one wish
 * (published, or not) and at most one operation under way; whatever fails, or is changed by
 * others, is tried again with a growing, jittered pause, and tunnels never wait for it.
 */
#include "server/internal.h"

#include "base/object.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define REGISTRAR_MAGIC 0x52475230u
#define REGISTRATION_MAGIC 0x52474e30u
#define RETRY_FIRST_MS 1000u
/* An API that was away for long is caught up with within half a minute. */
#define RETRY_MAX_MS 20000u
/* Who has not finished by now never will: the operation is cancelled and tried again. */
#define OPERATION_MAX_MS 120000u
/* Who changes again within this time what was put right is given way a little longer each time. */
#define QUARREL_MS 60000u
/* For each of the clients, when all of them are published again: 200 a second. */
#define SPREAD_MS 5u

static const char not_in_time[] = "an operation was not finished in time";

enum wish { NOTHING, PUBLISHED, WITHDRAWN };

struct registrar {
    uint32_t magic;
    struct burrow_registry_host host; /* what the plugin is given */
    struct server *server;
    const struct burrow_registry_ops *ops;
    void *self;
    const char *name;
    struct plugin_faults *faults;
    struct ticket_pool *tickets;
    struct ticket *listing;        /* list is under way */
    struct loop_timer *list_timer; /* the end of patience with it */
};

struct registration {
    uint32_t magic;
    struct registrar *registrar;
    struct client_record *record;
    enum wish wish, doing; /* doing: of the operation under way */
    bool settled;          /* the wish has come true */
    bool changed;          /* by others, before on_finished of the operation under way */
    struct ticket *ticket; /* the operation under way */
    uint32_t failures;
    uint32_t changes; /* one soon after the other, the last of them at changed_ms */
    uint64_t changed_ms;
    int32_t result;
    struct loop_timer *timer; /* until the next try, or the end of patience with this one */
    struct loop_task task;    /* after an operation */
};

/* ---- operations ---- */

static void publish(struct registration *r)
{
    struct burrow_published_service services[CONTROL_MAX_SERVICES];
    struct burrow_publication publication = {.size = sizeof publication,
                                             .client_id = r->record->id};
    const struct bridge *b;
    memset(services, 0, sizeof services);
    TAILQ_FOREACH(b, &r->record->bridges, entry)
    {
        if (!b->active || b->acceptor.magic == 0 ||
            publication.service_count == CONTROL_MAX_SERVICES)
            continue;
        services[publication.service_count++] = (struct burrow_published_service){
            .size = sizeof *services,
            .bridge_port = b->acceptor.local.port,
            .name = b->name,
            .target = b->target,
        };
    }
    publication.services = services;
    r->registrar->ops->publish(r->registrar->self, (struct burrow_registry_op *)(void *)r->ticket,
                               &publication);
}

static void start(struct registration *r)
{
    if (r->ticket != NULL || r->wish == NOTHING || r->settled)
        return;
    r->ticket = ticket_issue(r->registrar->tickets, r, r->registrar);
    if (r->ticket == NULL) {
        loop_timer_set(r->timer, RETRY_MAX_MS);
        return;
    }
    r->doing = r->wish;
    loop_timer_set(r->timer, OPERATION_MAX_MS);
    r->settled = true; /* until another wish comes meanwhile, or it fails */
    r->changed = false;
    if (r->doing == PUBLISHED)
        publish(r);
    else
        r->registrar->ops->withdraw(r->registrar->self,
                                    (struct burrow_registry_op *)(void *)r->ticket, r->record->id);
}

/* Cancels the operation of the ticket, if there is one, and forgets it. */
static void cancel_ticket(const struct registrar *registrar, struct ticket **ticket)
{
    struct ticket *cancelled = *ticket;
    if (cancelled == NULL)
        return;
    ticket_retire(cancelled);
    *ticket = NULL;
    if (registrar->ops->cancel != NULL)
        registrar->ops->cancel(registrar->self, (struct burrow_registry_op *)(void *)cancelled);
}

static void cancel(struct registration *r)
{
    cancel_ticket(r->registrar, &r->ticket);
}

static void on_timer(void *arg)
{
    struct registration *r = arg;
    must_be(r, REGISTRATION_MAGIC);
    if (r->ticket == NULL) {
        start(r);
        return;
    }
    plugin_fault(r->registrar->faults, not_in_time);
    cancel(r);
    r->result = BURROW_EIO;
    loop_task_schedule(r->registrar->server->loop, &r->task);
}

/* Full jitter up to the limit, and never less than half a second. */
static uint64_t jittered_ms(uint64_t limit)
{
    if (limit > RETRY_MAX_MS)
        limit = RETRY_MAX_MS;
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
        random = UINT32_MAX / 2;
    return RETRY_FIRST_MS / 2 + limit * random / UINT32_MAX;
}

/* After so many failures, or changes, in a row. */
static uint64_t pause_ms(uint32_t times)
{
    uint64_t limit = RETRY_FIRST_MS;
    for (uint32_t i = 1; i < times && limit < RETRY_MAX_MS; i++)
        limit *= 2;
    return jittered_ms(limit);
}

/* Others have changed what is published: publishes again after a pause, jittered over spread_ms or
 * more. Of who is away nothing is put right: another server may have the client by now. false:
 * nothing is to be published, or it will be anyway. */
static bool put_right(struct registration *r, uint64_t spread_ms)
{
    uint64_t now = loop_now_ms(r->registrar->server->loop);
    if (r->wish != PUBLISHED || r->record->attachment == NULL || !r->settled)
        return false;
    if (r->ticket != NULL || r->task.scheduled) {
        bool first = !r->changed;
        r->changed = true;
        return first;
    }
    r->changes = r->changes > 0 && now - r->changed_ms < QUARREL_MS ? r->changes + 1 : 1;
    r->changed_ms = now;
    r->settled = false;
    uint64_t ms = pause_ms(r->changes), spread = jittered_ms(spread_ms);
    loop_timer_set(r->timer, ms > spread ? ms : spread);
    return true;
}

static bool all_withdrawn(const struct client_record *record)
{
    for (size_t i = 0; i < record->server->registrar_count; i++) {
        const struct registration *r = &record->registrations[i];
        if (r->wish != WITHDRAWN || !r->settled || r->ticket != NULL)
            return false;
    }
    return true;
}

/* An operation has ended: try again, go on to a newer wish, or rest. */
static void on_finished(void *arg)
{
    struct registration *r = arg;
    must_be(r, REGISTRATION_MAGIC);
    if (r->result < 0) {
        r->failures++;
        if (r->doing == r->wish)
            r->settled = false;
        loop_timer_set(r->timer, pause_ms(r->failures));
        return;
    }
    r->failures = 0;
    if (!r->settled)
        start(r);
    else if (r->record->withdrawing && all_withdrawn(r->record))
        clients_withdrawn(r->record);
    else if (r->changed)
        put_right(r, 0);
}

/* ---- the host table ---- */

static void on_done(struct burrow_registry_op *name, int32_t result, const char *reason)
{
    const struct ticket *ticket = (const struct ticket *)(const void *)name;
    struct registrar *registrar = ticket_keeper(ticket);
    must_be(registrar, REGISTRAR_MAGIC);
    void *owner = ticket_owner(ticket);
    const struct log *log = registrar->server->log;
    if (owner == NULL) {
        plugin_fault(registrar->faults,
                     "an operation was finished twice or after its cancellation");
        return;
    }
    struct client_record *record = NULL;
    bool again = false; /* the same failure as before: said once is enough */
    if (owner == registrar) {
        ticket_retire(registrar->listing);
        registrar->listing = NULL;
        loop_timer_stop(registrar->list_timer);
    } else {
        struct registration *r = owner;
        must_be(r, REGISTRATION_MAGIC);
        record = r->record;
        again = r->failures > 0 && result == r->result;
        ticket_retire(r->ticket);
        r->ticket = NULL;
        loop_timer_stop(r->timer);
        r->result = result;
        loop_task_schedule(registrar->server->loop, &r->task);
    }
    if (result < 0)
        log_at(log, again ? BURROW_LOG_DEBUG : BURROW_LOG_WARN, "registry_failed",
               burrow_str("plugin", registrar->name),
               burrow_str("client", record != NULL ? record->id : ""),
               burrow_str("reason", reason != NULL ? reason : ""));
}

/* Left from an earlier life: it counts as gone since now, so that the sweep withdraws it
 * unless the client comes back before. */
static void on_listed(struct burrow_registry_op *name, const char *client_id)
{
    const struct ticket *ticket = (const struct ticket *)(const void *)name;
    struct registrar *registrar = ticket_keeper(ticket);
    must_be(registrar, REGISTRAR_MAGIC);
    if (ticket_owner(ticket) != registrar)
        plugin_fault(registrar->faults, "a client id was listed that no list is under way for");
    else if (client_id == NULL || strlen(client_id) > CONTROL_MAX_CLIENT_ID)
        plugin_fault(registrar->faults, "what was listed is no client id");
    else
        clients_get(registrar->server, client_id);
}

static void on_changed(struct burrow_registry_self *name, const char *client_id)
{
    struct registrar *registrar = (struct registrar *)(void *)name;
    must_be(registrar, REGISTRAR_MAGIC);
    struct server *server = registrar->server;
    size_t index = (size_t)(registrar - server->registrars);
    uint64_t spread_ms = client_id == NULL ? (uint64_t)SPREAD_MS * server->record_count : 0;
    bool news = false;
    struct client_record *record, *next;
    if (client_id != NULL) {
        record = clients_find(server, client_id);
        news = record != NULL && put_right(&record->registrations[index], spread_ms);
    } else {
        HASH_ITER(hh, server->clients, record, next)
        news |= put_right(&record->registrations[index], spread_ms);
    }
    if (news)
        log_at(server->log, BURROW_LOG_INFO, "registry_changed",
               burrow_str("plugin", registrar->name),
               burrow_str("client", client_id != NULL ? client_id : ""));
}

/* ---- wishes ---- */

static void want(struct client_record *record, enum wish wish)
{
    for (size_t i = 0; i < record->server->registrar_count; i++) {
        struct registration *r = &record->registrations[i];
        r->wish = wish;
        r->settled = false;
        r->failures = 0;
        if (r->ticket == NULL)
            loop_timer_stop(r->timer);
        start(r);
    }
}

void registrations_publish(struct client_record *record)
{
    want(record, PUBLISHED);
}

void registrations_withdraw(struct client_record *record)
{
    if (record->server->registrar_count == 0) {
        clients_withdrawn(record);
        return;
    }
    want(record, WITHDRAWN);
}

int registrations_create(struct client_record *record)
{
    struct server *server = record->server;
    if (server->registrar_count == 0)
        return BURROW_OK;
    record->registrations = calloc(server->registrar_count, sizeof *record->registrations);
    if (record->registrations == NULL)
        return BURROW_ENOMEM;
    for (size_t i = 0; i < server->registrar_count; i++) {
        struct registration *r = &record->registrations[i];
        r->magic = REGISTRATION_MAGIC;
        r->registrar = &server->registrars[i];
        r->record = record;
        loop_task_init(&r->task, LOOP_PHASE_OUTPUT, on_finished, r);
        r->timer = loop_timer_create(server->loop, on_timer, r);
        if (r->timer == NULL) {
            registrations_destroy(record);
            return BURROW_ENOMEM;
        }
    }
    return BURROW_OK;
}

void registrations_destroy(struct client_record *record)
{
    for (size_t i = 0; record->registrations != NULL && i < record->server->registrar_count; i++) {
        struct registration *r = &record->registrations[i];
        if (r->magic == 0)
            break; /* half built */
        cancel(r);
        loop_task_cancel(record->server->loop, &r->task);
        loop_timer_destroy(r->timer);
        r->magic = 0;
    }
    free(record->registrations);
    record->registrations = NULL;
}

/* ---- registrars ---- */

/* The next sweep asks again. */
static void on_list_timer(void *arg)
{
    struct registrar *registrar = arg;
    must_be(registrar, REGISTRAR_MAGIC);
    plugin_fault(registrar->faults, not_in_time);
    cancel_ticket(registrar, &registrar->listing);
}

int registrars_create(struct server *server)
{
    size_t count = 0;
    for (size_t i = 0; i < server->config.instance_count; i++)
        count += instance_kind(server->config.instances[i]) == BURROW_KIND_REGISTRY;
    if (count == 0)
        return BURROW_OK;
    server->registrars = calloc(count, sizeof *server->registrars);
    if (server->registrars == NULL)
        return BURROW_ENOMEM;
    for (size_t i = 0; i < server->config.instance_count; i++) {
        struct instance *instance = server->config.instances[i];
        if (instance_kind(instance) != BURROW_KIND_REGISTRY)
            continue;
        struct registrar *registrar = &server->registrars[server->registrar_count];
        registrar->server = server;
        registrar->ops = instance_ops(instance);
        registrar->self = instance_self(instance);
        registrar->name = instance_name(instance);
        registrar->faults = instance_faults(instance);
        server->registrar_count++;
        registrar->tickets = ticket_pool_create(server->loop, registrar);
        registrar->list_timer = loop_timer_create(server->loop, on_list_timer, registrar);
        if (registrar->tickets == NULL || registrar->list_timer == NULL)
            return BURROW_ENOMEM;
        registrar->magic = REGISTRAR_MAGIC;
        registrar->host = (struct burrow_registry_host){
            .size = sizeof registrar->host,
            .done = on_done,
            .listed = on_listed,
            .self = (struct burrow_registry_self *)(void *)registrar,
            .changed = on_changed,
        };
        registrar->ops->bind(registrar->self, &registrar->host);
    }
    return BURROW_OK;
}

void registrars_list(struct server *server)
{
    for (size_t i = 0; i < server->registrar_count; i++) {
        struct registrar *registrar = &server->registrars[i];
        if (registrar->ops->list == NULL || registrar->listing != NULL)
            continue;
        registrar->listing = ticket_issue(registrar->tickets, registrar, registrar);
        if (registrar->listing == NULL)
            continue;
        loop_timer_set(registrar->list_timer, OPERATION_MAX_MS);
        registrar->ops->list(registrar->self,
                             (struct burrow_registry_op *)(void *)registrar->listing);
    }
}

void registrars_stop(struct server *server)
{
    struct client_record *record, *next;
    HASH_ITER(hh, server->clients, record, next)
    {
        for (size_t i = 0; i < server->registrar_count; i++) {
            loop_timer_stop(record->registrations[i].timer);
            cancel(&record->registrations[i]);
        }
    }
    for (size_t i = 0; i < server->registrar_count; i++) {
        loop_timer_stop(server->registrars[i].list_timer);
        cancel_ticket(&server->registrars[i], &server->registrars[i].listing);
    }
}

void registrars_destroy(struct server *server)
{
    for (size_t i = 0; i < server->registrar_count; i++) {
        loop_timer_destroy(server->registrars[i].list_timer);
        ticket_pool_destroy(server->registrars[i].tickets);
        server->registrars[i].magic = 0;
    }
    free(server->registrars);
    server->registrars = NULL;
    server->registrar_count = 0;
}
