"""AITBC's miner protocol under the lease rules."""

import hashlib
import threading
import time

import requests

from market import MarketTest, until
from rest_miner import RestMiner


class RestTest(MarketTest):
    with_miner = False

    def payload(self, **fields):
        return self.market.submit(payload={"type": "inference", "prompt": "hello"}, **fields)

    def assertStale(self, answer):
        return self.assertProblem(answer, 409, code="stale_lease")

    def refused(self, job):
        return self.market.get(f"/v1/jobs/{job}/tries").json()["refused_reports"]


class Protocol(RestTest):
    def test_a_payload_from_the_queue_to_the_receipt(self):
        miner = RestMiner(self.market, "worker")
        registered = miner.register()
        self.assertEqual(registered["status"], "ok")
        self.assertRegex(registered["miner_id"], "^miner_")
        job = self.payload(constraints={"gpu": "RTX 4090", "min_vram_gb": 16, "region": "eu-west", "cuda": "12.4",
                                        "models": ["tiny"]})
        got = miner.poll()
        self.assertEqual((got["job_id"], got["payload"]), (job, {"type": "inference", "prompt": "hello"}))
        self.assertEqual((got["constraints"]["gpu"], got["try"], got["lease_seconds"]), ("RTX 4090", 1, 30))
        self.assertEqual(self.market.until(job, "running")["miner_id"], registered["miner_id"])
        self.assertEqual(miner.heartbeat()["renewed"], [job])
        self.assertEqual(self.market.fleet()["worker"], "busy")
        time.sleep(0.05)
        answer = miner.result(got, {"output": "hi"})
        self.assertEqual(answer.status_code, 200, answer.text)
        self.assertEqual((answer.json()["status"], answer.json()["job_status"]), ("ok", "completed"))
        done = self.market.job(job)
        self.assertEqual((done["status"], done["result"], done["progress"]), ("completed", {"output": "hi"}, 100))
        self.assertEqual(answer.json()["receipt"], self.market.get(f"/v1/jobs/{job}/receipt").json())
        # The coordinator's time, not the miner's word, is charged.
        self.assertGreater(float(done["cost"]), 0.04)
        attempt = self.market.get(f"/v1/jobs/{job}/tries").json()["tries"][0]
        self.assertEqual(attempt["usage"], {"duration_ms": 5})
        self.assertEqual(self.market.get(f"/v1/jobs/{job}/download").status_code, 200)

    def test_failing_is_never_paid(self):
        miner = RestMiner(self.market, "failer")
        miner.register()
        for report, code in (
            (lambda got: miner.fail(got), "OUT_OF_MEMORY"),
            (lambda got: miner.fail(got, "SOMETHING", "odd"), "RUNNER_FAILED"),
            (lambda got: miner.fail(got, "LOST", "not its word to say"), "RUNNER_FAILED"),
            (lambda got: miner.result(got, {"status": "failed", "error": "no"}), "RUNNER_FAILED"),
            (lambda got: miner.result(got, {"status": "ERROR"}), "RUNNER_FAILED"),
        ):
            job = self.payload()
            got = miner.poll()
            self.market.until(job, "running")
            time.sleep(0.02)
            answer = report(got)
            self.assertEqual(answer.status_code, 200, answer.text)
            self.assertIsNone(answer.json()["receipt"])
            done = self.market.job(job)
            self.assertEqual((done["status"], done["cost"], done["error_detail"]["code"]), ("failed", "0.000000", code))

    def test_a_report_counts_once_and_only_under_its_token(self):
        first, second = RestMiner(self.market, "first"), RestMiner(self.market, "second")
        first.register(), second.register()
        job = self.payload()
        got = first.poll()
        for answer in (
            second.result(got, {"output": "stolen"}), second.fail(got),
            first.result(got | {"lease_token": "lt_" + "x" * 43}, {"output": "guessed"}),
        ):
            self.assertStale(answer)
        other = self.payload()
        got_other = second.poll()
        self.assertStale(first.result({"job_id": job, "lease_token": got_other["lease_token"]}, {"output": "crossed"}))
        self.assertStale(first.result({"job_id": other, "lease_token": got["lease_token"]}, {"output": "crossed"}))
        self.assertProblem(first.post(f"{job}/result", {"result": {}}), 422, "/lease_token")
        self.assertEqual(self.market.job(job)["status"], "running")
        self.assertEqual(first.result(got, {"output": 1}).status_code, 200)
        self.assertStale(first.result(got, {"output": 2}))
        self.assertStale(first.fail(got))
        self.assertEqual(self.market.job(job)["result"], {"output": 1})
        evidence = self.refused(job)
        self.assertEqual(sorted((one["what"], one["try"], one["reason"]) for one in evidence), [
            ("failure", 1, "the lease is another miner's"), ("failure", 1, "the try has ended: completed"),
            ("result", 0, "the token is none of this job's"), ("result", 0, "the token is none of this job's"),
            ("result", 1, "the lease is another miner's"), ("result", 1, "the try has ended: completed")])
        self.assertTrue(all(len(one["sha256"]) == 64 for one in evidence))
        # The same again is counted, not kept again.
        self.assertStale(first.fail(got))
        self.assertEqual(sorted(one["count"] for one in self.refused(job)), [1, 1, 1, 1, 1, 2])
        self.assertEqual(second.result(got_other, {}).status_code, 200)

    def test_evidence_is_bounded(self):
        miner = RestMiner(self.market, "flooder")
        miner.register()
        job = self.payload()
        got = miner.poll()
        self.assertEqual(miner.result(got, {}).status_code, 200)
        for number in range(34):
            self.assertStale(miner.result(got, {"output": number}))
        self.assertEqual(len(self.refused(job)), 32)

    def test_polls_wait_and_end(self):
        miner = RestMiner(self.market, "waiter")
        self.assertProblem(miner.post("poll", {}), 404, code="not_registered")
        self.assertProblem(miner.post("heartbeat", {}), 404)
        miner.register(capabilities={"labels": {"only": "waiter"}})
        began = time.monotonic()
        self.assertIsNone(miner.poll(1))
        self.assertGreaterEqual(time.monotonic() - began, 0.9)
        self.assertIsNone(miner.poll(0))
        found = []
        thread = threading.Thread(target=lambda: found.append(miner.poll(20)))
        thread.start()
        time.sleep(0.2)
        began = time.monotonic()
        job = self.payload(constraints={"labels": {"only": "waiter"}})
        thread.join(10)
        self.assertLess(time.monotonic() - began, 2)
        self.assertEqual(found[0]["job_id"], job)
        # At capacity nothing comes, whatever the heartbeats claim.
        waiting = self.payload(constraints={"labels": {"only": "waiter"}})
        self.assertEqual(miner.heartbeat(inflight=0)["inflight"], 1)
        self.assertIsNone(miner.poll(1))
        # Nor after registering again; and what runs goes on.
        self.assertEqual(miner.register(capabilities={"labels": {"only": "waiter"}})["renewed"], [job])
        self.assertIsNone(miner.poll(1))
        self.assertEqual(miner.result(found[0], {}).status_code, 200)
        self.assertEqual(miner.run_one(lambda payload: {}), waiting)

    def test_a_poll_that_left_costs_no_try(self):
        miner = RestMiner(self.market, "hasty")
        miner.register(capabilities={"labels": {"only": "hasty"}})
        with self.assertRaises(requests.exceptions.ReadTimeout):
            miner.post("poll", {"max_wait_seconds": 30}, timeout=0.3)
        job = self.payload(constraints={"labels": {"only": "hasty"}}, max_tries=1)
        time.sleep(0.3)
        self.assertEqual(miner.run_one(lambda payload: {}), job)
        done = self.market.job(job)
        self.assertEqual((done["status"], done["tries_used"]), ("completed", 1))

    def test_two_pollers_one_job(self):
        """Both wait each time a job comes; exactly one gets it, in its first try."""
        stop, given, jobs = threading.Event(), [], []
        miners = [RestMiner(self.market, f"racer{number}") for number in range(2)]
        for miner in miners:
            miner.register(capabilities={"labels": {"only": "racer"}})

        def race(miner):
            while not stop.is_set():
                got = miner.poll(1)
                if got:
                    given.append((got["job_id"], got["try"]))
                    assert miner.result(got, {}).status_code == 200

        threads = [threading.Thread(target=race, args=(miner, )) for miner in miners]
        for thread in threads:
            thread.start()
        try:
            for _ in range(150):
                jobs.append(self.payload(constraints={"labels": {"only": "racer"}}))
                self.market.finished(jobs[-1])
        finally:
            stop.set()
            for thread in threads:
                thread.join(20)
        self.assertEqual(sorted(given), sorted((job, 1) for job in jobs))

    def test_several_miners_of_one_key(self):
        nameless, named = RestMiner(self.market), RestMiner(self.market, "named")
        ids = {nameless.register()["miner_id"], named.register()["miner_id"],
               RestMiner(self.market, "other").register()["miner_id"]}
        self.assertEqual(len(ids), 3)
        again = named.register()
        self.assertIn(again["miner_id"], ids)
        by_id = RestMiner(self.market, again["miner_id"])
        self.assertEqual(by_id.register()["name"], "named")
        self.assertEqual(by_id.heartbeat()["status"], "ok")
        self.assertEqual(by_id.post("heartbeat", {}, headers={"X-Miner-ID": ""}, params={"miner_id": "named"}).status_code, 200)

    def test_refusals(self):
        miner = RestMiner(self.market, "strict")
        for body, fields in (
            ({"concurrency": 0}, ["/concurrency"]), ({"concurrency": 10_001}, ["/concurrency"]),
            ({"capabilities": {"gpus": [{"memory_mb": 1}]}}, ["/capabilities/gpus/0/name"]),
            ({"capabilities": []}, ["/capabilities"]), ({"surprise": 1}, ["/surprise"]),
            ({"capabilities": {"price": "dear"}}, ["/capabilities/price"]),
        ):
            with self.subTest(body):
                self.assertProblem(miner.post("register", body), 422, *fields)
        # What nobody knows is welcome among capabilities.
        self.assertEqual(miner.post("register", {"capabilities": {"edge": True, "gpu": {"model": "V100", "memory_gb": 16}}}).status_code, 200)
        self.assertProblem(miner.post("poll", {"max_wait_seconds": "x"}), 422, "/max_wait_seconds")
        self.assertProblem(miner.post("heartbeat", {"lease_tokens": "x"}), 422, "/lease_tokens")
        job = self.payload(constraints={"gpu": "V100"})
        got = miner.poll()
        for body, fields in (
            ({}, ["/result"]), ({"result": "text"}, ["/result"]), ({"result": {}, "metrics": 1}, ["/metrics"]),
            ({"result": {}, "extra": 1}, ["/extra"]),
            ({"result": {}, "metrics": {"m": "x" * 65_600}}, ["/metrics"]),
        ):
            with self.subTest(str(body)[:40]):
                answer = miner.post(f"{job}/result", body, headers={"X-Lease-Token": got["lease_token"]})
                self.assertProblem(answer, 422, *fields)
        for path in ("register", "heartbeat", "poll", f"{job}/result", f"{job}/fail"):
            with self.subTest(path):
                stranger = RestMiner(self.market, key=self.market.client_key)
                self.assertProblem(stranger.post(path, {"result": {}, "lease_token": "x"}), 403)
        self.assertEqual(self.market.job(job)["status"], "running")
        self.assertEqual(miner.fail(got).status_code, 200)
        # Programs are for miners that say that they run them.
        program = self.market.submit("true", constraints={"gpu": "V100"})
        self.assertIsNone(miner.poll(1))
        self.market.post(f"/v1/jobs/{program}/cancel")


