"""Protects clients that reach nothing but coordinators: while a node and then coordinators are killed, nothing that was
acknowledged is lost and nothing is done twice. Closing line: `N passed, N failed`."""

import json
import sys
import threading
import time
import unittest

sys.dont_write_bytecode = True
from cluster import Cluster, run_tests  # noqa: E402  (beside this file)

ROUTE = ("--route", "coordinators")
ITEMS = 4000
COUNTERS = 4


class Counting:
    """Adds one to counters, a process for each addition, until it is stopped."""

    def __init__(self, cluster):
        self.cluster, self.stopped = cluster, threading.Event()
        self.acknowledged, self.errors = [0] * COUNTERS, []
        self.threads = [threading.Thread(target=self.run, args=(which,)) for which in range(COUNTERS)]
        for thread in self.threads:
            thread.start()

    def run(self, which):
        while not self.stopped.is_set():
            result = self.cluster.ringctl(*ROUTE, "--timeout-ms", "30000", "update", "counters",
                                          json.dumps({"id": f"counter-{which}"}), "ADD n :one",
                                          "--values", '{":one": 1}', check=False)
            if result.returncode == 0:
                self.acknowledged[which] += 1
            else:
                self.errors.append(result.stderr)

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


class DoorsTest(unittest.TestCase):
    def test_nothing_is_lost_or_done_twice_through_coordinators(self):
        rows = [{"id": f"item-{number:06d}", "number": number} for number in range(ITEMS)]
        # Linearizable reads by a round of the group's heartbeats.
        with Cluster(coordinators=3, node_options=("--read-mode", "quorum")) as cluster:
            for table in ("things", "counters"):
                cluster.ringctl("table", "create", table, "--key", "id:S")
            path = f"{cluster.directory}/rows.json"
            with open(path, "w") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)
            counting = Counting(cluster)
            imported = []
            importing = threading.Thread(target=lambda: imported.append(
                cluster.ringctl(*ROUTE, "--timeout-ms", "30000", "import", "things", path, check=False,
                                seconds=300)))
            importing.start()
            time.sleep(1)
            cluster.kill("node-1")
            time.sleep(4)
            cluster.start("node-1")
            # The one that clients ask first.
            cluster.kill("coordinator-0")
            time.sleep(4)
            cluster.start("coordinator-0")
            time.sleep(2)
            cluster.kill("coordinator-1")
            time.sleep(4)
            cluster.start("coordinator-1")
            importing.join()
            counting.stop()
            cluster.await_health(60)
            self.assertEqual(imported[0].returncode, 0, imported[0].stdout + imported[0].stderr)
            self.assertEqual(counting.errors, [])
            for which in range(COUNTERS):
                self.assertGreater(counting.acknowledged[which], 5)
                got = cluster.ringctl(*ROUTE, "get", "counters", json.dumps({"id": f"counter-{which}"})).stdout
                self.assertEqual(json.loads(got)["n"], counting.acknowledged[which])
            self.check_reads(cluster, rows)

    def check_reads(self, cluster, rows):
        """Scans and reads of both consistencies through a coordinator."""
        path = f"{cluster.directory}/things.export"
        cluster.ringctl(*ROUTE, "export", "things", path)
        with open(path) as file:
            exported = [json.loads(line) for line in file]
        self.assertEqual(sorted(exported, key=lambda row: row["id"]), rows)
        key = json.dumps({"id": rows[7]["id"]})
        for consistency in ((), ("--eventual",)):
            got = cluster.ringctl(*ROUTE, "get", "things", key, *consistency).stdout
            self.assertEqual(json.loads(got), rows[7])
        missing = cluster.ringctl(*ROUTE, "get", "nowhere", key, check=False)
        self.assertEqual(missing.returncode, 1)
        self.assertIn("not found", missing.stderr)


if __name__ == "__main__":
    run_tests()
