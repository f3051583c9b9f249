/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passages between the listener and the API server; see passage.h. libcurl makes the connection
 * (TLS, client certificate, proxy) and is then only a pair of send and receive. Making it waits,
 * for at most ten seconds: nothing else happens here meanwhile.
 */
#include "passage.h"

#include "must.h"

#include "http/tls.h"
#include "kubernetes/transfer.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PASSAGE_MAGIC 0x53534150u /* "PASS" in memory order */
#define ROOM 65536u
#define HEAD_MAX 8192u
#define HEAD_MS 10000u
#define REFUSED "HTTP/1.1 401 "
#define ROUNDS_MAX 64u /* of one turn, so that the loop gets on */

struct bytes {
    char data[ROOM];
    size_t begin, end;
};

struct passage {
    uint32_t magic;
    bool open;            /* the head has been sent, bytes go both ways */
    bool answered;        /* by the API server */
    uint64_t credentials; /* the number of those that were sent */
    struct kube_waiter waiter;
    struct passages *of;
    struct passage **slot;
    int fd, api_fd;
    struct burrow_watch *watch, *api_watch;
    struct burrow_timer *timer;
    CURL *curl;
    struct curl_slist *connect_to;
    struct bytes up, down;
};

static void passage_end(struct passage *p)
{
    const struct burrow_host *host = p->of->host;
    must(p->magic == PASSAGE_MAGIC);
    *p->slot = NULL;
    kube_wait_no_more(&p->waiter);
    host->cancel(p->timer);
    host->unwatch(p->watch);
    host->unwatch(p->api_watch);
    curl_easy_cleanup(p->curl);
    curl_slist_free_all(p->connect_to);
    close(p->fd);
    explicit_bzero(p, sizeof *p);
    free(p);
}

/* ---- bytes both ways ---- */

/* Each: 1 something moved, 0 nothing can now, -1 it is over. */
static int take_from_api(struct passage *p)
{
    size_t n = 0;
    if (p->down.end > 0)
        return 0;
    CURLcode code = curl_easy_recv(p->curl, p->down.data, ROOM, &n);
    if (code == CURLE_AGAIN)
        return 0;
    if (code != CURLE_OK || n == 0)
        return -1;
    /* The client hears of it, too, and comes again: with new credentials then. A 401 of the server
     * behind looks alike, and costs one more run of the program. */
    if (!p->answered && n >= sizeof REFUSED - 1 &&
        memcmp(p->down.data, REFUSED, sizeof REFUSED - 1) == 0)
        (void)kube_login_refused(kube_client_login(p->of->client), p->credentials);
    p->answered = true;
    p->down.begin = 0;
    p->down.end = n;
    return 1;
}