class Leases(RestTest):
    """With short leases: 2 s for miners that speak REST."""

    options = ("--lease", "1s")
    slowness = 2

    def test_a_silent_miner_loses_its_job_and_comes_too_late(self):
        silent, other = RestMiner(self.market, "silent"), RestMiner(self.market, "other")
        silent.register(), other.register()
        job = self.payload()
        got = silent.poll()
        began = time.monotonic()
        taken = other.poll(20)
        self.assertEqual((taken["job_id"], taken["try"]), (job, 2))
        # Lease + 2 s, and up to 1 s of back-off between tries.
        self.assertLess(time.monotonic() - began, 5.5)
        answer = silent.result(got, {"output": "late"})
        self.assertStale(answer)
        self.assertEqual(other.result(taken, {"output": "in time"}).status_code, 200)
        done = self.market.job(job)
        self.assertEqual((done["result"], done["tries_used"]), ({"output": "in time"}, 2))
        evidence = self.refused(job)
        self.assertEqual([(one["what"], one["try"], one["miner_id"]) for one in evidence],
                         [("result", 1, self.market.get(f"/v1/jobs/{job}/tries").json()["tries"][0]["miner_id"])])
        self.assertEqual(evidence[0]["sha256"], hashlib.sha256(answer.request.body).hexdigest())
        self.assertIn("lost", evidence[0]["reason"])

    def test_heartbeats_keep_a_job(self):
        miner = RestMiner(self.market, "beating")
        miner.register()
        job = self.payload()
        got = miner.poll()
        end = time.monotonic() + 5
        while time.monotonic() < end:
            self.assertEqual(miner.heartbeat()["renewed"], [job])
            time.sleep(0.5)
        self.assertEqual(miner.result(got, {}).status_code, 200)
        self.assertEqual(self.market.job(job)["tries_used"], 1)

    def test_only_the_leases_that_are_named_are_renewed(self):
        miner = RestMiner(self.market, "naming")
        miner.register(concurrency=2)
        jobs = [self.payload(max_tries=1) for _ in range(2)]
        got = [miner.poll() for _ in range(2)]
        lost = []

        def beat():
            news = miner.heartbeat(lease_tokens=[got[0]["lease_token"], "lt_unknown"])
            self.assertEqual(news["renewed"], [got[0]["job_id"]])
            lost.extend(news["lost"])
            return lost

        until(beat, "the other one is lost", 8)
        self.assertEqual(lost, [got[1]["job_id"]])
        self.assertEqual(self.market.job(got[1]["job_id"])["status"], "lost")
        self.assertEqual(miner.result(got[0], {}).status_code, 200)
        self.assertEqual(sorted(jobs), sorted(one["job_id"] for one in got))

    def test_a_cancel_is_told_and_confirmed(self):
        miner = RestMiner(self.market, "obedient")
        miner.register()
        job = self.payload()
        got = miner.poll()
        self.market.until(job, "running")
        self.assertEqual(self.market.post(f"/v1/jobs/{job}/cancel", {"grace_seconds": 30}).status_code, 202)
        news = miner.heartbeat()
        self.assertEqual((news["cancel"], news["renewed"]), ([job], [job]))
        self.assertEqual(miner.fail(got, "CANCELED", "stopped").status_code, 200)
        done = self.market.job(job)
        self.assertEqual((done["status"], done["cancel"]["outcome"]), ("canceled", "canceled"))
        self.assertGreater(float(done["cost"]), 0)
        # One that finished first.
        job = self.payload()
        got = miner.poll()
        self.market.until(job, "running")
        self.market.post(f"/v1/jobs/{job}/cancel", {"grace_seconds": 30})
        self.assertEqual(miner.result(got, {}).json()["job_status"], "completed")
        self.assertEqual(self.market.job(job)["cancel"]["outcome"], "too_late")

    def test_a_cancel_that_is_not_obeyed_ends_with_the_lease(self):
        miner = RestMiner(self.market, "stubborn")
        miner.register()
        job = self.payload()
        got = miner.poll()
        self.market.until(job, "running")
        self.market.post(f"/v1/jobs/{job}/cancel", {"grace_seconds": 1})
        until(lambda: miner.heartbeat() and self.market.job(job)["status"] == "canceled", "canceled all the same", 8)
        self.assertStale(miner.result(got, {"output": "late"}))
        self.assertEqual(self.market.job(job)["status"], "canceled")

    def test_a_job_that_runs_too_long_ends(self):
        miner = RestMiner(self.market, "slow")
        miner.register()
        job = self.payload(timeout_seconds=1)
        got = miner.poll()
        until(lambda: miner.heartbeat() and self.market.job(job)["status"] == "failed", "timed out", 12)
        self.assertEqual(self.market.job(job)["error_detail"]["code"], "TIMEOUT")
        self.assertStale(miner.result(got, {}))

    def test_a_fresh_start_gives_everything_up(self):
        miner = RestMiner(self.market, "reborn")
        miner.register()
        job = self.payload()
        got = miner.poll()
        self.assertEqual(miner.register(fresh=True)["inflight"], 0)
        self.assertStale(miner.result(got, {}))
        again = miner.poll()
        self.assertEqual((again["job_id"], again["try"]), (job, 2))
        self.assertEqual(miner.result(again, {}).status_code, 200)

    def test_a_restart_of_the_coordinator_changes_nothing(self):
        miner = RestMiner(self.market, "patient")
        miner.register()
        job = self.payload()
        got = miner.poll()
        self.market.until(job, "running")
        waiting = threading.Thread(target=lambda: RestMiner(self.market, "patient").post("poll", {"max_wait_seconds": 60}))
        waiting.start()
        time.sleep(0.2)
        began = time.monotonic()
        self.market.restart()
        # The open poll did not hold the stop up.
        self.assertLess(time.monotonic() - began, 5)
        waiting.join(10)
        self.assertEqual(miner.heartbeat()["renewed"], [job])
        self.assertEqual(miner.result(got, {"output": "kept"}).status_code, 200)
        self.assertEqual(self.market.job(job)["result"], {"output": "kept"})

    def test_a_silent_miner_goes_offline(self):
        miner = RestMiner(self.market, "shy")
        miner.register()
        self.assertEqual(self.market.fleet()["shy"], "online")
        until(lambda: self.market.fleet()["shy"] == "offline", "offline", 8)
        self.assertEqual(miner.heartbeat()["status"], "ok")
        self.assertEqual(self.market.fleet()["shy"], "online")
