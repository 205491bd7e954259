"""What tests/cluster/nemesis does to a cluster: each fault begins, lasts, and ends in healing.

A fault takes its victims from those that no other fault holds, so that ending one never ends another. Network faults share
the network and exclude each other.
"""

import glob
import os
import shutil
import signal
import time

from cluster import await_true

SETTLE_SECONDS_MAX = 300
# Processes of clients with a network of their own each; "clients" is everybody else outside the cluster.
CLIENT_PROCESSES = ("writers-0", "writers-1", "readers")


class Fault:
    """begin() returns what was done, in words. end() stops the harm and starts processes again, and waits for nothing of the
    cluster: the time until it serves is counted from there. settle() then waits until it is well. `long`: it waits for data to
    be copied, alone."""

    long = False
    network = False
    is_done = True  # False after begin(): there was nothing to harm

    def __init__(self, world):
        self.world, self.cluster, self.random = world, world.cluster, world.random
        self.victims = []

    @staticmethod
    def candidates(world):
        """Whom it may hit."""
        return world.cluster.commands

    @classmethod
    def is_possible(cls, world):
        """Whether anybody is left for it whom no other fault holds."""
        return not world.taken.issuperset(cls.candidates(world))

    def take(self, names, count=1):
        free = sorted(set(names) - self.world.taken)
        self.victims = self.random.sample(free, min(count, len(free)))
        self.world.taken.update(self.victims)
        return self.victims

    def release(self):
        self.world.taken.difference_update(self.victims)

    def begin(self):
        raise NotImplementedError

    def end(self):
        pass

    def settle(self):
        pass


class Kill(Fault):
    """kill -9 of one process."""

    def begin(self):
        for name in self.take(self.cluster.commands):
            self.cluster.kill(name)
        return f"kill -9 of {', '.join(self.victims)}"

    def end(self):
        for name in self.victims:
            self.cluster.start(name)


class Outage(Kill):
    """kill -9 of every process at once."""

    def begin(self):
        self.take(self.cluster.commands, len(self.cluster.commands))
        for name in self.victims:
            self.cluster.processes[name].send_signal(signal.SIGCONT)
            self.cluster.processes[name].kill()
        for name in self.victims:
            self.cluster.processes[name].wait()
        return "kill -9 of all"


class Stop(Kill):
    """SIGTERM, as an operator stops a process."""

    def begin(self):
        for name in self.take(self.cluster.commands):
            code = self.cluster.terminate(name)
            if code != 0:
                raise AssertionError(f"{name} ended with {code} after SIGTERM")
        return f"stop of {', '.join(self.victims)}"


class Pause(Fault):
    """SIGSTOP of one or two processes: they don't know that time passed."""

    def begin(self):
        for name in self.take(self.cluster.commands, self.random.choice((1, 1, 2))):
            self.cluster.pause(name)
        return f"pause of {', '.join(self.victims)}"

    def end(self):
        for name in self.victims:
            self.cluster.resume(name)


class NetworkFault(Fault):
    network = True

    def everybody(self):
        return [*self.cluster.commands, "clients", *CLIENT_PROCESSES]

    def end(self):
        self.cluster.network.heal()


class Partition(NetworkFault):
    """Two sides that don't hear each other; each process of clients is on one of them, or on both."""

    def begin(self):
        names = self.random.sample(sorted(self.cluster.commands), len(self.cluster.commands))
        left = names[:self.random.choice((1, 1, 2, 3))]
        right = names[len(left):]
        for clients in ("clients", *CLIENT_PROCESSES):
            self.random.choice((left, right, [])).append(clients)
        for one in left:
            for other in right:
                self.cluster.network.block(one, other)
                self.cluster.network.block(other, one)
        return f"partition of {', '.join(sorted(left))} from {', '.join(sorted(right))}"


class OneWay(NetworkFault):
    """One process that is heard and hears nothing, or that hears and is not heard."""

    def begin(self):
        victim = self.random.choice(sorted(self.cluster.commands))
        is_deaf = self.random.random() < 0.5
        others = [name for name in self.everybody()
                  if name != victim and (name in self.cluster.commands or self.random.random() < 0.5)]
        for other in others:
            self.cluster.network.block(*((other, victim) if is_deaf else (victim, other)))
        return f"{victim} {'hears' if is_deaf else 'is heard by'} none of {', '.join(others)}"


