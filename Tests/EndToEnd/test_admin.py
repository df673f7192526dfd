"""Accounts, plans, keys, miners and the ledger, as the operator handles them."""

import json
import subprocess

import requests

from market import BINARY, Market, MarketTest, messages, until


class AdminTest(MarketTest):
    def admin(self, *words, fails=None, environment=None):
        """`aitbc admin …` in the market's folder, where keys/admin.key lies."""
        done = subprocess.run(
            [BINARY, "admin", *words], cwd=self.market.folder, env=self.market.environment | (environment or {}),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, fails or 0, done.stderr + done.stdout)
        return done

    def call(self, method, path, body=None, key=None):
        return requests.request(
            method, self.market.url + path, json=body, timeout=20,
            headers={"X-Api-Key": key or self.market.admin_key})

    def account(self, name, plan="free", role="client"):
        """A new account's id, and a key of it."""
        made = self.call("POST", "/v1/admin/accounts", {"name": name, "plan": plan})
        self.assertEqual(made.status_code, 201, made.text)
        key = self.call("POST", "/v1/admin/keys", {"account": name, "role": role})
        self.assertEqual(key.status_code, 201, key.text)
        return made.json()["account_id"], key.json()["api_key"], key.json()["key_id"]


class Accounts(AdminTest):
    with_miner = False

    def test_from_nothing_to_a_job_of_another_account(self):
        made = json.loads(self.admin("account", "create", "laboratory", "--plan", "pro", "--json").stdout)
        self.assertEqual((made["name"], made["plan"], made["retention_days"]), ("laboratory", "pro", 30))
        key = self.admin("key", "create", "laboratory", "--role", "client", "--name", "laptop").stdout.strip()
        self.assertRegex(key, r"^ak_\S{40,}$")
        job = self.market.client("submit", "-o", "id", "--", "true", key=key).stdout.strip()
        self.assertEqual(self.call("GET", f"/v1/jobs/{job}", key=key).status_code, 200)
        self.assertProblem(self.market.get(f"/v1/jobs/{job}"), 404)
        shown = json.loads(self.admin("account", "show", "laboratory", "--json").stdout)
        self.assertEqual(shown["account_id"], made["account_id"])
        self.assertEqual(shown["quota"]["pending_jobs"], 1)
        self.assertEqual(shown["spend"]["total"], "0.000000")
        self.assertIn("laboratory", self.admin("account", "list").stdout)
        changed = json.loads(self.admin("account", "set-plan", "laboratory", "enterprise", "--json").stdout)
        self.assertEqual(changed["plan"], "enterprise")
        own = self.call("GET", "/v1/account", key=key).json()
        self.assertEqual((own["plan"], own["retention_days"]), ("enterprise", 90))
        self.assertEqual(own["quota"]["active_jobs_limit"], 10_000_000)

    def test_a_key_is_shown_once(self):
        _, key, key_id = self.account("once")
        listed = self.admin("key", "list", "--account", "once").stdout
        self.assertIn(key_id, listed)
        for text in (listed, self.call("GET", "/v1/admin/keys").text, self.admin("account", "show", "once").stdout,
                     (self.market.folder / "coordinator.err").read_text()):
            self.assertNotIn(key, text)

    def test_a_revoked_key_stops_at_once_and_for_good(self):
        _, key, key_id = self.account("gone")
        feeds = [self.market.feed(key=key), self.market.feed(key=False)]
        feeds[1].send(json.dumps({"type": "auth", "api_key": key}))
        for feed in feeds:
            messages(feed, lambda one: one["type"] == "snapshot")
        self.admin("key", "revoke", key_id)
        for feed in feeds:
            end = messages(feed)[-1]
            self.assertEqual((end["type"], end["code"]), ("close", 4501))
        self.assertProblem(self.call("GET", "/v1/account", key=key), 401)
        again = json.loads(self.admin("key", "revoke", key_id, "--json").stdout)
        self.assertIsNotNone(again["revoked_at"])
        self.market.restart()
        self.assertProblem(self.call("GET", "/v1/account", key=key), 401)

    def test_the_last_admin_key_stays(self):
        keys = [one["key_id"] for one in self.call("GET", "/v1/admin/keys").json()["keys"]
                if one["role"] == "admin" and not one["revoked_at"]]
        self.assertEqual(len(keys), 1)
        self.assertProblem(self.call("DELETE", f"/v1/admin/keys/{keys[0]}"), 409, code="last_admin_key")
        self.admin("key", "revoke", keys[0], fails=5)

    def test_refusals(self):
        self.account("taken")
        for body, fields in (
            ({"name": "taken"}, ["/name"]), ({}, ["/name"]), ({"name": "a b"}, ["/name"]),
            ({"name": "x", "plan": "basic"}, ["/plan"]), ({"name": "x", "colour": 1}, ["/colour"]),
        ):
            with self.subTest(body):
                answer = self.call("POST", "/v1/admin/accounts", body)
                self.assertProblem(answer, 409 if body == {"name": "taken"} else 422, *fields)
        for body, fields in (
            ({"account": "nobody", "role": "client"}, ["/account"]), ({"account": "taken", "role": "god"}, ["/role"]),
            ({"account": "taken"}, ["/role"]),
        ):
            with self.subTest(body):
                self.assertProblem(self.call("POST", "/v1/admin/keys", body), 422, *fields)
        for method, path in (("GET", "/v1/admin/accounts/nobody"), ("DELETE", "/v1/admin/keys/key_0"),
                             ("PATCH", "/v1/admin/accounts/nobody"), ("DELETE", "/v1/admin/miners/x"),
                             ("POST", "/v1/admin/miners/miner_00000000000000000000000000/drain")):
            with self.subTest(path):
                self.assertProblem(self.call(method, path, {"plan": "pro"} if method == "PATCH" else None), 404)
        for path in ("accounts", "keys", "miners", "plans", "stats", "ledger"):
            for key, status in ((self.market.client_key, 403), (self.market.miner_key, 403), ("ak_wrong", 401)):
                with self.subTest(path, key=status):
                    self.assertProblem(self.call("GET", f"/v1/admin/{path}", key=key), status)
        self.admin("account", "create", "taken", fails=5)
        self.admin("account", "create", "x", "--plan", "basic", fails=2)
        self.admin("account", "show", "nobody", fails=3)
        self.admin("account", "list", fails=6, environment={"AITBC_ADMIN_KEY": self.market.client_key})
        self.admin("account", "list", "--limit", "501", fails=2)

    def test_pages(self):
        for number in range(3):
            self.account(f"page{number}")
        every = [one["account_id"] for one in self.call("GET", "/v1/admin/accounts?limit=500").json()["accounts"]]
        found, cursor = [], ""
        while True:
            page = self.call("GET", f"/v1/admin/accounts?limit=2{cursor}").json()
            found += [one["account_id"] for one in page["accounts"]]
            if not page["has_more"]:
                break
            cursor = "&cursor=" + page["next_cursor"]
        self.assertEqual(found, every)
        self.assertProblem(self.call("GET", "/v1/admin/accounts?limit=501"), 422, "limit")


