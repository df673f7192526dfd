"""Load on a market whose processes are killed and stopped, with a ledger of what was accepted."""

import json
import os
import random
import signal
import threading
import time
import uuid

import requests

from audit import audit
from market import Market, TERMINAL, until

SCRIPT = """echo "start $AITBC_JOB_ID $AITBC_TRY" >> {log}
i=0; while [ $i -lt {ticks} ]; do sleep 0.05; i=$((i+1)); done
echo out; echo result > $AITBC_OUTPUT_DIR/result.txt; exit {code}"""


class Load:
    """Clients that submit, cancel and repeat what they got no answer to."""

    def __init__(self, market, seed, clients=3):
        self.market, self.seed, self.accepted, self.canceled = market, seed, {}, set()
        self.doubles, self.stop, self.lock = [], threading.Event(), threading.Lock()
        self.log = market.folder / "starts"
        self.limits = {}
        self.threads = [threading.Thread(target=self.client, args=(number,), daemon=True) for number in range(clients)]
        for thread in self.threads:
            thread.start()

    def ask(self, session, method, path, body, headers, patience=60):
        """Repeats until there is an answer. None when there never was one."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            try:
                answer = session.request(
                    method, self.market.url + path, json=body, headers=headers | {"X-Api-Key": self.market.client_key},
                    timeout=5)
                if answer.status_code < 500 and answer.status_code != 429:
                    return answer
            except requests.RequestException:
                session.close()
            time.sleep(0.05)
        return None

    def body(self, chance):
        if chance.random() < 0.25:
            return {"payload": {"type": "noop"}, "max_tries": chance.randint(1, 3)}
        if chance.random() < 0.1:
            return {"command": ["true"], "run_key": f"key {chance.randint(1, 2)}", "ttl_seconds": 600}
        script = SCRIPT.format(log=self.log, ticks=chance.randint(0, 30), code=int(chance.random() < 0.1))
        return {"command": ["sh", "-c", script], "max_tries": chance.randint(1, 4), "ttl_seconds": 600}

    def client(self, number):
        chance, session = random.Random(f"{self.seed} {number}"), requests.Session()
        session.trust_env = False
        while not self.stop.is_set():
            body, key = self.body(chance), uuid.uuid4().hex
            answer = self.ask(session, "POST", "/v1/jobs", body, {"Idempotency-Key": key})
            if answer is None or answer.status_code not in (200, 201):
                continue
            job = answer.json()["job_id"]
            with self.lock:
                self.accepted[job] = body
            if chance.random() < 0.3:
                # The answer was lost, as far as this client knows.
                again = self.ask(session, "POST", "/v1/jobs", body, {"Idempotency-Key": key})
                if again is not None and again.json().get("job_id") != job:
                    self.doubles.append((job, again.text))
            if chance.random() < 0.15:
                answer = self.ask(session, "POST", f"/v1/jobs/{job}/cancel", {"grace_seconds": 0}, {})
                if answer is not None and answer.status_code in (200, 202):
                    self.canceled.add(job)
            time.sleep(chance.random() * 0.3)

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(90)


class Chaos:
    """Kills and stops the processes of a market at random moments."""

    def __init__(self, seed, miners=3, lease="2s"):
        self.chance = random.Random(seed)
        self.market = Market("--lease", lease)
        self.names = [f"m{number}" for number in range(miners)]
        for name in self.names:
            self.start_miner(name)
        self.load = Load(self.market, seed)
        self.counts = {"coordinator": 0, "miner": 0, "stopped": 0}

    def start_miner(self, name):
        self.market.miner(name, "--slots", "3", "--sandbox", "none", wait=False)

    def kill(self):
        """One kill -9, and the process again after a moment."""
        if self.chance.random() < 0.4:
            self.counts["coordinator"] += 1
            self.market.coordinator.kill()
            self.market.coordinator.wait()
            time.sleep(self.chance.random() * 0.3)
            self.market.start()
        else:
            self.counts["miner"] += 1
            name = self.chance.choice(self.names)
            miner = self.market.miners[name]
            miner.kill()
            miner.wait()
            time.sleep(self.chance.random() * 0.3)
            self.start_miner(name)

    def pause(self):
        """Stops a process for a moment that may be longer than a lease."""
        self.counts["stopped"] += 1
        process = self.chance.choice([self.market.coordinator, *self.market.miners.values()])
        if process.poll() is None:
            process.send_signal(signal.SIGSTOP)
            time.sleep(self.chance.random() * 3)
            process.send_signal(signal.SIGCONT)

    def run(self, kills):
        for _ in range(kills):
            time.sleep(self.chance.random() * 1.0)
            self.kill()
            if self.chance.random() < 0.1:
                self.pause()

    def settle(self, seconds=180):
        """The load ends; all that was accepted must come to its end. Returns what is wrong."""
        self.load.end()
        for name in self.names:
            if self.market.miners[name].poll() is not None:
                self.start_miner(name)
        faults = [f"one key, two answers: {one}" for one in self.load.doubles]
        jobs = dict(self.load.accepted)
        open_jobs, deadline, ended = set(jobs), time.monotonic() + seconds, {}
        while open_jobs and time.monotonic() < deadline:
            for job in list(open_jobs):
                answer = self.market.get(f"/v1/jobs/{job}")
                if answer.status_code != 200:
                    faults.append(f"{job} was accepted; now {answer.status_code}")
                    open_jobs.discard(job)
                elif answer.json()["status"] in TERMINAL:
                    ended[job] = answer.json()
                    open_jobs.discard(job)
            time.sleep(0.2)
        faults += [f"{job} is still {self.market.job(job)['status']}" for job in open_jobs]
        for job in self.load.canceled:
            if job in ended and ended[job]["status"] in ("lost", "expired"):
                faults.append(f"{job}: its cancel was accepted, and it is {ended[job]['status']}")
        return faults + self.starts(jobs, ended)

    def starts(self, jobs, ended):
        """G9: what payloads wrote down themselves."""
        faults, seen = [], {}
        for line in self.load.log.read_text().splitlines() if self.load.log.exists() else []:
            _, job, number = line.split()
            seen.setdefault(job, []).append(int(number))
        for job, numbers in seen.items():
            limit = jobs.get(job, {}).get("max_tries", 3)
            if len(set(numbers)) != len(numbers):
                faults.append(f"{job}: tries {numbers} were started, one of them twice")
            if len(numbers) > limit:
                faults.append(f"{job}: {len(numbers)} starts of {limit}")
        for job, one in ended.items():
            if one["status"] == "completed" and "sh" in jobs[job].get("command", []) and job not in seen:
                faults.append(f"{job} is completed and never ran")
        return faults

    def finish(self):
        """Everything ends in order; what the database then says is looked at."""
        folder = self.market.folder
        for miner in self.market.miners.values():
            if miner.poll() is None:
                miner.terminate()
        for miner in self.market.miners.values():
            self.market.end(miner, signal.SIGTERM, 30)
        self.market.end(self.market.coordinator)
        faults = audit(folder / "data")
        self.market.stop()
        return faults


def chaos(kills, seed):
    """A whole run. Returns what is wrong, and a line about it."""
    run = Chaos(seed)
    try:
        run.run(kills)
        faults = run.settle() + run.finish()
    except BaseException:
        run.load.stop.set()
        run.market.abandon()
        raise
    return faults, f"seed {seed}: {run.counts}, {len(run.load.accepted)} jobs accepted"
