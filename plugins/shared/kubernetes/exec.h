/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials from a program: the `exec` entry of a kubeconfig (client.authentication.k8s.io).
 * exec.c knows what is to be run and what its answer means, program.c runs it on the host's loop,
 * login.c when it has to.
 */
#ifndef KUBERNETES_EXEC_H
#define KUBERNETES_EXEC_H

#include "kubernetes/config.h"

#include <jansson.h>

/* What is to be run. */
struct kube_exec {
    char *program; /* a path, or a name that is looked for in PATH */
    json_t *args;  /* texts, or NULL */
    json_t *own;   /* variables: a text for each name, KUBERNETES_EXEC_INFO among them */
};

/* All of it malloc'ed; zeroed is empty. */
struct kube_credential {
    char *token; /* or NULL */
    struct file_bytes cert, key;
    int64_t expires; /* Unix seconds; 0: it does not say */
};

/* `folder`: of the kubeconfig; `cluster`: its entry, with the authority as it was read, for
 * provideClusterInfo. Nothing is run. BURROW_EINVAL with why, or BURROW_ENOMEM. */
int kube_exec_parse(const json_t *entry, const char *folder, const json_t *cluster,
                    const struct file_bytes *ca, struct kube_exec **ret, char why[KUBE_WHY]);
void kube_exec_free(struct kube_exec *exec); /* NULL is allowed */

/* For execve: argv (whose strings stay the entry's) and this process's environment with the
 * entry's variables. One block each, for free. NULL: out of memory. */
char **kube_exec_argv(const struct kube_exec *exec);
char **kube_exec_environment(const struct kube_exec *exec);

/* What the program has printed. BURROW_EPROTO with why, or BURROW_ENOMEM. */
int kube_credential_parse(const char *text, size_t len, struct kube_credential *ret,
                          char why[KUBE_WHY]);
void kube_credential_finish(struct kube_credential *credential); /* wipes secrets */

/* ---- program.c ---- */

struct kube_run;

/* The end of a run, exactly once and never from inside kube_run_begin; what is in the credential
 * may be taken out. Else why is one line for the log. */
typedef void kube_run_fn(void *arg, int result, struct kube_credential *credential,
                         const char *why);

/* Starts the program; it has KUBE_EXEC_MS. BURROW_EIO with why, or BURROW_ENOMEM. */
int kube_run_begin(const struct burrow_host *host, const struct kube_exec *exec, kube_run_fn *done,
                   void *arg, struct kube_run **ret, char why[KUBE_WHY]);
/* Ends the program; done is not called any more. NULL is allowed. */
void kube_run_cancel(struct kube_run *run);

#endif
