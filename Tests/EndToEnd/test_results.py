"""From a result to its end: links, removal, retention, export, figures."""

import concurrent.futures
import csv
import datetime
import hashlib
import io
import json
import re
import signal
import sqlite3
import time
import zipfile

import requests

from market import MarketTest, until

SCRIPT = "echo the result; mkdir $AITBC_OUTPUT_DIR/models; echo weights > $AITBC_OUTPUT_DIR/models/model.bin"
BROWSER = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class ResultTest(MarketTest):
    def share(self, job, **body):
        answer = self.market.post(f"/v1/jobs/{job}/share", body)
        self.assertEqual(answer.status_code, 201, answer.text)
        return answer.json()

    def open(self, share, path="", **headers):
        """Without a key, as a stranger."""
        return requests.get(f"{self.market.url}/v1/share/{share['token']}{path}", headers=headers, timeout=30)

    def files(self, job):
        """What the job has on the coordinator's disk."""
        return [path for path in (self.market.folder / "data").rglob("*") if job in str(path) and path.is_file()]


class Shares(ResultTest):
    @classmethod
    def prepare(cls):
        super().prepare()
        cls.done = cls.market.run(SCRIPT, name="<b>train</b>")["job_id"]
        cls.package = cls.market.get(f"/v1/jobs/{cls.done}/download").content

    def test_opens_without_a_key_and_hides_itself(self):
        share = self.share(self.done)
        self.assertEqual(share["url"], f"{self.market.url}/share/{share['token']}")
        self.assertRegex(share["token"], r"^sh_[A-Za-z0-9_-]{43}$")
        self.assertAlmostEqual(moment(share["expires_at"]), time.time() + 7 * 86_400, delta=60)
        for path in ("", "/download", "/checksum", "/manifest", "/artifacts", "/artifacts/models/model.bin", "/nothing"):
            for prefix in ("/share/", "/v1/share/"):
                with self.subTest(prefix + path):
                    answer = requests.get(self.market.url + prefix + share["token"] + path, timeout=30)
                    self.assertEqual(answer.status_code, 404 if path == "/nothing" else 200)
                    self.assertEqual(answer.headers["Referrer-Policy"], "no-referrer")
                    self.assertEqual(answer.headers["X-Robots-Tag"], "noindex")
                    self.assertEqual(answer.headers["Cache-Control"], "private, no-store")
                    self.assertNotIn("Set-Cookie", answer.headers)
        document = self.open(share).json()
        self.assertEqual((document["job_id"], document["status"]), (self.done, "completed"))
        self.assertEqual(document["sha256"], hashlib.sha256(self.package).hexdigest())
        self.assertEqual(document["expires_at"], share["expires_at"])
        self.assertIn({"path": "artifacts/models/model.bin", "size": 8,
                       "sha256": hashlib.sha256(b"weights\n").hexdigest(),
                       "url": f"{self.market.url}/v1/share/{share['token']}/artifacts/models/model.bin"},
                      document["files"])
        self.assertEqual(self.open(share, "/download").content, self.package)
        self.assertEqual(self.open(share, "/artifacts/models/model.bin").content, b"weights\n")
        self.assertEqual(self.open(share, "/checksum").text, hashlib.sha256(self.package).hexdigest() + "  output.zip\n")
        account = self.market.get("/v1/account").json()["account_id"]
        for text in (json.dumps(document), requests.get(share["url"], headers=BROWSER, timeout=30).text):
            self.assertNotIn(account, text)
            self.assertNotIn("ak_", text)

    def test_read_only(self):
        share = self.share(self.done)
        for method in ("post", "put", "delete", "patch"):
            for path in ("", "/download", "/artifacts/models/model.bin"):
                answer = getattr(requests, method)(f"{self.market.url}/v1/share/{share['token']}{path}", timeout=30)
                self.assertIn(answer.status_code, (404, 405), f"{method} {path}")
        self.assertEqual(self.open(share, "/download").status_code, 200)

    def test_page_for_people(self):
        share = self.share(self.done, max_downloads=3)
        page = requests.get(share["url"], headers=BROWSER, timeout=30)
        self.assertEqual(page.headers["Content-Type"], "text/html; charset=utf-8")
        self.assertIn("default-src 'none'", page.headers["Content-Security-Policy"])
        self.assertIn("&lt;b&gt;train&lt;/b&gt;", page.text)
        self.assertNotIn("<script", page.text)
        self.assertNotIn("<b>", page.text)
        for text in (hashlib.sha256(self.package).hexdigest(), "artifacts/models/model.bin", "sha256sum -c", "verify"):
            self.assertIn(text, page.text)
        sheet = re.search(r'href="([^"]*share\.css)"', page.text)[1]
        style = requests.get(requests.compat.urljoin(share["url"], sheet), timeout=30)
        self.assertEqual((style.status_code, style.headers["Content-Type"]), (200, "text/css; charset=utf-8"))
        link = re.search(r'class="download" href="([^"]*)"', page.text)[1]
        saved = requests.get(requests.compat.urljoin(share["url"], link), headers=BROWSER, timeout=30)
        self.assertEqual(saved.content, self.package)
        gone = requests.get(f"{self.market.url}/share/sh_unknown", headers=BROWSER, timeout=30)
        self.assertEqual((gone.status_code, gone.headers["Content-Type"]), (404, "text/html; charset=utf-8"))

    def test_expired_is_gone_and_revoked_is_unknown(self):
        short = self.share(self.done, expires="1s")
        self.assertEqual(self.open(short).status_code, 200)
        until(lambda: self.open(short).status_code == 410, "expired", 5)
        self.assertProblem(self.open(short, "/download"), 410, code="share_expired")
        revoked = self.share(self.done)
        path = f"/v1/jobs/{self.done}/shares/{revoked['share_id']}"
        self.assertEqual(self.market.session.delete(self.market.url + path).status_code, 204)
        for path in ("", "/download", "/checksum", "/artifacts/models/model.bin"):
            self.assertProblem(self.open(revoked, path), 404)
        self.assertProblem(self.market.session.delete(
            f"{self.market.url}/v1/jobs/{self.done}/shares/{revoked['share_id']}"), 404)
        listed = self.market.get(f"/v1/jobs/{self.done}/shares").json()["shares"]
        states = {one["share_id"]: one["state"] for one in listed}
        self.assertEqual(states[short["share_id"]], "expired")
        self.assertNotIn(revoked["share_id"], states)
        self.assertNotIn("token", json.dumps(listed))

    def test_never_longer_than_the_result(self):
        share = self.share(self.done, expires="3000d")
        self.assertEqual(share["expires_at"], self.market.job(self.done)["result_expires_at"])

    def test_refusals(self):
        path = f"/v1/jobs/{self.done}/share"
        for body, field in (({"expires": "soon"}, "/expires"), ({"expires": "-1d"}, "/expires"), ({"expires": 0}, "/expires"),
                            ({"max_downloads": 0}, "/max_downloads"), ({"max_downloads": 1.5}, "/max_downloads"),
                            ({"colour": "red"}, "/colour")):
            with self.subTest(field):
                self.assertProblem(self.market.post(path, body), 422, field)
        self.assertProblem(self.market.post(path, headers={"X-Api-Key": "ak_wrong"}), 401)
        running = self.market.shell("sleep 600")
        self.assertProblem(self.market.post(f"/v1/jobs/{running}/share"), 425)
        self.market.post(f"/v1/jobs/{running}/cancel", {"grace_seconds": 0})
        self.market.finished(running)

    def test_downloads_are_counted_exactly(self):
        share = self.share(self.done, max_downloads=5)
        for path, headers in (("", {}), ("/checksum", {}), ("/manifest", {}), ("/artifacts", {})):
            self.assertEqual(self.open(share, path, **headers).status_code, 200)
        self.assertEqual(requests.head(f"{share['url']}/download", timeout=30).status_code, 200)
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _: self.open(share, "/download"), range(20)))
        self.assertEqual(sorted(answer.status_code for answer in answers), [200] * 5 + [404] * 15)
        self.assertEqual({answer.content for answer in answers if answer.ok}, {self.package})
        for path in ("", "/download", "/checksum", "/artifacts/models/model.bin"):
            self.assertProblem(self.open(share, path), 404)
        # Each of the five may go on with its own download, over a restart too.
        self.market.restart(signal.SIGKILL)
        for tag in {answer.headers["ETag"] for answer in answers if answer.ok}:
            rest = self.open(share, "/download", **{"Range": "bytes=10-", "If-Range": tag})
            self.assertEqual((rest.status_code, rest.content), (206, self.package[10:]))
        digest = hashlib.sha256(self.package).hexdigest()
        for tag in (f'"{digest}"', f'"{digest}.1.{"0" * 32}"', f'"{digest}.6.{"0" * 32}"'):
            refused = self.open(share, "/download", **{"Range": "bytes=10-", "If-Range": tag})
            self.assertProblem(refused, 404)

    def test_a_part_counts_like_the_whole(self):
        share = self.share(self.done, max_downloads=1)
        first = self.open(share, "/download", Range="bytes=1-")
        self.assertEqual((first.status_code, first.content), (206, self.package[1:]))
        self.assertProblem(self.open(share, "/download", Range="bytes=0-0"), 404)
        # What is asked for beyond the end gives nothing and counts nothing.
        other = self.share(self.done, max_downloads=1)
        self.assertEqual(self.open(other, "/download", Range="bytes=99999999-").status_code, 416)
        self.assertEqual(self.open(other, "/artifacts/models/model.bin").content, b"weights\n")
        self.assertProblem(self.open(other, "/download"), 404)

    def test_tokens_are_stored_and_logged_nowhere(self):
        share = self.share(self.done)
        token = share["token"]
        for path in (f"/v1/share/{token}/nothing", f"/share/{token}", f"/v1/%73hare/{token}", f"/x/{token}/y",
                     f"/v1//share/{token}", f"/v1/share/{token}x"):
            answer = requests.get(self.market.url + path, timeout=30)
            if not answer.ok:
                self.assertNotIn(token, answer.text)
        self.assertEqual(requests.get(share["url"] + "/download", timeout=30).status_code, 200)
        for metrics in (self.market.get("/metrics"), self.market.get("/v1/account")):
            self.assertNotIn(token, metrics.text)
        secret = token.removeprefix("sh_").encode()
        logs = [path for path in self.market.folder.iterdir() if path.suffix in (".err", ".out", ".log")]
        data = [path for path in (self.market.folder / "data").rglob("*") if path.is_file()]
        for path in logs + data:
            self.assertNotIn(secret, path.read_bytes(), path)

    def test_command_line(self):
        out = self.market.client("share", self.done, "--expires", "2h", "--max-downloads", "1")
        self.assertEqual((out.returncode, out.stderr.count("for one download")), (0, 1), out.stderr)
        self.assertEqual(requests.get(out.stdout.strip() + "/download", timeout=30).content, self.package)
        listed = json.loads(self.market.client("shares", "--job-id", self.done, "--json").stdout)["shares"]
        used = [one for one in listed if one["state"] == "used_up"]
        self.assertTrue(used)
        made = json.loads(self.market.client("share", self.done, "--json").stdout)
        self.assertEqual(self.market.client("unshare", "--job-id", self.done, "--share-id", made["share_id"]).returncode, 0)
        self.assertEqual(self.open(made).status_code, 404)
        self.assertEqual(self.market.client("unshare", self.done, made["share_id"]).returncode, 3)
        self.assertEqual(self.market.client("unshare", self.done).returncode, 2)
        self.assertEqual(self.market.client("share", self.done, "--expires", "soon").returncode, 2)


