"""`/openapi.json`: a valid document, and a true one. Real answers are validated with it, and all that it documents is
really answered."""

import json
import re
import uuid

import jsonschema
import requests
from openapi_spec_validator import OpenAPIV31SpecValidator

from market import MarketTest, until


class Document:
    """The document with what was seen of it."""

    def __init__(self, text):
        self.json = json.loads(text)
        self.schemas = self.json["components"]["schemas"]
        self.seen, self.answered = set(), set()
        self.validators = {}
        self.paths = sorted(self.json["paths"], key=lambda path: (path.count("{"), "{path}" in path, -len(path)))

    def operation(self, method, url):
        """The operation that a request was for, with its address."""
        path = url.split("?")[0]
        for address in self.paths:
            pattern = re.escape(address).replace(r"\{path\}", ".+")
            pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", pattern)
            if re.fullmatch(pattern, path):
                item = self.json["paths"][address]
                return address, item.get(method.lower(), item.get("get") if method == "HEAD" else None)
        return None, None

    def strict(self, schema):
        """The schema with every member that it does not name forbidden, references put in."""
        if isinstance(schema, list):
            return [self.strict(one) for one in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            return self.strict(self.schemas[schema["$ref"].rpartition("/")[2]])
        result = {key: self.strict(value) if key != "properties" else
                  {name: self.strict(one) for name, one in value.items()} for key, value in schema.items()}
        if "properties" in result:
            result.setdefault("additionalProperties", False)
        return result

    def check(self, method, path, answer):
        """Validates one answer; says what is wrong, or nothing."""
        address, operation = self.operation(method, path)
        assert operation, f"{method} {path} is not documented"
        response = operation["responses"].get(str(answer.status_code))
        assert response, f"{method} {address}: status {answer.status_code} is not documented"
        self.answered.add((method, address, answer.status_code))
        if "$ref" in response:
            response = self.json["components"]["responses"]["Problem"]
        if method == "HEAD" or not response.get("content"):
            assert answer.content == b"", f"{method} {address}: a body that is not documented"
            return
        [(media, content)] = response["content"].items()
        got = answer.headers["Content-Type"]
        assert got.split(";")[0] == media.split(";")[0] or "format=csv" in path, f"{method} {address}: {got}"
        for name in response.get("headers", {}):
            if name in ("ETag", "Content-Range", "X-Checksum-Sha256", "Repr-Digest", "X-Log-Try", "X-Log-Length"):
                assert name in answer.headers, f"{method} {address}: {name} is missing"
        if not got.split(";")[0].endswith("json"):
            return
        schema = content["schema"]
        is_problem = got.startswith("application/problem")
        key = json.dumps(schema)
        if key not in self.validators:
            exact = schema if is_problem else self.strict(schema)
            if is_problem:
                exact = self.schemas["Problem"] | {"$defs": None}
                exact = json.loads(json.dumps(exact).replace("#/components/schemas/FieldError", "#/$defs/FieldError"))
                exact["$defs"] = {"FieldError": self.schemas["FieldError"]}
            self.validators[key] = jsonschema.Draft202012Validator(
                exact, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
        body = answer.json()
        errors = list(self.validators[key].iter_errors(body))
        assert not errors, f"{method} {address} {answer.status_code}: {errors[0].message[:500]} at {errors[0].json_path}"
        self.note(schema, body)

    def note(self, schema, value):
        """Takes note of the named schemas' members that a value has."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            self.note_members(name, self.schemas[name], value)
            return self.note(self.schemas[name], value)
        for choice in schema.get("anyOf", []) + schema.get("oneOf", []):
            if jsonschema.Draft202012Validator(self.strict(choice)).is_valid(value):
                self.note(choice, value)
        if isinstance(value, dict):
            for name, inner in schema.get("properties", {}).items():
                if value.get(name) is not None:
                    self.note(inner, value[name])
            if isinstance(schema.get("additionalProperties"), dict):
                for inner in value.values():
                    self.note(schema["additionalProperties"], inner)
        if isinstance(value, list):
            for one in value:
                self.note(schema.get("items", {}), one)

    def note_members(self, name, schema, value):
        if isinstance(value, dict):
            self.seen |= {(name, member) for member in schema.get("properties", {}) if value.get(member) is not None}


class OpenAPI(MarketTest):
    options = ("--lease", "2s")
    miner_options = ("--slots", "4", "--region", "eu-west", "--label", "disk=ssd", "--gpu", "V100:16384")

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.document = Document(requests.get(cls.market.url + "/openapi.json", timeout=20).text)

    def ask(self, method, path, status=None, key=True, **options):
        """Sends a request and validates its answer."""
        headers = options.pop("headers", {})
        keys = {True: self.market.client_key, "miner": self.market.miner_key, "admin": self.market.admin_key}
        if key:
            headers = headers | {"X-Api-Key": keys.get(key, key)}
        answer = requests.request(method, self.market.url + path, headers=headers, timeout=30, **options)
        if status:
            self.assertEqual(answer.status_code, status, f"{method} {path}: {answer.text[:600]}")
        self.document.check(method, path, answer)
        return answer

    def test_it_is_valid_and_open(self):
        answer = requests.get(self.market.url + "/openapi.json", timeout=20)
        self.assertEqual((answer.status_code, answer.headers["Content-Type"]), (200, "application/json"))
        document = answer.json()
        self.assertTrue(document["openapi"].startswith("3.1."))
        self.assertEqual([str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()], [])
        self.assertEqual(requests.head(self.market.url + "/openapi.json", timeout=20).status_code, 200)

    def test_a_tour_sees_all_that_is_documented(self):
        self.tour_of_submissions()
        self.tour_of_lists()
        self.tour_of_a_long_queue()
        self.tour_of_runs()
        self.tour_of_results()
        self.tour_of_miners()
        self.tour_of_administration()
        self.tour_of_errors()
        # What only answers hold; requests are told apart by refusing unknown members.
        missing = []
        for name, schema in self.document.schemas.items():
            if schema.get("additionalProperties") is False or "properties" not in schema:
                continue
            # What a job has is looked for where jobs are answered.
            known = set() if name == "Job" else set(self.document.schemas["Job"]["properties"])
            missing += [f"{name}.{member}" for member in schema["properties"]
                        if (name, member) not in self.document.seen and not (name == "SubmittedJob" and member in known)]
        # A key that was made just now is not revoked; this one takes a thousand finished jobs.
        missing = [one for one in missing if one.split("_unix")[0] not in ("CreatedKey.revoked_at", "PurgeAnswer.next_cursor")]
        self.assertEqual(missing, [], "documented, but never answered")
        answered = {(method, address) for method, address, status in self.document.answered if status < 400}
        routes = {(method.upper(), address) for address, item in self.document.json["paths"].items() for method in item}
        sockets = {("GET", address) for _, address in routes if address.endswith("/ws")}
        self.assertEqual(routes - answered - sockets, set(), "documented, but never asked for with success")

    def done(self, script="echo hello; echo model > $AITBC_OUTPUT_DIR/model.bin", **fields):
        job = self.ask("POST", "/v1/jobs", 201, json={"command": ["sh", "-c", script]} | fields).json()["job_id"]
        self.market.finished(job)
        return job

    def tour_of_submissions(self):
        digest = self.market.blob(b"#!/bin/sh\n")
        self.ask("HEAD", f"/v1/blobs/{digest}", 200)
        self.ask("GET", f"/v1/blobs/{digest}", 200)
        self.ask("PUT", f"/v1/blobs/{digest}", 200, data=b"#!/bin/sh\n")
        whole = {
            "command": ["sh", "-c", "echo 40 half > $AITBC_PROGRESS; sleep 3; echo x"], "name": "whole",
            "env": {"A": "b"}, "inputs": [{"path": "run.sh", "sha256": digest, "executable": True}],
            "artifacts": ["*.bin"], "priority": "high", "ttl_seconds": "30m", "timeout_seconds": 60, "max_tries": 2,
            "retry_on": ["EXIT_NONZERO"], "run_key": "tour", "strict": True, "labels": {"team": "tests"},
            "not_before": "2026-01-01T00:00:00Z", "payment_amount": 1.25, "payment_currency": "AITBC",
            "constraints": {"gpu": "V100", "gpu_count": 1, "min_vram_gb": 8, "region": "eu-west", "max_price": 2.5,
                            "labels": {"disk": "ssd"}, "cpus": 1, "memory_mb": 16}}
        key = {"Idempotency-Key": uuid.uuid4().hex}
        job = self.ask("POST", "/v1/jobs", 201, json=whole, headers=key).json()["job_id"]
        self.assertIn("Idempotent-Replay", self.ask("POST", "/v1/jobs", 201, json=whole, headers=key).headers)
        self.ask("POST", "/v1/jobs", 200, json=whole)
        until(lambda: self.ask("GET", f"/v1/jobs/{job}").json()["progress_message"] == "half", "progress")
        self.market.finished(job)
        self.ask("POST", "/v1/jobs?dry_run=1", 200, json=whole | {"run_key": None, "strict": None})
        self.ask("POST", "/v1/jobs", 201, json={"payload": {"type": "none", "more": [1]}, "constraints": {
            "cuda": "12", "models": ["m"], "network": True}})
        self.ask("POST", "/v1/jobs", 201, json={"model": "m", "input": "i", "requirements": {
            "gpu_type": "V100", "gpu_count": 1, "min_vram_gb": 1}})
        self.ask("POST", "/v1/jobs?dry_run=1", 200, json={"payload": {"type": "none"}})
        self.ask("POST", "/v1/jobs:batch", 201, json={"jobs": [{"command": ["true"]}, {"command": ["true"]}]})
        self.ask(
            "POST", "/v1/jobs:batch", 201, json={"jobs": [{"command": ["true"]}]}, headers={"Prefer": "return=minimal"})

    def tour_of_lists(self):
        for query in ("", "?limit=1&status=completed,QUEUED&days=2&sort=created_at", "?offset=1&q=whole&label=team=tests"):
            self.ask("GET", "/v1/jobs" + query, 200)
        self.ask("GET", "/v1/jobs/history?limit=2", 200)
        self.ask("GET", "/v1/jobs/export?format=json", 200)
        self.ask("GET", "/v1/jobs/export?format=csv", 200)
        self.ask("GET", "/v1/jobs/stats", 200)
        waiting = [self.ask("POST", "/v1/jobs", 201, json={"command": ["true"], "constraints": {"gpu": "none"}})
                   .json()["job_id"] for _ in range(3)]
        self.ask("GET", "/v1/queue?limit=1", 200)
        self.ask("POST", "/v1/queue/move", 200, json={"job_id": waiting[2], "before": waiting[0]})
        self.ask("PATCH", f"/v1/jobs/{waiting[0]}", 200, json={"priority": "low"})
        self.ask("GET", f"/v1/jobs/{waiting[0]}", 200)
        later = self.ask("POST", "/v1/jobs", 201, json={"command": ["true"], "not_before": "2099-01-01"}).json()["job_id"]
        self.ask("GET", f"/v1/jobs/{later}", 200)
        self.ask("DELETE", f"/v1/jobs/{later}", 202)
        self.ask("POST", f"/v1/jobs/{waiting[0]}/cancel", 202, json={"reason": "tour", "grace_seconds": 0})
        self.ask("POST", "/v1/jobs:cancel", 200, json={"ids": waiting, "dry_run": True})
        self.ask("POST", "/v1/jobs:cancel", 200, json={"status": "pending", "reason": "tour"})

    def tour_of_a_long_queue(self):
        """A place in the middle of more jobs than are counted."""
        body = {"jobs": [{"command": ["true"], "constraints": {"gpu": "none"}, "ttl_seconds": "1h"}] * 1000}
        jobs = [self.ask("POST", "/v1/jobs:batch", 201, json=body).json()["jobs"] for _ in range(3)]
        self.ask("GET", f"/v1/jobs/{jobs[1][500]['job_id']}", 200)
        self.ask("POST", "/v1/jobs:cancel", 200, json={"status": "pending", "reason": "tour"})

    def tour_of_runs(self):
        failed = self.done("echo $AITBC_TRY >&2; exit 3", run_key="runs", strict=True)
        self.ask("GET", f"/v1/jobs/{failed}", 200)
        self.ask("GET", f"/v1/jobs/{failed}/result", 200)
        self.ask("POST", "/v1/run-keys/runs/unlock", 200, json={"ttl": "1h", "reason": "tour"})
        self.ask("GET", "/v1/run-keys/runs", 200)
        again = {"command": ["sh", "-c", "echo $AITBC_TRY >&2; exit 3"], "run_key": "runs", "strict": True}
        self.market.finished(self.ask("POST", "/v1/jobs", 201, json=again).json()["job_id"])
        rerun = self.ask("POST", f"/v1/jobs/{failed}/rerun", 201, json={"reason": "tour"}).json()["job_id"]
        self.market.finished(rerun)
        self.ask("GET", f"/v1/jobs/{rerun}", 200)
        self.ask("GET", f"/v1/jobs/{rerun}/attempts?limit=1", 200)
        self.ask("GET", f"/v1/jobs/{rerun}/attempts", 200)
        self.ask("GET", "/v1/run-keys/runs?limit=1", 200)
        self.ask("GET", f"/v1/jobs/{rerun}/tries", 200)
        self.ask("GET", f"/v1/jobs/{rerun}/logs?stream=stderr", 200)

    def tour_of_results(self):
        job = self.done()
        for part in ("result", "checksum", "manifest", "artifacts", "receipt", "receipts", "logs"):
            self.ask("GET", f"/v1/jobs/{job}/{part}", 200)
        for part in ("download", "artifacts/model.bin"):
            tag = self.ask("GET", f"/v1/jobs/{job}/{part}", 200).headers["ETag"]
            self.ask("GET", f"/v1/jobs/{job}/{part}", 206, headers={"Range": "bytes=0-1"})
            self.ask("GET", f"/v1/jobs/{job}/{part}", 304, headers={"If-None-Match": tag})
            self.ask("GET", f"/v1/jobs/{job}/{part}", 412, headers={"If-Match": '"x"'})
            self.ask("GET", f"/v1/jobs/{job}/{part}", 416, headers={"Range": "bytes=99999999-"})
        share = self.ask("POST", f"/v1/jobs/{job}/share", 201, json={"expires": "1h", "max_downloads": 9}).json()
        for prefix in ("/share/", "/v1/share/"):
            self.ask("GET", prefix + share["token"], 200, key=None)
            for part in ("download", "checksum", "manifest", "artifacts", "artifacts/model.bin"):
                self.ask("GET", f"{prefix}{share['token']}/{part}", 200, key=None)
        self.ask("GET", f"/v1/jobs/{job}/shares", 200)
        self.ask("DELETE", f"/v1/jobs/{job}/shares/{share['share_id']}", 204)
        self.ask("POST", "/v1/jobs:purge", 200, json={"all": True, "dry_run": True})
        self.ask("DELETE", f"/v1/jobs/{job}/results", 200)
        self.ask("GET", f"/v1/jobs/{job}", 200)
        self.ask("POST", "/v1/jobs:purge", 200, json={"run_key": "runs"})

    def tour_of_miners(self):
        self.ask("GET", "/v1/miners", 200)
        self.ask("GET", "/v1/account", 200)
        self.ask("GET", "/v1/account", 200, key="miner")
        body = {"capabilities": {"gpus": [{"name": "RTX 4090", "memory_mb": 24576}], "models": ["m"], "price": 1.5,
                                 "labels": {"rest": "1"}, "runners": ["tour", "process"]}, "concurrency": 2, "region": "eu", "name": "rest"}
        miner = self.ask("POST", "/v1/miners/register", 200, key="miner", json=body).json()
        as_miner = {"key": "miner", "headers": {"X-Miner-ID": miner["miner_id"]}}
        wanted = {"constraints": {"labels": {"rest": "1"}}, "max_tries": 1}
        for number in range(4):
            wish = {"payload": {"type": "tour"}} if number else {"command": ["true"], "env": {"A": "b"}}
            job = self.ask("POST", "/v1/jobs", 201, json=wish | wanted).json()["job_id"]
            work = self.ask("POST", "/v1/miners/poll", 200, json={"max_wait_seconds": 20}, **as_miner).json()
            self.assertEqual(work["job_id"], job)
            lease = {"lease_token": work["lease_token"]}
            self.ask("POST", "/v1/miners/heartbeat", 200, json={}, **as_miner)
            if number == 0:
                path = f"/v1/leases/{work['lease_token']}/artifacts/a/b"
                digest = {"Repr-Digest": "sha-256=:ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=:"}
                self.ask("PUT", path, 201, key="miner", headers=digest, data=b"a")
                self.ask("HEAD", path, 200, key="miner", headers=digest)
                self.ask("POST", f"/v1/miners/{job}/result", 200,
                         json={"result": {"output": "x"}, "metrics": {"duration_ms": 5}} | lease, **as_miner)
                self.ask("POST", f"/v1/miners/{job}/result", 409, json={"result": {}} | lease, **as_miner)
                self.ask("GET", f"/v1/jobs/{job}/tries", 200)
                self.ask("GET", f"/v1/jobs/{job}/result", 200)
                self.ask("GET", f"/v1/jobs/{job}", 200)
            elif number == 1:
                self.ask("POST", f"/v1/miners/{job}/fail", 200, json={"error_code": "OOM"} | lease, **as_miner)
            else:
                self.ask("POST", f"/v1/jobs/{job}/cancel", 202)
                self.ask("POST", f"/v1/jobs/{job}/cancel", 200, json={})
                self.ask("GET", f"/v1/jobs/{job}", 200)
                self.ask("POST", "/v1/miners/heartbeat", 200, json={}, **as_miner)
                self.ask("POST", f"/v1/miners/{job}/fail", 200, json={"error_code": "CANCELED"} | lease, **as_miner)
        self.ask("POST", "/v1/miners/poll", 204, json={"max_wait_seconds": 0}, **as_miner)
        self.ask("GET", f"/v1/miners/{miner['miner_id']}/earnings", 200, key="miner")

    def tour_of_administration(self):
        for path in ("plans", "accounts?limit=1", "keys", "miners", "stats", "ledger", "accounts/default"):
            self.ask("GET", "/v1/admin/" + path, 200, key="admin")
        self.ask("POST", "/v1/admin/accounts", 201, key="admin", json={"name": "other", "plan": "pro"})
        self.ask("GET", "/v1/admin/accounts?limit=1", 200, key="admin")
        self.ask("PATCH", "/v1/admin/accounts/other", 200, key="admin", json={"plan": "free"})
        made = self.ask("POST", "/v1/admin/keys", 201, key="admin",
                        json={"account": "other", "role": "client", "name": "laptop"}).json()
        self.ask("DELETE", f"/v1/admin/keys/{made['key_id']}", 200, key="admin")
        self.ask("GET", "/v1/admin/keys?account=other", 200, key="admin")
        miner = [one for one in self.ask("GET", "/v1/admin/miners", key="admin").json()["miners"] if one["name"] == "rest"]
        for action in ("drain", "undrain"):
            self.ask("POST", f"/v1/admin/miners/{miner[0]['miner_id']}/{action}", 200, key="admin")
        self.ask("DELETE", f"/v1/admin/miners/{miner[0]['miner_id']}?force=1", 200, key="admin")
        for path in ("/healthz", "/readyz", "/v1/health", "/metrics", "/openapi.json", "/v1/keys"):
            self.ask("GET", path, 200, key=None)
            self.ask("HEAD", path, 200, key=None)

    def tour_of_errors(self):
        unknown = "job_" + "0" * 26
        for method, item in [(method, address) for address, methods in self.document.json["paths"].items()
                             for method in methods]:
            path = re.sub(r"\{(\w+)\}", lambda found: unknown if found[1] == "id" else "x", item)
            # Without a key, with a wrong one, of a wrong role, and for what is not there.
            for key in (None, "ak_wrong", "miner", True, "admin"):
                self.ask(method.upper(), path, key=key)
            for body in ("{", '{"no_such_field": 1}', "[]"):
                if method in ("post", "patch") and "x" not in item.split("/"):
                    self.ask(method.upper(), path, key="admin" if "/admin/" in path else
                             "miner" if "/miners/" in path else True, data=body)
