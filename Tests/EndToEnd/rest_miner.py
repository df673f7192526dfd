"""A small miner that speaks AITBC's REST protocol with `requests`, as other people's miners do."""

import requests


class RestMiner:
    def __init__(self, market, name=None, key=None):
        self.url, self.session = market.url + "/v1/miners", requests.Session()
        self.session.trust_env = False
        self.session.headers["X-Api-Key"] = key or market.miner_key
        if name:
            self.session.headers["X-Miner-ID"] = name

    def post(self, path, body=None, timeout=70, **options):
        return self.session.post(f"{self.url}/{path}", json=body, timeout=timeout, **options)

    def register(self, concurrency=1, **fields):
        body = {"capabilities": {"gpus": [{"name": "RTX 4090", "memory_mb": 24576}], "models": ["tiny"],
                                 "cuda": "12.4", "price": 3600}, "concurrency": concurrency, "region": "eu-west"}
        answer = self.post("register", body | fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def heartbeat(self, **fields):
        answer = self.post("heartbeat", {"inflight": 0, "status": "ONLINE", "metadata": {}} | fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def poll(self, wait=10):
        """A job, or None when the time was over."""
        answer = self.post("poll", {"max_wait_seconds": wait})
        if answer.status_code == 204:
            assert not answer.content
            return None
        assert answer.status_code == 200, answer.text
        return answer.json()

    def result(self, job, result, **fields):
        return self.post(f"{job['job_id']}/result", {"result": result, "metrics": {"duration_ms": 5}} | fields,
                         headers={"X-Lease-Token": job["lease_token"]})

    def fail(self, job, code="OOM", message="out of memory", **fields):
        return self.post(f"{job['job_id']}/fail", {
            "error_code": code, "error_message": message, "metrics": {}, "lease_token": job["lease_token"]} | fields)

    def run_one(self, work, wait=10):
        """What a miner does all day: waits, works, reports. Returns the job's id."""
        job = self.poll(wait)
        if job is None:
            return None
        try:
            answer = self.result(job, work(job["payload"]))
        except ValueError as error:
            answer = self.fail(job, "BAD_INPUT", str(error))
        assert answer.status_code == 200, answer.text
        return job["job_id"]