class Removal(ResultTest):
    def test_delete_takes_everything_but_the_row(self):
        data = b"an input"
        digest = self.market.blob(data)
        job = self.market.finished(self.market.shell(
            "cat in.txt; " + SCRIPT, inputs=[{"path": "in.txt", "sha256": digest}]))
        name = job["job_id"]
        share = self.share(name)
        self.market.get(f"/v1/jobs/{name}/download")
        self.assertTrue(self.files(name))
        before = self.market.get("/v1/account").json()["quota"]["storage_bytes"]
        url = f"{self.market.url}/v1/jobs/{name}/results"
        answers = [self.market.session.delete(url) for _ in range(2)]
        for answer in answers:
            self.assertEqual(answer.status_code, 200, answer.text)
        self.assertEqual(answers[0].json(), answers[1].json())
        gone = answers[0].json()["results_purged_at"]
        self.assertEqual(self.files(name), [])
        for path in ("result", "download", "checksum", "manifest", "artifacts", "artifacts/models/model.bin", "logs"):
            problem = self.assertProblem(self.market.get(f"/v1/jobs/{name}/{path}"), 410, code="results_purged")
            self.assertEqual(problem["purged_at"], gone, path)
        self.assertProblem(self.open(share, "/download"), 410)
        self.assertEqual(self.market.get(f"/v1/jobs/{name}/shares").json()["shares"], [])
        after = self.market.job(name)
        self.assertEqual((after["status"], after["results_available"], after["result"]), ("completed", False, None))
        self.assertEqual(after["cost"], job["cost"])
        self.assertIn(name, self.market.client("list").stdout)
        self.assertLess(self.market.get("/v1/account").json()["quota"]["storage_bytes"], before)
        # Another job may be about to use the input.
        self.assertEqual(self.market.get(f"/v1/blobs/{digest}").content, data)
        self.assertProblem(self.market.post(f"/v1/jobs/{name}/share"), 410)

    def test_active_and_foreign_jobs(self):
        running = self.market.shell("sleep 600")
        self.assertProblem(self.market.session.delete(f"{self.market.url}/v1/jobs/{running}/results"), 409)
        self.assertEqual(self.market.client("delete", running).returncode, 4)
        self.market.post(f"/v1/jobs/{running}/cancel", {"grace_seconds": 0})
        self.market.finished(running)
        unknown = "job_" + "0" * 26
        self.assertProblem(self.market.session.delete(f"{self.market.url}/v1/jobs/{unknown}/results"), 404)
        self.assertEqual(self.market.client("delete", "--job-id", unknown).returncode, 3)

    def test_purge_by_selection(self):
        key = "purge-" + str(time.time_ns())
        jobs = []
        for script in ("true", "false", "true"):
            jobs.append(self.market.run(script, run_key=key if script == "true" else None, name="purge"))
        first, failed, last = (job["job_id"] for job in jobs)

        def purge(**body):
            answer = self.market.post("/v1/jobs:purge", body)
            self.assertEqual(answer.status_code, 200, answer.text)
            answer = answer.json()
            self.assertEqual(set(answer), {"deleted", "errors", "dry_run", "items", "has_more", "next_cursor"})
            self.assertEqual(answer["deleted"], len(answer["items"]))
            return [item["job_id"] for item in answer["items"]]

        self.assertEqual(purge(run_key="no such key", all=True), [])
        self.assertEqual(purge(run_key=key, dry_run=True), [first, last])
        edge = self.market.job(last)["completed_at"]
        self.assertEqual(purge(run_key=key, before=edge, dry_run=True), [first])
        self.assertEqual(purge(run_key=key, after=edge, dry_run=True), [last])
        self.assertEqual(purge(run_key=key, status="failed", all=True), [])
        self.assertIn(failed, purge(status=["failed"], all=True, dry_run=True))
        self.assertTrue(self.market.job(first)["results_available"])
        self.assertEqual(purge(run_key=key, before=edge), [first])
        self.assertEqual(purge(run_key=key, all=True), [last])
        self.assertEqual(purge(run_key=key, all=True), [])
        self.assertTrue(self.market.job(failed)["results_available"])
        # Attempt numbers go on.
        self.assertEqual(self.market.run("true", run_key=key, name="purge")["attempt_no"], 3)

    def test_purge_refusals(self):
        for body, field in (({}, "/all"), ({"dry_run": True}, "/all"), ({"status": "running"}, "/status"),
                            ({"status": "purple"}, "/status"), ({"before": "never"}, "/before"),
                            ({"all": True, "before": "2026-01-01"}, "/all"), ({"colour": 1}, "/colour"),
                            ({"before": "2026-01-01", "after": "2026-02-01"}, "/after")):
            with self.subTest(str(body)):
                self.assertProblem(self.market.post("/v1/jobs:purge", body), 422, field)

    def test_command_line(self):
        job = self.market.run("true", run_key="cli")["job_id"]
        day = datetime.date.today()
        self.assertEqual(self.market.client("clean").returncode, 2)
        self.assertEqual(self.market.client("clean", "--run-key", "cli").returncode, 2)
        self.assertEqual(self.market.client("clean", "--before", "yesterday").returncode, 2)
        old = json.loads(self.market.client("clean", "--before", "2020-01-01", "--json").stdout)
        self.assertEqual(old, {"deleted": 0, "errors": 0, "dry_run": False, "items": []})
        dry = self.market.client(
            "clean", "--after", str(day - datetime.timedelta(days=2)), "--run-key", "cli", "--dry-run", "-o", "id")
        self.assertEqual(dry.stdout, job + "\n")
        self.assertTrue(self.market.job(job)["results_available"])
        self.assertEqual(self.market.client("clean", "--all", "--run-key", "cli", "-o", "id").stdout, job + "\n")
        self.assertFalse(self.market.job(job)["results_available"])
        other = self.market.run("true")["job_id"]
        self.assertEqual(self.market.client("delete", "--job-id", other).returncode, 0)
        self.assertEqual(self.market.client("download", other).returncode, 3)


