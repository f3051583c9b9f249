/* SPDX-License-Identifier: Apache-2.0 */
/* Opening: the row "plugin files" of bad input. Each is refused by name with the reason. */
#include "plugin/plugin.h"

#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct folder {
    char path[64], file[96];
};

static int setup(void **state)
{
    struct folder *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(f->path, sizeof f->path, "/tmp/burrow-test-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    snprintf(f->file, sizeof f->file, "%s/auth-x.so", f->path);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct folder *f = *state;
    chmod(f->path, 0700);
    unlink(f->file);
    rmdir(f->path);
    free(f);
    return 0;
}

static void write_file(const struct folder *f, const void *p, size_t n)
{
    int fd = open(f->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), n);
    close(fd);
    assert_int_equal(chmod(f->file, 0644), 0);
}

/* A copy of a module in the test's own folder. */
static void copy_module(const struct folder *f, const char *name)
{
    char path[512], *buf = malloc(1 << 22);
    snprintf(path, sizeof path, "%s/%s.so", MODULES, name);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    assert_non_null(buf);
    size_t n = fread(buf, 1, 1 << 22, in);
    fclose(in);
    assert_true(n > 0 && n < 1 << 22);
    write_file(f, buf, n);
    free(buf);
}

/* dir/name is refused; the line names the file and has the text. */
static void refused(const char *dir, const char *name, const char *text)
{
    struct plugin *plugin = NULL;
    struct error err = {0};
    assert_int_equal(plugin_open(dir, name, &plugin, &err), BURROW_EINVAL);
    assert_null(plugin);
    if (!strstr(err.text, name) || !strstr(err.text, text))
        fail_msg("the error is: %s\nexpected in it: %s and %s", err.text, name, text);
}

static void a_good_plugin_opens_by_name_and_by_path(void **state)
{
    struct plugin *by_name = NULL, *by_path = NULL;
    struct error err = {0};
    (void)state;
    if (plugin_open(MODULES, "auth-good", &by_name, &err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(plugin_descriptor(by_name)->name, "auth-good");
    assert_string_equal(plugin_descriptor(by_name)->version, "1.2.3");
    assert_int_equal(plugin_open("/nowhere", plugin_path(by_name), &by_path, &err), 0);
    plugin_close(by_path);
    plugin_close(by_name);
}

static void a_missing_file_is_refused(void **state)
{
    (void)state;
    refused(MODULES, "auth-nobody", "no such file");
}

static void a_missing_bundled_plugin_names_its_package(void **state)
{
    (void)state;
    refused(MODULES, "auth-jwks", "package burrow-plugin-jwks");
}

static void a_name_that_leaves_the_folder_is_refused(void **state)
{
    struct plugin *plugin = NULL;
    struct error err = {0};
    (void)state;
    assert_int_equal(plugin_open(MODULES, "../auth-good", &plugin, &err), BURROW_EINVAL);
    assert_non_null(strstr(err.text, "no name of a plugin"));
}

static void a_text_file_is_refused(void **state)
{
    const struct folder *f = *state;
    write_file(f, "hello\n", 6);
    refused(f->path, "auth-x", "not an ELF file");
    write_file(f, "", 0);
    refused(f->path, "auth-x", "not an ELF file");
}

static void a_file_cut_short_is_refused(void **state)
{
    const struct folder *f = *state;
    write_file(f, ELFMAG "\2\1\1", 7);
    refused(f->path, "auth-x", "cut short");
    Elf64_Ehdr header;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, &header, sizeof header), sizeof header);
    close(fd);
    write_file(f, &header, sizeof header);
    refused(f->path, "auth-x", "auth-x.so: ");
}

static void a_module_cut_in_half_is_refused(void **state)
{
    const struct folder *f = *state;
    struct stat st;
    copy_module(f, "auth-good");
    assert_int_equal(stat(f->file, &st), 0);
    assert_int_equal(truncate(f->file, st.st_size / 2), 0);
    refused(f->path, "auth-x", "cut short");
    copy_module(f, "auth-good");
    assert_int_equal(truncate(f->file, st.st_size - 1), 0);
    refused(f->path, "auth-x", "cut short");
}

static void another_architecture_is_refused_by_name(void **state)
{
    const struct folder *f = *state;
    Elf64_Ehdr header;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, &header, sizeof header), sizeof header);
    close(fd);
    header.e_machine = header.e_machine == EM_S390 ? EM_RISCV : EM_S390;
    write_file(f, &header, sizeof header);
    refused(f->path, "auth-x", header.e_machine == EM_S390 ? "built for s390x" : "built for riscv");
}

static void a_directory_is_refused(void **state)
{
    const struct folder *f = *state;
    assert_int_equal(mkdir(f->file, 0755), 0);
    refused(f->path, "auth-x", "no regular file");
    rmdir(f->file);
}

static void a_fifo_is_refused_without_waiting(void **state)
{
    const struct folder *f = *state;
    assert_int_equal(mkfifo(f->file, 0644), 0);
    refused(f->path, "auth-x", "no regular file");
}

static void a_file_that_group_or_others_may_write_is_refused(void **state)
{
    const struct folder *f = *state;
    copy_module(f, "auth-good");
    assert_int_equal(chmod(f->file, 0664), 0);
    refused(f->path, "auth-x", "writable by its group");
    assert_int_equal(chmod(f->file, 0646), 0);
    refused(f->path, "auth-x", "writable by everybody");
}

