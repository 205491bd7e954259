"""Does the simulator see a fault? Switches each of the deliberate faults (common/mutants.h) on and looks for a seed that fails.

  mutants.py suite BUILD                     what CI runs: a few are found, and no product has any. Closing line: `N passed, N failed`
  mutants.py measure BUILD [NAME ...]        seeds until each is found, in several tries; writes the table of mutants.md

MUTANTS says what each one breaks: the rule of the design (section 11), or what else was promised.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PAGE = os.path.join(HERE, "mutants.md")
FOLDERS = ("coordinator", "node", "client", "replication", "model", "common")
PRODUCTS = ("ring-node", "ring-coordinator", "ringctl", "ring-bench", "ring-sim")
SEEDS_OF_A_TRY = 1_000_000  # how far apart the tries' first seeds are


@dataclass
class Mutant:
    name: str
    rule: str
    world: str  # the cheaper one that finds it
    is_quick: bool = False  # the suite finds it


RAFT, CLUSTER = "raft", "cluster"
MUTANTS = [
    Mutant("acknowledges-unerased", "23: a client acknowledges an invalidation and keeps the entry", CLUSTER, True),
    Mutant("deadline-from-receipt", "23: a client counts its deadline from the answer's receipt", CLUSTER),
    Mutant("entries-outlive-incarnation", "23: a client's new session extends what its old one was granted", CLUSTER),
    Mutant("grants-while-pending", "23: a key is granted while a write of it is under way", CLUSTER),
    Mutant("grants-without-era", "23: a key is granted before its era is applied", CLUSTER),
    Mutant("no-wait-at-failover", "23: a new leader does not wait for grants of earlier terms", CLUSTER),
    Mutant("only-last-era", "23: a new leader honours the eras of the last term only", CLUSTER),
    Mutant("overflow-drops-invalidation", "23: what a full lane can't take is dropped, and the session goes on", CLUSTER),
    Mutant("shrinks-held", "23: a leader closes the eras where something is held", CLUSTER),
    Mutant("transfer-closes-early", "23: a transfer closes the eras before what was granted is taken back", CLUSTER),
    Mutant("waits-own-lease-term", "23: a new leader waits its own lease term, not that of the eras", CLUSTER),
    Mutant("acknowledges-unsynced", "7: an append is acknowledged before it is synced", RAFT),
    Mutant("always-sole-copy", "exactly once: a failed condition leaves no record though copies are about", CLUSTER),
    Mutant("answers-before-applied", "evaluation: an answer leaves before what it saw is applied", CLUSTER),
    Mutant("answers-unconfirmed", "2, 5: a failed condition is answered without confirmed leadership", CLUSTER),
    Mutant("any-answer-confirms-all", "3: an answer to any round confirms the newest", RAFT),
    Mutant("applied-index-apart", "8: the applied index is written before its data", CLUSTER),
    Mutant("applies-own-clock", "18: what is applied depends on the replica's clock", CLUSTER),
    Mutant("attempts-evaluated-apart", "exactly once: a copy of a write under way is evaluated again", CLUSTER),
    Mutant("records-too-early", "6: a process promises for longer than its record says, and its successor trusts that", RAFT),
    Mutant("fills-later-voter", "11: a wiped voter is filled by a snapshot from before it was one", RAFT),
    Mutant("away-counts-twice", "6: a restarted voter takes itself to have been away for longer than it was", RAFT),
    Mutant("commits-by-new-voters", "14: in a joint configuration the new majority alone commits", RAFT),
    Mutant("compacts-undurable", "13: the log is truncated up to the applied index, durable or not", RAFT, True),
    Mutant("counts-older-terms", "1: entries of older terms commit by counting", RAFT),
    Mutant("counts-unsynced-self", "7: a leader counts its own entries before they are synced", RAFT),
    Mutant("damage-is-torn-write", "10: damaged entries are taken for ones that were never written", RAFT),
    Mutant("doubt-settled-alone", "10: an entry in doubt is discarded without asking enough voters", RAFT),
    Mutant("evaluates-without-overlay", "evaluation does not see the writes that are under way", CLUSTER, True),
    Mutant("every-read-is-eventual", "2: a read is answered by whatever the replica has", CLUSTER),
    Mutant("failed-sync-goes-on", "7: after a failed sync the log goes on", RAFT),
    Mutant("first-record-not-copied", "12: a snapshot of a new replica has no state", CLUSTER),
    Mutant("heartbeat-commits-all", "a heartbeat calls committed what the follower may not have", RAFT, True),
    Mutant("ignores-zones", "placement: two replicas in a zone while another zone has none", CLUSTER),
    Mutant("installs-before-recorded", "12: the state machine changes over before the log's record is durable", RAFT),
    Mutant("lease-from-receipt", "4: a lease starts when the round was answered", RAFT),
    Mutant("lease-outlives-transfer", "5: lease reads go on after a transfer was sent", RAFT),
    Mutant("lease-without-end", "4: a lease does not run out", RAFT),
    Mutant("learner-runs-ahead", "14: a learner is sent entries that may never count", RAFT),
    Mutant("leaves-joint-uncommitted", "14: the joint configuration is left before it is committed", RAFT),
    Mutant("no-record-of-nothing", "exactly once: a failed condition of a repeated attempt leaves no record", CLUSTER),
    Mutant("no-session-records", "exactly once: a write leaves no record", CLUSTER, True),
    Mutant("no-stickiness", "6: a follower that hears its leader votes for another", RAFT),
    Mutant("no-tombstones", "15: a removed replica leaves nothing behind", CLUSTER),
    Mutant("one-step-change", "14: voters change in one step", RAFT),
    Mutant("orders-unfenced", "20: a node carries out orders for another membership", CLUSTER),
    Mutant("orphan-takes-any-entry", "22: another leader's entry is taken for the own write", CLUSTER),
    Mutant("overlay-keeps-refused", "evaluation sees writes that were refused", CLUSTER),
    Mutant("plans-unfenced", "20: an older plan overwrites a newer one", CLUSTER),
    Mutant("retry-is-a-new-write", "exactly once: the client's retry has a new sequence", CLUSTER),
    Mutant("segment-name-unsynced", "7: the name of a new segment is not synced", RAFT),
    Mutant("serves-before-own-entry", "2: a leader serves before it has applied its own first entry", RAFT, True),
    Mutant("sessions-in-memory-only", "exactly once: records are not stored and in no snapshot", CLUSTER),
    Mutant("stands-below-promise", "10: a replica that lost entries stands for election", RAFT),
    Mutant("strays-stay", "placement: a learner that no plan names stays", CLUSTER),
    Mutant("suspect-log-is-trusted", "11: a replica whose log lost promises goes on", RAFT),
    Mutant("takes-older-acknowledgements", "9: an acknowledgement of an older term counts", RAFT),
    Mutant("takes-older-reports", "20: an older report overwrites a newer one", CLUSTER),
    Mutant("truncation-leaves-writes", "9: a write under way counts for entries that replaced its own", RAFT),
    Mutant("unknown-called-deadline", "22: the library calls an unknown outcome a failure", CLUSTER, True),
    Mutant("unknown-called-refused", "22: a node calls an unknown outcome a refusal", CLUSTER),
    Mutant("votes-after-restart", "6: a restarted voter forgets the leader that it had promised", RAFT),
    Mutant("votes-below-promise", "10: a replica that lost entries votes for who lacks them", RAFT),
    Mutant("votes-for-older-logs", "a vote for a candidate with an older log", RAFT),
    Mutant("wiped-voter-returns", "11: a voter that lost its log votes and is filled", RAFT),
]
QUICK_SEEDS = 150


def placed():
    """Names of the mutants in the source."""
    names = set()
    for folder in FOLDERS:
        for path, _, files in os.walk(os.path.join(ROOT, folder)):
            for file in files:
                with open(os.path.join(path, file), encoding="utf-8") as source:
                    text = source.read() if file.endswith((".cc", ".h")) else ""
                found = set(re.findall(r'MUTANT\("([^"]+)"\)', text))
                if found and file.endswith(".h") and file != "mutants.h":
                    raise SystemExit(f"{path}/{file}: a mutant in a header would be compiled both ways into one program")
                names |= found if file.endswith(".cc") else set()
    return names


@dataclass
class Try:
    seeds: int
    checker: str  # empty: not found
    seed: int = 0


def checker_of(violation, errors):
    """Which check a violation comes from."""
    known = (("ended by signal", "CHECK"), ("applied different histories", "equal histories"), ("both lead", "one leader a term"), ("log matching: ", "figure 3"), ("leader completeness: ", "figure 3"), ("committed entry ", "figure 3"), ("election safety: ", "figure 3"),
             ("not linearizable", "linearizability"), ("the gate: ", "the gate"), ("can't be read", "linearizability"), ("replicas differ", "replicas agree"), ("hold different state", "equal state at equal index"), ("lost its state", "no state is lost"),
             ("epoch fell", "epochs grow"), ("zones", "placement"), ("no fault explains", "errors are true"),
             ("not healthy", "health after healing"), ("not served", "served after healing"), ("not serving", "served after healing"),
             ("not converged", "converged after healing"), ("did not form", "served after healing"))
    for text, checker in known:
        if text in violation:
            if checker != "CHECK":
                return checker
            failed = re.findall(r"([\w]+\.(?:cc|h)):\d+: CHECK failed", errors)
            return f"CHECK in {failed[-1]}" if failed else "the process ended"
    return violation[:60]


def run(words):
    """(seeds that were run, what failed or None, standard error)"""
    runs = subprocess.run(words, capture_output=True, text=True, errors="replace")
    count = re.search(r"^(\d+) seeds, ", runs.stdout, re.M)
    if count is None:
        raise SystemExit(f"{' '.join(words)}: ended with {runs.returncode} and no count\n{runs.stdout}{runs.stderr}")
    failed = re.search(r"^FAILED (.*)$", runs.stdout, re.M)
    return int(count.group(1)), failed.group(1) if failed else None, runs.stderr


def look_for(binary, mutant, first, seeds_max):
    """Runs seeds from `first` on until one fails that passes without the mutant."""
    seeds = 0
    while seeds < seeds_max:
        words = [binary, "--world", mutant.world, "--jobs", "1"]
        count, failed, errors = run(words + ["--mutant", mutant.name, "--until-failure", "--seeds", f"{first + seeds}-{first + seeds_max - 1}"])
        seeds += count
        seed = first + seeds - 1
        if failed is None:
            break
        if run(words + ["--seed", str(seed)])[1] is None:
            return Try(seeds, checker_of(failed, errors), seed)
        print(f"seed {seed} of {mutant.world} fails without {mutant.name} too", flush=True)
    return Try(seeds, "")


def check_table(binary):
    """What the table, the source and the program say of each other."""
    wrong = []
    listed = {mutant.name for mutant in MUTANTS}
    has = set(subprocess.run([binary, "--list-mutants"], capture_output=True, text=True, check=True).stdout.split())
    for what, names in (("in the source, not in the table of mutants.py", placed() - listed),
                        ("in the table, not in the source", listed - placed()),
                        ("in the source, not in the program: run cmake", placed() - has)):
        wrong += [f"{name}: {what}" for name in sorted(names)]
    return wrong


def check_products(build):
    """No product has a mutant's name in it; the program made for them has all, or this would prove nothing."""
    wrong = []
    with open(f"{build}/bin/mutants/ring-sim-mutants", "rb") as file:
        own = file.read()
    wrong += [f"ring-sim-mutants does not have {m.name}" for m in MUTANTS if m.name.encode() not in own]
    for product in PRODUCTS:
        with open(f"{build}/bin/{product}", "rb") as file:
            program = file.read()
        wrong += [f"{product} has mutant {m.name}" for m in MUTANTS if m.name.encode() in program]
    return wrong


