"""The queue as its owner sees and orders it, and canceling many."""

import json

from market import MarketTest, until


class Order(MarketTest):
    """Without a miner: what is submitted waits."""

    with_miner = False

    def setUp(self):
        self.market.post("/v1/jobs:cancel", {"all": True})
        self.jobs = [self.market.submit("true", name=f"job {n}") for n in range(5)]

    def listed(self, query=""):
        return [job["job_id"] for job in self.market.get("/v1/queue" + query).json()["jobs"]]

    def move(self, job, **target):
        return self.market.post("/v1/queue/move", {"job_id": job} | target)

    def test_listed_in_order_with_places(self):
        page = self.market.get("/v1/queue").json()
        self.assertEqual([job["job_id"] for job in page["jobs"]], self.jobs)
        self.assertEqual([job["position"] for job in page["jobs"]], [1, 2, 3, 4, 5])
        self.assertEqual({job["rank_class"] for job in page["jobs"]}, {"normal"})
        self.assertEqual((page["total"], page["has_more"], page["next_cursor"]), (5, False, None))
        self.assertEqual(page["jobs"][0]["pending_reason"]["code"], "NO_MINERS")

    def test_pages(self):
        answer = self.market.get("/v1/queue?limit=2")
        found = [job["job_id"] for job in answer.json()["jobs"]]
        while link := answer.links.get("next"):
            answer = self.market.get(link["url"])
            found += [job["job_id"] for job in answer.json()["jobs"]]
        self.assertEqual(found, self.jobs)
        for query in ("limit=0", "limit=501", "cursor=x", "other=1"):
            self.assertProblem(self.market.get("/v1/queue?" + query), 422, query.split("=")[0])

    def test_moves(self):
        a, b, c, d, e = self.jobs
        for job, target, expected in ((e, {"top": True}, [e, a, b, c, d]), (a, {"bottom": True}, [e, b, c, d, a]),
                                      (d, {"before": b}, [e, d, b, c, a]), (e, {"after": c}, [d, b, c, e, a]),
                                      (d, {"top": True}, [d, b, c, e, a])):
            with self.subTest(str(target)):
                answer = self.move(job, **target)
                self.assertEqual(answer.status_code, 200, answer.text)
                self.assertEqual(answer.json()["queue_position"], expected.index(job) + 1)
                self.assertEqual(self.listed(), expected)

    def test_what_can_not_be_moved(self):
        a, b = self.jobs[:2]
        for body, fields in (({}, ["/job_id"]), ({"job_id": a}, [""]), ({"job_id": a, "top": True, "bottom": True}, [""]),
                             ({"job_id": a, "before": a}, ["/before"]), ({"job_id": "x", "top": True}, ["/job_id"]),
                             ({"job_id": a, "before": "x"}, ["/before"]), ({"job_id": a, "top": 1}, ["/top"]),
                             ({"job_id": a, "top": True, "to": 1}, ["/to"])):
            with self.subTest(str(body)):
                self.assertProblem(self.market.post("/v1/queue/move", body), 422, *fields)
        self.assertProblem(self.move("job_" + "0" * 26, top=True), 404)
        self.market.post(f"/v1/jobs/{b}/cancel")
        self.assertProblem(self.move(b, top=True), 409, code="state_forbids")
        self.assertProblem(self.move(a, after=b), 409, code="state_forbids")
        self.assertEqual(self.listed(), [a] + self.jobs[2:])

    def test_another_priority(self):
        job = self.jobs[4]
        before = self.market.job(job)
        answer = self.market.session.patch(self.market.url + f"/v1/jobs/{job}", json={"priority": "urgent"}, timeout=20)
        self.assertEqual(answer.status_code, 200, answer.text)
        self.assertEqual((answer.json()["priority"], answer.json()["queue_position"]), ("urgent", 1))
        self.assertEqual(float(answer.json()["estimated_cost"]), 2 * float(before["estimated_cost"]))
        self.assertEqual(self.listed()[0], job)
        self.assertProblem(self.move(self.jobs[0], before=job), 409, code="other_priority")
        for body, field in (({"priority": "max"}, "/priority"), ({}, "/priority"), ({"name": "x"}, "/name")):
            answer = self.market.session.patch(self.market.url + f"/v1/jobs/{job}", json=body, timeout=20)
            self.assertProblem(answer, 422, field)
        self.market.post(f"/v1/jobs/{job}/cancel")
        answer = self.market.session.patch(self.market.url + f"/v1/jobs/{job}", json={"priority": "low"}, timeout=20)
        self.assertProblem(answer, 409, code="state_forbids")

    def test_cli_queue_and_move(self):
        a, b, c, d, e = self.jobs
        self.assertEqual(self.market.client("queue", "--output", "id").stdout.split(), self.jobs)
        self.assertEqual(self.market.client("queue", "--all", "--limit", "2", "-o", "id").stdout.split(), self.jobs)
        self.assertIn("POSITION", self.market.client("queue").stdout)
        self.assertEqual(self.market.client("move", e, "--top").returncode, 0)
        self.assertEqual(self.market.client("move", "--job-id", a, "--after", c).returncode, 0)
        self.assertEqual(self.listed(), [e, b, c, a, d])
        self.assertIn("urgent position 1", self.market.client("move", d, "--priority", "urgent").stdout)
        for words, code in ((["move", a], 2), (["move", a, "--top", "--bottom"], 2), (["move", a, "--before", d], 5),
                            (["move", "job_" + "0" * 26, "--top"], 3)):
            self.assertEqual(self.market.client(*words).returncode, code)

    def test_cancel_by_ids(self):
        unknown = "job_" + "0" * 26
        self.market.post(f"/v1/jobs/{self.jobs[0]}/cancel")
        body = {"ids": [self.jobs[0], self.jobs[1], self.jobs[1], unknown], "reason": "enough"}
        planned = self.market.post("/v1/jobs:cancel", body | {"dry_run": True}).json()
        answer = self.market.post("/v1/jobs:cancel", body).json()
        expected = [(self.jobs[0], "already_ended"), (self.jobs[1], "canceled"), (unknown, "not_found")]
        for one in (planned, answer):
            self.assertEqual([(item["job_id"], item["outcome"]) for item in one["items"]], expected)
            self.assertEqual((one["matched"], one["canceled"], one["errors"]), (3, 1, 2))
        self.assertEqual((planned["dry_run"], answer["dry_run"]), (True, False))
        self.assertEqual(self.market.job(self.jobs[1])["cancel"]["reason"], "enough")

    def test_cancel_by_filter(self):
        marked = [self.market.submit("true", labels={"sweep": "7"}) for _ in range(3)]
        self.assertEqual(self.market.post("/v1/jobs:cancel", {"labels": {"sweep": "7"}, "dry_run": True})
                         .json()["matched"], 3)
        first = self.market.post("/v1/jobs:cancel", {"labels": {"sweep": "7"}, "status": "queued", "limit": 2}).json()
        self.assertEqual(([item["job_id"] for item in first["items"]], first["has_more"]), (marked[:2], True))
        rest = self.market.post("/v1/jobs:cancel", {"labels": {"sweep": "7"}}).json()
        self.assertEqual(([item["job_id"] for item in rest["items"]], rest["has_more"]), (marked[2:], False))
        self.assertEqual(self.listed(), self.jobs)

    def test_cancel_of_what_was_not_chosen(self):
        for body, fields in (({}, [""]), ({"ids": [], "all": True}, [""]), ({"ids": ["x"]}, ["/ids/0"]),
                             ({"status": "nope"}, ["/status"]), ({"status": "completed"}, ["/status"]),
                             ({"all": False}, ["/all"]), ({"all": True, "limit": 0}, ["/limit"]),
                             ({"all": True, "limit": 10_001}, ["/limit"]), ({"all": True, "x": 1}, ["/x"]),
                             ({"all": True, "grace_seconds": 3_601}, ["/grace_seconds"])):
            with self.subTest(str(body)):
                self.assertProblem(self.market.post("/v1/jobs:cancel", body), 422, *fields)
        self.assertEqual(self.listed(), self.jobs)

    def test_cli_cancel_many(self):
        a, b, c, d, e = self.jobs
        self.assertEqual(self.market.client("cancel", a, b).returncode, 2)
        out = self.market.client("cancel", a, b, "--force")
        self.assertEqual((out.returncode, out.stdout), (0, f"{a} canceled\n{b} canceled\n"))
        self.assertEqual(self.market.client("cancel", a, c, "--force").returncode, 4)
        self.assertEqual(self.market.client("cancel", d, "job_" + "0" * 26, "--force").returncode, 3)
        out = self.market.client("cancel", "--status", "pending", "--dry-run", "-o", "id")
        self.assertEqual((out.returncode, out.stdout.split()), (0, [e]))
        answer = json.loads(self.market.client("cancel", "--all", "--force", "--json").stdout)
        self.assertEqual(answer["canceled"], 1)
        self.assertEqual(self.market.client("cancel").returncode, 2)

    def test_cancel_by_run_key(self):
        job = self.market.submit("true", run_key="night")
        self.assertEqual(self.market.client("cancel", "--run-key", "night", "--force").stdout, f"{job} canceled\n")
        self.assertEqual(self.market.post("/v1/jobs:cancel", {"run_key": "night"}).json()["matched"], 0)