class Rate(AdminTest):
    with_miner = False
    options = ("--rate-limit", "5")

    def test_one_key_is_limited_and_others_are_not(self):
        answers = [self.market.get("/v1/keys") for _ in range(40)]
        refused = [one for one in answers if one.status_code == 429]
        self.assertGreater(len(refused), 5)
        self.assertProblem(refused[0], 429, code="rate_limited")
        self.assertGreaterEqual(int(refused[0].headers["Retry-After"]), 1)
        self.assertEqual(self.call("GET", "/v1/admin/plans").status_code, 200)
        self.assertEqual(self.market.get("/readyz").status_code, 200)
        # A client that is patient gets through.
        self.assertEqual(self.market.client("list").returncode, 0)


class Fleet(AdminTest):
    options = ("--lease", "5s")
    miner_options = ("--slots", "2")

    def miner_id(self, name="miner"):
        return next(one["miner_id"] for one in self.market.get("/v1/miners").json()["miners"] if one["name"] == name)

    def test_drain_and_undrain(self):
        miner, (job, ) = self.miner_id(), [self.market.shell("echo on; sleep 60")]
        self.market.until(job, "running")
        self.assertIn("draining", self.admin("miner", "drain", miner).stdout)
        waiting = self.market.submit("true")
        until(lambda: "the coordinator drains this miner" in (self.market.folder / "miner.log").read_text(), "told")
        # What runs goes on; what waits, waits: also over a restart.
        self.market.restart()
        until(lambda: self.market.fleet().get("miner") == "draining", "back and draining", 20)
        self.assertEqual((self.market.job(job)["status"], self.market.job(waiting)["status"]), ("running", "pending"))
        self.market.post(f"/v1/jobs/{job}/cancel", {"grace_seconds": 0})
        self.market.until(job, "canceled")
        self.assertEqual(self.market.job(waiting)["status"], "pending")
        self.admin("miner", "undrain", miner)
        self.market.until(waiting, "completed")

    def test_remove(self):
        process = self.market.miner("leaver", "--label", "at=leaver")
        miner = self.miner_id("leaver")
        job = self.market.shell("sleep 60", constraints={"labels": {"at": "leaver"}})
        self.market.until(job, "running")
        self.assertProblem(self.call("DELETE", f"/v1/admin/miners/{miner}"), 409, code="miner_holds_jobs")
        self.admin("miner", "remove", miner, fails=5)
        self.assertEqual(self.market.job(job)["status"], "running")
        self.admin("miner", "remove", miner, "--force")
        process.wait(20)
        self.assertIn("4511", (self.market.folder / "leaver.log").read_text())
        self.assertEqual(self.market.until(job, "pending")["tries_used"], 1)
        self.assertNotIn("leaver", self.market.fleet())
        # Started again it is a new one.
        self.market.miner("leaver", "--label", "at=leaver")
        self.assertNotEqual(self.miner_id("leaver"), miner)
        self.market.until(job, "running")
        self.market.post(f"/v1/jobs/{job}/cancel", {"grace_seconds": 0})
        self.market.until(job, "canceled")

    def test_a_revoked_key_ends_its_miner(self):
        _, key, key_id = self.account("pool", role="miner")
        (self.market.folder / "pool.key").write_text(key)
        process = self.market.miner("pool", "--api-key-file", "pool.key")
        self.admin("key", "revoke", key_id)
        self.assertNotEqual(process.wait(20), 0)
        self.assertIn("4501", (self.market.folder / "pool.log").read_text())


