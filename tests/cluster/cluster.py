"""A real cluster of processes on loopback for tests: free ports, a directory of its own, kill, pause, restart.

Every process is started here and ended here, by its pid; nothing else on the machine is touched.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.join(ROOT, "build", "bin")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Cluster:
    """with Cluster(nodes=3) as cluster: ..."""

    def __init__(self, nodes=3, coordinators=1, partitions=16, replicas=3):
        self.directory = tempfile.mkdtemp(prefix="ringleader-test-")
        self.coordinator_addresses = [f"127.0.0.1:{free_port()}" for _ in range(coordinators)]
        self.coordinators = ",".join(self.coordinator_addresses)
        self.processes = {}
        self.commands = {}
        for number in range(coordinators):
            self.commands[f"coordinator-{number}"] = [
                f"{BIN}/ring-coordinator", "--id", str(number), "--coordinators", self.coordinators,
                "--data", f"{self.directory}/coordinator-{number}", "--partitions", str(partitions),
                "--replicas", str(replicas)]
        for number in range(nodes):
            self.commands[f"node-{number}"] = [
                f"{BIN}/ring-node", "--coordinators", self.coordinators, "--data", f"{self.directory}/node-{number}",
                "--listen", f"127.0.0.1:{free_port()}"]

    def __enter__(self):
        for name in self.commands:
            self.start(name)
        self.await_health(60)
        return self

    def __exit__(self, *exception):
        for name, process in self.processes.items():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
        if exception[0] is not None:
            for name in self.commands:
                print(f"--- {name}: the end of its log\n{self.log(name)}")
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self, name):
        with open(f"{self.directory}/{name}.log", "a") as log:
            self.processes[name] = subprocess.Popen(self.commands[name], stdout=log, stderr=log,
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

    def log(self, name, lines=15):
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

    def exported(self, table):
        """The items of a table as a list of objects."""
        path = f"{self.directory}/{table}.export"
        self.ringctl("export", table, path)
        with open(path) as file:
            return [json.loads(line) for line in file]
