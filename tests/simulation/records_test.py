"""Protects what is said of the seeds that were run: `record` writes the ledger, `coverage` the page that shows what they met.

Both read what ring-sim prints; here a script of a few lines prints it.
"""

import contextlib
import importlib.machinery
import importlib.util
import io
import os
import sys
import tempfile
import unittest
from unittest import mock

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
HEAD = "date\tcommit\tworld\tseeds\tfailed\toperations\tvirtual_hours\tcore_seconds_a_seed\tstood_still\tfailures\n"


def load(name):
    loader = importlib.machinery.SourceFileLoader(name, os.path.join(HERE, name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


coverage, record = load("coverage"), load("record")


def printed(world, seeds=1000, failed=(), counts=None, still=0, operations=5000):
    """What ring-sim prints of a run in which everything that is required came up often enough."""
    names = {name: 50 for part in coverage.REQUIRED[world].values() for name in part}
    names |= {coverage.ONLY_IN[world]: 50, "branch: one": 60} | (counts or {})
    lines = [f"{times:10} in {min(times, seeds):5} seeds: {name}" for name, times in names.items()]
    lines += [f"{still:10} in {still:5} seeds: stands still: for a reason"] if still else []
    lines += [f"FAILED at 1 ms: something\nreplay: ring-sim --world {world} --seed {seed}" for seed in failed]
    lines += [f"{seeds} seeds, 2.50 virtual hours in 10.0 s, {operations} operations, 0.20 core-seconds a seed",
              f"{seeds - len(failed)} passed, {len(failed)} failed"]
    return "\n".join(lines) + "\n"


class RecordsTest(unittest.TestCase):
    def setUp(self):
        self.directory = self.enterContext(tempfile.TemporaryDirectory())
        os.mkdir(f"{self.directory}/bin")
        self.ledger = self.write("ledger.tsv", HEAD)
        for module in (coverage, record):
            self.enterContext(mock.patch.object(module, "LEDGER", self.ledger))
        self.enterContext(mock.patch.object(coverage, "PAGE", f"{self.directory}/coverage.md"))
        self.enterContext(mock.patch.object(record, "git", lambda *words: "abcdef0123" if words[0] == "rev-parse" else ""))

    def write(self, name, text):
        with open(f"{self.directory}/{name}", "w", encoding="utf-8") as file:
            file.write(text)
        return f"{self.directory}/{name}"

    def read(self, path):
        with open(path, encoding="utf-8") as file:
            return file.read()

    def ring_sim(self, text):
        path = self.write("bin/ring-sim", f"#!/bin/sh\ncat '{self.write('printed', text)}'\n")
        os.chmod(path, 0o755)
        return path

    def call(self, module, *words):
        """(exit code, what was said)"""
        said = io.StringIO()
        with mock.patch.object(sys, "argv", ["it", *words]), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                code = module.main()
            except SystemExit as ending:
                code = ending.code
        return code, said.getvalue()

    def cover(self, *words):
        return self.call(coverage, *words, "--out", f"{self.directory}/page.md")


class RecordTest(RecordsTest):
    def test_a_line_has_the_failures_and_what_stood_still(self):
        ring_sim = self.ring_sim(printed("raft", failed=[12, 9], still=3))
        code, _ = self.call(record, "1-1000", "--world", "raft", "--ring-sim", ring_sim)
        self.assertEqual(code, 1)
        fields = self.read(self.ledger).splitlines()[-1].split("\t")
        self.assertEqual(fields[1:], ["abcdef0123", "raft", "1-1000", "2", "5000", "2.50", "0.20", "3", "9; 12"])
        self.assertIn("2 failed", self.read(f"{self.directory}/ring-sim-raft-1-1000.txt"))

    def test_a_run_that_broke_off_is_not_recorded(self):
        for text in ("", printed("raft", seeds=999), printed("raft").replace("1000 passed, 0 failed\n", "")):
            code, said = self.call(record, "1-1000", "--world", "raft", "--ring-sim", self.ring_sim(text))
            self.assertEqual((code, self.read(self.ledger)), (1, HEAD))
            self.assertIn("nothing is recorded", said)

    def test_what_is_not_committed_is_not_run(self):
        ring_sim = self.ring_sim(printed("raft"))
        with mock.patch.object(record, "git", lambda *words: " M common/clock.h"):
            code, said = self.call(record, "1-1000", "--world", "raft", "--ring-sim", ring_sim)
        self.assertEqual((code, self.read(self.ledger)), (2, HEAD))
        self.assertIn("common/clock.h", said)

    def test_a_failure_of_the_newest_commit_needs_a_reason(self):
        older = "2026-01-01\taaaa\traft\t1-10\t1\t1\t1.0\t0.1\t-\t4\n"
        newest = "2026-01-02\tbbbb\traft\t11-20\t2\t1\t1.0\t0.1\t1\t14: it was so; 15{}\n"
        self.write("ledger.tsv", HEAD + older + newest.format(""))
        code, said = self.call(record, "--totals")
        self.assertEqual(code, 1)
        self.assertIn("raft: 20 seeds on 2 commits, 2.0 virtual hours, 3 failed: 1 explained, 2 not written down; 1 stood still", said)
        self.write("ledger.tsv", HEAD + older + newest.format(": and this so"))
        self.assertEqual(self.call(record, "--totals")[0], 0)


class CoverageTest(RecordsTest):
    def test_counts_of_several_files_add_up(self):
        first = self.write("a.txt", printed("raft", counts={"kill": 51}))
        second = self.write("b.txt", printed("raft", counts={"kill": 70}))
        cluster = self.write("c.txt", printed("cluster"))
        self.assertEqual(self.cover("--raft", first, second, "--cluster", cluster), (0, ""))
        text = self.read(f"{self.directory}/page.md")
        self.assertIn("| kill | 121 | 121 | 60 |", text)
        self.assertIn("2000 seeds, 5.00 virtual hours", text)
        self.assertIn("| one | 60 | 120 | 180 | 120 |", text)

    def test_what_came_up_too_rarely_fails(self):
        cluster = self.write("c.txt", printed("cluster"))
        rare = self.write("a.txt", printed("raft", counts={"kill": 4, "branch: two": 2}))
        code, said = self.cover("--raft", rare, "--cluster", cluster)
        self.assertEqual((code, said), (1, "too rare: kill: 4 in 1,000 seeds\ntoo rare: branch: two: 2 in 1,000 seeds of each world\n"))
        unknown = self.write("a.txt", printed("raft").replace(": wiped disk\n", ": wiped dusk\n"))
        self.assertIn("wiped disk: 0 in 1,000", self.cover("--raft", unknown, "--cluster", cluster)[1])

    def test_a_branch_has_to_come_up_a_hundred_times_in_many_seeds(self):
        cluster = self.write("c.txt", printed("cluster", seeds=10_000, counts={name: 5000 for part in coverage.REQUIRED["cluster"].values() for name in part}))
        raft = self.write("a.txt", printed("raft", seeds=10_000, counts={name: 5000 for part in coverage.REQUIRED["raft"].values() for name in part}
                                           | {"branch: one": 39}))
        self.assertEqual(self.cover("--raft", raft, "--cluster", cluster), (1, "too rare: branch: one: 99 in all\n"))

    def test_what_nothing_can_be_told_by_is_refused(self):
        good, cluster = self.write("a.txt", printed("raft")), self.write("c.txt", printed("cluster"))
        bad = {
            "1 of 1000 seeds failed": self.write("b.txt", printed("raft", failed=[7])),
            "not of the raft world": cluster,
            "no summary": self.write("d.txt", "Killed\n"),
            "are the same": self.write("e.txt", printed("raft")),
            "1000 seeds were run of the 2000": self.write("ring-sim-raft-1-2000.txt", printed("raft", operations=1)),
        }
        for why, path in bad.items():
            code, said = self.cover("--raft", good, path, "--cluster", cluster)
            self.assertEqual((code, os.path.exists(f"{self.directory}/page.md")), (2, False), why)
            self.assertIn(why, said)
        one, two = (self.write(f"ring-sim-raft-{seeds}.txt", printed("raft", operations=number))
                    for number, seeds in enumerate(("1-1000", "1000-1999"), 1))
        self.assertIn("seeds in common", self.cover("--raft", one, two, "--cluster", cluster)[1])

    def test_the_page_speaks_of_what_the_ledger_has(self):
        raft, cluster = (self.write(f"ring-sim-{world}-1-1000.txt", printed(world)) for world in ("raft", "cluster"))
        words = ["--raft", raft, "--cluster", cluster]
        self.assertEqual(self.call(coverage, *words, "--out", coverage.PAGE)[0], 2)
        line = "2026-01-01\tcccc\t{}\t1-1000\t0\t{}\t2.5\t0.2\t0\t-\n"
        self.write("ledger.tsv", HEAD + line.format("raft", 5000) + line.format("cluster", 4999))
        code, said = self.call(coverage, *words, "--out", coverage.PAGE)
        self.assertEqual(code, 2)
        self.assertIn("not the run that ledger.tsv has", said)
        self.write("ledger.tsv", HEAD + line.format("raft", 5000) + line.format("cluster", 5000))
        self.assertEqual(self.call(coverage, *words, "--out", coverage.PAGE), (0, ""))
        self.assertIn("Commit cccc, seeds 1-1000.", self.read(coverage.PAGE))
        self.assertEqual(self.call(coverage, "--raft", raft, "--out", coverage.PAGE)[0], 2)


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=0).result
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
