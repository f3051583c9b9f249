/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks at a file's ELF header before the dynamic linker does, which would run the
 * constructors of anything that it can load and explains refusals in its own words.
 */
#include "plugin/internal.h"

#include <elf.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

/* The running program's own header: the linker provides the symbol. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

static const char *machine_name(unsigned machine)
{
    static const struct {
        unsigned machine;
        const char *name;
    } names[] = {{EM_X86_64, "x86-64"}, {EM_AARCH64, "arm64"},  {EM_386, "i386"},
                 {EM_ARM, "arm"},       {EM_RISCV, "riscv"},    {EM_PPC64, "ppc64"},
                 {EM_S390, "s390x"},    {EM_LOONGARCH, "loong"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].machine == machine)
            return names[i].name;
    return "another machine";
}

int elf_check(int fd, struct error *err)
{
    /* The fields up to e_machine lie at the same place in 32 and 64 bit headers. */
    Elf64_Ehdr header;
    const ElfW(Ehdr) *own = &__ehdr_start;
    ssize_t n = pread(fd, &header, sizeof header, 0);
    if (n < (ssize_t)SELFMAG || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
        return error_set(err, BURROW_EINVAL, "is no shared object (not an ELF file)");
    if (n < (ssize_t)sizeof header)
        return error_set(err, BURROW_EINVAL, "is no whole shared object (the file is cut short)");
    if (header.e_ident[EI_DATA] != own->e_ident[EI_DATA] ||
        header.e_ident[EI_CLASS] != own->e_ident[EI_CLASS] || header.e_machine != own->e_machine)
        return error_set(err, BURROW_EINVAL, "is built for %s (%s); this burrow runs on %s",
                         header.e_ident[EI_DATA] == own->e_ident[EI_DATA]
                             ? machine_name(header.e_machine)
                             : "the other byte order",
                         header.e_ident[EI_CLASS] == ELFCLASS64 ? "64 bit" : "32 bit",
                         machine_name(own->e_machine));
    if (header.e_type != ET_DYN)
        return error_set(err, BURROW_EINVAL, "is no shared object (another type of ELF file)");
    return 0;
}
