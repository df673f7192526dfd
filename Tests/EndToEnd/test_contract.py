"""Sentences of the outside contract that no other file holds us to: forms of answers, words on input, runners."""

import http.server
import io
import json
import re
import subprocess
import threading
import time
import zipfile

import websocket
import yaml

from market import BINARY, MarketTest, messages, until
from rest_miner import RestMiner


class Model(http.server.BaseHTTPRequestHandler):
    """A service that speaks the OpenAI protocol and says Hello."""

    asked = []

    def do_POST(self):
        Model.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        body = json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}}],
                           "usage": {"total_tokens": 3}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Runners(MarketTest):
    @classmethod
    def prepare(cls):
        cls.service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
        threading.Thread(target=cls.service.serve_forever, daemon=True).start()
        cls.market.miner(
            "miner", "--slots", "4", "--model", "llama3", "--inference-url",
            f"http://127.0.0.1:{cls.service.server_port}/v1",
            "--runner", "greet=sh -c 'printf \"%s|\" \"$@\"' sh {name} {number}")

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.service.shutdown()
        cls.service.server_close()

    def ended(self, **body):
        return self.market.finished(self.market.submit(**body))

    def result_text(self, job):
        archive = zipfile.ZipFile(io.BytesIO(self.market.get(f"/v1/jobs/{job}/download").content))
        return archive.read(f"{job}/result.txt").decode()

    def test_a_model_is_asked_and_its_words_are_the_main_output(self):
        for body in ({"model": "llama3", "input": "Say hello"},
                     {"payload": {"type": "inference", "model": "llama3", "prompt": "Say hello"}}):
            job = self.ended(**body)
            self.assertEqual((job["status"], job["result"]["text"]), ("completed", "Hello"), job)
            self.assertEqual(Model.asked[-1]["messages"], [{"role": "user", "content": "Say hello"}])
            self.assertEqual(self.result_text(job["job_id"]), "Hello")

    def test_an_operators_runner_gets_each_member_as_one_word(self):
        job = self.ended(payload={"type": "greet", "name": "two words; $(id)", "number": 5})
        self.assertEqual(job["status"], "completed", job)
        self.assertEqual(self.result_text(job["job_id"]), "two words; $(id)|5|")
        job = self.ended(payload={"type": "greet", "number": 5}, max_tries=1)
        self.assertEqual(job["status"], "failed")
        self.assertIn("name", job["error"])

    def test_noop_ends_with_its_payload(self):
        job = self.ended(payload={"type": "noop", "more": [1, {"a": 2.50}]})
        self.assertEqual((job["status"], job["result"]["more"]), ("completed", [1, {"a": 2.5}]))

    def test_a_miner_runs_only_what_it_offers(self):
        job = self.market.submit(payload={"type": "unknown"})
        self.assertEqual(self.market.job(job)["pending_reason"]["code"], "NO_MINER_FITS")


class Wire(MarketTest):
    """AITBC's miner protocol, as its own miners read it."""

    with_miner = False

    def test_a_polled_job_holds_all_six_constraints(self):
        miner = RestMiner(self.market)
        miner.register()
        self.market.submit(payload={"type": "inference", "model": "tiny"})
        names = ("gpu", "cuda", "min_vram_gb", "models", "region", "max_price")
        job = miner.poll()
        self.assertEqual({name: job["constraints"][name] for name in names}, dict.fromkeys(names))
        self.assertEqual(miner.result(job, {"output": "x"}).json()["status"], "ok")
        self.market.submit(payload={"type": "inference"}, constraints={"gpu": "RTX 4090", "models": ["tiny"]})
        job = miner.poll()
        self.assertEqual((job["constraints"]["gpu"], job["constraints"]["models"], job["constraints"]["cuda"]),
                         ("RTX 4090", ["tiny"], None))
        miner.result(job, {"output": "x"})


