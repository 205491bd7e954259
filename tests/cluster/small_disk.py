"""A real file system of a few megabytes (tmpfs), mounted over a directory; needs root.

    with SmallDisk(path, megabytes=64) as disk:   # what was in the directory is on it
        disk.fill()                               # not a byte is free
        disk.empty()                              # what fill() wrote is gone
"""

import os
import shutil
import subprocess
import tempfile

STEP_BYTES = 1 << 20


class SmallDisk:
    def __init__(self, path, megabytes):
        self.path, self.megabytes = path, megabytes
        self.filler = f"{path}/filler"

    def __enter__(self):
        os.makedirs(self.path, exist_ok=True)
        with tempfile.TemporaryDirectory() as aside:
            for name in os.listdir(self.path):
                shutil.move(f"{self.path}/{name}", f"{aside}/{name}")
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.megabytes}m,mode=0750", "tmpfs", self.path],
                           check=True)
            for name in os.listdir(aside):
                shutil.move(f"{aside}/{name}", f"{self.path}/{name}")
        return self

    def __exit__(self, *exception):
        # Lazily: a process that is about to end may still have files open there.
        subprocess.run(["umount", "--lazy", self.path], check=True)

    def fill(self):
        with open(self.filler, "ab", buffering=0) as file:
            size = STEP_BYTES
            while size > 0:
                try:
                    file.write(bytes(size))
                except OSError:  # no space: smaller pieces until not one byte fits
                    size //= 2

    def empty(self):
        os.unlink(self.filler)

    def free_bytes(self):
        return shutil.disk_usage(self.path).free
