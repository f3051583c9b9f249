/* SPDX-License-Identifier: Apache-2.0 */
/* Inside config/: the second pass, shared by parse.c (values) and unknown.c (names). */
#ifndef CONFIG_PARSE_H
#define CONFIG_PARSE_H

#include "config/sources.h"

/* A flag with its value, after the options are known. */
struct found {
    const char *name;
    char *value; /* of argv; "true" stands for a bool without value: then NULL */
};

struct parse {
    struct config *config;
    const struct config_group *groups;
    size_t group_count;
    const struct config_others *others;
    struct error *err;
    struct found *flags;
    size_t flag_count;
};

#define FULL_NAME 192

/* "NAME.option" for a third party's, else "option". Returns buf. */
const char *full_name(const struct config_group *group, const struct burrow_option *option,
                      char *buf, size_t size);
/* The first option of that full name in any group, or NULL. */
const struct burrow_option *parse_find(const struct parse *parse, const char *name);

/* The flag is in no group: an error that says why, or 0 when it may be passed over (then a
 * warning is kept). value may be NULL. */
int unknown_flag(struct parse *parse, const char *name, bool dashed, const char *value);
/* Keys of the file, at top level and in the items of plugins in use. */
int check_file_keys(struct parse *parse);
/* Options behind --plugin NAME. */
int check_item_keys(struct parse *parse);
/* Warns of variables that look misspelt or have no effect. */
void check_variables(struct parse *parse);

/* The item of the list that belongs to the group's plugin, or NULL. */
struct item *group_item(struct item *items, const struct config_group *group);

#endif
