"""What a job leaves: logs, progress, artifacts, result, package."""

import base64
import hashlib
import io
import json
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import requests

from market import MarketTest, until


class Logs(MarketTest):
    def logs(self, job, query=""):
        return self.market.get(f"/v1/jobs/{job}/logs?{query}")

    def test_streams_are_apart(self):
        job = self.market.run("echo out; echo err >&2")["job_id"]
        self.assertEqual(self.logs(job).content, b"out\n")
        self.assertEqual(self.logs(job, "stream=stderr").content, b"err\n")

    def test_bytes_stay_as_they_are(self):
        job = self.market.run(r"printf '\000\377\033[31mred\r\nno end'")["job_id"]
        self.assertEqual(self.logs(job).content, b"\x00\xff\x1b[31mred\r\nno end")

    def test_offset_and_tail(self):
        job = self.market.run("seq 1 100")["job_id"]
        whole = "".join(f"{n}\n" for n in range(1, 101))
        self.assertEqual(self.logs(job, "offset=10").text, whole[10:])
        self.assertEqual(self.logs(job, "tail=2").text, "99\n100\n")
        self.assertEqual(self.logs(job, "tail=1000").text, whole)
        self.assertEqual(self.logs(job, f"offset={len(whole)}").text, "")

    def test_offset_past_the_end(self):
        job = self.market.run("echo x")["job_id"]
        self.assertProblem(self.logs(job, "offset=3"), 416)

    def test_parameters(self):
        job = self.market.submit(payload={"type": "noop"})
        for name, value in (("stream", "stdin"), ("offset", "-1"), ("tail", "x"), ("try", "0"), ("colour", "1")):
            with self.subTest(name):
                self.assertProblem(self.logs(job, f"{name}={value}"), 422, name)
        self.market.finished(job)
        self.assertProblem(self.logs(job, "try=7"), 404)

    def test_a_megabyte_arrives_whole(self):
        job = self.market.run("seq 1 160000", timeout_seconds=60)["job_id"]
        expected = "".join(f"{n}\n" for n in range(1, 160_001)).encode()
        answer = self.logs(job)
        self.assertEqual(hashlib.sha256(answer.content).digest(), hashlib.sha256(expected).digest())
        self.assertEqual(answer.headers["X-Log-Sha256"], hashlib.sha256(expected).hexdigest())

    def test_followed_from_the_queue_to_the_end(self):
        job = self.market.shell("echo first; sleep 0.5; echo last")
        follow = self.market.get(f"/v1/jobs/{job}/logs?follow=1", stream=True)
        lines = follow.iter_lines()
        self.assertEqual(next(lines, None), b"first")
        self.assertIn(self.market.job(job)["status"], ("assigned", "running"))
        self.assertEqual(list(lines), [b"last"])
        self.assertEqual(self.market.finished(job)["status"], "completed")

    def test_followed_while_running(self):
        job = self.market.shell("echo first; sleep 0.7; echo last")
        self.market.until(job, "running")
        self.assertEqual(self.market.get(f"/v1/jobs/{job}/logs?follow=1").text, "first\nlast\n")

    def test_cli_keeps_the_streams_apart(self):
        job = self.market.run("echo out; echo err >&2")["job_id"]
        done = self.market.client("logs", job)
        self.assertEqual((done.stdout, done.stderr), ("out\n", "err\n"))

    def test_cli_follow(self):
        job = self.market.shell("echo one; sleep 0.3; echo two")
        self.assertEqual(self.market.client("logs", "-f", job).stdout, "one\ntwo\n")


