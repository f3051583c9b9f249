/* SPDX-License-Identifier: Apache-2.0 */
/* Between YAML (libyaml) and JSON (jansson); see yaml.h. */
#include "kubernetes/yaml.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

struct reading {
    yaml_document_t *document;
    size_t nodes;
    char *why;
};

static json_t *refuse(struct reading *r, const yaml_node_t *node, const char *what)
{
    snprintf(r->why, YAML_WHY, "line %zu, column %zu: %s", node->start_mark.line + 1,
             node->start_mark.column + 1, what);
    return NULL;
}

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

/* The core schema of YAML 1.2 and what Kubernetes' own reader takes. */
static json_t *plain_scalar(const char *text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    if (is_one_of(text, nulls))
        return json_null();
    if (is_one_of(text, trues))
        return json_true();
    if (is_one_of(text, falses))
        return json_false();
    if (strspn(text, "+-.0123456789eE") != strlen(text) ||
        text[strcspn(text, "0123456789")] == '\0')
        return json_string(text);
    char *end;
    errno = 0;
    long long whole = strtoll(text, &end, 10);
    if (*end == '\0' && errno == 0)
        return json_integer(whole);
    double real = strtod(text, &end);
    return *end == '\0' ? json_real(real) : json_string(text);
}

static json_t *scalar(struct reading *r, const yaml_node_t *node)
{
    const char *text = (const char *)node->data.scalar.value;
    if (strlen(text) != node->data.scalar.length)
        return refuse(r, node, "a NUL byte");
    json_t *value =
        node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? plain_scalar(text) : json_string(text);
    return value != NULL ? value : refuse(r, node, "not UTF-8");
}

static json_t *convert(struct reading *r, int index, unsigned depth);