class Retention(ResultTest):
    """A clock shifted by days, so that the end of the retention passes while the test looks."""

    slowness = 2
    def shift(self, seconds):
        self.market.options = ("--clock-offset", f"{seconds}s")

    def test_to_the_second_and_over_kills(self):
        jobs = [self.market.run(SCRIPT)["job_id"] for _ in range(4)]
        share = self.share(jobs[0])
        for job in jobs:
            self.market.get(f"/v1/jobs/{job}/download")
        for miner in self.market.miners.values():
            self.market.end(miner)
        self.market.miners.clear()
        ends = {job: moment(self.market.job(job)["result_expires_at"]) for job in jobs}
        # The last one's end is a few seconds ahead of the shifted clock.
        ahead = int(ends[jobs[-1]] - time.time()) - 8
        self.shift(ahead)
        self.market.restart()
        seen = set()
        while len(seen) < 2:
            before = time.time() + ahead
            answer = self.market.get(f"/v1/jobs/{jobs[-1]}/download")
            after = time.time() + ahead
            seen.add(answer.status_code)
            if answer.status_code == 200:
                self.assertLess(before, ends[jobs[-1]])
            else:
                self.assertGreaterEqual(after, ends[jobs[-1]])
                problem = self.assertProblem(answer, 410, code="results_purged")
                self.assertEqual(moment(problem["purged_at"]), ends[jobs[-1]])
            self.assertLess(after, ends[jobs[-1]] + 20)
            time.sleep(0.1)
        self.assertEqual(self.open(share).status_code, 410)
        # Gone for readers, whether the sweeper has come or not; killed again and again, it ends with nothing left.
        for delay in (0.0, 0.05, 0.1, 0.2):
            time.sleep(delay)
            self.market.restart(signal.SIGKILL)
        until(lambda: not any(self.files(job) for job in jobs), "the disk is freed", 20)
        for job in jobs:
            document = self.market.job(job)
            self.assertEqual((document["status"], document["results_available"]), ("completed", False))
            self.assertEqual(moment(document["results_purged_at"]), ends[job])
        self.market.end(self.market.coordinator)
        database = sqlite3.connect(self.market.folder / "data" / "market.db")
        for table in ("artifacts", "packages", "purges", "job_inputs"):
            self.assertEqual(database.execute(f"SELECT count(*) FROM {table}").fetchone(), (0,), table)
        database.close()
        self.market.start()


