"""Protects what happens at the limits: bad input gives an error that names what and where, and changes nothing; a full disk
stops one node and not the cluster, and nobody has to repair anything; memory stays bounded whatever clients send or leave
unread. Needs root, to mount small file systems. Closing line: `N passed, N failed`."""

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
from cluster import BIN, Cluster, await_true, free_port, run_tests  # noqa: E402  (beside this file)
from history import History  # noqa: E402
from newer_format import raise_coordinator_identity, raise_node_identity, raise_plan, raise_segment, raise_state  # noqa: E402
from rude_client import ask, connect, open_exchange, put_request, send_gets_and_read_nothing  # noqa: E402
from small_disk import SmallDisk  # noqa: E402

MIB = 1 << 20
KEY = '{"id": "a", "n": 1}'
ITEM = {"id": "a", "n": 1, "v": 1}


def run(words, seconds=60, **environment):
    return subprocess.run(words, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL,
                          env=dict(os.environ, **environment))


def digests(directory):
    """Of every file below but locks, by path."""
    found = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            if name.lower() == "lock":
                continue
            with open(f"{folder}/{name}", "rb") as file:
                found[os.path.relpath(f"{folder}/{name}", directory)] = hashlib.sha256(file.read()).hexdigest()
    return found


def changed(words, **options):
    """A command line with other values for some of its options; data="x" stands for --data x."""
    words = list(words)
    for option, value in options.items():
        flag = "--" + option.replace("_", "-")
        if flag in words:
            words[words.index(flag) + 1] = value
        else:
            words += [flag, value]
    return words


def on_other_ports(words, **options):
    ports = {"admin_listen": "127.0.0.1:0"}
    if words[0].endswith("ring-node"):
        ports["listen"] = "127.0.0.1:0"
    return changed(words, **{**ports, **options})


class BadInputTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(nodes=1, replicas=1, partitions=4))
        cls.cluster.ringctl("table", "create", "things", "--key", "id:S", "--sort", "n:N")
        cls.cluster.ringctl("put", "things", json.dumps(ITEM))

    def refused(self, says, *words, stdin=None):
        """ringctl with these words fails, says all of that, and leaves the item as it was."""
        result = self.cluster.ringctl(*words, check=False, stdin=stdin)
        self.assertEqual(result.returncode, 1, f"{words}: {result.stdout}{result.stderr}")
        for part in says:
            self.assertIn(part, result.stderr, words)
        self.assertEqual(json.loads(self.cluster.ringctl("get", "things", KEY).stdout), ITEM)

    def exits(self, code, says, words, **environment):
        result = run(words, **environment)
        self.assertEqual(result.returncode, code, f"{words}: {result.stdout}{result.stderr}")
        for part in says:
            self.assertIn(part, result.stdout + result.stderr, words)

    def test_malformed_expressions_are_named_and_change_nothing(self):
        values = ("--values", '{":w": 2}')
        condition, update = "Invalid ConditionExpression", "Invalid UpdateExpression"
        key_condition, select = "Invalid KeyConditionExpression", ("--values", '{":w": "a"}')
        put, change = ("put", "things", KEY, "--condition"), ("update", "things", KEY)
        for says, words in (
                ((condition, '"<EOF>"', 'near: "id"'), (*put, "attribute_not_exists(id")),
                ((condition, "not defined", ":w"), (*put, "v = :w")),
                ((condition, 'near: "= = :w"'), (*put, "v = = :w", *values)),
                ((condition, "function: nosuch"), (*put, "nosuch(v)")),
                (("unused", ":other"), (*put, "v = :w", "--values", '{":w": 1, ":other": 1}')),
                (("--values", "JSON"), (*put, "v = :w", "--values", '{":w": 1')),
                ((condition, 'near: "<"'), ("delete", "things", KEY, "--condition", "v <")),
                ((update, 'token: "SETT"'), (*change, "SETT v = :w", *values)),
                ((update, 'near: "+"'), (*change, "SET v = v +", *values)),
                ((update, "ADD", "STRING"), (*change, "ADD v :w", *select)),
                ((update, "#x"), (*change, "SET #x = :w", *values)),
                (("Cannot update attribute id",), (*change, "SET id = :w", *select)),
                ((key_condition, 'near: "AND"'), ("query", "things", "id = :w AND", *select)),
                (("key schema element: id",), ("query", "things", "v = :w", *select)),
                (("does not match schema type",), ("query", "things", "id = :w", *values)),
                (("Invalid FilterExpression", 'near: ">"'), ("query", "things", "id = :w", "--filter", "v >", *select)),
                (("Invalid FilterExpression", "contains"), ("scan", "things", "--filter", "contains(v)")),
                (("Invalid ProjectionExpression", 'near: ",,b"'), ("scan", "things", "--projection", "a,,b")),
                (("Invalid ProjectionExpression", '"["'), ("get", "things", KEY, "--projection", "a.[0]"))):
            self.refused(says, *words)

    def test_keys_and_items_beyond_their_bounds_are_named_and_change_nothing(self):
        schema = ("key element does not match the schema",)
        for key in ('{"id": 1, "n": 1}', '{"id": "a"}', '{"id": "a", "n": 1, "more": 1}', '{"id": "a", "n": "1"}'):
            for command in (("get",), ("delete",)):
                self.refused(schema, *command, "things", key)
            self.refused(schema, "update", "things", key, "REMOVE v")
        for says, item in (
                (("Missing the key n",), '{"id": "a", "v": 2}'),
                (("Type mismatch for key n", "expected: N", "actual: S"), '{"id": "a", "n": "1"}'),
                (("empty string", "Key: id"), '{"id": "", "n": 1}'),
                (("attribute v", "Nesting Levels"), f'{{"id": "a", "n": 1, "v": {"[" * 33}{"]" * 33}}}'),
                (("attribute v", "38 significant digits"), f'{{"id": "a", "n": 1, "v": {"1" * 39}}}'),
                (("attribute v", "overflow"), '{"id": "a", "n": 1, "v": 1e126}'),
                (("JSON",), '{"id": "a"'),
                (("expected an object",), "[1]")):
            self.refused(says, "put", "things", item)
        # Too long for a command line. What just fits is taken.
        for letters, says in ((401 * 1024, ":1: validation: Item size has exceeded"), (399 * 1024, None)):
            row = json.dumps({"id": "big", "n": 1, "v": "x" * letters}) + "\n"
            if says:
                self.refused((says,), "import", "things", "-", stdin=row)
                missing = self.cluster.ringctl("get", "things", '{"id": "big", "n": 1}', check=False)
                self.assertIn("no such item", missing.stderr)
            else:
                self.cluster.ringctl("import", "things", "-", stdin=row)
        self.cluster.ringctl("put", "things", f'{{"id": "deep", "n": 1, "v": {"[" * 32}{"]" * 32}}}')
        self.cluster.ringctl("put", "things", f'{{"id": "long", "n": 1, "v": {"1" * 38}}}')

    def test_an_unknown_table_is_named_by_every_command(self):
        path = f"{self.cluster.directory}/earlier.export"
        with open(path, "w") as file:
            file.write("an earlier export\n")
        for words in (("get", "nowhere", KEY), ("put", "nowhere", KEY), ("delete", "nowhere", KEY),
                      ("update", "nowhere", KEY, "REMOVE v"), ("scan", "nowhere"),
                      ("query", "nowhere", "id = :w", "--values", '{":w": "a"}'), ("export", "nowhere", path),
                      ("table", "describe", "nowhere"), ("table", "delete", "nowhere")):
            self.refused(("not found", "Table: nowhere"), *words)
        with open(path) as file:
            self.assertEqual(file.read(), "an earlier export\n", "a failed export took what was there")
        self.refused(("standard input:2: ", "Table: nowhere", "0 items written", "2 failed writes"), "import", "nowhere", "-",
                     stdin='{"id": "a"}\n{"id": "b"}\n')

    def test_an_import_names_its_broken_lines_and_writes_the_others(self):
        self.cluster.ringctl("table", "create", "lines", "--key", "id:S")
        path = f"{self.cluster.directory}/lines.json"
        good, broken = '{{"id": "{0}", "v": {1}}}\n', ('{"id": "b", "v":\n', "nonsense\n", '{"v": 1}\n', "[1]\n", '{"id": 7}\n')
        with open(path, "w") as file:
            file.write(good.format("a", 1) + broken[0] + broken[1] + "\n" + broken[2] + good.format("c", 2) +
                       good.format("a", 1) + broken[3] + broken[4] + good.format("d", 3))
        result = self.cluster.ringctl("import", "lines", path, check=False)
        self.assertEqual(result.returncode, 1)
        for line in (2, 3, 5, 8, 9):
            self.assertIn(f"{path}:{line}: ", result.stderr)
        for line in (1, 4, 6, 7, 10):
            self.assertNotIn(f"{path}:{line}: ", result.stderr)
        self.assertIn("4 items written, 3 broken lines, 2 failed writes", result.stderr)
        items = sorted((row["id"], row["v"]) for row in self.cluster.exported("lines"))
        self.assertEqual(items, [("a", 1), ("c", 2), ("d", 3)])
        self.refused(("can't read /nonexistent",), "import", "lines", "/nonexistent")
        self.refused(("can't write /nonexistent/x",), "export", "lines", "/nonexistent/x")

    def test_unknown_options_and_values_out_of_bounds_stop_every_program(self):
        data = ("--data", f"{self.cluster.directory}/never")
        # A program, the words it needs, an option with a value out of its bounds, one within them, its variable.
        programs = (("ring-node", data, ("--tick-ms", "5"), "10", "RING_TICK_MS"),
                    ("ring-coordinator", data, ("--replicas", "99"), "3", "RING_REPLICAS"),
                    ("ring-bench", (), ("--connections", "0"), "2", "RING_CONNECTIONS"),
                    ("ring-history", (), ("--clients", "1000"), "2", "RING_CLIENTS"))
        for program, words, option, valid, variable in programs:
            path = f"{BIN}/{program}"
            self.exits(2, ("--nonsense",), [path, *words, "--nonsense"])
            self.exits(2, (*option, "a number from"), [path, *words, *option])
            self.exits(2, (variable, "'many'"), [path, *words], **{variable: "many"})
            key = option[0][2:]
            for text, line, says in ((f"# a comment\n{key} = {option[1]}\n", 2, "a number from"),
                                     ("nonsense = 1\n", 1, "there is no option nonsense"),
                                     (f"\n\n{key}\n", 3, "key = value"),
                                     (f"{key} = {valid}\n{key} = {valid}\n", 2, "already set in line 1")):
                config = f"{self.cluster.directory}/{program}.conf"
                with open(config, "w") as file:
                    file.write(text)
                self.exits(2, (f"{config}:{line}: ", says), [path, *words, "--config", config])
        self.exits(2, ("--data is required",), [f"{BIN}/ring-node"])
        self.exits(2, ("--data is required",), [f"{BIN}/ring-coordinator"])
        self.exits(2, ("--id 2", "lists 1"), [f"{BIN}/ring-coordinator", *data, "--id", "2"])
        ringctl = f"{BIN}/ringctl"
        for says, words in ((("--nonsense",), ("--nonsense", "status")), (("--timeout-ms", "60000"), ("--timeout-ms", "0", "status")),
                            (("table is required",), ("get",)), (("nosuch",), ("nosuch",)), (("--parallel", "4096"), ("import", "x", "--parallel", "0")),
                            (("node",), ("node", "drain", "x")), (("--output", "json"), ("--output", "xml", "status"))):
            self.exits(2, says, [ringctl, *words])
        self.exits(2, ("--timeout-ms",), [ringctl, "status"], RING_TIMEOUT_MS="0")
        self.assertFalse(os.path.exists(f"{self.cluster.directory}/never"), "a refused start left data behind")

    def test_taken_ports_taken_directories_and_open_doors_stop_the_start(self):
        cluster = self.cluster
        node, coordinator = cluster.commands["node-0"], cluster.commands["coordinator-0"]
        taken = cluster.node_addresses["node-0"]
        fresh = f"{cluster.directory}/fresh"
        alone = {"data": fresh, "coordinators": f"127.0.0.1:{free_port()}"}
        for words in (on_other_ports(node, data=fresh, listen=taken), on_other_ports(node, data=fresh, admin_listen=taken),
                      on_other_ports(coordinator, data=fresh, coordinators=taken),
                      on_other_ports(coordinator, **alone, admin_listen=taken)):
            self.exits(2, (taken, "in use"), words)
            shutil.rmtree(fresh, ignore_errors=True)
        self.exits(2, (f"{cluster.directory}/node-0", "in use by another process"), on_other_ports(node))
        self.exits(2, (f"{cluster.directory}/coordinator-0", "in use by another process"),
                   on_other_ports(coordinator, listen="127.0.0.1:0"))
        for words in (changed(node, listen="0.0.0.0:0"), changed(node, admin_listen="0.0.0.0:0"),
                      changed(coordinator, listen="0.0.0.0:0"), changed(coordinator, admin_listen="0.0.0.0:0")):
            self.exits(2, ("0.0.0.0:0", "--insecure", "authentication"), words)
        self.exits(2, ("0.0.0.0:0", "--advertise", "reach this node"), [*changed(node, listen="0.0.0.0:0"), "--insecure"])
        self.assertEqual(json.loads(cluster.ringctl("get", "things", KEY).stdout), ITEM)


