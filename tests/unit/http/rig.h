/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP client on a fake host whose clock follows the real one (libcurl has its own), the
 * tests' server, and a note of what a request's callbacks said. */
#ifndef TEST_HTTP_RIG_H
#define TEST_HTTP_RIG_H

#include "fake_host.h"
#include "http/http.h"
#include "http_server.h"

struct rig {
    struct fake_host host;
    struct http_client *client;
    struct http_server *server;
    char url[128]; /* of the server, without a path */
};

/* What was said of one request. */
struct said {
    struct rig *rig;
    struct http_request *request;
    unsigned done, heads, chunks;
    int result;
    int32_t status, head_status;
    size_t body_len, streamed;
    char body[4096]; /* its beginning */
    char error[256];
    char cache_control[64], content_type[64], retry_after[64];
    bool cancel_in_head, cancel_in_data, again_in_done;
    struct said *victim; /* cancelled in data */
};

void rig_init(struct rig *rig, SSL_CTX *tls, http_server_fn *fn, void *arg);
void rig_finish(struct rig *rig);
/* An ask for the path on the rig's server, with *said as its listener. The URL lives in the
 * rig until the next call. */
struct http_ask rig_ask(struct rig *rig, const char *path, struct said *said);
void rig_start(struct rig *rig, const struct http_ask *ask, struct said *said);
/* Turns with real time until *n has reached want; fails the test after 30 s. */
void rig_run(struct rig *rig, const unsigned *n, unsigned want);
/* Asks and waits for the end. */
void rig_get(struct rig *rig, const struct http_ask *ask, struct said *said);
/* Turns for so long. */
void rig_linger(struct rig *rig, unsigned ms);
unsigned open_descriptors(void);

void note_head(void *arg, const struct http_response *response);
void note_data(void *arg, const void *data, size_t len);

#endif
