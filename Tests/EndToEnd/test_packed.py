"""Results after their package stands: ranges, single files out of the zip, logs, keys."""

import hashlib
import json
import zipfile

from market import MarketTest, until


class Packed(MarketTest):
    """A job whose package is the only copy."""

    slowness = 2

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.job = cls.market.run(
            "seq 1 200000; echo to err >&2; cd $AITBC_OUTPUT_DIR; seq 1 150000 > numbers.txt;"
            "head -c 3500000 /dev/urandom > noise.bin; mkdir -p a/b; echo deep > a/b/c.txt; : > empty; echo r > result.txt",
            timeout_seconds=60)["job_id"]
        cls.package = cls.market.get(f"/v1/jobs/{cls.job}/download").content
        until(lambda: not cls.loose(), "the files that were packed are gone")
        cls.folder = cls.market.folder / "packed"
        cls.folder.mkdir()
        (cls.folder / "output.zip").write_bytes(cls.package)
        with zipfile.ZipFile(cls.folder / "output.zip") as archive:
            cls.files = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
            cls.methods = {i.filename.partition("/")[2]: i.compress_type for i in archive.infolist()}

    @classmethod
    def loose(cls):
        data = cls.market.folder / "data"
        return [path for top in ("logs", "artifacts") for path in (data / top).glob(f"{cls.job}/**/*")]

    def artifact(self, path, **headers):
        return self.market.get(f"/v1/jobs/{self.job}/artifacts/{path}", headers=headers)

    def test_there_is_one_copy(self):
        self.assertEqual(self.loose(), [])
        self.assertEqual(self.methods["artifacts/noise.bin"], zipfile.ZIP_STORED)
        self.assertEqual(self.methods["artifacts/numbers.txt"], zipfile.ZIP_DEFLATED)

    def test_single_files_come_out_of_it(self):
        for path in ("numbers.txt", "noise.bin", "a/b/c.txt", "empty"):
            with self.subTest(path):
                answer, expected = self.artifact(path), self.files["artifacts/" + path]
                self.assertEqual((answer.status_code, answer.content), (200, expected))
                self.assertEqual(answer.headers["ETag"], f'"{hashlib.sha256(expected).hexdigest()}"')
        self.assertEqual(self.artifact("result.txt").content, b"r\n")
        self.assertProblem(self.artifact("a/b"), 404)

    def test_logs_come_out_of_it(self):
        whole = self.files["logs/stdout.log"]
        path = f"/v1/jobs/{self.job}/logs"
        self.assertEqual(self.market.get(path).content, whole)
        self.assertEqual(self.market.get(path + "?offset=700000").content, whole[700000:])
        self.assertEqual(self.market.get(path + "?tail=2").content, b"199999\n200000\n")
        self.assertEqual(self.market.get(path + "?stream=stderr").content, b"to err\n")
        self.assertEqual(self.market.get(path + "?follow=1").content, whole)
        self.assertEqual(self.market.get(path).headers["X-Log-Length"], str(len(whole)))

    def test_the_feed_reads_its_logs_too(self):
        feed = self.market.feed(f"/v1/jobs/{self.job}/ws")
        feed.send(json.dumps({"type": "subscribe", "job_id": self.job, "logs": True}))
        text, ends = b"", 0
        while ends < 2:
            message = json.loads(feed.recv())
            if message["type"] != "log":
                continue
            if message["stream"] == "stdout":
                text += message.get("data", "").encode()
            ends += bool(message.get("eof"))
        self.assertEqual(hashlib.sha256(text).digest(), hashlib.sha256(self.files["logs/stdout.log"]).digest())

    def test_after_a_kill_nothing_is_different(self):
        before = self.artifact("numbers.txt").headers
        self.market.restart(9)
        self.assertEqual(self.market.get(f"/v1/jobs/{self.job}/download").content, self.package)
        self.assertEqual(self.artifact("numbers.txt").headers["ETag"], before["ETag"])

    def test_ranges(self):
        """RFC 9110 §13, §14, on a package, a stored and a deflated file."""
        count = 0
        for path, whole in ((f"/v1/jobs/{self.job}/download", self.package),
                            (f"/v1/jobs/{self.job}/artifacts/noise.bin", self.files["artifacts/noise.bin"]),
                            (f"/v1/jobs/{self.job}/artifacts/numbers.txt", self.files["artifacts/numbers.txt"])):
            tag = f'"{hashlib.sha256(whole).hexdigest()}"'
            for headers, expected in range_cases(len(whole), tag):
                with self.subTest(path=path, headers=headers):
                    count += 1
                    self.check_range(path, whole, tag, headers, expected)
        self.assertGreaterEqual(count, 60)

    def check_range(self, path, whole, tag, headers, expected):
        answer = self.market.get(path, headers=headers)
        head = self.market.session.head(self.market.url + path, headers=headers, timeout=30)
        status, part = (expected, None) if isinstance(expected, int) else (206, expected)
        self.assertEqual(answer.status_code, status)
        self.assertEqual(head.content, b"")
        if status in (200, 206):
            start, end = part or (0, len(whole))
            self.assertEqual(answer.content, whole[start:end])
            self.assertEqual(answer.headers["Content-Length"], str(end - start))
            self.assertEqual((head.status_code, head.headers["Content-Length"]), (200, str(len(whole))))
        if status != 412:
            self.assertEqual(answer.headers["ETag"], tag)
        self.assertEqual(answer.headers.get("Content-Range"), {
            206: part and f"bytes {part[0]}-{part[1] - 1}/{len(whole)}", 416: f"bytes */{len(whole)}"}.get(status))


