"""Cancelling, time-outs and what is left of a job's processes: nothing."""

import time

from market import MarketTest, marker, processes, until


class Cancel(MarketTest):
    """In the default sandbox."""

    miner_options = ("--slots", "6")
    slowness = 8

    def started(self, script, **fields):
        """A job whose program runs, and a marker of its processes."""
        word = marker()
        job = self.market.shell(f"echo up; {script} # {word}", env={"MARK": word}, **fields)
        self.market.until_log(job, "up")
        self.assertTrue(processes(word))
        return job, word

    def cancel(self, job, **body):
        return self.market.post(f"/v1/jobs/{job}/cancel", body)

    def test_pending(self):
        job = self.market.submit("true", constraints={"region": "nowhere"})
        answer = self.cancel(job, reason="not needed")
        self.assertEqual((answer.status_code, answer.json()["status"]), (202, "canceled"))
        self.assertEqual(answer.json()["cancel"]["reason"], "not needed")

    def test_running_ends_with_its_processes(self):
        job, word = self.started("sleep 600; true")
        self.assertEqual(self.cancel(job).status_code, 202)
        ended = self.market.finished(job)
        self.assertEqual((ended["status"], ended["error_detail"]["code"]), ("canceled", "CANCELED"))
        self.assertEqual(ended["cancel"]["outcome"], "canceled")
        self.assertEqual(processes(word), [])

    def test_program_that_obeys_ends_before_the_grace_is_over(self):
        job, word = self.started("exec sleep 600")
        began = time.monotonic()
        self.cancel(job, grace_seconds=25)
        self.market.finished(job)
        self.assertLess(time.monotonic() - began, 10)

    def test_at_any_moment_of_its_start(self):
        """A signal sent while the program is being started must not be lost."""
        jobs = []
        for step in range(6):
            jobs.append(self.market.submit("sleep", "600"))
            self.market.until(jobs[-1], *(("running",) if step % 2 else ("assigned", "running")))
            self.assertEqual(self.cancel(jobs[-1], grace_seconds=25).status_code, 202)
        for job in jobs:
            self.assertEqual(self.market.finished(job, 10)["status"], "canceled")

    def test_program_may_clean_up(self):
        job, _ = self.started("trap 'echo cleaned; exit 0' TERM; while :; do sleep 0.05; done")
        self.cancel(job, grace_seconds=10)
        self.market.finished(job)
        self.assertIn("cleaned", self.market.get(f"/v1/jobs/{job}/logs").text)

    def test_program_that_ignores_term_is_killed(self):
        job, word = self.started("trap '' TERM; while :; do sleep 1; done")
        self.cancel(job, grace_seconds=1)
        self.assertEqual(self.market.finished(job, 10)["status"], "canceled")
        self.assertEqual(processes(word), [])

    def test_children_in_sessions_of_their_own(self):
        job, word = self.started("(trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 600; true') & sleep 600")
        self.cancel(job, grace_seconds=1)
        self.assertEqual(self.market.finished(job, 10)["status"], "canceled")
        self.assertEqual(processes(word), [])

    def test_children_left_behind_by_a_job_that_ended(self):
        word = marker()
        job = self.market.run("setsid sleep 600 >/dev/null 2>&1 & echo done", env={"MARK": word})
        self.assertEqual(job["status"], "completed")
        until(lambda: not processes(word), "no process is left", 5)

    def test_a_second_time(self):
        job, _ = self.started("trap '' TERM; while :; do sleep 0.1; done")
        self.assertEqual(self.cancel(job, grace_seconds=2).json()["status"], "canceling")
        self.assertEqual(self.cancel(job).status_code, 200)
        self.assertEqual(self.market.finished(job)["status"], "canceled")

    def test_finished(self):
        job = self.market.run("true")["job_id"]
        self.assertProblem(self.cancel(job), 409)
        self.assertEqual(self.market.job(job)["status"], "completed")

    def test_delete_cancels(self):
        job, word = self.started("exec sleep 600")
        answer = self.market.session.delete(f"{self.market.url}/v1/jobs/{job}", timeout=20)
        self.assertEqual(answer.status_code, 202)
        self.assertEqual(self.market.finished(job)["status"], "canceled")

    def test_delete_of_a_finished_one_points_to_its_results(self):
        job = self.market.run("true")["job_id"]
        answer = self.market.session.delete(f"{self.market.url}/v1/jobs/{job}", timeout=20)
        self.assertIn("/results", self.assertProblem(answer, 409)["detail"])

    def test_what_was_made_is_kept(self):
        job, _ = self.started("echo half >$AITBC_OUTPUT_DIR/part; echo made; exec sleep 600")
        self.market.until_log(job, "made")
        self.cancel(job)
        self.market.finished(job)
        self.assertEqual(self.market.get(f"/v1/jobs/{job}/artifacts/part").text, "half\n")

    def test_time_limit(self):
        word = marker()
        ended = self.market.run("exec sleep 600", timeout_seconds=1, env={"M": word})
        self.assertEqual((ended["status"], ended["error_detail"]["code"]), ("failed", "TIMEOUT"))
        self.assertEqual(processes(word), [])

    def test_time_limit_of_a_program_that_ignores_term(self):
        word = marker()
        ended = self.market.run("trap '' TERM; while :; do sleep 0.1; done", timeout_seconds=1, env={"M": word})
        self.assertEqual((ended["status"], ended["error_detail"]["code"]), ("failed", "TIMEOUT"))
        self.assertEqual(processes(word), [])

    def test_a_program_that_is_not_there(self):
        ended = self.market.finished(self.market.submit("no-such-program"))
        self.assertEqual((ended["status"], ended["error_detail"]["code"]), ("failed", "LAUNCH_FAILED"))

    def test_a_program_that_is_killed(self):
        ended = self.market.run("kill -SEGV $$")
        self.assertEqual((ended["status"], ended["error_detail"]["code"]), ("failed", "SIGNALED"))


class CancelWithoutSandbox(Cancel):
    miner_options = ("--slots", "6", "--sandbox", "none")