class History(ResultTest):
    @classmethod
    def prepare(cls):
        super().prepare()
        cls.names = ["plain", 'with "quotes", commas', "two\nlines", "=1+1", "+cmd|' /C calc'!A0", "ünïcode 😀"]
        cls.ids = [cls.market.run("true", name=name, labels={"n": str(n)})["job_id"] for n, name in enumerate(cls.names)]
        cls.failed = cls.market.run("exit 3", name="failed")["job_id"]

    def export(self, query):
        answer = self.market.get("/v1/jobs/export?" + query)
        self.assertEqual(answer.status_code, 200, answer.text)
        return answer

    def test_json(self):
        listed = self.market.get("/v1/jobs?limit=500").json()["jobs"]
        self.assertEqual(self.export("format=json").json(), {"jobs": listed, "total": len(listed)})
        self.assertEqual(self.export("format=json&q=nothing+like+it").json(), {"jobs": [], "total": 0})

    def test_csv_is_read_back_by_other_programs(self):
        answer = self.export("format=csv&sort=created_at")
        self.assertTrue(answer.headers["Content-Type"].startswith("text/csv"))
        text = answer.content.decode("utf-8")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        self.assertEqual([row["job_id"] for row in rows], self.ids + [self.failed])
        guarded = ["'" + name if name[0] in "=+" else name for name in self.names]
        self.assertEqual([row["name"] for row in rows], guarded + ["failed"])
        self.assertEqual((rows[-1]["status"], rows[-1]["exit_code"], rows[-1]["error_code"]), ("failed", "3", "EXIT_NONZERO"))
        self.assertEqual(text.count("\r\n"), len(rows) + 1)
        empty = self.export("format=csv&status=lost").text
        self.assertEqual(empty, text[:text.index("\r\n") + 2])

    def test_filters_are_those_of_the_list(self):
        only = self.export("format=json&status=failed").json()["jobs"]
        self.assertEqual([job["job_id"] for job in only], [self.failed])
        labelled = self.export("format=json&label=n%3D2").json()["jobs"]
        self.assertEqual([job["job_id"] for job in labelled], [self.ids[2]])
        for query, field in (("format=xml", "format"), ("limit=5", "limit"), ("status=purple", "status"), ("days=0", "days")):
            with self.subTest(query):
                self.assertProblem(self.market.get("/v1/jobs/export?" + query), 422, field)

    def test_stats(self):
        answer = self.market.get("/v1/jobs/stats")
        stats = answer.json()
        self.assertEqual((stats["submitted"], stats["by_status"]["completed"], stats["by_status"]["failed"]), (7, 6, 1))
        self.assertEqual(stats["success_rate"], 0.8571)
        jobs = self.market.get("/v1/jobs?limit=500").json()["jobs"]
        taken = [moment(job["completed_at"]) - moment(job["started_at"]) for job in jobs if job["status"] == "completed"]
        self.assertAlmostEqual(stats["average_completion_seconds"], sum(taken) / 6, delta=0.002)
        spent = sum(int(job["cost"].replace(".", "")) for job in jobs)
        self.assertEqual(int(stats["total_spent"].replace(".", "")), spent)
        out = self.market.client("stats").stdout
        self.assertIn("85.71 %", out)
        self.assertProblem(self.market.get("/v1/jobs/stats?days=7"), 422, "days")

    def test_command_line(self):
        folder = self.market.folder / "exports"
        for format in ("json", "csv"):
            out = self.market.client("export", "--format", format, "--output", f"exports/jobs.{format}", "--status", "completed")
            self.assertEqual((out.returncode, out.stdout), (0, ""), out.stderr)
        self.assertEqual(len(json.loads((folder / "jobs.json").read_text())["jobs"]), 6)
        self.assertEqual(sorted(path.name for path in folder.iterdir()), ["jobs.csv", "jobs.json"])
        self.assertTrue(self.market.client("export", "--format", "csv", "--output", "-").stdout.startswith("job_id,"))
        self.assertEqual(self.market.client("export", "--format", "xml").returncode, 2)


