"""A Docker engine of the test's own: started by hand, with its own data, socket and networks, and ended by its pid.

There is no registry to take images from, so the base image is made with debootstrap under the name that the
Dockerfiles use. What it made and built stays in a folder of the build for the next run; containers, volumes and
networks do not.
"""

import os
import shutil
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BASE_IMAGE = "debian:bookworm"


def output(*words, **options):
    return subprocess.run(words, check=True, capture_output=True, text=True, **options).stdout


def mirror():
    """Where this machine's apt takes Debian's packages from, as debootstrap's last word; none: its own default."""
    listed = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Codename: bookworm",
                             "Created-By: Packages", "Component: main"], capture_output=True, text=True).stdout
    return [address.rstrip("/") for address in listed.split()[:1]]


def apt_proxy():
    """apt's proxy settings of this machine, as lines of a configuration; empty if it needs none."""
    dumped = subprocess.run(["apt-config", "dump"], capture_output=True, text=True).stdout
    return "".join(line + "\n" for line in dumped.splitlines() if "::proxy" in line.lower())


class Engine:
    """with Engine(folder) as engine: engine.docker("ps")"""

    def __init__(self, folder):
        self.folder = folder
        self.data = os.path.join(folder, "engine")
        # A socket's path has to be short.
        self.run = tempfile.mkdtemp(prefix="ring-docker-")
        self.environment = dict(os.environ, DOCKER_HOST=f"unix://{self.run}/socket", DOCKER_BUILDKIT="0",
                                DOCKER_CONFIG=f"{self.run}/config", COMPOSE_PROJECT_NAME="ringleader-test")
        # The package's own command: another one may be too new for this engine.
        self.command = "/usr/bin/docker" if os.path.exists("/usr/bin/docker") else "docker"
        self.daemon = None

    def __enter__(self):
        os.makedirs(self.data, exist_ok=True)
        with open(f"{self.run}/log", "w") as log:
            self.daemon = subprocess.Popen(
                ["dockerd", "--data-root", self.data, "--exec-root", f"{self.run}/exec", "--pidfile", f"{self.run}/pid",
                 "--host", f"unix://{self.run}/socket", "--bridge", "none", "--log-level", "warn"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            self.await_daemon(60)
            self.remove_everything()  # what a run that was killed may have left
            self.make_base_image()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *exception):
        if self.daemon.poll() is None:
            try:
                self.remove_everything()
            finally:
                self.daemon.terminate()
                try:
                    self.daemon.wait(timeout=30)
                except subprocess.TimeoutExpired:
                    self.daemon.kill()
                    self.daemon.wait()
        if exception[0] is not None:
            with open(f"{self.run}/log") as log:
                print("--- the end of the engine's log\n" + "".join(log.readlines()[-20:]))
        with open("/proc/mounts") as mounts:
            left = [line.split()[1] for line in mounts if self.data in line or self.run in line]
        for path in sorted(left, reverse=True):
            subprocess.run(["umount", "--lazy", path])
        shutil.rmtree(self.run, ignore_errors=True)

    def await_daemon(self, seconds):
        deadline = time.monotonic() + seconds
        while subprocess.run([self.command, "info"], env=self.environment, capture_output=True).returncode != 0:
            if self.daemon.poll() is not None or time.monotonic() > deadline:
                with open(f"{self.run}/log") as log:
                    raise AssertionError("dockerd does not start:\n" + log.read()[-2000:])
            time.sleep(0.2)

    def docker(self, *words, **options):
        result = subprocess.run([self.command, *words], env=self.environment, capture_output=True, text=True, **options)
        if result.returncode != 0:
            raise AssertionError(f"docker {' '.join(words)} ended with {result.returncode}:\n"
                                 f"{result.stdout[-3000:]}{result.stderr[-3000:]}")
        return result.stdout

    def remove_everything(self):
        """Containers, volumes and networks. The engine is the test's own: all of them are."""
        containers = self.docker("ps", "--all", "--quiet").split()
        if containers:
            self.docker("rm", "--force", "--volumes", *containers)
        volumes = self.docker("volume", "ls", "--quiet").split()
        if volumes:
            self.docker("volume", "rm", "--force", *volumes)
        self.docker("network", "prune", "--force")

    def make_base_image(self):
        if self.docker("images", "--quiet", BASE_IMAGE).strip():
            return
        tree = os.path.join(self.folder, "base")
        shutil.rmtree(tree, ignore_errors=True)
        output("debootstrap", "--variant=minbase", "bookworm", tree, *mirror())
        # A build reaches Debian's packages the way that this machine does.
        with open(f"{tree}/etc/apt/apt.conf.d/90proxy", "w") as file:
            file.write(apt_proxy())
        archive = subprocess.Popen(["tar", "-C", tree, "-c", "."], stdout=subprocess.PIPE)
        self.docker("import", "-", BASE_IMAGE, stdin=archive.stdout)
        archive.wait()
        shutil.rmtree(tree, ignore_errors=True)

    def build(self, *words):
        # The host's network: the engine has no default bridge, which another engine's would collide with.
        self.docker("build", "--network", "host", *words, cwd=ROOT, timeout=600)
