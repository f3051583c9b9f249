/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lets a plugin's k-th allocation fail. The program's own malloc family stands before the C
 * library's for every object of the process, and looks at the caller's address: what counts is
 * what the plugin's own code asks for, and the C library (strdup, fopen) for it. Other libraries
 * are not tried here: they make hundreds of thousands, and their errors reach the plugin anyway.
 */
#include "conformance.h"

#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define RANGES_MAX 4
#define EXPORTED __attribute__((visibility("default")))

struct range {
    uintptr_t from, to;
};

static struct {
    atomic_uint counted;
    atomic_long live;
    unsigned k;
    atomic_bool armed;
    size_t range_count;
    struct range ranges[RANGES_MAX];
} state;

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);
/* AddressSanitizer's, where it is there. */
__attribute__((weak)) void *__interceptor_malloc(size_t);
__attribute__((weak)) void *__interceptor_calloc(size_t, size_t);
__attribute__((weak)) void *__interceptor_realloc(void *, size_t);
__attribute__((weak)) void *__interceptor_memalign(size_t, size_t);
__attribute__((weak)) void __interceptor_free(void *);

static bool is_next_denied(void)
{
    return atomic_fetch_add(&state.counted, 1) + 1 == state.k;
}

static bool denied(const void *caller)
{
    if (!atomic_load_explicit(&state.armed, memory_order_relaxed))
        return false;
    for (size_t i = 0; i < state.range_count; i++) {
        if ((uintptr_t)caller < state.ranges[i].from || (uintptr_t)caller >= state.ranges[i].to)
            continue;
        if (!is_next_denied())
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
    return counted(__interceptor_malloc ? __interceptor_malloc(n) : __libc_malloc(n));
}

EXPORTED void *calloc(size_t n, size_t size)
{
    if (denied(__builtin_return_address(0)))
        return NULL;
    return counted(__interceptor_calloc ? __interceptor_calloc(n, size) : __libc_calloc(n, size));
}

EXPORTED void *realloc(void *p, size_t n)
{
    if (denied(__builtin_return_address(0)))
        return NULL;
    bool was_none = p == NULL;
    void *moved = __interceptor_realloc ? __interceptor_realloc(p, n) : __libc_realloc(p, n);
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
    return counted(__interceptor_memalign ? __interceptor_memalign(alignment, n)
                                          : __libc_memalign(alignment, n));
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

EXPORTED void free(void *p)
{
    if (p != NULL)
        atomic_fetch_sub_explicit(&state.live, 1, memory_order_relaxed);
    if (__interceptor_free)
        __interceptor_free(p);
    else
        __libc_free(p);
}

long allocations_live(void)
{
    /* A sanitizer serves strdup and others by itself, and has a leak check of its own. */
    return __interceptor_malloc ? 0 : atomic_load(&state.live);
}

static int note_range(struct dl_phdr_info *info, size_t size, void *arg)
{
    const char *plugin = arg;
    (void)size;
    if ((strcmp(info->dlpi_name, plugin) != 0 && strstr(info->dlpi_name, "/libc.so") == NULL) ||
        state.range_count == RANGES_MAX)
        return 0;
    struct range range = {UINTPTR_MAX, 0};
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
