"""Builds the presets and runs the suites; called by tests/run, which installs what this needs.

A suite is a preset to build, the targets it needs and a way to find its commands. A command counts its tests in
its output: GoogleTest's summary, or a closing line `N passed, N failed[, N skipped]`. A command that
exits non-zero without counting a failure counts as one failed test, so that a crash is never green.
"""

import argparse
import glob
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUR_COUNT = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.M)
GTEST_PASSED = re.compile(r"^\[  PASSED  \] (\d+) tests?\.", re.M)
GTEST_FAILED = re.compile(r"^\[  FAILED  \] (\d+) tests?, listed below", re.M)
GTEST_SKIPPED = re.compile(r"^\[  SKIPPED \] (\d+) tests?, listed below", re.M)


@dataclass
class Suite:
    name: str
    preset: str | None  # built before it runs; None: nothing to build
    target: str = "all"
    commands: list = field(default_factory=list)  # each a list of words, or a glob of test programs
    seconds_max: int = 900


def test_programs(build):
    return [[path] for path in sorted(glob.glob(f"{ROOT}/{build}/bin/tests/*")) if os.access(path, os.X_OK)]


SUITES = [
    # Style, and the tools that say which seeds were run and what they met.
    Suite("tidy", None, commands=[["python3", "tests/tidy/tidy_test.py"], ["python3", "tests/tidy/tidy.py"],
                                  ["python3", "tests/simulation/records_test.py"]]),
    Suite("unit", "release", commands=["build"]),
    Suite("simulation", "release", commands=[["python3", "tests/simulation/suite.py", "build/bin/ring-sim", "1", "134"],
                                              # Clocks beyond the bound: a stale read has to be seen.
                                              ["python3", "tests/simulation/clocks.py", "build/bin/ring-sim", "1", "60"]]),
    # Deliberate faults in the production code: a few are found, and no product has any.
    Suite("mutants", "release", commands=[["python3", "tests/simulation/mutants.py", "suite", "build"]]),
    # One bad block on one of three disks; 5000 and 2000 of them take some minutes by hand.
    Suite("storage", "release", commands=[["build/bin/storage-faults", "--random", "120", "--aimed", "160"],
                                           # A bad block was sent to a peer in a snapshot, and back, for ever.
                                           ["build/bin/storage-faults", "--first", "101026", "--random", "1", "--aimed", "0"]]),
    # Every state of the client cache's protocol within bounds; without any of its safety steps a stale read is found.
    Suite("model", "release", target="lease-check", commands=[["build/bin/lease-check"]]),
    # An application outside this repository builds against the installed client library.
    Suite("install", "release", commands=[["sh", "tests/unit/client/install_test.sh", "build"]]),
    # Real processes on loopback under faults, growth, real data; bad input, full disks; the coordinators' door.
    Suite("cluster", "release", commands=[["python3", f"tests/cluster/{name}_test.py"]
                                          for name in ("processes", "upgrade", "faults", "moves", "data", "doors", "limits")]),
    # The same as `cluster`, at random and two at a time; needs root. Nothing in it depends on speed.
    Suite("nemesis", "release", commands=[["python3", "tests/cluster/nemesis", "--minutes", "1", "--faults",
                                           "kill,pause,partition,one-way,client-pause,client-partition", "--seed", "1"]]),
    # A real Prometheus scrapes real processes; what dashboard and alerts name exists.
    Suite("metrics", "release", commands=[["python3", "tests/cluster/metrics_test.py"]]),
    # What people run: systemd's units, and containers in a Docker engine of the test's own.
    Suite("compose", "release", commands=[["python3", "tests/compose/units_test.py"], ["python3", "tests/compose/compose_test.py"]]),
    Suite("asan", "asan", target="checks", commands=["build-asan", ["python3", "tests/simulation/suite.py", "build-asan/bin/ring-sim", "1", "10"]]),
    Suite("tsan", "tsan", target="threaded_checks", commands=["build-tsan"]),
    # The kept corpus of every target, then new inputs for 10 s each.
    Suite("fuzz", "fuzz", target="fuzz_targets", commands=[["python3", "tests/fuzz/run", "--seconds", "10"]]),
    # Compiling every library is the test: clang's thread-safety analysis is an error.
    Suite("thread-safety", "clang", target="libraries", commands=[["true"]]),
]


class Counts:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, output, exit_code):
        failed_before = self.failed
        ours = OUR_COUNT.findall(output)
        if ours:
            passed, failed, skipped = ours[-1]
            self.passed += int(passed)
            self.failed += int(failed)
            self.skipped += int(skipped or 0)
        else:
            self.passed += sum(map(int, GTEST_PASSED.findall(output)))
            self.failed += sum(map(int, GTEST_FAILED.findall(output)))
            self.skipped += sum(map(int, GTEST_SKIPPED.findall(output)))
        if exit_code != 0 and self.failed == failed_before:
            self.failed += 1


def run(command, seconds_max, quiet):
    """Runs one command; returns (exit code, output). Prints the output as it comes, or only on failure."""
    environment = dict(os.environ, TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1",
                       UBSAN_OPTIONS="print_stacktrace=1")
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, errors="replace")
    try:
        output, _ = process.communicate(timeout=seconds_max)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        output += f"\nstopped after {seconds_max} s\n"
        process.returncode = 124
    if process.returncode != 0 or not quiet:
        print(output, end="", flush=True)
    return process.returncode, output


def build(preset, target, built):
    if preset is None or (preset, target) in built:
        return True
    started = time.monotonic()
    configured = run(["cmake", "--preset", preset], 600, quiet=True)[0] == 0
    ok = configured and run(["cmake", "--build", "--preset", preset, "--target", target], 3600, quiet=True)[0] == 0
    built.add((preset, target))
    print(f"build {preset}: {'ok' if ok else 'FAILED'} in {time.monotonic() - started:.0f} s", flush=True)
    return ok


def run_suite(suite, counts, built):
    if not build(suite.preset, suite.target, built):
        counts.failed += 1
        return
    for command in suite.commands:
        for words in test_programs(command) if isinstance(command, str) else [command]:
            started = time.monotonic()
            exit_code, output = run(words, suite.seconds_max, quiet=True)
            before = counts.passed, counts.failed
            counts.add(output, exit_code)
            if words == ["true"] and exit_code == 0:
                counts.passed += 1
            print(f"{suite.name}: {os.path.relpath(words[0], ROOT) if '/' in words[0] else words[1] if len(words) > 1 else words[0]}: "
                  f"{counts.passed - before[0]} passed, {counts.failed - before[1]} failed "
                  f"in {time.monotonic() - started:.0f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="tests/run", description="Builds and runs every test that CI runs.")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help="only these")
    parser.add_argument("--list", action="store_true", help="name the suites and stop")
    arguments = parser.parse_args()
    names = [suite.name for suite in SUITES]
    if arguments.list:
        print("\n".join(names))
        return 0
    unknown = [name for name in arguments.suites if name not in names]
    if unknown:
        parser.error(f"no suite is called {', '.join(unknown)}; there are {', '.join(names)}")
    counts, built = Counts(), set()
    for suite in SUITES:
        if not arguments.suites or suite.name in arguments.suites:
            run_suite(suite, counts, built)
    if os.environ.get("CI") and counts.skipped:
        print(f"{counts.skipped} skipped: in CI nothing may be")
        counts.failed += counts.skipped
        counts.skipped = 0
    skipped = f", {counts.skipped} skipped" if counts.skipped else ""
    print(f"{counts.passed} passed, {counts.failed} failed{skipped}")
    return 0 if counts.failed == 0 and counts.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
