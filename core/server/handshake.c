/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an accepted connection to a session, or to a refusal. Until a connection is admitted,
 * nothing but its credential and one register frame of at most 16 KiB is read, within
 * deadlines, and only so many connections may be this far at once.
 *
 *   NEW → (AUTH → ADMITTED) → REGISTER → (VERIFY) → CLAIM → session
 *
 * A connection without a credential in its transport goes from NEW straight to REGISTER, and
 * the token in the frame is judged in VERIFY; so is one whose TLS client certificate no auth
 * plugin judges by itself. HTTP requests that are not upgrades are
 * answered by routes.c and leave the state as it is.
 */
#include "server/internal.h"
#include "server/routes.h"

#include "base/object.h"
#include "base/socket.h"
#include "tunnel/relay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HANDSHAKE_MAGIC 0x48534b30u

enum state { NEW, AUTH, ADMITTED, REGISTER, VERIFY, CLAIM };

struct handshake {
    uint32_t magic;
    enum state state;
    struct worker *worker;
    TAILQ_ENTRY(handshake) entry;
    struct burrow_link *link;
    struct loop_timer *timer;
    uint64_t begun_ms;
    struct question *question;
    uint64_t request_id; /* of all that the log says of it, and of a refusal's answer */
    bool authenticated;  /* the transport's credential was judged: expires_ms, subject hold */
    bool has_subject;
    char subject[AUTH_MAX_SUBJECT + 1];
    struct right right;
    /* A TLS client certificate that nobody has judged: it is shown again with the token. */
    bool token_follows;
    uint8_t *cert;
    size_t cert_len;
    bool by_certificate;                /* its transport carries nothing else */
    const char *refusal, *refusal_text; /* of such a transport: sent as a frame once open */
    struct frame_parser parser;
    uint8_t *gather;
    struct control *reg; /* the claim's, when there is one */
    struct claim *claim;
    void *http_token; /* of a request that waits for its answer */
    struct enquiry *enquiry;
};

/* Frees the handshake; the link is somebody else's by now, or closing, or gone. */
static void handshake_free(struct handshake *h)
{
    struct pending *pending = &h->worker->pending;
    TAILQ_REMOVE(&pending->list, h, entry);
    atomic_fetch_sub(&pending->count, 1);
    if (!TAILQ_EMPTY(&pending->list))
        atomic_store(&pending->oldest_ms, TAILQ_FIRST(&pending->list)->begun_ms);
    question_cancel(h->question);
    claim_abandon(h->claim);
    routes_cancel(h->enquiry);
    loop_timer_destroy(h->timer);
    if (h->reg != NULL && h->claim == NULL) {
        control_finish(h->reg);
        free(h->reg);
    }
    free(h->gather);
    free(h->cert);
    grants_unref(h->right.grants);
    h->magic = 0;
    free(h);
}

static void handshake_end(struct handshake *h, uint32_t code, const char *why)
{
    if (h->link != NULL)
        link_abandon(h->link, code, why);
    handshake_free(h);
}

/* ---- refusals ---- */

static bool is_version_1(const struct handshake *h)
{
    return h->reg != NULL && control_protocol(h->reg) == 1;
}

/* Both registers have version 1 headers, and so has a refusal in place of the answer: every
 * client, of whatever version, can read it. One of version 1 knows no codes. */
static void send_error(struct handshake *h, const char *code, const char *message)
{
    link_send_error(h->link, FRAME_V1, is_version_1(h) ? "" : code, message);
}

static void end_refused(struct handshake *h, uint32_t code, const char *why)
{
    handshake_end(h, is_version_1(h) ? link_v1_close_code(code) : code, why);
}

/* Ends a handshake that got as far as frames. detail, for the log, may say more than message. */
static void refuse(struct handshake *h, uint32_t close_code, const char *code, const char *message,
                   const char *detail)
{
    char peer[ADDRESS_TEXT];
    uint32_t dropped;
    if (log_sample(&h->worker->refusal_sample, loop_now_ms(h->worker->loop), &dropped))
        log_at(h->worker->log, BURROW_LOG_WARN, "register_refused",
               burrow_str("peer", address_format(link_peer(h->link), peer)),
               burrow_str("transport", link_transport_name(h->link)),
               burrow_str("client", h->reg != NULL ? h->reg->client_id : ""),
               burrow_str("code", code), burrow_str("reason", detail),
               burrow_uint("request_id", h->request_id), burrow_uint("left_out", dropped));
    h->worker->stats.register_failed++;
    send_error(h, code, message);
    end_refused(h, close_code, message);
}