class OrderOfRuns(MarketTest):
    """The order is the one in which jobs run."""

    miner_options = ("--slots", "1")

    def test_moved_jobs_run_in_their_new_order(self):
        blocker = self.market.shell("echo up; exec sleep 600")
        self.market.until_log(blocker, "up")
        jobs = [self.market.submit("true") for _ in range(4)]
        self.market.post("/v1/queue/move", {"job_id": jobs[3], "top": True})
        self.market.post("/v1/queue/move", {"job_id": jobs[0], "bottom": True})
        self.market.post(f"/v1/jobs/{blocker}/cancel", {"grace_seconds": 0})
        ended = [self.market.finished(job) for job in jobs]
        order = sorted(ended, key=lambda job: job["assigned_at"])
        self.assertEqual([job["job_id"] for job in order], [jobs[3], jobs[1], jobs[2], jobs[0]])

    def test_estimates_from_history(self):
        for _ in range(2):
            self.market.run("sleep 0.3", constraints={"cpus": 1})
        blocker = self.market.shell("echo up; exec sleep 600", constraints={"cpus": 1})
        self.market.until_log(blocker, "up")
        waiting = self.market.job(self.market.submit("true", constraints={"cpus": 1}))
        self.assertEqual(waiting["estimated_time_seconds"], 1)
        self.assertLess(waiting["created_at"], waiting["estimated_start"])
        self.assertLess(waiting["estimated_start"], waiting["estimated_completion"])
        text = self.market.client("status", waiting["job_id"], "--explain").stdout
        for part in ("ALL_BUSY", "Connected miners that fit: 1", "may start in about", "it expires at"):
            self.assertIn(part, text)
        self.market.post("/v1/jobs:cancel", {"all": True, "grace_seconds": 0})
        self.market.finished(blocker)
        self.market.finished(waiting["job_id"])
        # What was learned outlives a restart.
        kept = lambda: self.market.post(
            "/v1/jobs?dry_run=1", {"command": ["true"], "constraints": {"cpus": 1}}).json()["estimated_time_seconds"]
        until(lambda: self.written(), "the history is written", 15)
        self.market.restart()
        self.assertEqual(kept(), 1)

    def written(self):
        import sqlite3
        with sqlite3.connect(f"file:{self.market.folder}/data/market.db?mode=ro", uri=True) as database:
            return database.execute("SELECT count(*) FROM run_times").fetchone()[0]
