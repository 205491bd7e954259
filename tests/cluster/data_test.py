"""Protects real data: Debian's package index, tens of thousands of records with lists, maps and numbers, goes in while a
node is killed and restarted three times, and comes out as the same set. Closing line: `N passed, N failed`."""

import json
import subprocess
import sys
import threading
import time
import unittest

sys.dont_write_bytecode = True
from cluster import Cluster, run_tests  # noqa: E402  (beside this file)

RECORDS_MAX = 60000


def packages():
    """Debian's package index as items, one for each package, version and architecture."""
    text = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=True).stdout
    items = {}
    for stanza in text.split("\n\n"):
        fields = {}
        name = None
        for line in stanza.splitlines():
            if line.startswith((" ", "\t")):
                fields[name] += "\n" + line.strip()
            elif ":" in line:
                name, _, value = line.partition(":")
                fields[name] = value.strip()
        if "Package" not in fields or "Version" not in fields:
            continue
        item = {
            "package": fields["Package"],
            "version": fields["Version"] + "/" + fields.get("Architecture", ""),
            "size": int(fields.get("Size", "0")),
            "installed_kib": int(fields.get("Installed-Size", "0")),
            "depends": [one.strip() for one in fields.get("Depends", "").split(",") if one.strip()],
            "section": {"name": fields.get("Section", ""), "priority": fields.get("Priority", "")},
            "tags": {key: fields[key] for key in ("Multi-Arch", "Homepage", "Source", "Essential") if key in fields},
            "description": fields.get("Description", ""),
        }
        items[item["package"], item["version"]] = item
        if len(items) == RECORDS_MAX:
            break
    return items


class DataTest(unittest.TestCase):
    def test_a_package_index_survives_three_kills_during_its_import(self):
        items = packages()
        self.assertGreater(len(items), 10000, "this machine's package index is empty: apt-get update")
        with Cluster(nodes=3, coordinators=1) as cluster:
            path = f"{cluster.directory}/packages.json"
            with open(path, "w") as file:
                for item in items.values():
                    file.write(json.dumps(item) + "\n")
            cluster.ringctl("table", "create", "packages", "--key", "package:S", "--sort", "version:S")
            results = []
            importing = threading.Thread(target=lambda: results.append(
                cluster.ringctl("import", "packages", path, "--parallel", "16", check=False, seconds=600)))
            importing.start()
            kills = 0
            for _ in range(3):
                time.sleep(1)
                kills += importing.is_alive()
                cluster.kill("node-1")
                time.sleep(1.5)
                cluster.start("node-1")
                cluster.await_health(60)
            importing.join()
            self.assertEqual(results[0].returncode, 0, results[0].stdout + results[0].stderr)
            self.assertGreaterEqual(kills, 2, "the import was over before the node was killed")
            exported = cluster.exported("packages")
            self.assertEqual(len(exported), len(items), "an item is missing or there twice")
            self.assertEqual({(item["package"], item["version"]): item for item in exported}, items)


if __name__ == "__main__":
    run_tests()
