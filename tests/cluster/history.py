"""Clients under checked load: ring-history beside a cluster that is being broken.

    with History(cluster) as history:
        cluster.kill("node-0") ...
        result = history.stop()          # the last line of ring-history, as a dict, after its check passed

Several processes, so that one changes what another, which stands still or is dead, holds in its memory:

    with SharedHistory(cluster) as shared:
        writers, readers = shared.add("--clients", "4"), shared.add("--reads-percent", "100")
        readers.kill() ...
        readers.start()
        results = shared.stop()          # each one's last line; what all of them saw was checked together
"""

import json
import subprocess
import threading

from cluster import BIN


class History:
    def __init__(self, cluster, *words, table="history", seconds=300, launcher=()):
        """`launcher`: words before the command, which replace themselves by it."""
        self.words = [*launcher, f"{BIN}/ring-history", "--coordinators", cluster.coordinators, "--table", table,
                      "--seconds", str(seconds), *words]
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)
        self.await_line("running", seconds=120)

    def await_line(self, line, seconds):
        said = []
        overdue = threading.Timer(seconds, self.process.kill)
        overdue.start()
        while not said or said[-1] not in (f"{line}\n", ""):
            said.append(self.process.stdout.readline())
        overdue.cancel()
        if said[-1] == "":
            raise AssertionError(f"{' '.join(self.words)} did not say {line} within {seconds} s, but ended:\n{''.join(said)}")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.kill()

    def stop(self, seconds=300):
        """Ends the load, checks the history; raises unless it is linearizable and every key could be written and read at last."""
        output, _ = self.process.communicate(timeout=seconds)  # closes its input, which stops it
        if self.process.returncode != 0:
            raise AssertionError(f"{' '.join(self.words)} ended with {self.process.returncode}:\n{output}")
        return json.loads(output.strip().splitlines()[-1])


class ShareOfHistory(History):
    """One process of a SharedHistory. Each start has a file and values of its own, so what a killed one did still counts."""

    def __init__(self, shared, *words, **options):
        super().__init__(shared.cluster, *words, table=shared.table, **options)
        self.shared, self.words_before = shared, self.words

    def start(self):
        self.words = [*self.words_before, *self.shared.next_file()]
        super().start()

    def halt(self):
        """The load ends, and then what this process changes."""
        self.process.stdin.write("halt\n")
        self.process.stdin.flush()


class SharedHistory:
    def __init__(self, cluster, name="history"):
        """`name`: of the table, and of the files in the cluster's directory."""
        self.cluster, self.table = cluster, name
        self.processes, self.files = [], []

    def next_file(self):
        number = len(self.files)
        self.files.append(f"{self.cluster.directory}/{self.table}-{number}.jsonl")
        return ["--process", str(number), "--file", self.files[number]]

    def add(self, *words, **options):
        """Starts a process more, and returns its History."""
        self.processes.append(ShareOfHistory(self, *words, **options))
        self.processes[-1].start()
        return self.processes[-1]

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for process in self.processes:
            process.__exit__(*exception)

    def stop(self, seconds=300):
        """Ends the load of all, then checks; raises as History.stop() does."""
        for process in self.processes:
            process.halt()
        for process in self.processes:  # what they read at last, no other may change
            process.await_line("stopped", seconds)
        results = [process.stop(seconds) for process in self.processes]
        self.check()
        return results

    def check(self):
        words = [f"{BIN}/ring-history", "--check", ",".join(self.files)]
        result = subprocess.run(words, capture_output=True, text=True)
        if result.returncode != 0:
            raise AssertionError(f"{' '.join(words)} ended with {result.returncode}:\n{result.stdout}{result.stderr}")

    def events(self):
        """Of all processes, as history.h has them, without what has no outcome yet."""
        for path in self.files:
            with open(path) as file:
                for line in file:
                    event = json.loads(line) if line.endswith("\n") else {"return_ns": 0}  # torn, if it was killed
                    if event["return_ns"] > 0:
                        yield event