static void refuse_protocol(struct handshake *h, const char *reason)
{
    refuse(h, BURROW_CLOSE_PROTOCOL, "protocol", reason, reason);
}

void refusal_note(struct worker *worker, const struct burrow_addr *addr, uint64_t request_id,
                  const struct auth_verdict *v)
{
    bool denied = v->result == BURROW_AUTH_DENY;
    char peer[ADDRESS_TEXT];
    worker->stats.refused[denied && v->code < AUTH_CODES ? v->code : 0]++;
    uint32_t dropped;
    if (log_sample(&worker->refusal_sample, loop_now_ms(worker->loop), &dropped))
        log_at(worker->log, BURROW_LOG_WARN, "auth_refused",
               burrow_str("peer", address_format(addr, peer)),
               burrow_str("code", denied ? auth_code_name(v->code) : "unavailable"),
               burrow_str("reason", v->reason), burrow_str("plugin", v->plugin),
               burrow_uint("request_id", request_id), burrow_uint("left_out", dropped));
}

static void note_refusal(struct handshake *h, const struct auth_verdict *v)
{
    refusal_note(h->worker, link_peer(h->link), h->request_id, v);
}

/* ---- from register to a session ---- */

/* The main loop has answered; the claim goes when this returns. */
static void on_claimed(void *arg, struct claim *claim)
{
    struct handshake *h = arg;
    must_be(h, HANDSHAKE_MAGIC);
    if (claim->seat == NULL) {
        refuse(h, BURROW_CLOSE_POLICY, claim->code, claim->message, claim->message);
        return;
    }
    int rc = link_send_control(h->link, FRAME_V1, claim->ack);
    if (rc != BURROW_OK)
        seat_fail(claim->seat, "the register could not be answered");
    else
        rc = seat_begin(claim->seat, h->link, &claim->session);
    if (rc != BURROW_OK) {
        const char *message = "the server is out of memory";
        refuse(h, BURROW_CLOSE_POLICY, "internal", message, message);
        return;
    }
    h->worker->stats.registered++;
    h->link = NULL;
    handshake_free(h);
}

static void admit(struct handshake *h)
{
    if (h->has_subject && strcmp(h->subject, h->reg->client_id) != 0) {
        char detail[sizeof h->subject + 48];
        snprintf(detail, sizeof detail, "the right is that of the client id %s", h->subject);
        refuse(h, BURROW_CLOSE_POLICY, "identity_mismatch",
               is_version_1(h) ? CONTROL_V1_MISMATCH : "the token's subject is not the client id",
               detail);
        return;
    }
    h->state = CLAIM;
    loop_timer_stop(h->timer); /* the main loop answers in any case */
    link_read_enable(h->link, false);
    h->claim = claim_make(h->worker, h->reg, &h->right, h->link);
    if (h->claim == NULL) {
        const char *message = "the server is out of memory";
        refuse(h, BURROW_CLOSE_POLICY, "internal", message, message);
        return;
    }
    claim_send(h->claim, on_claimed, h);
}

static void keep_allowance(struct handshake *h, const struct auth_verdict *v)
{
    h->authenticated = true;
    h->has_subject = v->subject != NULL;
    if (v->subject != NULL)
        snprintf(h->subject, sizeof h->subject, "%s", v->subject);
    snprintf(h->right.auth, sizeof h->right.auth, "%s", v->plugin);
    h->right.expires_ms = v->expires_ms;
    h->right.grants = grants_ref(v->grants);
}

static void on_token_verdict(void *arg, const struct auth_verdict *v)
{
    struct handshake *h = arg;
    must_be(h, HANDSHAKE_MAGIC);
    h->question = NULL;
    if (v->result == BURROW_AUTH_ALLOW) {
        keep_allowance(h, v);
        admit(h);
        return;
    }
    note_refusal(h, v);
    if (v->result == BURROW_AUTH_DENY)
        send_error(h, auth_code_name(v->code), auth_code_text(v->code));
    else
        send_error(h, "internal", "the server cannot verify tokens now");
    end_refused(h, v->result == BURROW_AUTH_DENY ? BURROW_CLOSE_POLICY : BURROW_CLOSE_GOING_AWAY,
                "unauthorized");
}

