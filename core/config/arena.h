/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that lives and ends together: what option values point to. It is overwritten when
 * it is freed, since secrets are among it. */
#ifndef CONFIG_ARENA_H
#define CONFIG_ARENA_H

#include <stddef.h>

struct arena;

struct arena *arena_create(void);
void arena_destroy(struct arena *arena); /* NULL is allowed */
/* Zeroed and aligned for any type. NULL: out of memory. */
void *arena_alloc(struct arena *arena, size_t n);
/* A copy of n bytes and a NUL. */
char *arena_copy(struct arena *arena, const char *p, size_t n);

#endif
