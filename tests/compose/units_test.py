"""Protects who runs Ringleader without containers: systemd takes the unit files as they are, and every key of the
example configurations is an option. Closing line: `N passed, N failed`."""

import os
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "cluster"))
from cluster import BIN, run_tests  # noqa: E402

UNITS = os.path.join(ROOT, "deploy", "systemd")
PROGRAMS = {"node": "ring-node", "coordinator": "ring-coordinator"}


class UnitsTest(unittest.TestCase):
    def test_systemd_accepts_the_units(self):
        with tempfile.TemporaryDirectory(prefix="ring-units-") as directory:
            for program in PROGRAMS.values():
                with open(f"{UNITS}/{program}.service") as file:
                    text = file.read()
                self.assertIn(f"ExecStart=/usr/bin/{program} ", text)
                with open(f"{directory}/{program}.service", "w") as file:
                    file.write(text.replace("ExecStart=/usr/bin/", f"ExecStart={BIN}/"))
                verified = subprocess.run(["systemd-analyze", "verify", "--man=no", f"{directory}/{program}.service"],
                                          capture_output=True, text=True)
                # Of other units on this machine it may have something to say as well.
                said = [line for line in verified.stderr.splitlines() if program in line]
                self.assertEqual(said, [])
                self.assertEqual(verified.returncode, 0, verified.stderr)

    def test_the_example_configurations_name_options(self):
        for name, program in PROGRAMS.items():
            offered = subprocess.run([f"{BIN}/{program}", "--help"], capture_output=True, text=True).stdout
            with open(f"{UNITS}/{name}.conf") as file:
                keys = re.findall(r"^(?:# )?([a-z-]+) = ", file.read(), re.M)
            self.assertIn("data", keys)
            for key in keys:
                self.assertRegex(offered, rf"--{key}\b")


if __name__ == "__main__":
    run_tests()
