# SPDX-License-Identifier: Apache-2.0
"""The rules tried on samples: each must find its breach, and nothing where all is well."""

import shutil
import sys
import tempfile
import unittest
from pathlib import Path

import headers
import layout
import rows
import sources

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "packaging"))
import version  # noqa: E402

HEAD = "/* SPDX-License-Identifier: Apache-2.0 */\n/* A sample with its one job. */\n"

# A small project in which every rule is kept.
GOOD = {
    "include/burrow/plugin.h": HEAD + "#include <stdint.h>\n",
    "include/burrow/auth.h": HEAD + "#include <burrow/plugin.h>\n",
    "core/base/error.h": HEAD + "#include <burrow/plugin.h>\n",
    "core/wire/frame.h": HEAD + '#include "base/error.h"\n',
    "core/wire/control.c": HEAD + '#include "wire/frame.h"\n#include <jansson.h>\n',
    "core/loop/loop.h": HEAD + '#include "base/error.h"\n',
    "core/loop/loop.c": HEAD + '#include "loop/loop.h"\n#include <ev.h>\n',
    "core/plugin/plugin.h": HEAD + '#include "loop/loop.h"\n',
    "core/tunnel/session.h": HEAD + '#include "plugin/plugin.h"\n#include "wire/frame.h"\n',
    "core/server/server.h": HEAD + '#include "tunnel/session.h"\n',
    "core/client/client.h": HEAD + '#include "tunnel/session.h"\n',
    "core/cli/cli.c": HEAD + '#include "client/client.h"\n#include "server/server.h"\n',
    "core/main.c": HEAD + '#include "server/server.h"\n',
    "plugins/shared/pipe.h": HEAD + "#include <openssl/ssl.h>\n",
    "plugins/transport-ws/framing.h": HEAD + "#include <stddef.h>\n",
    "plugins/transport-ws/ws.c": HEAD
    + '#include "framing.h"\n#include "pipe.h"\n#include <burrow/plugin.h>\n#include <ev.h>\n',
    "plugins/auth-hmac/hmac.h": HEAD,
    "tests/unit/test.c": HEAD + "#include <jansson.h>\n",
}


class Samples(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)

    def write(self, files):
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


class Versions(Samples):
    def test_a_text_that_tells_another_version_is_found(self):
        texts = {name: (version.TOP / name).read_text(encoding="utf-8") for name, _ in [version.SOURCE, *version.COPIES]}
        self.write(texts)
        self.assertEqual(version.check(self.root), [])
        for name, _ in version.COPIES:
            self.write({name: texts[name].replace(version.version(), "9.9.9", 1)})
            self.assertTrue(version.check(self.root)[0].startswith(f"{name}: tells "))
            self.write({name: texts[name]})


class SourceRules(Samples):
    def setUp(self):
        super().setUp()
        self.write(GOOD)

    def assert_found(self, name, added, words):
        """Adding these lines to the file is a breach there, and the only one."""
        self.write({name: GOOD.get(name, HEAD) + added})
        breaches = sources.check(self.root)
        self.assertEqual([str(b[0]) for b in breaches], [name], breaches)
        self.assertIn(words, breaches[0][2])

    def test_good_project_has_no_breach(self):
        self.assertEqual(sources.check(self.root), [])

    def test_includes_that_point_up_are_found(self):
        for name, up in (
            ("core/base/error.h", "wire/frame.h"),
            ("core/base/error.h", "loop/loop.h"),
            ("core/wire/frame.h", "loop/loop.h"),
            ("core/loop/loop.h", "wire/frame.h"),
            ("core/plugin/plugin.h", "tunnel/session.h"),
            ("core/tunnel/session.h", "server/server.h"),
            ("core/auth/chain.c", "tunnel/session.h"),
            ("core/server/server.h", "client/client.h"),
            ("core/client/client.h", "server/server.h"),
        ):
            with self.subTest(name=name, up=up):
                self.assert_found(name, f'#include "{up}"\n', "is not below")
                self.write({name: GOOD.get(name, HEAD)})

    def test_core_headers_in_angle_brackets_are_found(self):
        self.assert_found("core/cli/cli.c", "#include <base/error.h>\n", "with quotes")

    def test_core_headers_without_their_part_are_found(self):
        self.assert_found("core/wire/control.c", '#include "frame.h"\n', "part/file.h")

    def test_climbing_includes_in_the_core_are_found(self):
        self.assert_found("core/wire/control.c", '#include "../base/error.h"\n', "climbs")

    def test_core_headers_that_do_not_exist_are_found(self):
        self.assert_found("core/wire/control.c", '#include "base/none.h"\n', "there is no")

    def test_plugin_headers_in_the_core_are_found(self):
        self.assert_found("core/cli/cli.c", '#include "pipe.h"\n', "not of the core")

    def test_foreign_libraries_in_the_core_are_found(self):
        for header in ("openssl/ssl.h", "curl/curl.h", "libwebsockets.h", "jose/jws.h"):
            with self.subTest(header=header):
                self.assert_found("core/tunnel/session.h", f"#include <{header}>\n", header)

    def test_indented_includes_are_seen(self):
        self.assert_found("core/cli/cli.c", "#  include <openssl/ssl.h>\n", "openssl")

    def test_libev_elsewhere_is_found(self):
        for name in ("core/loop/loop.h", "core/tunnel/session.h", "plugins/auth-hmac/hmac.h"):
            with self.subTest(name=name):
                self.assert_found(name, "#include <ev.h>\n", "ev.h")
                self.write({name: GOOD[name]})

    def test_json_and_yaml_elsewhere_are_found(self):
        self.assert_found("core/tunnel/session.h", "#include <jansson.h>\n", "jansson.h")
        self.write({"core/tunnel/session.h": GOOD["core/tunnel/session.h"]})
        self.assert_found("core/server/server.h", "#include <yaml.h>\n", "yaml.h")

    def test_dlopen_elsewhere_is_found(self):
        self.assert_found("core/cli/cli.c", "#include <dlfcn.h>\n", "dlfcn.h")

    def test_io_in_the_codecs_is_found(self):
        self.assert_found("core/wire/frame.h", "#include <sys/socket.h>\n", "no I/O")

    def test_core_headers_in_a_plugin_are_found(self):
        for line in ('#include "base/error.h"\n', "#include <base/error.h>\n"):
            with self.subTest(line=line):
                self.assert_found("plugins/auth-hmac/hmac.h", line, "the core's")

    def test_headers_of_another_plugin_are_found(self):
        self.assert_found(
            "plugins/auth-hmac/hmac.h", '#include "../transport-ws/framing.h"\n', "outside"
        )

    def test_private_headers_in_the_sdk_are_found(self):
        self.assert_found("include/burrow/auth.h", '#include "base/error.h"\n', "<burrow/...>")
        self.write({"include/burrow/auth.h": GOOD["include/burrow/auth.h"]})
        self.assert_found("include/burrow/auth.h", "#include <openssl/ssl.h>\n", "must not need")

    def test_files_without_a_licence_line_are_found(self):
        for text in ("", "/* Some file with a job. */\n", "\n" + HEAD, HEAD.replace("2.0", "1.1")):
            with self.subTest(text=text):
                self.write({"tests/unit/test.c": text})
                found = [b[2] for b in sources.check(self.root)]
                self.assertTrue(any("SPDX" in text for text in found), found)

    def test_files_without_an_opening_comment_are_found(self):
        spdx = HEAD.splitlines()[0] + "\n"
        for text in (spdx, spdx + "#include <stdio.h>\n", spdx + "int x; /* a late comment */\n",
                     spdx + "/**/\n", spdx + "/* x */\n"):
            with self.subTest(text=text):
                self.write({"tests/unit/test.c": text})
                found = [b[2] for b in sources.check(self.root)]
                self.assertEqual(len(found), 1)
                self.assertIn("does not open with a comment", found[0])


