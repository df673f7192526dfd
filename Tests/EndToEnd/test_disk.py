"""Full disks: real small file systems under the coordinator's data and under a miner's work."""

import hashlib
import os
import time
import unittest

from market import Market, MarketTest, on_tmpfs, until, why_no_tmpfs

REASON = why_no_tmpfs()


@unittest.skipIf(REASON, REASON)
class FullCoordinator(MarketTest):
    slowness = 12

    @classmethod
    def setUpClass(cls):
        cls.market = Market(
            "--lease", "4s", "--disk-floor", "16MiB", "--disk-reserve", "8MiB", wrap=on_tmpfs("data", "48m"))
        try:
            cls.market.miner("first", "--slots", "4", "--sandbox", "none")
        except BaseException:
            cls.market.stop()
            raise

    def data(self, *names):
        """A file of the data directory, which only the coordinator sees mounted."""
        return os.path.join(f"/proc/{self.market.coordinator.pid}/root", str(self.market.folder)[1:], "data", *names)

    def fill(self):
        with open(self.data("filler"), "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError:
                pass

    def disk(self):
        return self.market.get("/v1/health").json()["disk"]

    def assertRefused(self, answer, code):
        self.assertProblem(answer, 507, code=code)
        self.assertGreater(int(answer.headers["Retry-After"]), 0)

    def test_full(self):
        market, process = self.market, self.market.coordinator
        go = market.folder / "full.go"
        wait = f"while [ ! -e {go} ]; do sleep 0.05; done; "
        plain = market.shell("echo up; " + wait + "echo end")
        leaves = market.shell("echo up; " + wait + "echo model > $AITBC_OUTPUT_DIR/model")
        stuck = market.shell("echo up; sleep 600")
        for job in (plain, leaves, stuck):
            market.until_log(job, "up")
        second = market.miner("second", "--sandbox", "none", "--label", "only=second")
        doomed = market.shell("echo up; sleep 600", max_tries=1, constraints={"labels": {"only": "second"}})
        market.until_log(doomed, "up")
        pending = market.submit("true", constraints={"region": "nowhere"})
        before = self.disk()
        self.assertEqual((before["floor_bytes"], before["reserve_bytes"]), (16 << 20, 8 << 20))
        self.assertTrue(before["takes_new_work"] and not before["reserve_spent"])
        self.assertEqual(os.stat(self.data("reserve")).st_blocks * 512, 8 << 20)

        self.fill()
        # Nothing new is taken, and nothing of it is there.
        total = market.get("/v1/jobs").json()["total"]
        self.assertRefused(market.post("/v1/jobs", {"command": ["true"]}), "disk_floor")
        self.assertRefused(market.post("/v1/jobs?dry_run=1", {"command": ["true"]}), "disk_floor")
        digest = hashlib.sha256(b"x").hexdigest()
        self.assertRefused(
            market.session.put(f"{market.url}/v1/blobs/{digest}", data=b"x", timeout=20), "disk_floor")
        # Reads go on.
        self.assertEqual(market.get("/v1/jobs").json()["total"], total)
        self.assertEqual(market.get(f"/v1/jobs/{plain}/logs").text, "up\n")
        self.assertEqual(market.get("/readyz").status_code, 200)
        health = market.get("/v1/health").json()
        self.assertEqual((health["status"], health["disk"]["takes_new_work"]), ("degraded", False))
        self.assertLess(health["disk"]["free_bytes"], 16 << 20)
        # Cancels do, whether a miner has the job or not.
        answer = market.post(f"/v1/jobs/{pending}/cancel")
        self.assertEqual((answer.status_code, answer.json()["status"]), (202, "canceled"), answer.text)
        self.assertEqual(market.post(f"/v1/jobs/{stuck}/cancel", {"grace_seconds": 1}).status_code, 202)
        self.assertEqual(market.finished(stuck)["status"], "canceled")
        self.assertTrue(self.disk()["reserve_spent"])
        self.assertFalse(os.path.exists(self.data("reserve")))
        # So does the end of a lease, and of a job that leaves no files.
        second.kill()
        second.wait()
        self.assertEqual(market.finished(doomed, 10)["status"], "lost")
        go.touch()
        ended = market.finished(plain)
        self.assertEqual((ended["status"], ended["try"]), ("completed", 1))
        self.assertEqual(market.get(f"/v1/jobs/{plain}/logs").text, "up\nend\n")
        # What the other one left has no place here: its miner keeps it, and says why it waits, for as long as that is.
        log = market.folder / "first.log"
        until(lambda: "an artifact can't be delivered yet" in log.read_text(), "the miner says so")
        self.assertIn("disk is full", log.read_text())
        time.sleep(6)
        self.assertEqual(market.job(leaves)["status"], "running")

        # Room again: everything goes on, without a restart.
        os.unlink(self.data("filler"))
        ended = market.finished(leaves, 60)
        self.assertEqual((ended["status"], ended["try"]), ("completed", 1))
        self.assertEqual(market.get(f"/v1/jobs/{leaves}/artifacts/model").text, "model\n")
        until(lambda: not self.disk()["reserve_spent"], "space is kept back again")
        self.assertEqual(market.get("/v1/health").json()["status"], "ok")
        for job in (plain, stuck, leaves):
            self.assertEqual(market.get(f"/v1/jobs/{job}/download").status_code, 200)
        self.assertEqual(market.run("echo again")["status"], "completed")
        self.assertIsNone(process.poll())


@unittest.skipIf(REASON, REASON)
class FullMiner(MarketTest):
    """A job for which the miner's disk is too small ends with that reason, and the next one finds room."""

    slowness = 4

    @classmethod
    def prepare(cls):
        cls.market.miner("small", "--sandbox", "none", wrap=on_tmpfs("work-small", "6m"))

    def assertDiskFull(self, ended):
        self.assertEqual((ended["status"], ended["error_detail"]["code"]), ("failed", "DISK_FULL"), ended)
        self.assertEqual(self.market.run("echo fits")["status"], "completed")

    def test_output(self):
        self.assertDiskFull(self.market.run("head -c 20000000 /dev/zero | tr '\\0' x", max_tries=1))

    def test_inputs(self):
        data = os.urandom(8_000_000)
        digest = self.market.blob(data)
        self.assertDiskFull(self.market.run("true", inputs=[{"path": "big", "sha256": digest}], max_tries=1))

    def test_its_own_files(self):
        # The program itself is told; what it wrote a while before is kept.
        ended = self.market.run("echo before; sleep 1; head -c 20000000 /dev/zero > big 2>/dev/null || exit 7", max_tries=1)
        self.assertEqual((ended["status"], ended["exit_code"]), ("failed", 7), ended["error_detail"])
        self.assertEqual(self.market.get(f"/v1/jobs/{ended['job_id']}/logs").text, "before\n")
        self.assertEqual(self.market.run("echo fits")["status"], "completed")
