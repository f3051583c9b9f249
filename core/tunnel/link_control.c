/* SPDX-License-Identifier: Apache-2.0 */
/* CONTROL frames onto a link: what registers, answers, errors and sessions send alike. */
#include "tunnel/link.h"

#include "wire/control.h"
#include "wire/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int send_text(struct burrow_link *link, uint8_t version, const char *json, size_t n)
{
    const struct frame_header head = {
        .version = version, .kind = FRAME_CONTROL, .length = (uint32_t)n};
    struct burrow_buf *b;

    if (n > FRAME_MAX_CONTROL)
        return BURROW_EINVAL;
    b = pool_get(link_pool(link), FRAME_HEADER + n);
    if (!b)
        return BURROW_ENOMEM;
    frame_header_encode(buf_data(b), &head);
    memcpy(buf_data(b) + FRAME_HEADER, json, n);
    b->len = FRAME_HEADER + (uint32_t)n;
    return link_send(link, b);
}

int link_send_control(struct burrow_link *link, uint8_t version, const struct control *control)
{
    char *text;
    size_t n;
    int ret = control_encode(control, &text, &n);

    if (ret < 0)
        return ret;
    ret = send_text(link, version, text, n);
    control_text_free(text, n);
    return ret;
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