static void verify_token(struct handshake *h)
{
    const struct burrow_credential credential = {
        .size = sizeof credential,
        .method = BURROW_CREDENTIAL_REGISTER,
        .token = h->reg->token,
        .token_len = h->reg->token != NULL ? strlen(h->reg->token) : 0,
        .client_cert_der = h->cert,
        .client_cert_len = h->cert_len,
        .peer = *link_peer(h->link),
    };
    h->state = VERIFY;
    link_read_enable(h->link, false); /* nothing more of it counts until it is admitted */
    loop_timer_stop(h->timer);        /* the chain has a deadline of its own */
    h->question = question_ask(h->worker, &credential, on_token_verdict, h);
    if (h->question == NULL)
        refuse(h, BURROW_CLOSE_POLICY, auth_code_name(BURROW_CODE_INVALID_TOKEN),
               auth_code_text(BURROW_CODE_INVALID_TOKEN), "the token is too long, or no memory");
}

/* The whole register frame is here, and with it the protocol of the connection: the highest
 * that both speak. */
static void on_register(struct handshake *h)
{
    struct control *reg = h->reg;
    if (is_version_1(h) && !link_keeps_messages(h->link)) {
        refuse(h, BURROW_CLOSE_POLICY, "protocol",
               "tls:// needs wire protocol 2; the client offered 1",
               "the client offered wire protocol 1 over a transport without messages");
        return;
    }
    if (is_version_1(h)) { /* it has one service, and no name for it */
        reg->service_count = 1;
        reg->services[0].id = 1;
        snprintf(reg->services[0].target, sizeof reg->services[0].target, "%s", reg->target);
    }
    if (h->authenticated)
        admit(h);
    else
        verify_token(h);
}

/* Of a client that has shown who it is, other frames do not count (version 1 says so); a
 * stranger's connection ends with the first. */
static int before_register(const struct handshake *h)
{
    return h->authenticated ? BURROW_OK : BURROW_EPROTO;
}

static int on_frame(void *arg, const struct frame_header *head, const uint8_t *payload)
{
    struct handshake *h = arg;
    if (head->kind != FRAME_CONTROL)
        return before_register(h);
    h->reg = calloc(1, sizeof *h->reg);
    if (h->reg == NULL)
        return BURROW_ENOMEM;
    struct error err = {0};
    if (control_decode(h->reg, payload, head->length, &err) != BURROW_OK) {
        free(h->reg);
        h->reg = NULL;
        log_at(h->worker->log, BURROW_LOG_DEBUG, "register_malformed",
               burrow_str("reason", err.text));
        return BURROW_EPROTO;
    }
    if (h->reg->type == CONTROL_REGISTER)
        return FRAME_STOP;
    control_finish(h->reg);
    free(h->reg);
    h->reg = NULL;
    return before_register(h);
}

static int on_data_frame(void *arg, uint64_t stream, const uint8_t *p, size_t n, bool end)
{
    (void)stream, (void)p, (void)n, (void)end;
    return before_register(arg);
}

static const struct frame_sink register_sink = {.frame = on_frame, .data = on_data_frame};

static void on_data(void *arg, const uint8_t *p, size_t n, bool message_end)
{
    struct handshake *h = arg;
    (void)message_end; /* a register may come in any split */
    must_be(h, HANDSHAKE_MAGIC);
    if (n == 0)
        return; /* the empty end of a message */
    if (h->state != REGISTER) {
        refuse_protocol(h, "nothing may follow the register frame before its answer");
        return;
    }
    const char *reason = "the first frame must be a register";
    int rc = frame_parser_feed(&h->parser, p, n, &register_sink, h, &reason);
    if (rc == FRAME_STOP && h->parser.consumed < n)
        refuse_protocol(h, "nothing may follow the register frame before its answer");
    else if (rc == FRAME_STOP)
        on_register(h);
    else if (rc < 0)
        refuse_protocol(h, reason);
}

/* ---- the transport's credential ---- */

/* Such a transport has no words of its own: it opens, and a frame says it. */
static void refuse_by_frame(struct handshake *h, const struct auth_verdict *v)
{
    bool denied = v->result == BURROW_AUTH_DENY;
    h->refusal = denied ? auth_code_name(v->code) : "internal";
    h->refusal_text = denied ? auth_code_text(v->code) : "the server cannot verify tokens now";
}

