/* SPDX-License-Identifier: Apache-2.0 */
/* Puts the pages of a list together; see pages.h. */
#include "kubernetes/pages.h"

#include <burrow/plugin.h>
#include <stdio.h>
#include <string.h>

#define PAGE_ITEMS 500
#define PAGES_MAX 200u
#define BYTES_MAX (64u * 1024u * 1024u)
/* RFC 4648, section 5, without padding, as the API makes them; what would have to be escaped in a
 * query is not taken. */
#define TOKEN_CHARACTERS "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"

void kube_pages_path(const struct kube_pages *pages, const char *path, char *buf, size_t size)
{
    const char *name = pages->token[0] != '\0' ? "&continue=" : "";
    snprintf(buf, size, "%s%climit=%d%s%s", path, strchr(path, '?') != NULL ? '&' : '?', PAGE_ITEMS,
             name, pages->token);
}

/* False: there is one that cannot be sent back. */
static bool take_token(struct kube_pages *pages, const json_t *metadata)
{
    const char *text = json_string_value(json_object_get(metadata, "continue"));
    size_t n = text != NULL ? strlen(text) : 0;
    if (n >= sizeof pages->token || (n > 0 && text[strspn(text, TOKEN_CHARACTERS)] != '\0'))
        return false;
    snprintf(pages->token, sizeof pages->token, "%s", n > 0 ? text : "");
    return true;
}

static int append(json_t *list, const json_t *page)
{
    json_t *items = json_object_get(list, "items"), *more = json_object_get(page, "items");
    json_t *metadata = json_object_get(page, "metadata");
    if (!json_is_array(items) || !json_is_array(more) || !json_is_object(metadata))
        return BURROW_EPROTO;
    if (json_array_extend(items, more) < 0 || json_object_set(list, "metadata", metadata) < 0)
        return BURROW_ENOMEM;
    return BURROW_OK;
}

int kube_pages_take(struct kube_pages *pages, json_t *page, size_t bytes, bool *ret_more)
{
    if (!take_token(pages, json_object_get(page, "metadata")))
        return BURROW_EPROTO;
    bool more = pages->token[0] != '\0';
    pages->bytes += bytes;
    if (++pages->count + more > PAGES_MAX || pages->bytes > BYTES_MAX)
        return BURROW_ENOMEM;
    int rc = BURROW_OK;
    if (pages->list == NULL)
        pages->list = json_incref(page);
    else
        rc = append(pages->list, page);
    if (rc == BURROW_OK)
        *ret_more = more;
    return rc;
}

void kube_pages_clear(struct kube_pages *pages)
{
    json_decref(pages->list);
    *pages = (struct kube_pages){0};
}
