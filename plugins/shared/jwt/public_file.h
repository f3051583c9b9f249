/* SPDX-License-Identifier: Apache-2.0 */
/* The public keys of --jwt-public-key-file, for the server and for `burrow token verify`. */
#ifndef JWT_PUBLIC_FILE_H
#define JWT_PUBLIC_FILE_H

#include "jwt/key.h"

/* Reads the file's keys, each of which must fit alg. On failure explains it by host->verror and
 * returns the code that it gave there. */
int jwt_public_file_load(const struct burrow_host *host, const char *path,
                         const struct jwt_alg *alg, struct jwt_keys *ret);

#endif
