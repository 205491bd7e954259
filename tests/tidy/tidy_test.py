"""Protects tests/tidy/tidy.py: each rule must find what it is for, and pass what is right."""

import sys
import unittest

sys.dont_write_bytecode = True
import tidy  # noqa: E402  (found beside this file)


def findings(rule, path, text):
    return [message for _, message in rule(path, text.split("\n"))]


class TidyTest(unittest.TestCase):
    def test_layers_point_down_only(self):
        self.assertTrue(findings(tidy.check_layering, "common/a.h", '#include "model/item.h"'))
        self.assertTrue(findings(tidy.check_layering, "replication/a.h", '#include "model/item.h"'))
        self.assertTrue(findings(tidy.check_layering, "client/a.h", '#include "node/partition.h"'))
        self.assertTrue(findings(tidy.check_layering, "node/a.h", '#include "tests/simulation/x.h"'))
        self.assertFalse(findings(tidy.check_layering, "node/a.h", '#include "replication/types.h"'))
        self.assertTrue(findings(tidy.check_layering, "node/a.h", '#include "client/router.h"'))
        self.assertFalse(findings(tidy.check_layering, "node/a.h", '#include "client/data_server.h"'))

    def test_a_long_function_is_found_and_a_long_class_is_not(self):
        body = "  x();\n" * 80
        self.assertTrue(findings(tidy.check_lengths, "a.cc", "void F() {\n" + body + "}\n"))
        self.assertFalse(findings(tidy.check_lengths, "a.cc", "class F {\n" + "  int x;\n" * 80 + "};\n"))

    def test_a_long_line_and_a_long_file_are_found(self):
        self.assertTrue(findings(tidy.check_lengths, "a.cc", "x" * 101))
        self.assertTrue(findings(tidy.check_lengths, "a.cc", "x\n" * 601))

    def test_banned_calls_are_found_outside_their_place_only(self):
        self.assertTrue(findings(tidy.check_banned, "node/a.cc", "db->GetSnapshot();"))
        self.assertTrue(findings(tidy.check_banned, "node/a.cc", "std::mutex m;"))
        self.assertTrue(findings(tidy.check_banned, "replication/a.cc", "std::chrono::steady_clock::now();"))
        self.assertTrue(findings(tidy.check_banned, "coordinator/a.cc", "#include <leveldb/db.h>"))
        self.assertFalse(findings(tidy.check_banned, "common/mutex.h", "std::mutex m;"))
        self.assertFalse(findings(tidy.check_banned, "node/a.cc", "// never db->GetSnapshot()"))

    def test_unfinished_work_and_wrong_guards_are_found(self):
        self.assertTrue(findings(tidy.check_finished, "a.cc", "// TO" + "DO: later"))
        self.assertTrue(findings(tidy.check_guard, "common/a.h", "#ifndef A_H"))
        self.assertFalse(findings(tidy.check_guard, "common/a.h", "#ifndef RINGLEADER_COMMON_A_H_"))


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=0).result
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
