"""The N-th write, fsync or rename of the coordinator fails: it refuses, reads on, and recovers without a restart."""

import errno
import hashlib
import mmap
import os
import random
import struct
import subprocess
import unittest
from pathlib import Path

from audit import audit
from market import Market, TERMINAL, until
from lane_chaos import persist

HERE = Path(__file__).resolve().parent
# Every N of both errors takes minutes (`make faults`); without it some are drawn.
WHOLE = os.environ.get("FAULTS") == "all"
DRAWN = 14


class Control:
    """The memory that the preloaded library shares."""

    def __init__(self, path):
        path.write_bytes(bytes(40))
        self.file = open(path, "r+b")
        self.memory = mmap.mmap(self.file.fileno(), 40)

    def set(self, number, code=0, forever=False):
        self.memory[:40] = struct.pack("=5q", 0, 0, code, int(forever), 0)
        self.memory[:8] = struct.pack("=q", number)

    @property
    def seen(self):
        return struct.unpack_from("=q", self.memory, 8)[0]

    @property
    def fired(self):
        return struct.unpack_from("=q", self.memory, 32)[0]


class FaultLoop(unittest.TestCase):
    slowness = 10

    def setUp(self):
        self.build = Path(os.environ.get("TMPDIR", "/tmp")) / f"aitbc-faults-{os.getpid()}-{id(self)}"
        self.build.mkdir()
        library = self.build / "faults.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, HERE / "faults.c", "-ldl"], check=True)
        self.control = Control(self.build / "control")
        self.market = Market(
            preload=lambda folder: {
                "LD_PRELOAD": str(library), "FAULTS_CONTROL": str(self.build / "control"),
                "FAULTS_FOLDER": str(folder / "data")})
        self.market.miner("m", "--sandbox", "none")
        self.runs = 0

    def tearDown(self):
        self.control.set(0)
        self.market.stop()
        subprocess.run(["rm", "-r", self.build], check=True)

    def job(self):
        """An input, a job with output and an artifact, its package: everything that is written on the way."""
        market, self.runs = self.market, self.runs + 1
        data = f"input {self.runs} of {id(self)}\n".encode() * 100
        digest = hashlib.sha256(data).hexdigest()
        persist(lambda: market.session.put(f"{market.url}/v1/blobs/{digest}", data=data, timeout=10), 200, 201)
        body = {"command": ["sh", "-c", "cat in; cp in $AITBC_OUTPUT_DIR/copy"], "inputs": [{"path": "in", "sha256": digest}],
                "max_tries": 10}
        answer = persist(lambda: market.session.post(
            f"{market.url}/v1/jobs", json=body, timeout=10, headers={"Idempotency-Key": f"run {self.runs}"}), 200, 201)
        job = answer.json()["job_id"]
        ended = until(lambda: (found := persist(
            lambda: market.session.get(f"{market.url}/v1/jobs/{job}", timeout=10), 200).json())["status"] in TERMINAL and found,
            f"{job} ends", 60)
        self.assertEqual(ended["status"], "completed", ended["error"])
        copy = persist(lambda: market.session.get(f"{market.url}/v1/jobs/{job}/artifacts/copy", timeout=10), 200)
        self.assertEqual(copy.content, data)
        log = persist(lambda: market.session.get(f"{market.url}/v1/jobs/{job}/logs", timeout=10), 200)
        self.assertEqual(log.content, data)
        persist(lambda: market.session.get(f"{market.url}/v1/jobs/{job}/download", timeout=10), 200)
        return job

    def loop(self, code):
        self.control.set(1 << 40)
        self.job()
        calls = self.control.seen
        self.assertGreater(calls, 20)
        numbers = range(1, 10_000) if WHOLE else sorted(random.sample(range(1, calls + 1), DRAWN))
        clean = 0
        for number in numbers:
            with self.subTest(errno.errorcode[code], number=number):
                self.control.set(number, code)
                job = self.job()
                self.assertIsNone(self.market.coordinator.poll(), "the coordinator ended")
                clean = 0 if self.control.fired else clean + 1
                verified = self.market.client("verify", job)
                self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)
            # Clean: the run is over before the call is reached.
            if WHOLE and clean > 3:
                break
        self.control.set(0)
        for miner in self.market.miners.values():
            self.market.end(miner)
        self.market.end(self.market.coordinator)
        self.assertEqual(audit(self.market.folder / "data"), [])

    def test_no_space(self):
        self.loop(errno.ENOSPC)

    def test_input_output_error(self):
        self.loop(errno.EIO)

    def test_no_space_for_a_while(self):
        """Refused with 507 or 503 while it lasts, reads go on, and afterwards all is as it was."""
        job = self.job()
        self.control.set(1, errno.ENOSPC, forever=True)
        answer = self.market.post("/v1/jobs", {"payload": {"type": "noop"}})
        self.assertIn(answer.status_code, (503, 507), answer.text)
        self.assertIn("Retry-After", answer.headers)
        self.assertEqual(self.market.get(f"/v1/jobs/{job}").status_code, 200)
        self.assertEqual(self.market.get("/v1/jobs").status_code, 200)
        self.control.set(0)
        self.job()
