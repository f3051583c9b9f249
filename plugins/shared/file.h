/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole small file in memory, read with a bound and without waiting: what an operator names
 * by mistake (a folder, a FIFO, a device, a huge file) is refused with a reason.
 */
#ifndef SHARED_FILE_H
#define SHARED_FILE_H

#include <burrow/plugin.h>
#include <stdbool.h>
#include <stddef.h>

#define FILE_WHY 160u

/* Its bytes, and a NUL after them. All zero is allowed to file_free. */
struct file_bytes {
    char *data;
    size_t len;
};

/*
 * Reads the file. `trusted`: it decides who is let in, so one that everybody may write is
 * refused. Returns 0, BURROW_ENOMEM, or BURROW_EINVAL with *why filled (`"PATH" …`).
 */
int file_read(const char *path, size_t max, bool trusted, struct file_bytes *ret,
              char why[FILE_WHY]);
/* Wipes and frees. */
void file_free(struct file_bytes *bytes);

/*
 * Has the host watch the files in place of those of *watch (which may be NULL), see its
 * watch_files. Watch first and read then, so that no change goes unnoticed. An older host watches
 * nothing: what the files say counts from a restart or reload. BURROW_ENOMEM, explained by
 * host->verror: *watch is as it was.
 */
int file_watch(const struct burrow_host *host, const char *const *paths, uint32_t n,
               burrow_files_fn *fn, void *arg, struct burrow_files **watch);
/* Ends it; *watch, which may be NULL, is NULL then. */
void file_unwatch(const struct burrow_host *host, struct burrow_files **watch);

#endif
