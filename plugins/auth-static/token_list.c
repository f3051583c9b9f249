/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the file of tokens and looks tokens up in it, see token_list.h. */
#include "token_list.h"

#include "utc.h"

#include <burrow/plugin.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPACE " \t"

/* What is read, and where. */
struct reader {
    const char *path;
    unsigned line;
    char *why;
};

static int wrong(const struct reader *r, const char *what)
{
    snprintf(r->why, TOKEN_LIST_WHY, "\"%.200s\", line %u: %s", r->path, r->line, what);
    return BURROW_EINVAL;
}

/* The next word of *at, which then points behind it; NULL at the end. */
static char *next_word(char **at)
{
    char *word = *at + strspn(*at, SPACE);
    size_t n = strcspn(word, SPACE);
    if (n == 0)
        return NULL;
    *at = word + n;
    if (**at != '\0')
        *(*at)++ = '\0';
    return word;
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    char lower = c >= 'A' && c <= 'F' ? (char)(c + ('a' - 'A')) : c;
    const char *at = lower != '\0' ? strchr(digits, lower) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

static bool read_hash(const char *text, uint8_t hash[TOKEN_HASH])
{
    if (text == NULL || strlen(text) != 2 * TOKEN_HASH)
        return false;
    for (size_t i = 0; i < TOKEN_HASH; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        hash[i] = (uint8_t)(16 * high + low);
    }
    return true;
}

static bool is_subject(const char *text)
{
    if (text == NULL || strlen(text) > TOKEN_SUBJECT_MAX)
        return false;
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    return true;
}

static int read_expires(const struct reader *r, const char *text, struct token_entry *entry)
{
    int64_t at_s;
    if (!utc_parse(text, &at_s) || at_s == 0)
        return wrong(r, "expected expires= with a moment like 2027-01-31T00:00:00Z");
    entry->expires_ms = at_s * 1000;
    return BURROW_OK;
}

/* expires=…, then grants=…, which is the rest of the line: JSON may have spaces. */
static int read_rest(const struct reader *r, char *at, struct token_entry *entry)
{
    at += strspn(at, SPACE);
    if (strncmp(at, "expires=", 8) == 0) {
        char *word = next_word(&at);
        int rc = read_expires(r, word + 8, entry);
        if (rc < 0)
            return rc;
        at += strspn(at, SPACE);
    }
    if (strncmp(at, "grants=", 7) == 0) {
        entry->grants = at + 7;
        if (entry->grants[0] != '{')
            return wrong(r, "expected grants= with a JSON object");
        return BURROW_OK;
    }
    if (*at != '\0')
        return wrong(r, "expected nothing behind the subject, or expires=, then grants=");
    return BURROW_OK;
}

static int read_line(const struct reader *r, char *text, struct token_entry *entry)
{
    *entry = (struct token_entry){.line = r->line};
    if (!read_hash(next_word(&text), entry->hash))
        return wrong(r, "expected the SHA-256 of a token, 64 hex digits, first");
    entry->subject = next_word(&text);
    if (!is_subject(entry->subject))
        return wrong(r, "expected a subject of 1 to 128 bytes without control characters second");
    return read_rest(r, text, entry);
}

/* The next line of *at without its end; NULL behind the last one. */
static char *next_line(char **at)
{
    char *line = *at;
    if (line == NULL || *line == '\0')
        return NULL;
    char *end = strchr(line, '\n');
    *at = end != NULL ? end + 1 : NULL;
    if (end == NULL)
        end = line + strlen(line);
    if (end > line && end[-1] == '\r')
        end--;
    while (end > line && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *end = '\0';
    return line + strspn(line, SPACE);
}

static size_t count_lines(const char *text)
{
    size_t n = 1;
    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

static int by_hash(const void *a, const void *b)
{
    return memcmp(((const struct token_entry *)a)->hash, ((const struct token_entry *)b)->hash,
                  TOKEN_HASH);
}

static int no_hash_twice(struct reader *r, struct token_list *list)
{
    qsort(list->entries, list->count, sizeof *list->entries, by_hash);
    for (size_t i = 1; i < list->count; i++) {
        const struct token_entry *a = &list->entries[i - 1], *b = &list->entries[i];
        if (memcmp(a->hash, b->hash, TOKEN_HASH) != 0)
            continue;
        r->line = a->line > b->line ? a->line : b->line;
        return wrong(r, "the same token stands here a second time");
    }
    return BURROW_OK;
}

static int parse(struct reader *r, struct token_list *list)
{
    char *at = list->text.data, *line;
    if (strlen(at) != list->text.len) {
        snprintf(r->why, TOKEN_LIST_WHY, "\"%.200s\" is not a text file", r->path);
        return BURROW_EINVAL;
    }
    list->entries = (struct token_entry *)calloc(count_lines(at), sizeof *list->entries);
    if (list->entries == NULL) {
        snprintf(r->why, TOKEN_LIST_WHY, "out of memory");
        return BURROW_ENOMEM;
    }
    while ((line = next_line(&at)) != NULL) {
        r->line++;
        if (*line == '\0' || *line == '#')
            continue;
        int rc = read_line(r, line, &list->entries[list->count]);
        if (rc < 0)
            return rc;
        list->count++;
    }
    return no_hash_twice(r, list);
}

int token_list_read(const char *path, struct token_list *ret, char ret_why[TOKEN_LIST_WHY])
{
    struct token_list list = {.count = 0};
    struct reader r = {.path = path, .why = ret_why};
    snprintf(ret_why, TOKEN_LIST_WHY, "out of memory");
    int rc = file_read(path, TOKEN_LIST_MAX, true, &list.text, ret_why);
    if (rc < 0)
        return rc;
    rc = parse(&r, &list);
    if (rc < 0)
        token_list_free(&list);
    else
        *ret = list;
    return rc;
}

void token_list_free(struct token_list *list)
{
    free(list->entries);
    file_free(&list->text);
    list->entries = NULL;
    list->count = 0;
}

int token_list_find(const struct token_list *list, const char *token, size_t len,
                    const struct token_entry **ret)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    const struct token_entry *found = NULL;
    if (EVP_Digest(token, len, hash, NULL, EVP_sha256(), NULL) != 1)
        return BURROW_EIO;
    for (size_t i = 0; i < list->count; i++)
        if (CRYPTO_memcmp(hash, list->entries[i].hash, TOKEN_HASH) == 0)
            found = &list->entries[i];
    *ret = found;
    return BURROW_OK;
}
