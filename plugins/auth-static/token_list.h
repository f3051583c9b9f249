/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of tokens: one a line, as its SHA-256, with the subject it stands for.
 *
 *   # made by: printf %s "$TOKEN" | sha256sum
 *   9f86d081…0a08 client-a
 *   60303ae2…9752 client-b expires=2027-01-31T00:00:00Z grants={"services": ["pg"]}
 *
 * The file is read strictly: a line that is not understood is an error, and the whole file
 * counts for nothing.
 */
#ifndef AUTH_STATIC_TOKEN_LIST_H
#define AUTH_STATIC_TOKEN_LIST_H

#include "file.h"

#include <stdint.h>

#define TOKEN_LIST_MAX (1024u * 1024u) /* bytes of the file */
#define TOKEN_HASH 32u
#define TOKEN_SUBJECT_MAX 128u
#define TOKEN_LIST_WHY (FILE_WHY + 200u)

struct token_entry {
    uint8_t hash[TOKEN_HASH];
    unsigned line;
    const char *subject;
    const char *grants; /* JSON, or NULL */
    int64_t expires_ms; /* Unix time, 0: never */
};

struct token_list {
    struct file_bytes text; /* cut into strings; entries point into it */
    struct token_entry *entries;
    size_t count;
};

/* 0, or negative with one line in ret_why that names file, line and what was expected. */
int token_list_read(const char *path, struct token_list *ret, char ret_why[TOKEN_LIST_WHY]);
void token_list_free(struct token_list *list);

/* The entry of a token, or NULL. How long it takes does not tell how near the token is to
 * any of the list: all are compared, and whole. BURROW_EIO: no hash could be made. */
int token_list_find(const struct token_list *list, const char *token, size_t len,
                    const struct token_entry **ret);

#endif