class HeaderRules(Samples):
    def said(self, name, text):
        self.write({name: text})
        trials, said = headers.check(self.root)
        self.assertGreater(trials, 0)
        return said

    def test_complete_headers_pass(self):
        text = (
            "#ifndef X_H\n#define X_H\n#include <stdint.h>\n"
            "static inline uint8_t x(uint8_t a)\n{\n    return a;\n}\n#endif\n"
        )
        for name in ("include/burrow/x.h", "core/base/x.h", "plugins/shared/x.h"):
            self.assertEqual(self.said(name, text), [])

    def test_headers_of_macros_alone_pass(self):
        self.assertEqual(self.said("core/base/x.h", "#define X 1\n"), [])

    def test_headers_that_need_another_first_are_found(self):
        self.assertTrue(self.said("core/base/x.h", "uint8_t x(void);\n"))

    def test_headers_without_a_guard_are_found(self):
        self.assertTrue(self.said("plugins/shared/x.h", "struct x { int a; };\n"))

    def test_public_headers_that_are_not_cxx_are_found(self):
        said = self.said("include/burrow/x.h", "extern int class;\n")
        self.assertTrue(said)
        self.assertTrue(all("c++17" in text for text in said), said)

    def test_public_headers_that_need_gnu_source_are_found(self):
        text = "#include <string.h>\nstatic inline char *x(const char *a, const char *b)\n"
        text = f"#ifndef X\n#define X\n{text}{{\n    return strcasestr(a, b);\n}}\n#endif\n"
        self.assertTrue(any("c11" in said for said in self.said("include/burrow/x.h", text)))

    def test_warnings_are_found(self):
        self.assertTrue(self.said("core/base/x.h", "void f(int a[0]);\nstatic int x(void);\n"))


@unittest.skipUnless(shutil.which("clang-format"), "clang-format is not installed")
class LayoutRules(Samples):
    def setUp(self):
        super().setUp()
        shutil.copy(Path(__file__).parents[2] / ".clang-format", self.root)

    def test_well_laid_out_files_pass(self):
        self.write({"core/base/x.c": HEAD + "int x(void)\n{\n    return 1;\n}\n"})
        self.assertEqual(layout.check(self.root), "")

    def test_badly_laid_out_files_are_found(self):
        self.write({"core/base/x.c": HEAD + "int x(void) {\n  return 1; }\n"})
        self.assertIn("core/base/x.c", layout.check(self.root))


class Rows(Samples):
    TESTS = "static void {0}(void **state)\n{{\n}}\n"

    def said(self, cell):
        table = "| a thing | an outcome | `is_run` |\n" * rows.LEAST_ROWS
        self.write({
            "tests/unit/x/test_x.c": self.TESTS.format("is_run") + self.TESTS.format("is_not_run")
            + "    cmocka_unit_test(is_run),\n",
            "tests/e2e/test_x.py": "def test_x():\n",
            rows.PAGE: f"# Page\n{rows.HEADING}\n| what | outcome | tests |\n|---|---|---|\n"
            f"{table}| b | c | {cell} |\n\n## Next\n| d | e | f |\n",
        })
        return rows.check(self.root)

    def test_rows_of_tests_that_are_run_pass(self):
        self.assertEqual(self.said("`is_run`, `test_x`"), [])

    def test_rows_without_a_test_and_with_one_that_is_not_run_are_found(self):
        self.assertEqual(len(self.said("none")), 1)
        self.assertEqual(len(self.said("`is_not_run`")), 1)
        self.assertEqual(len(self.said("`is_run`, `test_y`")), 1)


if __name__ == "__main__":
    unittest.main()
