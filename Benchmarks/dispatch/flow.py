"""What passes through: jobs that do nothing, from the submit until the submitter may know of their end."""

import os
import tempfile
import time

from market import Failure
from measures import BATCH, RUN_SECONDS, latencies, program

SLOWER_US = 2_000
BATCH_BODY = ('{"jobs":[' + ",".join(['{"payload":{"type":"noop"}}'] * BATCH) + "]}").encode()


def slow_disk(tools):
    """The environment of a process whose every fsync takes 2 ms longer."""
    return {"LD_PRELOAD": str(tools / "slow_sync.so"), "SLOW_SYNC_US": str(SLOWER_US)}


def floor(tools, folder, rows, group):
    """Rows per second of SQLite alone on the same disk, so many to a commit."""
    with tempfile.TemporaryDirectory(prefix="floor.", dir=folder) as own:
        return program(tools / "sqlite_floor", os.path.join(own, "floor.db"), rows, group)[0]


def submit_batches(client, batches):
    for _ in range(batches):
        client.ask("POST", "/v1/jobs:batch", BATCH_BODY, status=201, read=False, headers={"Prefer": "return=minimal"})


def until_completed(client, count):
    end = time.perf_counter() + RUN_SECONDS
    while client.total("completed") < count:
        if time.perf_counter() > end:
            raise Failure(f"{client.total('completed')} of {count} jobs completed in {RUN_SECONDS} s")
        time.sleep(0.01)


def through(market, runs, jobs):
    """([jobs/s], [coordinator's CPU, µs a job]) through a miner with a channel."""
    client = market.client()
    rates, costs = [], []
    done = client.total("completed")
    for run in range(runs + 1):
        batches = max(1, jobs // BATCH) if run else 1
        begin, cpu = time.perf_counter(), market.cpu_seconds()
        submit_batches(client, batches)
        done += batches * BATCH
        until_completed(client, done)
        seconds = time.perf_counter() - begin
        if run:
            rates.append(batches * BATCH / seconds)
            costs.append((market.cpu_seconds() - cpu) / (batches * BATCH) * 1e6)
    client.close()
    return rates, costs


def one_at_a_time(market, runs, jobs):
    return latencies(market, runs, jobs, warm=50)


def alternating(market, slow, runs, jobs):
    """([jobs/s], [jobs/s]) of both, one run each in turn, so that whatever else the machine does falls on both."""
    pairs = [(through(market, 1, jobs), through(slow, 1, jobs)) for _ in range(runs)]
    return tuple([pair[which][0][0] for pair in pairs] for which in (0, 1))


def least_submit_ms(market):
    """The fastest of some durable submits."""
    client = market.client()
    times = []
    for _ in range(20):
        begin = time.perf_counter()
        client.ask("POST", "/v1/jobs", {"payload": {"type": "noop"}, "constraints": {"region": "nowhere"}}, status=201)
        times.append((time.perf_counter() - begin) * 1_000)
    client.close()
    return min(times)


def check_slowness(market, slow):
    """A shim that is not loaded would flatter."""
    usual, slower = least_submit_ms(market), least_submit_ms(slow)
    if slower - usual < SLOWER_US / 1_000 * 0.9:
        raise Failure(f"the slower disk is none: a submit takes {slower:.2f} ms, else {usual:.2f} ms")
