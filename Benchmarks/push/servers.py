"""The broadcasters that are compared, and the load client."""

import dataclasses
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time

from market import Failure, pin

START_SECONDS = 20
PEERS = ["websockets==17.4", "socketify==0.0.31"]


def compile_tools(folder, tools):
    tools.mkdir(exist_ok=True)
    compiler = os.environ.get("CC", "cc")
    if not shutil.which(compiler):
        raise Failure(f"no C compiler ({compiler}); on Debian: apt-get install gcc libc6-dev zlib1g-dev")
    for name, sources in (
            ("push_floor", ["floor.c"]),
            ("push_readers", ["push_readers.c", "connections.c", "frames.c", "histogram.c"])):
        subprocess.run(
            [compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-o", tools / name, *(folder / file for file in sources),
             "-lz"], check=True)


def peers_python(environment):
    """The interpreter of a virtual environment with the peers, made when it is not there."""
    python = environment / "bin/python"
    ready = environment / "ready"
    if not ready.exists():
        subprocess.run(["python3", "-m", "venv", "--clear", environment], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *PEERS], check=True)
        ready.touch()
    if subprocess.run([python, "-c", "import socketify"], stderr=subprocess.DEVNULL).returncode != 0:
        raise Failure("socketify needs libuv; on Debian: apt-get install libuv1")
    return python


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """`with Server(words) as server:`; ready when it has printed a line that begins with `listening`."""

    def __init__(self, words):
        self.words = [str(word) for word in words]

    def __enter__(self):
        self.process = subprocess.Popen(
            self.words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            preexec_fn=pin(0))
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            line = self.process.stdout.readline()
            if line.startswith("listening"):
                return self
            if not line:
                break
        self.__exit__()
        raise Failure(f"{pathlib.Path(self.words[0]).name} did not come up")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    @property
    def pid(self):
        return self.process.pid


@dataclasses.dataclass
class Bench:
    tools: pathlib.Path
    folder: pathlib.Path
    python: pathlib.Path
    broadcaster: pathlib.Path
    aitbc: pathlib.Path
    quick: bool

    def words(self, name, port, mode, rate, burst, size, start_at, deflate, extra=()):
        plain = [port, mode, rate, burst, size, start_at]
        if name == "floor":
            return [self.tools / "push_floor", *plain]
        if name == "aitbc":
            return [self.broadcaster, "--port", port, "--mode", mode, "--rate", rate, "--burst", burst, "--size", size,
                    "--start-at", start_at, *(["--deflate"] if deflate else []), *extra]
        return [self.python, self.folder / f"peer_{name}.py", *plain, int(deflate)]

    def load(self, port, readers, *words, check=True, timeout=200):
        """One run of the load client; its figures."""
        sources = max(1, readers // 1000)
        done = subprocess.run(
            [str(word) for word in (
                self.tools / "push_readers", "--port", port, "-n", readers, "--sources", sources, *words)],
            stdout=subprocess.PIPE, text=True, timeout=timeout, preexec_fn=pin(1), check=False)
        if not done.stdout:
            raise Failure(f"the load client ended with {done.returncode}")
        figures = json.loads(done.stdout)
        if check:
            require(figures, readers)
        return figures

    def run(self, name, readers, *words, mode="max", rate=10, burst=1, size=200, deflate=False, extra=(), check=True):
        """Starts a server, loads it, and ends it."""
        port = free_port()
        with Server(self.words(name, port, mode, rate, burst, size, readers, deflate, extra)) as server:
            return self.load(
                port, readers, "--server", server.pid, *(["--deflate"] if deflate else []), *words, check=check)


def require(figures, readers):
    if figures["connected"] != readers:
        raise Failure(f"{figures['connected']} of {readers} readers connected: {figures['first_fault']}")
    for fault in ("lost", "gaps", "repeats", "faults"):
        if figures[fault]:
            raise Failure(f"{figures[fault]} {fault}: {figures['first_fault']}")
