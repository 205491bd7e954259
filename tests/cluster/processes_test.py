"""Protects what users see of real processes: nothing acknowledged is lost when they are killed, everything is there
after all of them are, a planned stop fails no request, and errors say what to do. Closing line: `N passed, N failed`."""

import json
import os
import subprocess
import sys
import threading
import time
import unittest

sys.dont_write_bytecode = True
from cluster import BIN, Cluster, await_true, run_tests  # noqa: E402  (beside this file)


def items(count):
    return [{"id": f"item-{number:06d}", "number": number, "tags": ["a", "b"], "nested": {"deep": number * 1.5}}
            for number in range(count)]


def by_id(rows):
    return {row["id"]: row for row in rows}


class ProcessesTest(unittest.TestCase):
    def load(self, cluster, rows):
        path = f"{cluster.directory}/rows.json"
        with open(path, "w") as file:
            for row in rows:
                file.write(json.dumps(row) + "\n")
        results = []
        return threading.Thread(target=lambda: results.append(
            cluster.ringctl("import", "things", path, check=False, seconds=300))), results

    def check_table(self, cluster, rows):
        exported = cluster.exported("things")
        self.assertEqual(len(exported), len(rows), "an item is missing or there twice")
        self.assertEqual(by_id(exported), by_id(rows))

    def test_an_import_loses_nothing_while_nodes_are_killed(self):
        rows = items(6000)
        with Cluster() as cluster:
            cluster.ringctl("table", "create", "things", "--key", "id:S")
            importing, results = self.load(cluster, rows)
            importing.start()
            for name in ("node-0", "node-1", "node-2"):
                time.sleep(0.5)
                cluster.kill(name)
                time.sleep(2)
                cluster.start(name)
                cluster.await_health(60)
            importing.join()
            self.assertEqual(results[0].returncode, 0, results[0].stdout + results[0].stderr)
            self.check_table(cluster, rows)
            # All processes at once: everything acknowledged is there afterwards.
            for name in cluster.commands:
                cluster.kill(name)
            for name in cluster.commands:
                cluster.start(name)
            cluster.await_health(60)
            self.check_table(cluster, rows)

    def test_a_planned_stop_of_a_node_fails_no_request(self):
        with Cluster() as cluster:
            cluster.ringctl("table", "create", "things", "--key", "id:S")
            rows = items(3000)
            importing, results = self.load(cluster, rows)
            importing.start()
            time.sleep(0.3)
            self.assertEqual(cluster.terminate("node-1"), 0)
            importing.join()
            self.assertEqual(results[0].returncode, 0, results[0].stdout + results[0].stderr)
            cluster.start("node-1")
            cluster.await_health(60)
            self.check_table(cluster, rows)

    def test_an_export_writes_what_is_there_and_names_the_partitions_that_are_away(self):
        with Cluster(nodes=3, replicas=1, partitions=8) as cluster:
            cluster.ringctl("table", "create", "things", "--key", "id:S")
            rows = items(400)
            cluster.ringctl("import", "things", "-", stdin="".join(json.dumps(row) + "\n" for row in rows))
            self.check_table(cluster, rows)
            # A node that came when the others had formed the cluster gets its share now; a partition that moves names two nodes.
            cluster.await_even(3, 8)
            away = cluster.node_id("node-1")
            lost = sorted(int(row["partition"]) for row in cluster.partitions() if row["nodes"] == str(away))
            self.assertTrue(lost)
            cluster.kill("node-1")
            path = f"{cluster.directory}/partial.export"
            partial = cluster.ringctl("--timeout-ms", "2000", "export", "things", path, check=False)
            self.assertNotEqual(partial.returncode, 0)
            names = ", ".join(map(str, lost))
            self.assertIn(f"{len(lost)} of 8 partitions could not be read: {names}", partial.stderr)
            with open(path) as file:
                exported = [json.loads(line) for line in file]
            self.assertGreater(len(exported), 0)
            self.assertLess(len(exported), len(rows))
            expected = by_id(rows)
            for row in exported:
                self.assertEqual(row, expected[row["id"]])
            cluster.start("node-1")
            cluster.await_health(60)
            self.check_table(cluster, rows)

    def test_a_coordinator_that_starts_often_keeps_a_short_log(self):
        starts = 14
        with Cluster(nodes=1, replicas=1, partitions=4) as cluster:

            def segments():
                return sorted(name for name in os.listdir(f"{cluster.directory}/coordinator-0/log") if name.endswith(".segment"))

            for _ in range(starts):
                cluster.kill("coordinator-0")
                cluster.start("coordinator-0")
                cluster.await_health(60)
            # Each start made one, and the next start would read them all: eight, and the one that is written.
            self.assertGreater(int(segments()[-1].split(".")[0]), starts)
            await_true(60, lambda: len(segments()) <= 9, segments)

    def test_mistakes_are_told_clearly(self):
        with Cluster(nodes=1, replicas=1, partitions=4) as cluster:
            unknown = cluster.ringctl("get", "nowhere", '{"id": "x"}', check=False)
            self.assertNotEqual(unknown.returncode, 0)
            self.assertIn("not found", unknown.stderr)
            taken = subprocess.run(
                [f"{BIN}/ring-node", "--coordinators", cluster.coordinators, "--data", f"{cluster.directory}/other",
                 "--listen", cluster.coordinator_addresses[0], "--admin-listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=60)
            self.assertNotEqual(taken.returncode, 0)
            self.assertIn(cluster.coordinator_addresses[0], taken.stderr)
            used = subprocess.run(cluster.commands["node-0"], capture_output=True, text=True, timeout=60)
            self.assertNotEqual(used.returncode, 0)
            option = subprocess.run([f"{BIN}/ring-node", "--nonsense"], capture_output=True, text=True, timeout=60)
            self.assertEqual(option.returncode, 2)
            self.assertIn("--nonsense", option.stderr)


if __name__ == "__main__":
    run_tests()