static json_t *sequence(struct reading *r, const yaml_node_t *node, unsigned depth)
{
    json_t *array = json_array();
    for (yaml_node_item_t *i = node->data.sequence.items.start;
         array != NULL && i < node->data.sequence.items.top; i++) {
        json_t *item = convert(r, *i, depth + 1);
        if (item == NULL || json_array_append_new(array, item) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *mapping(struct reading *r, const yaml_node_t *node, unsigned depth)
{
    json_t *object = json_object();
    for (yaml_node_pair_t *p = node->data.mapping.pairs.start;
         object != NULL && p < node->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = yaml_document_get_node(r->document, p->key);
        json_t *value = NULL;
        if (key->type != YAML_SCALAR_NODE)
            refuse(r, key, "a key that is no text");
        else if (json_object_get(object, (const char *)key->data.scalar.value) != NULL)
            refuse(r, key, "a key twice");
        else
            value = convert(r, p->value, depth + 1);
        if (value == NULL ||
            json_object_set_new(object, (const char *)key->data.scalar.value, value) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *convert(struct reading *r, int index, unsigned depth)
{
    const yaml_node_t *node = yaml_document_get_node(r->document, index);
    if (depth > YAML_MAX_DEPTH)
        return refuse(r, node, "too deep");
    if (++r->nodes > YAML_MAX_NODES)
        return refuse(r, node, "too much");
    switch (node->type) {
    case YAML_SCALAR_NODE:
        return scalar(r, node);
    case YAML_SEQUENCE_NODE:
        return sequence(r, node, depth);
    default:
        return mapping(r, node, depth);
    }
}

json_t *yaml_to_json(const char *text, size_t len, char why[YAML_WHY])
{
    yaml_parser_t parser;
    yaml_document_t document;
    json_t *json = NULL;
    snprintf(why, YAML_WHY, "out of memory");
    if (!yaml_parser_initialize(&parser))
        return NULL;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    if (!yaml_parser_load(&parser, &document)) {
        snprintf(why, YAML_WHY, "line %zu, column %zu: %s", parser.problem_mark.line + 1,
                 parser.problem_mark.column + 1,
                 parser.problem != NULL ? parser.problem : "no YAML");
    } else {
        struct reading r = {.document = &document, .why = why};
        if (yaml_document_get_root_node(&document) == NULL)
            snprintf(why, YAML_WHY, "it is empty");
        else
            json = convert(&r, 1, 0);
        yaml_document_delete(&document);
    }
    yaml_parser_delete(&parser);
    return json;
}

/* ---- writing ---- */

struct text {
    char *data;
    size_t len, room;
};

static int append(void *arg, unsigned char *bytes, size_t n)
{
    struct text *t = arg;
    if (n >= t->room - t->len) {
        size_t room = (t->room + n) * 2;
        char *data = realloc(t->data, room);
        if (data == NULL)
            return 0;
        t->data = data;
        t->room = room;
    }
    memcpy(t->data + t->len, bytes, n);
    t->len += n;
    t->data[t->len] = '\0';
    return 1;
}

/* A string that a reader would take for something else is quoted: also what YAML 1.1 does, which
 * kubectl reads (yes, off, 1_000, 12:30, dates …). */
static yaml_scalar_style_t style_of(const char *text)
{
    static const char *const words[] = {"y",   "n",    "yes",   "no",   "on",
                                        "off", "true", "false", "null", NULL};
    char first = *text;
    bool plain = (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z') || first == '/';
    for (const char *const *word = words; *word != NULL; word++)
        plain = plain && strcasecmp(text, *word) != 0;
    if (strchr(text, '\n') != NULL)
        return YAML_LITERAL_SCALAR_STYLE;
    return plain ? YAML_ANY_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE;
}

static bool emit_scalar(yaml_emitter_t *emitter, const char *text, yaml_scalar_style_t style)
{
    yaml_event_t event;
    return text != NULL &&
           yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text,
                                        (int)strlen(text), 1, 1, style) &&
           yaml_emitter_emit(emitter, &event);
}

static bool emit(yaml_emitter_t *emitter, const json_t *json)
{
    yaml_event_t event;
    if (json_is_string(json))
        return emit_scalar(emitter, json_string_value(json), style_of(json_string_value(json)));
    if (json_is_array(json)) {
        bool ok = yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
                                                       YAML_BLOCK_SEQUENCE_STYLE) &&
                  yaml_emitter_emit(emitter, &event);
        for (size_t i = 0; ok && i < json_array_size(json); i++)
            ok = emit(emitter, json_array_get(json, i));
        return ok && yaml_sequence_end_event_initialize(&event) &&
               yaml_emitter_emit(emitter, &event);
    }
    if (json_is_object(json)) {
        const char *key;
        json_t *value;
        bool ok =
            yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE) &&
            yaml_emitter_emit(emitter, &event);
        json_t *walked = json_incref((json_t *)(uintptr_t)json);
        json_object_foreach(walked, key, value) ok =
            ok && emit_scalar(emitter, key, style_of(key)) && emit(emitter, value);
        json_decref(walked);
        return ok && yaml_mapping_end_event_initialize(&event) &&
               yaml_emitter_emit(emitter, &event);
    }
    char *text = json_dumps(json, JSON_ENCODE_ANY);
    bool ok = emit_scalar(emitter, text, YAML_PLAIN_SCALAR_STYLE);
    free(text);
    return ok;
}

char *yaml_from_json(const json_t *json)
{
    yaml_emitter_t emitter;
    yaml_event_t event;
    struct text text = {.data = calloc(1, 4096), .room = 4096};
    if (text.data == NULL || !yaml_emitter_initialize(&emitter)) {
        free(text.data);
        return NULL;
    }
    yaml_emitter_set_output(&emitter, append, &text);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1);
    bool ok = yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) &&
              yaml_emitter_emit(&emitter, &event) &&
              yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 0) &&
              yaml_emitter_emit(&emitter, &event) && emit(&emitter, json) &&
              yaml_document_end_event_initialize(&event, 1) &&
              yaml_emitter_emit(&emitter, &event) && yaml_stream_end_event_initialize(&event) &&
              yaml_emitter_emit(&emitter, &event);
    yaml_emitter_delete(&emitter);
    if (ok)
        return text.data;
    free(text.data);
    return NULL;
}
