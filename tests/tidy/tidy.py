"""Style that a machine can check: layering, lengths, banned calls, formatting, house rules.

Each rule is a function that takes a source file and yields (line number, message). tidy_test.py shows that
each rule finds what it is for. Prints `file:line: message` for each finding, and a closing count.
"""

import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# DESIGN section 2: a folder may include itself and what stands below it, with these exceptions.
LAYERS = ["coordinator", "node", "client", "replication", "model", "common", "proto"]
FORBIDDEN_EDGES = {
    ("coordinator", "node"), ("client", "node"), ("client", "replication"), ("node", "client"),
    ("replication", "model"),
}
# What both ends of the data and cache services share; nodes know nothing else of client/.
SHARED_HEADERS = {("node", "client/data_server.h"), ("node", "client/cache_frames.h")}
# A call or header, where it is allowed, and why nowhere else.
BANNED = [
    (r"\bGetSnapshot\(\)", (), "LevelDB 1.23 can resurrect deleted data under a snapshot: use iterators"),
    (r"\bRepairDB\b", (), "a damaged replica is rebuilt from its peers, never repaired in place"),
    (r"\bstd::(recursive_|shared_)?mutex\b|\babsl::Mutex\b", ("common/mutex.h", "tests/"), "use common/mutex.h"),
    (r"\b(steady_clock|system_clock|high_resolution_clock|clock_gettime|gettimeofday)\b",
     ("common/clock.cc", "common/executor.cc", "common/grpc_network.cc", "tests/", "client/bench"), "time comes in through common/clock.h"),
    (r"\bstd::(random_device|mt19937|rand)\b|\brand\(\)", (), "randomness comes in through common/random.h"),
    (r"\b(sleep_for|usleep|nanosleep)\b", ("common/clock.cc", "tests/"), "post a timer to an executor instead"),
    (r"\bstd::(thread|async|jthread)\b", ("common/", "tests/"), "threads come from common/executor.h"),
    (r"\bfopen\(|\bstd::(o|i)?fstream\b|::open\(", ("common/", "tests/", "client/"), "files come in through common/file_system.h"),
    (r"#include <(grpc|grpcpp)/", ("common/grpc_network", "tests/"), "gRPC stays behind common/network.h"),
    (r"#include <leveldb/|#include \"leveldb/", ("node/", "tests/"), "only node/ knows LevelDB"),
    (r"\bstd::unordered_(map|set)\b", ("tests/",), "iteration order must not reach a message, the log or a hash"),
]
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|\b[Ff]or now\b")
LINE_LENGTH_MAX = 100
FUNCTION_LENGTH_MAX = 70
FILE_LENGTH_MAX = 600
NOT_A_FUNCTION = re.compile(r"\b(namespace|class|struct|enum|union|extern)\b")


def layer_of(path):
    top = path.split("/")[0]
    return top if top in LAYERS else None


def check_layering(path, lines):
    """A file includes only its own layer and those below it."""
    layer = layer_of(path)
    if layer is None:
        return
    for number, line in enumerate(lines, 1):
        match = re.match(r'#include "(([a-z]+)/[^"]*)', line)
        other = match and match.group(2)
        if other == "tests":
            yield number, "production code includes test code"
        if other not in LAYERS or other == layer or (layer, match.group(1)) in SHARED_HEADERS:
            continue
        if LAYERS.index(other) < LAYERS.index(layer) or (layer, other) in FORBIDDEN_EDGES:
            yield number, f"{layer}/ must not know {other}/"


def check_lengths(path, lines):
    """Lines, functions and files stay readable."""
    for number, line in enumerate(lines, 1):
        # A test's expected text stays in one piece: clang-format leaves literals alone.
        whole_text = path.startswith("tests/") and '"' in line
        if len(line) > LINE_LENGTH_MAX and "://" not in line and not whole_text:
            yield number, f"{len(line)} columns; at most {LINE_LENGTH_MAX}"
    if len(lines) > FILE_LENGTH_MAX:
        yield FILE_LENGTH_MAX, f"{len(lines)} lines; is there a second idea in it that wants a file of its own?"
    opened = []
    for number, line in enumerate(lines, 1):
        indent = len(line) - len(line.lstrip())
        if opened and line.strip().startswith("}") and indent == opened[-1][1]:
            start, _, is_function = opened.pop()
            if is_function and number - start > FUNCTION_LENGTH_MAX:
                yield start, f"a function of {number - start} lines; at most {FUNCTION_LENGTH_MAX}"
        if line.rstrip().endswith("{") and not line.lstrip().startswith(("//", "#")):
            first = number - 1
            while first > 0 and indent == 4 and not lines[first - 1].strip().endswith((";", "}", "{", "")):
                first -= 1
            opened.append((number, indent, not NOT_A_FUNCTION.search(line)))


def check_banned(path, lines):
    """Calls that an invariant of the project rules out."""
    for number, line in enumerate(lines, 1):
        code = line.split("//")[0]
        for pattern, allowed, reason in BANNED:
            if re.search(pattern, code) and not path.startswith(tuple(allowed)):
                yield number, f"{re.search(pattern, code).group(0)}: {reason}"


def check_finished(path, lines):
    """Nothing is left for later in the code."""
    for number, line in enumerate(lines, 1):
        if UNFINISHED.search(line):
            yield number, "reads like unfinished work"


def check_guard(path, lines):
    """A header's guard is its path."""
    if not path.endswith(".h"):
        return
    guard = "RINGLEADER_" + re.sub(r"[^A-Z0-9]", "_", path.upper()) + "_"
    if not any(line == f"#ifndef {guard}" for line in lines):
        yield 1, f"the include guard should be {guard}"


RULES = [check_layering, check_lengths, check_banned, check_finished, check_guard]


def check_format(paths):
    """clang-format has nothing to change."""
    result = subprocess.run(["clang-format", "--dry-run", *paths], cwd=ROOT, capture_output=True, text=True)
    for match in re.finditer(r"^(\S+?):(\d+):\d+: warning: (.*)$", result.stderr, re.M):
        yield match.group(1), int(match.group(2)), "clang-format would change this line"


def check_pages():
    """Each folder of the house has its page."""
    for folder in LAYERS:
        if os.path.isdir(f"{ROOT}/{folder}") and os.listdir(f"{ROOT}/{folder}"):
            if not os.path.exists(f"{ROOT}/{folder}/README.md"):
                yield folder, 1, "has no README.md: what it does, data flow, formats, failure cases"


def source_files():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.cc", "*.h"], cwd=ROOT,
                            capture_output=True, text=True, check=True).stdout.split()
    return [path for path in listed if os.path.exists(f"{ROOT}/{path}")]


def main():
    findings, paths = [], source_files()
    for path in paths:
        with open(f"{ROOT}/{path}", encoding="utf-8") as file:
            lines = file.read().split("\n")
        for rule in RULES:
            findings += [(path, number, message) for number, message in rule(path, lines)]
    findings += list(check_format(paths)) + list(check_pages())
    for path, number, message in findings:
        print(f"{path}:{number}: {message}")
    checks = len(paths) * (len(RULES) + 1)
    print(f"{max(checks - len(findings), 0)} passed, {len(findings)} failed")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
