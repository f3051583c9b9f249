# SPDX-License-Identifier: Apache-2.0
"""The check of the binary interface tried on changed headers: test_abi.py CC INCLUDE"""
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

import abi

COMPILER, INCLUDE = sys.argv[1:3]
ENTRY = "    void (*unwatch_files)(struct burrow_files *); /* NULL is allowed */\n"
MINOR = abi.parse(abi.table(COMPILER, INCLUDE)[0])[1]


class Changes(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)
        shutil.copytree(INCLUDE, self.root / "include")

    def change(self, *replacements, version="v0"):
        """The objections to these replacements in plugin.h, at this version of the symbol."""
        header = self.root / "include/burrow/plugin.h"
        before = header.read_text().replace("v0", version)
        header.write_text(before)
        old, _ = abi.table(COMPILER, str(self.root / "include"))
        after = before
        for was, becomes in replacements:
            self.assertIn(was, after)
            after = after.replace(was, becomes)
        header.write_text(after)
        new, text = abi.table(COMPILER, str(self.root / "include"))
        return abi.objections(old, new, text)

    def announced(self, version="v0"):
        return [(f"BURROW_ABI_MINOR {MINOR}u", f"BURROW_ABI_MINOR {MINOR + 1}u"),
                (" * ABI changelog\n", f" * ABI changelog\n *   {version}, minor {MINOR + 1}: more.\n")]

    def test_no_change_has_no_objection(self):
        self.assertEqual(self.change(), [])

    def test_an_entry_that_is_not_announced_is_refused(self):
        self.assertIn("BURROW_ABI_MINOR", self.change((ENTRY, ENTRY + abi.LATER))[0])

    def test_a_number_without_its_line_in_the_changelog_is_refused(self):
        found = self.change((ENTRY, ENTRY + abi.LATER), self.announced()[0])
        self.assertEqual(len(found), 1)
        self.assertIn("changelog", found[0])

    def test_an_announced_entry_at_the_end_is_taken_by_v1(self):
        self.assertEqual(self.change((ENTRY, ENTRY + abi.LATER), *self.announced("v1"), version="v1"), [])

    def test_an_entry_in_the_middle_is_refused_by_v1_and_not_by_v0(self):
        first = "    void (*vlog)(struct burrow_self *"
        change = (first, abi.LATER + first)
        self.assertEqual(self.change(change, *self.announced()), [])
        self.setUp()
        self.assertIn("burrow_host.vlog", " ".join(self.change(change, *self.announced("v1"), version="v1")))

    def test_a_changed_parameter_or_constant_is_refused_by_v1(self):
        for change in (("int32_t level, const char *fmt", "int64_t level, const char *fmt"),
                       ("(void *arg, int events);", "(void *arg, int64_t events);"),
                       ("BURROW_KIND_AUTH 2u", "BURROW_KIND_AUTH 9u")):
            self.setUp()
            self.assertNotEqual(self.change(change, *self.announced("v1"), version="v1"), [])

    def test_a_struct_without_a_size_does_not_grow_in_v1(self):
        last = "    const char *choices; /* for STRING: \"a|b|c\", or NULL */\n"
        found = self.change((last, last + abi.LATER), *self.announced("v1"), version="v1")
        self.assertEqual(found, ["struct burrow_option grew, but it does not tell its size"])

    @unittest.skipUnless(shutil.which("abidiff"), "abidiff (abigail-tools) is not installed")
    def test_abidiff_takes_an_entry_at_the_end_and_none_in_the_middle(self):
        changed = self.root / "include"
        for place, code in ((ENTRY, 0), ("    void (*unwatch)(struct burrow_watch *);", 1)):
            text = Path(INCLUDE, "burrow/plugin.h").read_text()
            self.assertIn(place, text)
            at = text.index(place) + (len(place) if code == 0 else 0)
            (changed / "burrow/plugin.h").write_text(text[:at] + abi.LATER + text[at:])
            self.assertEqual(abi.diff(COMPILER, INCLUDE, str(changed)), code)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
