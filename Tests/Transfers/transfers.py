"""Uploads and downloads over connections that are cut again and again, with restarts and a full disk.

Each phase moves SIZE bytes and may cost at most 1.02 times as many, and a constant that shows only while SIZE is small:
256 KiB for what is asked and answered, and 512 KiB for each connection whose receiver is killed or has a full disk. So
much may then be in the buffers of its socket, where nobody finds it again (some 150 KiB were measured).
"""

import hashlib
import errno
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "EndToEnd"))

from market import BINARY, Market, until  # noqa: E402
from proxy import CuttingProxy  # noqa: E402

UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
PIECE = 1 << 20


def size_of(text):
    match = re.fullmatch(r"(\d+)([KMG]?)", text.upper())
    if not match:
        sys.exit("SIZE must be a number of bytes, or one with K, M or G")
    return int(match[1]) * UNITS.get(match[2], 1)


class Lane:
    def __init__(self, size, every, rate):
        self.size = size
        # A lease that outlives the restarts; they take longer on a busy machine.
        self.market = Market("--lease", "60s")
        self.folder = self.market.folder
        self.proxy = CuttingProxy(self.market.port, every, rate)
        self.seconds = size / rate
        self.environment = self.market.environment | {
            "AITBC_URL": f"http://127.0.0.1:{self.proxy.port}", "AITBC_API_KEY": self.market.client_key}
        self.mounted = False
        self.digest = self.make_file()

    def make_file(self):
        digest = hashlib.sha256()
        with open(self.folder / "data.bin", "wb") as file:
            left = self.size
            while left:
                piece = os.urandom(min(left, PIECE))
                file.write(piece)
                digest.update(piece)
                left -= len(piece)
        return digest.hexdigest()

    # What goes wrong

    def client(self, *words):
        return subprocess.Popen([BINARY, "client", *words], cwd=self.folder, env=self.environment,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def moved(self, direction, part):
        """Waits until this part of the bytes has gone over the proxy."""
        until(lambda: getattr(self.proxy, direction) >= part * self.size, f"{part} of the bytes",
              60 + 4 * self.seconds)

    def restart_coordinator(self):
        self.market.restart(signal.SIGKILL)

    def run_client(self, direction, *words, kill=True, restart=True):
        """Runs a client until it succeeds; it is killed once, and the coordinator too."""
        process = self.client(*words)
        if kill:
            self.moved(direction, 0.25)
            process.kill()
            process.communicate()
            process = self.client(*words)
        if restart:
            self.moved(direction, 0.5)
            self.restart_coordinator()
        for attempt in range(20):
            out, err = process.communicate(timeout=120 + 10 * self.seconds)
            if process.returncode == 0:
                return out
            print(f"    the client gave up ({err.strip().splitlines()[-1][:150] if err.strip() else ''}); again")
            process = self.client(*words)
        raise AssertionError("the client never succeeded: " + err)

    def phase(self, name, direction, body, losses):
        """Runs a part of the way. `losses`: how often what is in a receiver's buffers is lost."""
        limit = int(self.size * 1.02) + 256 * 1024 + losses * 512 * 1024
        self.proxy.reset()
        self.proxy.cutting = True
        start = time.monotonic()
        result = body()
        self.proxy.cutting = False
        cost = getattr(self.proxy, direction)
        print(f"  {name}: {cost:,} bytes for {self.size:,} ({cost / self.size:.4f}), {self.proxy.cuts} cuts, "
              f"{time.monotonic() - start:.1f} s", flush=True)
        assert cost <= limit, f"{name}: {cost} bytes were moved, allowed are {limit}"
        assert self.proxy.cuts, f"{name}: nothing was cut; make SIZE larger"
        return result

    # The phases

    def upload_input(self):
        # What it leaves is sent in a phase of its own.
        script = f"while [ ! -e {self.folder}/go ]; do sleep 0.1; done; mv data.bin $AITBC_OUTPUT_DIR/copy.bin"
        return self.run_client("up", "submit", "--ttl", "1d", "--timeout", "1d", "--input", "data.bin", "--",
                               "sh", "-c", script).strip()

    def start_miner(self):
        log = open(self.folder / "miner.log", "ab")
        miner = subprocess.Popen(
            [BINARY, "miner", "--api-key-file", "keys/miner.key", "--name", "miner", "--work-dir", "work",
             "--sandbox", "none"],
            cwd=self.folder, env=self.environment, stdout=log, stderr=log)
        log.close()
        self.market.miners["miner"] = miner
        return miner

    def fetch_input(self, job):
        miner = self.start_miner()
        self.moved("down", 0.4)
        miner.kill()
        miner.wait()
        self.start_miner()
        # It has all of it when the program has been started.
        return until(lambda: (found := self.market.job(job))["started_at"] and found, "the input is here",
                     120 + 10 * self.seconds)

    def upload_artifact(self, job):
        (self.folder / "go").touch()
        self.moved("up", 0.3)
        self.restart_coordinator()
        self.moved("up", 0.6)
        self.fill_disk()
        return self.market.finished(job, seconds=180 + 10 * self.seconds)

    def fill_disk(self):
        """Takes all the room there is, for a moment."""
        if not self.mounted:
            return
        ballast = self.folder / "data" / "ballast"
        piece, end = 1 << 30, 0
        with open(ballast, "wb", buffering=0) as file:
            while piece >= 4096:
                try:
                    os.posix_fallocate(file.fileno(), end, piece)
                    end += piece
                except OSError as fault:
                    if fault.errno != errno.ENOSPC:
                        raise
                    piece //= 2
        time.sleep(1.5)
        ballast.unlink()

    def download(self, job):
        self.run_client("down", "download", job, "--output", "got")

    def limit_disk(self):
        """The data on a file system of its own that can be filled; only root can make one."""
        if os.geteuid() != 0:
            print("  (not root: no file system that can be filled)")
            return
        data = self.folder / "data"
        self.market.end(self.market.coordinator)
        kept = self.folder / "kept"
        data.rename(kept)
        data.mkdir()
        self.mounted = self.mount(data, 4 * self.size + (600 << 20))
        shutil.copytree(kept, data, dirs_exist_ok=True)
        if not self.mounted:
            print("  (no file system that can be filled: mount is not allowed)")
        self.market.start()

    def mount(self, data, room):
        """In memory where that is a small part of it, else in a file."""
        if room < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4:
            words = ["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", data]
            return subprocess.run(words, capture_output=True).returncode == 0
        image = self.folder / "disk.img"
        with open(image, "wb") as file:
            file.truncate(room)
        return all(subprocess.run(words, capture_output=True).returncode == 0 for words in (
            ["mkfs.ext4", "-q", "-F", "-m", "0", image], ["mount", "-o", "loop,discard", image, data]))

    def run(self):
        self.limit_disk()
        job = self.phase("upload of an input", "up", self.upload_input, 2)
        self.market.jobs.append(job)
        blobs = [path for path in (self.folder / "data/blobs").glob("*/*")]
        assert [path.name for path in blobs] == [self.digest], blobs
        self.phase("input to the miner", "down", lambda: self.fetch_input(job), 1)
        done = self.phase("upload of an artifact", "up", lambda: self.upload_artifact(job), 2)
        assert done["status"] == "completed", done
        artifacts = self.market.get(f"/v1/jobs/{job}/artifacts").json()["artifacts"]
        assert artifacts == [{"path": "copy.bin", "size": self.size, "sha256": self.digest}], artifacts
        assert not list((self.folder / "data/uploads").iterdir()), "an upload was left"
        # Answered when it is packed.
        self.market.get(f"/v1/jobs/{job}/checksum", timeout=120 + 10 * self.seconds)
        self.phase("download", "down", lambda: self.download(job), 4)
        verified = self.market.client("verify", job, "--file", "got/output.zip")
        assert verified.returncode == 0, verified.stdout + verified.stderr
        assert sorted(path.name for path in (self.folder / "got").iterdir()) == ["output.zip"]

    def close(self):
        self.proxy.close()
        for process in self.market.miners.values():
            process.kill()
            process.wait()
        if self.mounted:
            self.market.end(self.market.coordinator)
            subprocess.run(["umount", self.folder / "data"], check=True)
        self.market.abandon()


def main():
    size = size_of(sys.argv[1] if len(sys.argv) > 1 else "48M")
    every = float(os.environ.get("EVERY", 0.6 if size < 1 << 30 else 5))
    rate = float(os.environ.get("RATE", 8e6 if size < 1 << 30 else 400e6))
    print(f"transfers of {size:,} bytes at {rate / 1e6:.0f} MB/s a connection, cut every {every} s")
    lane = Lane(size, every, rate)
    try:
        lane.run()
    except BaseException:
        for name in ("coordinator.err", "miner.log"):
            path = lane.folder / name
            if path.exists():
                print(f"--- {name}\n" + path.read_text(errors="replace")[-3000:])
        raise
    finally:
        lane.close()
    print("transfers: passed")


if __name__ == "__main__":
    main()
