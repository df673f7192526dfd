"""Much of everything: the memory of the coordinator does not grow with what it exports, lists and packs."""

import hashlib
import json
import os
import shutil
import socket
import sqlite3
import statistics
import time
import zipfile

import requests

from market import MarketTest

# Jobs of the account, and artifacts of one job.
ROWS = int(os.environ.get("ROWS", 200_000))
ARTIFACTS = int(os.environ.get("ARTIFACTS", 100_000))
MIB = 1 << 20
# What an export or a page may take: itself, and the caches of the database's four readers (16 MiB each), which fill.
READING = (4 * 16 + 24) * MIB


class LargeTest(MarketTest):
    def memory(self, name):
        """`VmRSS` or `VmHWM`, the peak, of the coordinator in bytes."""
        with open(f"/proc/{self.market.coordinator.pid}/status") as status:
            return next(int(line.split()[1]) << 10 for line in status if line.startswith(name))

    def begin_peak(self):
        """From here on the peak counts anew; returns what is used now."""
        with open(f"/proc/{self.market.coordinator.pid}/clear_refs", "w") as file:
            file.write("5")
        return self.memory("VmRSS")

    def database(self):
        """Of the stopped coordinator."""
        return sqlite3.connect(self.market.folder / "data" / "market.db")


class LongHistory(LargeTest):
    with_miner = False
    slowness = 30

    @classmethod
    def prepare(cls):
        market = cls.market
        job = market.submit("true", name="one of many", labels={"kind": "many"})
        market.post(f"/v1/jobs/{job}/cancel")
        cls.account = market.get("/v1/account").json()["account_id"]
        market.end(market.coordinator)
        database = sqlite3.connect(market.folder / "data" / "market.db")
        with database:
            columns = [row[1] for row in database.execute("PRAGMA table_info(jobs)")]
            values = {"key": "key + n", "id": "printf('job_0%025d', n)", "created_at": "created_at + n",
                      "completed_at": "completed_at + n"}
            numbers = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?) "
            database.execute(
                f"{numbers} INSERT INTO jobs ({', '.join(columns)}) "
                f"SELECT {', '.join(values.get(name, name) for name in columns)} FROM jobs, numbers", [ROWS - 1])
            for table, fields in (("specifications", "job + n, body"),
                                  ("job_labels", "account, name, value, created_at + n, job + n")):
                database.execute(f"{numbers} INSERT INTO {table} SELECT {fields} FROM {table}, numbers", [ROWS - 1])
            database.execute("UPDATE job_counts SET count = ? WHERE count = 1", [ROWS])
        database.close()
        market.start()

    def test_an_export_of_all_takes_no_memory(self):
        self.market.get("/v1/jobs/export?q=nothing+like+it")
        for format, row in (("json", b'{"job_id":'), ("csv", b"\r\n")):
            with self.subTest(format):
                before = self.begin_peak()
                rows = size = 0
                tail = b""
                url = f"{self.market.url}/v1/jobs/export?format={format}"
                with self.market.session.get(url, stream=True, timeout=300) as answer:
                    for piece in answer.iter_content(MIB):
                        rows += (tail + piece).count(row)
                        size += len(piece)
                        # What may be the beginning of another row.
                        tail = piece[-len(row) + 1:]
                self.assertEqual(rows, ROWS + (format == "csv"))
                self.assertGreater(size, ROWS * 100)
                grown = self.memory("VmHWM") - before
                self.assertLess(grown, READING, f"{size} bytes")
                print(f"export of {ROWS:,} jobs as {format}: {size:,} bytes, {grown / MIB:.1f} MiB more at the peak")

    def test_who_does_not_read_is_not_written_for(self):
        before = self.begin_peak()
        request = (f"GET /v1/jobs/export HTTP/1.1\r\nHost: 127.0.0.1:{self.market.port}\r\n"
                   f"X-Api-Key: {self.market.client_key}\r\n\r\n")
        with socket.create_connection(("127.0.0.1", self.market.port), timeout=20) as connection:
            connection.sendall(request.encode())
            self.assertIn(b" 200 ", connection.recv(4096))
            time.sleep(2)
            self.assertLess(self.memory("VmHWM") - before, READING)

    def test_pages_deep_in_the_list(self):
        def page(query):
            began = time.monotonic()
            answer = self.market.get("/v1/jobs?limit=100&" + query)
            taken = time.monotonic() - began
            self.assertEqual(answer.status_code, 200, answer.text)
            body = answer.json()
            self.assertEqual(body["total"], ROWS)
            return taken, [job["job_id"] for job in body["jobs"]], body["next_cursor"]

        for sort in ("", "sort=completed_at&", "label=kind%3Dmany&", "status=canceled&"):
            with self.subTest(sort):
                before = self.begin_peak()
                _, near, cursor = page(sort)
                deep = ROWS - 3_000
                _, far, far_cursor = page(f"{sort}offset={deep}")
                self.assertEqual(len(set(near) | set(far)), 200)
                times = {"near": [], "far": []}
                seen = set(near) | set(far)
                for _ in range(10):
                    for name, at in (("near", cursor), ("far", far_cursor)):
                        taken, ids, following = page(f"{sort}cursor={at}")
                        times[name].append(taken)
                        self.assertEqual(len(ids), 100)
                        self.assertFalse(seen & set(ids))
                        seen |= set(ids)
                        if name == "near":
                            cursor = following
                        else:
                            far_cursor = following
                near, far = (statistics.median(times[name]) for name in ("near", "far"))
                print(f"a page of 100 among {ROWS:,}: {near * 1e3:.1f} ms near, {far * 1e3:.1f} ms far ({sort or 'all'})")
                self.assertLess(self.memory("VmHWM") - before, READING)
        # The very end.
        last = self.market.get(f"/v1/jobs?limit=100&offset={ROWS - 1}").json()
        self.assertEqual((len(last["jobs"]), last["has_more"]), (1, False))