class OtherDataTest(unittest.TestCase):
    """Directories that are another's, or a newer program's."""

    def refused(self, words, *says):
        result = run(words)
        self.assertEqual(result.returncode, 2, f"{words}: {result.stdout}{result.stderr}")
        for part in says:
            self.assertIn(part, result.stdout + result.stderr, words)

    def test_data_of_another_cluster_is_refused_and_stays(self):
        with Cluster(nodes=1, replicas=1, partitions=2) as ours, Cluster(nodes=1, replicas=1, partitions=2) as other:
            ours.ringctl("table", "create", "things", "--key", "id:S")
            ours.ringctl("put", "things", '{"id": "ours"}')
            words = list(ours.commands["node-0"])
            self.assertEqual(ours.terminate("node-0"), 0)
            ours.commands["node-0"] = changed(words, coordinators=other.coordinators)
            ours.start("node-0")
            await_true(60, lambda: "belongs to another cluster" in ours.log("node-0"), lambda: ours.log("node-0"))
            await_true(60, lambda: "belongs to another cluster" in ours.page("node-0", "/readyz")[1],
                       lambda: str(ours.page("node-0", "/readyz")))
            self.assertEqual(ours.page("node-0", "/readyz")[0], 503)
            self.assertEqual(len(other.status()["nodes"]), 1)
            other.await_health(60)
            # Asked for by name it does not even start.
            ours.kill("node-0")
            self.refused(on_other_ports(words, cluster="12345"), f"{ours.directory}/node-0", "belongs to cluster", "12345")
            ours.commands["node-0"] = words
            ours.start("node-0")
            ours.await_health(60)
            self.assertEqual(json.loads(ours.ringctl("get", "things", '{"id": "ours"}').stdout), {"id": "ours"})

            coordinator = ours.commands["coordinator-0"]
            copy = shutil.copytree(f"{ours.directory}/coordinator-0", f"{ours.directory}/copy")
            before = digests(copy)
            two = ",".join(f"127.0.0.1:{free_port()}" for _ in range(2))
            self.refused(on_other_ports(coordinator, data=copy, coordinators=two, cluster="elsewhere"), copy, "'ringleader'", "'elsewhere'")
            self.refused(on_other_ports(coordinator, data=copy, coordinators=two, id="1"), copy, "coordinator 0, not 1")
            # Neither takes the other's directory.
            self.refused(on_other_ports(ours.commands["node-0"], data=copy), copy, "it is not a node's")
            self.assertEqual(digests(copy), before)

    def test_newer_formats_are_refused_and_change_nothing(self):
        with Cluster(nodes=1, replicas=1, partitions=1, node_options=("--memtables-bytes", str(16 * MIB))) as cluster:
            cluster.ringctl("table", "create", "things", "--key", "id:S")
            rows = "".join(json.dumps({"id": f"item-{number}", "v": "x" * 100000}) + "\n" for number in range(20))
            cluster.ringctl("import", "things", "-", stdin=rows)  # enough for the databases to write tables
            for name in cluster.commands:
                self.assertEqual(cluster.terminate(name), 0)
            for name, raise_it, undone_by_it in (("node-0", raise_node_identity, False), ("node-0", raise_segment, False),
                                                 ("node-0", raise_plan, True), ("node-0", raise_state, True),
                                                 ("coordinator-0", raise_coordinator_identity, False),
                                                 ("coordinator-0", raise_segment, False)):
                with self.subTest(name=name, format=raise_it.__name__):
                    copy = shutil.copytree(f"{cluster.directory}/{name}", f"{cluster.directory}/copy")
                    raised = raise_it(copy, 1)
                    before = digests(copy)
                    self.refused(on_other_ports(cluster.commands[name], data=copy), raised, "newer")
                    if not undone_by_it:
                        self.assertEqual(digests(copy), before)
                    else:
                        # The log is opened before it is found: as good as before, though not the same bytes.
                        raise_it(copy, -1)
                        shutil.rmtree(f"{cluster.directory}/{name}")
                        shutil.copytree(copy, f"{cluster.directory}/{name}")
                    shutil.rmtree(copy)
            for name in cluster.commands:
                cluster.start(name)
            cluster.await_health(60)
            self.assertEqual(len(cluster.exported("things")), 20)


