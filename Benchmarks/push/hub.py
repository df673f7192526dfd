"""The hub alone, in the broadcaster, beside its peers."""

import statistics

from market import Failure
from servers import Server, free_port

ROUNDS = 5
SIZE = 200
NAMES = {"aitbc": "this hub", "socketify": "uWebSockets (socketify)", "websockets": "Python websockets",
         "floor": "floor (C)"}


def median_of(rows, key):
    return statistics.median(row[key] for row in rows)


def ratio_of(ours, theirs, key):
    """The median of the ratios of runs that stood beside each other."""
    return statistics.median(one[key] / other[key] for one, other in zip(ours, theirs))


def rounds(bench, names, *arguments, count=ROUNDS, **options):
    """Runs by turns, so that whatever else the machine does falls on all."""
    rows = {name: [] for name in names}
    for _ in range(1 if bench.quick else count):
        for name in names:
            rows[name].append(bench.run(name, *arguments, **options))
    return rows


def window(bench, seconds):
    return ["--warm", 0.3, "--seconds", 0.5 if bench.quick else seconds]


def thousands(value):
    return f"{value / 1e3:,.0f}k"


def fanout(bench):
    yield "Messages delivered per second of the server's CPU time.\n"
    yield "| readers | burst | floor (C) | uWebSockets (socketify) | this hub | to uWebSockets | to the floor |"
    yield "|---|---|---|---|---|---|---|"
    for readers in (100, 1_000) if bench.quick else (100, 1_000, 10_000):
        for burst in (1, 16):
            rows = rounds(bench, ("floor", "socketify", "aitbc"), readers, *window(bench, 1.0), burst=burst)
            key = "messages_per_cpu_s"
            cells = [thousands(median_of(rows[name], key)) for name in ("floor", "socketify", "aitbc")]
            yield "| " + " | ".join([
                f"{readers:,}", str(burst), *cells, f"{ratio_of(rows['aitbc'], rows['socketify'], key):.2f}",
                f"{ratio_of(rows['aitbc'], rows['floor'], key):.2f}"]) + " |"
    for burst in (1, 16):
        rows = rounds(bench, ("websockets", "aitbc"), 1_000, *window(bench, 1.0), count=3, burst=burst)
        theirs = thousands(median_of(rows["websockets"], "messages_per_cpu_s"))
        yield (f"\nPython websockets, 1,000 readers, bursts of {burst}: {theirs}; this hub delivers "
               f"{ratio_of(rows['aitbc'], rows['websockets'], 'messages_per_cpu_s'):.1f} times as many.")


def deflate(bench):
    yield "The same with permessage-deflate, 1,000 readers.\n"
    yield "| burst | uWebSockets (socketify) | this hub | to uWebSockets |"
    yield "|---|---|---|---|"
    for burst in (1, 16):
        rows = rounds(
            bench, ("socketify", "aitbc"), 1_000, *window(bench, 1.0), burst=burst, deflate=True)
        cells = [thousands(median_of(rows[name], "messages_per_cpu_s")) for name in ("socketify", "aitbc")]
        yield (f"| {burst} | {cells[0]} | {cells[1]} | "
               f"{ratio_of(rows['aitbc'], rows['socketify'], 'messages_per_cpu_s'):.2f} |")


def idle(bench):
    readers = 1_000 if bench.quick else 10_000
    yield f"Resident memory of the server for each idle connection, {readers:,} connections (user space only).\n"
    yield "| server | bytes a connection |"
    yield "|---|---|"
    for name, count in (("aitbc", 3), ("socketify", 1), ("websockets", 1), ("floor", 1)):
        rows = rounds(
            bench, (name,), readers, "--idle", 1, "--warm", 0, "--seconds", 0, count=count, mode="idle")[name]
        yield f"| {NAMES[name]} | {median_of(rows, 'bytes_per_connection'):,.0f} |"


def paused(bench):
    """The first reader never reads; what it costs the others."""
    words = ["--warm", 1, "--seconds", 1 if bench.quick else 3, "--receive-buffer", 4096]
    # Large messages, so that the paused one's buffers are full before the measuring begins.
    options = {"mode": "rate", "rate": 20, "burst": 4, "size": 4_000}
    with_it, without = [], []
    for _ in range(1 if bench.quick else ROUNDS):
        without.append(bench.run("aitbc", 1_000, *words, **options))
        with_it.append(bench.run("aitbc", 1_000, "--paused", 1, *words, **options))
    yield "One paused reader among 1,000; 20 bursts a second of 4 messages of 4,000 bytes. Delays of the others.\n"
    yield "| | p50 | p99 |"
    yield "|---|---|---|"
    for name, rows in (("all read", without), ("one is paused", with_it)):
        yield f"| {name} | {median_of(rows, 'p50_us') / 1e3:.2f} ms | {median_of(rows, 'p99_us') / 1e3:.2f} ms |"
    yield (f"\np99 with the paused one to p99 without: {ratio_of(with_it, without, 'p99_us'):.2f} "
           f"(p50: {ratio_of(with_it, without, 'p50_us'):.2f}).")


def slow(bench):
    """Many readers that never read, while much is produced; then they read, and some come back."""
    seconds, size, lazy, keen, back = (6 if bench.quick else 60), 32_000, 1_000, 4, 4
    rate = 100e6 / size
    port = free_port()
    alone = bench.run(
        "aitbc", keen, "--warm", 1, "--seconds", min(seconds, 10), mode="rate", rate=rate, size=size)
    words = bench.words(
        "aitbc", port, "rate", rate, 1, size, lazy + keen, False, ["--seconds", seconds + 2, "--unwritable", 30])
    with Server(words) as server:
        # Paused readers come first in the client's list.
        figures = bench.load(
            port, lazy + keen, "--server", server.pid, "--paused", lazy, "--receive-buffer", 4096, "--warm", 1,
            "--seconds", seconds, "--resume", back, "--settle", 60, check=False, timeout=seconds + 120)
    for fault in ("gaps", "repeats", "faults", "resets"):
        if figures[fault]:
            raise Failure(f"{figures[fault]} {fault} at slow readers")
    if not figures["messages"] or not alone["messages"]:
        raise Failure("the keen readers got nothing: the machine is too busy to measure")
    allowed = lazy * 128 / 1024
    grown = (figures["resident_end_kib"] - figures["resident_idle_kib"]) / 1024
    yield (f"{lazy:,} readers that never read, {keen} that do, 100 MB/s produced for {seconds} s "
           f"({rate:,.0f} messages of {size:,} bytes a second).\n")
    yield "| | |"
    yield "|---|---|"
    yield f"| resident memory grew by | {grown:.1f} MiB{'' if grown <= allowed else ': OVER THE BOUND'} |"
    yield f"| allowed: 128 KiB for each slow reader | {allowed:.0f} MiB |"
    yield f"| p99 of the keen readers; without the slow ones | {figures['p99_us'] / 1e3:.2f} ms; {alone['p99_us'] / 1e3:.2f} ms |"
    yield f"| server's CPU time a message to a keen reader; without | {cost(figures):.1f} µs; {cost(alone):.1f} µs |"
    yield f"| slow readers closed by the server when they read again | {figures['slow'] + figures['dropped']:,} |"
    yield (f"| {back} of them came back and read on | all have sequence {figures['lowest_seq']:,}: "
           f"{figures['gaps']} gaps, {figures['repeats']} repeats |")


def cost(figures):
    return figures["server_cpu_s"] * 1e6 / max(1, figures["messages"])
