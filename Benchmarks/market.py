"""A coordinator and a miner of their own, in a temporary folder, on a free port, ended by their process ids."""

import functools
import http.client
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time

START_SECONDS = 30
STOP_SECONDS = 15


class Failure(Exception):
    """A measurement that can't be trusted, or a program that did not do its part."""


@functools.cache  # asked first before this process pins itself
def cores():
    """(server, load): the cores for the coordinator and for everything else; None with fewer than two."""
    available = sorted(os.sched_getaffinity(0))
    return (available[0], available[1]) if len(available) >= 2 else None


def pin(role):
    """A function for a child process to run before its program: role 0 is the server's core, 1 the load's."""
    pair = cores()
    return (lambda: os.sched_setaffinity(0, {pair[role]})) if pair else None


class Client:
    """JSON over one keep-alive connection."""

    def __init__(self, port, key):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.headers = {"X-Api-Key": key, "Content-Type": "application/json"}

    def ask(self, method, path, body=None, status=200, read=True, headers=None):
        """The answer's JSON; None when it is not to be read."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        self.connection.request(method, path, body=data, headers=self.headers | (headers or {}))
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != status:
            raise Failure(f"{method} {path}: {answer.status}, not {status}: {text[:200]!r}")
        return json.loads(text) if read else None

    def total(self, status=None):
        path = "/v1/jobs?limit=1" + (f"&status={status}" if status else "")
        return self.ask("GET", path)["total"]

    def close(self):
        self.connection.close()


class Market:
    """`with Market(aitbc) as market:`; everything is gone afterwards."""

    def __init__(self, aitbc, slots=None, words=(), environment=None):
        """words: further options of the coordinator; environment: more of it for the coordinator."""
        self.aitbc = str(aitbc)
        self.slots = slots
        self.words = words
        self.environment = os.environ | (environment or {})
        self.port = 0
        self.processes = []

    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="aitbc-bench.")
        self.folder = pathlib.Path(self.temporary.name)
        try:
            self.start_coordinator()
            if self.slots:
                self.start_miner()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            self.stop(process)
        self.temporary.cleanup()

    def stop(self, process):
        # A miner leaves at the second signal whatever it has; a coordinator finishes its writes at the first.
        for sign in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            if process.poll() is not None:
                return
            process.send_signal(sign)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                pass

    def start(self, role, name, *words, environment=None):
        with open(self.folder / f"{name}.out", "wb") as out, open(self.folder / f"{name}.log", "wb") as log:
            process = subprocess.Popen(
                [self.aitbc, name, "--log-level", "warning", *words], cwd=self.folder, stdin=subprocess.DEVNULL,
                stdout=out, stderr=log, preexec_fn=pin(role), env=environment)
        self.processes.append(process)
        return process

    def wait_for(self, what, process, name, ready):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if process.poll() is not None:
                break
            answer = ready()
            if answer:
                return answer
            time.sleep(0.02)
        log = (self.folder / f"{name}.log").read_text(errors="replace")[-2000:]
        raise Failure(f"{what} did not come up:\n{log}")

    def start_coordinator(self):
        self.coordinator = process = self.start(
            0, "coordinator", "--port", str(self.port), "--rate-limit", "0", *self.words,
            environment=self.environment)

        def address():
            text = (self.folder / "coordinator.out").read_text()
            return text.rpartition(":")[2].strip() if text.endswith("\n") else None

        self.port = int(self.wait_for("the coordinator", process, "coordinator", address))
        self.key = (self.folder / "keys/client.key").read_text().strip()
        client = self.client()
        self.wait_for("the coordinator", process, "coordinator", lambda: client.ask("GET", "/readyz"))
        client.close()

    def kill_coordinator(self):
        self.coordinator.kill()
        self.coordinator.wait()

    def start_miner(self):
        process = self.start(
            1, "miner", "--url", f"http://127.0.0.1:{self.port}", "--api-key-file", "keys/miner.key",
            "--slots", str(self.slots), "--sandbox", "none", "--name", "bench")
        client = self.client()
        self.wait_for(
            "the miner", process, "miner",
            lambda: any(miner["status"] == "online" for miner in client.ask("GET", "/v1/miners")["miners"]))
        client.close()

    def client(self, role="client"):
        return Client(self.port, (self.folder / f"keys/{role}.key").read_text().strip())

    def set_plan(self, plan):
        """The plan of the account that the first keys belong to."""
        admin = self.client("admin")
        for account in admin.ask("GET", "/v1/admin/accounts")["accounts"]:
            admin.ask("PATCH", f"/v1/admin/accounts/{account['account_id']}", {"plan": plan})
        admin.close()

    def cpu_seconds(self):
        """CPU time that the coordinator has used."""
        fields = pathlib.Path(f"/proc/{self.coordinator.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mib(self):
        """Memory of the coordinator."""
        status = pathlib.Path(f"/proc/{self.coordinator.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024
