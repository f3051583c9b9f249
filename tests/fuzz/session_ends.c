/* SPDX-License-Identifier: Apache-2.0 */
/* The ends of a fuzzed session's streams, and the input that drives them; see session_ends.h. */
#include "session_ends.h"

#include "base/object.h"
#include "loop/loop.h"
#include "stream_bytes.h"

/* ---- the input ---------------------------------------------------------------------------- */

uint8_t take_u8(struct input *in)
{
    if (in->n == 0)
        return 0;
    in->n--;
    return *in->p++;
}

uint16_t take_u16(struct input *in)
{
    const uint16_t high = take_u8(in);
    return (uint16_t)(high << 8 | take_u8(in));
}

size_t take_size(struct input *in)
{
    const uint8_t a = take_u8(in);
    return a < 200 ? a : a < 250 ? (size_t)take_u8(in) * 64 : (size_t)take_u8(in) * 257;
}

/* ---- what the session asks of an end ------------------------------------------------------ */

static struct end *live(void *arg)
{
    struct end *const e = arg;
    must(e->stream != NULL && e->ended == 0 && !e->was_reset);
    return e;
}

static void on_accepted(void *arg)
{
    struct end *const e = live(arg);
    must(e->local && !e->accepted);
    e->accepted = true;
}

static ssize_t on_read(void *arg, size_t max, struct burrow_buf **ret_chain, bool *ret_more)
{
    struct end *const e = live(arg);
    must(max > 0 && !e->fin_sent);
    if (e->sent == e->to_send) {
        if (!e->broken && e->eof)
            e->fin_sent = true;
        return e->broken ? BURROW_EIO : e->eof ? 0 : BURROW_EAGAIN;
    }
    uint64_t n = e->to_send - e->sent;
    n = n < max ? n : max;
    n = n < POOL_LARGE ? n : POOL_LARGE;
    struct burrow_buf *const b = pool_get(loop_pool(e->ends->loop), (size_t)n);
    must(b != NULL);
    stream_bytes_fill(WAY_OUT, e->id, e->sent, buf_data(b), (size_t)n);
    b->len = (uint32_t)n;
    b->next = NULL;
    e->sent += n;
    *ret_chain = b;
    *ret_more = e->sent < e->to_send || e->eof || e->broken;
    return (ssize_t)n;
}

static void reset_end(struct end *e, uint32_t code)
{
    struct stream *const stream = e->stream;
    e->stream = NULL;
    e->was_reset = true;
    stream_reset(stream, code, "by the fuzzer");
}

static void on_deliver(void *arg, const struct iovec *iov, int count, bool fin)
{
    struct end *const e = live(arg);
    const uint64_t before = e->received;
    const bool judged = e->ends->judged(e);
    must(!e->got_fin && (count > 0 || fin));
    for (int i = 0; i < count; i++) {
        must(stream_bytes_match(WAY_IN, e->id, e->received, iov[i].iov_base, iov[i].iov_len) ||
             !judged);
        e->received += iov[i].iov_len;
    }
    e->got_fin = fin;
    e->unread += e->received - before;
    e->ends->delivered(e);
    if (e->reset_in_deliver) {
        reset_end(e, RESET_PEER_RESET);
    } else if (!e->hold && e->unread > 0) {
        const size_t n = (size_t)e->unread;
        e->unread = 0;
        stream_consumed(e->stream, n);
    }
}

static void on_ended(void *arg, uint32_t code, const char *text)
{
    struct end *const e = live(arg);
    must(text != NULL);
    if (code == 0)
        must(e->got_fin && e->unread == 0);
    e->ends->ended(e, code);
    e->ended++;
    e->stream = NULL;
}

static bool on_broken(void *arg)
{
    return live(arg)->broken;
}

static const struct stream_ops end_ops = {.accepted = on_accepted,
                                          .read = on_read,
                                          .deliver = on_deliver,
                                          .ended = on_ended,
                                          .broken = on_broken};

/* ---- what an end does --------------------------------------------------------------------- */

static struct end *add(struct ends *ends)
{
    if (ends->count == ENDS)
        return NULL;
    struct end *const e = &ends->list[ends->count++];
    *e = (struct end){.ends = ends};
    return e;
}

struct end *end_new(struct ends *ends, struct stream *stream)
{
    struct end *const e = add(ends);
    if (e == NULL)
        return NULL;
    e->stream = stream;
    e->id = stream_id(stream);
    stream_set_end(stream, &end_ops, e);
    return e;
}

void end_open(struct ends *ends, struct session *session, const struct frame_open *open)
{
    struct end *const e = add(ends);
    if (e == NULL)
        return;
    e->local = true;
    if (stream_open(session, open, &end_ops, e, &e->stream) != 0) {
        must(e->stream == NULL);
        ends->count--;
        return;
    }
    e->id = stream_id(e->stream);
}

void end_accept(struct end *e)
{
    if (e->local || e->accepted || e->stream == NULL)
        return;
    e->accepted = true;
    stream_accept(e->stream);
}

/* Few bytes, or many times as much. */
static void consume(struct end *e, size_t n)
{
    n *= n % 2 != 0 ? 16 : 1;
    n = n < e->unread ? n : (size_t)e->unread;
    e->unread -= n;
    if (n > 0)
        stream_consumed(e->stream, n);
}

void end_do(struct ends *ends, struct input *in, uint8_t what)
{
    const uint8_t which = take_u8(in);
    struct end *const e = ends->count > 0 ? &ends->list[which % ends->count] : NULL;
    if (e == NULL || e->stream == NULL)
        return;
    switch (what) {
    case 0:
        e->to_send += e->eof ? 0 : take_size(in);
        break;
    case 1:
        e->eof = true;
        break;
    case 2:
        e->broken = true;
        break;
    case 3:
        consume(e, take_size(in));
        return;
    case 4:
        e->hold = !e->hold;
        return;
    case 5:
        end_accept(e);
        break;
    case 6:
        reset_end(e, RESET_REFUSED + take_u8(in) % 7);
        return;
    default:
        e->reset_in_deliver = true;
        return;
    }
    if (e->local || e->accepted)
        stream_ready(e->stream);
}
