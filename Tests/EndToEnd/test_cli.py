"""The command line: exit codes, streams, forms of output."""

import json
import os
import subprocess

from market import BINARY, MarketTest, until


class CommandLine(MarketTest):
    slowness = 4

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.done = cls.market.run("echo out")["job_id"]
        cls.failed = cls.market.run("exit 7")["job_id"]

    def client(self, *words, status=0, **options):
        done = self.market.client(*words, **options)
        self.assertEqual(done.returncode, status, f"{words}\n{done.stdout}\n{done.stderr}")
        return done

    # Exit codes

    def test_0_and_1_of_watch(self):
        self.client("watch", self.done)
        self.client("watch", self.failed, status=1)

    def test_1_of_a_job_that_did_not_succeed(self):
        self.client("submit", "--wait", "--", "false", status=1)

    def test_2_usage(self):
        for words in (("submit",), ("list", "--status", "bogus"), ("list", "--limit", "0"), ("nothing",),
                      ("list", "--from", "2026-02-01", "--to", "2026-01-01"), ("list", "--from", "yesterday"),
                      ("status",), ("submit", "--ttl", "1y", "--", "true"), ("submit", "--bogus", "--", "true"),
                      ("submit", "--input", "not-there", "--", "true")):
            with self.subTest(" ".join(words)):
                self.assertEqual(self.client(*words, status=2).stdout, "")

    def test_3_not_found(self):
        for verb in ("status", "watch", "get", "logs", "download", "verify"):
            with self.subTest(verb):
                self.client(verb, "job_" + "0" * 26, status=3)

    def test_4_state_forbids_it(self):
        self.client("cancel", "--force", self.done, status=4)
        job = self.market.submit("true", constraints={"region": "nowhere"})
        self.client("download", job, status=4)
        self.market.post(f"/v1/jobs/{job}/cancel")

    def test_5_conflict(self):
        self.client("submit", "--run-key", "five", "--", "true")
        self.client("submit", "--run-key", "five", "--", "false", status=5)

    def test_6_unauthenticated_or_forbidden(self):
        self.client("list", status=6, key="ak_wrong")
        self.client("list", status=6, key=self.market.miner_key)

    def test_7_unreachable(self):
        self.client("list", "--url", "http://127.0.0.1:1", "--timeout", "2s", status=7)

    def test_8_still_active(self):
        job = self.market.shell("exec sleep 600")
        self.client("watch", job, "--timeout", "1s", status=8)
        self.assertIn(self.market.job(job)["status"], ("assigned", "running"))
        self.market.post(f"/v1/jobs/{job}/cancel", {"grace_seconds": 0})

    def test_130_interrupted(self):
        job = self.market.shell("exec sleep 600")
        with open(self.market.folder / "watch.out", "w") as out:
            watch = subprocess.Popen(
                [BINARY, "client", "watch", job], env=self.market.environment | {"AITBC_API_KEY": self.market.client_key},
                stdout=out, stderr=out)
        until(lambda: "running" in (self.market.folder / "watch.out").read_text(), "it watches")
        watch.send_signal(2)
        self.assertEqual(watch.wait(10), 130)
        self.assertEqual(self.market.job(job)["status"], "running")
        self.market.post(f"/v1/jobs/{job}/cancel", {"grace_seconds": 0})

    def test_passthrough(self):
        self.client("submit", "--wait", "--passthrough", "--", "sh", "-c", "exit 42", status=42)

    # Streams and forms

    def test_submit_prints_the_id_alone(self):
        self.assertRegex(self.client("submit", "--", "true").stdout, r"\Ajob_[0-9a-z]{26}\n\Z")

    def test_json_is_the_document(self):
        self.assertEqual(json.loads(self.client("status", "--json", self.done).stdout)["status"], "completed")
        self.assertIn("jobs", json.loads(self.client("list", "--json").stdout))

    def test_jsonl(self):
        lines = self.client("list", "--output", "jsonl").stdout.splitlines()
        self.assertIn(self.done, [json.loads(line)["job_id"] for line in lines])

    def test_no_colours_in_a_pipe(self):
        for words in (("list",), ("status", self.done), ("watch", self.done)):
            done = self.client(*words)
            self.assertNotIn("\x1b", done.stdout + done.stderr)

    def test_errors_go_to_standard_error(self):
        done = self.client("status", "job_" + "0" * 26, status=3)
        self.assertEqual(done.stdout, "")
        self.assertIn("error", done.stderr)

    def test_wait_with_logs(self):
        done = self.client("submit", "--wait", "--logs", "--", "sh", "-c", "echo out; echo err >&2")
        self.assertIn("out\n", done.stdout)
        self.assertIn("err\n", done.stderr)

    def test_wait_puts_the_result_into_a_folder(self):
        folder = self.market.folder / "waited"
        self.client("submit", "--wait", "--output", str(folder), "--", "true")
        self.assertTrue((folder / "output.zip").exists())

    def test_input_files_and_folders(self):
        folder = self.market.folder / "inputs"
        (folder / "data" / "sub").mkdir(parents=True)
        (folder / "data" / "sub" / "points").write_text("1 2 3\n")
        (folder / "run.sh").write_text("cat data/sub/points\n")
        done = self.client(
            "submit", "--input", "run.sh", "--input", "data", "--wait", "--logs", "--", "sh", "run.sh", folder=folder)
        self.assertIn("1 2 3\n", done.stdout)

    def test_batch(self):
        path = self.market.folder / "jobs.jsonl"
        path.write_text('{"payload":{"type":"noop"}}\n' * 3)
        self.assertEqual(len(self.client("submit", "--batch", str(path), "--output", "id").stdout.split()), 3)

    def test_dry_run(self):
        before = self.market.get("/v1/jobs").json()["total"]
        self.client("submit", "--dry-run", "--", "true")
        self.assertEqual(self.market.get("/v1/jobs").json()["total"], before)

    def test_idempotency_key(self):
        ids = {self.client("submit", "--idempotency-key", "once", "--", "true").stdout for _ in range(2)}
        self.assertEqual(len(ids), 1)

    def test_configuration_is_read_where_it_is_written(self):
        environment = dict(self.market.environment)
        del environment["AITBC_URL"]

        def run(*words):
            return subprocess.run(
                [BINARY, "client", *words], env=environment, cwd=self.market.folder / "home", stdin=subprocess.DEVNULL,
                capture_output=True, text=True, timeout=30)

        for name, value in (("url", self.market.url), ("api_key", self.market.client_key)):
            done = run("config", "set", name, value)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(run("list").returncode, 0)
        self.assertEqual(run("config", "set", "bogus", "x").returncode, 2)
        written = [p for p in (self.market.folder / "home").rglob("config.toml")]
        self.assertEqual(written[0].stat().st_mode & 0o077, 0)
        written[0].unlink()

    def test_doctor(self):
        self.client("doctor")
        self.client("doctor", "--url", "http://127.0.0.1:1", status=7)

    def test_closed_pipe_is_no_crash(self):
        done = subprocess.run(
            f"'{BINARY}' client list --json | head -c 1 >/dev/null; exit ${{PIPESTATUS[0]}}", shell=True,
            executable="/bin/bash", env=self.market.environment | {"AITBC_API_KEY": self.market.client_key},
            capture_output=True, timeout=30)
        self.assertIn(done.returncode, (0, 1, 141), done.stderr)

    def test_version(self):
        done = subprocess.run([BINARY, "--version"], capture_output=True, text=True, timeout=20, env=dict(os.environ))
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"\d+\.\d+")
