/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lets a plugin's k-th allocation fail. The program's own malloc family stands before the C
 * library's for every object of the process, and looks at the caller's address: what counts is
 * what the plugin's own code asks for, and the C library (strdup, fopen) for it or for what it
 * calls. Other libraries' own are not tried here: they make hundreds of thousands, and their errors
 * reach the plugin anyway.
 */
#include "conformance.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unwind.h>

#define RANGES_MAX 4
#define WAYS 256
/* So often the C library's allocations count that come by one and the same way: libwebsockets looks
 * through folders, and for each file in them there is one. */
#define SAME_WAY_MAX 64
#define WAY_DEPTH 16
#define EXPORTED __attribute__((visibility("default")))

struct range {
    uintptr_t from, to;
    bool is_libc;
};

/* A way to malloc: the return addresses of all callers. */
struct way {
    uint64_t sum; /* 0: none */
    unsigned times;
};

static struct {
    atomic_uint counted;
    atomic_long live;
    unsigned k;
    atomic_bool armed;
    size_t range_count;
    struct range ranges[RANGES_MAX];
    struct way ways[WAYS];
} state;

/* AddressSanitizer's, where it is there. */
__attribute__((weak)) void *__interceptor_malloc(size_t);
__attribute__((weak)) void *__interceptor_calloc(size_t, size_t);
__attribute__((weak)) void *__interceptor_realloc(void *, size_t);
__attribute__((weak)) void *__interceptor_memalign(size_t, size_t);
__attribute__((weak)) void __interceptor_free(void *);

/* Those behind ours. They are found by name, as Valgrind stands in the place of the C library's
 * malloc and not of __libc_malloc. */
static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void *(*memalign)(size_t, size_t);
    void (*free)(void *);
} real;

static void find(void *ret_fn, const char *name)
{
    void *fn = dlsym(RTLD_NEXT, name);
    if (fn == NULL)
        abort();
    memcpy(ret_fn, &fn, sizeof fn);
}

/* The first call comes before there are threads; dlsym itself needs no memory. */
static void find_real(void)
{
    if (real.free != NULL)
        return;
    if (__interceptor_malloc) {
        real.malloc = __interceptor_malloc;
        real.calloc = __interceptor_calloc;
        real.realloc = __interceptor_realloc;
        real.memalign = __interceptor_memalign;
        real.free = __interceptor_free;
        return;
    }
    find(&real.malloc, "malloc");
    find(&real.calloc, "calloc");
    find(&real.realloc, "realloc");
    find(&real.memalign, "memalign");
    find(&real.free, "free");
}

static bool is_next_denied(void)
{
    return atomic_fetch_add(&state.counted, 1) + 1 == state.k;
}

struct walk {
    uint64_t sum;
    unsigned depth;
};

static _Unwind_Reason_Code add_frame(struct _Unwind_Context *context, void *arg)
{
    struct walk *walk = arg;
    walk->sum = (walk->sum ^ (uint64_t)_Unwind_GetIP(context)) * 1099511628211u;
    return ++walk->depth < WAY_DEPTH ? _URC_NO_REASON : _URC_END_OF_STACK;
}

/* Where ways are more than there is room for, all count. */
static bool has_come_too_often(void)
{
    struct walk walk = {1469598103934665603u, 0};
    _Unwind_Backtrace(add_frame, &walk);
    walk.sum |= 1;
    for (size_t i = 0; i < WAYS; i++) {
        struct way *way = &state.ways[(walk.sum + i) % WAYS];
        if (way->sum != 0 && way->sum != walk.sum)
            continue;
        way->sum = walk.sum;
        return ++way->times > SAME_WAY_MAX;
    }
    return false;
}

static bool denied(const void *caller)
{
    if (!atomic_load_explicit(&state.armed, memory_order_relaxed))
        return false;
    for (size_t i = 0; i < state.range_count; i++) {
        if ((uintptr_t)caller < state.ranges[i].from || (uintptr_t)caller >= state.ranges[i].to)
            continue;
        if ((state.ranges[i].is_libc && has_come_too_often()) || !is_next_denied())
            return false;
        errno = ENOMEM;
        return true;
    }
    return false;
}

