"""`/metrics`, read as Prometheus reads it, with its own client library's parser."""

import re

import requests
from prometheus_client.parser import text_string_to_metric_families

from market import MarketTest, messages, until


class Metrics(MarketTest):
    options = ("--lease", "2s")

    def families(self):
        answer = requests.get(self.market.url + "/metrics", timeout=20)
        self.assertEqual(answer.status_code, 200, answer.text)
        self.assertEqual(answer.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        return {family.name: family for family in text_string_to_metric_families(answer.text)}, answer.text

    def value(self, name, **labels):
        found, _ = self.families()
        family = found[re.sub("_total$|_count$|_bucket$", "", name)]
        values = [one.value for one in family.samples if one.name == name and one.labels == labels]
        return values[0] if values else 0

    def grown(self, name, amount, body, **labels):
        """Runs `body`; the sample has grown by at least `amount` then."""
        before = self.value(name, **labels)
        result = body()
        until(lambda: self.value(name, **labels) >= before + amount, f"{name} grows by {amount}")
        return result

    def test_work_is_counted(self):
        def work():
            self.market.run("echo hello")
            self.market.run("exit 3")

        self.grown("aitbc_jobs_submitted_total", 2, work)
        self.grown("aitbc_job_claims_total", 2, work)
        self.grown("aitbc_jobs_ended_total", 1, work, status="completed")
        self.grown("aitbc_jobs_ended_total", 1, work, status="failed")
        self.grown("aitbc_feed_events_published_total", 6, work)
        self.grown("aitbc_store_commits_total", 6, work)
        self.grown("aitbc_store_commit_operations_count", 6, work)

    def test_what_stands_now(self):
        wanted = {"gpu": "no such device"}
        self.assertEqual(self.value("aitbc_miners", status="online"), 1)
        self.assertEqual(self.value("aitbc_miner_slots"), 4)
        waiting = self.market.submit("true", constraints=wanted)
        self.assertEqual(self.value("aitbc_queue_depth"), 1)
        self.assertEqual(self.value("aitbc_jobs", status="pending"), 1)
        until(lambda: self.value("aitbc_queue_oldest_age_seconds") >= 1, "the oldest job grows old")
        running = self.market.shell("sleep 600")
        self.market.until(running, "running")
        self.assertEqual(self.value("aitbc_leases"), 1)
        self.assertEqual(self.value("aitbc_jobs", status="running"), 1)
        self.grown("aitbc_leases_renewed_total", 2, lambda: None)
        for job in (waiting, running):
            self.market.post(f"/v1/jobs/{job}/cancel", {"grace_seconds": 0})
            self.market.finished(job)
        self.assertEqual(self.value("aitbc_queue_oldest_age_seconds"), 0)
        self.assertEqual(self.value("aitbc_store_readable"), 1)
        for name in ("aitbc_disk_free_bytes", "process_resident_memory_bytes", "process_open_fds", "process_max_fds",
                     "process_cpu_seconds_total", "process_start_time_seconds"):
            self.assertGreater(self.value(name), 0, name)

    def test_requests_are_counted_by_pattern(self):
        job = self.market.run("true")["job_id"]
        pattern = {"method": "GET", "route": "/v1/jobs/{id}"}
        self.grown("aitbc_http_requests_total", 3, lambda: [self.market.job(job) for _ in range(3)],
                   status="2xx", **pattern)
        self.grown("aitbc_http_request_duration_seconds_count", 1, lambda: self.market.job(job), **pattern)
        self.grown("aitbc_http_requests_total", 1, lambda: self.market.get("/v1/jobs/" + "x" * 30), status="4xx", **pattern)
        for path in ("/v1/none", "/v1/none/more", "/nowhere"):
            self.grown("aitbc_http_requests_total", 1, lambda: self.market.get(path),
                       method="any", route="unmatched", status="4xx")

    def test_feeds_are_counted(self):
        before = self.value("aitbc_feeds_open")
        feed = self.market.feed()
        messages(feed, lambda message: message["type"] == "snapshot")
        self.assertEqual(self.value("aitbc_feeds_open"), before + 1)
        feed.close()
        until(lambda: self.value("aitbc_feeds_open") == before, "the feed is gone")

    def test_an_expired_lease_is_counted(self):
        process = self.market.miner("dying", "--label", "dies=1")
        job = self.market.shell("sleep 600", constraints={"labels": {"dies": "1"}}, max_tries=1)
        self.market.until(job, "running")
        self.grown("aitbc_leases_expired_total", 1, lambda: self.market.end(process, 9))
        self.assertEqual(self.market.finished(job)["status"], "lost")

    def test_nothing_secret_and_no_paths_stand_in_it(self):
        job = self.market.run("echo hello")["job_id"]
        share = self.market.post(f"/v1/jobs/{job}/share").json()
        requests.get(self.market.url + "/share/" + share["token"], timeout=20)
        self.market.get(f"/v1/jobs/{job}?key={self.market.client_key}")
        _, text = self.families()
        for secret in (job, share["token"], self.market.client_key, "default"):
            self.assertFalse(secret in text, "a secret or a name stands in the metrics")
        self.assertEqual(re.findall("(?:job|miner|acct|share)_[0-9a-z]{26}|ak_", text), [])

    def test_head_and_other_methods(self):
        head = requests.head(self.market.url + "/metrics", timeout=20)
        self.assertEqual((head.status_code, head.content), (200, b""))
        self.assertEqual(head.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        self.assertGreater(int(head.headers["Content-Length"]), 1000)
        self.assertProblem(requests.post(self.market.url + "/metrics", timeout=20), 405)


class Limited(MarketTest):
    options = ("--rate-limit", "2")
    with_miner = False

    def test_metrics_are_not_limited(self):
        answers = [requests.get(self.market.url + "/metrics", timeout=20).status_code for _ in range(12)]
        self.assertEqual(set(answers), {200})
        self.assertIn(429, [self.market.get("/v1/jobs").status_code for _ in range(12)])
