"""Waiting: why, for whom, until when."""

import concurrent.futures
from datetime import datetime, timedelta, timezone
from urllib.parse import urljoin

import requests

from market import MarketTest


def at(seconds):
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class Nobody(MarketTest):
    with_miner = False

    def test_no_miners(self):
        reason = self.market.job(self.market.submit("true"))["pending_reason"]
        self.assertEqual((reason["code"], reason["fitting_miners"]), ("NO_MINERS", 0))

    def test_not_before(self):
        job = self.market.job(self.market.submit("true", not_before=at(3600)))
        self.assertEqual((job["status"], job["pending_reason"]["code"]), ("pending", "NOT_BEFORE"))

    def test_time_to_live(self):
        ended = self.market.finished(self.market.submit("true", ttl_seconds=1), 10)
        self.assertEqual((ended["status"], ended["state"]), ("expired", "EXPIRED"))
        self.assertEqual(ended["error_detail"]["code"], "EXPIRED")

    def test_cli_tells_why(self):
        out = self.market.client("status", self.market.submit("true")).stdout
        self.assertIn("no miner", out)


class Queue(MarketTest):
    slowness = 3
    miner_options = (
        "--slots", "2", "--gpu", "RTX 4090:24576", "--gpu", "RTX 4090:24576", "--region", "north", "--label", "rack=7",
        "--price", "0.05", "--model", "llama3")

    def reason(self, **constraints):
        job = self.market.submit("true", constraints=constraints)
        reason = self.market.job(job)["pending_reason"]
        self.market.post(f"/v1/jobs/{job}/cancel")
        return reason

    def test_what_is_lacking_is_counted(self):
        for constraints, lacking in (({"gpu": "A100"}, "gpu"), ({"gpu_count": 3}, "gpu_count"),
                                     ({"min_vram_gb": 48}, "min_vram_gb"), ({"region": "south"}, "region"),
                                     ({"labels": {"rack": "8"}}, "labels"), ({"models": ["other"]}, "models"),
                                     ({"cpus": 60_000}, "cpus"), ({"memory_mb": 1_000_000_000}, "memory_mb")):
            with self.subTest(lacking):
                reason = self.reason(**constraints)
                self.assertEqual(reason["code"], "NO_MINER_FITS")
                # What was not asked for is not named.
                self.assertEqual(reason["lacking"], {lacking: 1})
                self.assertEqual(reason["nearest"]["missing"], [lacking])

    def test_price(self):
        self.assertEqual(self.reason(max_price="0.04")["code"], "PRICE_TOO_LOW")

    def test_what_fits_runs(self):
        for constraints in ({"gpu": "rtx 4090", "gpu_count": 2, "min_vram_gb": 24}, {"region": "north"},
                            {"labels": {"rack": "7"}}, {"models": ["llama3"]}, {"max_price": "0.05"}):
            with self.subTest(str(constraints)):
                self.assertEqual(self.market.run("true", constraints=constraints)["status"], "completed")

    def test_not_before_then_runs(self):
        moment = at(1.5)
        ended = self.market.run("true", not_before=moment)
        self.assertEqual(ended["status"], "completed")
        self.assertGreaterEqual(ended["assigned_at"], moment)

    def test_busy_then_by_priority(self):
        blockers = [self.market.shell("echo up; exec sleep 600") for _ in range(2)]
        for job in blockers:
            self.market.until_log(job, "up")
        low = self.market.shell("true", priority="low")
        urgent = self.market.shell("true", priority="urgent")
        self.assertEqual(self.market.job(low)["pending_reason"]["code"], "ALL_BUSY")
        self.assertLess(self.market.job(urgent)["queue_position"], self.market.job(low)["queue_position"])
        self.market.post(f"/v1/jobs/{blockers[0]}/cancel", {"grace_seconds": 0})
        self.assertLess(self.market.finished(urgent)["assigned_at"], self.market.finished(low)["assigned_at"])
        self.market.post(f"/v1/jobs/{blockers[1]}/cancel", {"grace_seconds": 0})
        self.market.finished(blockers[1])

    def test_fail_fast(self):
        ended = self.market.finished(self.market.submit("true", constraints={"gpu": "A100"}, fail_fast=True), 5)
        self.assertEqual((ended["status"], ended["error_detail"]["code"]), ("failed", "UNSCHEDULABLE"))

    def test_fleet_shows_public_facts(self):
        one = self.market.get("/v1/miners").json()["miners"][0]
        self.assertEqual((one["name"], one["region"], one["slots"], len(one["gpus"])), ("miner", "north", 2, 2))
        self.assertEqual((one["labels"], one["price"]), ({"rack": "7"}, "0.050000"))


