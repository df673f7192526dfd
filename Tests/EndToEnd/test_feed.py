"""The live feeds, with websocket-client."""

import http.client
import json
import socket

import requests
import websocket

from market import MarketTest, messages, until


class Feed(MarketTest):
    @classmethod
    def prepare(cls):
        cls.second = cls.market.second_account()
        super().prepare()
        cls.done = cls.market.run("echo out")["job_id"]

    def refused(self, path, status, key=True, **options):
        with self.assertRaises(websocket.WebSocketBadStatusException) as caught:
            self.market.feed(path, key, **options).close()
        self.assertEqual(caught.exception.status_code, status)
        body = json.loads(caught.exception.resp_body)
        self.assertEqual(body["status"], status)

    def get(self, path, **headers):
        return self.market.get(path, headers=headers)

    def feed(self, *words, **options):
        feed = self.market.feed(*words, **options)
        self.addCleanup(feed.shutdown)
        return feed

    def of(self, found, job):
        """The durable messages about a job."""
        return [one for one in found if one.get("job_id") == job and one["type"] in ("status", "end")]

    # Handshakes

    def test_bad_key(self):
        self.refused("/v1/jobs/ws", 401, "ak_bad")

    def test_job_feed_without_key(self):
        self.refused(f"/v1/jobs/{self.done}/ws", 401, None)

    def test_unknown_job(self):
        self.refused("/v1/jobs/job_" + "0" * 26 + "/ws", 404)
        self.refused("/v1/jobs/nonsense/ws", 404)

    def test_another_accounts_job(self):
        self.refused(f"/v1/jobs/{self.done}/ws", 404, self.second)

    def test_miners_key(self):
        self.refused("/v1/jobs/ws", 403, self.market.miner_key)
        self.refused("/v1/miners/ws", 403)

    def test_foreign_origin(self):
        self.refused("/v1/jobs/ws", 403, suppress_origin=False, origin="http://evil.example")
        self.refused("/v1/jobs/ws", 403, None, suppress_origin=False, origin="http://evil.example")

    def test_foreign_host(self):
        self.refused("/v1/jobs/ws", 403, host="evil.example")

    def test_own_origin(self):
        self.feed("/v1/jobs/ws", suppress_origin=False, origin=self.market.url).recv()

    def test_no_upgrade(self):
        self.assertProblem(self.get("/v1/jobs/ws"), 426)

    def test_wrong_version(self):
        headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "8",
                   "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
        first = requests.get(self.market.url + "/v1/jobs/ws", headers=headers, timeout=20)
        later = self.get("/v1/jobs/ws", **headers)
        for answer in (first, later):
            self.assertProblem(answer, 426)
            self.assertEqual(answer.headers.get("Sec-WebSocket-Version"), "13")

    def test_key_in_the_url_is_refused(self):
        self.refused("/v1/jobs/ws?api_key=x", 422)

    def test_snippet_of_a_stranger_gets_no_jobs(self):
        feed = self.feed("/v1/jobs/ws", key=None)
        self.assertEqual(json.loads(feed.recv())["type"], "market")

    # Messages

    def test_snapshot_is_first(self):
        snapshot = json.loads(self.feed().recv())
        self.assertEqual(snapshot["type"], "snapshot")
        self.assertIn(self.done, [job["job_id"] for job in snapshot["jobs"]])
        self.assertTrue(snapshot["epoch"])

    def test_auth_message(self):
        feed = self.feed(key=None)
        feed.send(json.dumps({"type": "auth", "api_key": self.market.client_key}))
        found = messages(feed, lambda one: one["type"] != "market")
        self.assertEqual(found[-1]["type"], "snapshot")

    def test_auth_message_with_a_bad_key(self):
        feed = self.feed(key=None)
        feed.send(json.dumps({"type": "auth", "api_key": "ak_bad"}))
        self.assertEqual(messages(feed)[-1]["code"], 4501)

    def test_a_job_from_start_to_end(self):
        feed = self.feed()
        first = json.loads(feed.recv())
        job = self.market.shell("exit 3")
        found = messages(feed, lambda one: one["type"] == "end" and one["job_id"] == job)
        about = self.of(found, job)
        self.assertEqual([one["status"] for one in about], ["pending", "assigned", "running", "failed"])
        numbers = [one["seq"] for one in about]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertGreater(numbers[0], first["seq"])
        self.assertEqual({one["epoch"] for one in about}, {first["epoch"]})
        end = about[-1]
        self.assertEqual((end["type"], end["exit_code"], end["error_detail"]["code"]), ("end", 3, "EXIT_NONZERO"))
        for name in ("state", "attempt_no", "try", "miner_id", "progress", "at"):
            self.assertIn(name, end)

    def test_progress_messages(self):
        feed = self.feed()
        job = self.market.shell('echo "45 half way" >> $AITBC_PROGRESS; sleep 0.4')
        found = messages(feed, lambda one: one["type"] == "end" and one["job_id"] == job)
        progress = [one for one in found if one["type"] == "progress" and one["job_id"] == job]
        self.assertIn((45, "half way"), [(one["progress"], one["message"]) for one in progress])

    def test_other_accounts_see_nothing(self):
        feed = self.feed(key=self.second)
        feed.recv()
        self.market.run("true")
        feed.send('{"type":"ping"}')
        self.assertEqual([one["type"] for one in messages(feed, lambda one: one["type"] == "pong")], ["pong"])

    def test_job_feed_closes_with_1000_after_the_end(self):
        job = self.market.shell("sleep 0.3")
        found = messages(self.feed(f"/v1/jobs/{job}/ws"))
        self.assertEqual([one["type"] for one in found if one["type"] != "progress"][0], "snapshot")
        self.assertEqual([found[-2]["type"], found[-1]["code"]], ["end", 1000])

    def test_feed_of_a_finished_job(self):
        found = messages(self.feed(f"/v1/jobs/{self.done}/ws"))
        self.assertEqual([one["type"] for one in found], ["snapshot", "end", "close"])
        self.assertEqual(found[-1]["code"], 1000)

    def test_logs_after_subscribe(self):
        job = self.market.shell("printf 'one\\ntwo\\n'; echo err >&2; sleep 0.2; echo three")
        feed = self.feed(f"/v1/jobs/{job}/ws")
        feed.send(json.dumps({"type": "subscribe", "job_id": job, "logs": True}))
        found = messages(feed)
        logs = [one for one in found if one["type"] == "log"]
        for stream, text in (("stdout", "one\ntwo\nthree\n"), ("stderr", "err\n")):
            pieces = [one for one in logs if one["stream"] == stream]
            self.assertEqual("".join(one.get("data", "") for one in pieces), text)
            self.assertEqual((pieces[-1]["eof"], pieces[-1]["length"]), (True, len(text)))
        self.assertEqual(found[-1]["code"], 1000)

    def test_logs_from_an_offset(self):
        feed = self.feed(f"/v1/jobs/{self.done}/ws")
        feed.send(json.dumps({"type": "subscribe", "job_id": self.done, "logs": True, "log_offsets": {"stdout": 2}}))
        text = "".join(one.get("data", "") for one in messages(feed) if one["type"] == "log" and one["stream"] == "stdout")
        self.assertEqual(text, "t\n")

    def test_subscribe_to_a_strangers_job(self):
        feed = self.feed(key=self.second)
        feed.recv()
        feed.send(json.dumps({"type": "subscribe", "job_id": self.done, "logs": True}))
        self.assertEqual(json.loads(feed.recv())["code"], "job_not_found")

    def test_nonsense_is_answered_and_changes_nothing(self):
        feed = self.feed()
        feed.recv()
        for text in ("{", "[]", '{"type":"nothing"}', '{"type":"subscribe"}'):
            feed.send(text)
            self.assertEqual(json.loads(feed.recv())["type"], "error")
        feed.send('{"type":"ping"}')
        self.assertEqual(json.loads(feed.recv())["type"], "pong")

    def test_binary_message(self):
        feed = self.feed()
        feed.recv()
        feed.send_binary(b"x")
        self.assertEqual(messages(feed)[-1]["code"], 1003)

    def test_message_over_the_limit(self):
        feed = self.feed()
        feed.recv()
        feed.send(json.dumps({"type": "ping", "x": "y" * 70_000}))
        self.assertEqual(messages(feed)[-1]["code"], 1009)

    # Limits and later requests

    def test_feeds_at_the_limit_and_one_past(self):
        feeds = []
        try:
            while True:
                feeds.append(self.market.feed())
        except websocket.WebSocketBadStatusException as error:
            self.assertEqual(error.status_code, 429)
            body = json.loads(error.resp_body)
            self.assertEqual((body["status"], body["code"]), (429, "too_many_feeds"))
        finally:
            for feed in feeds:
                feed.shutdown()
        # Other tests' feeds may still be counted when it starts.
        self.assertIn(len(feeds), range(80, 101))
        until(lambda: self.opens(), "a feed opens again")

    def opens(self):
        try:
            self.market.feed().shutdown()
            return True
        except websocket.WebSocketBadStatusException:
            return False

    def test_upgrade_behind_ordinary_requests(self):
        """On one connection: two requests, a refused handshake, then the feed."""
        connection = http.client.HTTPConnection("127.0.0.1", self.market.port, timeout=20)
        self.addCleanup(connection.close)
        headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                   "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
        for path, more, status in (("/healthz", {}, 200), ("/v1/jobs/ws", headers | {"X-Api-Key": "ak_bad"}, 401),
                                   ("/v1/jobs", {"X-Api-Key": self.market.client_key}, 200)):
            connection.request("GET", path, headers=more)
            answer = connection.getresponse()
            answer.read()
            self.assertEqual(answer.status, status, path)
        port = connection.sock.getsockname()[1]
        feed = websocket.create_connection(
            f"ws://127.0.0.1:{self.market.port}/v1/jobs/ws", socket=connection.sock, timeout=20, suppress_origin=True,
            header={"X-Api-Key": self.market.client_key})
        self.assertEqual(feed.sock.getsockname()[1], port)
        self.assertEqual(json.loads(feed.recv())["type"], "snapshot")
        job = self.market.submit(payload={"type": "noop"})
        found = messages(feed, lambda one: one["type"] == "end" and one["job_id"] == job)
        self.assertEqual(self.of(found, job)[-1]["status"], "completed")
        feed.close()

    def test_upgrade_pipelined(self):
        """An ordinary request and the handshake in one piece; the answers come in order."""
        with socket.create_connection(("127.0.0.1", self.market.port), timeout=20) as raw:
            key = f"X-Api-Key: {self.market.client_key}\r\nHost: 127.0.0.1:{self.market.port}\r\n"
            raw.sendall((f"GET /v1/jobs?limit=1 HTTP/1.1\r\n{key}\r\nGET /v1/jobs/ws HTTP/1.1\r\n{key}"
                         "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                         "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n").encode() + b"\x89\x80\0\0\0\0")
            got = b""
            while b"snapshot" not in got or b"\x8a\x00" not in got:
                got += raw.recv(65536)
        self.assertTrue(got.startswith(b"HTTP/1.1 200 "))
        self.assertLess(got.index(b"HTTP/1.1 200 "), got.index(b"HTTP/1.1 101 "))

    # Resuming

    def test_resume_has_no_gap_and_no_repetition(self):
        first = json.loads(self.feed().recv())
        jobs = [self.market.submit(payload={"type": "noop"}) for _ in range(5)]
        for job in jobs:
            self.market.finished(job)
        query = f"/v1/jobs/ws?after={first['seq']}&epoch={first['epoch']}"
        feed, found = self.feed(query), []
        while sum(one["type"] == "end" for one in found) < 5:
            found.append(json.loads(feed.recv()))
        self.assertNotIn("snapshot", [one["type"] for one in found])
        numbers = [one["seq"] for one in found if "seq" in one]
        self.assertEqual(numbers, sorted(set(numbers)))
        for job in jobs:
            self.assertEqual([one["status"] for one in self.of(found, job)][-1], "completed")
            self.assertEqual(self.of(found, job)[0]["status"], "pending")
        # From the middle: exactly what is left.
        middle = numbers[len(numbers) // 2]
        again, rest = self.feed(f"/v1/jobs/ws?after={middle}&epoch={first['epoch']}"), []
        while not rest or rest[-1] != numbers[-1]:
            one = json.loads(again.recv())
            if "seq" in one:
                rest.append(one["seq"])
        self.assertEqual(rest, [number for number in numbers if number > middle])

    def test_resume_by_message(self):
        first = json.loads(self.feed().recv())
        job = self.market.run("true")["job_id"]
        feed = self.feed(key=None)
        # Before the key: it is kept until then, and no snapshot can be faster.
        feed.send(json.dumps({"type": "resume", "epoch": first["epoch"], "after": first["seq"]}))
        feed.send(json.dumps({"type": "auth", "api_key": self.market.client_key}))
        found = messages(feed, lambda one: one["type"] == "end" and one["job_id"] == job)
        self.assertNotIn("snapshot", [one["type"] for one in found])
        self.assertEqual(self.of(found, job)[0]["status"], "pending")

    def test_resume_of_another_history(self):
        feed = self.feed("/v1/jobs/ws?after=5&epoch=other")
        self.assertEqual([json.loads(feed.recv())["type"] for _ in range(2)], ["reset", "snapshot"])


class FeedOverRestart(MarketTest):
    def test_stop_tells_clients_to_reconnect_and_resuming_loses_nothing(self):
        feed = self.market.feed()
        first = json.loads(feed.recv())
        job = self.market.run("true")["job_id"]
        messages(feed, lambda one: one["type"] == "end" and one["job_id"] == job)
        self.market.coordinator.terminate()
        close = messages(feed)[-1]
        self.assertEqual(self.market.restart(), 0)
        self.assertEqual(close["code"], 1012)
        self.assertRegex(close["reason"], r"^reconnect_after_ms=\d+$")
        again = self.market.feed(f"/v1/jobs/ws?after={first['seq']}&epoch={first['epoch']}")
        found = messages(again, lambda one: one["type"] == "end")
        self.assertEqual([one["status"] for one in found if one["type"] in ("status", "end")],
                         ["pending", "assigned", "running", "completed"])
        again.shutdown()
        feed.shutdown()


class FeedLimits(MarketTest):
    options = ("--feeds-per-account", "2")
    with_miner = False

    def test_one_too_many_and_again(self):
        first, second = self.market.feed(), self.market.feed()
        try:
            first.recv(), second.recv()
            with self.assertRaises(websocket.WebSocketBadStatusException) as caught:
                self.market.feed().close()
            self.assertEqual(caught.exception.status_code, 429)
            self.assertEqual(json.loads(caught.exception.resp_body)["code"], "too_many_feeds")
            first.close()
            until(self.opens, "a place is free again")
        finally:
            first.shutdown(), second.shutdown()

    def opens(self):
        try:
            self.market.feed().shutdown()
        except websocket.WebSocketBadStatusException:
            return False
        return True
