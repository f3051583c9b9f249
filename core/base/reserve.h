/* SPDX-License-Identifier: Apache-2.0 */
/* Memory kept back for a library that ends the process when it gets none: libev and its arrays. */
#ifndef BASE_RESERVE_H
#define BASE_RESERVE_H

/* Has something to give. Of any thread; cheap when the reserve is there, which then stays for the
 * process's life. Where there is no memory for it now, a later call takes it. */
void reserve_fill(void);

/* As realloc, with n 0 for free, in the form that ev_set_allocator wants. When the system gives no
 * memory it comes from the reserve, which nobody else can use up; NULL only when that is full too.
 * Of any thread. */
void *reserve_realloc(void *p, long n);

#endif
