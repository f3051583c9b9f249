/* SPDX-License-Identifier: Apache-2.0 */
/* Whether this process may have more memory, asked before it lets somebody in. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* True when n bytes more would be given: by the kernel, which knows of RLIMIT_AS and of strict
 * accounting (vm.overcommit_memory), or out of what was freed before. Takes nothing. A limit of
 * a control group is no answer: the kernel ends who comes to that. */
bool memory_has_room(size_t n);

#endif
