"""What is measured. Every function gives lists with one figure for each run."""

import os
import shutil
import statistics
import subprocess
import tempfile
import time

from feed import Feed
from market import Failure, Market, pin

CONNECTIONS = 64
BATCH = 1_000  # the most that a request may hold
SLOTS = 1_000  # the best of 64, 256, 512 and 1,000
RUN_SECONDS = 300
JOB = {"payload": {"type": "noop"}}


def quantile(values, part):
    """The smallest value that at least `part` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * part // 100) - 1)]


def program(path, *words):
    """What a C program of this folder prints, run on the load's core, or the server's for the floor."""
    role = 0 if path.name == "sqlite_floor" else 1
    done = subprocess.run(
        [path, *map(str, words)], stdout=subprocess.PIPE, timeout=RUN_SECONDS, preexec_fn=pin(role), check=False)
    if done.returncode != 0:
        raise Failure(f"{path.name} ended with {done.returncode}")
    return [float(word) for word in done.stdout.split()]


def start_ms(*words):
    """Milliseconds from spawning a program to its end."""
    null = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    begin = time.perf_counter()
    child = os.posix_spawn(words[0], words, os.environ, file_actions=null)
    _, status = os.waitpid(child, 0)
    took = (time.perf_counter() - begin) * 1_000
    if status != 0:
        raise Failure(f"{words[0]} ended with {os.waitstatus_to_exitcode(status)}")
    return took


def starts(aitbc, count):
    """Alternating, so that whatever else the machine does falls on both."""
    true = shutil.which("true")
    start_ms(str(aitbc), "--version")
    pairs = [(start_ms(str(aitbc), "--version"), start_ms(true)) for _ in range(count)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def floor(tools, folder, rows):
    """Rows per second of SQLite alone, on the file system where the coordinator has its database."""
    with tempfile.TemporaryDirectory(prefix="floor.", dir=folder) as own:
        return program(tools / "sqlite_floor", os.path.join(own, "floor.db"), rows, CONNECTIONS)[0]


def submits(aitbc, tools, runs, jobs):
    """(submits/s, rows/s of the floor right after each). No miner is connected, so the queue only grows."""
    rates, floors = [], []
    with Market(aitbc) as market:
        client = market.client()
        expected = 0
        for run in range(runs + 1):
            count = jobs if run else max(CONNECTIONS, jobs // 10)  # the first one warms up and is not counted
            seconds, created, other = program(tools / "submit_load", market.port, market.key, CONNECTIONS, count)
            expected += int(created)
            if other or client.total() != expected:
                raise Failure(f"{other:.0f} submits were not answered 201; {client.total()} of {expected} are there")
            if run:
                rates.append(created / seconds)
                floors.append(floor(tools, market.folder, jobs))
        client.close()
    return rates, floors


def end_to_end(aitbc, tools, runs, jobs):
    """(jobs/s, rows/s of the floor right after each): first submit until every job is completed."""
    rates, floors = [], []
    body = ('{"jobs":[' + ",".join(['{"payload":{"type":"noop"}}'] * BATCH) + "]}").encode()
    with Market(aitbc, slots=SLOTS) as market:
        client = market.client()
        done = 0
        for run in range(runs + 1):
            batches = max(1, jobs // BATCH) if run else 1
            begin = time.perf_counter()
            for _ in range(batches):
                client.ask("POST", "/v1/jobs:batch", body, status=201, headers={"Prefer": "return=minimal"})
            done += batches * BATCH
            while client.total("completed") < done:
                if time.perf_counter() - begin > RUN_SECONDS:
                    raise Failure(f"{client.total('completed')} of {done} jobs completed in {RUN_SECONDS} s")
                time.sleep(0.01)
            seconds = time.perf_counter() - begin
            if run:
                rates.append(batches * BATCH / seconds)
                floors.append(floor(tools, market.folder, jobs))
        client.close()
    return rates, floors


def one_at_a_time(aitbc, runs, jobs):
    with Market(aitbc, slots=SLOTS) as market:
        return latencies(market, runs, jobs, warm=20)


def latencies(market, runs, jobs, warm):
    """([p50 ms], [p99 ms]): POST one job, wait for its `end` on the feed, then the next. The first run, of `warm` jobs, does
    not count."""
    client = market.client()
    feed = Feed(market.port, market.key)
    medians, tails = [], []
    for run in range(runs + 1):
        times = []
        for _ in range(jobs if run else warm):
            begin = time.perf_counter()
            feed.wait_for_end(client.ask("POST", "/v1/jobs", JOB, status=201)["job_id"])
            times.append((time.perf_counter() - begin) * 1_000)
        if run:
            medians.append(statistics.median(times))
            tails.append(quantile(times, 99))
    feed.close()
    client.close()
    return medians, tails


def build_seconds(root, scratch):
    """`make build`'s command with nothing built before; fetching the dependencies is part of it."""
    shutil.rmtree(scratch, ignore_errors=True)
    begin = time.perf_counter()
    subprocess.run(
        [os.environ.get("SWIFT", "swift"), "build", "-c", "release", "--static-swift-stdlib", "--product", "aitbc",
         "--scratch-path", str(scratch)], cwd=root, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - begin
    shutil.rmtree(scratch, ignore_errors=True)
    return seconds
