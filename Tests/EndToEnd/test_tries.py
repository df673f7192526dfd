"""Tries: what is tried again, how often, and when no more."""

import concurrent.futures
import random
import signal
import time

import requests

from market import TERMINAL, MarketTest, until


class Tries(MarketTest):
    def test_named_failures_are_tried_again(self):
        ended = self.market.run("exit 3", retry_on=["EXIT_NONZERO"], max_tries=2)
        self.assertEqual((ended["status"], ended["try"], ended["tries_used"], ended["exit_code"]), ("failed", 2, 2, 3))
        self.assertEqual(ended["retry_on"], ["EXIT_NONZERO"])
        tries = self.market.get(f"/v1/jobs/{ended['job_id']}/tries").json()["tries"]
        self.assertEqual([one["state"] for one in tries], ["failed", "failed"])

    def test_a_later_try_may_succeed(self):
        self.assertEqual(
            self.market.run('test "$AITBC_TRY" = 2', retry_on=["exit_nonzero"], max_tries=5)["try"], 2)

    def test_a_programs_failures_are_its_own(self):
        self.assertEqual(self.market.run("exit 3")["try"], 1)
        self.assertEqual(self.market.run("exit 3", retry_on=["TIMEOUT"])["try"], 1)

    def test_one_try_starts_once(self):
        ended = self.market.run("echo started; exit 3", retry_on=["EXIT_NONZERO"], max_tries=1)
        self.assertEqual((ended["status"], ended["try"]), ("failed", 1))

    def test_time_out(self):
        began = time.monotonic()
        ended = self.market.run("trap '' TERM; while :; do sleep 0.1; done", timeout_seconds=1)
        self.assertEqual((ended["status"], ended["error_detail"]["code"], ended["try"]), ("failed", "TIMEOUT", 1))
        self.assertLess(time.monotonic() - began, 25)
        ended = self.market.run("exec sleep 600", timeout_seconds=1, retry_on=["TIMEOUT"], max_tries=2)
        self.assertEqual((ended["error_detail"]["code"], ended["try"]), ("TIMEOUT", 2))

    def test_unknown_codes(self):
        for word in ("NOPE", "EXPIRED", "QUARANTINED"):
            answer = self.market.post("/v1/jobs", {"command": ["true"], "retry_on": ["TIMEOUT", word]})
            self.assertProblem(answer, 422, "/retry_on/1")
        self.assertEqual(self.market.client("submit", "--retry-on", "NOPE", "--", "true").returncode, 2)

    def test_cli(self):
        out = self.market.client(
            "submit", "--retry-on", "EXIT_NONZERO", "--max-tries", "2", "--wait", "--passthrough", "--", "sh", "-c",
            "exit 4")
        self.assertEqual(out.returncode, 4)


class Killers(MarketTest):
    """A job that takes its miners with it."""

    options = ("--lease", "2s")
    with_miner = False
    slowness = 9

    def test_quarantine(self):
        job = self.market.shell("echo up; exec sleep 600", max_tries=50, ttl_seconds=600)
        for number in range(3):
            name = f"victim-{number}"
            self.market.miner(name, "--slots", "1")
            until(lambda: (found := self.market.job(job))["status"] == "running" and found["try"] == number + 1,
                  f"try {number + 1} runs", 40)
            self.market.end(self.market.miners[name], signal.SIGKILL)
        ended = self.market.finished(job, 20)
        self.assertEqual((ended["status"], ended["error_detail"]["code"]), ("lost", "QUARANTINED"))
        tries = self.market.get(f"/v1/jobs/{job}/tries").json()["tries"]
        self.assertEqual([one["state"] for one in tries], ["lost"] * 3)
        self.assertEqual(len({one["miner_id"] for one in tries}), 3)
        # Others are not harmed by it.
        self.market.miner("survivor")
        self.assertEqual(self.market.run("true")["status"], "completed")


class Full(MarketTest):
    """An account at its limit."""

    options = ("--running-limit", "1")

    def test_quota_is_told_within_a_second(self):
        blocker = self.market.shell("echo up; exec sleep 600")
        self.market.until_log(blocker, "up")
        waiting = self.market.submit("true")
        reason = until(lambda: self.market.job(waiting)["pending_reason"], "a reason", 1)
        self.assertEqual(reason["code"], "QUOTA")
        self.market.post(f"/v1/jobs/{blocker}/cancel", {"grace_seconds": 0})
        self.assertEqual(self.market.finished(waiting)["status"], "completed")


class CancelRaces(MarketTest):
    """A cancel that comes at any moment of a job's life."""

    miner_options = ("--slots", "8")
    slowness = 4

    def test_the_outcome_is_the_truth(self):
        seed = random.randrange(2**32)
        dice = random.Random(seed)
        scripts = ["true", "exit 3", "sleep 0.05", "sleep 0.1; exit 3", "exec sleep 30"]

        def one(delay, script):
            session = requests.Session()
            session.headers["X-Api-Key"] = self.market.client_key
            job = session.post(self.market.url + "/v1/jobs", json={"command": ["sh", "-c", script]},
                               timeout=30).json()["job_id"]
            time.sleep(delay)
            answer = session.post(f"{self.market.url}/v1/jobs/{job}/cancel", json={"grace_seconds": 0}, timeout=30)
            return job, answer.status_code

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            wishes = [pool.submit(one, dice.uniform(0, 0.4), dice.choice(scripts)) for _ in range(60)]
            answers = [wish.result() for wish in wishes]
        seen = set()
        for job, status in answers:
            ended = self.market.finished(job)
            with self.subTest(f"seed {seed}, {job}, {status}"):
                self.assertIn(ended["status"], TERMINAL)
                if status == 409:
                    self.assertIsNone(ended["cancel"])
                    self.assertIn(ended["status"], ("completed", "failed"))
                    continue
                self.assertEqual(status, 202)
                expected = {"canceled": "canceled", "completed": "too_late", "failed": "failed"}[ended["status"]]
                self.assertEqual(ended["cancel"]["outcome"], expected)
                seen.add(expected)
        self.assertIn("canceled", seen)
