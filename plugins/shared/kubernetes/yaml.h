/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML as the JSON it stands for, in the way of Kubernetes: plain scalars are null, booleans and
 * numbers where they look so, quoted ones are strings. And back, for people to read.
 */
#ifndef KUBERNETES_YAML_H
#define KUBERNETES_YAML_H

#include <jansson.h>
#include <stddef.h>

#define YAML_WHY 160u
#define YAML_MAX_DEPTH 32u
#define YAML_MAX_NODES 100000u /* after aliases have been followed */

/* The first document of the text. NULL: it is no YAML, or deeper or larger than the limits, or
 * memory ran out; why says it with line and column. */
json_t *yaml_to_json(const char *text, size_t len, char why[YAML_WHY]);

/* One document, beginning with "---"; malloc'ed, NUL-terminated. NULL: out of memory. */
char *yaml_from_json(const json_t *json);

#endif
