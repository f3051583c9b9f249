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

/* n entries of `size` bytes from `offset` on lie within the file. */
static bool within(uint64_t offset, uint64_t n, uint64_t size, uint64_t file_size)
{
    uint64_t bytes, end;
    return !__builtin_mul_overflow(n, size, &bytes) &&
           !__builtin_add_overflow(offset, bytes, &end) && end <= file_size;
}

/* All that the linker would map is there: a page beyond the end of a file that was cut short
 * is a SIGBUS later. The section headers, which nobody needs, stand last in most files. */
static bool is_whole(int fd, const ElfW(Ehdr) * header, uint64_t file_size)
{
    if (header->e_phentsize != sizeof(ElfW(Phdr)) ||
        !within(header->e_phoff, header->e_phnum, sizeof(ElfW(Phdr)), file_size) ||
        !within(header->e_shoff, header->e_shnum, header->e_shentsize, file_size))
        return false;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        ElfW(Phdr) segment;
        off_t at = (off_t)(header->e_phoff + i * sizeof segment);
        if (pread(fd, &segment, sizeof segment, at) != (ssize_t)sizeof segment ||
            (segment.p_type == PT_LOAD &&
             !within(segment.p_offset, segment.p_filesz, 1, file_size)))
            return false;
    }
    return true;
}

int elf_check(int fd, uint64_t file_size, struct error *err)
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
    ElfW(Ehdr) whole;
    if (pread(fd, &whole, sizeof whole, 0) != (ssize_t)sizeof whole ||
        !is_whole(fd, &whole, file_size))
        return error_set(err, BURROW_EINVAL, "is no whole shared object (the file is cut short)");
    return 0;
}
