"""What the machine itself did meanwhile: time that its processors were given to others (a virtual machine's steal), and time in
which every task that could run waited for a disk. So that a slow moment can be told from a slow cluster."""

import bisect
import os
import threading
import time

EVERY_SECONDS = 0.1
KEPT = 4000  # samples: some minutes
TICKS = os.sysconf("SC_CLK_TCK")


def stolen_seconds():
    """Over all processors, since the machine's start."""
    with open("/proc/stat") as file:
        return int(file.readline().split()[8]) / TICKS


def disk_stall_seconds():
    """The `full` line of /proc/pressure/io; a kernel without it counts nothing."""
    try:
        with open("/proc/pressure/io") as file:
            return next(int(line.rsplit("total=", 1)[1]) for line in file if line.startswith("full")) / 1e6
    except (OSError, StopIteration):
        return 0.0


class MachineWatch:
    def __init__(self):
        self.samples = []  # (raw monotonic ns, stolen, disk stall), ascending
        self.lock = threading.Lock()
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        while True:
            sample = (time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW), stolen_seconds(), disk_stall_seconds())
            with self.lock:
                self.samples.append(sample)
                del self.samples[:-KEPT]
            time.sleep(EVERY_SECONDS)

    def during(self, begin_ns, end_ns):
        """In words, from the last sample before `begin_ns` to the first after `end_ns`."""
        with self.lock:
            samples = list(self.samples)
        times = [sample[0] for sample in samples]
        first, last = bisect.bisect_right(times, begin_ns) - 1, bisect.bisect_left(times, end_ns)
        if first < 0 or last >= len(samples):
            return "of the machine nothing is known"
        (_, stolen, stalled), (_, stolen_then, stalled_then) = samples[first], samples[last]
        return (f"of its {os.cpu_count()} processors' time {stolen_then - stolen:.2f} s were taken from this machine, "
                f"and for {stalled_then - stalled:.2f} s all waited for a disk")
