"""Killed coordinators and miners: nothing that was answered is lost, nothing runs twice."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from datetime import datetime, timedelta, timezone

import requests

from market import BINARY, Market, MarketTest, marker, messages, processes, until


class CoordinatorKilled(MarketTest):
    miner_options = ("--slots", "3", "--sandbox", "none")
    slowness = 9

    def test_running_job_finishes_once(self):
        counter = self.market.folder / "counter"
        job = self.market.shell(f"echo run >> {counter}; echo up; while [ ! -e {counter}.go ]; do sleep 0.05; done; echo end")
        self.market.until_log(job, "up")
        self.market.restart(signal.SIGKILL)
        counter.with_suffix(".go").touch()
        ended = self.market.finished(job, 40)
        self.assertEqual((ended["status"], ended["try"]), ("completed", 1))
        self.assertEqual(counter.read_text(), "run\n")
        self.assertEqual(self.market.get(f"/v1/jobs/{job}/logs").text, "up\nend\n")

    def test_job_that_ends_while_it_is_away(self):
        done, go = self.market.folder / "away.done", self.market.folder / "away.go"
        job = self.market.shell(f"echo up; while [ ! -e {go} ]; do sleep 0.05; done; seq 1 1000; "
                                f"echo x > $AITBC_OUTPUT_DIR/x; touch {done}")
        self.market.until_log(job, "up")
        until(lambda: self.market.job(job)["status"] == "running", "its start is durable")
        self.market.end(self.market.coordinator, signal.SIGKILL)
        go.touch()
        until(lambda: done.exists() and not processes("AITBC_JOB_ID=" + job), "the program has ended")
        over = datetime.now(timezone.utc)
        self.market.start()
        ended = self.market.finished(job, 40)
        # Dated when it ended, not when it was delivered.
        self.assertGreater(ended["completed_at"], ended["started_at"])
        self.assertLessEqual(datetime.fromisoformat(ended["completed_at"]), over + timedelta(milliseconds=100))
        self.assertEqual((ended["status"], ended["try"]), ("completed", 1))
        self.assertEqual(self.market.get(f"/v1/jobs/{job}/logs").text, "up\n" + "".join(f"{n}\n" for n in range(1, 1001)))
        self.assertEqual(self.market.get(f"/v1/jobs/{job}/artifacts/x").text, "x\n")

    def test_every_accepted_job_is_there(self):
        """Killed under load, three times."""
        accepted, headers = [], {"X-Api-Key": self.market.client_key}
        for _ in range(3):
            stop = threading.Event()

            def load():
                session = requests.Session()
                while not stop.is_set():
                    try:
                        answer = session.post(
                            self.market.url + "/v1/jobs", headers=headers, timeout=10,
                            json={"payload": {"type": "noop"}, "constraints": {"region": "nowhere"}})
                        if answer.status_code == 201:
                            accepted.append(answer.json()["job_id"])
                    except OSError:
                        return

            threads = [threading.Thread(target=load) for _ in range(4)]
            for thread in threads:
                thread.start()
            before = len(accepted)
            until(lambda: len(accepted) > before + 20, "some are accepted")
            self.market.coordinator.kill()
            stop.set()
            for thread in threads:
                thread.join()
            self.market.coordinator.wait()
            self.market.start()
        missing = [job for job in accepted if self.market.get(f"/v1/jobs/{job}").status_code != 200]
        self.assertEqual(missing, [])

    def test_cancel_just_before_the_kill_is_kept(self):
        word = marker()
        job = self.market.shell("echo up; exec sleep 600", env={"MARK": word})
        self.market.until_log(job, "up")
        self.assertEqual(self.market.post(f"/v1/jobs/{job}/cancel").status_code, 202)
        self.market.restart(signal.SIGKILL)
        self.assertEqual(self.market.finished(job, 40)["status"], "canceled")
        until(lambda: not processes(word), "its processes are gone", 10)

    def test_stopped_with_a_running_job(self):
        go = self.market.folder / "stop.go"
        job = self.market.shell(f"echo up; while [ ! -e {go} ]; do sleep 0.05; done")
        self.market.until_log(job, "up")
        self.assertEqual(self.market.restart(), 0)
        go.touch()
        ended = self.market.finished(job, 40)
        self.assertEqual((ended["status"], ended["try"]), ("completed", 1))

    def test_a_stop_does_not_wait_for_who_does_not_read(self):
        market = Market("--stop-timeout", "2s")
        self.addCleanup(market.stop)
        market.miner("miner")
        job = market.run("head -c 20000000 /dev/urandom > $AITBC_OUTPUT_DIR/big")["job_id"]
        feed = market.feed()
        self.assertEqual(json.loads(feed.recv())["type"], "snapshot")
        with socket.create_connection(("127.0.0.1", market.port), timeout=20) as connection:
            connection.sendall(f"GET /v1/jobs/{job}/download HTTP/1.1\r\nHost: localhost\r\n"
                               f"X-Api-Key: {market.client_key}\r\n\r\n".encode())
            self.assertIn(b" 200 ", connection.recv(64))
            market.coordinator.terminate()
            # Feeds are told at once, whatever the others do.
            code, data = feed.recv_data()
            self.assertEqual((code, int.from_bytes(data[:2], "big")), (8, 1012))
            self.assertIsNone(market.coordinator.poll())
            self.assertEqual(market.coordinator.wait(20), 0)

    def test_a_client_that_waits_rides_over_it(self):
        go = self.market.folder / "ride.go"
        job = self.market.shell(f"echo up; while [ ! -e {go} ]; do sleep 0.05; done")
        self.market.until_log(job, "up")
        found = []
        watch = threading.Thread(target=lambda: found.append(self.market.client("watch", job)))
        watch.start()
        self.market.restart(signal.SIGKILL)
        go.touch()
        watch.join()
        self.assertEqual(found[0].returncode, 0, found[0].stderr)


class MinerKilled(MarketTest):
    options = ("--lease", "3s")
    with_miner = False
    slowness = 10

    def test_runs_elsewhere_within_lease_and_two_seconds(self):
        first = self.market.miner("first", "--sandbox", "none")
        word = marker()
        job = self.market.shell('echo "try $AITBC_TRY"; [ $AITBC_TRY = 2 ] || sleep 600; true', env={"MARK": word})
        self.market.until_log(job, "try 1")
        self.market.miner("second", "--sandbox", "none")
        first.kill()
        first.wait()
        killed = time.monotonic()
        until(lambda: (found := self.market.job(job))["try"] == 2 and found["status"] in ("running", "completed"),
              "it runs elsewhere", 15)
        self.assertLess(time.monotonic() - killed, 5)
        ended = self.market.finished(job)
        self.assertEqual((ended["status"], ended["try"]), ("completed", 2))
        tries = self.market.get(f"/v1/jobs/{job}/tries").json()["tries"]
        self.assertEqual([one["state"] for one in tries], ["lost", "completed"])
        self.assertNotEqual(tries[0]["miner_id"], tries[1]["miner_id"])
        until(lambda: not processes(word), "the first try's processes are gone", 5)
        self.assertEqual(self.market.get(f"/v1/jobs/{job}/logs?try=1").text, "try 1\n")
        self.assertEqual(self.market.get(f"/v1/jobs/{job}/logs").text, "try 2\n")
        # Without tries left, the job is lost.
        last = self.market.shell("echo up; exec sleep 600", max_tries=1)
        self.market.until_log(last, "up")
        self.market.miners["second"].kill()
        self.market.miners["second"].wait()
        lost = self.market.finished(last, 15)
        self.assertEqual((lost["status"], lost["state"], lost["error_detail"]["code"]), ("lost", "FAILED", "LOST"))


class MinerStops(MarketTest):
    with_miner = False
    slowness = 2

    def test_once_drains_and_twice_leaves(self):
        go = self.market.folder / "drain.go"
        miner = self.market.miner("drains", "--sandbox", "none")
        job = self.market.shell(f"echo up; while [ ! -e {go} ]; do sleep 0.05; done")
        self.market.until_log(job, "up")
        miner.send_signal(signal.SIGTERM)
        until(lambda: self.market.fleet()["drains"] == "draining", "it drains")
        waiting = self.market.submit("true")
        go.touch()
        self.assertEqual(self.market.finished(job)["status"], "completed")
        self.assertEqual(miner.wait(10), 0)
        self.assertEqual(self.market.job(waiting)["status"], "pending")
        self.market.post(f"/v1/jobs/{waiting}/cancel")

        word = marker()
        miner = self.market.miner("leaves", "--sandbox", "none")
        job = self.market.shell("echo up; exec sleep 600", env={"MARK": word}, max_tries=1)
        self.market.until_log(job, "up")
        miner.send_signal(signal.SIGTERM)
        until(lambda: self.market.fleet()["leaves"] == "draining", "it drains")
        miner.send_signal(signal.SIGTERM)
        miner.wait(15)
        until(lambda: not processes(word), "its processes are gone", 5)


class MinerDrains(MarketTest):
    """Told to go: with a coordinator, and with one that is gone or stands still."""

    options = ("--lease", "3s")
    with_miner = False
    slowness = 8

    def running(self, script, name, *options):
        miner = self.market.miner(name, "--sandbox", "none", "--label", f"only={name}", *options)
        job = self.market.shell("echo up; " + script, constraints={"labels": {"only": name}}, env={"MARK": name})
        self.market.until_log(job, "up")
        return miner, job

    def log(self, name):
        return (self.market.folder / f"{name}.log").read_text()

    def gone(self, name):
        until(lambda: not processes("MARK=" + name), "its processes are gone", 5)

    def test_renewals_go_on_during_a_drain(self):
        miner, job = self.running("sleep 7; echo end", "patient")
        miner.send_signal(signal.SIGTERM)
        ended = self.market.finished(job)
        self.assertEqual((ended["status"], ended["try"]), ("completed", 1))
        self.assertEqual(miner.wait(10), 0)

    def test_without_a_coordinator(self):
        """All in one, since each needs the coordinator dead."""
        idle = self.market.miner("idle", "--sandbox", "none")
        go = self.market.folder / "drained.go"
        finished, _ = self.running(f"while [ ! -e {go} ]; do sleep 0.05; done", "finished", "--drain-timeout", "2s")
        running, _ = self.running("exec sleep 600", "running")
        self.market.end(self.market.coordinator, signal.SIGKILL)
        try:
            # Nothing to do, nothing to wait for.
            idle.send_signal(signal.SIGTERM)
            self.assertEqual(idle.wait(3), 0)
            # A finished result is kept for its lease and two seconds, then named.
            began = time.monotonic()
            go.touch()
            finished.send_signal(signal.SIGTERM)
            # What runs is ended, and nobody is waited for.
            running.send_signal(signal.SIGTERM)
            self.drains("running")
            running.send_signal(signal.SIGTERM)
            self.assertEqual(running.wait(5), 0)
            self.gone("running")
            self.assertEqual(finished.wait(15), 1)
            self.assertTrue(2 <= time.monotonic() - began < 10)
            self.assertIn("1 finished result could not be delivered", self.log("finished"))
            folder = next((self.market.folder / "work-finished" / "jobs").iterdir())
            self.assertIn(folder.name, self.log("finished"))
            self.assertEqual((folder / "stdout.log").read_text(), "up\n")
            # One loop tries to connect, with a pause before each attempt.
            tries = self.log("finished").count("not connected; trying again")
            self.assertTrue(1 <= tries <= 25, f"{tries} attempts")
        finally:
            self.market.start()

    def drains(self, name):
        """The first signal was taken: a second one right behind it might be one with it."""
        return until(lambda: "draining:" in self.log(name), f"{name} drains")

    def test_a_coordinator_that_stands_still(self):
        miner, _ = self.running("trap '' TERM; while :; do sleep 1; done", "stuck")
        self.market.coordinator.send_signal(signal.SIGSTOP)
        try:
            miner.send_signal(signal.SIGTERM)
            self.drains("stuck")
            began = time.monotonic()
            miner.send_signal(signal.SIGTERM)
            self.assertEqual(miner.wait(14), 0)
            self.assertLess(time.monotonic() - began, 12.5)
            self.gone("stuck")
        finally:
            self.market.coordinator.send_signal(signal.SIGCONT)

    def test_three_times(self):
        miner, _ = self.running("trap '' TERM; while :; do sleep 1; done", "thrice")
        for word in ("draining:", "leaving:", "leaving at once"):
            miner.send_signal(signal.SIGTERM)
            until(lambda: word in self.log("thrice"), word)
        miner.wait(3)
        self.gone("thrice")


class LateReport(MarketTest):
    """A channel's report that comes too late is refused and kept as evidence. The miner here is this test."""

    options = ("--lease", "1s")
    with_miner = False

    def test_a_late_report_is_evidence(self):
        channel = self.market.feed("/v1/miners/ws", self.market.miner_key)
        channel.send(json.dumps({
            "type": "hello", "instance": os.urandom(32).hex(), "name": "late", "version": "1", "fresh": True, "leases": [],
            "capabilities": {"runners": ["x"], "slots": 1}}))
        miner = json.loads(channel.recv())["miner_id"]
        job = self.market.submit(payload={"type": "x"}, max_tries=1)
        token = messages(channel, lambda one: one["type"] == "assign")[-1]["lease_token"]
        channel.send(json.dumps({"type": "started", "lease_token": token}))
        messages(channel, lambda one: one["type"] == "lease" and token in one["lost"])
        self.assertEqual(self.market.job(job)["status"], "lost")
        for result in ("late", "later", "late"):
            channel.send(json.dumps({"type": "done", "lease_token": token, "exit": 0, "result": result}))
            self.assertFalse(messages(channel, lambda one: one["type"] == "settled")[-1]["accepted"])
        channel.send(json.dumps({"type": "done", "lease_token": "lt_unknown", "exit": 0}))
        messages(channel, lambda one: one["type"] == "settled")

        def refused():
            found = self.market.get(f"/v1/jobs/{job}/tries").json()["refused_reports"]
            return found if sum(one["count"] for one in found) == 3 else None

        evidence = until(refused, "three reports are kept")
        self.assertEqual(sorted(one["count"] for one in evidence), [1, 2])
        for one in evidence:
            self.assertEqual((one["miner_id"], one["try"], one["what"]), (miner, 1, "result"))
            self.assertIn("lost", one["reason"])
        found = self.market.job(job)
        self.assertEqual((found["status"], found["result"], found["cost"]), ("lost", None, "0.000000"))
        channel.shutdown()


