/* SPDX-License-Identifier: Apache-2.0 */
/* What config.c and exec.c share. */
#ifndef KUBERNETES_INTERNAL_H
#define KUBERNETES_INTERNAL_H

#include "kubernetes/config.h"

#include <burrow/plugin.h>
#include <jansson.h>

/* Fills why and returns BURROW_EINVAL. */
__attribute__((format(printf, 2, 3))) int kube_refuse(char why[KUBE_WHY], const char *fmt, ...);

/* The string member of an object, NULL when there is none or it is empty. */
const char *kube_string(const json_t *object, const char *name);
/* malloc'ed copy; NULL stays NULL. */
char *kube_copy(const char *text);

#endif