class Ring(NetworkFault):
    """Nodes in a ring, of which each hears only one neighbour: none is cut off, no two agree on who is there."""

    def begin(self):
        nodes = self.random.sample(sorted(self.cluster.node_addresses), len(self.cluster.node_addresses))
        for one, next_one in zip(nodes, nodes[1:] + nodes[:1]):
            self.cluster.network.block(one, next_one)
        return f"each of {', '.join(nodes)} is not heard by the next"


class Loss(NetworkFault):
    """5 to 30 % of the packets to some processes are lost."""

    def begin(self):
        names = self.random.sample(sorted(self.cluster.commands), self.random.randint(1, len(self.cluster.commands)))
        part = self.random.uniform(0.05, 0.3)
        self.cluster.network.lose(names, part)
        return f"loss of {part:.0%} to {', '.join(names)}"


class Slow(NetworkFault):
    """What some processes send is late."""

    def begin(self):
        names = self.random.sample(sorted(self.cluster.commands), self.random.randint(1, len(self.cluster.commands)))
        self.cluster.network.slow(names)
        how = "late" if self.cluster.network.has_netem else "through a narrow link (no netem here)"
        return f"{', '.join(names)} send {how}"


class Full(Fault):
    """Not a byte is free on one node's disk."""

    @staticmethod
    def candidates(world):
        return world.disks

    def begin(self):
        for name in self.take(self.world.disks):
            self.world.disks[name].fill()
        return f"full disk of {', '.join(self.victims)}"

    def end(self):
        for name in self.victims:
            self.world.disks[name].empty()
            # It may have ended itself over a write that failed: an operator starts it again.
            if self.cluster.processes[name].poll() is not None:
                self.cluster.start(name)


class DiskError(Fault):
    """Some reads, writes or syncs of one process's files fail: alone, as a disk that fails is no majority."""

    long = True
    LOG_FAILED = (70, 1)  # how a node and a coordinator exit whose log can't be relied on any more

    def begin(self):
        self.world.settle()
        name, = self.take(self.world.disks_that_fail)
        rates = self.random.choice(((8, 0, 0), (0, 8, 0), (0, 0, 8), (40, 40, 40)))
        self.cluster.break_disk(name, rates)
        return f"of {name}'s reads, writes, syncs fail {', '.join(f'{rate / 255:.0%}' for rate in rates)}"

    def end(self):
        name, = self.victims
        self.cluster.break_disk(name, (0, 0, 0))
        self.start_again(name)

    def settle(self):
        name, = self.victims
        time.sleep(1)  # what failed last is being dealt with; counts as time in which it does not serve
        self.start_again(name)
        self.world.settle()

    def start_again(self, name):
        code = self.cluster.processes[name].poll()
        if code is None:
            return
        if code not in self.LOG_FAILED:
            raise AssertionError(f"{name} ended with {code} after a disk error")
        self.cluster.start(name)


class Corrupt(Fault):
    """One block of one file of a log or a database goes bad under a process that runs or is stopped."""

    long = True
    BLOCK_BYTES = 4096
    FILES = ("log/*.segment", "groups/*/*/*.ldb", "groups/*/*/MANIFEST-*", "groups/*/*/CURRENT")

    def blocks_held(self, path):
        with open(path, "rb") as file:
            content = file.read()
        return [at for at in range(0, len(content), self.BLOCK_BYTES) if any(content[at:at + self.BLOCK_BYTES])]

    def begin(self):
        self.world.settle()
        name, = self.take(self.world.disks_that_fail)
        self.is_stopped = self.random.random() < 0.5
        if self.is_stopped:
            self.cluster.kill(name)
        # As many of each sort as of the others, however many files there are.
        for pattern in self.random.sample(self.FILES, len(self.FILES)):
            found = sorted(glob.glob(f"{self.cluster.directory}/{name}/{pattern}"))
            path = self.random.choice(found) if found else None
            held = self.blocks_held(path) if path else []
            if held:
                break
        else:
            self.is_done = self.is_stopped
            return f"nothing to corrupt on {name}"
        at = self.random.choice(held)
        with open(path, "r+b", buffering=0) as file:
            length = min(self.BLOCK_BYTES, os.fstat(file.fileno()).st_size - at)
            how = self.random.choice(("zeros", "noise", "one bit"))
            block = bytearray(os.pread(file.fileno(), length, at))
            if how == "one bit":
                block[self.random.randrange(length)] ^= 1 << self.random.randrange(8)
            else:
                block = bytes(length) if how == "zeros" else self.random.randbytes(length)
            os.pwrite(file.fileno(), block, at)
        return (f"{how} in block {at // self.BLOCK_BYTES} of {os.path.relpath(path, self.cluster.directory)}, "
                f"{'stopped' if self.is_stopped else 'running'}")

    def end(self):
        name, = self.victims
        if self.is_stopped:
            self.cluster.start(name)

    def settle(self):
        self.world.settle()


