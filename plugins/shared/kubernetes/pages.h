/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pages in which the API gives a long list (its `limit` and `continue`), put together again.
 * All pages are of one version of the list, which the last one names.
 */
#ifndef KUBERNETES_PAGES_H
#define KUBERNETES_PAGES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define KUBE_PAGES_TOKEN 1024u
#define KUBE_PAGES_ROOM (KUBE_PAGES_TOKEN + 32u) /* what a page adds to its list's path */

struct kube_pages {
    json_t *list; /* of what has come; owned */
    unsigned count;
    size_t bytes;
    char token[KUBE_PAGES_TOKEN]; /* "": the first page is next */
};

/* The path of the next page: that of the list, and what names the page. */
void kube_pages_path(const struct kube_pages *pages, const char *path, char *buf, size_t size);

/* Takes an answer, which had so many bytes, and may keep a reference: BURROW_OK, and pages->list is
 * whole unless *ret_more says that others follow. BURROW_EPROTO: it is no page, or names a next one
 * that cannot be asked for; BURROW_ENOMEM, also for more than 200 pages of 500 or 64 MiB. */
int kube_pages_take(struct kube_pages *pages, json_t *page, size_t bytes, bool *ret_more);

/* As before the first page; frees. */
void kube_pages_clear(struct kube_pages *pages);

#endif