class RunKeys(MarketTest):
    def post(self, key, command=("true",), **fields):
        return self.market.post("/v1/jobs", {"command": list(command), "run_key": key} | fields)

    def test_an_active_one_is_returned(self):
        command = ("sleep", "600")
        first = self.post("active", command)
        again = self.post("active", command)
        self.assertEqual((first.status_code, again.status_code), (201, 200))
        self.assertEqual((again.json()["existing"], again.json()["job_id"]), (True, first.json()["job_id"]))
        self.market.post(f"/v1/jobs/{first.json()['job_id']}/cancel", {"grace_seconds": 0})
        self.market.finished(first.json()["job_id"])

    def test_after_the_end_a_new_attempt_starts(self):
        first = self.post("again").json()["job_id"]
        self.market.finished(first)
        second = self.post("again").json()
        self.assertNotEqual(second["job_id"], first)
        self.assertEqual(second["attempt_no"], 2)

    def test_strict_returns_the_finished_one(self):
        first = self.post("strict", strict=True).json()["job_id"]
        self.market.finished(first)
        again = self.post("strict", strict=True)
        self.assertEqual((again.status_code, again.json()["job_id"]), (200, first))

    def test_strictness_stays_with_the_key(self):
        first = self.post("stays", strict=True).json()["job_id"]
        self.market.finished(first)
        self.assertEqual(self.post("stays").json()["job_id"], first)

    def test_strict_after_a_failure(self):
        first = self.post("failed", ("false",), strict=True).json()["job_id"]
        self.market.finished(first)
        self.assertEqual(self.post("failed", ("false",), strict=True).json()["job_id"], first)

    def test_another_specification(self):
        first = self.post("other").json()["job_id"]
        self.assertProblem(self.post("other", ("echo", "else")), 409)
        self.market.finished(first)
        self.assertProblem(self.post("other", ("echo", "else")), 409)

    def test_many_at_once_start_one(self):
        def once(_):
            body = {"command": ["sleep", "600"], "run_key": "race"}
            headers = {"X-Api-Key": self.market.client_key}
            return requests.post(self.market.url + "/v1/jobs", json=body, headers=headers, timeout=30).json()["job_id"]

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            ids = set(pool.map(once, range(16)))
        self.assertEqual(len(ids), 1)
        self.market.post(f"/v1/jobs/{ids.pop()}/cancel", {"grace_seconds": 0})


class Lists(MarketTest):
    with_miner = False

    @classmethod
    def prepare(cls):
        cls.ids = [cls.market.submit("true", labels={"n": str(n % 2)}, name=f"name {n}") for n in range(7)]
        for job in cls.ids[:2]:
            cls.market.post(f"/v1/jobs/{job}/cancel")

    def listed(self, query=""):
        return [job["job_id"] for job in self.market.get("/v1/jobs?" + query).json()["jobs"]]

    def test_newest_first(self):
        self.assertEqual(self.listed(), self.ids[::-1])

    def test_history_is_the_same_list(self):
        page = self.market.get("/v1/jobs/history").json()
        self.assertEqual([job["job_id"] for job in page["items"]], self.ids[::-1])

    def test_state_words_of_old_clients_in_any_case(self):
        for word in ("canceled", "CANCELLED", "Cancelled", "ABORTED"):
            with self.subTest(word):
                self.assertEqual(self.listed("status=" + word), self.ids[1::-1])
        self.assertEqual(len(self.listed("status=QUEUED")), 5)

    def test_label(self):
        self.assertEqual(self.listed("label=n=1"), self.ids[1::2][::-1])

    def test_text(self):
        self.assertEqual(self.listed("q=name%203"), [self.ids[3]])

    def test_pages_by_cursor_follow_the_link_header(self):
        found, url = [], self.market.url + "/v1/jobs?limit=3"
        while url:
            answer = self.market.session.get(url, timeout=20)
            found += [job["job_id"] for job in answer.json()["jobs"]]
            link = answer.links.get("next", {}).get("url")
            self.assertEqual(answer.json()["has_more"], link is not None)
            url = link and urljoin(url, link)
        self.assertEqual(found, self.ids[::-1])

    def test_offset(self):
        self.assertEqual(self.listed("limit=2&offset=2"), self.ids[4:2:-1])

    def test_total_counts_all(self):
        self.assertEqual(self.market.get("/v1/jobs?limit=1").json()["total"], 7)

    def test_cli_all_pages(self):
        out = self.market.client("list", "--all", "--limit", "2", "--output", "id").stdout
        self.assertEqual(out.split(), self.ids[::-1])
