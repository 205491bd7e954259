"""A cluster of which each process lives in a network namespace of its own, so that its network can be broken alone; needs root.

    enter_clients_namespace()                 # this process, and what it starts, sees no other network from here on
    with NetworkCluster(nodes=3, coordinators=3) as cluster:
        cluster.network.block("node-0", "node-1")   # what node-0 sends to node-1 is lost, and not the other way
        cluster.network.lose(["node-2"], 0.2)
        cluster.network.slow(["node-2"])
        cluster.network.heal()

The clients' namespace holds a bridge, 10.83.0.1; each process's has one end of a veth pair on it. Packets are dropped by
iptables in the receiver's namespace. Delay needs the kernel's netem; where there is none, a narrow link with a queue (tbf)
delays and drops instead. Namespaces are named after this process and removed at its end.
"""

import atexit
import ctypes
import os
import subprocess

from cluster import BIN, Cluster

CLIENTS_ADDRESS = "10.83.0.1"
PREFIX = f"ring-{os.getpid()}"
CLIENTS = f"{PREFIX}-clients"
CLONE_NEWNET = 0x40000000
# A queue of 300 ms before a link of 4 Mbit/s: more than an election timeout's third, and full at 150 KB.
NARROW_LINK = ["tbf", "rate", "4mbit", "burst", "16kb", "latency", "300ms"]


def run(*words, check=True):
    result = subprocess.run(words, capture_output=True, text=True)
    if check and result.returncode != 0:
        raise AssertionError(f"{' '.join(words)}: {result.stderr.strip() or result.stdout.strip()}")
    return result


def add_namespace(name):
    run("ip", "netns", "add", name)
    atexit.register(run, "ip", "netns", "del", name, check=False)
    run("ip", "-n", name, "link", "set", "lo", "up")


def enter_clients_namespace():
    add_namespace(CLIENTS)
    with open(f"/run/netns/{CLIENTS}") as namespace:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "can't enter a network namespace")
    run("ip", "link", "add", "bridge0", "type", "bridge")
    run("ip", "address", "add", f"{CLIENTS_ADDRESS}/24", "dev", "bridge0")
    run("ip", "link", "set", "bridge0", "up")


class Network:
    def __init__(self):
        self.addresses = {"clients": CLIENTS_ADDRESS}
        self.has_netem = None
        self.delayed = set()
        self.filtered = set()

    def add(self, name):
        """A namespace for the process of that name; returns its address."""
        if name not in self.addresses:
            number = len(self.addresses) + 1
            address, namespace = f"10.83.0.{number}", self.namespace(name)
            add_namespace(namespace)
            run("ip", "link", "add", f"link{number}", "type", "veth", "peer", "name", "eth0", "netns", namespace)
            run("ip", "link", "set", f"link{number}", "master", "bridge0", "up")
            run("ip", "-n", namespace, "address", "add", f"{address}/24", "dev", "eth0")
            run("ip", "-n", namespace, "link", "set", "eth0", "up")
            self.addresses[name] = address
        return self.addresses[name]

    @staticmethod
    def namespace(name):
        return CLIENTS if name == "clients" else f"{PREFIX}-{name}"

    def enter(self, name):
        return ["nsenter", f"--net=/run/netns/{self.namespace(name)}", "--"]

    def block(self, sender, receiver):
        """Nothing that `sender` sends reaches `receiver`; "clients" is whoever is no process of the cluster."""
        self.filter(receiver, "-s", self.addresses[sender])

    def lose(self, names, part):
        """That part of the packets to each of them is lost."""
        for name in names:
            self.filter(name, "-i", "eth0", "-m", "statistic", "--mode", "random", "--probability", str(part))

    def slow(self, names):
        """What each of them sends arrives late."""
        for name in names:
            if self.has_netem is None:
                probe = run("tc", "qdisc", "add", "dev", "bridge0", "root", "netem", "delay", "1ms", check=False)
                self.has_netem = probe.returncode == 0
                run("tc", "qdisc", "del", "dev", "bridge0", "root", check=False)
            how = ["netem", "delay", "60ms", "40ms", "loss", "1%"] if self.has_netem else NARROW_LINK
            run("tc", "-n", self.namespace(name), "qdisc", "replace", "dev", "eth0", "root", *how)
            self.delayed.add(name)

    def heal(self):
        for name in self.filtered:
            run(*self.enter(name), "iptables", "-w", "-F", "INPUT")
        for name in self.delayed:
            run("tc", "-n", self.namespace(name), "qdisc", "del", "dev", "eth0", "root")
        self.filtered.clear()
        self.delayed.clear()

    def filter(self, name, *what):
        self.filtered.add(name)
        run(*self.enter(name), "iptables", "-w", "-A", "INPUT", *what, "-j", "DROP")


class NetworkCluster(Cluster):
    """After enter_clients_namespace()."""

    def __init__(self, node_options=(), coordinator_options=(), **arguments):
        self.network = Network()
        # Addresses other than loopback, in namespaces that nobody else is in.
        super().__init__(node_options=("--insecure", *node_options), coordinator_options=("--insecure", *coordinator_options),
                         **arguments)

    def new_address(self, name):
        self.ports = getattr(self, "ports", 7000) + 1
        return f"{self.network.add(name)}:{self.ports}"

    def launcher(self, name):
        faults = f"{self.directory}/{name}.disk-faults"
        if not os.path.exists(faults):
            self.break_disk(name, (0, 0, 0))
        return [*self.network.enter(name), "env", f"LD_PRELOAD={BIN}/libdisk_faults.so", f"RING_DISK_FAULTS={faults}"]

    def break_disk(self, name, rates):
        """Of 255 reads, writes and syncs of the process's files, how many fail from now on (disk_faults.cc)."""
        with open(f"{self.directory}/{name}.disk-faults", "r+b" if self.processes.get(name) else "wb") as file:
            file.write(bytes(rates))
