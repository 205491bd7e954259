"""Clocks whose rates differ by far more than the bound (fault-model.md): a stale read must be seen, and a grant of the client cache
that is not over when its item changes, or the runs prove nothing of leases. The seeds that show one keep every promise within the bound.

Usage: clocks.py RING_SIM FIRST LAST     closing line: `N passed, N failed`
"""

import re
import subprocess
import sys

SPREAD = "0.85"  # rates from 0.15 to 1.85
SEEN = {"a stale read": "not linearizable", "a grant that is not over": "the gate: "}


def failures(ring_sim, first, last, *words):
    """({seed: what broke}, seeds run)"""
    command = [ring_sim, "--seeds", f"{first}-{last}", *words]
    out = subprocess.run(command, capture_output=True, text=True, errors="replace").stdout
    whole = re.search(r"^(\d+) seeds, ", out, re.M)
    broken = re.findall(r"^FAILED (.*?)\nreplay: ring-sim --world cluster --seed (\d+)$", out, re.M | re.S)
    return {int(seed): what for what, seed in broken}, int(whole.group(1)) if whole else 0


def main():
    ring_sim, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    passed = failed = 0
    beyond, ran = failures(ring_sim, first, last, "--clock-spread", SPREAD)
    seen = {name: sorted(seed for seed, what in beyond.items() if text in what) for name, text in SEEN.items()}
    shown = sorted({seed for seeds in seen.values() for seed in seeds})
    counts = ", ".join(f"{len(seeds)} with {name}" for name, seeds in seen.items())
    print(f"clocks beyond the bound: {ran} seeds, {counts}, {len(beyond) - len(shown)} failed otherwise")
    for seed in shown:
        print("  seed", seed, *(f"\n    {line}" for line in beyond[seed].splitlines() if any(text in line for text in SEEN.values())))
    for name, seeds in seen.items():
        if ran == last - first + 1 and seeds:
            passed += 1
        else:
            failed += 1
            print(f"{name} was not seen" if ran else "ring-sim did not run")
    for seed in shown:
        within, ran = failures(ring_sim, seed, seed)
        if ran == 1 and not within:
            passed += 1
        else:
            failed += 1
            print(f"seed {seed} fails within the bound as well: {within.get(seed, 'it was not run')}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
