"""The simulation suite of tests/run: kept seeds and a range of them, for the whole cluster and for replication alone, and
seeds in two processes with one trace hash each.

Usage: suite.py RING_SIM FIRST LAST     closing line: `N passed, N failed`

Half as many seeds run replication alone as the whole cluster. kept_seeds.txt has seeds that found something once.
"""

import os
import re
import subprocess
import sys

KEPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kept_seeds.txt")
TWICE = 3  # seeds of each world whose trace is compared between processes


def kept_seeds():
    """(world, seed) of every line `world seed reason`."""
    with open(KEPT, encoding="utf-8") as file:
        lines = [line.split(None, 2) for line in file if line.strip() and not line.startswith("#")]
    return [(world, int(seed)) for world, seed, _ in lines]


class Suite:
    def __init__(self, ring_sim):
        self.ring_sim = ring_sim
        self.passed = self.failed = 0

    def run(self, world, first, last):
        command = [self.ring_sim, "--world", world, "--seeds", f"{first}-{last}"]
        runs = subprocess.run(command, capture_output=True, text=True, errors="replace")
        counts = re.search(r"^(\d+) passed, (\d+) failed$", runs.stdout, re.M)
        if counts is None or int(counts.group(2)) > 0 or first != last:
            print(runs.stdout, end="")
            print(runs.stderr, end="", flush=True)
        if counts is None:
            print(f"{' '.join(command)}: ended with {runs.returncode} and no count")
            self.failed += 1
            return
        passed, failed = int(counts.group(1)), int(counts.group(2))
        if passed + failed != last - first + 1:
            print(f"{' '.join(command)}: {passed + failed} seeds were run")
            failed += 1
        self.passed += passed
        self.failed += failed

    def run_twice(self, world, seed):
        traces = []
        for _ in range(2):
            once = subprocess.run([self.ring_sim, "--world", world, "--seed", str(seed)], capture_output=True, text=True, errors="replace")
            trace = re.search(r"trace (\w+)", once.stdout)
            traces.append(trace.group(1) if trace else f"none, exit code {once.returncode}")
        if traces[0] == traces[1] and "none" not in traces[0]:
            self.passed += 1
        else:
            self.failed += 1
            print(f"seed {seed} of {world} gave two traces: {traces}")


def main():
    suite, first, last = Suite(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    for world, seed in kept_seeds():
        suite.run(world, seed, seed)
    suite.run("cluster", first, last)
    suite.run("raft", first, first + (last - first) // 2)
    for seed in range(first, min(first + TWICE - 1, last) + 1):
        suite.run_twice("cluster", seed)
        suite.run_twice("raft", seed)
    print(f"{suite.passed} passed, {suite.failed} failed")
    return 1 if suite.failed else 0


if __name__ == "__main__":
    sys.exit(main())
