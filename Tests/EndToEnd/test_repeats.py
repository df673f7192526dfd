"""Requests that are sent again: by hand under one key, and by the client when answers are lost."""

import socket
import subprocess
import uuid

import requests

from listener import listen
from market import BINARY, MarketTest


class Lossy:
    """Stands before a coordinator and loses the first answers to each request: they reached it, their answers did not
    come back."""

    def __init__(self, port, losses=2):
        self.target, self.losses, self.requests = port, losses, []
        self.server = listen(self.handle)
        self.port = self.server.getsockname()[1]

    def handle(self, connection):
        with connection:
            data = b""
            while b"\r\n\r\n" not in data:
                more = connection.recv(65536)
                if not more:
                    return
                data += more
            head, _, body = data.partition(b"\r\n\r\n")
            lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
            length = sum(int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length:"))
            while len(body) < length:
                body += connection.recv(65536)
            name = lines[0]
            self.requests.append(name)
            answer = b""
            with socket.create_connection(("127.0.0.1", self.target), timeout=20) as through:
                through.sendall(b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body)
                while more := through.recv(65536):
                    answer += more
            if self.requests.count(name) > self.losses:
                connection.sendall(answer)

    def close(self):
        self.server.close()


class Repeats(MarketTest):
    def twice(self, method, path, status, body=None, key=None, other=True):
        """Sends a request twice under one key; the second answer is the first. Returns it."""
        headers = {"Idempotency-Key": uuid.uuid4().hex, "X-Api-Key": key or self.market.client_key}
        first, second = (requests.request(method, self.market.url + path, json=body, headers=headers, timeout=30)
                         for _ in range(2))
        self.assertEqual((first.status_code, second.status_code), (status, status), first.text + second.text)
        self.assertEqual(first.text, second.text)
        self.assertNotIn("Idempotent-Replay", first.headers)
        self.assertEqual(second.headers.get("Idempotent-Replay"), "true")
        if other:
            changed = requests.request(method, self.market.url + path, json={"reason": "another"}, headers=headers, timeout=30)
            self.assertIn(changed.status_code, (422,), changed.text)
        return first

    def waiting(self):
        return self.market.submit("true", constraints={"gpu": "none"})

    def test_changes_of_a_job(self):
        job, other = self.waiting(), self.waiting()
        self.twice("PATCH", f"/v1/jobs/{job}", 200, {"priority": "high"})
        self.twice("PATCH", f"/v1/jobs/{other}", 200, {"priority": "high"})
        self.twice("POST", "/v1/queue/move", 200, {"job_id": other, "before": job})
        answer = self.twice("POST", f"/v1/jobs/{job}/cancel", 202, {"reason": "repeated"})
        self.assertEqual(answer.json()["cancel"]["reason"], "repeated")
        self.twice("DELETE", f"/v1/jobs/{other}", 202, other=False)
        running = self.market.shell("sleep 600")
        self.market.until(running, "running")
        self.twice("POST", f"/v1/jobs/{running}/cancel", 202, {"grace_seconds": 0})
        self.assertEqual(self.market.finished(running)["status"], "canceled")

    def test_changes_of_many(self):
        job = self.waiting()
        answer = self.twice("POST", "/v1/jobs:cancel", 200, {"ids": [job]})
        self.assertEqual(answer.json()["canceled"], 1)
        self.market.run("true", run_key="purged")
        answer = self.twice("POST", "/v1/jobs:purge", 200, {"run_key": "purged"})
        self.assertEqual(answer.json()["deleted"], 1)

    def test_a_share_is_made_once_and_its_token_is_kept_nowhere(self):
        job = self.market.run("true")["job_id"]
        share = self.twice("POST", f"/v1/jobs/{job}/share", 201, {"expires": "1h"}).json()
        self.assertEqual(len(self.market.get(f"/v1/jobs/{job}/shares").json()["shares"]), 1)
        self.assertEqual(requests.get(share["url"], timeout=20).status_code, 200)
        for file in (self.market.folder / "data").glob("market.db*"):
            self.assertNotIn(share["token"].encode(), file.read_bytes(), file.name)
        # Another key, another link; without a key, another each time.
        tokens = {self.market.post(f"/v1/jobs/{job}/share").json()["token"] for _ in range(2)}
        self.assertEqual(len(tokens | {share["token"]}), 3)
        self.twice("DELETE", f"/v1/jobs/{job}/shares/{share['share_id']}", 204, other=False)

    def test_what_the_operator_does(self):
        key = self.market.admin_key
        self.twice("POST", "/v1/admin/accounts", 201, {"name": "repeated"}, key=key)
        miner = requests.post(self.market.url + "/v1/miners/register", headers={"X-Api-Key": self.market.miner_key},
                              timeout=20).json()["miner_id"]
        self.twice("DELETE", f"/v1/admin/miners/{miner}", 200, key=key, other=False)

    def test_the_client_repeats_what_was_lost_on_the_way_back(self):
        lossy = Lossy(self.market.port)
        try:
            def client(*words):
                done = subprocess.run(
                    [BINARY, "client", *words], cwd=self.market.folder, capture_output=True, text=True, timeout=60,
                    env=self.market.environment | {"AITBC_URL": f"http://127.0.0.1:{lossy.port}"})
                self.assertEqual(done.returncode, 0, f"{words}: {done.stdout}{done.stderr}")
                return done.stdout.split()[0]

            before = self.market.get("/v1/jobs").json()["total"]
            job = client("submit", "--", "sleep", "600")
            self.assertEqual(self.market.get("/v1/jobs").json()["total"], before + 1)
            self.market.jobs.append(job)
            self.market.until(job, "running")
            client("cancel", job, "--force", "--grace", "1s")
            self.assertEqual(self.market.finished(job)["status"], "canceled")
            client("share", job)
            shares = self.market.get(f"/v1/jobs/{job}/shares").json()["shares"]
            self.assertEqual(len(shares), 1)
            client("unshare", job, shares[0]["share_id"])
            client("delete", job, "--force")
            self.assertEqual(len(lossy.requests), 5 * 3)
        finally:
            lossy.close()
