/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a Kubernetes API is and how one shows who one is: from the files that every pod has, or
 * from kubeconfig files. Nothing is run and nobody asked: login.h does that, when it is needed.
 */
#ifndef KUBERNETES_CONFIG_H
#define KUBERNETES_CONFIG_H

#include "file.h"

#define KUBE_WHY 320u
#define KUBE_MAX_CONFIG (1024u * 1024u)
#define KUBE_EXEC_MS 60000

struct kube_exec;
struct kube_credential;

/* All of it malloc'ed; zeroed is empty. */
struct kube_config {
    char *server;       /* https://HOST:PORT[/PATH], without a slash at the end */
    char *name_space;   /* of the context or of the pod; "default" when neither says */
    char *context;      /* its name; "" in a pod */
    char *token;        /* or NULL */
    char *token_file;   /* goes before token, read again for each request; or NULL */
    char *connect_host; /* where to dial when tls-server-name gives the URL another host; or NULL */
    struct file_bytes ca, cert, key; /* PEM; data NULL: none */
    struct kube_exec *exec;          /* a program that says token or cert and key; or NULL */
    bool skip_verify;                /* insecure-skip-tls-verify */
};

/* What a pod finds in /var/run/secrets/kubernetes.io/serviceaccount (`folder`: another, for tests)
 * and in KUBERNETES_SERVICE_HOST and _PORT. 0 or BURROW_EINVAL, with why. */
int kube_config_in_cluster(const char *folder, struct kube_config *ret, char why[KUBE_WHY]);
/* There is a service account's token and an address of the API. */
bool kube_config_is_in_cluster(const char *folder);

struct kube_config_choice {
    const char *path;    /* files, separated by colons; NULL: KUBECONFIG, else ~/.kube/config */
    const char *context; /* NULL: current-context */
    bool allow_exec;     /* a user's `exec` program may be run, by the client when it needs it */
};

/* BURROW_EINVAL: why names the file and what is wrong with which entry. */
int kube_config_load(const struct kube_config_choice *choice, struct kube_config *ret,
                     char why[KUBE_WHY]);

/* What the program has said, a token, a certificate with its key or both, takes the place of what
 * was there; taken out of *credential. */
void kube_config_take(struct kube_config *config, struct kube_credential *credential);

void kube_config_finish(struct kube_config *config); /* wipes secrets */

#endif
