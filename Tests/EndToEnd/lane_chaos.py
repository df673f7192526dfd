"""Processes killed and stopped at random moments, and at every durable step: nothing that was accepted is lost."""

import concurrent.futures
import hashlib
import os
import re
import signal
import subprocess
import threading
import time
import unittest
from pathlib import Path

import requests

from audit import audit
from market import BINARY, Market, TERMINAL, until
from stress import chaos

SOURCE = Path(__file__).resolve().parents[2] / "Sources" / "Store" / "Files" / "CrashPoint.swift"


class Kills(unittest.TestCase):
    """A short run of `make chaos`."""

    slowness = 12

    def test_fifteen_kills_under_load(self):
        seed = int.from_bytes(os.urandom(4), "big")
        faults, told = chaos(15, seed)
        self.assertEqual(faults, [], told)


def crash_points():
    """Every name in the source, so that a new one is not forgotten."""
    text = SOURCE.read_text().split("public enum CrashPoint")[1].split("public enum Moment")[0]
    return [value or name for name, value in re.findall(r'^  case (\w+)(?: = "([\w-]+)")?$', text, re.M)]


class CrashPoints(unittest.TestCase):
    """The coordinator dies before and after each durable step, is started again, and everything goes on."""

    slowness = 11

    def test_each_of_them(self):
        names = crash_points()
        self.assertGreater(len(names), 12)
        # Some steps come first when the coordinator starts, others only with the work.
        places = [(name, moment, 1) for name in names for moment in ("before", "after")]
        places += [("commit", "before", 4), ("commit", "after", 6), ("folder-sync", "after", 3), ("log-write", "after", 2)]
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            results = list(pool.map(self.one, places))
        self.assertEqual([fault for faults in results for fault in faults], [])

    def one(self, place):
        point = ":".join(map(str, place))
        try:
            return [f"{point}: {fault}" for fault in Crash(point).run()]
        except Exception as error:
            return [f"{point}: {type(error).__name__}: {error}"]

    def test_a_wrong_one_is_refused(self):
        for wrong in ("", "commit", "nothing:before", "commit:beside", "commit:before:0", "commit:before:x"):
            with self.subTest(wrong):
                done = subprocess.run(
                    [BINARY, "coordinator", "--port", "0", "--data-dir", "/nowhere/at/all"], capture_output=True, text=True,
                    timeout=20, env=os.environ | {"AITBC_CRASH_POINT": wrong})
                self.assertNotEqual(done.returncode, 0)
                self.assertIn("AITBC_CRASH_POINT must be", done.stderr)


class Crash:
    """One job with an input, output and an artifact, through a coordinator that dies once on the way."""

    def __init__(self, point):
        self.point = point

    def run(self):
        market = Market(environment={"AITBC_CRASH_POINT": self.point}, dies=True)
        try:
            return self.drive(market)
        finally:
            market.abandon()

    def drive(self, market):
        market.environment.pop("AITBC_CRASH_POINT", None)
        stop, deaths = threading.Event(), []
        watch = threading.Thread(target=self.keep_up, args=(market, stop, deaths))
        watch.start()
        try:
            faults = self.work(market)
        finally:
            stop.set()
            watch.join()
        if not deaths and not market.died_at_start:
            faults.append("it never came to this step")
        for miner in market.miners.values():
            market.end(miner, signal.SIGTERM, 30)
        market.end(market.coordinator)
        return faults + audit(market.folder / "data")

    @staticmethod
    def keep_up(market, stop, deaths):
        while not stop.wait(0.02):
            if market.coordinator.poll() is not None:
                deaths.append(market.coordinator.returncode)
                market.start()

    def work(self, market):
        market.miner("m", "--sandbox", "none", wait=False)
        data, counter = os.urandom(200_000), market.folder / "counter"
        digest = hashlib.sha256(data).hexdigest()
        persist(lambda: market.session.put(f"{market.url}/v1/blobs/{digest}", data=data, timeout=10), 200, 201)
        script = f"echo $AITBC_TRY >> {counter}; sha256sum in; cp in $AITBC_OUTPUT_DIR/copy; echo done"
        body = {"command": ["sh", "-c", script], "inputs": [{"path": "in", "sha256": digest}], "max_tries": 1}
        ask = lambda: market.session.post(
            market.url + "/v1/jobs", json=body, headers={"Idempotency-Key": "one"}, timeout=10)
        job = persist(ask, 200, 201).json()["job_id"]
        ended = until(lambda: (found := persist(
            lambda: market.session.get(f"{market.url}/v1/jobs/{job}", timeout=10), 200).json())["status"] in TERMINAL and found,
            "it ends", 40)
        faults = []
        # A claim whose word never reached the miner goes back unstarted; the next one has another number, and counts.
        if (ended["status"], ended["tries_used"]) != ("completed", 1):
            faults.append(f"{ended['status']} with {ended['tries_used']} tries used: {ended['error']}")
        if counter.read_text() != f"{ended['try']}\n":
            faults.append(f"it ran as {counter.read_text()!r}, and try {ended['try']} ended it")
        if persist(ask, 200, 201).json()["job_id"] != job:
            faults.append("the same key gave another job")
        log = persist(lambda: market.session.get(f"{market.url}/v1/jobs/{job}/logs", timeout=10), 200).text
        if log != f"{digest}  in\ndone\n":
            faults.append(f"its log is {log[:200]!r}")
        copy = persist(lambda: market.session.get(f"{market.url}/v1/jobs/{job}/artifacts/copy", timeout=10), 200).content
        if copy != data:
            faults.append("the artifact is another")
        persist(lambda: market.session.get(f"{market.url}/v1/jobs/{job}/download", timeout=10), 200)
        verified = market.client("verify", job)
        if verified.returncode != 0:
            faults.append("verify: " + verified.stdout + verified.stderr)
        return faults


