/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hash table of the core is uthash; everyone includes it from here, so that running
 * out of memory is an error that the caller sees and not an exit(). After each HASH_ADD…
 * ask map_added():
 *
 *   HASH_ADD(by_id, session->streams, id, sizeof st->id, st);
 *   if (!map_added(st, by_id))
 *       return BURROW_ENOMEM; // st is not in the table; the table is as it was before
 *
 * Do not use HASH_REPLACE…, which has deleted the old element when adding the new one
 * fails, nor HASH_SELECT and HASH_SRT, whose failures cannot be asked for.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#ifdef UTHASH_H
#error "include base/map.h instead of uthash.h"
#endif
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* handle: the name of the UT_hash_handle member, `hh` for the short forms of the macros. */
#define map_added(element, handle) ((element)->handle.tbl != NULL)

#endif
