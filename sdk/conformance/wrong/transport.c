/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The example transport-unix, wrong in the one way that -DWRONG_… says: between it and the host
 * stands a table of events that alters one of them.
 */
#define burrow_plugin_v0 the_right_one
#include "../../examples/transport-unix/transport_unix.c"
#undef burrow_plugin_v0

static const struct burrow_transport_host *real;

#if defined(WRONG_CLOSED_TWICE) || defined(WRONG_CLOSED_TWICE_TO_STRANGERS)
static void closed(struct burrow_link *link, const struct burrow_close_info *info)
{
    real->closed(link, info);
    real->closed(link, info);
}
#elif defined(WRONG_FLIPS)
static void data(struct burrow_link *link, const uint8_t *p, size_t n, uint32_t message_end)
{
    uint8_t *copy = malloc(n);
    memcpy(copy, p, n);
    copy[n / 2] ^= 1;
    real->data(link, copy, n, message_end);
    free(copy);
}
#elif defined(WRONG_DRAINED)
static void drained(struct burrow_link *link)
{
    real->drained(link);
    real->drained(link);
}
#elif defined(WRONG_NO_BATCH_END)
static void batch_end(struct burrow_link *link)
{
    (void)link;
}
#elif defined(WRONG_ACCEPTED)
static void accepted(struct burrow_link *link)
{
    real->accepted(link);
    real->accepted(link);
}
#elif defined(WRONG_CODE) || defined(WRONG_CODE_UNREACHABLE)
static void closed(struct burrow_link *link, const struct burrow_close_info *info)
{
    struct burrow_close_info other = *info;
    other.code = BURROW_CLOSE_NORMAL;
    real->closed(link, &other);
}
#endif

static void wrong_bind(void *self, const struct burrow_transport_host *events)
{
    static struct burrow_transport_host table;
    real = events;
    table = *events;
#if defined(WRONG_CLOSED_TWICE) || defined(WRONG_CLOSED_TWICE_TO_STRANGERS) ||                     \
    defined(WRONG_CODE) || defined(WRONG_CODE_UNREACHABLE)
    table.closed = closed;
#elif defined(WRONG_FLIPS)
    table.data = data;
#elif defined(WRONG_DRAINED)
    table.drained = drained;
#elif defined(WRONG_NO_BATCH_END)
    table.batch_end = batch_end;
#elif defined(WRONG_ACCEPTED)
    table.accepted = accepted;
#endif
    op_bind(self, &table);
}

static const struct burrow_transport_ops wrong_ops = {
    .size = sizeof wrong_ops,
    .schemes = schemes,
    .bind = wrong_bind,
    .accept = op_accept,
    .dial = op_dial,
    .send = op_send,
    .queued = op_queued,
    .set_watermark = op_set_watermark,
    .flush = op_flush,
    .read_enable = op_read_enable,
    .close = op_close,
};

BURROW_PLUGIN = {
    .magic = BURROW_PLUGIN_MAGIC,
    .size = sizeof(struct burrow_plugin),
    .abi_minor = BURROW_ABI_MINOR,
    .kind = BURROW_KIND_TRANSPORT,
    .kind_abi = BURROW_TRANSPORT_ABI,
    .name = "transport-wrong",
    .version = "1",
    .summary = "Wrong in one way",
    .ops = &wrong_ops,
    .create = create,
    .stop = stop,
    .destroy = free,
};
