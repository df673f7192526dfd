"""A queue of a million jobs, and thousands of miners: what waiting costs those that come after."""

import random
import statistics
import time

from flow import BATCH_BODY
from market import Failure
from measures import BATCH, RUN_SECONDS, quantile

WAITING = BATCH_BODY.replace(b'"noop"}', b'"noop"},"ttl_seconds":3600')


def timed(client, *words, **options):
    """(milliseconds, answer)"""
    begin = time.perf_counter()
    answer = client.ask(*words, **options)
    return (time.perf_counter() - begin) * 1_000, answer


def rounds(runs, count, once):
    """([p50 ms], [p99 ms]) of `count` calls in each run."""
    medians, tails = [], []
    for _ in range(runs):
        times = [once() for _ in range(count)]
        medians.append(statistics.median(times))
        tails.append(quantile(times, 99))
    return medians, tails


def fill(market, jobs):
    """Jobs per second of the submits."""
    client = market.client()
    begin = time.perf_counter()
    for _ in range(jobs // BATCH):
        client.ask("POST", "/v1/jobs:batch", WAITING, status=201, read=False)
    rate = jobs / (time.perf_counter() - begin)
    if client.total("pending") != jobs:
        raise Failure(f"{client.total('pending')} of {jobs} jobs wait")
    client.close()
    return rate


def register(market, miners):
    """Registrations per second of miners that ask for no work."""
    client = market.client("miner")
    body = {"capabilities": {"gpus": [{"name": "RTX 4090", "memory_mb": 24576}], "runners": ["other"]}, "region": "eu"}
    begin = time.perf_counter()
    for number in range(miners):
        client.ask("POST", "/v1/miners/register", body | {"name": f"crowd-{number}"}, read=False)
    rate = miners / (time.perf_counter() - begin)
    client.close()
    return rate


def claims(market, runs, count):
    """A miner that speaks REST: from its poll until it has the job."""
    miner = market.client("miner")
    miner.headers["X-Miner-ID"] = "claimer"
    miner.ask("POST", "/v1/miners/register", {"capabilities": {"runners": ["noop"]}})

    def once():
        took, job = timed(miner, "POST", "/v1/miners/poll", {"max_wait_seconds": 20})
        miner.headers["X-Lease-Token"] = job["lease_token"]
        miner.ask("POST", f"/v1/miners/{job['job_id']}/result", {"result": {}})
        return took

    try:
        return rounds(runs, count, once)
    finally:
        miner.close()


def lists(market, runs, count, path):
    """Pages of a hundred, each after the one before."""
    client = market.client()
    following = [path]

    def once():
        took, page = timed(client, "GET", following[0])
        following[0] = f"{path}&cursor={page['next_cursor']}"
        return took

    try:
        return rounds(runs, count, once)
    finally:
        client.close()


def moves(market, runs, count):
    """To the bottom, far back, a little forward, and a few to the top: an account may not have more than 100 jobs far
    before their turn."""
    client = market.client()
    chance = random.Random(1)
    known = []
    path = "/v1/queue?limit=500"
    for _ in range(20):
        page = client.ask("GET", path)
        known += [job["job_id"] for job in page["jobs"]]
        if not page["next_cursor"]:
            break
        path = f"/v1/queue?limit=500&cursor={page['next_cursor']}"
    turn = [0]
    places = list(range(0, len(known) - 20, 20))
    chance.shuffle(places)

    def once():
        turn[0] += 1
        # Each job is moved once: where one stands that was moved is not known.
        around, place = divmod(turn[0], len(places))
        place = places[place]
        job, near = known[place + around], known[place + 10 + around]
        job, target = [(job, {"bottom": True}), (job, {"after": near}), (near, {"before": job})][turn[0] % 3]
        if turn[0] % 20 == 0 and turn[0] <= 800:
            target = {"top": True}
        return timed(client, "POST", "/v1/queue/move", {"job_id": job} | target)[0]

    try:
        return rounds(runs, count, once)
    finally:
        client.close()


def cold_starts(market, runs):
    """Seconds from the program's start until it is ready, each after a kill -9."""
    times = []
    for _ in range(runs):
        market.kill_coordinator()
        begin = time.perf_counter()
        market.start_coordinator()
        times.append(time.perf_counter() - begin)
    return times


def drained(market, runs, jobs):
    """Jobs per second that a miner with a channel takes and ends; nothing is submitted meanwhile."""
    market.start_miner()
    client = market.client()
    rates = []
    for _ in range(runs):
        before, begin = client.total("completed"), time.perf_counter()
        while (after := client.total("completed")) < before + jobs:
            if time.perf_counter() > begin + RUN_SECONDS:
                raise Failure(f"{after - before} of {jobs} jobs completed in {RUN_SECONDS} s")
            time.sleep(0.01)
        rates.append((after - before) / (time.perf_counter() - begin))
    client.close()
    return rates