static void on_header_verdict(void *arg, const struct auth_verdict *v)
{
    struct handshake *h = arg;
    must_be(h, HANDSHAKE_MAGIC);
    h->question = NULL;
    struct burrow_verdict verdict = {
        .size = sizeof verdict, .result = v->result, .code = v->code, .request_id = h->request_id};
    h->state = ADMITTED;
    if (v->result == BURROW_AUTH_ALLOW) {
        keep_allowance(h, v);
    } else if (h->token_follows && v->unjudged) {
        verdict.result = BURROW_AUTH_ALLOW; /* of one register frame, with a token */
    } else {
        note_refusal(h, v);
        h->state = NEW; /* the transport refuses and closes; until then nothing counts */
        if (h->by_certificate) {
            refuse_by_frame(h, v);
            verdict.result = BURROW_AUTH_ALLOW;
        }
    }
    loop_timer_set(h->timer, HANDSHAKE_MS);
    link_admit(h->link, &verdict);
}

/* Without memory for it the token is judged alone. */
static void keep_certificate(struct handshake *h, const struct burrow_credential *credential)
{
    if (credential->client_cert_len > AUTH_MAX_CERTIFICATE)
        return;
    h->cert = malloc(credential->client_cert_len);
    if (h->cert == NULL)
        return;
    memcpy(h->cert, credential->client_cert_der, credential->client_cert_len);
    h->cert_len = credential->client_cert_len;
}

/* Of what nobody is asked about. */
static void deny(struct handshake *h, const char *reason)
{
    const struct auth_verdict no = {.result = BURROW_AUTH_DENY,
                                    .code = BURROW_CODE_INVALID_TOKEN,
                                    .reason = reason,
                                    .plugin = ""};
    on_header_verdict(h, &no);
}

static void on_authenticate(void *arg, const struct burrow_credential *credential)
{
    struct handshake *h = arg;
    must_be(h, HANDSHAKE_MAGIC);
    if (credential->method == BURROW_CREDENTIAL_SEVERAL) {
        deny(h, "more than one credential was shown");
        return;
    }
    h->by_certificate = credential->method == BURROW_CREDENTIAL_CERTIFICATE;
    h->token_follows =
        credential->token == NULL && (h->by_certificate || h->worker->token_in_register);
    if (h->worker->draining && !h->by_certificate) {
        /* 503: whoever is behind the same name may take the client. */
        const struct burrow_verdict full = {.size = sizeof full, .result = BURROW_AUTH_UNAVAILABLE};
        h->worker->stats.register_failed++;
        link_admit(h->link, &full);
        return;
    }
    if (h->token_follows && credential->client_cert_der == NULL) {
        /* A proxy may need the header for itself: the register frame must bring the token. */
        const struct burrow_verdict later = {.size = sizeof later, .result = BURROW_AUTH_ALLOW};
        h->state = ADMITTED;
        link_admit(h->link, &later);
        return;
    }
    h->state = AUTH;
    if (h->token_follows)
        keep_certificate(h, credential);
    h->question = question_ask(h->worker, credential, on_header_verdict, h);
    if (h->question == NULL) {
        deny(h, "the token is too long, or no memory");
        return;
    }
    loop_timer_stop(h->timer); /* the chain has a deadline of its own */
}

/* ---- the link's other events ---- */

static void on_open(void *arg)
{
    struct handshake *h = arg;
    must_be(h, HANDSHAKE_MAGIC);
    if (h->refusal != NULL) {
        send_error(h, h->refusal, h->refusal_text);
        handshake_end(h, BURROW_CLOSE_POLICY, "unauthorized");
        return;
    }
    h->gather = malloc(FRAME_MAX_CONTROL);
    if (h->gather == NULL) {
        handshake_end(h, BURROW_CLOSE_INTERNAL, "out of memory");
        return;
    }
    frame_parser_init(&h->parser, FRAME_V1, h->gather);
    h->state = REGISTER;
    loop_timer_set(h->timer, REGISTER_MS);
}

static void on_closed(void *arg, const struct burrow_close_info *info)
{
    struct handshake *h = arg;
    must_be(h, HANDSHAKE_MAGIC);
    char peer[ADDRESS_TEXT];
    log_at(h->worker->log, BURROW_LOG_DEBUG, "handshake_closed",
           burrow_str("peer", address_format(link_peer(h->link), peer)),
           burrow_str("reason", info->reason));
    h->link = NULL;
    handshake_free(h);
}

static void on_http_answer(void *arg, struct http_answer *answer)
{
    struct handshake *h = arg;
    must_be(h, HANDSHAKE_MAGIC);
    h->enquiry = NULL;
    loop_timer_set(h->timer, HANDSHAKE_MS);
    answer_send(h->link, h->http_token, answer);
}