def persist(ask, *wanted, seconds=40):
    """Asks until the answer is a wanted one; a coordinator that is away or in trouble is asked again."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = ask()
            if answer.status_code in wanted:
                return answer
            if answer.status_code < 500 and answer.status_code not in (409, 425):
                raise AssertionError(f"{answer.status_code}: {answer.text}")
        except requests.RequestException as error:
            answer = error
        if time.monotonic() > deadline:
            raise AssertionError(f"no answer in {seconds} s: {answer}")
        time.sleep(0.05)


class Stopped(unittest.TestCase):
    """SIGSTOP for one, two and ten leases, then SIGCONT: two runs of a job never overlap."""

    slowness = 13
    lease = 2.0
    script = """while :; do echo "$AITBC_TRY $(date +%s%N)" >> {log}; [ -e {go} ] && exit 0; sleep 0.05; done"""

    def setUp(self):
        self.market = Market("--lease", f"{int(self.lease)}s")

    def tearDown(self):
        self.market.stop()

    def submit(self, name):
        log, go = self.market.folder / f"{name}.runs", self.market.folder / f"{name}.go"
        job = self.market.shell(self.script.format(log=log, go=go), labels={"name": name})
        until(log.exists, f"{name} runs")
        return job, log, go

    def runs(self, log):
        """First and last moment of each try, in nanoseconds."""
        found = {}
        for line in log.read_text().splitlines():
            number, moment = map(int, line.split())
            first, _ = found.get(number, (moment, 0))
            found[number] = (first, moment)
        return found

    def assertApart(self, log, name):
        runs = self.runs(log)
        for number in sorted(runs)[1:]:
            self.assertGreater(runs[number][0], runs[number - 1][1], f"{name}: tries {number - 1} and {number} overlap")
        return runs

    def test_miners(self):
        """Their supervisors end what a stopped miner can't."""
        jobs = {}
        for name in ("one", "two", "ten"):
            self.market.miner(name, "--sandbox", "none")
            jobs[name] = self.submit(name)
        self.market.miner("spare", "--sandbox", "none", "--slots", "3")
        began = time.monotonic()
        for name in jobs:
            self.market.miners[name].send_signal(signal.SIGSTOP)
        stopped_at = time.time_ns()
        for name, factor in (("one", 1), ("two", 2), ("ten", 10)):
            time.sleep(max(0, began + factor * self.lease - time.monotonic()))
            self.market.miners[name].send_signal(signal.SIGCONT)
        for name, (job, log, go) in jobs.items():
            until(lambda: len(self.runs(log)) > 1, f"{name} runs again", 20)
            go.touch()
            ended = self.market.finished(job)
            self.assertEqual(ended["status"], "completed", ended["error"])
            runs = self.assertApart(log, name)
            # The fence struck while the miner stood still, before the lease was over.
            self.assertLess(runs[1][1], stopped_at + self.lease * 1e9, f"{name} ran beyond its lease")
            self.assertEqual(len(runs), ended["try"])

    def test_coordinator(self):
        self.market.miner("m", "--sandbox", "none", "--slots", "3")
        for name, factor in (("one", 1), ("two", 2), ("ten", 5)):
            job, log, go = self.submit(name)
            self.market.coordinator.send_signal(signal.SIGSTOP)
            time.sleep(factor * self.lease)
            self.market.coordinator.send_signal(signal.SIGCONT)
            go.touch()
            ended = self.market.finished(job)
            self.assertEqual(ended["status"], "completed", ended["error"])
            runs = self.assertApart(log, name)
            self.assertEqual(len(runs), ended["try"])
            # A stopped coordinator takes nothing away: what ended early was fenced by its own miner.
            states = [one["state"] for one in self.market.get(f"/v1/jobs/{job}/tries").json()["tries"]]
            self.assertNotIn("lost", states)
