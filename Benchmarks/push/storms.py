"""The real coordinator under many readers: restarted below them, and with much progress to tell."""

import json
import statistics
import subprocess
import threading
import time

from feed import Feed
from market import Failure, Market, pin
from miner import ProgressMiner
from servers import require

JOB = {"payload": {"type": "noop"}, "ttl_seconds": 3600}
OPEN = ["--feeds-per-account", "20000", "--feeds-per-address", "20000"]


def last_sequence(market):
    feed = Feed(market.port, market.key)
    try:
        return feed.message()["seq"]
    finally:
        feed.close()


def change(market, count):
    """Jobs that are submitted, and every other one canceled at once."""
    client = market.client()
    for number in range(count):
        job = client.ask("POST", "/v1/jobs", JOB, status=201)["job_id"]
        if number % 2:
            client.ask("DELETE", f"/v1/jobs/{job}", status=202)
    client.close()


def restart(bench):
    """The coordinator is killed under its readers; jobs change before, meanwhile and afterwards."""
    readers = 1_000 if bench.quick else 10_000
    with Market(bench.aitbc, words=OPEN) as market:
        change(market, 10)
        load = subprocess.Popen(
            [str(word) for word in (
                bench.tools / "push_readers", "--port", market.port, "--path", "/v1/jobs/ws", "-n", readers, "--sources",
                10, "--header", f"X-Api-Key: {market.key}", "--resume", readers, "--settle", 120, "--obey")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=pin(1))
        try:
            if load.stdout.readline().strip() != "open":
                raise Failure("the load client did not open its connections")
            change(market, 10)
            begin = time.monotonic()
            market.kill_coordinator()
            market.start_coordinator()
            down = time.monotonic() - begin
            change(market, 20)
            time.sleep(5)
            change(market, 20)
            load.stdin.write(f"until {last_sequence(market)}\n")
            load.stdin.flush()
            figures = json.loads(load.stdout.readline())
        finally:
            load.kill()
            load.wait()
    for fault in ("gaps", "repeats", "faults", "resets"):
        if figures[fault]:
            raise Failure(f"{figures[fault]} {fault} after the restart: {figures['first_fault']}")
    if figures["lowest_seq"] != figures["highest_seq"] or not figures["back_s"]:
        raise Failure(f"not all came back: {figures}")
    yield f"{readers:,} readers of one account; the coordinator is killed (SIGKILL) and started again.\n"
    yield "| | |"
    yield "|---|---|"
    yield f"| opening all, with a snapshot each | {figures['opening_s']:.1f} s |"
    yield f"| the coordinator was away for | {down:.1f} s |"
    yield f"| all were back, from the kill on | {figures['back_s']:.1f} s |"
    yield (f"| durable events at the end | all {readers:,} have sequence {figures['highest_seq']:,}: {figures['gaps']} "
           f"lost, {figures['repeats']} repeated |")


def market(bench):
    """Watchers of one account with many running jobs; a miner that tells ten messages a second for each."""
    watchers, jobs = (100, 20) if bench.quick else (1_000, 200)
    figures = []
    with Market(bench.aitbc, words=OPEN) as house:
        client = house.client()
        miner = ProgressMiner(house.port, (house.folder / "keys/miner.key").read_text().strip(), slots=jobs)
        thread = threading.Thread(target=miner.run, daemon=True)
        thread.start()
        client.ask("POST", "/v1/jobs:batch", {"jobs": [JOB] * jobs}, status=201)
        end = time.monotonic() + 30
        while client.total("running") < jobs:
            if time.monotonic() > end:
                raise Failure(f"{client.total('running')} of {jobs} jobs run")
            time.sleep(0.1)
        for _ in range(1 if bench.quick else 5):
            figures.append(bench.load(
                house.port, watchers, "--path", "/v1/jobs/ws", "--header", f"X-Api-Key: {house.key}", "--time-key", "t=",
                "--server", house.coordinator.pid, "--warm", 5, "--seconds", 2, check=False))
            require(figures[-1], watchers)
        miner.stop()
        thread.join()
        client.close()
    each = statistics.median(row["messages"] / watchers / row["wall_s"] for row in figures)
    yield (f"{watchers:,} watchers of one account with {jobs} running jobs, each with 10 progress messages a second, "
           "through the real coordinator.\n")
    yield "| | |"
    yield "|---|---|"
    yield f"| messages to each watcher | {each:,.0f} a second ({jobs * 10:,} were told) |"
    yield f"| messages delivered | {statistics.median(row['messages_per_s'] for row in figures):,.0f} a second |"
    yield (f"| coordinator's CPU time, all it does | "
           f"{statistics.median(row['server_cpu_s'] / row['wall_s'] for row in figures) * 100:.0f} % of a core |")
    yield (f"| from the miner's message to a watcher | p50 {statistics.median(row['p50_us'] for row in figures) / 1e3:.0f} ms, "
           f"p99 {statistics.median(row['p99_us'] for row in figures) / 1e3:.0f} ms (25 ms are gathered) |")