class Wipe(Fault):
    """One process loses its disk: alone, with every replica intact, as the fault model has it."""

    long = True

    def begin(self):
        self.world.settle()
        name, = self.take(self.world.disks_that_fail)
        self.id_before = self.cluster.node_id(name) if name in self.cluster.node_addresses else None
        self.cluster.kill(name)
        directory = f"{self.cluster.directory}/{name}"
        for entry in os.listdir(directory):
            path = f"{directory}/{entry}"
            if os.path.isdir(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
        return f"wiped disk of {name}"

    def end(self):
        name, = self.victims
        self.cluster.start(name)

    def settle(self):
        name, = self.victims
        if self.id_before is not None:
            # It is somebody else now, and nobody counts on the one that it was.
            await_true(SETTLE_SECONDS_MAX, lambda: self.cluster.node_id(name) != self.id_before and
                       self.cluster.replicas_by_node().get(self.id_before, 0) == 0,
                       lambda: f"replicas by node: {self.cluster.replicas_by_node()}")
        self.world.settle()


class ClientPause(Fault):
    """SIGSTOP of a process of clients: what it holds is waited for, and what it then reads must be current."""

    @staticmethod
    def candidates(world):
        return world.clients

    def begin(self):
        name, = self.take(self.world.clients)
        self.stopped = self.world.clients[name].process
        os.kill(self.stopped.pid, signal.SIGSTOP)
        return f"pause of the {name}"

    def end(self):
        os.kill(self.stopped.pid, signal.SIGCONT)


class ClientKill(Fault):
    """kill -9 of a process of clients: what it holds is waited for while others write it."""

    @staticmethod
    def candidates(world):
        return world.clients

    def begin(self):
        name, = self.take(self.world.clients)
        self.world.clients[name].kill()
        return f"kill -9 of the {name}"

    def settle(self):  # a client that starts waits for the cluster
        name, = self.victims
        self.world.clients[name].start()


class ClientPartition(NetworkFault):
    """A process of clients and the nodes, one of them, or the whole cluster don't hear each other, or only one way: what it holds
    is waited for while others write it, and it must not answer from it for longer than that."""

    def begin(self):
        name = self.random.choice(CLIENT_PROCESSES)
        nodes = sorted(self.cluster.node_addresses)
        others = self.random.choice((nodes, [self.random.choice(nodes)], sorted(self.cluster.commands)))
        hears, is_heard = self.random.choice(((False, False), (False, True), (True, False)))
        for other in others:
            if not hears:
                self.cluster.network.block(other, name)
            if not is_heard:
                self.cluster.network.block(name, other)
        how = "hears" if is_heard else "is heard by" if hears else "hears and is heard by"
        return f"{name} {how} none of {', '.join(others)}"


FAULTS = {"kill": Kill, "outage": Outage, "stop": Stop, "pause": Pause, "partition": Partition, "one-way": OneWay,
          "ring": Ring, "loss": Loss, "slow": Slow, "full": Full, "error": DiskError,
          "corrupt": Corrupt, "wipe": Wipe, "client-pause": ClientPause, "client-kill": ClientKill,
          "client-partition": ClientPartition}
