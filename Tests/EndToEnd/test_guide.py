"""The guide's commands and snippets, letter by letter; only ids, key and port are put in."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import requests

from market import MarketTest, until

ROOT = Path(__file__).resolve().parents[2]

STATUS_SNIPPET = '''
import requests

response = requests.get(
    "http://localhost:8000/v1/jobs/{job_id}",
    headers={"X-Api-Key": "your-key"}
)
print(response.json())
'''

FEED_SNIPPET = '''
import websocket

def on_message(ws, message):
    print(message)

ws = websocket.WebSocketApp(
    "ws://localhost:8000/v1/jobs/ws",
    on_message=on_message
)
ws.run_forever()
'''

DOWNLOAD_SNIPPET = '''
import requests

response = requests.get(
    "http://localhost:8000/v1/jobs/{job_id}/download",
    headers={"X-Api-Key": "your-key"}
)

with open("output.zip", "wb") as f:
    f.write(response.content)
'''


class Guide(MarketTest):
    @classmethod
    def prepare(cls):
        super().prepare()
        script = "echo the result; echo a warning >&2; echo weights > $AITBC_OUTPUT_DIR/model.bin"
        cls.done = cls.market.run(script)["job_id"]

    def sh(self, command, folder=None, status=0):
        """Runs a command of the guide as a shell would, beside the keys folder; returns its output."""
        ended = subprocess.run(
            command.replace("<JOB_ID>", self.done), shell=True, cwd=folder or self.market.folder,
            env=self.market.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        self.assertEqual(ended.returncode, status, command + "\n" + ended.stdout + ended.stderr)
        return ended.stdout

    def folder(self):
        """A working directory with the keys folder of a checkout."""
        folder = self.market.folder / self._testMethodName
        folder.mkdir()
        (folder / "keys").symlink_to(self.market.folder / "keys")
        return folder

    def python(self, snippet, folder):
        text = snippet.replace("localhost:8000", f"localhost:{self.market.port}")
        text = text.replace("{job_id}", self.done).replace("your-key", self.market.client_key)
        (folder / "snippet.py").write_text(text)
        return [sys.executable, "-u", "snippet.py"]

    def test_status(self):
        self.assertIn("completed", self.sh("aitbc client status --job-id <JOB_ID>"))

    def test_watch(self):
        self.assertIn("completed", self.sh("aitbc client watch --job-id <JOB_ID>"))

    def test_download_into_a_folder(self):
        folder = self.folder()
        self.sh("aitbc client download --job-id <JOB_ID> --output ./results", folder)
        self.assertTrue(zipfile.is_zipfile(folder / "results" / "output.zip"))

    def test_checksum_then_sha256sum(self):
        folder = self.folder()
        self.sh("aitbc client download --job-id <JOB_ID> --checksum", folder)
        self.assertEqual(self.sh("sha256sum -c output.sha256", folder), "output.zip: OK\n")

    def test_verify(self):
        self.sh("aitbc client verify --job-id <JOB_ID>")

    def test_list(self):
        self.assertIn(self.done, self.sh("aitbc client list"))

    def test_list_by_status(self):
        for status, is_here in (("running", False), ("completed", True), ("failed", False)):
            with self.subTest(status):
                listed = self.done in self.sh(f"aitbc client list --status {status}")
                self.assertEqual(listed, is_here)

    def test_list_of_the_last_days(self):
        self.assertIn(self.done, self.sh("aitbc client list --days 7"))

    def test_list_of_a_range_in_the_past(self):
        self.assertNotIn(self.done, self.sh("aitbc client list --from 2026-01-01 --to 2026-01-31"))

    def test_list_of_a_range_that_holds_today(self):
        self.assertIn(self.done, self.sh("aitbc client list --from 2026-01-01 --to 2099-01-31"))

    def test_share(self):
        url = self.sh("aitbc client share --job-id <JOB_ID>").strip()
        self.assertEqual(requests.get(url + "/download", timeout=30).status_code, 200)

    def test_share_with_expiration(self):
        url = self.sh("aitbc client share --job-id <JOB_ID> --expires 7d").strip()
        self.assertEqual(requests.get(url, timeout=30).json()["job_id"], self.done)

    def test_delete(self):
        job = self.market.run("echo unwanted")["job_id"]
        self.sh(f"aitbc client delete --job-id {job}")
        self.assertFalse(self.market.job(job)["results_available"])

    def test_export(self):
        folder = self.folder()
        self.sh("aitbc client export --format json --output jobs.json", folder)
        self.sh("aitbc client export --format csv --output jobs.csv", folder)
        self.assertIn(self.done, [job["job_id"] for job in json.loads((folder / "jobs.json").read_text())["jobs"]])
        self.assertIn(self.done, (folder / "jobs.csv").read_text())

    def test_stats(self):
        out = self.sh("aitbc client stats")
        for words in ("submitted", "success rate", "average completion", "total spent"):
            self.assertIn(words, out)

    def test_get(self):
        self.assertIn(self.done, self.sh("aitbc client get --job-id <JOB_ID>"))

    def test_cancel_with_force(self):
        job = self.market.shell("sleep 600")
        self.sh(f"aitbc client cancel --job-id {job} --force")
        self.assertEqual(self.market.finished(job)["status"], "canceled")

    def test_cancel_needs_force_where_nobody_can_be_asked(self):
        job = self.market.shell("sleep 600")
        self.sh(f"aitbc client cancel --job-id {job}", status=2)
        self.assertIn(self.market.job(job)["status"], ("pending", "assigned", "running"))
        self.market.post(f"/v1/jobs/{job}/cancel", {"grace_seconds": 0})
        self.market.finished(job)

    def test_status_snippet(self):
        folder = self.folder()
        out = subprocess.run(self.python(STATUS_SNIPPET, folder), cwd=folder, capture_output=True, text=True, timeout=30)
        self.assertIn("'status': 'completed'", out.stdout, out.stderr)

    def test_download_snippet(self):
        folder = self.folder()
        subprocess.run(self.python(DOWNLOAD_SNIPPET, folder), cwd=folder, check=True, timeout=30)
        with zipfile.ZipFile(folder / "output.zip") as archive:
            self.assertEqual(archive.read(f"{self.done}/result.txt"), b"the result\n")

    def test_keyless_feed_snippet_gets_market_figures_only(self):
        folder = self.folder()
        with open(folder / "out", "wb") as out:
            process = subprocess.Popen(self.python(FEED_SNIPPET, folder), cwd=folder, stdout=out, stderr=out)
        try:
            until(lambda: b'"market"' in (folder / "out").read_bytes(), "a market message")
            self.market.run("true")
            self.assertIsNone(process.poll())
            self.assertNotIn("job_", (folder / "out").read_text())
        finally:
            process.kill()
            process.wait()

    def test_package_layout(self):
        folder = self.folder()
        self.sh("aitbc client download --job-id <JOB_ID>", folder)
        with zipfile.ZipFile(folder / "output.zip") as archive:
            names = ["artifacts/model.bin", "logs/stderr.log", "logs/stdout.log", "manifest.json", "output.json",
                     "result.txt"]
            self.assertEqual(archive.namelist(), [f"{self.done}/{name}" for name in names])


class Readme(MarketTest):
    """The README's tour and its snippets, as they stand there; only the port is put in."""

    NOT_HERE = ("make build", "export PATH=", "aitbc coordinator", "aitbc miner")

    def section(self, title):
        text = (ROOT / "README.md").read_text()
        self.assertIn(f"\n## {title}\n", text)
        return text.split(f"\n## {title}\n")[1].split("\n## ")[0].replace(
            "127.0.0.1:8000", f"127.0.0.1:{self.market.port}")

    def commands(self, title):
        """The indented lines of a section, as one script that stops at the first failure."""
        text = "".join(self.section(title).split("```")[::2])
        lines = [line[4:] for line in text.splitlines() if line.startswith("    ")]
        lines = [line for line in lines if not line.startswith(self.NOT_HERE)]
        return "set -euo pipefail\n" + "\n".join(lines) + "\n"

    def folder(self):
        folder = self.market.folder / self._testMethodName
        folder.mkdir()
        (folder / "keys").symlink_to(self.market.folder / "keys")
        (folder / "examples").symlink_to(ROOT / "examples")
        return folder

    def sh(self, script, folder):
        done = subprocess.run(["bash", "-c", script], cwd=folder, env=self.market.environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, script + done.stdout[-2000:] + done.stderr[-2000:])
        return done.stdout

    def test_five_minutes(self):
        folder = self.folder()
        script = self.commands("Five minutes")
        for verb in ("submit", "watch", "status", "logs", "list", "download", "verify", "artifacts"):
            self.assertIn(f"aitbc client {verb}", script)
        out = self.sh(script, folder)
        self.assertIn("output.zip: OK", out)
        self.assertIn("learning_curve.svg", out)
        self.assertTrue((folder / "learning_curve.svg").read_text().lstrip().startswith("<svg"))
        # One flipped byte, as the text below it promises.
        archive = folder / "results" / "output.zip"
        archive.chmod(0o644)
        data = bytearray(archive.read_bytes())
        data[len(data) // 2] ^= 1
        archive.write_bytes(data)
        done = subprocess.run(
            ["aitbc", "client", "verify", "--file", "results/output.zip", "--keys", "keys.json"], cwd=folder,
            env=self.market.environment, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 9, done.stderr)

    def test_curl(self):
        out = self.sh(self.commands("From your own programs"), self.folder())
        self.assertIn('"name": "hello"' if '"name": ' in out else '"name":"hello"', out)
        self.assertIn('"dry_run":true', out.replace(" ", ""))

    def test_python(self):
        folder = self.folder()
        snippet = self.section("From your own programs").split("```python\n")[1].split("```")[0]
        (folder / "snippet.py").write_text(snippet)
        done = subprocess.run([sys.executable, "snippet.py"], cwd=folder, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        for word in ('"snapshot"', '"log"', "working", '"end"', "'status': 'completed'"):
            self.assertIn(word, done.stdout)
