"""Clients under checked load: ring-history beside a cluster that is being broken.

    with History(cluster) as history:
        cluster.kill("node-0") ...
        result = history.stop()          # the last line of ring-history, as a dict, after its check passed
"""

import json
import subprocess

from cluster import BIN


class History:
    def __init__(self, cluster, *words, table="history", seconds=300):
        self.words = [f"{BIN}/ring-history", "--coordinators", cluster.coordinators, "--table", table,
                      "--seconds", str(seconds), *words]
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)
        first = self.process.stdout.readline()
        if first.strip() != "running":
            raise AssertionError(f"{' '.join(self.words)}: {first}{self.process.stdout.read()}")

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
        """Ends the load, checks the history; raises unless it is linearizable and every key could be read at last."""
        output, _ = self.process.communicate(timeout=seconds)  # closes its input, which stops it
        if self.process.returncode != 0:
            raise AssertionError(f"{' '.join(self.words)} ended with {self.process.returncode}:\n{output}")
        return json.loads(output.strip().splitlines()[-1])