class NoJobs(ResultTest):
    with_miner = False

    def test_nothing_gives_nulls_not_errors(self):
        stats = self.market.get("/v1/jobs/stats").json()
        self.assertEqual((stats["submitted"], stats["success_rate"], stats["average_completion_seconds"]), (0, None, None))
        self.assertEqual(stats["total_spent"], "0.000000")
        self.assertEqual(self.market.client("stats").returncode, 0)
        self.assertEqual(self.market.get("/v1/jobs/export").json(), {"jobs": [], "total": 0})
        self.assertEqual(self.market.get("/v1/jobs/export?format=csv").text.count("\r\n"), 1)
        answer = self.market.post("/v1/jobs:purge", {"all": True}).json()
        self.assertEqual((answer["deleted"], answer["errors"], answer["dry_run"], answer["items"]), (0, 0, False, []))
        quota = self.market.get("/v1/account").json()["quota"]
        self.assertEqual((quota["active_jobs"], quota["storage_bytes"]), (0, 0))


class Quota(ResultTest):
    with_miner = False

    def test_a_full_store_takes_no_new_work(self):
        limit = self.market.get("/v1/account").json()["quota"]["storage_bytes_limit"]
        account = self.market.get("/v1/account").json()["account_id"]
        self.market.end(self.market.coordinator)
        with sqlite3.connect(self.market.folder / "data" / "market.db") as database:
            database.execute("INSERT OR REPLACE INTO account_totals VALUES (?, 0, 0, 0, ?)", (account, limit))
        database.close()
        self.market.start()
        problem = self.assertProblem(self.market.post("/v1/jobs", {"command": ["true"]}), 507, code="storage_quota")
        self.assertEqual(problem["storage_bytes"], limit)
        self.assertEqual(self.market.client("submit", "--", "true").returncode, 5)
        self.market.end(self.market.coordinator)
        with sqlite3.connect(self.market.folder / "data" / "market.db") as database:
            database.execute("UPDATE account_totals SET stored = ?", (limit - 1,))
        database.close()
        self.market.start()
        job = self.market.submit("true")
        self.market.post(f"/v1/jobs/{job}/cancel")
