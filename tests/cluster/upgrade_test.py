"""Protects upgrades of a running cluster: process by process under checked load, back as long as the cluster's version
is not raised, and no way back afterwards. The programs are today's, but claim to be older or newer builds
(common/cluster_version.h). Closing line: `N passed, N failed`."""

import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
from cluster import BIN, Cluster, await_true, run_tests  # noqa: E402  (beside this file)
from history import History  # noqa: E402

OLD, NEW, NEWER = "1-1", "1-2", "2-3"


class MixedCluster(Cluster):
    """Each process claims to run the cluster versions in `claims`."""

    def __init__(self, claim, **options):
        super().__init__(**options)
        for words in self.commands.values():
            words[0] = words[0].replace(BIN, f"{BIN}/claimed")
        self.claims = {name: claim for name in self.commands}

    def launcher(self, name):
        return ["env", f"RINGLEADER_CLAIMED_VERSIONS={self.claims[name]}"]

    def replace(self, name, claim):
        """By another build, as an operator does: stopped in order, started, waited for."""
        code = self.terminate(name)
        if code != 0:
            raise AssertionError(f"{name} ended with {code}:\n{self.log(name)}")
        self.claims[name] = claim
        self.start(name)
        self.await_health(60)
        await_true(30, lambda: self.runs(name) == claim, lambda: f"{name}: {self.version()}")

    def version(self):
        return self.ringctl("cluster", "version").stdout

    def runs(self, name):
        """What the cluster knows that the newest process of this name can run, as `1-2`."""
        status = self.status()
        if name in self.node_addresses:
            found = [node for node in status["nodes"] if node["address"] == self.node_addresses[name]][-1]
        else:
            address = self.coordinator_addresses[int(name.removeprefix("coordinator-"))]
            found = [one for one in status["coordinators"] if one["address"] == address][-1]
        versions = found.get("versions") or {}
        return f"{versions.get('oldest')}-{versions.get('newest')}"

    def raised(self, *words):
        return self.ringctl("cluster", "version", "--raise", *words, check=False)

    def grants(self):
        return sum(self.metric(name, 'ringleader_cache_fills_total{granted="true"}')
                   for name in self.node_addresses if self.processes[name].poll() is None)


class UpgradeTest(unittest.TestCase):
    def refused_start(self, cluster, name, claim):
        """Starts what has to end by itself; returns what its log says at the end."""
        self.assertEqual(cluster.terminate(name), 0)
        cluster.claims[name] = claim
        cluster.start(name)
        self.assertEqual(cluster.processes[name].wait(timeout=60), 2, cluster.log(name))
        return cluster.log(name, lines=5)

    def test_an_upgrade_process_by_process_a_way_back_and_none_after_the_raise(self):
        with MixedCluster(OLD, nodes=3, coordinators=3, partitions=8) as cluster, \
                History(cluster, "--caching", "4", "--reads-percent", "80", "--operations-min", "1000", seconds=900) as history:
            names = list(cluster.commands)
            self.assertIn("cluster version 1", cluster.version())
            for name in names[:-1]:
                cluster.replace(name, NEW)
            # One old process is left: nothing begins, and it is named.
            refused = cluster.raised()
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn(cluster.node_addresses[names[-1]], refused.stderr)
            self.assertIn("runs 1 to 1", refused.stderr)
            # Back, a node and a coordinator: the new build has left nothing behind that an old one can't read.
            for name in ("coordinator-1", "node-0"):
                cluster.replace(name, OLD)
            for name in ("coordinator-1", "node-0", names[-1]):
                cluster.replace(name, NEW)
            self.assertEqual(cluster.grants(), 0, "leases were granted before the raise")
            self.assertIn("cluster version 1", cluster.version())
            raised = cluster.raised()
            self.assertEqual(raised.returncode, 0, raised.stderr)
            self.assertIn("cluster version 2", raised.stdout)
            await_true(30, lambda: cluster.grants() > 0, lambda: "no lease is granted after the raise")
            # No way back: neither a node nor a coordinator of an old build starts.
            for name in ("node-1", "coordinator-0"):
                said = self.refused_start(cluster, name, OLD)
                self.assertIn("cluster version 2" if name == "node-1" else "at version 2", said)
                self.assertIn("another build has to be installed", said)
                cluster.claims[name] = NEW
                cluster.start(name)
                cluster.await_health(60)
            lower = cluster.raised("--to", "1")
            self.assertNotEqual(lower.returncode, 0)
            self.assertIn("never falls", lower.stderr)
            # The next upgrade goes the same way.
            for name in names:
                cluster.replace(name, NEWER)
            self.assertEqual(cluster.raised().returncode, 0)
            self.assertIn("cluster version 3", cluster.version())
            time.sleep(1)
            result = history.stop()
            print(result)
            self.assertGreater(result["cache_hits"], 0)

    def test_a_node_of_an_old_build_without_data_is_refused_with_a_word_about_it(self):
        with MixedCluster(NEW, nodes=1, replicas=1, partitions=4) as cluster:
            self.assertIn("cluster version 2", cluster.version())  # a fresh cluster has all that its builds can do
            cluster.define_node("late")
            words = [f"{BIN}/claimed/ring-node", *cluster.commands["late"][1:]]
            late = subprocess.run(["env", f"RINGLEADER_CLAIMED_VERSIONS={OLD}", *words], capture_output=True, text=True,
                                  timeout=60)
            self.assertEqual(late.returncode, 2)
            self.assertIn("this build runs cluster versions 1 to 1, and the cluster is at version 2",
                          late.stdout + late.stderr)


if __name__ == "__main__":
    run_tests()