class FullDiskTest(unittest.TestCase):
    FREE_MIN = 8 * MIB
    OPTIONS = ("--free-min-bytes", str(FREE_MIN), "--memtables-bytes", str(16 * MIB))
    ROWS = [{"id": f"item-{number:04d}", "number": number} for number in range(500)]

    def cluster_on(self, *places):
        """A cluster, and small disks below it: (path below the cluster's directory, megabytes)."""
        cluster = Cluster(nodes=3, partitions=8, node_options=self.OPTIONS)
        return cluster, [cluster.beneath.enter_context(SmallDisk(f"{cluster.directory}/{path}", megabytes))
                         for path, megabytes in places]

    def load(self, cluster):
        cluster.ringctl("table", "create", "things", "--key", "id:S")
        cluster.ringctl("import", "things", "-", stdin="".join(json.dumps(row) + "\n" for row in self.ROWS))

    def check(self, cluster):
        self.assertEqual(sorted(cluster.exported("things"), key=lambda row: row["id"]), self.ROWS)

    def write_much(self, cluster):
        """Some megabytes through every log, over a few keys."""
        done = run([f"{BIN}/ring-bench", "--endpoints", cluster.coordinators, "--mix", "put=1", "--keys", "64", "--value-bytes",
                    "100000", "--connections", "2", "--outstanding", "16", "--warm-up-s", "0", "--seconds", "2"])
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def await_complaint(self, cluster, name, path):
        await_true(60, lambda: "disk is full" in cluster.log(name, 1000), lambda: cluster.log(name))
        self.assertIn(f"bytes are free in {path}", cluster.log(name, 1000))
        await_true(60, lambda: "its disk is full" in cluster.ringctl("health", check=False).stdout, lambda: cluster.log(name))
        self.assertEqual(cluster.ringctl("health", check=False).returncode, 1)
        status, text = cluster.page(name, "/readyz")
        self.assertEqual(status, 503)
        self.assertIn("The disk is full", text)
        self.assertIn(path, text)

    def await_recovery(self, cluster, name):
        await_true(90, lambda: cluster.page(name, "/readyz")[0] == 200, lambda: str(cluster.page(name, "/readyz")))
        cluster.await_health(120)

    def go_without(self, cluster, history, name):
        """The cluster serves with that node and another one gone: what the node lacks would be missing now."""
        result = history.stop()
        print(result)
        self.assertLess(result["slowest_ms"], 10000, result)
        for other in cluster.node_addresses:
            if other != name:
                cluster.kill(other)
                self.check(cluster)
                cluster.start(other)
                cluster.await_health(60)

    def test_a_full_log_disk_stops_one_node_which_recovers_by_itself(self):
        cluster, (disk,) = self.cluster_on(("node-0/log", 160))
        with cluster:
            self.load(cluster)
            with History(cluster) as history:
                disk.fill()
                self.await_complaint(cluster, "node-0", f"{cluster.directory}/node-0/log")
                await_true(60, lambda: cluster.leaders_by_node().get(cluster.node_id("node-0")) == 0,
                           lambda: str(cluster.leaders_by_node()))
                while cluster.metric("node-0", "ringleader_log_out_of_space_total") == 0:
                    self.write_much(cluster)
                disk.empty()
                self.await_recovery(cluster, "node-0")
                self.go_without(cluster, history, "node-0")

    def test_a_full_database_disk_stops_one_node_which_recovers_by_itself(self):
        cluster, (disk,) = self.cluster_on(("node-0/groups", 96))
        with cluster:
            self.load(cluster)
            with History(cluster) as history:
                disk.fill()
                self.await_complaint(cluster, "node-0", f"{cluster.directory}/node-0/groups")
                while "stops serving" not in cluster.log("node-0", 1000):
                    self.write_much(cluster)
                self.assertIn("No space left on device", cluster.log("node-0", 1000))
                # It also starts on the full disk.
                cluster.terminate("node-0")
                cluster.start("node-0")
                # The node's own word first: health may still say what it said before the restart.
                await_true(60, lambda: cluster.log("node-0", 1000).count("listens on") == 2, lambda: cluster.log("node-0"))
                await_true(60, lambda: "its disk is full" in cluster.ringctl("health", check=False).stdout,
                           lambda: cluster.log("node-0"))
                for told in ("without its state", "waits for a snapshot"):  # its state is good
                    self.assertNotIn(told, cluster.log("node-0", 1000))
                disk.empty()
                self.await_recovery(cluster, "node-0")
                self.go_without(cluster, history, "node-0")

    def test_a_database_disk_that_takes_no_file_more_stops_one_node_which_recovers_by_itself(self):
        """Its free bytes say nothing: the databases find out, each with its next memtable, and others lead."""
        cluster = Cluster(nodes=3, partitions=8, node_options=self.OPTIONS)
        disk = cluster.beneath.enter_context(SmallDisk(f"{cluster.directory}/node-0/groups", 256, inodes=2000))
        with cluster:
            self.load(cluster)
            with History(cluster) as history:
                disk.fill_with_names()
                deadline = time.monotonic() + 120
                while cluster.leaders_by_node().get(cluster.node_id("node-0")) != 0:
                    self.write_much(cluster)
                    self.assertLess(time.monotonic(), deadline, cluster.log("node-0"))
                self.assertIn("No space left on device", cluster.log("node-0", 1000))
                self.assertIn("No space left on device", cluster.ringctl("health", check=False).stdout)
                disk.empty_of_names()
                self.await_recovery(cluster, "node-0")
                self.go_without(cluster, history, "node-0")

    def test_when_all_disks_are_full_writes_are_refused_and_reads_go_on(self):
        cluster, disks = self.cluster_on(*((f"node-{number}", 192) for number in range(3)))
        with cluster:
            self.load(cluster)
            with History(cluster, "--timeout-ms", "2000") as history:
                for disk in disks:
                    disk.fill()
                for name in cluster.node_addresses:
                    await_true(60, lambda: cluster.page(name, "/readyz")[0] == 503, lambda: cluster.log(name))  # noqa: B023
                refused = cluster.ringctl("--timeout-ms", "2000", "put", "things", '{"id": "new"}', check=False)
                self.assertEqual(refused.returncode, 1)
                self.assertIn("throttled", refused.stderr)
                self.assertIn("disk is full", refused.stderr)
                self.check(cluster)
                for disk in disks:
                    disk.empty()
                for name in cluster.node_addresses:
                    self.await_recovery(cluster, name)
                cluster.ringctl("put", "things", json.dumps(self.ROWS[0]))
                print(history.stop())
            for name in cluster.commands:
                cluster.kill(name)
            for name in cluster.commands:
                cluster.start(name)
            cluster.await_health(60)
            self.check(cluster)