static void a_folder_that_others_may_write_is_refused_unless_sticky(void **state)
{
    const struct folder *f = *state;
    copy_module(f, "auth-good");
    assert_int_equal(chmod(f->path, 0777), 0);
    refused(f->path, "auth-x", "folder is writable by everybody");
    assert_int_equal(chmod(f->path, 01777), 0);
    refused(f->path, "auth-x", "its name is auth-good");
}

static void an_object_without_descriptor_is_refused(void **state)
{
    (void)state;
    refused(MODULES, "auth-no-descriptor", "does not export burrow_plugin_v0");
}

static void another_abi_is_refused_by_its_version(void **state)
{
    (void)state;
    refused(MODULES, "auth-abi", "built for plugin ABI v7; this burrow has v0");
}

static void wrong_sizes_and_numbers_are_refused(void **state)
{
    (void)state;
    refused(MODULES, "auth-magic-1", "magic");
    refused(MODULES, "auth-size-16", "size of 16 bytes");
    refused(MODULES, "auth-size-1000000", "size of 1000000 bytes");
    refused(MODULES, "auth-ops-size", "size of 3 bytes");
    refused(MODULES, "auth-kind-77", "kind 77");
    refused(MODULES, "auth-kind-abi-9", "auth ABI 9");
    refused(MODULES, "auth-config-size-70000", "70000 bytes");
}

static void missing_callbacks_are_refused_by_name(void **state)
{
    (void)state;
    refused(MODULES, "auth-no-destroy", "no destroy");
    refused(MODULES, "auth-no-verify", "no verify");
    refused(MODULES, "auth-ops-old", "no verify");
}

static void a_wrong_option_table_is_refused(void **state)
{
    (void)state;
    refused(MODULES, "auth-offset", "option number: its field lies outside");
    refused(MODULES, "auth-host-flag", "option number: its flags");
    refused(MODULES, "auth-default", "option number: its default");
}

static void a_name_that_is_not_the_files_is_refused(void **state)
{
    (void)state;
    refused(MODULES, "auth-misnamed", "its name is auth-good");
}

static void a_name_that_is_not_of_its_kind_is_refused(void **state)
{
    (void)state;
    refused(MODULES, "transport-liar", "expected auth-NAME");
}

static void an_unresolved_symbol_is_refused_by_name(void **state)
{
    (void)state;
    refused(MODULES, "auth-unresolved", "nobody_has_this_function");
}

static void the_same_file_by_two_paths_is_refused(void **state)
{
    const struct folder *f = *state;
    struct plugin *plugins[2] = {NULL, NULL};
    struct error err = {0};
    char path[512], link_path[128];
    snprintf(path, sizeof path, "%s/auth-good.so", f->path);
    snprintf(link_path, sizeof link_path, "%s/auth-hard.so", f->path);
    copy_module(f, "auth-good");
    assert_int_equal(rename(f->file, path), 0);
    assert_int_equal(link(path, link_path), 0);
    int first = plugin_open(f->path, "auth-good", &plugins[0], &err);
    int second = plugin_open(f->path, link_path, &plugins[1], &err);
    unlink(path);
    unlink(link_path);
    assert_int_equal(first, 0);
    assert_int_equal(second, 0);
    assert_int_equal(plugin_check_distinct(plugins, 1, &err), 0);
    assert_int_equal(plugin_check_distinct(plugins, 2, &err), BURROW_EINVAL);
    assert_non_null(strstr(err.text, "auth-hard.so: is the same file as"));
    plugin_close(plugins[0]);
    plugin_close(plugins[1]);
}

static void two_files_of_one_name_are_refused(void **state)
{
    struct plugin *plugins[2] = {NULL, NULL};
    struct error err = {0};
    (void)state;
    assert_int_equal(plugin_open(MODULES, "auth-good", &plugins[0], &err), 0);
    assert_int_equal(plugin_open(MODULES, MODULES "/auth-misnamed.so", &plugins[1], &err), 0);
    assert_int_equal(plugin_check_distinct(plugins, 2, &err), BURROW_EINVAL);
    assert_non_null(strstr(err.text, "auth-misnamed.so: is called auth-good like"));
    plugin_close(plugins[1]);
    assert_int_equal(plugin_open(MODULES, "auth-other", &plugins[1], &err), 0);
    assert_int_equal(plugin_check_distinct(plugins, 2, &err), 0);
    plugin_close(plugins[0]);
    plugin_close(plugins[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_good_plugin_opens_by_name_and_by_path),
        TEST(a_missing_file_is_refused),
        TEST(a_missing_bundled_plugin_names_its_package),
        TEST(a_name_that_leaves_the_folder_is_refused),
        TEST(a_text_file_is_refused),
        TEST(a_file_cut_short_is_refused),
        TEST(a_module_cut_in_half_is_refused),
        TEST(another_architecture_is_refused_by_name),
        TEST(a_directory_is_refused),
        TEST(a_fifo_is_refused_without_waiting),
        TEST(a_file_that_group_or_others_may_write_is_refused),
        TEST(a_folder_that_others_may_write_is_refused_unless_sticky),
        TEST(an_object_without_descriptor_is_refused),
        TEST(another_abi_is_refused_by_its_version),
        TEST(wrong_sizes_and_numbers_are_refused),
        TEST(missing_callbacks_are_refused_by_name),
        TEST(a_wrong_option_table_is_refused),
        TEST(a_name_that_is_not_the_files_is_refused),
        TEST(a_name_that_is_not_of_its_kind_is_refused),
        TEST(an_unresolved_symbol_is_refused_by_name),
        TEST(the_same_file_by_two_paths_is_refused),
        TEST(two_files_of_one_name_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
