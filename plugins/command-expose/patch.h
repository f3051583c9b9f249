/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strategic merge patches, as the Kubernetes API applies them to the objects that expose makes.
 *
 * Objects are merged member by member; null deletes one. Lists of objects that Kubernetes
 * merges (containers by name, ports by their number …) are merged by that key, all others are
 * replaced. Understood are the directives $patch (replace, merge, delete), $retainKeys and
 * $deleteFromPrimitiveList/…; $setElementOrder/… is refused, because it has no meaning in a patch
 * that a person writes.
 */
#ifndef COMMAND_EXPOSE_PATCH_H
#define COMMAND_EXPOSE_PATCH_H

#include <jansson.h>
#include <stdbool.h>

#define PATCH_WHY 200u

/* A new object. `service`: it is a Service, whose ports are merged by `port` and not by
 * `containerPort`. NULL: why says what is wrong with the patch. */
json_t *patch_apply(const json_t *object, const json_t *patch, bool service, char why[PATCH_WHY]);

#endif