class Outcome(MarketTest):
    def test_progress_is_seen_while_running(self):
        job = self.market.shell('echo "45 epoch 3 of 7" >> $AITBC_PROGRESS; echo up; exec sleep 600')
        known = until(lambda: (found := self.market.job(job))["progress"] == 45 and found, "45 percent")
        self.assertEqual((known["progress_message"], known["status"]), ("epoch 3 of 7", "running"))
        self.market.post(f"/v1/jobs/{job}/cancel", {"grace_seconds": 0})
        self.assertEqual(self.market.finished(job)["progress"], 45)

    def test_progress_never_falls_and_is_100_at_the_end_only(self):
        job = self.market.shell('for p in 50 20 100 900 x -5; do echo $p >> $AITBC_PROGRESS; sleep 0.1; done; sleep 0.3')
        seen = []
        until(lambda: seen.append((found := self.market.job(job))["progress"]) or found["status"] == "completed", "end")
        self.assertEqual(seen, sorted(seen))
        self.assertNotIn(100, seen[:-1])
        self.assertEqual(seen[-1], 100)

    def test_result_is_too_early_then_there(self):
        paths = ("result", "download", "checksum", "manifest", "artifacts", "artifacts/x")
        job = self.market.shell("echo x > $AITBC_OUTPUT_DIR/x; echo up; exec sleep 600")
        self.market.until_log(job, "up")
        for path in paths:
            with self.subTest(path + " early"):
                self.assertProblem(self.market.get(f"/v1/jobs/{job}/{path}"), 425)
        self.market.post(f"/v1/jobs/{job}/cancel", {"grace_seconds": 0})
        self.market.finished(job)
        for path in paths:
            with self.subTest(path):
                self.assertEqual(self.market.get(f"/v1/jobs/{job}/{path}").status_code, 200)

    def test_the_last_word_of_progress_stays(self):
        """Also when the program ends right after it, with more before it than is passed on."""
        for _ in range(5):
            job = self.market.run('for n in 1 2 3 4 5 6 7 8 9; do echo "$((n * 10)) step $n" >> $AITBC_PROGRESS; done')
            self.assertEqual((job["progress"], job["progress_message"]), (100, "step 9"))
        job = self.market.run('echo "42 the last" >> $AITBC_PROGRESS; exit 3')
        self.assertEqual((job["progress"], job["progress_message"]), (42, "the last"))

    def test_progress_stays_where_a_failure_left_it(self):
        self.assertEqual(self.market.run('echo 45 >> $AITBC_PROGRESS; sleep 0.3; exit 1')["progress"], 45)

    def test_failed_job_tells_its_exit_code_and_has_a_package(self):
        failed = self.market.run("echo before; echo kept > $AITBC_OUTPUT_DIR/kept; echo why >&2; exit 3")
        self.assertEqual((failed["status"], failed["state"], failed["exit_code"]), ("failed", "FAILED", 3))
        self.assertEqual(failed["error_detail"]["code"], "EXIT_NONZERO")
        self.assertIn("EXIT_NONZERO", failed["error"])
        result = self.market.get(f"/v1/jobs/{failed['job_id']}/result").json()
        self.assertIsNone(result["result"])
        self.assertEqual(result["error_detail"]["code"], "EXIT_NONZERO")
        archive = zipfile.ZipFile(io.BytesIO(self.market.get(f"/v1/jobs/{failed['job_id']}/download").content))
        self.assertEqual(archive.read(f"{failed['job_id']}/artifacts/kept"), b"kept\n")
        self.assertEqual(archive.read(f"{failed['job_id']}/logs/stderr.log"), b"why\n")

    def test_a_job_that_never_ran_has_a_package_too(self):
        job = self.market.submit("true", constraints={"region": "nowhere"})
        self.market.post(f"/v1/jobs/{job}/cancel")
        archive = zipfile.ZipFile(io.BytesIO(self.market.get(f"/v1/jobs/{job}/download").content))
        self.assertEqual(json.loads(archive.read(f"{job}/output.json"))["status"], "canceled")

    def test_result_text_of_the_job_is_the_result(self):
        job = self.market.run("echo log; echo the answer > $AITBC_OUTPUT_DIR/result.txt")["job_id"]
        archive = zipfile.ZipFile(io.BytesIO(self.market.get(f"/v1/jobs/{job}/download").content))
        self.assertEqual(archive.read(f"{job}/result.txt"), b"the answer\n")

    def test_artifacts(self):
        job = self.market.run(
            "mkdir -p $AITBC_OUTPUT_DIR/sub; printf abc > \"$AITBC_OUTPUT_DIR/sub/ä b.bin\"; echo x > other; echo y > not",
            artifacts=["other"])["job_id"]
        listed = self.market.get(f"/v1/jobs/{job}/artifacts").json()["artifacts"]
        self.assertEqual({one["path"]: one["size"] for one in listed}, {"sub/ä b.bin": 3, "other": 2})
        one = next(one for one in listed if one["size"] == 3)
        self.assertEqual(one["sha256"], hashlib.sha256(b"abc").hexdigest())
        self.assertEqual(self.market.get(f"/v1/jobs/{job}/artifacts/sub/ä b.bin").content, b"abc")
        self.assertProblem(self.market.get(f"/v1/jobs/{job}/artifacts/none"), 404)

    def test_artifact_paths_do_not_leave_the_job(self):
        job = self.market.run("true")["job_id"]
        for path in ("../../market.db", "%2e%2e/%2e%2e/market.db", "..%2f..%2fmarket.db", "/etc/passwd"):
            with self.subTest(path):
                url = f"{self.market.url}/v1/jobs/{job}/artifacts/{path}"
                done = subprocess.run(
                    ["curl", "-s", "--path-as-is", "-H", f"X-Api-Key: {self.market.client_key}", "-o", "/dev/null", "-w",
                     "%{http_code}", url], capture_output=True, text=True, timeout=20)
                self.assertEqual(done.stdout, "404")

    def test_links_in_the_output_folder_are_not_followed(self):
        job = self.market.run("ln -s /etc/passwd $AITBC_OUTPUT_DIR/link; echo x > $AITBC_OUTPUT_DIR/file")
        listed = self.market.get(f"/v1/jobs/{job['job_id']}/artifacts").json().get("artifacts", [])
        self.assertNotIn("link", [one["path"] for one in listed])

    def test_tries(self):
        job = self.market.run("true")
        tries = self.market.get(f"/v1/jobs/{job['job_id']}/tries").json()["tries"]
        self.assertEqual([(one["try"], one["state"], one["miner_id"]) for one in tries], [(1, "completed", job["miner_id"])])

    def test_sandbox_hides_the_coordinators_keys(self):
        if "jobs run in bubblewrap" not in (self.market.folder / "miner.log").read_text():
            self.skipTest("bubblewrap does not work here, and the miner says so")
        job = self.market.run(f"cat {self.market.folder}/keys/client.key; ls {self.market.folder}")
        log = "".join(self.market.get(f"/v1/jobs/{job['job_id']}/logs?stream={s}").text for s in ("stdout", "stderr"))
        self.assertNotIn("ak_", log)
        self.assertNotIn("client.key\n", log.replace(f"{self.market.folder}/keys/client.key", ""))