def range_cases(size, tag):
    """Headers, and what must come: a status, or the part's first byte and the byte behind it."""
    last = size - 1
    for text, expected in (
            (None, 200), ("bytes=0-0", (0, 1)), (f"bytes=0-{last}", (0, size)), (f"bytes=0-{size}", (0, size)),
            ("bytes=0-9223372036854775807", (0, size)), ("bytes=5-", (5, size)), ("bytes=0-", (0, size)),
            (f"bytes={last}-", (last, size)), (f"bytes={size}-", 416), ("bytes=99999999999999999999999-", 416),
            ("bytes=-1", (last, size)), (f"bytes=-{size}", (0, size)), (f"bytes=-{size + 5}", (0, size)),
            ("bytes=-0", 416), ("bytes=300000-400000", (300000, 400001)),
            *large_parts(size), ("bytes=5-4", 200), ("bytes=a-b", 200),
            ("bytes=", 200), ("bytes=-", 200), ("items=0-1", 200), ("0-1", 200), ("bytes=0-1,3-4", 200),
            ("bytes=0-1,", 200), ("BYTES=0-1", (0, 2)), ("bytes=1-2-3", 200), ("bytes=--1", 200), ("bytes=+1-2", 200)):
        yield ({} if text is None else {"Range": text}), expected
    other, part = '"' + "0" * 64 + '"', {"Range": "bytes=2-3"}
    for conditions, expected in (
            ({"If-Range": tag}, (2, 4)), ({"If-Range": other}, 200), ({"If-Range": "W/" + tag}, 200),
            ({"If-Range": "Wed, 21 Oct 2015 07:28:00 GMT"}, 200), ({"If-None-Match": tag}, 304),
            ({"If-None-Match": "W/" + tag}, 304), ({"If-None-Match": "*"}, 304),
            ({"If-None-Match": f"{other}, {tag}"}, 304), ({"If-None-Match": other}, (2, 4)),
            ({"If-Match": tag}, (2, 4)), ({"If-Match": "*"}, (2, 4)), ({"If-Match": other}, 412),
            ({"If-Match": "W/" + tag}, 412)):
        yield part | conditions, expected


def large_parts(size):
    """Around the stretches in which large files go out."""
    mib = 1 << 20
    for first, end in ((0, mib), (1, mib + 2), (mib - 1, mib + 1), (mib, 2 * mib), (2 * mib - 1, 3 * mib + 1)):
        if end <= size:
            yield f"bytes={first}-{end - 1}", (first, end)


class Trust(MarketTest):
    """Signatures of coordinator and miner, and a change of keys."""

    def manifest(self, job):
        return self.market.get(f"/v1/jobs/{job}/manifest").json()

    def keys(self):
        return self.market.get("/v1/keys").json()["keys"]

    def test_the_miner_signs_what_it_sends(self):
        job = self.market.run("echo out; echo x > $AITBC_OUTPUT_DIR/a.txt")["job_id"]
        signers = {one["signer"]: one["key_id"] for one in self.manifest(job)["signatures"]}
        miner = self.market.get("/v1/miners").json()["miners"][0]
        self.assertEqual(signers, {"coordinator": self.keys()[0]["key_id"], "miner": miner["public_key"]})
        verified = self.market.client("verify", job, "--json")
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)
        self.assertEqual(json.loads(verified.stdout)["miner_key"], miner["public_key"])
        key = self.market.folder / "work-miner" / "signing.pem"
        self.assertEqual(key.stat().st_mode & 0o777, 0o600)

    def test_the_same_bytes_under_several_names(self):
        job = self.market.run("cd $AITBC_OUTPUT_DIR; head -c 300000 /dev/urandom > a; cp a b; mkdir d; cp a d/c")
        artifacts = self.market.get(f"/v1/jobs/{job['job_id']}/artifacts").json()["artifacts"]
        self.assertEqual([(one["path"], one["size"]) for one in artifacts], [(p, 300_000) for p in ("a", "b", "d/c")])
        self.assertEqual(len({one["sha256"] for one in artifacts}), 1)
        verified = self.market.client("verify", job["job_id"])
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)

    def test_a_new_key_signs_and_the_old_one_stays_listed(self):
        old = self.market.run("echo old")["job_id"]
        self.market.get(f"/v1/jobs/{old}/download")
        before = self.keys()[0]["key_id"]
        rotated = self.market.admin("signing-key", "rotate", "--keys-dir", "keys")
        self.assertEqual(rotated.returncode, 0, rotated.stderr)
        listed = self.keys()
        self.assertEqual([one["active"] for one in listed[:2]], [True, False])
        self.assertEqual(listed[1]["key_id"], before)
        self.assertTrue(listed[1]["valid_until"].endswith("Z"))
        new = self.market.run("echo new")["job_id"]
        self.assertEqual(self.manifest(new)["signatures"][0]["key_id"], listed[0]["key_id"])
        for job in (old, new):
            self.assertEqual(self.market.client("verify", job).returncode, 0)
        # Who has only the old list does not know the new key.
        self.market.client("download", new, "--output", "new")
        (self.market.folder / "old.json").write_text(json.dumps({"keys": [listed[1]]}))
        verified = self.market.client("verify", "--file", "new/output.zip", "--keys", "old.json")
        self.assertEqual(verified.returncode, 9)
        self.assertIn("not trusted", verified.stdout)
