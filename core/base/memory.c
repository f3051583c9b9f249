/* SPDX-License-Identifier: Apache-2.0 */
/* Asks for memory and gives it back untouched, which costs two system calls and no page. */
#include "base/memory.h"

#include <sys/mman.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

static bool kernel_gives(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return false;
    munmap(p, n);
    return true;
}

/* What was freed, but lies below something that is in use. It comes in pieces, of which some are
 * too small to be of use. */
static size_t free_in_heap(void)
{
#ifdef __GLIBC__
    return mallinfo2().fordblks / 4 * 3;
#else
    return 0;
#endif
}

bool memory_has_room(size_t n)
{
    if (kernel_gives(n))
        return true;
    size_t here = free_in_heap(); /* counts every piece: only asked when it matters */
    return here >= n || (here > 0 && kernel_gives(n - here));
}
