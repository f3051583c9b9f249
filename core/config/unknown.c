/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that are no option of this command: whose they are, or what was meant. A flag must
 * be known; a variable or a key of the file may also be meant for another command, as
 * environment and file may be shared.
 */
#include "config/known.h"
#include "config/parse.h"
#include "config/text.h"

#include <stdio.h>
#include <string.h>

struct item *group_item(struct item *items, const struct config_group *group)
{
    char short_name[128];
    for (; group->plugin && items; items = items->next) {
        plugin_short_name(items->name, short_name, sizeof short_name);
        if (strcmp(short_name, group->plugin) == 0)
            return items;
    }
    return NULL;
}

/* The command that has the option, or NULL. */
static const char *other_command(const struct parse *parse, const char *name)
{
    const struct config_others *o = parse->others;
    for (size_t i = 0; i < o->n; i++)
        if (option_find(o->groups[i].options, name))
            return o->commands[i];
    return NULL;
}

static void offer_group(struct nearest *nearest, const struct config_group *group)
{
    for (const struct burrow_option *o = group->options; o && o->name; o++)
        if (!group->prefixed)
            nearest_offer(nearest, o->name);
}

/* The nearest name there is, or NULL. */
static const char *meant(const struct parse *parse, const char *name)
{
    struct nearest nearest;
    nearest_init(&nearest, name);
    for (size_t i = 0; i < parse->group_count; i++)
        offer_group(&nearest, &parse->groups[i]);
    nearest_offer(&nearest, "help");
    return nearest.name;
}

/* " (did you mean --x?)" or nothing. */
static const char *hint(const struct parse *parse, const char *name, const char *before, char *buf,
                        size_t size)
{
    const char *near = meant(parse, name);
    if (near)
        snprintf(buf, size, "; did you mean %s%s?", before, near);
    else
        snprintf(buf, size, "; --help shows all options");
    return buf;
}

int unknown_flag(struct parse *parse, const char *name, bool dashed, const char *value)
{
    char variable[FULL_NAME + 8], quoted[TEXT_QUOTED], text[256];
    const char *command = other_command(parse, name);
    uint32_t kinds = 0;
    const char *owner = known_owner(name, &kinds);

    if (dashed) {
        snprintf(text, sizeof text, "-%.60s", name);
        return error_set(parse->err, BURROW_EINVAL,
                         "%s: unknown option; options begin with two hyphens, as in --help",
                         option_quote(text, quoted, sizeof quoted));
    }
    if (command)
        return error_set(parse->err, BURROW_EINVAL,
                         "--%s (%s): is an option of `burrow %s`, not of this command", name,
                         option_variable(name, variable, sizeof variable), command);
    if (owner && value && known_is_inert(name, value)) {
        if (known_is_inert(name, KNOWN_ANY))
            config_warn(parse->config,
                        "--%s (%s) has no effect: it belongs to %s, which is not in use", name,
                        option_variable(name, variable, sizeof variable), owner);
        return 0;
    }
    if (owner)
        return error_set(parse->err, BURROW_EINVAL,
                         "--%s (%s): belongs to %s, which this command does not use as configured",
                         name, option_variable(name, variable, sizeof variable), owner);
    const char *dot = strchr(name, '.');
    if (dot)
        return error_set(parse->err, BURROW_EINVAL,
                         "--%.100s: unknown option: no plugin %.*s in use has it; expected "
                         "--NAME.option of a plugin named by --plugin",
                         name, (int)(dot - name > 60 ? 60 : dot - name), name);
    snprintf(text, sizeof text, "--%.60s", name);
    char said[160];
    option_quote(text, quoted, sizeof quoted);
    return error_set(parse->err, BURROW_EINVAL, "%s: unknown option%s",
                     text_is_utf8(text) && !strpbrk(quoted, "\\") ? text : quoted,
                     hint(parse, name, "--", said, sizeof said));
}

static int file_error(struct parse *parse, const struct entry *e, const char *what)
{
    char quoted[TEXT_QUOTED];
    return error_set(parse->err, BURROW_EINVAL, "%s:%u:%u: %s: %s", parse->config->file.path,
                     e->line, e->column, option_quote(e->key, quoted, sizeof quoted), what);
}

/* A secret in a file that everybody may write is a stranger's secret. */
static int check_file_mode(struct parse *parse, const struct entry *e,
                           const struct burrow_option *option)
{
    if (option->type != BURROW_OPT_SECRET || (parse->config->file.mode & S_IWOTH) == 0)
        return 0;
    return file_error(parse, e, "a secret in a file that others may write; expected `chmod o-w`");
}

static int check_top_key(struct parse *parse, const struct entry *e)
{
    char said[160], text[320];
    const struct burrow_option *option = parse_find(parse, e->key);
    uint32_t kinds = 0;
    if (strcmp(e->key, "plugins") == 0)
        return 0;
    if (strcmp(e->key, "config") == 0 || strcmp(e->key, "plugin") == 0 ||
        strcmp(e->key, "help") == 0)
        return file_error(parse, e,
                          *e->key == 'p' ? "unknown key; did you mean plugins?"
                                         : "is not allowed in the file itself");
    if (option)
        return check_file_mode(parse, e, option);
    if (other_command(parse, e->key))
        return 0;
    const char *owner = known_owner(e->key, &kinds);
    if (owner && (kinds & parse->others->kinds) == 0)
        return 0;
    const char *value = e->values && e->values->text ? e->values->text : "";
    if (owner && known_is_inert(e->key, value))
        return 0;
    if (owner) {
        snprintf(text, sizeof text, "belongs to %s, which is not in use", owner);
        return file_error(parse, e, text);
    }
    snprintf(text, sizeof text, "unknown key%s", hint(parse, e->key, "", said, sizeof said));
    return file_error(parse, e, text);
}

