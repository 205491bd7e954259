"""Protects what people watch a cluster by: a real Prometheus scrapes real processes and its own checkers accept what they
say; alerts and dashboard name only series that exist; a killed node shows; a process that can't serve says why.
Closing line: `N passed, N failed`."""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.parse
import urllib.request

sys.dont_write_bytecode = True
from cluster import BIN, ROOT, Cluster, await_true, free_port, run_tests  # noqa: E402  (beside this file)

IDENTIFIER = re.compile(r"\b(?:ringleader|process)_[a-z0-9_]+\b")


def get(address, path):
    """(status, body) of an admin page."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class Prometheus:
    """A Prometheus of its own over a cluster, with the shipped rules and a short interval."""

    def __init__(self, cluster):
        self.directory = tempfile.mkdtemp(prefix="prometheus-", dir=cluster.directory)
        self.port = free_port()
        jobs = {}
        for name, address in cluster.admin_addresses.items():
            jobs.setdefault(f"ringleader-{name.split('-')[0]}", []).append(address)
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [f"{ROOT}/deploy/prometheus/alerts.yml"],
            "scrape_configs": [{"job_name": job, "static_configs": [{"targets": targets}]} for job, targets in jobs.items()],
        }
        with open(f"{self.directory}/prometheus.yml", "w") as file:
            json.dump(config, file)  # JSON is YAML
        self.log = open(f"{self.directory}/log", "w")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={self.directory}/prometheus.yml", f"--storage.tsdb.path={self.directory}/data",
             f"--web.listen-address=127.0.0.1:{self.port}", "--storage.tsdb.retention.time=1h"],
            stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def query(self, expression):
        """[(labels, value), ...]; nothing while it is not up."""
        url = f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                result = json.load(answer)["data"]["result"]
        except (urllib.error.URLError, ConnectionError):
            return []
        return [(row["metric"], float(row["value"][1])) for row in result]

    def value(self, expression):
        """The only value, or None."""
        rows = self.query(expression)
        return rows[0][1] if len(rows) == 1 else None

    def alerts(self, state):
        """Names of the alerts that are in that state: pending or firing; .* for both."""
        return {labels["alertname"] for labels, _ in self.query(f'ALERTS{{alertstate=~"{state}"}}')}


def load(cluster, count, first=0):
    path = f"{cluster.directory}/rows.json"
    with open(path, "w") as file:
        for number in range(first, first + count):
            file.write(json.dumps({"id": f"item-{number}", "text": "x" * 100}) + "\n")
    cluster.ringctl("import", "things", path, seconds=300)


def dashboard_expressions():
    with open(f"{ROOT}/deploy/grafana/ringleader.json") as file:
        dashboard = json.load(file)
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]


def names_in(text):
    """Metric names in an expression; label values and strings don't count."""
    return set(IDENTIFIER.findall(re.sub(r'"[^"]*"', "", text)))


class ShippedFilesTest(unittest.TestCase):
    def check(self, *words, **options):
        result = subprocess.run(["promtool", *words], capture_output=True, text=True, timeout=60, **options)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_prometheus_accepts_configuration_and_rules(self):
        self.check("check", "config", f"{ROOT}/deploy/prometheus/prometheus.yml")
        self.check("check", "rules", f"{ROOT}/deploy/prometheus/alerts.yml")

    def test_each_alert_says_what_to_do(self):
        with open(f"{ROOT}/deploy/prometheus/alerts.yml") as file:
            text = file.read()
        alerts = len(re.findall(r"- alert:", text))
        for word in ("summary:", "description:", "severity:"):
            self.assertEqual(len(re.findall(rf"\b{word}", text)) - (word == "severity:"), alerts, word)

    def test_the_dashboard_has_its_rows(self):
        with open(f"{ROOT}/deploy/grafana/ringleader.json") as file:
            dashboard = json.load(file)
        rows = [panel["title"] for panel in dashboard["panels"] if panel["type"] == "row"]
        self.assertEqual(rows, ["Cluster", "Requests", "Raft", "Log", "Storage", "Transport", "Process"])
        ids = [panel["id"] for panel in dashboard["panels"]]
        self.assertEqual(len(ids), len(set(ids)))