class MemoryTest(unittest.TestCase):
    # A node's documented limits (node/README.md, replication/README.md), for the clusters below.
    STREAM = 64 * MIB         # unanswered requests, or answers not read, of one stream
    WAITING = 3 * 32 * MIB    # admitted writes of a partition: as requests, as effects, in the overlay
    RAFT = (16 + 16 + 16) * MIB  # a group's uncommitted, unapplied and cached entries
    LANES = (4 + 64 + 16) * MIB  # queues to one peer
    KEPT = 128 * MIB          # freed memory that the allocator keeps: its threads' caches, and what is in pieces
    OPTIONS = ("--memtables-bytes", str(16 * MIB), "--cache-bytes", str(16 * MIB))
    STORES = (16 + 16) * MIB
    # Of ringleader.data.v1.Response.
    ERROR, RETRY_AFTER_MS, RESOURCE_EXHAUSTED = 2, 4, 4

    def resident(self, cluster, name):
        with open(f"/proc/{cluster.processes[name].pid}/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS"))

    def watch(self, cluster, names, seconds):
        """The most memory that one of them had meanwhile."""
        highest, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            highest = max(highest, *(self.resident(cluster, name) for name in names), 0)
            time.sleep(0.05)
        return highest

    def await_refusal(self, cluster):
        """Writes of a client that is not the library, until a node has too much to do: that node, and its answer."""
        request = put_request(1, "bench", {"id": "rude", "v": "x" * 60000})
        answers = {}
        end = time.monotonic() + 120
        while time.monotonic() < end:
            for name, address in cluster.node_addresses.items():
                answers[name] = ask(address, request)
                if answers[name].get(self.ERROR) == self.RESOURCE_EXHAUSTED:
                    return name, answers[name]
        raise AssertionError(f"no write was refused: {answers}")

    def test_a_flood_is_refused_while_the_followers_stand_still(self):
        connections = 4
        with Cluster(nodes=3, partitions=1, node_options=self.OPTIONS) as cluster:
            before = max(self.resident(cluster, name) for name in cluster.node_addresses)
            bound = before + connections * self.STREAM + self.WAITING + self.RAFT + 2 * self.LANES + self.KEPT + self.STORES
            flood = subprocess.Popen([f"{BIN}/ring-bench", "--endpoints", cluster.coordinators, "--mix", "put=1", "--keys", "1000",
                                      "--value-bytes", "60000", "--connections", str(connections), "--outstanding", "6000",
                                      "--warm-up-s", "0", "--seconds", "600"], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
            try:
                leader, answer = self.await_refusal(cluster)
                self.assertGreater(answer.get(self.RETRY_AFTER_MS, 0), 0, answer)
                followers = [name for name in cluster.node_addresses if name != leader]
                for name in followers:
                    cluster.pause(name)
                highest = self.watch(cluster, [leader], 4)
                for name in followers:
                    cluster.resume(name)
                highest = max(highest, self.watch(cluster, cluster.node_addresses, 2))
                # With the followers back the flood goes on, and so do the refusals.
                self.await_refusal(cluster)
                highest = max(highest, self.watch(cluster, cluster.node_addresses, 1))
            finally:
                flood.kill()
                flood.wait()
            print(f"{before >> 20} MiB before, {highest >> 20} MiB at most, bound {bound >> 20} MiB")
            self.assertLess(highest, bound)
            self.assertGreater(sum(cluster.metric(name, "ringleader_admission_refused_total{") for name in cluster.node_addresses), 0)
            cluster.await_health(60)
            cluster.ringctl("table", "create", "after", "--key", "id:S")
            cluster.ringctl("put", "after", '{"id": "a"}')

    def test_clients_that_do_not_read_or_do_not_speak_hurt_nobody(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))  # what a login shell gives the node
        try:
            cluster = self.enterContext(Cluster(nodes=1, replicas=1, partitions=4, node_options=self.OPTIONS))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
        cluster.ringctl("table", "create", "things", "--key", "id:S")
        big = {"id": "big", "v": "x" * 300000}
        cluster.ringctl("import", "things", "-", stdin=json.dumps(big) + "\n")
        before = self.resident(cluster, "node-0")

        def is_served():
            got = cluster.ringctl("--timeout-ms", "5000", "get", "things", '{"id": "big"}')
            self.assertEqual(json.loads(got.stdout), big)
            cluster.ringctl("--timeout-ms", "5000", "put", "things", '{"id": "small"}')

        deaf = [open_exchange(cluster.node_addresses["node-0"]) for _ in range(4)]
        asked = sum(send_gets_and_read_nothing(client, "things", "id", "big") for client in deaf)
        bound = before + len(deaf) * self.STREAM + self.KEPT + self.STORES
        self.assertGreater(asked * len(big["v"]), bound, "the answers would fit")
        gets = 'ringleader_requests_total{operation="get"'
        await_true(60, lambda: cluster.metric("node-0", gets) >= asked, lambda: f"{cluster.metric('node-0', gets)} of {asked}")
        is_served()
        self.assertLess(self.resident(cluster, "node-0"), bound)
        for client in deaf:
            client.close()

        silent = []
        for address in (cluster.node_addresses["node-0"], cluster.admin_addresses["node-0"]):
            silent += [connect(address) for _ in range(1000)]
            is_served()
            self.assertEqual(cluster.page("node-0", "/readyz")[0], 200)
        self.assertLess(self.resident(cluster, "node-0"), bound)
        for client in silent:
            client.close()


if __name__ == "__main__":
    run_tests()
