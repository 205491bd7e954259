"""A real file system of few megabytes mounted over a directory: tmpfs, or LoopDisk's ext4 in a sparse file; needs root.

    with SmallDisk(path, megabytes=64) as disk:   # what was in the directory is on it
        disk.fill()                               # not a byte is free
        disk.empty()                              # what fill() wrote is gone
"""

import errno
import itertools
import os
import shutil
import subprocess
import tempfile

STEP_BYTES = 1 << 20


class SmallDisk:
    def __init__(self, path, megabytes, inodes=0):
        """`inodes`: files and directories that may be there; 0: any number."""
        self.path, self.megabytes, self.inodes = path, megabytes, inodes
        self.filler, self.names = f"{path}/filler", f"{path}/names"

    def __enter__(self):
        os.makedirs(self.path, exist_ok=True)
        with tempfile.TemporaryDirectory() as aside:
            for name in os.listdir(self.path):
                shutil.move(f"{self.path}/{name}", f"{aside}/{name}")
            self.mount()
            for name in os.listdir(aside):
                shutil.move(f"{aside}/{name}", f"{self.path}/{name}")
        return self

    def mount(self):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.megabytes}m,nr_inodes={self.inodes},mode=0750", "tmpfs", self.path], check=True)

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

    def fill_with_names(self):
        """There are bytes left, but no file can be made."""
        os.mkdir(self.names)
        try:
            for number in itertools.count():
                with open(f"{self.names}/{number}", "xb"):
                    pass
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise

    def empty_of_names(self):
        shutil.rmtree(self.names)

    def free_bytes(self):
        return shutil.disk_usage(self.path).free


class LoopDisk(SmallDisk):
    """Takes the real disk's space only for what is written, so that it may be large; a sync is a sync."""

    def mount(self):
        image = f"{self.path}.image"
        with open(image, "wb") as file:
            file.truncate(self.megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, self.path], check=True)
        os.rmdir(f"{self.path}/lost+found")
        os.unlink(image)  # lives as long as it is mounted

    def fill(self):
        with open(self.filler, "ab", buffering=0) as file:
            free = self.free_bytes()
            while free >= STEP_BYTES:  # reserved, not written
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, free)
                except OSError:
                    free //= 2
                else:
                    free = min(free, self.free_bytes())
        super().fill()
