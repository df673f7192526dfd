"""The peers, durable like us, on the same disk and cores: broker on one core, its clients on the other."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from market import Failure, pin
from measures import program

START_SECONDS = 20
POSTGRES = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(words, port, folder, user=None):
    """A broker, once it accepts connections; ended afterwards."""
    process = subprocess.Popen(
        [str(word) for word in words], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, preexec_fn=pin(0), user=user)
    try:
        end = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > end:
                raise Failure(f"{pathlib.Path(words[0]).name} did not come up")
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def brokers():
    """Name, and the words that start it in a folder: every write is on the disk before it is acknowledged."""
    def redis(port, folder):
        return ["redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly",
                "yes", "--appendfsync", "always"]

    def beanstalkd(port, folder):
        return ["beanstalkd", "-l", "127.0.0.1", "-p", port, "-b", folder, "-f", "0"]

    return {"redis": ("redis-server", redis), "beanstalkd": ("beanstalkd", beanstalkd)}


def queue(tools, name, runs, jobs, singles):
    """([jobs/s], [p50 ms], [p99 ms]); None when it is not installed."""
    binary, words = brokers()[name]
    if not shutil.which(binary):
        return None
    rates, medians, tails = [], [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="aitbc-peer.") as folder:
            port = free_port()
            with running(words(port, folder), port, folder):
                rates += program(tools / "peer_queues", name, port, "flow", jobs, 100)
                median, tail = program(tools / "peer_queues", name, port, "one", singles)
        medians.append(median)
        tails.append(tail)
    return rates, medians, tails


TABLE = """CREATE TABLE jobs (id bigserial PRIMARY KEY, state int NOT NULL DEFAULT 0, payload text,
  claimed_at timestamptz, done_at timestamptz);
CREATE INDEX ON jobs (id) WHERE state = 0;"""
# Submit, claim and end a hundred jobs, each in a transaction of its own.
LOOP = """INSERT INTO jobs (payload) SELECT repeat('x', 100) FROM generate_series(1, 100);
UPDATE jobs SET state = 1, claimed_at = now() WHERE id IN (
  SELECT id FROM jobs WHERE state = 0 ORDER BY id FOR UPDATE SKIP LOCKED LIMIT 100);
UPDATE jobs SET state = 2, done_at = now() WHERE id IN (
  SELECT id FROM jobs WHERE state = 1 ORDER BY id FOR UPDATE SKIP LOCKED LIMIT 100);
"""
PARTIAL = "CREATE INDEX ON jobs (id) WHERE state = 1;"


def postgres(runs, jobs):
    """[jobs/s] of a bare SKIP LOCKED loop of one client; None when it is not installed, or we may not start it."""
    if not POSTGRES or not shutil.which("pgbench") or os.geteuid() != 0:
        return None
    tools, owner = POSTGRES[-1], pwd.getpwnam("postgres")
    with tempfile.TemporaryDirectory(prefix="aitbc-peer.") as folder:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        data, port, script = f"{folder}/data", free_port(), f"{folder}/loop.sql"
        pathlib.Path(script).write_text(LOOP)
        subprocess.run([tools / "initdb", "-D", data, "-A", "trust", "-U", "postgres"], check=True, user=owner.pw_uid,
                       cwd=folder, stdout=subprocess.DEVNULL)
        words = [tools / "postgres", "-D", data, "-p", port, "-k", folder, "-c", "listen_addresses=127.0.0.1"]
        with running(words, port, folder, user=owner.pw_uid):
            ask = ["-h", "127.0.0.1", "-p", str(port), "-U", "postgres"]
            ready(ask)
            subprocess.run(["psql", *ask, "-qc", TABLE + PARTIAL, "postgres"], check=True)
            return [bench(ask, script, jobs) for _ in range(runs)]


def ready(ask):
    end = time.monotonic() + START_SECONDS
    while subprocess.run(["psql", *ask, "-qc", "SELECT", "postgres"], capture_output=True, check=False).returncode != 0:
        if time.monotonic() > end:
            raise Failure("PostgreSQL does not answer")
        time.sleep(0.1)


def bench(ask, script, jobs):
    done = subprocess.run(
        ["pgbench", *ask, "-n", "-M", "prepared", "-t", str(jobs // 100), "-f", script, "postgres"], capture_output=True,
        text=True, check=True, preexec_fn=pin(1))
    return float(done.stdout.partition("tps = ")[2].split()[0]) * 100
