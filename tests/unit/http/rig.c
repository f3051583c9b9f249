/* SPDX-License-Identifier: Apache-2.0 */
/* The rig of the HTTP client's tests, see rig.h. */
#include "rig.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define LIMIT_MS 30000

static uint64_t real_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void rig_init(struct rig *rig, SSL_CTX *tls, http_server_fn *fn, void *arg)
{
    memset(rig, 0, sizeof *rig);
    fake_host_init(&rig->host);
    assert_int_equal(http_client_create(&rig->host.table, "burrow-test", &rig->client), BURROW_OK);
    if (fn)
        rig->server = http_server_start(tls, fn, arg);
}

void rig_finish(struct rig *rig)
{
    http_client_destroy(rig->client);
    http_server_stop(rig->server);
    fake_host_finish(&rig->host);
}

static void copy(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text ? text : "-");
}

static void note_done(void *arg, int result, const struct http_response *response,
                      const char *error)
{
    struct said *said = arg;
    said->request = NULL;
    said->done++;
    said->result = result;
    said->status = response->status;
    said->body_len = response->body.len;
    size_t n = response->body.len < sizeof said->body ? response->body.len : sizeof said->body - 1;
    if (n > 0)
        memcpy(said->body, response->body.data, n);
    if (result == BURROW_OK)
        assert_int_equal(((const char *)response->body.data)[response->body.len], '\0');
    said->body[n] = '\0';
    copy(said->error, sizeof said->error, error);
    copy(said->cache_control, sizeof said->cache_control, http_header(response, "cache-control"));
    copy(said->content_type, sizeof said->content_type, http_header(response, "Content-Type"));
    copy(said->retry_after, sizeof said->retry_after, http_header(response, "retry-after"));
    if (said->again_in_done) {
        said->again_in_done = false;
        struct http_ask ask = rig_ask(said->rig, "/again", said);
        rig_start(said->rig, &ask, said);
    }
}

void note_head(void *arg, const struct http_response *response)
{
    struct said *said = arg;
    said->heads++;
    said->head_status = response->status;
    copy(said->content_type, sizeof said->content_type, http_header(response, "Content-Type"));
    if (said->cancel_in_head)
        http_cancel(said->request);
}

void note_data(void *arg, const void *data, size_t len)
{
    struct said *said = arg;
    said->chunks++;
    size_t room = sizeof said->body - 1 - said->body_len;
    size_t n = len < room ? len : room;
    memcpy(said->body + said->body_len, data, n);
    said->body_len += n;
    said->streamed += len;
    if (said->victim)
        http_cancel(said->victim->request);
    said->victim = NULL;
    if (said->cancel_in_data)
        http_cancel(said->request);
}

struct http_ask rig_ask(struct rig *rig, const char *path, struct said *said)
{
    memset(said, 0, sizeof *said);
    said->rig = rig;
    snprintf(rig->url, sizeof rig->url, "http://127.0.0.1:%u%s", http_server_port(rig->server),
             path);
    return (struct http_ask){
        .url = rig->url, .max_body = 1 << 20, .total_ms = 20000, .done = note_done, .arg = said};
}

void rig_start(struct rig *rig, const struct http_ask *ask, struct said *said)
{
    assert_int_equal(http_start(rig->client, ask, &said->request), BURROW_OK);
}

static void turn(struct rig *rig)
{
    uint64_t before = real_ms();
    fake_host_turn(&rig->host, 5);
    fake_host_advance(&rig->host, real_ms() - before);
}

void rig_run(struct rig *rig, const unsigned *n, unsigned want)
{
    uint64_t deadline = real_ms() + LIMIT_MS;
    while (*n < want) {
        turn(rig);
        if (real_ms() > deadline)
            fail_msg("what the test waits for did not happen within %d ms", LIMIT_MS);
    }
}

void rig_get(struct rig *rig, const struct http_ask *ask, struct said *said)
{
    rig_start(rig, ask, said);
    assert_int_equal(said->done, 0);
    rig_run(rig, &said->done, 1);
    assert_int_equal(said->done, 1);
    assert_int_equal(http_pending(rig->client), 0);
}

void rig_linger(struct rig *rig, unsigned ms)
{
    uint64_t deadline = real_ms() + ms;
    while (real_ms() < deadline)
        turn(rig);
}

unsigned open_descriptors(void)
{
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}
