/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of version 1 for tests, see v1.h. */
#include "v1.h"

#include <stdlib.h>
#include <string.h>

int v1_setup(void **state)
{
    struct pair *p = pair_new();
    int i;

    for (i = 0; i < 2; i++) {
        p->config[i].protocol = 1;
        p->config[i].service = 7;
        p->config[i].open_timeout_ms = 30000;
        p->config[i].target = "127.0.0.1:5432";
        p->mock.end[i].messages = true;
    }
    p->log.level = BURROW_LOG_ERROR + 1;
    pair_connect(p);
    *state = p;
    return 0;
}

static size_t put_control(uint8_t *p, const char *json)
{
    size_t n = strlen(json);
    const struct frame_header h = {
        .version = FRAME_V1, .kind = FRAME_CONTROL, .length = (uint32_t)n};

    frame_header_encode(p, &h);
    memcpy(p + FRAME_HEADER, json, n);
    return FRAME_HEADER + n;
}

void v1_control(struct pair *p, int side, const char *json)
{
    uint8_t bytes[512];

    mock_message(&p->mock.end[side], bytes, put_control(bytes, json));
}

size_t v1_put_data(uint8_t *p, uint64_t stream, uint32_t n)
{
    const struct frame_header h = {
        .version = FRAME_V1, .kind = FRAME_DATA, .stream = stream, .length = n};

    frame_header_encode(p, &h);
    memset(p + FRAME_HEADER, 0, n);
    return FRAME_HEADER + n;
}

int v1_count_controls(const struct pair *p, int side, enum control_type type)
{
    const struct mock_conn *conn = &p->mock.end[side];
    struct control *c = calloc(1, sizeof *c);
    int count = 0;
    size_t at;

    assert_non_null(c);
    for (at = 0; at < conn->inbox_len;) {
        struct frame_header h;

        frame_header_decode(&h, conn->inbox + at);
        if (h.kind == FRAME_CONTROL) {
            assert_int_equal(control_decode(c, conn->inbox + at + FRAME_HEADER, h.length, NULL), 0);
            count += c->type == type;
        }
        at += FRAME_HEADER + h.length;
    }
    free(c);
    return count;
}
