"""The protocol below the routes: methods, HEAD, refusals before the body was read, what is no HTTP."""

import hashlib
import json
import socket
import subprocess
import time

import requests

from market import MarketTest, marker


class HTTP(MarketTest):
    @classmethod
    def prepare(cls):
        super().prepare()
        cls.done = cls.market.run("echo out; echo model > $AITBC_OUTPUT_DIR/model")["job_id"]

    def routes(self):
        """Every address, with the methods that it knows."""
        job = f"/v1/jobs/{self.done}"
        reads = [
            "/v1/jobs/history", f"{job}/tries", f"{job}/result", f"{job}/logs", f"{job}/artifacts", f"{job}/download",
            f"{job}/artifacts/model", f"{job}/checksum", f"{job}/manifest", "/v1/miners", "/v1/account", "/v1/keys",
            "/healthz", "/readyz", "/v1/health"]
        return {path: "GET, HEAD" for path in reads} | {
            "/v1/jobs": "GET, HEAD, POST", "/v1/jobs:batch": "POST", f"{job}/cancel": "POST", "/": "GET, HEAD",
            "/v1/jobs/ws": "GET, HEAD", f"{job}/ws": "GET, HEAD", "/v1/miners/ws": "GET, HEAD",
            "/v1/blobs/" + "0" * 64: "GET, HEAD, PUT", "/v1/leases/x/artifacts/a/b": "HEAD, PUT"}

    def request(self, method, path, **options):
        return self.market.session.request(method, self.market.url + path, timeout=20, **options)

    def test_a_wrong_method_is_told_with_the_right_ones(self):
        for path, allow in self.routes().items():
            for method in ("GET", "POST", "PUT", "PATCH", "OPTIONS", "TRACE"):
                if method in allow:
                    continue
                with self.subTest(f"{method} {path}"):
                    answer = self.request(method, path)
                    body = self.assertProblem(answer, 405, code="method_not_allowed")
                    for word in allow.split(", "):
                        self.assertIn(word, answer.headers["Allow"].split(", "))
                    self.assertNotIn(method, answer.headers["Allow"].split(", "))
                    self.assertIn(method, body["detail"])

    def test_a_job_can_be_deleted_and_not_posted_to(self):
        answer = self.request("POST", f"/v1/jobs/{self.done}", json={})
        self.assertProblem(answer, 405)
        self.assertLessEqual({"DELETE", "GET", "HEAD"}, set(answer.headers["Allow"].split(", ")))

    def test_wrong_addresses_are_404_for_any_method(self):
        for method in ("GET", "POST", "PUT", "DELETE", "HEAD"):
            for path in ("/v1/nothing", "/v1", "/v2/jobs", f"/v1/jobs/{self.done}/nothing", "/v1/jobs/x/y/z"):
                with self.subTest(f"{method} {path}"):
                    self.assertEqual(self.request(method, path).status_code, 404)

    def test_websocket_addresses_ask_for_an_upgrade(self):
        for path in ("/v1/jobs/ws", f"/v1/jobs/{self.done}/ws"):
            with self.subTest(path):
                self.assertProblem(self.request("GET", path), 426)
                self.assertEqual(self.request("HEAD", path).status_code, 426)
        miner = {"X-Api-Key": self.market.miner_key}
        self.assertProblem(self.request("GET", "/v1/miners/ws", headers=miner), 426)

    def test_head_tells_what_get_would(self):
        for path, allow in self.routes().items():
            if "GET" not in allow or path.endswith("/ws") or path.startswith("/v1/blobs/"):
                continue
            with self.subTest(path):
                get, head = self.request("GET", path), self.request("HEAD", path)
                self.assertEqual((head.status_code, head.content), (get.status_code, b""))
                for name in ("Content-Type", "Content-Length", "ETag", "X-Log-Length"):
                    # The account's and the fleet's answers hold times of their own.
                    self.assertEqual(head.headers.get(name), get.headers.get(name), name)

    def test_head_of_a_followed_log_does_not_wait(self):
        job = self.market.shell("echo up; sleep 600")
        self.market.until_log(job, "up")
        began = time.monotonic()
        self.assertEqual(self.request("HEAD", f"/v1/jobs/{job}/logs?follow=1").status_code, 200)
        self.assertLess(time.monotonic() - began, 5)
        self.market.post(f"/v1/jobs/{job}/cancel", {"grace_seconds": 0})
        self.market.finished(job)

    def expecting(self, head, body=b""):
        """Sends a head with `Expect: 100-continue`; the body only when it is asked for. Returns all that came."""
        with socket.create_connection(("127.0.0.1", self.market.port), timeout=20) as connection:
            lines = [f"{head} HTTP/1.1", "Host: localhost", "Expect: 100-continue", "Connection: close",
                     f"Content-Length: {len(body)}", f"X-Api-Key: {self.market.client_key}"]
            connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
            came = connection.recv(65536)
            if came.startswith(b"HTTP/1.1 100 "):
                connection.sendall(body)
                while came.count(b"\r\n\r\n") < 2:
                    more = connection.recv(65536)
                    self.assertTrue(more, came)
                    came += more
        return came.decode()

    def test_a_body_is_asked_for_when_it_is_wanted(self):
        data = marker().encode()
        digest = hashlib.sha256(data).hexdigest()
        for head, body, status in ((f"PUT /v1/blobs/{digest}", data, 201), ("POST /v1/jobs", b'{"command":["true"]}', 201)):
            with self.subTest(head):
                answer = self.expecting(head, body)
                self.assertTrue(answer.startswith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 " + str(status)), answer[:200])
        # What is refused, or here already, needs no body.
        for head, status in ((f"PUT /v1/blobs/{digest}", 200), ("PUT /v1/blobs/x", 422), ("POST /v1/nothing", 404),
                             (f"POST /v1/jobs/{self.done}", 405)):
            with self.subTest(head):
                self.assertTrue(self.expecting(head, b"x" * 100).startswith(f"HTTP/1.1 {status} "), head)

    def test_curl_gets_leave_to_send(self):
        data = marker().encode() * 100_000
        (self.market.folder / "input").write_bytes(data)
        done = subprocess.run(
            ["curl", "-sSv", "-H", f"X-Api-Key: {self.market.client_key}", "-T", "input",
             f"{self.market.url}/v1/blobs/{hashlib.sha256(data).hexdigest()}"],
            cwd=self.market.folder, capture_output=True, text=True, timeout=30)
        said = [line for line in done.stderr.splitlines() if line.startswith(("> Expect:", "< HTTP/"))]
        # Some versions of curl do not ask for a body of this size.
        self.assertEqual(said[-1].split()[:3], ["<", "HTTP/1.1", "201"], done.stderr)
        self.assertEqual("> Expect: 100-continue" in said, "< HTTP/1.1 100 Continue" in [line.strip() for line in said])

    def test_range_past_the_end(self):
        for path in ("download", "artifacts/model"):
            with self.subTest(path):
                size = len(self.request("GET", f"/v1/jobs/{self.done}/{path}").content)
                answer = self.request("GET", f"/v1/jobs/{self.done}/{path}", headers={"Range": f"bytes={size}-"})
                self.assertProblem(answer, 416, code="range_not_satisfiable")
                self.assertEqual(answer.headers["Content-Range"], f"bytes */{size}")

    def test_an_upload_at_the_wrong_place_is_told_in_words(self):
        answer = self.request("PUT", "/v1/blobs/" + "1" * 64, data=b"x", headers={"Content-Range": "bytes 5-5/10"})
        self.assertProblem(answer, 409, code="wrong_offset")
        self.assertEqual(answer.headers["Upload-Offset"], "0")

    def test_dry_run_checks_what_a_submission_checks(self):
        bodies = [
            ({"command": ["true"], "inputs": [{"path": "../x", "sha256": "0" * 64}]}, "/inputs/0/path"),
            ({"command": ["true"], "inputs": [{"path": "x", "sha256": "0" * 64}]}, "/inputs/0/sha256"),
            ({"command": ["true"], "artifacts": ["ok", "a/../b"]}, "/artifacts/1"),
            ({"command": ["true"], "colour": "red"}, "/colour")]
        for body, field in bodies:
            with self.subTest(field):
                submitted, dry = self.market.post("/v1/jobs", body), self.market.post("/v1/jobs?dry_run=1", body)
                self.assertProblem(dry, 422, field)
                self.assertEqual(dry.json()["errors"], submitted.json()["errors"])
        digest = self.market.blob(b"here")
        answer = self.market.post("/v1/jobs?dry_run=1", {"command": ["true"], "inputs": [{"path": "x", "sha256": digest}]})
        self.assertEqual(answer.status_code, 200, answer.text)

    # Bodies that were not read

    def oversized(self, *headers):
        """A POST of 5 MB through curl, which stops sending when it has the answer, or sends all of it."""
        body = self.market.folder / marker()
        body.write_bytes(b" " * 5_000_000)
        return subprocess.run(
            ["curl", "-sS", "-m", "20", "-w", "\n%{http_code}", "-H", f"X-Api-Key: {self.market.client_key}",
             "-H", "Expect:", *headers, "--data-binary", f"@{body}", self.market.url + "/v1/jobs"],
            capture_output=True, text=True, timeout=30)

    def test_an_oversized_body_is_told_by_curl(self):
        for headers in ((), ("-H", "Connection: close"), ("-H", "Transfer-Encoding: chunked"),
                        ("-H", "Transfer-Encoding: chunked", "-H", "Connection: close"), ("--http1.0",)):
            with self.subTest(" ".join(headers)):
                began = time.monotonic()
                done = self.oversized(*headers)
                self.assertEqual(done.stdout[-3:], "413", done.stderr + done.stdout[-300:])
                self.assertIn('"code":"body_too_large"', done.stdout.replace(": ", ":"))
                self.assertLess(time.monotonic() - began, 10)

    def test_an_oversized_body_is_told_by_requests(self):
        for headers in ({}, {"Connection": "close"}):
            with self.subTest(str(headers)):
                answer = self.market.session.post(
                    self.market.url + "/v1/jobs", data=b" " * 5_000_000, headers=headers, timeout=20)
                self.assertProblem(answer, 413, code="body_too_large")
        # The connection serves on.
        self.assertEqual(self.request("GET", "/healthz").status_code, 200)

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.market.port), timeout=20)
        self.addCleanup(connection.close)
        return connection

    def read_all(self, connection):
        found = b""
        try:
            while part := connection.recv(65_536):
                found += part
        except ConnectionResetError:
            pass
        return found

    def problem(self, raw, status):
        head, _, body = raw.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(f"HTTP/1.1 {status} ".encode()), head)
        self.assertIn(b"application/problem+json", head.lower())
        self.assertEqual(json.loads(body)["status"], status)

    def test_the_connection_is_closed_when_all_was_sent(self):
        connection = self.connect()
        connection.sendall(f"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {self.market.client_key}\r\n"
                           f"Connection: close\r\nContent-Length: 4000000\r\n\r\n".encode())
        for _ in range(4):
            connection.sendall(b" " * 1_000_000)
        began = time.monotonic()
        self.problem(self.read_all(connection), 413)
        self.assertLess(time.monotonic() - began, 5)

    def test_a_body_without_end_is_cut(self):
        connection = self.connect()
        connection.sendall(f"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {self.market.client_key}\r\n"
                           "Content-Length: 1000000000000\r\n\r\n".encode())
        sent = 0
        with self.assertRaises(OSError):
            while sent < 1 << 30:
                connection.sendall(bytes(1 << 20))
                sent += 1 << 20
        self.assertLess(sent, 200 << 20)

    def test_a_body_that_never_comes_is_not_waited_for(self):
        connection = self.connect()
        connection.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n")
        began = time.monotonic()
        self.problem(self.read_all(connection), 401)
        self.assertLess(time.monotonic() - began, 15)

    # What is no HTTP

    def test_malformed_requests_are_told_in_words(self):
        long = b"a" * 100_000
        cases = {
            b"BLURB\r\n\r\n": 400, b"GET / HTTP/1.1\r\nHost: localhost\r\nbad header\r\n\r\n": 400,
            b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n": 400,
            b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + long + b"\r\n\r\n": 431}
        for raw, status in cases.items():
            for is_first in (True, False):
                with self.subTest(f"{raw[:50]} {is_first}"):
                    connection = self.connect()
                    if not is_first:
                        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                        self.assertIn(b"200 OK", connection.recv(65_536))
                    connection.sendall(raw)
                    self.problem(self.read_all(connection), status)

    def test_a_target_at_the_limit_and_past_it(self):
        query = "/v1/jobs?q="
        for length, status in ((8_192, 200), (8_193, 414)):
            with self.subTest(length):
                answer = self.request("GET", query + "x" * (length - len(query)))
                self.assertEqual(answer.status_code, status)
        self.assertProblem(answer, 414)

    def test_a_broken_body_changes_nothing(self):
        job = self.market.submit("true", constraints={"region": "nowhere"})
        connection = self.connect()
        connection.sendall(f"POST /v1/jobs/{job}/cancel HTTP/1.1\r\nHost: localhost\r\n"
                           f"X-Api-Key: {self.market.client_key}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".encode())
        self.problem(self.read_all(connection), 400)
        self.assertEqual(self.market.job(job)["status"], "pending")
        self.market.post(f"/v1/jobs/{job}/cancel")