class Package(MarketTest):
    """Downloading and checking, with other people's tools."""

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.done = cls.market.run(
            "seq 1 5000; echo w >&2; head -c 300000 /dev/urandom > $AITBC_OUTPUT_DIR/random; "
            "seq 1 200000 > $AITBC_OUTPUT_DIR/numbers; : > $AITBC_OUTPUT_DIR/empty")["job_id"]
        cls.data = cls.market.get(f"/v1/jobs/{cls.done}/download").content
        cls.file = cls.market.folder / "package" / "output.zip"
        cls.file.parent.mkdir()
        cls.file.write_bytes(cls.data)
        cls.etag = cls.market.get(f"/v1/jobs/{cls.done}/download").headers["ETag"]

    def download(self, method="GET", **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.market.session.request(
            method, f"{self.market.url}/v1/jobs/{self.done}/download", headers=headers, timeout=30)

    def test_twice_the_same_bytes(self):
        self.assertEqual(self.download().content, self.data)

    def test_the_same_bytes_after_a_restart(self):
        self.market.restart()
        self.assertEqual(self.download().content, self.data)

    def test_digests_in_headers_and_checksum(self):
        digest = hashlib.sha256(self.data)
        headers = self.download().headers
        self.assertEqual(headers["ETag"], f'"{digest.hexdigest()}"')
        self.assertEqual(headers["Repr-Digest"], f"sha-256=:{base64.b64encode(digest.digest()).decode()}:")
        checksum = self.market.get(f"/v1/jobs/{self.done}/checksum").text
        self.assertEqual(checksum, f"{digest.hexdigest()}  output.zip\n")

    def test_ranges(self):
        size = len(self.data)
        for text, part in (("bytes=0-9", self.data[:10]), ("bytes=10-", self.data[10:]), ("bytes=-7", self.data[-7:]),
                           (f"bytes={size - 1}-{size + 50}", self.data[-1:])):
            with self.subTest(text):
                answer = self.download(Range=text)
                self.assertEqual((answer.status_code, answer.content), (206, part))
                start = size - len(part) if part != self.data[:10] else 0
                self.assertEqual(answer.headers["Content-Range"], f"bytes {start}-{start + len(part) - 1}/{size}")

    def test_range_past_the_end(self):
        answer = self.download(Range=f"bytes={len(self.data)}-")
        self.assertEqual((answer.status_code, answer.headers["Content-Range"]), (416, f"bytes */{len(self.data)}"))

    def test_range_that_is_none_is_ignored(self):
        for text in ("lines=1-2", "bytes=9-1", "bytes=x"):
            with self.subTest(text):
                self.assertEqual(self.download(Range=text).status_code, 200)

    def test_if_range(self):
        self.assertEqual(self.download(Range="bytes=0-9", If_Range=self.etag).status_code, 206)
        other = self.download(Range="bytes=0-9", If_Range='"other"')
        self.assertEqual((other.status_code, other.content), (200, self.data))

    def test_if_none_match(self):
        for text in (self.etag, f'"x", {self.etag}', "*", "W/" + self.etag):
            with self.subTest(text):
                answer = self.download(If_None_Match=text)
                self.assertEqual((answer.status_code, answer.content), (304, b""))
        self.assertEqual(self.download(If_None_Match='"x"').status_code, 200)

    def test_head(self):
        answer = self.download("HEAD")
        self.assertEqual((answer.status_code, answer.content), (200, b""))
        self.assertEqual((answer.headers["Content-Length"], answer.headers["ETag"]), (str(len(self.data)), self.etag))

    def test_head_of_an_error_has_no_body(self):
        path = f"/v1/jobs/job_{'0' * 26}/download"
        head = f"Host: localhost\r\nX-Api-Key: {self.market.client_key}\r\n"
        with socket.create_connection(("127.0.0.1", self.market.port), 20) as connection:
            connection.sendall(f"HEAD {path} HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode())
            data = b"".join(iter(lambda: connection.recv(65_536), b""))
        self.assertTrue(data.startswith(b"HTTP/1.1 404 "))
        self.assertEqual(data.partition(b"\r\n\r\n")[2], b"")

    def test_curl_resumes(self):
        part = self.market.folder / "part.zip"
        part.write_bytes(self.data[:1000])
        subprocess.run(
            ["curl", "-sf", "-C", "-", "-o", str(part), "-H", f"X-Api-Key: {self.market.client_key}",
             f"{self.market.url}/v1/jobs/{self.done}/download"], check=True, timeout=30)
        self.assertEqual(part.read_bytes(), self.data)

    def test_unzip(self):
        subprocess.run(["unzip", "-tq", self.file], check=True, stdout=subprocess.DEVNULL, timeout=30)

    def test_7z(self):
        done = subprocess.run(["7z", "t", self.file], capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertNotIn("Warnings", done.stdout)

    def test_zipfile(self):
        with zipfile.ZipFile(self.file) as archive:
            self.assertIsNone(archive.testzip())
            names = archive.namelist()
            self.assertEqual(names, sorted(names))
            self.assertEqual({info.date_time for info in archive.infolist()}, {(1980, 1, 1, 0, 0, 0)})

    def test_manifest_holds_every_file(self):
        with zipfile.ZipFile(self.file) as archive:
            manifest = json.loads(archive.read(f"{self.done}/manifest.json"))
            self.assertEqual(self.market.get(f"/v1/jobs/{self.done}/manifest").content, archive.read(f"{self.done}/manifest.json"))
            entries = {entry["path"]: entry["sha256"] for entry in manifest["entries"]}
            found = {name.partition("/")[2]: hashlib.sha256(archive.read(name)).hexdigest()
                     for name in archive.namelist() if not name.endswith("/manifest.json")}
        self.assertEqual(entries, found)

    def test_manifest_is_signed(self):
        manifest = self.market.get(f"/v1/jobs/{self.done}/manifest").json()
        self.assertEqual([one["signer"] for one in manifest["signatures"]], ["coordinator", "miner"])

    def keys(self):
        path = self.market.folder / "keys.json"
        path.write_bytes(self.market.get("/v1/keys").content)
        return str(path)

    def test_verify(self):
        self.assertEqual(self.market.client("verify", "--job-id", self.done).returncode, 0)

    def test_verify_offline(self):
        keys = self.keys()
        done = self.market.client("verify", "--file", str(self.file), "--keys", keys, "--url", "http://127.0.0.1:1")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_verify_with_a_saved_receipt(self):
        keys, folder = self.keys(), self.market.folder
        saved = self.market.client("download", self.done, "--receipt", "--output", "saved")
        self.assertEqual((saved.returncode, saved.stdout), (0, "saved/output.zip\nsaved/receipt.json\n"), saved.stderr)
        receipt = json.loads((folder / "saved" / "receipt.json").read_text())

        def verify(path):
            return self.market.client("verify", "--file", "saved/output.zip", "--keys", keys, "--receipt", path,
                                      "--url", "http://127.0.0.1:1")
        done = verify("saved/receipt.json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(f"the receipt for {receipt['price']}", done.stdout)
        other = self.market.run("true")["job_id"]
        foreign = self.market.get(f"/v1/jobs/{other}/receipt").json()
        for name, document in (("changed", receipt | {"price": "9.000000"}), ("foreign", foreign)):
            (folder / f"{name}.json").write_text(json.dumps(document))
            done = verify(f"{name}.json")
            self.assertEqual(done.returncode, 9, name)
            self.assertIn("mismatch: the receipt", done.stdout)
        # A failed job costs nothing and has none: that is said, and no fault.
        failed = self.market.run("exit 3")["job_id"]
        done = self.market.client("verify", failed)
        self.assertEqual((done.returncode, "not charged" in done.stderr), (0, True), done.stdout + done.stderr)
        done = self.market.client("download", failed, "--receipt", "--output", "failed")
        self.assertEqual((done.returncode, done.stdout), (0, "failed/output.zip\n"), done.stderr)

    def test_verify_finds_a_flipped_bit_anywhere(self):
        keys, size = self.keys(), len(self.data)
        for place in (0, 20, 40, 100, size // 3, size // 2, size - 400, size - 150, size - 1):
            with self.subTest(place):
                damaged = bytearray(self.data)
                damaged[place] ^= 1
                path = self.market.folder / f"damaged-{place}.zip"
                path.write_bytes(damaged)
                done = self.market.client("verify", "--file", str(path), "--keys", keys)
                self.assertEqual(done.returncode, 9, done.stdout + done.stderr)

    def test_verify_of_another_jobs_package(self):
        other = self.market.run("true")["job_id"]
        self.assertEqual(self.market.client("verify", "--job-id", other, "--file", str(self.file)).returncode, 9)

    def test_the_documented_verifier(self):
        page = (Path(__file__).resolve().parents[2] / "docs" / "results.md").read_text()
        script = page.split("verify.py", 1)[1].split("```python\n", 1)[1].split("```", 1)[0]
        (self.market.folder / "verify.py").write_text(script)
        key = self.market.get("/v1/keys").json()["keys"][0]["key_id"]
        done = subprocess.run(
            [sys.executable, self.market.folder / "verify.py", self.file, key], capture_output=True, text=True, timeout=30)
        self.assertEqual((done.returncode, done.stdout), (0, f"intact: {self.done}\n"), done.stderr)

    def test_cli_extract(self):
        folder = self.market.folder / "extracted"
        done = self.market.client("download", self.done, "--output", str(folder), "--extract")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(list(folder.rglob("artifacts/random")))

    def test_cli_artifact(self):
        self.assertIn("numbers", self.market.client("artifacts", self.done).stdout)

    def test_a_stranger_gets_nothing(self):
        answer = requests.get(f"{self.market.url}/v1/jobs/{self.done}/download", timeout=20)
        self.assertEqual(answer.status_code, 401)
