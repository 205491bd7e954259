"""The simulation suite of tests/run: fixed seeds of ring-sim, and one seed in two processes with one trace hash.

Usage: suite.py RING_SIM FIRST LAST     closing line: `N passed, N failed`
"""

import re
import subprocess
import sys


def main():
    ring_sim, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    runs = subprocess.run([ring_sim, "--seeds", f"{first}-{last}"], capture_output=True, text=True)
    print(runs.stdout, end="")
    print(runs.stderr, end="")
    counts = re.search(r"^(\d+) passed, (\d+) failed$", runs.stdout, re.M)
    if counts is None:
        print(f"ring-sim ended with {runs.returncode} and no count")
        print("0 passed, 1 failed")
        return 1
    passed, failed = int(counts.group(1)), int(counts.group(2))
    hashes = set()
    for _ in range(2):
        once = subprocess.run([ring_sim, "--seed", str(first)], capture_output=True, text=True)
        hashes.add(re.search(r"trace (\w+)", once.stdout).group(1))
    if len(hashes) == 1:
        passed += 1
    else:
        failed += 1
        print(f"seed {first} gave two traces: {hashes}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
