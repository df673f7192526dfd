"""`make demo`, as its script is run after the build."""

import os
import re
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from market import BINARY, processes, until

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "demo"


class Demo(unittest.TestCase):
    slowness = 7

    def start(self):
        folder = tempfile.TemporaryDirectory(prefix="aitbc-e2e.")
        self.addCleanup(folder.cleanup)
        log = Path(folder.name) / "log"
        temporary = Path(folder.name) / "tmp"
        temporary.mkdir()
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AITBC_")}
        environment |= {"AITBC_BIN": BINARY, "TMPDIR": str(temporary), "HOME": folder.name}
        with open(log, "wb") as out:
            process = subprocess.Popen(
                [SCRIPT], env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        self.addCleanup(lambda: process.poll() is None and os.killpg(process.pid, signal.SIGKILL))
        return process, log, temporary

    def assertGone(self, temporary):
        self.assertEqual(list(temporary.iterdir()), [])
        until(lambda: not processes(str(temporary)), "nothing of it runs", 5)

    def test_two_beside_each_other(self):
        began = time.monotonic()
        runs = [self.start() for _ in range(2)]
        ports = set()
        for process, log, temporary in runs:
            process.wait(300)
            text = log.read_text()
            self.assertEqual(process.returncode, 0, text)
            for words in ("output.zip: OK", "result.txt", "Where to look next", "NO SANDBOX|jobs run in bubblewrap"):
                self.assertRegex(text, words)
            ports.add(re.search(r"http://127\.0\.0\.1:(\d+) is ready", text)[1])
            self.assertGone(temporary)
        self.assertEqual(len(ports), 2)
        print(f"two demos: {time.monotonic() - began:.0f} s", flush=True)

    def test_interrupted_it_leaves_nothing(self):
        process, log, temporary = self.start()
        until(lambda: "4. Watch it" in log.read_text(), "it runs a job", 60)
        os.killpg(process.pid, signal.SIGINT)
        process.wait(20)
        self.assertNotEqual(process.returncode, 0)
        self.assertGone(temporary)