static int give_to_client(struct passage *p)
{
    struct bytes *b = &p->down;
    if (b->begin == b->end)
        return 0;
    ssize_t n = send(p->fd, b->data + b->begin, b->end - b->begin, MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    b->begin += (size_t)n;
    if (b->begin == b->end)
        b->begin = b->end = 0;
    return 1;
}

static int take_from_client(struct passage *p)
{
    if (p->up.end > 0)
        return 0;
    ssize_t n = recv(p->fd, p->up.data, ROOM, 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (n == 0)
        return -1;
    p->up.begin = 0;
    p->up.end = (size_t)n;
    return 1;
}

static int give_to_api(struct passage *p)
{
    struct bytes *b = &p->up;
    size_t n = 0;
    if (b->begin == b->end)
        return 0;
    CURLcode code = curl_easy_send(p->curl, b->data + b->begin, b->end - b->begin, &n);
    if (code == CURLE_AGAIN)
        return 0;
    if (code != CURLE_OK)
        return -1;
    b->begin += n;
    if (b->begin == b->end)
        b->begin = b->end = 0;
    return 1;
}

static void pump(struct passage *p)
{
    const struct burrow_host *host = p->of->host;
    unsigned round = 0;
    int moved = 1;
    while (moved > 0 && round++ < ROUNDS_MAX) {
        int steps[4] = {give_to_client(p), take_from_api(p), give_to_api(p), take_from_client(p)};
        moved = 0;
        for (int i = 0; i < 4; i++) {
            if (steps[i] < 0) {
                (void)give_to_client(p);
                passage_end(p);
                return;
            }
            moved |= steps[i];
        }
    }
    int events = (p->up.end == 0 ? BURROW_READ : 0) | (p->down.end > 0 ? BURROW_WRITE : 0);
    int api_events = (p->down.end == 0 ? BURROW_READ : 0) | (p->up.end > 0 ? BURROW_WRITE : 0);
    if (host->rewatch(p->watch, events) < 0 || host->rewatch(p->api_watch, api_events) < 0)
        passage_end(p);
    else if (moved > 0) /* libcurl may hold bytes of which the socket tells nothing */
        host->feed(p->api_watch, BURROW_READ);
}

static void on_api(void *arg, int events)
{
    struct passage *p = arg;
    must(p->magic == PASSAGE_MAGIC);
    (void)events;
    pump(p);
}

/* ---- the connection ---- */

/* 0, or a negative result with *ret_why. */
static int dial(struct passage *p, char why[CURL_ERROR_SIZE])
{
    const struct kube_config *c = kube_client_config(p->of->client);
    curl_socket_t fd = CURL_SOCKET_BAD;
    char elsewhere[300];
    why[0] = '\0';
    p->curl = curl_easy_init();
    if (!p->curl)
        return BURROW_ENOMEM;
    curl_easy_setopt(p->curl, CURLOPT_URL, c->server);
    curl_easy_setopt(p->curl, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(p->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(p->curl, CURLOPT_CONNECTTIMEOUT, 10L);
    curl_easy_setopt(p->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(p->curl, CURLOPT_ERRORBUFFER, why);
    const struct http_ask tls = {.ca = {c->ca.data, c->ca.len},
                                 .cert = {c->cert.data, c->cert.len},
                                 .key = {c->key.data, c->key.len},
                                 .skip_verify = c->skip_verify};
    CURLcode code = http_set_tls(p->curl, &tls);
    if (c->connect_host) {
        snprintf(elsewhere, sizeof elsewhere, "::%s:", c->connect_host);
        p->connect_to = curl_slist_append(NULL, elsewhere);
        curl_easy_setopt(p->curl, CURLOPT_CONNECT_TO, p->connect_to);
    }
    if (code == CURLE_OK)
        code = curl_easy_perform(p->curl);
    curl_easy_setopt(p->curl, CURLOPT_ERRORBUFFER, NULL);
    if (code == CURLE_OK)
        code = curl_easy_getinfo(p->curl, CURLINFO_ACTIVESOCKET, &fd);
    if (code == CURLE_OK && fd != CURL_SOCKET_BAD) {
        p->api_fd = fd;
        return BURROW_OK;
    }
    if (!*why)
        snprintf(why, CURL_ERROR_SIZE, "%s", curl_easy_strerror(code));
    return BURROW_EIO;
}

/* "HOST:PORT" of the API server's URL, which has been checked when it was read. */
static int api_host(const struct kube_config *c, char buf[300])
{
    struct http_url url;
    if (http_url_parse(c->server, &url, NULL) < 0)
        return BURROW_EINVAL;
    const char *begin = strstr(url.origin, "://");
    snprintf(buf, 300, "%s", begin ? begin + 3 : url.origin);
    return BURROW_OK;
}

static int send_head(struct passage *p, char why[CURL_ERROR_SIZE])
{
    char bearer[32768], host[300], reason[FILE_WHY], path[1400];
    const struct kube_config *c = kube_client_config(p->of->client);
    bool has = false;
    p->credentials = kube_client_login(p->of->client)->number;
    /* A path of the API server's own URL comes before ours. */
    const char *authority = strstr(c->server, "://");
    const char *below = authority ? strchr(authority + 3, '/') : NULL;
    snprintf(path, sizeof path, "%s%s", below ? below : "", p->of->path);
    if (api_host(c, host) < 0 || kube_authorization(c, bearer, sizeof bearer, &has, reason) < 0) {
        snprintf(why, CURL_ERROR_SIZE, "the credentials of the kubeconfig cannot be read");
        return BURROW_EIO;
    }
    char *head = strndup(p->up.data, p->up.end);
    size_t n =
        head ? passage_head(head, p->of->secret, path, host, has ? bearer : NULL, p->up.data, ROOM)
             : 0;
    free(head);
    explicit_bzero(bearer, sizeof bearer);
    p->up.begin = 0;
    p->up.end = n;
    if (n == 0)
        snprintf(why, CURL_ERROR_SIZE, "the request does not fit");
    return n > 0 ? BURROW_OK : BURROW_EINVAL;
}

static bool asks_for_secret(const struct passage *p)
{
    char buf[HEAD_MAX + 2];
    return passage_head(p->up.data, p->of->secret, "/", "h", NULL, buf, sizeof buf) > 0;
}

/* The credentials are there, or cannot be had. */
static void open_passage(void *arg, int result, const char *error)
{
    static const char failed[] = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
    struct passage *p = arg;
    must(p->magic == PASSAGE_MAGIC);
    const struct burrow_host *host = p->of->host;
    char why[CURL_ERROR_SIZE];
    if (result == BURROW_OK) {
        result = dial(p, why);
        if (result == BURROW_OK)
            result = send_head(p, why);
        error = why;
    }
    if (result < 0) {
        burrow_log(host, BURROW_LOG_WARN, "the way through the API server: %s", error);
        (void)!send(p->fd, failed, sizeof failed - 1, MSG_NOSIGNAL);
        passage_end(p);
        return;
    }
    p->open = true;
    p->api_watch = host->watch(host->self, p->api_fd, BURROW_READ, on_api, p);
    if (p->api_watch)
        pump(p);
    else
        passage_end(p);
}

static void begin(struct passage *p)
{
    char why[KUBE_WHY] = "out of memory";
    if (!asks_for_secret(p)) {
        passage_end(p);
        return;
    }
    p->waiter = (struct kube_waiter){.wake = open_passage, .arg = p};
    int r = kube_log_in(kube_client_login(p->of->client), &p->waiter, why);
    if (r != BURROW_EAGAIN)
        open_passage(p, r, why);
}

/* A client's head: all of it comes before anything else, as a WebSocket client must wait for the
 * answer. */
static void on_client(void *arg, int events)
{
    struct passage *p = arg;
    must(p->magic == PASSAGE_MAGIC);
    (void)events;
    if (p->open) {
        pump(p);
        return;
    }
    ssize_t n = recv(p->fd, p->up.data + p->up.end, HEAD_MAX - p->up.end, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        passage_end(p);
        return;
    }
    p->up.end += (size_t)n;
    p->up.data[p->up.end] = '\0';
    const char *end = strstr(p->up.data, "\r\n\r\n");
    if (end && end + 4 == p->up.data + p->up.end) {
        p->of->host->cancel(p->timer);
        p->timer = NULL;
        begin(p);
    } else if (end || p->up.end == HEAD_MAX) {
        passage_end(p);
    }
}

static void on_too_slow(void *arg)
{
    struct passage *p = arg;
    must(p->magic == PASSAGE_MAGIC);
    p->timer = NULL;
    passage_end(p);
}

void passage_begin(struct passages *passages, int fd)
{
    size_t i = 0;
    while (i < PASSAGES_MAX && passages->all[i])
        i++;
    struct passage *p = i < PASSAGES_MAX ? calloc(1, sizeof *p) : NULL;
    if (!p) {
        close(fd);
        return;
    }
    p->magic = PASSAGE_MAGIC;
    p->of = passages;
    p->slot = &passages->all[i];
    p->fd = fd;
    *p->slot = p;
    const struct burrow_host *host = passages->host;
    p->watch = host->watch(host->self, fd, BURROW_READ, on_client, p);
    p->timer = host->after(host->self, HEAD_MS, on_too_slow, p);
    if (!p->watch || !p->timer)
        passage_end(p);
}

void passages_end(struct passages *passages)
{
    for (size_t i = 0; i < PASSAGES_MAX; i++)
        if (passages->all[i])
            passage_end(passages->all[i]);
}