class FeedOptions(MarketTest):
    """Limits of the feed that the operator may set."""

    options = ("--feed-subscriptions", "1", "--feed-message-size", "256", "--ping-interval", "1s", "--pong-timeout", "1s")
    with_miner = False

    def test_a_second_job_with_logs_is_one_too_many(self):
        jobs = [self.market.submit("true") for _ in range(2)]
        feed = self.market.feed()
        for job in jobs:
            feed.send(json.dumps({"type": "subscribe", "job_id": job}))
        refused = messages(feed, lambda message: message["type"] == "error")[-1]
        self.assertIn("1", refused["message"])
        feed.close()

    def test_a_longer_message_closes(self):
        feed = self.market.feed()
        feed.send(json.dumps({"type": "ping", "more": "x" * 256}))
        self.assertEqual(messages(feed)[-1]["code"], 1009)

    def open_feeds(self):
        return re.search(r"^aitbc_feeds_open (\d+)$", self.market.get("/metrics").text, re.M)[1]

    def test_who_answers_no_ping_is_dropped(self):
        until(lambda: self.open_feeds() == "0", "other tests' feeds are gone")
        # It answers pings only while somebody reads.
        feed = self.market.feed()
        self.assertEqual(self.open_feeds(), "1")
        until(lambda: self.open_feeds() == "0", "the silent feed is dropped", 10)
        feed.shutdown()
        feed = self.market.feed()
        deadline = time.monotonic() + 4
        feed.settimeout(0.2)
        while time.monotonic() < deadline:
            try:
                feed.recv()
            except websocket.WebSocketTimeoutException:
                pass
        self.assertEqual(self.open_feeds(), "1")
        feed.close()

    def test_values_that_make_no_sense_are_refused(self):
        for words in (("--feed-subscriptions", "0"), ("--feed-message-size", "255"), ("--feed-message-size", "17MiB"),
                      ("--ping-interval", "2h"), ("--ping-interval", "0")):
            done = subprocess.run([BINARY, "coordinator", *words], cwd=self.market.folder, capture_output=True, text=True)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(words[0], done.stderr)


class Words(MarketTest):
    """Queries and answers, as other people's libraries write and read them."""

    with_miner = False

    def test_blanks_in_a_query_may_be_pluses(self):
        body = {"command": ["true"], "name": "a job+more", "labels": {"team": "two words"}, "constraints": {"gpu": "none"}}
        job = self.market.submit(**body)
        for query in ("q=a+job%2Bmore", "q=a%20job%2bmore", "label=team%3Dtwo+words", "label=team=two%20words"):
            listed = self.market.get("/v1/jobs?" + query).json()["jobs"]
            self.assertEqual([one["job_id"] for one in listed], [job], query)
        # As `requests` writes it.
        listed = self.market.get("/v1/jobs", params={"q": "a job+more", "status": "agent offline,queued"}).json()["jobs"]
        self.assertEqual([one["job_id"] for one in listed], [job])
        for query in ("from=2026-01-01T00:00:00+02:00", "from=2026-01-01T00:00:00%2B02:00"):
            self.assertIn(job, [one["job_id"] for one in self.market.get("/v1/jobs?" + query).json()["jobs"]])

    def test_the_answer_to_a_submission_tells_why_it_will_wait(self):
        answer = self.market.post("/v1/jobs", {"command": ["true"], "run_key": "why"})
        self.assertEqual(answer.json()["pending_reason"]["code"], "NO_MINERS")
        again = self.market.post("/v1/jobs", {"command": ["true"], "run_key": "why"})
        self.assertEqual((again.status_code, again.json()["pending_reason"]["code"]), (200, "NO_MINERS"))
        job = answer.json()["job_id"]
        self.market.post(f"/v1/jobs/{job}/cancel")
        rerun = self.market.post(f"/v1/jobs/{job}/rerun")
        self.assertEqual(rerun.json()["pending_reason"]["code"], "NO_MINERS")

    def test_a_dry_run_tells_its_times_as_all_others(self):
        body = {"command": ["true"], "not_before": "2030-01-01T00:00:00Z"}
        answer = self.market.post("/v1/jobs?dry_run=1", body).json()
        self.assertEqual(answer["job"]["not_before"], "2030-01-01T00:00:00.000Z")


