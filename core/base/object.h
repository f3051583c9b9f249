/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every long-lived struct uses: a magic number that is checked where a callback hands
 * the struct in and cleared when it is freed, the way from a member to its struct, and an
 * assertion that stays in release builds.
 */
#ifndef BASE_OBJECT_H
#define BASE_OBJECT_H

#include <stddef.h>
#include <stdint.h>

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define must(cond)                                                                                 \
    do {                                                                                           \
        if (__builtin_expect(!(cond), 0))                                                          \
            must_failed(#cond, __FILE__, __LINE__, __func__);                                      \
    } while (0)
__attribute__((noreturn)) void must_failed(const char *cond, const char *file, int line,
                                           const char *func);

/* must_be(session, SESSION_MAGIC): the pointer is a live one of its type. */
#define must_be(obj, magic_) must((obj) != NULL && (obj)->magic == (magic_))

#endif