static void on_http_request(void *arg, void *token, const struct burrow_http *request)
{
    struct handshake *h = arg;
    must_be(h, HANDSHAKE_MAGIC);
    if (h->enquiry != NULL) {
        handshake_end(h, BURROW_CLOSE_PROTOCOL, "a second request before the answer");
        return;
    }
    struct http_answer answer = {0};
    h->http_token = token;
    h->enquiry = routes_ask(h->worker, request, &answer, on_http_answer, h);
    if (h->enquiry == NULL)
        on_http_answer(h, &answer);
}

static void on_http_cancel(void *arg, void *token)
{
    struct handshake *h = arg;
    (void)token;
    must_be(h, HANDSHAKE_MAGIC);
    routes_cancel(h->enquiry);
    h->enquiry = NULL;
}

static void on_timer(void *arg)
{
    struct handshake *h = arg;
    must_be(h, HANDSHAKE_MAGIC);
    h->worker->stats.dropped_pending++;
    if (h->state == REGISTER)
        refuse(h, BURROW_CLOSE_POLICY, "protocol", "no register frame came in time",
               "no register frame came in time");
    else
        handshake_end(h, BURROW_CLOSE_ABORT, "handshake timed out");
}

static const struct link_events handshake_events = {
    .authenticate = on_authenticate,
    .open = on_open,
    .data = on_data,
    .closed = on_closed,
    .http_request = on_http_request,
    .http_cancel = on_http_cancel,
};

/* ---- begin and end ---- */

static bool oldest_is_young(const struct worker *worker)
{
    const struct pending *p = &worker->pending;
    return atomic_load(&p->count) > 0 &&
           loop_clock_us(worker->loop) / 1000 < atomic_load(&p->oldest_ms) + PENDING_YOUNG_MS;
}

bool handshakes_full(const struct worker *worker)
{
    return atomic_load(&worker->pending.count) >= MAX_PENDING && oldest_is_young(worker);
}

/* One that is young is most likely on its way: to end it for another that will fare no better
 * means that nobody gets in. */
static void make_room(struct worker *worker)
{
    const struct pending *pending = &worker->pending;
    if (pending->count < MAX_PENDING ||
        (pending->count < MAX_PENDING + PENDING_OVER && oldest_is_young(worker)))
        return;
    struct handshake *oldest = TAILQ_FIRST(&pending->list);
    worker->stats.dropped_pending++;
    handshake_end(oldest, BURROW_CLOSE_ABORT, "too many handshakes");
}

void handshake_begin(struct worker *worker, const struct link_transport *transport, int fd,
                     const struct burrow_addr *peer)
{
    struct pending *pending = &worker->pending;
    make_room(worker);

    struct handshake *h = calloc(1, sizeof *h);
    struct burrow_accept accepted = {
        .size = sizeof accepted,
        .role = BURROW_ROLE_MAIN,
        .fd = fd,
        .tls = 1,
        .peer = *peer,
    };
    struct sockaddr_storage local;
    socklen_t len = sizeof local;
    if (getsockname(fd, (struct sockaddr *)(void *)&local, &len) == 0)
        address_from_sockaddr(&accepted.local, (const struct sockaddr *)(const void *)&local);
    if (h != NULL)
        h->timer = loop_timer_create(worker->loop, on_timer, h);
    if (h == NULL || h->timer == NULL) {
        socket_reset(fd);
        free(h);
        return;
    }
    h->magic = HANDSHAKE_MAGIC;
    h->worker = worker;
    h->request_id = atomic_fetch_add(&worker->server->next_request, 1) + 1;
    h->begun_ms = loop_now_ms(worker->loop);
    if (TAILQ_EMPTY(&pending->list))
        atomic_store(&pending->oldest_ms, h->begun_ms);
    TAILQ_INSERT_TAIL(&pending->list, h, entry);
    atomic_fetch_add(&pending->count, 1);
    loop_timer_set(h->timer, HANDSHAKE_MS);
    h->link = link_accept(transport, &accepted, &handshake_events, h);
    if (h->link == NULL)
        handshake_free(h);
}

void handshake_drop_all(struct worker *worker, const char *why)
{
    struct handshake *h;
    while ((h = TAILQ_FIRST(&worker->pending.list)) != NULL)
        handshake_end(h, BURROW_CLOSE_GOING_AWAY, why);
}
