"""A coordinator with miners of its own, on a free port, in a temporary folder."""

import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
import unittest
import uuid
from pathlib import Path

import requests
import websocket

BINARY = os.environ["AITBC_BIN"]
LIVE = set()
stopping = threading.Event()
TERMINAL = ("completed", "failed", "canceled", "expired", "lost")


def until(condition, what, seconds=20.0):
    """Waits for `condition` to be true and returns its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def marker():
    """A word that stands in no other process."""
    return "marker" + uuid.uuid4().hex


def processes(text):
    """The ids of the processes whose command line or environment holds `text`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            known = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
            dead = (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            continue
        if text.encode() in known and not dead and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def abandon_all():
    """Ends every market at once, also those that other threads are about to start."""
    stopping.set()
    for _ in range(20):
        for market in list(LIVE):
            market.abandon()
        time.sleep(0.02)


class Market:
    def __init__(self, *options, web=False, wrap=(), environment={}, dies=False, preload=lambda folder: {}):
        """- wrap: words before the coordinator's command line, run in the market's folder. - environment: more
        variables. - dies: the coordinator may die while it starts; it is then started again, without the variables.
        - preload: variables of the coordinator alone."""
        if "--disk-reserve" not in options:
            options += ("--disk-reserve", "1MiB")
        self.wrap = wrap
        self.folder = Path(tempfile.mkdtemp(prefix="aitbc-e2e."))
        self.options, self.miners, self.jobs, self.port = options, {}, [], 0
        (self.folder / "home").mkdir()
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("AITBC_") or k == "AITBC_BIN"}
        self.environment |= {"HOME": str(self.folder / "home"), "PATH": f"{self.tools()}:{os.environ['PATH']}"}
        self.environment.pop("XDG_CONFIG_HOME", None)
        self.environment |= environment
        self.preload = preload(self.folder)
        self.session = requests.Session()
        self.session.trust_env = False
        self.coordinator = None
        self.died_at_start = False
        LIVE.add(self)
        try:
            try:
                self.start()
            except (AssertionError, OSError):
                if not dies or self.coordinator.poll() != -signal.SIGKILL:
                    raise
                self.died_at_start = True
                for name in environment:
                    self.environment.pop(name)
                self.start()
        except BaseException:
            self.abandon()
            raise

    def tools(self):
        """A folder in which `aitbc` is the executable under test."""
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        if not (folder / "aitbc").exists():
            (folder / "aitbc").symlink_to(BINARY)
        return folder

    # The processes

    def start(self):
        """Starts the coordinator: on the port it had, when it ran before."""
        if stopping.is_set():
            raise AssertionError("the tests are being stopped")
        out, err = open(self.folder / "coordinator.out", "ab"), open(self.folder / "coordinator.err", "ab")
        before = out.tell()
        self.coordinator = subprocess.Popen(
            [*self.wrap, BINARY, "coordinator", "--port", str(self.port), "--data-dir", "data", "--keys-dir", "keys",
             "--log-level", "trace", *self.options], cwd=self.folder, env=self.environment | self.preload, stdout=out,
            stderr=err)
        out.close(), err.close()

        def address():
            if stopping.is_set():
                raise AssertionError("the tests are being stopped")
            if self.coordinator.poll() is not None:
                raise AssertionError("the coordinator ended: " + (self.folder / "coordinator.err").read_text()[-2000:])
            text = (self.folder / "coordinator.out").read_text()[before:]
            return re.search(r"^listening on http://[\d.]+:(\d+)$", text, re.M)

        self.port = int(until(address, "the coordinator listens", 30)[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment["AITBC_URL"] = self.url
        until(lambda: self.get("/readyz").status_code == 200, "ready")
        for role in ("client", "miner", "admin"):
            setattr(self, role + "_key", (self.folder / "keys" / f"{role}.key").read_text().strip())
        self.session.headers["X-Api-Key"] = self.client_key

    def end(self, process, number=signal.SIGTERM, seconds=20):
        """Signals a process of ours and waits for it; KILL when it does not go. Returns its status."""
        if process.poll() is None:
            process.send_signal(number)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{process.args[1]} did not end within {seconds} s of signal {number}")

    def restart(self, number=signal.SIGTERM):
        status = self.end(self.coordinator, number)
        self.start()
        return status

    def miner(self, name="miner", *options, wait=True, wrap=()):
        log = open(self.folder / f"{name}.log", "ab")
        process = subprocess.Popen(
            [*wrap, BINARY, "miner", "--url", self.url, "--api-key-file", "keys/miner.key", "--name", name,
             "--work-dir", f"work-{name}", "--log-level", "trace", *options],
            cwd=self.folder, env=self.environment, stdout=log, stderr=log)
        log.close()
        self.miners[name] = process
        if wait:
            until(lambda: self.fleet().get(name) in ("online", "busy"), f"{name} is online", 30)
        return process

    def fleet(self):
        return {one["name"]: one["status"] for one in self.get("/v1/miners").json()["miners"]}

    def stop(self):
        """Ends everything; nothing may be left of it."""
        faults = []
        self.cancel_all()
        for process in self.miners.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.miners.values():
            if process.poll() is None:
                try:
                    self.end(process)
                except AssertionError as error:
                    faults.append(str(error))
        try:
            status = self.end(self.coordinator)
            if status not in (0, -signal.SIGKILL):
                faults.append(f"the coordinator ended with {status}")
        except AssertionError as error:
            faults.append(str(error))
        left = [pid for job in self.jobs for pid in processes("AITBC_JOB_ID=" + job)]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        if left:
            faults.append(f"processes of jobs were left: {left}")
        self.remove_groups()
        shutil.rmtree(self.folder)
        LIVE.discard(self)
        if faults:
            raise AssertionError("; ".join(faults))

    def remove_groups(self):
        """A miner's control group goes with it; that of a killed one would go at its next start, which does not come."""
        for work in self.folder.glob("work-*"):
            name = hashlib.sha256(f"aitbc-group\n{work.resolve()}".encode()).hexdigest()[:16]
            for group in Path("/sys/fs/cgroup").glob(f"**/aitbc-{name}"):
                for folder in sorted(group.rglob("*/"), reverse=True):
                    folder.is_dir() and folder.rmdir()
                group.rmdir()

    def abandon(self):
        """Ends everything at once. A job's processes go with their miner."""
        for process in [self.coordinator, *self.miners.values()]:
            if process and process.poll() is None:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
        LIVE.discard(self)

    def cancel_all(self):
        """Cancels what failed tests left, so that miners need not wait for it."""
        if self.coordinator.poll() is not None:
            for process in self.miners.values():
                process.kill()
        elif any(process.poll() is None for process in self.miners.values()):
            for job in self.get("/v1/jobs?status=assigned,running&limit=500").json().get("jobs", []):
                self.post(f"/v1/jobs/{job['job_id']}/cancel", {"grace_seconds": 0})

    # The API

    def get(self, path, **options):
        return self.session.get(self.url + path, **{"timeout": 30} | options)

    def post(self, path, body=None, **options):
        return self.session.post(self.url + path, json=body, timeout=30, **options)

    def submit(self, *command, **fields):
        """Submits a command, or whatever `fields` say; returns the id."""
        body = ({"command": list(command)} if command else {}) | fields
        answer = self.post("/v1/jobs", body)
        assert answer.status_code in (200, 201), answer.text
        self.jobs.append(answer.json()["job_id"])
        return self.jobs[-1]

    def shell(self, script, **fields):
        return self.submit("sh", "-c", script, **fields)

    def job(self, job):
        answer = self.get(f"/v1/jobs/{job}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def until(self, job, *states, seconds=30):
        return until(lambda: (found := self.job(job))["status"] in states and found, f"{job} is {states}", seconds)

    def finished(self, job, seconds=30):
        return self.until(job, *TERMINAL, seconds=seconds)

    def until_log(self, job, text, stream="stdout", seconds=20):
        return until(
            lambda: text in self.get(f"/v1/jobs/{job}/logs?stream={stream}").text, f"{text} in {stream}", seconds)

    def run(self, script, **fields):
        """Runs a shell script to its end."""
        return self.finished(self.shell(script, **fields))

    def blob(self, data):
        digest = hashlib.sha256(data).hexdigest()
        answer = self.session.put(f"{self.url}/v1/blobs/{digest}", data=data, timeout=30)
        assert answer.status_code in (200, 201), answer.text
        return digest

    def feed(self, path="/v1/jobs/ws", key=True, **options):
        headers = {"X-Api-Key": self.client_key} if key is True else {"X-Api-Key": key} if key else {}
        return websocket.create_connection(
            f"ws://127.0.0.1:{self.port}{path}", header=headers, timeout=20,
            **({"suppress_origin": True} | options))

    # The command line

    def client(self, *words, folder=None, key=True, **options):
        environment = dict(self.environment)
        if key:
            environment["AITBC_API_KEY"] = self.client_key if key is True else key
        return subprocess.run(
            [BINARY, "client", *words], cwd=folder or self.folder, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60, **options)

    def admin(self, *words):
        return subprocess.run(
            [BINARY, "admin", *words], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60)

    def second_account(self):
        """Makes a second account in the stopped coordinator's database; returns its client key."""
        key = "ak_" + uuid.uuid4().hex * 2
        self.end(self.coordinator)
        with sqlite3.connect(self.folder / "data" / "market.db") as database:
            account = "acct_01" + "0" * 24
            columns = [row[1] for row in database.execute("PRAGMA table_info(accounts)")]
            first = dict(zip(columns, database.execute("SELECT * FROM accounts").fetchone()))
            row = first | {"id": account, "name": "second"}
            marks = ",".join("?" * len(columns))
            database.execute(f"INSERT INTO accounts ({','.join(columns)}) VALUES ({marks})", list(row.values()))
            database.execute(
                "INSERT INTO api_keys (hash, account, role, created_at) VALUES (?, ?, 'client', ?)",
                (hashlib.sha256(key.encode()).hexdigest(), account, first["created_at"]))
        database.close()
        self.start()
        return key


class MarketTest(unittest.TestCase):
    """A market for the tests of a class."""

    options = ()
    miner_options = ("--slots", "4")
    with_miner = True
    slowness = 1

    @classmethod
    def setUpClass(cls):
        cls.market = Market(*cls.options)
        try:
            cls.prepare()
        except BaseException:
            cls.market.stop()
            raise

    @classmethod
    def prepare(cls):
        if cls.with_miner:
            cls.market.miner("miner", *cls.miner_options)

    @classmethod
    def tearDownClass(cls):
        cls.market.stop()

    def assertProblem(self, answer, status, *fields, code=None):
        """A problem+json answer of this status whose errors name these fields."""
        self.assertEqual(answer.status_code, status, answer.text)
        self.assertEqual(answer.headers["Content-Type"].split(";")[0], "application/problem+json")
        body = answer.json()
        for member in ("type", "title", "status", "detail", "code", "request_id", "retryable"):
            self.assertIn(member, body)
        self.assertEqual(body["status"], status)
        if code:
            self.assertEqual(body["code"], code)
        pointers = [error["pointer"] for error in body.get("errors", [])]
        for field in fields:
            self.assertIn(field, pointers)
        return body


def on_tmpfs(folder, size):
    """Words that put a small file system of its own at a folder before a command is run, seen by that command alone."""
    script = 'mkdir -p "$0" && mount -t tmpfs -o size=' + size + ' tmpfs "$0" && exec "$@"'
    return ("unshare", "--mount", "--propagation", "private", "sh", "-c", script, folder)


def why_no_tmpfs():
    """Nothing, or why this machine can't mount file systems for a test."""
    if shutil.which("unshare") is None:
        return "unshare (util-linux) is missing"
    with tempfile.TemporaryDirectory(prefix="aitbc-e2e.") as folder:
        done = subprocess.run([*on_tmpfs("probe", "1m"), "true"], cwd=folder, capture_output=True, text=True)
        return None if done.returncode == 0 else "no file system can be mounted here: " + done.stderr.strip()


def messages(feed, stop=None):
    """Reads a feed's messages until `stop` says so or the feed is closed."""
    found = []
    while True:
        code, data = feed.recv_data()
        if code == websocket.ABNF.OPCODE_CLOSE:
            found.append({"type": "close", "code": int.from_bytes(data[:2], "big"), "reason": data[2:].decode()})
            return found
        found.append(json.loads(data))
        if stop and stop(found[-1]):
            return found
