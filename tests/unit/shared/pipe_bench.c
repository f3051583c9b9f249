/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures one pipe in each of two processes over loopback TCP, plain and TLS, in bulk and in
 * ping-pong: throughput, CPU seconds per GB of sender and receiver, round trips.
 *
 *   pipe_bench [GB per run] [runs] [bytes per buffer]
 */
#include "fake_host.h"
#include "pipe.h"
#include "test_certs.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BUFFERS 64u
#define WATERMARK (256u * 1024u)
#define PINGS 20000u
#define PING_SIZE 64u

struct bench {
    struct fake_host host;
    struct pipe *pipe;
    uint64_t left, got;
    size_t size; /* of a buffer */
    struct burrow_buf *free_list;
    bool ended, echo, pinging;
    unsigned pongs;
};

static double seconds(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void on_data(void *arg, uint8_t *p, size_t n)
{
    struct bench *bench = (struct bench *)arg;
    bench->got += n;
    if (bench->echo)
        (void)pipe_send_copy(bench->pipe, p, n);
    if (bench->pinging && bench->got % PING_SIZE == 0 && ++bench->pongs < PINGS)
        (void)pipe_send_copy(bench->pipe, p, PING_SIZE);
}

static void on_batch_end(void *arg)
{
    (void)arg;
}

static void fill(struct bench *bench)
{
    struct burrow_buf *chain = NULL, **tail = &chain;
    size_t queued = pipe_queued(bench->pipe);
    while (bench->free_list != NULL && bench->left > 0 && queued < WATERMARK) {
        struct burrow_buf *buf = bench->free_list;
        bench->free_list = buf->next;
        buf->len = (uint32_t)(bench->left < bench->size ? bench->left : bench->size);
        bench->left -= buf->len;
        queued += buf->len;
        *tail = buf;
        tail = &buf->next;
    }
    *tail = NULL;
    if (chain != NULL)
        pipe_send(bench->pipe, chain);
}

static void on_drained(void *arg)
{
    (void)arg;
}

static void on_release(void *arg, struct burrow_buf *chain)
{
    struct bench *bench = (struct bench *)arg;
    while (chain != NULL) {
        struct burrow_buf *next = chain->next;
        chain->next = bench->free_list;
        bench->free_list = chain;
        chain = next;
    }
}

static void on_ended(void *arg, uint32_t code, const char *reason)
{
    if (code != BURROW_CLOSE_PEER)
        fprintf(stderr, "ended: %s\n", reason);
    ((struct bench *)arg)->ended = true;
}

static const struct pipe_events events = {on_data, on_batch_end, on_drained, on_release, on_ended};

static void end_of_turn(void *arg)
{
    struct bench *bench = (struct bench *)arg;
    if (bench->ended)
        return;
    if (bench->left > 0)
        fill(bench);
    pipe_flush(bench->pipe);
}

static void bench_init(struct bench *bench, int fd, SSL *ssl, size_t size)
{
    memset(bench, 0, sizeof *bench);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK); /* the handshake was blocking */
    fake_host_init(&bench->host);
    bench->size = size;
    bench->pipe = pipe_create(&bench->host.table, fd, ssl, &events, bench);
    bench->host.end_of_turn = end_of_turn;
    bench->host.end_of_turn_arg = bench;
    for (unsigned i = 0; i < BUFFERS; i++) {
        struct burrow_buf *buf = (struct burrow_buf *)calloc(1, sizeof *buf + 64 + size);
        if (buf == NULL)
            abort();
        buf->base = (uint8_t *)(buf + 1);
        buf->off = 64;
        buf->capacity = (uint32_t)(64 + size);
        memset(buf->base, 1, buf->capacity);
        buf->next = bench->free_list;
        bench->free_list = buf;
    }
}

static SSL *handshake(SSL_CTX *ctx, int fd, bool server)
{
    if (ctx == NULL)
        return NULL;
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, fd);
    if ((server ? SSL_accept(ssl) : SSL_connect(ssl)) != 1)
        abort();
    return ssl;
}

