/* SPDX-License-Identifier: Apache-2.0 */
/* Takes a command line and an environment apart, without knowing any option. */
#include "config/sources.h"

#include <string.h>

enum flag_kind flag_next(struct flag_reader *reader, struct flag *ret)
{
    const struct config_sources *s = reader->sources;
    if (!reader->words_only && reader->at < s->argc && strcmp(s->argv[reader->at], "--") == 0) {
        reader->words_only = true;
        reader->at++;
    }
    *ret = (struct flag){.kind = FLAG_END};
    if (reader->at >= s->argc)
        return FLAG_END;

    char *word = s->argv[reader->at++];
    /* "-" and "-1" are words: a file name and a number. */
    bool dashed = word[0] == '-' && word[1] != '\0' && !(word[1] >= '0' && word[1] <= '9');
    if (reader->words_only || !dashed) {
        ret->kind = FLAG_WORD;
        ret->value = word;
        return FLAG_WORD;
    }
    ret->kind = FLAG_OPTION;
    ret->dashed = word[1] != '-';
    ret->name = word + (ret->dashed ? 1 : 2);
    ret->name_len = strcspn(ret->name, "=");
    if (ret->name[ret->name_len] == '=')
        ret->value = word + (ret->name - word) + ret->name_len + 1;
    return FLAG_OPTION;
}

char *flag_value(struct flag_reader *reader, const struct flag *flag)
{
    const struct config_sources *s = reader->sources;
    if (flag->value)
        return flag->value;
    if (reader->at >= s->argc || strncmp(s->argv[reader->at], "--", 2) == 0)
        return NULL;
    return s->argv[reader->at++];
}

bool flag_is(const struct flag *flag, const char *name)
{
    return flag->kind == FLAG_OPTION && !flag->dashed && strlen(name) == flag->name_len &&
           memcmp(flag->name, name, flag->name_len) == 0;
}

char *environ_find(char **envp, const char *variable)
{
    size_t n = strlen(variable);
    for (; envp && *envp; envp++)
        if (strncmp(*envp, variable, n) == 0 && (*envp)[n] == '=')
            return *envp + n + 1;
    return NULL;
}

bool environ_is_injected(const char *variable)
{
    size_t n = strlen(variable);
    return strstr(variable, "_SERVICE_") || strstr(variable, "_PORT_") ||
           (n > 5 && strcmp(variable + n - 5, "_PORT") == 0);
}