class Secrets(MarketTest):
    """Keys and lease tokens stand in no log, answer, page or file of results. The miner here is this test."""

    with_miner = False

    def test_keys_and_tokens(self):
        channel = self.market.feed("/v1/miners/ws", self.market.miner_key)
        channel.send(json.dumps({
            "type": "hello", "instance": os.urandom(32).hex(), "name": "test", "version": "1", "fresh": True, "leases": [],
            "capabilities": {"runners": ["process"], "slots": 1, "cpus": 1, "memory_mb": 1000, "gpus": [], "labels": {}}}))
        self.assertEqual(json.loads(channel.recv())["type"], "welcome")
        job = self.market.submit("true")
        token = messages(channel, lambda one: one["type"] == "assign")[-1]["lease_token"]
        self.assertGreaterEqual(len(token), 32)
        channel.send(json.dumps({"type": "accept", "lease_token": token}))
        channel.send(json.dumps({"type": "started", "lease_token": token}))
        self.market.until(job, "running")
        miner = {"X-Api-Key": self.market.miner_key}
        address = f"{self.market.url}/v1/leases/{token}/artifacts/"
        self.assertProblem(requests.put(address + "x", data=b"x", headers=miner, timeout=20), 422)
        for path in ("..%2fx", "%2e%2e/x", "a%00b", "a%5cb"):
            with self.subTest(path):
                answer = requests.put(address + path, data=b"x", timeout=20, headers=miner | {
                    "Repr-Digest": "sha-256=:LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=:"})
                self.assertIn(answer.status_code, (404, 422), answer.text)
        self.assertEqual(requests.put(address + "x", data=b"x", timeout=20).status_code, 401)
        stale = f"{self.market.url}/v1/leases/{'A' * len(token)}/artifacts/x"
        self.assertProblem(requests.put(stale, data=b"x", headers=miner, timeout=20), 409)
        for wrong in ("nothing", "", "{", '{"type":"done","lease_token":"' + "A" * len(token) + '"}'):
            channel.send(wrong)
        seen = [self.market.get(f"/v1/jobs/{job}{path}").text for path in ("", "/tries")]
        self.assertEqual(self.market.job(job)["status"], "running")
        channel.send(json.dumps({
            "type": "failed", "lease_token": token, "error": {"code": "RUNNER_FAILED", "message": "by the test"},
            "usage": {"wall_ms": 1, "user_ms": 0, "system_ms": 0, "max_rss_kib": 0}, "artifacts": [],
            "logs": {name: {"length": 0, "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
                     for name in ("stdout", "stderr")}}))
        self.market.finished(job)
        channel.shutdown()
        self.market.get("/v1/jobs?limit=1", headers={"X-Api-Key": "ak_someone_guessing"})
        seen += [self.market.get(path).text for path in (
            f"/v1/jobs/{job}", f"/v1/jobs/{job}/tries", f"/v1/jobs/{job}/result", "/v1/jobs", "/v1/miners", "/v1/account",
            "/v1/keys", "/")]
        seen.append(self.market.get(f"/v1/jobs/{job}/download").content.decode("latin-1"))
        files = [path for path in self.market.folder.rglob("*")
                 if path.is_file() and "keys" not in path.parts and not path.is_symlink()]
        seen += [path.read_bytes().decode("latin-1") for path in files]
        self.assertTrue(any(path.name == "market.db" for path in files))
        for name, secret in (("client", self.market.client_key), ("miner", self.market.miner_key),
                             ("admin", self.market.admin_key), ("lease", token), ("guess", "ak_someone_guessing")):
            with self.subTest(name):
                self.assertFalse(any(secret in text for text in seen))

    def test_key_files_are_private(self):
        for role in ("client", "miner", "admin"):
            with self.subTest(role):
                self.assertEqual((self.market.folder / "keys" / f"{role}.key").stat().st_mode & 0o777, 0o600)


class Start(MarketTest):
    with_miner = False

    def start(self, *options, user=None, folder=None):
        """Starts a coordinator that is not to come up; returns how it ended."""
        words = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"] if user else []
        done = subprocess.run(
            [*words, BINARY, "coordinator", *options], timeout=30, cwd=folder or self.market.folder,
            env=self.market.environment, capture_output=True, text=True)
        self.assertNotIn("listening", done.stdout)
        self.assertNotIn("Error", done.stderr)
        return done

    def assertStartFault(self, done, code, *words):
        self.assertEqual(done.returncode, code, done.stderr)
        line = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        self.assertEqual(len(line), 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def assertNothingWritten(self, *folders):
        for folder in folders:
            self.assertFalse((self.market.folder / folder).exists(), f"{folder} was made")

    def test_two_coordinators_do_not_share_a_folder(self):
        done = self.start("--port", "0", "--data-dir", "data", "--keys-dir", "keys")
        self.assertStartFault(done, 5, f"in use by process {self.market.coordinator.pid}", "--data-dir")

    def test_a_port_that_is_taken(self):
        done = self.start("--port", str(self.market.port), "--data-dir", "other", "--keys-dir", "other-keys")
        self.assertStartFault(done, 5, f"127.0.0.1 port {self.market.port} is in use by another program", "--port")
        self.assertNothingWritten("other", "other-keys")

    def test_an_address_of_another_machine(self):
        done = self.start("--host", "192.0.2.1", "--port", "0", "--data-dir", "far", "--keys-dir", "far-keys")
        self.assertStartFault(done, 1, "192.0.2.1", "--host")
        self.assertNothingWritten("far", "far-keys")

    def test_a_host_that_is_none(self):
        done = self.start("--host", "nowhere.invalid", "--port", "0", "--data-dir", "far", "--keys-dir", "far-keys")
        self.assertStartFault(done, 1, "nowhere.invalid is no address", "--host")
        self.assertNothingWritten("far", "far-keys")

    def unprivileged(self):
        """Options for another user than root, and a folder of that user. Skips where there can't be one."""
        if os.geteuid() != 0:
            return None, self.market.folder
        if subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", BINARY, "--version"],
                          capture_output=True).returncode:
            self.skipTest("no other user can run the executable here")
        folder = self.market.folder / marker()
        folder.mkdir()
        os.chown(folder, 65534, 65534)
        os.chmod(self.market.folder, 0o755)
        return "65534", folder

    def test_a_port_that_needs_privileges(self):
        user, folder = self.unprivileged()
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
            if int(file.read()) <= 1:
                self.skipTest("every user may listen on every port here")
        done = self.start("--port", "1", user=user, folder=folder)
        self.assertStartFault(done, 1, "may not listen on 127.0.0.1 port 1")

    def test_a_data_directory_that_can_not_be_written(self):
        user, folder = self.unprivileged()
        closed = folder / "closed"
        closed.mkdir()
        closed.chmod(0o555)
        for options in (("--data-dir", "closed/data"), ("--data-dir", "closed"), ("--keys-dir", "closed/keys")):
            with self.subTest(" ".join(options)):
                done = self.start("--port", "0", *options, user=user, folder=folder)
                self.assertStartFault(done, 1, "closed", "Permission denied")

    def test_a_data_directory_that_is_a_file(self):
        (self.market.folder / "file").write_text("x")
        self.assertStartFault(self.start("--port", "0", "--data-dir", "file"), 1, "file")

    def test_a_reserve_above_the_floor_is_refused(self):
        done = self.start("--disk-floor", "1MiB", "--disk-reserve", "2MiB")
        self.assertEqual((done.returncode, "--disk-reserve" in done.stderr), (2, True))

    def test_two_miners_do_not_share_a_work_directory(self):
        self.market.miner("one", "--sandbox", "none")
        done = subprocess.run(
            [BINARY, "miner", "--url", self.market.url, "--api-key-file", "keys/miner.key", "--work-dir", "work-one"],
            cwd=self.market.folder, env=self.market.environment, capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertIn("in use by another miner", done.stderr)
        self.assertIn("--work-dir", done.stderr)

    def test_keys_survive_a_restart(self):
        before = self.market.client_key
        self.market.restart()
        self.assertEqual(self.market.client_key, before)
        self.assertEqual(self.market.get("/v1/jobs").status_code, 200)

    def test_page(self):
        folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        market = Market("--web-dir", os.path.join(folder, "web-static"))
        try:
            answer = requests.get(market.url + "/", timeout=20)
            self.assertEqual((answer.status_code, answer.headers["Content-Type"].split(";")[0]), (200, "text/html"))
            self.assertIn("Content-Security-Policy", answer.headers)
        finally:
            market.stop()
