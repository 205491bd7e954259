"""A real cluster of processes on loopback for tests: free ports, a directory of its own, kill, pause, restart.

Every process is started here and ended here, by its pid; nothing else on the machine is touched.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import unittest
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.join(ROOT, "build", "bin")


GIVEN_PORTS = set()


def free_port():
    """A port nobody listens on, given once, and outside the range from which connections take their own
    ports: else one of those may hold it when its process starts, at once or after a kill."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        first, last = map(int, file.read().split())
    outside = [port for port in range(10000, 65536) if not first <= port <= last]
    ports = outside or range(10000, 65536)
    for port in random.sample(ports, min(1000, len(ports))):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            if port not in GIVEN_PORTS:
                GIVEN_PORTS.add(port)
                return port
    raise AssertionError("no free port was found")


def await_true(seconds, is_so, explain, every=0.3):
    """Until is_so() holds; explain() says what is there instead when the time is over."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {explain()}")
        time.sleep(every)


def is_even(counts, nodes, total):
    """Every node has the even share of `total` within a tenth, or within one where a tenth is less than a whole."""
    quota = total / nodes
    slack = max(1.0, 0.1 * quota)
    return len(counts) == nodes and all(abs(count - quota) <= slack for count in counts.values())


def run_tests():
    """The main of every test file here: runs the TestCases of the file, or those that its arguments name."""
    try:
        result = unittest.main(module="__main__", exit=False, verbosity=2).result
        failed = len(result.failures) + len(result.errors)
        print(f"{result.testsRun - failed} passed, {failed} failed")
    except Exception:
        traceback.print_exc()
        print("0 passed, 1 failed")
        failed = 1
    sys.exit(1 if failed else 0)


class Cluster:
    """with Cluster(nodes=3) as cluster: ..."""

    def __init__(self, nodes=3, coordinators=1, partitions=16, replicas=3, node_options=(),
                 coordinator_options=()):
        self.directory = tempfile.mkdtemp(prefix="ringleader-test-")
        self.coordinator_addresses = [self.new_address(f"coordinator-{number}") for number in range(coordinators)]
        self.coordinators = ",".join(self.coordinator_addresses)
        self.beneath = contextlib.ExitStack()  # what the processes stand on: ends after them
        self.processes = {}
        self.commands = {}
        self.admin_addresses = {}
        for number in range(coordinators):
            self.commands[f"coordinator-{number}"] = [
                f"{BIN}/ring-coordinator", "--id", str(number), "--coordinators", self.coordinators,
                "--data", f"{self.directory}/coordinator-{number}", "--partitions", str(partitions),
                "--replicas", str(replicas), "--admin-listen", self.admin_address(f"coordinator-{number}"),
                *coordinator_options]
        self.node_addresses = {}
        for number in range(nodes):
            self.define_node(f"node-{number}", *node_options)

    def define_node(self, name, *options):
        self.node_addresses[name] = self.new_address(name)
        self.commands[name] = [f"{BIN}/ring-node", "--coordinators", self.coordinators,
                               "--data", f"{self.directory}/{name}", "--listen", self.node_addresses[name],
                               "--admin-listen", self.admin_address(name), *options]

    def add_node(self, name, *options):
        self.define_node(name, *options)
        self.start(name)

    def __enter__(self):
        try:
            for name in self.commands:
                self.start(name)
            self.await_health(60)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, *exception):
        for name, process in self.processes.items():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
        if exception[0] is not None:
            for name in self.commands:
                print(f"--- {name}{self.ending(name)}: the end of its log\n{self.log(name)}")
        self.beneath.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def admin_address(self, name):
        """Where the process of that name serves /metrics, /healthz and /readyz."""
        if name not in self.admin_addresses:
            self.admin_addresses[name] = self.new_address(name)
        return self.admin_addresses[name]

    def new_address(self, name):
        """host:port for the process of that name; its namespace says otherwise in network.py."""
        return f"127.0.0.1:{free_port()}"

    def launcher(self, name):
        """Words before the command of the process of that name, which replace themselves by it."""
        return []

    def start(self, name):
        with open(f"{self.directory}/{name}.log", "a") as log:
            self.processes[name] = subprocess.Popen([*self.launcher(name), *self.commands[name]], stdout=log, stderr=log,
                                                    stdin=subprocess.DEVNULL)

    def kill(self, name):
        self.processes[name].kill()
        self.processes[name].wait()

    def terminate(self, name, seconds=60):
        """SIGTERM; returns the exit code."""
        self.processes[name].terminate()
        return self.processes[name].wait(timeout=seconds)

    def pause(self, name):
        self.processes[name].send_signal(signal.SIGSTOP)

    def resume(self, name):
        self.processes[name].send_signal(signal.SIGCONT)

    def ending(self, name):
        """Words on how the process of that name ended, if it did by itself."""
        code = self.processes[name].returncode if name in self.processes else None
        return "" if code in (None, -signal.SIGKILL) else f" (ended with {code})"

    def page(self, name, path):
        """(HTTP status, text) of a page of the process's admin server."""
        try:
            with urllib.request.urlopen(f"http://{self.admin_addresses[name]}{path}", timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name, metric):
        """The sum of a metric of the process over those of its labels that stand in `metric`."""
        lines = self.page(name, "/metrics")[1].splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(metric))

    def log(self, name, lines=15):
        if not os.path.exists(f"{self.directory}/{name}.log"):
            return ""
        with open(f"{self.directory}/{name}.log") as file:
            return "".join(file.readlines()[-lines:])

    def ringctl(self, *words, seconds=120, check=True, stdin=None):
        result = subprocess.run([f"{BIN}/ringctl", "--coordinators", self.coordinators, *words], text=True,
                                capture_output=True, timeout=seconds, input=stdin)
        if check and result.returncode != 0:
            raise AssertionError(f"ringctl {' '.join(words)} ended with {result.returncode}:\n"
                                 f"{result.stdout}{result.stderr}")
        return result

    def await_health(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            result = self.ringctl("health", check=False)
            if result.returncode == 0:
                return
            time.sleep(0.3)
        raise AssertionError(f"not healthy within {seconds} s: {result.stdout}{result.stderr}")

    # --- What the coordinators say ----------------------------------------------------------------

    def status(self):
        return json.loads(self.ringctl("--output", "json", "status").stdout)

    def partitions(self):
        """Rows of `partition list`, all values strings."""
        return json.loads(self.ringctl("--output", "json", "partition", "list").stdout)

    def metadata_leader(self):
        """The name of the coordinator that leads."""
        for coordinator in self.status()["coordinators"]:
            if coordinator.get("leader"):
                return f"coordinator-{self.coordinator_addresses.index(coordinator['address'])}"
        raise AssertionError("no coordinator leads")

    def node_id(self, name):
        """The newest id that the cluster knows this node's address by."""
        return max(int(node["id"]) for node in self.status()["nodes"] if node["address"] == self.node_addresses[name])

    def places(self):
        """(partition, node) of every replica."""
        return {(int(row["partition"]), int(node.split()[0]))
                for row in self.partitions() for node in row["nodes"].split(", ") if node}

    def replicas_by_node(self):
        counts = {}
        for _, node in self.places():
            counts[node] = counts.get(node, 0) + 1
        return counts

    def leaders_by_node(self):
        counts = {int(node["id"]): 0 for node in self.status()["nodes"] if node.get("alive")}
        for row in self.partitions():
            if row["leader"] != "-":
                counts[int(row["leader"])] = counts.get(int(row["leader"]), 0) + 1
        return counts

    def is_settled(self):
        """Every partition has its replicas, all of them voters, and none moves."""
        rows = self.partitions()
        return all(not row["moving"] and "learner" not in row["nodes"] and row["quorum"] == "yes" for row in rows) and all(
            int(one.get("replicas_alive", 0)) >= int(one.get("replicas_wanted", 0)) for one in self.status()["partitions"])

    def await_even(self, nodes, replicas):
        """Until the nodes share the replicas evenly and nothing moves, in five looks in a row: between two moves nothing moves either."""
        looks = 0

        def is_so():
            nonlocal looks
            looks = looks + 1 if self.is_settled() and is_even(self.replicas_by_node(), nodes, replicas) else 0
            return looks == 5

        await_true(240, is_so, lambda: f"replicas by node: {self.replicas_by_node()}")

    def exported(self, table):
        """The items of a table as a list of objects."""
        path = f"{self.directory}/{table}.export"
        self.ringctl("export", table, path)
        with open(path) as file:
            return [json.loads(line) for line in file]