class MetricsTest(unittest.TestCase):
    def test_prometheus_sees_the_cluster(self):
        with Cluster(coordinators=3) as cluster, Prometheus(cluster) as prometheus:
            cluster.ringctl("table", "create", "things", "--key", "id:S")
            load(cluster, 500)
            await_true(30, lambda: prometheus.value("sum(up)") == 6, lambda: "all targets are up")
            self.assertEqual(prometheus.value("count(up)"), 6)
            self.lint(cluster)
            self.every_name_exists(cluster)
            self.series_move(cluster, prometheus)
            self.the_cluster_is_well(prometheus)
            self.a_killed_node_shows(cluster, prometheus)

    def lint(self, cluster):
        for name, address in cluster.admin_addresses.items():
            status, text = get(address, "/metrics")
            self.assertEqual(status, 200)
            lint = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
            self.assertEqual(lint.returncode, 0, f"{name}: {lint.stdout}{lint.stderr}")
            self.assertEqual(get(address, "/healthz")[0], 200)
            # Bounded: what one process shows does not grow with partitions, tables or keys.
            self.assertLess(len(text.splitlines()), 1200)

    def every_name_exists(self, cluster):
        """What alerts and dashboard go by is what the processes show."""
        present = set()
        for address in cluster.admin_addresses.values():
            for line in get(address, "/metrics")[1].splitlines():
                if not line.startswith("#"):
                    present.add(re.match(r"[a-z0-9_]+", line).group(0))
        with open(f"{ROOT}/deploy/prometheus/alerts.yml") as file:
            rules = [line.split("expr:", 1)[1] for line in file if "expr:" in line]
        with open(f"{ROOT}/deploy/monitoring.md") as file:
            described = file.read()
        for source, expressions in (("alerts.yml", rules), ("ringleader.json", dashboard_expressions())):
            self.assertTrue(expressions, source)
            for expression in expressions:
                for name in names_in(expression):
                    self.assertIn(name, present, f"{source} names it in: {expression}")
        # Families that the page's table names exist as well.
        for prefix in re.findall(r"`(ringleader_[a-z_]+_)\*`", described):
            self.assertTrue(any(name.startswith(prefix) for name in present), f"{prefix}* in deploy/monitoring.md")

    def series_move(self, cluster, prometheus):
        moving = {
            'sum(ringleader_requests_total{operation="put",result="ok"})': "requests",
            'sum(ringleader_request_duration_seconds_count{operation="put"})': "latencies",
            "sum(ringleader_log_sync_duration_seconds_count)": "syncs of the log",
            "sum(ringleader_log_batch_entries_sum)": "entries of batches",
            "sum(ringleader_raft_proposals_total)": "proposals",
            'sum(ringleader_transport_bytes_sent_total{lane="append"})': "bytes to peers",
            'sum(process_cpu_seconds_total{job="ringleader-node"})': "CPU time",
        }
        before = {expression: prometheus.value(expression) for expression in moving}
        load(cluster, 1000, first=500)
        for expression, what in moving.items():
            self.assertIsNotNone(before[expression], expression)
            await_true(20, lambda: (prometheus.value(expression) or 0) > before[expression],
                       lambda: f"{what} grow")
        puts = 'sum(ringleader_requests_total{operation="put",result="ok"})'
        await_true(20, lambda: (prometheus.value(puts) or 0) >= 1500, lambda: "each put is counted once")

    def the_cluster_is_well(self, prometheus):
        for expression, wanted in {
            "sum(ringleader_coordinator_leads)": 1, "sum(ringleader_coordinator_ready)": 3, "sum(ringleader_node_ready)": 3,
            "sum(ringleader_cluster_partitions)": 16, 'sum(ringleader_raft_replicas{job="ringleader-node"})': 48,
            'sum(ringleader_raft_replicas{job="ringleader-node",role="leader"})': 16,
            "sum(ringleader_cluster_node_replicas)": 48, "sum(ringleader_cluster_node_leaders)": 16,
            "max(ringleader_cluster_partitions_without_quorum)": 0, "max(ringleader_cluster_partitions_under_replicated)": 0,
            'max(ringleader_cluster_nodes{state="up"})': 3, "max(ringleader_cluster_coordinators_alive)": 3,
        }.items():
            await_true(30, lambda: prometheus.value(expression) == wanted, lambda: f"{expression} is {wanted}")
        # How full the disk of the machine is, is not the cluster's doing.
        self.assertEqual(prometheus.alerts("firing") - {"RingleaderDiskNearlyFull"}, set())

    def a_killed_node_shows(self, cluster, prometheus):
        cluster.kill("node-2")
        await_true(20, lambda: prometheus.value('sum(up{job="ringleader-node"})') == 2,
                   lambda: "a target is down")
        await_true(40, lambda: prometheus.value("max(ringleader_cluster_partitions_under_replicated)") == 16,
                   lambda: "partitions are under-replicated")
        self.assertEqual(prometheus.value("max(ringleader_cluster_partitions_without_quorum)"), 0)
        self.assertEqual(prometheus.value('max(ringleader_cluster_nodes{state="silent"})'), 1)
        for alert in ("RingleaderPartitionUnderReplicated", "RingleaderNodeDown"):
            await_true(10, lambda: alert in prometheus.alerts(".*"), lambda: f"{alert} is raised")
        cluster.start("node-2")
        await_true(60, lambda: prometheus.value("max(ringleader_cluster_partitions_under_replicated)") == 0,
                   lambda: "nothing is under-replicated")