class ManyArtifacts(LargeTest):
    """A result of many files is packed; the rows and files are what so many uploads would have left."""

    slowness = 15

    def unpack(self, job):
        """Undoes the packing of a job of the stopped coordinator; its one artifact stands there under many names."""
        data = self.market.folder / "data"
        package = next(data.glob(f"packages/*/{job}.zip"))
        with zipfile.ZipFile(package) as archive:
            content = archive.read(f"{job}/artifacts/one.txt")
            logs = {name: archive.read(f"{job}/logs/{name}.log") for name in ("stdout", "stderr")}
        package.unlink()
        digest = hashlib.sha256(content).hexdigest()
        for path, written in [(f"artifacts/{job}/1/{digest}", content)] + [
                (f"logs/{job}/1.{name}", written) for name, written in logs.items()]:
            (data / path).parent.mkdir(parents=True, exist_ok=True)
            (data / path).write_bytes(written)
        database = self.database()
        with database:
            database.execute("DELETE FROM artifacts")
            database.executemany(
                "INSERT INTO artifacts (job, try, path, size, sha256) VALUES (?, 1, ?, ?, ?)",
                ((job, f"checkpoints/epoch-{n // 1000:03}/weights-{n:06}.bin", len(content), digest)
                 for n in range(ARTIFACTS)))
            # The miner signed one file.
            database.execute("UPDATE tries SET miner_key = NULL, miner_signature = NULL")
            database.execute("DELETE FROM packages")
            database.execute("UPDATE jobs SET is_packaged = 0")
        database.close()

    def test_packing_takes_little_memory(self):
        job = self.market.run("seq 100 > $AITBC_OUTPUT_DIR/one.txt; echo done")["job_id"]
        self.assertEqual(self.market.get(f"/v1/jobs/{job}/checksum").status_code, 200)
        for miner in self.market.miners.values():
            self.market.end(miner)
        self.market.end(self.market.coordinator)
        self.unpack(job)
        self.market.start()
        before = self.begin_peak()
        answer = self.market.session.get(f"{self.market.url}/v1/jobs/{job}/checksum", timeout=600)
        self.assertEqual(answer.status_code, 200, answer.text)
        grown = self.memory("VmHWM") - before
        print(f"packing {ARTIFACTS:,} files: {grown / MIB:.1f} MiB more at the peak")
        path = self.market.folder / "output.zip"
        with requests.get(f"{self.market.url}/v1/jobs/{job}/download", stream=True, timeout=600,
                          headers={"X-Api-Key": self.market.client_key}) as answer, open(path, "wb") as file:
            shutil.copyfileobj(answer.raw, file)
        self.assertIn(hashlib.sha256(path.read_bytes()).hexdigest(), self.market.get(f"/v1/jobs/{job}/checksum").text)
        with zipfile.ZipFile(path) as archive:
            output = json.loads(archive.read(f"{job}/output.json"))
            self.assertEqual(len(output["artifacts"]), ARTIFACTS)
            self.assertEqual(len(archive.namelist()), ARTIFACTS + 5)
        self.assertLess(grown, 64 * MIB)
