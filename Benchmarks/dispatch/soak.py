"""Everything at once for a while: submitters, heartbeats, a slow reader. Nobody may be told that we are busy."""

import http.client
import threading
import time

from market import Failure
from measures import CONNECTIONS, program, quantile

MINERS = 100
BEATS = 500  # a second
LANES = 20  # connections that they come over: one at a time waits for its answers
WAL_LIMIT = 64 << 20


class Heartbeats(threading.Thread):
    """Of some of the miners by turns, over one connection."""

    def __init__(self, market, stop, lane):
        super().__init__()
        self.market, self.stop, self.lane = market, stop, lane
        self.times = []
        self.fault = None

    def run(self):
        client = self.market.client("miner")
        try:
            due = time.monotonic()
            while not self.stop.is_set():
                client.headers["X-Miner-ID"] = f"soak-{(len(self.times) * LANES + self.lane) % MINERS}"
                begin = time.perf_counter()
                client.ask("POST", "/v1/miners/heartbeat", {}, read=False)
                self.times.append((time.perf_counter() - begin) * 1_000)
                due += LANES / BEATS
                time.sleep(max(0, due - time.monotonic()))
        except (Failure, OSError, http.client.HTTPException) as fault:
            self.fault = fault
        client.close()


def register(market):
    client = market.client("miner")
    for number in range(MINERS):
        client.ask("POST", "/v1/miners/register", {"name": f"soak-{number}", "capabilities": {"runners": ["other"]}})
    client.close()


class SlowReader(threading.Thread):
    """One export after the other, each taken in small pieces."""

    def __init__(self, market, stop):
        super().__init__()
        self.market, self.stop = market, stop
        self.bytes = 0
        self.fault = None

    def run(self):
        try:
            while not self.stop.is_set():
                client = self.market.client()
                client.connection.request("GET", "/v1/jobs/export?format=json", headers=client.headers)
                answer = client.connection.getresponse()
                if answer.status != 200:
                    raise Failure(f"the export: {answer.status}")
                while not self.stop.wait(0.1) and (piece := answer.read(32 << 10)):
                    self.bytes += len(piece)
                client.close()
        except (Failure, OSError, http.client.HTTPException) as fault:
            self.fault = fault


class LogWatch(threading.Thread):
    """The largest size of SQLite's write-ahead log."""

    def __init__(self, market, stop):
        super().__init__()
        self.path, self.stop = market.folder / "data/market.db-wal", stop
        self.largest = 0

    def run(self):
        while not self.stop.wait(0.05):
            if self.path.exists():
                self.largest = max(self.largest, self.path.stat().st_size)


def soak(market, tools, seconds):
    """{submits/s, heartbeats/s, their p99 ms, bytes read, MiB of the log}. Throws Failure when anybody was refused."""
    stop = threading.Event()
    register(market)
    lanes = [Heartbeats(market, stop, lane) for lane in range(LANES)]
    reader, watch = SlowReader(market, stop), LogWatch(market, stop)
    helpers = [*lanes, reader, watch]
    for helper in helpers:
        helper.start()
    begin, created = time.monotonic(), 0
    try:
        while time.monotonic() < begin + seconds:
            _, done, other = program(tools / "submit_load", market.port, market.key, CONNECTIONS, 5_000)
            created += done
            if other:
                raise Failure(f"{other:.0f} submits were not answered 201")
    finally:
        passed = time.monotonic() - begin
        stop.set()
        for helper in helpers:
            helper.join(60)
    for helper in (*lanes, reader):
        if helper.fault:
            raise Failure(f"{type(helper).__name__}: {helper.fault}")
    times = [taken for lane in lanes for taken in lane.times]
    if not times:
        raise Failure("no heartbeat was answered")
    if watch.largest >= WAL_LIMIT:
        raise Failure(f"the write-ahead log grew to {watch.largest:,} bytes")
    return {"submits": created / passed, "beats": len(times) / passed, "beat_p99": quantile(times, 99),
            "read": reader.bytes / passed / 1024, "log": watch.largest / (1 << 20)}
