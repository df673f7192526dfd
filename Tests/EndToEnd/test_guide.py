"""The guide's commands and snippets, letter by letter; only ids, key and port are put in."""

import json
import subprocess
import sys
import zipfile

import requests

from market import MarketTest, until

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
