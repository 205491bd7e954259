"""Protects what a growing cluster promises: a node that joins a loaded cluster gets its share, little more than the minimum
moves, nothing fails meanwhile. Closing line: `N passed, N failed`."""

import sys
import unittest

sys.dont_write_bytecode = True
from cluster import Cluster, await_true, is_even, run_tests  # noqa: E402  (beside this file)
from history import History  # noqa: E402


class MovesTest(unittest.TestCase):
    def test_a_fifth_node_joins_a_loaded_cluster_of_four(self):
        partitions, replicas = 64, 3
        with Cluster(nodes=4, partitions=partitions) as cluster, History(cluster) as history:
            # The fourth may have come when the cluster had formed with three: its own share moves first.
            cluster.await_even(4, partitions * replicas)
            before = cluster.places()
            cluster.add_node("node-4")
            cluster.await_even(5, partitions * replicas)
            quota = partitions * replicas / 5
            moved = len(cluster.places() - before)
            self.assertLessEqual(moved, 1.05 * quota, f"{moved} replicas moved; the new node's share is {quota}")
            await_true(120, lambda: is_even(cluster.leaders_by_node(), 5, partitions),
                       lambda: f"leaders by node: {cluster.leaders_by_node()}")
            result = history.stop()
            self.assertEqual((result["refused"], result["unknown"]), (0, 0), result)


if __name__ == "__main__":
    run_tests()
