"""Running again: reruns, attempts, unlocks, and what run keys remember."""

import concurrent.futures
import json
import time
import uuid
from urllib.parse import quote

import requests

from market import MarketTest


class Attempts(MarketTest):
    def key(self):
        return "key-" + uuid.uuid4().hex[:8]

    def post(self, key, command=("true",), **fields):
        return self.market.post("/v1/jobs", {"command": list(command), "run_key": key} | fields)

    def rerun(self, job, **fields):
        return self.market.post(f"/v1/jobs/{job}/rerun", fields)

    def unlock(self, key, **fields):
        return self.market.post(f"/v1/run-keys/{quote(key, safe='')}/unlock", fields)

    def test_rerun_without_a_key(self):
        first = self.market.run("exit 3", name="flaky", labels={"a": "b"})
        answer = self.rerun(first["job_id"], reason="bad input")
        self.assertEqual(answer.status_code, 201)
        second = answer.json()
        self.assertEqual((second["attempt_no"], second["rerun_of"], second["rerun_reason"], second["rerun"]),
                         (2, first["job_id"], "bad input", True))
        for member in ("command", "name", "labels", "max_tries", "timeout_seconds"):
            self.assertEqual(second[member], first[member])
        self.assertEqual(self.market.finished(second["job_id"])["exit_code"], 3)
        third = self.rerun(first["job_id"]).json()
        self.market.finished(third["job_id"])
        page = self.market.get(f"/v1/jobs/{second['job_id']}/attempts").json()
        self.assertEqual([(one["job_id"], one["attempt_no"]) for one in page["attempts"]],
                         [(third["job_id"], 3), (second["job_id"], 2), (first["job_id"], 1)])
        self.assertEqual((page["has_more"], page["run_key"]), (False, None))

    def test_pages_of_attempts(self):
        first = self.market.run("true")["job_id"]
        for _ in range(3):
            self.market.finished(self.rerun(first).json()["job_id"])
        page = self.market.get(f"/v1/jobs/{first}/attempts?limit=2").json()
        self.assertEqual(([one["attempt_no"] for one in page["attempts"]], page["next_before"]), ([4, 3], 3))
        page = self.market.get(f"/v1/jobs/{first}/attempts?limit=2&before=3").json()
        self.assertEqual(([one["attempt_no"] for one in page["attempts"]], page["has_more"]), ([2, 1], False))
        self.assertProblem(self.market.get(f"/v1/jobs/{first}/attempts?limit=0"), 422, "limit")
        self.assertProblem(self.market.get(f"/v1/jobs/{first}/attempts?limit=501"), 422, "limit")

    def test_rerun_while_active_is_refused(self):
        key = self.key()
        first = self.post(key, ("sleep", "600")).json()["job_id"]
        self.assertProblem(self.rerun(first), 409, code="state_forbids")
        self.market.post(f"/v1/jobs/{first}/cancel", {"grace_seconds": 0})
        self.market.finished(first)
        second = self.rerun(first).json()["job_id"]
        # An old attempt is no way round the active one.
        self.assertProblem(self.rerun(first), 409, code="state_forbids")
        self.market.post(f"/v1/jobs/{second}/cancel", {"grace_seconds": 0})
        self.market.finished(second)

    def test_rerun_of_what_is_not_there(self):
        self.assertProblem(self.rerun("job_" + "0" * 26), 404)
        job = self.market.run("true")["job_id"]
        self.assertProblem(self.rerun(job, why="x"), 422, "/why")
        self.assertProblem(self.rerun(job, reason="x" * 1_025), 422, "/reason")
        self.assertEqual(len(self.market.get(f"/v1/jobs/{job}/attempts").json()["attempts"]), 1)

    def test_a_repeated_rerun_is_one_attempt(self):
        job = self.market.run("sleep 0")["job_id"]
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        first = self.market.post(f"/v1/jobs/{job}/rerun", {}, headers=headers)
        again = self.market.post(f"/v1/jobs/{job}/rerun", {}, headers=headers)
        self.assertEqual((again.status_code, again.text), (201, first.text))
        self.assertEqual(again.headers["Idempotent-Replay"], "true")
        self.market.finished(first.json()["job_id"])

    def test_unlock_lets_one_through(self):
        key = self.key() + "/with slash?"
        first = self.post(key, ("false",), strict=True).json()["job_id"]
        self.market.finished(first)
        answer = self.unlock(key, ttl="30m", reason="mended")
        self.assertEqual(answer.status_code, 200)
        self.assertEqual(answer.json()["strict_override"]["reason"], "mended")
        shown = self.market.get(f"/v1/run-keys/{quote(key, safe='')}").json()
        self.assertEqual((shown["run_key"], shown["strict"], shown["latest_attempt"]), (key, True, 1))
        self.assertIsNotNone(shown["strict_override"]["expires_at_unix"])
        second = self.post(key, ("false",), strict=True).json()
        self.assertEqual((second["strict_override_used"], second["rerun_reason"], second["attempt_no"]),
                         (True, "mended", 2))
        self.market.finished(second["job_id"])
        third = self.post(key, ("false",), strict=True).json()
        self.assertEqual((third["job_id"], third["existing"], third["strict_override_used"]),
                         (second["job_id"], True, False))
        shown = self.market.get(f"/v1/run-keys/{quote(key, safe='')}").json()
        self.assertEqual((shown["strict_override"], len(shown["attempts"])), (None, 2))

    def test_unlock_expires(self):
        key = self.key()
        first = self.post(key, strict=True).json()["job_id"]
        self.market.finished(first)
        self.unlock(key, ttl=1)
        time.sleep(1.1)
        self.assertEqual(self.post(key, strict=True).json()["job_id"], first)

    def test_unlock_is_refused_while_active_or_unknown(self):
        self.assertProblem(self.unlock(self.key()), 404)
        self.assertProblem(self.market.get("/v1/run-keys/" + self.key()), 404)
        key = self.key()
        first = self.post(key, ("sleep", "600"), strict=True).json()["job_id"]
        self.assertProblem(self.unlock(key), 409, code="state_forbids")
        self.market.post(f"/v1/jobs/{first}/cancel", {"grace_seconds": 0})
        self.market.finished(first)
        for ttl in (0, -1, "", "1.5h", "x"):
            self.assertProblem(self.unlock(key, ttl=ttl), 422, "/ttl")
        self.assertIsNone(self.market.get(f"/v1/run-keys/{key}").json()["strict_override"])

    def test_rerun_of_a_strict_key_keeps_the_unlock(self):
        key = self.key()
        first = self.post(key, strict=True).json()["job_id"]
        self.market.finished(first)
        self.unlock(key)
        second = self.rerun(first).json()
        self.assertEqual(second["attempt_no"], 2)
        self.market.finished(second["job_id"])
        third = self.post(key, strict=True).json()
        self.assertEqual((third["attempt_no"], third["strict_override_used"]), (3, True))
        self.market.finished(third["job_id"])

    def test_fifty_at_once_make_one_job(self):
        key = self.key()
        body = {"command": ["sleep", "600"], "run_key": key}

        def once(_):
            headers = {"X-Api-Key": self.market.client_key}
            answer = requests.post(self.market.url + "/v1/jobs", json=body, headers=headers, timeout=30)
            return answer.status_code, answer.json()["job_id"]

        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(once, range(50)))
        self.assertEqual(sorted(status for status, _ in answers), [200] * 49 + [201])
        self.assertEqual(len({job for _, job in answers}), 1)
        self.market.post(f"/v1/jobs/{answers[0][1]}/cancel", {"grace_seconds": 0})

    def test_attempts_go_on_over_a_restart(self):
        key = self.key()
        self.market.finished(self.post(key, strict=True).json()["job_id"])
        self.market.restart()
        self.unlock(key)
        self.assertEqual(self.post(key).json()["attempt_no"], 2)

    # The command line

    def test_cli(self):
        key = self.key()
        submitted = self.market.client("submit", "--run-key", key, "--strict", "--wait", "-q", "-o", "id", "--", "false")
        first = submitted.stdout.strip()
        self.assertEqual(submitted.returncode, 1)
        again = self.market.client("rerun", "--run-key", key, "--reason", "why", "--wait", "--passthrough", "-o", "id")
        self.assertEqual(again.returncode, 1, again.stderr)
        second = again.stdout.strip()
        third = self.market.client("rerun", "--job-id", first).stdout.strip()
        self.market.finished(third)
        for words in ([second], ["--job-id", first], ["--run-key", key], [key]):
            with self.subTest(str(words)):
                out = self.market.client("attempts", *words, "--output", "id")
                self.assertEqual(out.stdout.split(), [third, second, first], out.stderr)
        rows = json.loads(self.market.client("attempts", key, "--json").stdout)["attempts"]
        self.assertEqual([row["rerun_reason"] for row in rows], [None, "why", None])
        unlocked = self.market.client("unlock", "--run-key", key, "--ttl", "30m", "--reason", "r")
        self.assertEqual(unlocked.returncode, 0)
        self.assertIn("unlocked for one run until", unlocked.stdout)

    def test_cli_exit_codes(self):
        job = self.market.submit("sleep", "600", run_key=(key := self.key()))
        for words, code in ((["rerun", job], 4), (["rerun", key], 4), (["unlock", key], 4),
                            (["unlock", "--job-id", job], 4), (["rerun", "job_" + "0" * 26], 3),
                            (["unlock", self.key()], 3), (["attempts", self.key()], 3), (["rerun"], 2),
                            (["rerun", job, "--run-key", key], 2), (["rerun", job, "--logs"], 2),
                            (["unlock", key, "--ttl", "0"], 2)):
            with self.subTest(str(words)):
                self.assertEqual(self.market.client(*words).returncode, code)
        self.market.post(f"/v1/jobs/{job}/cancel", {"grace_seconds": 0})
        self.market.finished(job)