static void *counted(void *p)
{
    if (p != NULL)
        atomic_fetch_add_explicit(&state.live, 1, memory_order_relaxed);
    return p;
}

EXPORTED void *malloc(size_t n)
{
    if (denied(__builtin_return_address(0)))
        return NULL;
    find_real();
    return counted(real.malloc(n));
}

EXPORTED void *calloc(size_t n, size_t size)
{
    if (denied(__builtin_return_address(0)))
        return NULL;
    find_real();
    return counted(real.calloc(n, size));
}

EXPORTED void *realloc(void *p, size_t n)
{
    if (denied(__builtin_return_address(0)))
        return NULL;
    bool was_none = p == NULL;
    find_real();
    void *moved = real.realloc(p, n);
    if (was_none)
        counted(moved);
    else if (n == 0)
        atomic_fetch_sub_explicit(&state.live, 1, memory_order_relaxed);
    return moved;
}

static void *aligned(size_t alignment, size_t n, const void *caller)
{
    if (denied(caller))
        return NULL;
    find_real();
    return counted(real.memalign(alignment, n));
}

EXPORTED void *aligned_alloc(size_t alignment, size_t n)
{
    return aligned(alignment, n, __builtin_return_address(0));
}

EXPORTED void *memalign(size_t alignment, size_t n)
{
    return aligned(alignment, n, __builtin_return_address(0));
}

EXPORTED int posix_memalign(void **ret, size_t alignment, size_t n)
{
    void *p = aligned(alignment, n, __builtin_return_address(0));
    if (p == NULL)
        return ENOMEM;
    *ret = p;
    return 0;
}

/* The C library's, which a sanitizer would serve past our malloc. */
static char *duplicate(const char *text, size_t n)
{
    if (atomic_load_explicit(&state.armed, memory_order_relaxed) && !has_come_too_often() &&
        is_next_denied()) {
        errno = ENOMEM;
        return NULL;
    }
    find_real();
    char *copy = counted(real.malloc(n + 1));
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, n);
    copy[n] = '\0';
    return copy;
}

EXPORTED char *strdup(const char *text)
{
    return duplicate(text, strlen(text));
}

EXPORTED char *strndup(const char *text, size_t n)
{
    return duplicate(text, strnlen(text, n));
}

EXPORTED void free(void *p)
{
    if (p == NULL)
        return;
    atomic_fetch_sub_explicit(&state.live, 1, memory_order_relaxed);
    find_real();
    real.free(p);
}

bool allocations_are_seen(void)
{
    void *(*volatile allocate)(size_t) = malloc;
    long before = atomic_load(&state.live);
    void *p = allocate(1);
    bool seen = atomic_load(&state.live) == before + 1;
    free(p);
    return seen;
}

long allocations_live(void)
{
    /* A sanitizer serves strdup and others by itself, and has a leak check of its own. */
    return __interceptor_malloc ? 0 : atomic_load(&state.live);
}

static int note_range(struct dl_phdr_info *info, size_t size, void *arg)
{
    const char *plugin = arg;
    bool is_libc = strstr(info->dlpi_name, "/libc.so") != NULL;
    (void)size;
    if ((strcmp(info->dlpi_name, plugin) != 0 && !is_libc) || state.range_count == RANGES_MAX)
        return 0;
    struct range range = {UINTPTR_MAX, 0, is_libc};
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_LOAD)
            continue;
        uintptr_t from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        uintptr_t to = from + info->dlpi_phdr[i].p_memsz;
        range.from = from < range.from ? from : range.from;
        range.to = to > range.to ? to : range.to;
    }
    state.ranges[state.range_count++] = range;
    return 0;
}

static bool host_denies(void *arg)
{
    (void)arg;
    return atomic_load(&state.armed) && is_next_denied();
}

void allocations_arm(struct life *life, unsigned k)
{
    memset(state.ways, 0, sizeof state.ways);
    state.range_count = 0;
    dl_iterate_phdr(note_range, (void *)(uintptr_t)plugin_path(life->subject->plugin));
    life->host.deny = host_denies;
    state.k = k;
    atomic_store(&state.counted, 0);
    atomic_store(&state.armed, true);
}

unsigned allocations_disarm(void)
{
    atomic_store(&state.armed, false);
    return atomic_load(&state.counted);
}
