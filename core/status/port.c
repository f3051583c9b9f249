/* SPDX-License-Identifier: Apache-2.0 */
/* The admin address: its listener, its connections and their time limits. */
#include "status/port.h"

#include "base/object.h"
#include "base/socket.h"

#include <stdlib.h>
#include <sys/queue.h>

#define PORT_MAGIC 0x5354504fu
#define VISIT_MAGIC 0x56495349u

/* One connection. */
struct visit {
    uint32_t magic;
    struct status_port *port;
    struct burrow_link *link;
    struct loop_timer *timer;
    void *token, *asked; /* a request that waits for its answer; NULL: none */
    TAILQ_ENTRY(visit) entry;
};
TAILQ_HEAD(visit_list, visit);

struct status_port {
    uint32_t magic;
    struct status_config config;
    struct link_transport transport;
    struct acceptor acceptor;
    struct visit_list visits; /* oldest first */
    struct status_stats stats;
};

static void cancel_asked(struct visit *v)
{
    if (v->asked != NULL)
        v->port->config.cancel(v->asked);
    v->asked = NULL;
}

static void visit_free(struct visit *v)
{
    cancel_asked(v);
    TAILQ_REMOVE(&v->port->visits, v, entry);
    v->port->stats.open--;
    loop_timer_destroy(v->timer);
    v->magic = 0;
    free(v);
}

static void visit_end(struct visit *v, uint32_t code, const char *why)
{
    link_abandon(v->link, code, why);
    visit_free(v);
}

static void on_session(void *arg)
{
    struct visit *v = arg;
    must_be(v, VISIT_MAGIC);
    visit_end(v, BURROW_CLOSE_POLICY, "no sessions at the admin address");
}

static void on_authenticate(void *arg, const struct burrow_credential *credential)
{
    (void)credential;
    on_session(arg);
}

static void on_closed(void *arg, const struct burrow_close_info *info)
{
    struct visit *v = arg;
    (void)info;
    must_be(v, VISIT_MAGIC);
    visit_free(v);
}

static void on_answer(void *arg, struct http_answer *answer)
{
    struct visit *v = arg;
    must_be(v, VISIT_MAGIC);
    v->asked = NULL;
    loop_timer_set(v->timer, STATUS_IDLE_MS);
    answer_send(v->link, v->token, answer);
}

static void on_http_request(void *arg, void *token, const struct burrow_http *request)
{
    struct visit *v = arg;
    must_be(v, VISIT_MAGIC);
    if (v->asked != NULL) {
        visit_end(v, BURROW_CLOSE_PROTOCOL, "a second request before the answer");
        return;
    }
    struct http_answer answer = {0};
    v->token = token;
    v->asked = v->port->config.answer(v->port->config.arg, request, &answer, on_answer, v);
    if (v->asked == NULL)
        on_answer(v, &answer);
}

static void on_http_cancel(void *arg, void *token)
{
    struct visit *v = arg;
    (void)token;
    must_be(v, VISIT_MAGIC);
    cancel_asked(v);
}

static void on_timer(void *arg)
{
    struct visit *v = arg;
    must_be(v, VISIT_MAGIC);
    v->port->stats.dropped++;
    visit_end(v, BURROW_CLOSE_ABORT, "timed out");
}

static const struct link_events visit_events = {
    .authenticate = on_authenticate,
    .open = on_session,
    .closed = on_closed,
    .http_request = on_http_request,
    .http_cancel = on_http_cancel,
};

static void on_accepted(void *arg, int fd, const struct burrow_addr *peer)
{
    struct status_port *port = arg;
    must_be(port, PORT_MAGIC);
    port->stats.accepted++;
    if (port->stats.open >= STATUS_MAX_CONNECTIONS) {
        port->stats.dropped++;
        visit_end(TAILQ_FIRST(&port->visits), BURROW_CLOSE_ABORT, "too many connections");
    }
    struct visit *v = calloc(1, sizeof *v);
    if (v != NULL)
        v->timer = loop_timer_create(port->config.loop, on_timer, v);
    if (v == NULL || v->timer == NULL) {
        socket_reset(fd);
        free(v);
        return;
    }
    const struct burrow_accept accepted = {.size = sizeof accepted,
                                           .role = BURROW_ROLE_ADMIN,
                                           .fd = fd,
                                           .peer = *peer,
                                           .local = port->acceptor.local};
    v->magic = VISIT_MAGIC;
    v->port = port;
    TAILQ_INSERT_TAIL(&port->visits, v, entry);
    port->stats.open++;
    loop_timer_set(v->timer, STATUS_IDLE_MS);
    v->link = link_accept(&port->transport, &accepted, &visit_events, v);
    if (v->link == NULL)
        visit_free(v);
}

int status_port_open(const struct status_config *config, const char *addr, struct status_port **ret,
                     struct error *err)
{
    struct endpoint ep;
    if (endpoint_parse(addr, ENDPOINT_ANY_PORT | ENDPOINT_NO_HOST, &ep, err) != BURROW_OK)
        return error_prefix(err, "--admin-addr (BURROW_ADMIN_ADDR)");
    struct status_port *port = calloc(1, sizeof *port);
    if (port == NULL)
        return error_set(err, BURROW_ENOMEM, "out of memory");
    port->magic = PORT_MAGIC;
    port->config = *config;
    port->transport = *config->transport;
    TAILQ_INIT(&port->visits);
    int rc = config->fd >= 0 ? acceptor_adopt(&port->acceptor, config->guard, config->fd,
                                              on_accepted, port, err)
                             : acceptor_open(&port->acceptor, config->guard, ep.host, ep.port,
                                             on_accepted, port, err);
    if (rc != BURROW_OK) {
        free(port);
        return error_prefix(err, "--admin-addr (BURROW_ADMIN_ADDR)");
    }
    char text[ACCEPTOR_TEXT];
    log_at(config->log, BURROW_LOG_INFO, "listening", burrow_str("role", "admin"),
           burrow_str("addr", acceptor_text(&port->acceptor, text)),
           burrow_str("transport", port->transport.name));
    *ret = port;
    return BURROW_OK;
}

void status_port_close(struct status_port *port)
{
    if (port == NULL)
        return;
    must_be(port, PORT_MAGIC);
    acceptor_close(&port->acceptor);
    while (!TAILQ_EMPTY(&port->visits))
        visit_end(TAILQ_FIRST(&port->visits), BURROW_CLOSE_GOING_AWAY, "stopping");
    port->magic = 0;
    free(port);
}

struct status_stats status_port_stats(const struct status_port *port)
{
    return port != NULL ? port->stats : (struct status_stats){0};
}