class Forms(MarketTest):
    """`--output` and `--json` of every verb."""

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.done = cls.market.run("echo out; echo err >&2; echo model > $AITBC_OUTPUT_DIR/model.bin")["job_id"]

    def client(self, *words, status=0):
        done = self.market.client(*words)
        self.assertEqual(done.returncode, status, f"{words}: {done.stdout}{done.stderr}")
        return done.stdout

    def verbs(self):
        """Every verb in a call that succeeds however often it is said."""
        job, verbs = self.done, ["status", "get", "watch", "artifacts", "attempts", "share", "shares", "verify", "logs"]
        return [(verb, job) for verb in verbs] + [
            ("list",), ("queue",), ("stats",), ("doctor",), ("config", "list"), ("config", "path"),
            ("config", "get", "url"), ("config", "set", "color", "auto"), ("submit", "--type", "noop"),
            ("submit", "--type", "noop", "--dry-run"), ("cancel", "--all", "--dry-run"),
            ("clean", "--all", "--dry-run"), ("unshare", job, "--share-id", self.share()),
            ("rerun", self.market.run("true")["job_id"])]

    def share(self):
        return self.market.post(f"/v1/jobs/{self.done}/share").json()["share_id"]

    def test_json_everywhere(self):
        for words in self.verbs():
            with self.subTest(" ".join(words)):
                json.loads(self.client(*words, "--json"))
        folder = str(self.market.folder / "got")
        for words in (("download", self.done, "--output", folder, "--checksum"), ("export",),
                      ("export", "--output", folder + "/jobs.csv", "--format", "csv"),
                      ("artifacts", self.done, "--get", "model.bin", "--to", folder + "/model.bin"),
                      ("delete", self.market.run("true")["job_id"])):
            with self.subTest(" ".join(words)):
                json.loads(self.client(*words, "--json"))

    def test_every_form_where_output_has_no_other_meaning(self):
        for form in ("table", "json", "jsonl", "yaml"):
            for words in self.verbs():
                if words[0] == "submit":
                    continue
                with self.subTest(f"{' '.join(words)} as {form}"):
                    out = self.client(*words, "--output", form)
                    if form == "json":
                        json.loads(out)
                    elif form == "jsonl":
                        for line in out.splitlines():
                            json.loads(line)
                    elif form == "yaml":
                        yaml.safe_load(out)

    def test_ids_alone(self):
        for words in (("status", self.done), ("verify", self.done), ("watch", self.done), ("get", self.done),
                      ("logs", self.done)):
            self.assertEqual(self.client(*words, "--output", "id"), self.done + "\n")
        self.client("stats", "--output", "id", status=2)
        share = self.share()
        self.assertEqual(self.client("unshare", self.done, share, "-o", "id"), share + "\n")

    def test_logs_as_they_are_and_as_objects(self):
        self.assertEqual(self.client("logs", self.done), "out\n")
        whole = json.loads(self.client("logs", self.done, "--json"))
        self.assertEqual([(one["stream"], one["data"]) for one in whole["logs"]], [("stdout", "out\n"), ("stderr", "err\n")])
        line = json.loads(self.client("logs", self.done, "--stream", "stderr", "-o", "jsonl"))
        self.assertEqual((line["type"], line["job_id"], line["data"]), ("log", self.done, "err\n"))
        pieces = [json.loads(line) for line in self.client("logs", self.done, "--follow", "--json").splitlines()]
        self.assertEqual("".join(one["data"] for one in pieces if one["stream"] == "stdout"), "out\n")
        raw = self.market.run("printf '\\377\\n'")["job_id"]
        self.assertEqual(json.loads(self.client("logs", raw, "--json"))["logs"][0]["encoding"], "base64")
        # A setting is about documents; a log stays what the job wrote.
        done = subprocess.run(["aitbc", "client", "logs", self.done], env=self.market.environment | {"AITBC_OUTPUT": "json"},
                              cwd=self.market.folder, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.stdout, "out\n")
