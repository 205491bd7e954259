"""Protects what users of deploy/docker-compose.yml do: up, write through the coordinators, lose a container, add nodes,
look at Prometheus, down. Nothing that was acknowledged is lost. Closing line: `N passed, N failed`."""

import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

sys.dont_write_bytecode = True
from docker_engine import ROOT, Engine  # noqa: E402  (beside this file)

sys.path.insert(0, os.path.join(ROOT, "tests", "cluster"))
from cluster import BIN, free_port, run_tests  # noqa: E402

COMPOSE_FILE = os.path.join(ROOT, "deploy", "docker-compose.yml")
ITEMS = 2000
PARTITIONS = 16


class ComposeCluster:
    def __init__(self, engine):
        self.engine = engine
        self.directory = tempfile.mkdtemp(prefix="ring-compose-")
        self.ports = {name: free_port() for name in (
            "GRPC_0", "GRPC_1", "GRPC_2", "ADMIN_0", "ADMIN_1", "ADMIN_2", "PROMETHEUS")}
        engine.environment.update({f"RING_COMPOSE_{name}": str(port) for name, port in self.ports.items()})
        engine.environment["RING_COMPOSE_PARTITIONS"] = str(PARTITIONS)
        self.coordinators = ",".join(f"127.0.0.1:{self.ports[f'GRPC_{number}']}" for number in range(3))

    def compose(self, *words):
        result = subprocess.run(["docker-compose", "-f", COMPOSE_FILE, *words], env=self.engine.environment,
                                capture_output=True, text=True, timeout=300)
        if result.returncode != 0:
            raise AssertionError(f"docker-compose {' '.join(words)} ended with {result.returncode}:\n"
                                 f"{result.stdout}{result.stderr}")
        return result.stdout

    def ringctl(self, *words, check=True, seconds=120):
        result = subprocess.run([f"{BIN}/ringctl", "--coordinators", self.coordinators, "--route", "coordinators",
                                 *words], capture_output=True, text=True, timeout=seconds)
        if check and result.returncode != 0:
            raise AssertionError(f"ringctl {' '.join(words)} ended with {result.returncode}:\n"
                                 f"{result.stdout}{result.stderr}")
        return result

    def await_that(self, what, condition, seconds):
        deadline = time.monotonic() + seconds
        while True:
            state = condition()
            if state is True:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: not within {seconds} s; the last state was {state}")
            time.sleep(1)

    def healthy(self):
        result = self.ringctl("health", check=False)
        return result.returncode == 0 or result.stdout + result.stderr

    def nodes(self):
        """Ids of the containers that are storage nodes and run."""
        return self.compose("ps", "--quiet", "node").split()

    def spread(self):
        """Replicas and leaders by node."""
        replicas, leaders = collections.Counter(), collections.Counter()
        for row in json.loads(self.ringctl("--output", "json", "partition", "list").stdout):
            leaders[str(row["leader"])] += 1
            replicas.update(node.strip(" *()") for node in str(row["nodes"]).split(","))
        return replicas, leaders

    def targets(self):
        url = f"http://127.0.0.1:{self.ports['PROMETHEUS']}/api/v1/targets?state=active"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                active = json.load(answer)["data"]["activeTargets"]
        except OSError as error:  # not up yet
            return collections.Counter({str(error): 1})
        return collections.Counter((target["labels"]["job"], target["health"]) for target in active)


def report(text, started):
    print(f"{time.monotonic() - started:6.1f} s  {text}", flush=True)


class ComposeTest(unittest.TestCase):
    def test_what_a_user_does(self):
        started = time.monotonic()
        with Engine(os.path.join(ROOT, "build", "compose")) as engine:
            report("the engine runs", started)
            engine.build("-f", "deploy/docker/Dockerfile", "--target", "prebuilt", "-t", "ringleader", ".")
            engine.build("-f", "deploy/docker/prometheus.Dockerfile", "-t", "ringleader-prometheus", "deploy/docker")
            report("images are built", started)
            cluster = ComposeCluster(engine)
            try:
                self.use(cluster, lambda text: report(text, started))
            except BaseException:
                print(subprocess.run(["docker-compose", "-f", COMPOSE_FILE, "logs", "--tail", "15", "--no-color"],
                                     env=engine.environment, capture_output=True, text=True).stdout)
                raise
            finally:
                shutil.rmtree(cluster.directory)
            # Nobody is left to hand leaderships over to: waiting for it longer shows nothing more.
            cluster.compose("down", "--volumes", "--timeout", "3")
            self.assertEqual(engine.docker("ps", "--all", "--quiet"), "")
            report("down", started)

    def use(self, cluster, tell):
        cluster.compose("up", "-d", "--no-build")
        cluster.await_that("the cluster serves", cluster.healthy, 90)
        tell("up, and healthy")
        cluster.ringctl("table", "create", "things", "--key", "id:S")
        rows = [{"id": f"item-{number:05d}", "number": number, "tags": ["a", "b"]} for number in range(ITEMS)]
        self.write(cluster, rows)
        tell(f"{ITEMS} items written through coordinators")

        victim = cluster.nodes()[0]
        cluster.engine.docker("kill", victim)
        self.check(cluster, rows)
        tell("a node was killed, and everything is read back")
        cluster.engine.docker("start", victim)
        cluster.await_that("the killed node is back", cluster.healthy, 60)

        # A container that is gone for good: a new one takes its directory over, and so is the same node elsewhere.
        cluster.engine.docker("rm", "--force", cluster.nodes()[1])
        cluster.compose("up", "-d", "--no-build", "--no-recreate", "--scale", "node=5")
        cluster.await_that("replicas and leaders are even on 5 nodes", lambda: self.is_even(cluster), 120)
        tell(f"5 nodes: replicas {dict(cluster.spread()[0])}, leaders {dict(cluster.spread()[1])}")
        self.check(cluster, rows)
        cluster.await_that("healthy", cluster.healthy, 30)
        nodes = json.loads(cluster.ringctl("--output", "json", "node", "list").stdout)
        self.assertEqual(len(nodes), 5, nodes)
        wanted = {("ringleader-coordinator", "up"): 3, ("ringleader-node", "up"): 5}
        cluster.await_that("Prometheus scrapes all of them",
                           lambda: all(cluster.targets()[key] == count for key, count in wanted.items())
                           or str(cluster.targets()), 90)
        tell("Prometheus has every process")

    def is_even(self, cluster):
        replicas, leaders = cluster.spread()
        quota = PARTITIONS * 3 / 5
        even = (len(replicas) == 5 and len(leaders) == 5 and sum(replicas.values()) == PARTITIONS * 3
                and max(replicas.values()) <= quota + 1.5 and min(replicas.values()) >= quota - 1.5
                and max(leaders.values()) - min(leaders.values()) <= 2)
        return even or f"replicas {dict(replicas)}, leaders {dict(leaders)}"

    def write(self, cluster, rows):
        path = f"{cluster.directory}/rows.json"
        with open(path, "w") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        cluster.ringctl("import", "things", path)

    def check(self, cluster, rows):
        path = f"{cluster.directory}/things.export"
        cluster.ringctl("export", "things", path)
        with open(path) as file:
            exported = [json.loads(line) for line in file]
        self.assertEqual(sorted(exported, key=lambda row: row["id"]), rows)


if __name__ == "__main__":
    run_tests()
