/* SPDX-License-Identifier: Apache-2.0 */
/* CONTROL frames onto a link: what registers, answers, errors and sessions send alike. */
#include "tunnel/link.h"

#include "wire/control.h"
#include "wire/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct burrow_buf *link_control_frame(const struct burrow_link *link, uint8_t version,
                                      const struct control *control)
{
    struct frame_header head = {
        .version = version, .kind = FRAME_CONTROL, .stream = control->stream_id};
    struct burrow_buf *b;
    char *text;
    size_t n;

    if (control_encode(control, &text, &n) < 0)
        return NULL;
    b = pool_get(link_pool(link), FRAME_HEADER + n);
    if (b) {
        head.length = (uint32_t)n;
        frame_header_encode(buf_data(b), &head);
        memcpy(buf_data(b) + FRAME_HEADER, text, n);
        b->len = FRAME_HEADER + (uint32_t)n;
    }
    control_text_free(text, n);
    return b;
}

int link_send_control(struct burrow_link *link, uint8_t version, const struct control *control)
{
    struct burrow_buf *b = link_control_frame(link, version, control);

    return b ? link_send(link, b) : BURROW_ENOMEM;
}

uint32_t link_v1_close_code(uint32_t code)
{
    switch (code) {
    case BURROW_CLOSE_ABORT:
        return code;
    case BURROW_CLOSE_NORMAL:
    case BURROW_CLOSE_GOING_AWAY:
        return BURROW_CLOSE_GOING_AWAY;
    default:
        return BURROW_CLOSE_INTERNAL;
    }
}

int link_send_error(struct burrow_link *link, uint8_t version, const char *code,
                    const char *message)
{
    struct control *control = calloc(1, sizeof *control);
    int ret;

    if (!control)
        return BURROW_ENOMEM;
    control->type = CONTROL_ERROR;
    snprintf(control->code, sizeof control->code, "%s", code);
    snprintf(control->message, sizeof control->message, "%s", message);
    ret = link_send_control(link, version, control);
    free(control);
    return ret;
}