class ReadinessTest(unittest.TestCase):
    def test_a_node_without_coordinators_says_so(self):
        with tempfile.TemporaryDirectory() as directory:
            admin = f"127.0.0.1:{free_port()}"
            nowhere = f"127.0.0.1:{free_port()}"
            process = subprocess.Popen([f"{BIN}/ring-node", "--data", f"{directory}/node", "--coordinators", nowhere,
                                        "--listen", "127.0.0.1:0", "--admin-listen", admin], stderr=subprocess.DEVNULL)
            try:
                await_true(20, lambda: self.alive(admin), lambda: "it answers")
                status, body = get(admin, "/readyz")
                self.assertEqual(status, 503)
                self.assertIn("no coordinator has registered it", body)
                self.assertIn(nowhere, body)
                self.assertIn("ringleader_node_ready 0", get(admin, "/metrics")[1])
                self.a_taken_port_stops_the_start(directory, admin)
            finally:
                process.terminate()
                process.wait(timeout=60)

    @staticmethod
    def alive(admin):
        try:
            return get(admin, "/metrics")[0] == 200
        except (urllib.error.URLError, ConnectionError):
            return False

    def a_taken_port_stops_the_start(self, directory, admin):
        for words in (["ring-node", "--listen", "127.0.0.1:0"],
                      ["ring-coordinator", "--coordinators", f"127.0.0.1:{free_port()}"]):
            second = subprocess.run([f"{BIN}/{words[0]}", "--data", f"{directory}/second", "--admin-listen", admin, *words[1:]],
                                    capture_output=True, text=True, timeout=60)
            self.assertNotEqual(second.returncode, 0)
            self.assertIn(f"--admin-listen: {admin} can't be listened on", second.stderr)
            self.assertFalse(os.path.exists(f"{directory}/second"), "nothing is made by a start that fails so")
            open_to_all = subprocess.run([f"{BIN}/{words[0]}", "--data", f"{directory}/second", "--admin-listen", "0.0.0.0:0",
                                          *words[1:]], capture_output=True, text=True, timeout=60)
            self.assertNotEqual(open_to_all.returncode, 0)
            self.assertIn("--insecure", open_to_all.stderr)

    def test_coordinators_without_a_majority_say_so(self):
        with Cluster(coordinators=3, nodes=1, replicas=1, partitions=4) as cluster:
            left = cluster.admin_addresses["coordinator-0"]
            await_true(20, lambda: get(left, "/readyz") == (200, "ready\n"), lambda: "it is ready")
            cluster.kill("coordinator-1")
            cluster.kill("coordinator-2")
            await_true(30, lambda: get(left, "/readyz")[0] == 503, lambda: "it is not ready")
            self.assertIn("No coordinator leads", get(left, "/readyz")[1])
            self.assertEqual(get(left, "/healthz")[0], 200)
            cluster.start("coordinator-1")
            await_true(30, lambda: get(left, "/readyz")[0] == 200, lambda: "it is ready again")


if __name__ == "__main__":
    run_tests()