static int unknown_in_item(struct parse *parse, const struct config_group *group,
                           const struct entry *e)
{
    char quoted[TEXT_QUOTED], near[80] = "";
    struct nearest nearest;
    nearest_init(&nearest, e->key);
    for (const struct burrow_option *o = group->options; o && o->name; o++)
        nearest_offer(&nearest, o->name);
    if (nearest.name)
        snprintf(near, sizeof near, "; did you mean %s?", nearest.name);
    option_quote(e->key, quoted, sizeof quoted);
    if (e->line > 0)
        return error_set(parse->err, BURROW_EINVAL, "%s:%u:%u: %s has no option %s%s",
                         parse->config->file.path, e->line, e->column, group->plugin, quoted, near);
    return error_set(parse->err, BURROW_EINVAL,
                     "--plugin (BURROW_PLUGINS): %s has no option %s%s; `burrow plugins info %s` "
                     "shows them",
                     group->plugin, quoted, near, group->plugin);
}

static int check_items(struct parse *parse, struct item *items)
{
    for (size_t g = 0; g < parse->group_count; g++) {
        const struct item *item = group_item(items, &parse->groups[g]);
        for (const struct entry *e = item ? item->entries : NULL; e; e = e->next) {
            const struct burrow_option *option = option_find(parse->groups[g].options, e->key);
            int rc = !option       ? unknown_in_item(parse, &parse->groups[g], e)
                     : e->line > 0 ? check_file_mode(parse, e, option)
                                   : 0;
            if (rc != 0)
                return rc;
        }
    }
    return 0;
}

int check_file_keys(struct parse *parse)
{
    for (const struct entry *e = parse->config->file.entries; e; e = e->next)
        if (check_top_key(parse, e) != 0)
            return parse->err->code;
    return check_items(parse, parse->config->file.items);
}

int check_item_keys(struct parse *parse)
{
    return check_items(parse, parse->config->flag_items);
}

/* Whether any option that there is has this variable; and offers all names. */
static bool variable_known(const struct parse *parse, const char *variable, struct nearest *near,
                           char (*nearest_name)[FULL_NAME + 8])
{
    char name[FULL_NAME], v[FULL_NAME + 8];
    size_t total = parse->group_count + parse->others->n;
    for (size_t g = 0; g < total; g++) {
        bool own = g < parse->group_count;
        const struct config_group *group =
            own ? &parse->groups[g] : &parse->others->groups[g - parse->group_count];
        for (const struct burrow_option *o = group->options; o && o->name; o++) {
            option_variable(full_name(group, o, name, sizeof name), v, sizeof v);
            if (strcmp(v, variable) == 0)
                return true;
            unsigned before = near->distance;
            nearest_offer(near, v);
            if (near->distance < before)
                memcpy(*nearest_name, v, sizeof v);
        }
    }
    return false;
}

static void check_variable(struct parse *parse, const char *variable, const char *value)
{
    char near_name[FULL_NAME + 8] = "", v[FULL_NAME + 8], quoted[TEXT_QUOTED];
    struct nearest nearest;
    nearest_init(&nearest, variable);
    if (variable_known(parse, variable, &nearest, &near_name))
        return;
    const char *option;
    for (size_t i = 0; (option = known_option(i)) != NULL; i++) {
        uint32_t kinds = 0;
        const char *owner = known_owner(option, &kinds);
        option_variable(option, v, sizeof v);
        if (strcmp(v, variable) == 0) {
            if ((kinds & parse->others->kinds) != 0 && !known_is_inert(option, value))
                config_warn(parse->config,
                            "%s has no effect: it belongs to %s, which is not in use", variable,
                            owner);
            return;
        }
        unsigned before = nearest.distance;
        nearest_offer(&nearest, v);
        if (nearest.distance < before)
            memcpy(near_name, v, sizeof v);
    }
    option_quote(variable, quoted, sizeof quoted);
    if (near_name[0] != '\0')
        config_warn(parse->config, "the variable %s is not known; did you mean %s?", quoted,
                    near_name);
    else
        config_warn(parse->config, "the variable %s is not known", quoted);
}

void check_variables(struct parse *parse)
{
    char **envp = parse->config->sources.envp;
    for (; envp && *envp; envp++) {
        char variable[128];
        size_t n = strcspn(*envp, "=");
        if (strncmp(*envp, "BURROW_", 7) != 0 || n >= sizeof variable || (*envp)[n] != '=' ||
            (*envp)[n + 1] == '\0')
            continue;
        memcpy(variable, *envp, n);
        variable[n] = '\0';
        if (!environ_is_injected(variable))
            check_variable(parse, variable, *envp + n + 1);
    }
}
