/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One CONNECT and the head of its answer. What follows the head belongs to the transport, so
 * that nothing behind it is taken from the socket: the bytes are looked at before they are read.
 */
#include "client/proxy_connect.h"

#include "base/object.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROXY_CONNECT_MAGIC 0x50525859u
#define REQUEST_MAX 2048u

struct proxy_connect {
    uint32_t magic;
    int fd;
    struct loop *loop;
    struct loop_watch *watch;
    proxy_connect_fn *done;
    void *arg;
    bool has_credentials;
    size_t request_len, sent, len;
    char request[REQUEST_MAX];
    char head[PROXY_HEAD_MAX + 1];
};

static void connect_free(struct proxy_connect *c)
{
    loop_unwatch(c->watch);
    if (c->fd >= 0)
        close(c->fd);
    explicit_bzero(c->request, sizeof c->request);
    c->magic = 0;
    free(c);
}

__attribute__((format(printf, 3, 4))) static void fail(struct proxy_connect *c, unsigned status,
                                                       const char *fmt, ...)
{
    char reason[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(reason, sizeof reason, fmt, ap);
    va_end(ap);
    proxy_connect_fn *done = c->done;
    void *arg = c->arg;
    connect_free(c);
    done(arg, -1, status, reason);
}

static void succeed(struct proxy_connect *c)
{
    proxy_connect_fn *done = c->done;
    void *arg = c->arg;
    int fd = c->fd;
    c->fd = -1;
    connect_free(c);
    done(arg, fd, 0, "");
}

/* ---- the answer ---- */

/* "HTTP/1.1 200 …"; 0 for anything else. */
static unsigned status_of(const char *head)
{
    unsigned status = 0;
    if (strncmp(head, "HTTP/1.", 7) != 0 || (head[7] != '0' && head[7] != '1') || head[8] != ' ')
        return 0;
    for (int i = 9; i < 12; i++) {
        if (head[i] < '0' || head[i] > '9')
            return 0;
        status = status * 10 + (unsigned)(head[i] - '0');
    }
    return head[12] == ' ' || head[12] == '\r' || head[12] == '\n' ? status : 0;
}

static void judge(struct proxy_connect *c)
{
    unsigned status = status_of(c->head);
    if (status == 0)
        fail(c, 0, "the proxy's answer to CONNECT is not HTTP");
    else if (status >= 200 && status < 300)
        succeed(c);
    else if (status == 407 && c->has_credentials)
        fail(c, status, "the proxy does not accept the user and password that it was shown (407)");
    else if (status == 407)
        fail(c, status, "the proxy asks for a user and password (407)");
    else
        fail(c, status, "the proxy refused CONNECT with %u", status);
}

/* Length of the head with its empty line, 0 when that has not come. Bare newlines count too, as
 * RFC 9112, 2.2 allows. */
static size_t head_length(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != '\n')
            continue;
        if (i + 1 < n && p[i + 1] == '\n')
            return i + 2;
        if (i + 2 < n && p[i + 1] == '\r' && p[i + 2] == '\n')
            return i + 3;
    }
    return 0;
}

/* What is no head at all need not be waited for. */
static bool may_be_http(const struct proxy_connect *c)
{
    static const char begin[] = "HTTP/1.";
    size_t n = c->len < sizeof begin - 1 ? c->len : sizeof begin - 1;
    return memcmp(c->head, begin, n) == 0;
}

static void receive(struct proxy_connect *c)
{
    char *at = c->head + c->len;
    ssize_t n = recv(c->fd, at, PROXY_HEAD_MAX - c->len, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        fail(c, 0, "the proxy closed the connection without an answer to CONNECT%s%s",
             n < 0 ? ": " : "", n < 0 ? strerror(errno) : "");
        return;
    }
    size_t head = head_length(c->head, c->len + (size_t)n);
    size_t take = head > 0 ? head - c->len : (size_t)n;
    if (recv(c->fd, at, take, MSG_DONTWAIT) != (ssize_t)take) {
        fail(c, 0, "the connection to the proxy failed");
        return;
    }
    c->len += take;
    c->head[c->len] = '\0';
    if (head > 0)
        judge(c);
    else if (!may_be_http(c))
        fail(c, 0, "the proxy's answer to CONNECT is not HTTP");
    else if (c->len == PROXY_HEAD_MAX)
        fail(c, 0, "the head of the proxy's answer is longer than %u bytes", PROXY_HEAD_MAX);
}

/* ---- the request ---- */

static void send_request(struct proxy_connect *c)
{
    ssize_t n = send(c->fd, c->request + c->sent, c->request_len - c->sent, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        fail(c, 0, "the proxy closed the connection: %s", strerror(errno));
        return;
    }
    c->sent += (size_t)n;
    if (c->sent == c->request_len && loop_rewatch(c->watch, BURROW_READ) != BURROW_OK)
        fail(c, 0, "out of memory");
}

static void on_ready(void *arg, int events)
{
    struct proxy_connect *c = arg;
    (void)events;
    must_be(c, PROXY_CONNECT_MAGIC);
    if (c->sent < c->request_len)
        send_request(c);
    else
        receive(c);
}

struct proxy_connect *proxy_connect(struct loop *loop, int fd, const char *host, uint16_t port,
                                    const char *authorization, proxy_connect_fn *done, void *arg)
{
    struct proxy_connect *c = calloc(1, sizeof *c);
    if (c == NULL) {
        close(fd);
        return NULL;
    }
    c->magic = PROXY_CONNECT_MAGIC;
    c->fd = fd;
    c->loop = loop;
    c->done = done;
    c->arg = arg;
    c->has_credentials = authorization[0] != '\0';
    char authority[300];
    bool six = strchr(host, ':') != NULL;
    snprintf(authority, sizeof authority, "%s%s%s:%u", six ? "[" : "", host, six ? "]" : "",
             (unsigned)port);
    int n = snprintf(c->request, sizeof c->request,
                     "CONNECT %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: burrow/%s\r\n%s%s%s\r\n",
                     authority, authority, BURROW_VERSION,
                     c->has_credentials ? "Proxy-Authorization: " : "", authorization,
                     c->has_credentials ? "\r\n" : "");
    must(n > 0 && (size_t)n < sizeof c->request); /* host and authorization are bounded */
    c->request_len = (size_t)n;
    c->watch = loop_watch(loop, fd, BURROW_WRITE, on_ready, c);
    if (c->watch == NULL) {
        connect_free(c);
        return NULL;
    }
    return c;
}

void proxy_connect_cancel(struct proxy_connect *connect)
{
    if (connect == NULL)
        return;
    must_be(connect, PROXY_CONNECT_MAGIC);
    connect_free(connect);
}