class Money(AdminTest):
    options = ("--fee", "10")
    miner_options = ("--price", "3600", "--slots", "2")

    def test_from_the_charge_to_the_receipt(self):
        job = self.market.run("sleep 0.5")
        cost = self.market.job(job["job_id"])["cost"]
        micros = round(float(cost) * 1e6)
        self.assertGreater(micros, 400_000)
        answer = self.market.get(f"/v1/jobs/{job['job_id']}/receipt")
        receipt = answer.json()
        self.assertEqual((receipt["price"], receipt["job_id"], receipt["status"]), (cost, job["job_id"], "completed"))
        self.assertEqual(receipt["fee"], f"{micros // 10 / 1e6:.6f}")
        self.assertEqual(self.market.get(f"/v1/jobs/{job['job_id']}/receipts").json(), {"items": [receipt]})
        self.assertEqual(self.market.get(f"/v1/jobs/{job['job_id']}/result").json()["receipt"], receipt)
        self.check_signature(receipt)
        account = self.market.get("/v1/account").json()
        self.assertEqual(account["spend"]["total"], cost)
        miner = self.call("GET", "/v1/account", key=self.market.miner_key).json()["earnings"][0]
        self.assertEqual(round(float(miner["earned"]) * 1e6), micros - micros // 10)
        path = f"/v1/miners/{miner['miner_id']}/earnings"
        self.assertEqual(self.call("GET", path, key=self.market.miner_key).json(), miner)
        self.assertProblem(self.market.get(path), 403)
        _, other, _ = self.account("stranger", role="miner")
        self.assertProblem(self.call("GET", path, key=other), 404)
        report = json.loads(self.admin("ledger", "check", "--json").stdout)
        self.assertEqual((report["balanced"], report["charged"], report["lines"]), (True, cost, 3))
        figures = json.loads(self.admin("stats", "--json").stdout)
        self.assertEqual((figures["jobs"]["completed"], figures["miners"]["online"]), (1, 1))
        self.failures()

    def check_signature(self, receipt):
        """With openssl, over the sorted form that any JSON library writes."""
        import base64

        signature = receipt["signature"]
        keys = [key["public_key"] for key in self.market.get("/v1/keys").json()["keys"]]
        self.assertIn(signature["key_id"], keys)

        def decode(text):
            return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

        message = json.dumps({k: v for k, v in receipt.items() if k != "signature"}, sort_keys=True, separators=(",", ":"))
        folder = self.market.folder
        (folder / "message").write_bytes(message.encode())
        (folder / "signature").write_bytes(decode(signature["sig"]))
        (folder / "key.der").write_bytes(bytes.fromhex("302a300506032b6570032100") + decode(signature["key_id"]))
        done = subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.der", "-keyform", "DER", "-rawin", "-in", "message",
             "-sigfile", "signature"], cwd=folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def failures(self):
        """Failing costs nothing and has no receipt; neither has what waits or never was."""
        failed = self.market.run("sleep 0.2; exit 3")
        self.assertEqual((failed["status"], failed["cost"]), ("failed", "0.000000"))
        waiting = self.market.submit("true", constraints={"gpu": "none"})
        for job in (failed["job_id"], waiting, "job_00000000000000000000000000", "nonsense"):
            with self.subTest(job):
                self.assertProblem(self.market.get(f"/v1/jobs/{job}/receipt"), 404)
        self.assertEqual(self.market.get(f"/v1/jobs/{failed['job_id']}/receipts").json(), {"items": []})
        self.market.post(f"/v1/jobs/{waiting}/cancel")
