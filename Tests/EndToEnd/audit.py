"""Reads the database of a stopped market and tells what can't be. Also a tool: audit.py DATA-DIR."""

import re
import sqlite3
import sys
from pathlib import Path

STATES = ("pending", "assigned", "running", "canceling", "completed", "failed", "canceled", "expired", "lost", "skipped")
TERMINAL = {"completed", "failed", "canceled", "expired", "lost", "skipped"}
HELD = {"assigned", "running", "canceling"}


def transitions():
    """What may follow each state, from the table in docs/states.md, which a test compares with the code."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "states.md").read_text()
    rows = re.findall(r"^\| (\w+) \|((?: [\w-]+ \|){9})$", page.split("## The table")[1], re.M)
    found = {state: {cell for cell in re.findall(r"[\w-]+", cells) if cell in STATES} for state, cells in rows if state in STATES}
    assert len(found) == len(STATES), "the table in docs/states.md can't be read"
    return found


def rows(database, text):
    cursor = database.execute(text)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row)) for row in cursor]


def replay(database, jobs, faults):
    """G3 and G7: the log, replayed, gives the table; no step of it is one that the table of states forbids."""
    following, states, tries, last = transitions(), {}, {}, 0
    for event in rows(database, "SELECT * FROM events ORDER BY sequence"):
        job, state, before = event["job"], STATES[event["state"]], states.get(event["job"])
        if event["sequence"] <= last:
            faults.append(f"event {event['sequence']} after {last}")
        last = event["sequence"]
        if before is None and state != "pending":
            faults.append(f"job {job} begins as {state}")
        if before is not None and state not in following[before]:
            faults.append(f"job {job} went from {before} to {state}")
        if event["try"] < tries.get(job, 0):
            faults.append(f"job {job} went back from try {tries[job]} to {event['try']}")
        states[job], tries[job] = state, event["try"]
    for job in jobs:
        if states.get(job["key"]) != job["word"]:
            faults.append(f"{job['id']} is {job['word']}; its log says {states.get(job['key'])}")


def leases(jobs, tries, faults):
    """G4 and G9: one live lease where there must be one and none elsewhere; numbers without a gap; counts in bounds."""
    limits = {}
    for job in jobs:
        own = [one for one in tries if one["job"] == job["id"]]
        held = [one["number"] for one in own if one["state"] == "held"]
        if held != ([job["last_try"]] if job["word"] in HELD else []):
            faults.append(f"{job['id']} is {job['word']} in try {job['last_try']} with live tries {held}")
        if sorted(one["number"] for one in own) != list(range(1, job["last_try"] + 1)):
            faults.append(f"{job['id']}: tries {[one['number'] for one in own]}, the last is {job['last_try']}")
        used = sum(one["state"] != "refused" or one["started_at"] is not None for one in own)
        limits[job["id"]] = job["tries_used"]
        if job["tries_used"] > job["max_tries"] or used > job["max_tries"]:
            faults.append(f"{job['id']} used {job['tries_used']} tries ({used} by their rows) of {job['max_tries']}")


def money(database, jobs, faults):
    """G14: every job's lines sum to zero; charges only for what was accepted."""
    states = {job["id"]: job["word"] for job in jobs}
    for line in rows(database, "SELECT job, sum(amount) AS sum FROM ledger GROUP BY job"):
        if line["sum"] != 0:
            faults.append(f"the ledger of {line['job']} sums to {line['sum']}")
        if line["job"] in states and states[line["job"]] not in ("completed", "canceled"):
            faults.append(f"{line['job']} is {states[line['job']]} and was charged")
    sums = {one["party"]: one["sum"] for one in rows(database, "SELECT party, sum(amount) AS sum FROM ledger GROUP BY party")}
    for one in rows(database, "SELECT * FROM balances"):
        if one["amount"] != sums.pop(one["party"], 0):
            faults.append(f"the balance of {one['party']} is {one['amount']}, its lines say something else")
    for party in sums:
        faults.append(f"{party} has lines and no balance")


def counters(database, jobs, faults):
    """What the store counts besides is what is there."""
    counted = {(one["account"], one["state"]): one["count"] for one in rows(database, "SELECT * FROM job_counts")}
    there = {}
    for job in jobs:
        there[job["account"], job["state"]] = there.get((job["account"], job["state"]), 0) + 1
    for key in counted.keys() | there.keys():
        if counted.get(key, 0) != there.get(key, 0):
            faults.append(f"{STATES[key[1]]} jobs: counted {counted.get(key, 0)}, there are {there.get(key, 0)}")
    for one in rows(database, "SELECT * FROM classes"):
        own = [job for job in jobs if job["class"] == one["id"] and job["word"] == "pending"]
        if (one["pending"], one["ready"]) != (len(own), sum(job["ready"] == 1 for job in own)):
            # 2: held back, because the account has as many running as it may.
            faults.append(f"class {one['id']}: counted {one['pending']} and {one['ready']}, there are {len(own)}")
    stored = {one["account"]: one["sum"] for one in rows(
        database, "SELECT j.account, sum(p.size) AS sum FROM packages p JOIN jobs j ON j.id = p.job GROUP BY j.account")}
    for one in rows(database, "SELECT * FROM account_totals"):
        own = [job for job in jobs if job["account"] == one["account"]]
        there = (sum(job["word"] == "completed" for job in own), sum(job["cost"] for job in own),
                 stored.get(one["account"], 0))
        if (one["completed"], one["spent"], one["stored"]) != there:
            faults.append(f"totals of {one['account']}: {one['completed']}, {one['spent']}, {one['stored']}, not {there}")


def keys(database, jobs, faults):
    """G2: a run key's attempts are numbered once each, and at most one is active."""
    for one in rows(database, "SELECT * FROM run_keys"):
        own = [job for job in jobs if job["account"] == one["account"] and job["run_key"] == one["key"]]
        numbers = sorted(job["attempt"] for job in own)
        if len(set(numbers)) != len(numbers) or (numbers and numbers[-1] > one["last_attempt"]):
            faults.append(f"run key {one['key']}: attempts {numbers}, the last is {one['last_attempt']}")
        if sum(job["word"] not in TERMINAL for job in own) > 1:
            faults.append(f"run key {one['key']} is active twice")


def audit(data):
    """All that is wrong in this data directory; empty when nothing is."""
    database = sqlite3.connect(f"file:{Path(data) / 'market.db'}?mode=ro", uri=True)
    try:
        faults = [f"integrity: {row[0]}" for row in database.execute("PRAGMA integrity_check") if row[0] != "ok"]
        jobs = rows(database, """SELECT j.*, coalesce(json_extract(s.body, '$.max_tries'), 3) AS max_tries
            FROM jobs j JOIN specifications s ON s.job = j.key""")
        for job in jobs:
            job["word"] = STATES[job["state"]]
        replay(database, jobs, faults)
        leases(jobs, rows(database, "SELECT * FROM tries"), faults)
        money(database, jobs, faults)
        counters(database, jobs, faults)
        keys(database, jobs, faults)
        return faults
    finally:
        database.close()


if __name__ == "__main__":
    found = audit(sys.argv[1])
    print("\n".join(found) or "nothing is wrong")
    sys.exit(1 if found else 0)