def check_traces(build):
    """With no mutant on, the program runs as the one without any."""
    wrong = []
    for world in (RAFT, CLUSTER):
        traces = set()
        for binary in ("bin/ring-sim", "bin/mutants/ring-sim-mutants"):
            once = subprocess.run([f"{build}/{binary}", "--world", world, "--seed", "1"], capture_output=True, text=True, errors="replace")
            found = re.search(r"trace (\w+)", once.stdout)
            traces.add(found.group(1) if found else f"none of {binary}")
        if len(traces) != 1:
            wrong.append(f"seed 1 of {world}: {sorted(traces)}")
    return wrong


def suite(build):
    binary = f"{build}/bin/mutants/ring-sim-mutants"
    passed = failed = 0
    for check in (check_table(binary), check_products(build), check_traces(build)):
        failed += bool(check)
        passed += not check
        for line in check:
            print(line, flush=True)
    for mutant in MUTANTS:
        if not mutant.is_quick:
            continue
        attempt = look_for(binary, mutant, 1, QUICK_SEEDS)
        passed += bool(attempt.checker)
        failed += not attempt.checker
        print(f"{mutant.name}: " + (f"found by seed {attempt.seed} of {mutant.world}: {attempt.checker}" if attempt.checker
                                    else f"not found in {attempt.seeds} seeds of {mutant.world}"), flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def row(mutant, tries):
    found = [attempt.seeds for attempt in tries if attempt.checker]
    checkers = [attempt.checker for attempt in tries if attempt.checker]
    common = max(set(checkers), key=checkers.count) if checkers else "-"
    median = f"{statistics.median(found):g}" if found else "-"
    return (f"| {mutant.name} | {mutant.rule} | {mutant.world} | {len(found)} of {len(tries)} | {median} | "
            f"{max(attempt.seeds for attempt in tries)} | {common} |")


def write_row(name, text):
    """Puts a mutant's row into the page's table, in the order of names."""
    with open(PAGE, encoding="utf-8") as file:
        lines = file.read().split("\n")
    begin = next(i for i, line in enumerate(lines) if line.startswith("| mutant |")) + 2
    end = begin
    while lines[end].startswith("| "):
        end += 1
    rows = [line for line in lines[begin:end] if not line.startswith(f"| {name} |")]
    lines[begin:end] = sorted(rows + [text])
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))


def measure(build, arguments):
    binary = f"{build}/bin/mutants/ring-sim-mutants"
    wanted = [m for m in MUTANTS if not arguments.names or m.name in arguments.names]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        waiting = [(mutant, [pool.submit(look_for, binary, mutant, (number + 1) * SEEDS_OF_A_TRY + arguments.offset, arguments.seeds_max)
                             for number in range(arguments.tries)]) for mutant in wanted]
        for mutant, tries in waiting:
            began = time.monotonic()
            text = row(mutant, [attempt.result() for attempt in tries])
            write_row(mutant.name, text)
            print(f"{text} waited {time.monotonic() - began:.0f} s", flush=True)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("suite", "measure"))
    parser.add_argument("build")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--tries", type=int, default=5)
    parser.add_argument("--seeds-max", type=int, default=5000)
    parser.add_argument("--offset", type=int, default=1, help="the first seed of each try, within its million")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_intermixed_args()
    return suite(arguments.build) if arguments.what == "suite" else measure(arguments.build, arguments)


if __name__ == "__main__":
    sys.exit(main())
