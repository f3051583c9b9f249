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

/* Runs the program that an `exec` entry of a kubeconfig names, waits for it, and takes token or
 * client certificate from the ExecCredential that it prints. `folder`: of the kubeconfig. */
int kube_exec(const json_t *exec, const char *folder, struct kube_config *config,
              char why[KUBE_WHY]);

#endif
