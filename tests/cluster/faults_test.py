"""Protects the promises under faults of real processes: no acknowledged write lost and no wrong answer while nodes and
coordinators are killed, paused, wiped; no failed request in a planned drain; leaders return to even by themselves.
Closing line: `N passed, N failed`."""

import json
import os
import shutil
import signal
import sys
import time
import unittest

sys.dont_write_bytecode = True
from cluster import Cluster, await_true, run_tests  # noqa: E402  (beside this file)
from history import History, SharedHistory  # noqa: E402


class FaultsTest(unittest.TestCase):
    def test_kills_and_pauses_of_nodes_and_of_the_metadata_leader(self):
        with Cluster(nodes=3, coordinators=3) as cluster, History(cluster) as history:
            for name in ("node-0", "node-1", "node-2"):
                cluster.kill(name)
                time.sleep(2)
                cluster.start(name)
                cluster.await_health(60)
            leader = cluster.metadata_leader()
            cluster.kill(leader)
            time.sleep(3)
            cluster.kill("node-0")  # the new metadata leader has work
            cluster.start(leader)
            cluster.start("node-0")
            cluster.await_health(60)
            # A paused leader of partitions must not answer from what it knew when it wakes up.
            for name in ("node-1", cluster.metadata_leader(), "node-2"):
                cluster.pause(name)
                time.sleep(3)
                cluster.resume(name)
                time.sleep(1)
            cluster.await_health(60)
            print(history.stop())
            # Leaders return to even by themselves: within one of each other, or as near as replicas allow.
            await_true(120, lambda: spread(cluster.leaders_by_node()) <= 1,
                       lambda: f"leaders by node: {cluster.leaders_by_node()}")

    def test_no_read_from_memory_is_stale_when_holders_and_leaders_die_or_stand_still(self):
        with Cluster(nodes=3, coordinators=1) as cluster, SharedHistory(cluster) as shared:
            shared.add("--caching", "6", "--reads-percent", "90", "--operations-min", "1000")
            other = shared.add("--caching", "8", "--reads-percent", "95")
            time.sleep(3)
            # The command that says who holds what: every node is asked, and the last line is their sum.
            def is_held():
                held = json.loads(cluster.ringctl("--output", "json", "cache").stdout)
                self.assertEqual([one["node"] for one in held["nodes"]][-1], "all")
                self.assertEqual((len(held["nodes"]), held["unreachable"]), (4, []))
                return int(held["nodes"][-1]["items"]) > 0 and any(int(one["items"]) > 0 for one in held["sessions"])
            await_true(30, is_held, lambda: cluster.ringctl("cache").stdout)
            for name in ("node-0", "node-1"):
                cluster.kill(name)
                time.sleep(3)
                cluster.start(name)
                cluster.await_health(60)
                time.sleep(2)
            # A process that holds items stands still for longer than a lease, while the other one goes on writing the same, and
            # reads them when it wakes up; then their leaders do. Once is not enough: it soon hears what it missed.
            for _ in range(4):
                os.kill(other.process.pid, signal.SIGSTOP)
                time.sleep(3)
                os.kill(other.process.pid, signal.SIGCONT)
                time.sleep(1)
            cluster.pause("node-2")
            time.sleep(4)
            cluster.resume("node-2")
            time.sleep(2)
            self.assertEqual(cluster.terminate("node-0"), 0)
            cluster.start("node-0")
            cluster.await_health(60)
            time.sleep(2)
            for result in shared.stop():
                print(result)
                self.assertGreater(result["cache_hits"], 1000)
                self.assertGreater(result["notices"], 100)

    def test_a_planned_drain_fails_no_request(self):
        with Cluster(nodes=4, coordinators=1) as cluster, History(cluster, "--operations-min", "500") as history:
            time.sleep(1)
            self.assertEqual(cluster.terminate("node-1"), 0)  # SIGTERM: hands its leaderships over
            cluster.start("node-1")
            cluster.await_health(60)
            node = cluster.node_id("node-2")
            cluster.ringctl("node", "drain", str(node))
            await_true(120, lambda: cluster.replicas_by_node().get(node, 0) == 0,
                       lambda: f"replicas by node: {cluster.replicas_by_node()}")
            cluster.ringctl("node", "undrain", str(node))
            result = history.stop()
            self.assertEqual((result["refused"], result["unknown"]), (0, 0), result)

    def test_wiped_disks_come_back_by_snapshot_never_as_empty_voters(self):
        with Cluster(nodes=3, coordinators=3) as cluster:
            cluster.ringctl("table", "create", "things", "--key", "id:S")
            rows = "".join(f'{{"id": "item-{number}", "number": {number}}}\n' for number in range(3000))
            cluster.ringctl("import", "things", "-", stdin=rows)
            with History(cluster) as history:
                old = cluster.node_id("node-1")
                cluster.kill("node-1")
                shutil.rmtree(f"{cluster.directory}/node-1")
                cluster.start("node-1")
                # It returns under a new id and is filled; the old id is a member nowhere.
                await_true(180, lambda: cluster.node_id("node-1") != old
                           and cluster.replicas_by_node().get(old, 0) == 0
                           and cluster.is_settled(),
                           lambda: f"replicas by node: {cluster.replicas_by_node()}\n{cluster.log('node-1')}")
                leader = cluster.metadata_leader()
                cluster.kill(leader)
                shutil.rmtree(f"{cluster.directory}/{leader}")
                cluster.start(leader)
                await_true(60, lambda: all(one.get("alive") for one in cluster.status()["coordinators"]),
                           lambda: str(cluster.status()["coordinators"]))
                # With the wiped ones back, the others may go: whatever an empty voter agreed to would be lost now.
                time.sleep(2)
                cluster.kill("node-0")
                time.sleep(4)
                cluster.start("node-0")
                other = next(name for name in ("coordinator-0", "coordinator-1", "coordinator-2") if name != leader)
                cluster.kill(other)
                time.sleep(2)
                cluster.start(other)
                cluster.await_health(60)
                print(history.stop())
            self.assertEqual(len(cluster.exported("things")), 3000)


def spread(counts):
    return max(counts.values()) - min(counts.values()) if counts else 0


if __name__ == "__main__":
    run_tests()