/* Receives until the peer ends; reports its CPU seconds. */
static void receiver(int fd, SSL_CTX *ctx, size_t size, int report)
{
    struct bench bench;
    bench_init(&bench, fd, handshake(ctx, fd, true), size);
    bench.echo = size == PING_SIZE;
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    while (!bench.ended)
        fake_host_turn(&bench.host, 1000);
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    if (write(report, &cpu, sizeof cpu) != sizeof cpu)
        abort();
    _exit(0);
}

static void connected_pair(int fds[2])
{
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof addr;
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (const struct sockaddr *)&addr, size) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&addr, &size) != 0 ||
        connect(fds[0], (const struct sockaddr *)&addr, size) != 0)
        abort();
    fds[1] = accept(listener, NULL, NULL);
    close(listener);
}

static void run(const char *name, SSL_CTX *server, SSL_CTX *client, uint64_t bytes, size_t size)
{
    int fds[2], report[2];
    connected_pair(fds);
    if (pipe(report) != 0)
        abort();
    pid_t child = fork();
    if (child == 0) {
        close(fds[0]);
        receiver(fds[1], server, size, report[1]);
    }
    close(fds[1]);
    struct bench bench;
    bench_init(&bench, fds[0], handshake(client, fds[0], false), size);
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);
    if (size == PING_SIZE) {
        static const uint8_t ping[PING_SIZE];
        bench.pinging = true;
        (void)pipe_send_copy(bench.pipe, ping, sizeof ping);
        while (bench.pongs < PINGS)
            fake_host_turn(&bench.host, 1000);
    } else {
        bench.left = bytes;
        end_of_turn(&bench);
    }
    while (bench.left > 0 || pipe_queued(bench.pipe) > 0)
        fake_host_turn(&bench.host, pipe_queued(bench.pipe) < WATERMARK ? 0 : 1000);
    pipe_shutdown(bench.pipe);
    pipe_flush(bench.pipe);
    double far = 0;
    if (read(report[0], &far, sizeof far) != sizeof far)
        abort();
    wall = seconds(CLOCK_MONOTONIC) - wall;
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    if (size == PING_SIZE)
        printf("%-6s ping-pong %6.1f us per round trip, CPU %.1f us / %.1f us\n", name,
               wall / PINGS * 1e6, cpu / PINGS * 1e6, far / PINGS * 1e6);
    else
        printf("%-6s bulk %5.0f MB/s, CPU %.3f s/GB sender, %.3f s/GB receiver\n", name,
               (double)bytes / wall / 1e6, cpu / ((double)bytes / 1e9),
               far / ((double)bytes / 1e9));
    fflush(stdout);
    waitpid(child, NULL, 0);
    close(fds[0]);
    close(report[0]);
    close(report[1]);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    uint64_t bytes = (uint64_t)((argc > 1 ? atof(argv[1]) : 4) * 1e9);
    int runs = argc > 2 ? atoi(argv[2]) : 3;
    size_t size = argc > 3 ? (size_t)atol(argv[3]) : 16384;
    struct test_cert cert = test_cert_make(&(struct test_cert_plan){.name = "bench"});
    SSL_CTX *server = SSL_CTX_new(TLS_server_method()), *client = SSL_CTX_new(TLS_client_method());
    SSL_CTX_use_certificate(server, cert.cert);
    SSL_CTX_use_PrivateKey(server, cert.key);
    SSL_CTX_set_ciphersuites(client, "TLS_AES_128_GCM_SHA256");
    for (int i = 0; i < runs; i++) {
        run("plain", NULL, NULL, bytes, size);
        run("tls", server, client, bytes, size);
    }
    run("plain", NULL, NULL, bytes, PING_SIZE);
    run("tls", server, client, bytes, PING_SIZE);
    return 0;
}
