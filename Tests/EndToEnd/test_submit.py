"""Submitting: the body shapes, batches, dry runs, repeats; and what is refused."""

import subprocess
import uuid

from market import MarketTest, marker


class Submit(MarketTest):
    def test_command_shape(self):
        job = self.market.submit("echo", "hello")
        self.market.finished(job)
        self.assertEqual(self.market.get(f"/v1/jobs/{job}/logs").text, "hello\n")

    def test_payload_shape(self):
        job = self.market.submit(payload={"type": "noop", "x": [1, {"y": None}]})
        self.assertEqual(self.market.finished(job)["status"], "completed")
        self.assertEqual(self.market.get(f"/v1/jobs/{job}/result").json()["result"]["x"], [1, {"y": None}])

    def test_payload_of_type_process_runs_its_command(self):
        job = self.market.submit(payload={"type": "process", "command": ["echo", "from the payload"]})
        self.market.finished(job)
        self.assertEqual(self.market.get(f"/v1/jobs/{job}/logs").text, "from the payload\n")

    def test_guide_shape_is_inference_with_constraints(self):
        job = self.market.submit(
            model="llama", input={"prompt": "hi"}, output_config={"format": "json"}, priority="high",
            requirements={"gpu_type": "A100", "gpu_count": 2, "min_vram_gb": 40}, timeout_seconds=60)
        known = self.market.job(job)
        self.assertEqual((known["type"], known["priority"], known["timeout_seconds"]), ("inference", "high", 60))
        self.assertEqual(known["constraints"], {"gpu": "A100", "gpu_count": 2, "min_vram_gb": 40})
        self.market.post(f"/v1/jobs/{job}/cancel")

    def test_answer_carries_estimates(self):
        answer = self.market.post("/v1/jobs", {"payload": {"type": "noop"}})
        self.assertEqual(answer.status_code, 201)
        for name in ("estimated_cost", "estimated_time_seconds", "queue_position"):
            self.assertIsNotNone(answer.json()[name], name)

    def test_times_are_utc_with_unix_twins(self):
        job = self.market.job(self.market.submit(payload={"type": "noop"}))
        self.assertRegex(job["created_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertIsInstance(job["created_at_unix"], int)

    def test_payment_fields_of_old_clients_are_echoed(self):
        answer = self.market.post("/v1/jobs", {
            "payload": {"type": "noop"}, "payment_amount": 1.5, "payment_currency": "AITBC"}).json()
        self.assertEqual((answer["payment_amount"], answer["payment_currency"]), (1.5, "AITBC"))

    def test_batch_is_accepted_whole(self):
        label = {"batch": marker()}
        jobs = [{"payload": {"type": "noop", "n": n}, "labels": label} for n in range(100)]
        answer = self.market.post("/v1/jobs:batch", jobs)
        self.assertEqual(answer.status_code, 201, answer.text)
        self.assertEqual(len({job["job_id"] for job in answer.json()["jobs"]}), 100)
        self.assertEqual(self.market.get(f"/v1/jobs?label=batch={label['batch']}").json()["total"], 100)

    def test_batch_with_a_minimal_answer(self):
        jobs = [{"payload": {"type": "noop"}}, {"payload": {"type": "noop"}, "run_key": marker()}]
        for prefer in ("return=minimal", 'respond-async, Return="minimal"; x=1'):
            key = marker()
            answers = [
                self.market.post("/v1/jobs:batch", jobs, headers={"Prefer": prefer, "Idempotency-Key": key})
                for _ in range(2)]
            self.assertEqual([answer.status_code for answer in answers], [201, 201], answers[0].text)
            self.assertEqual(answers[0].headers["Preference-Applied"], "return=minimal")
            self.assertEqual(answers[0].text, answers[1].text)
            for job in answers[0].json()["jobs"]:
                self.assertEqual(set(job), {"job_id", "status", "attempt_no", "existing", "accepted"})
                self.assertEqual(self.market.get(f"/v1/jobs/{job['job_id']}").status_code, 200)
        self.assertTrue(answers[0].json()["jobs"][1]["existing"])
        whole = self.market.post("/v1/jobs:batch", jobs[:1], headers={"Prefer": "return=representation"})
        self.assertIn("constraints", whole.json()["jobs"][0])

    def test_batch_with_one_wrong_job_stores_none(self):
        label = {"batch": marker()}
        good = {"payload": {"type": "noop"}, "labels": label}
        answer = self.market.post("/v1/jobs:batch", {"jobs": [good, good | {"max_tries": 0}, good]})
        self.assertProblem(answer, 422, "/jobs/1/max_tries")
        self.assertEqual(self.market.get(f"/v1/jobs?label=batch={label['batch']}").json()["total"], 0)

    def test_batch_over_the_limit(self):
        answer = self.market.post("/v1/jobs:batch", [{"payload": {"type": "noop"}}] * 1001)
        self.assertProblem(answer, 422, "/jobs")

    def test_dry_run_stores_nothing(self):
        label = {"dry": marker()}
        answer = self.market.post("/v1/jobs?dry_run=1", {"command": ["true"], "labels": label})
        self.assertEqual(answer.status_code, 200)
        self.assertTrue(answer.json()["could_run"])
        self.assertIsNotNone(answer.json()["estimated_cost"])
        self.assertEqual(self.market.get(f"/v1/jobs?label=dry={label['dry']}").json()["total"], 0)

    def test_dry_run_of_what_nobody_can_run(self):
        answer = self.market.post("/v1/jobs?dry_run=1", {"command": ["true"], "constraints": {"gpu": "H900"}}).json()
        self.assertFalse(answer["could_run"])

    def test_inputs_lie_in_the_working_directory(self):
        digest = self.market.blob(b"1,2,3\n")
        inputs = [{"path": "data/points.csv", "sha256": digest}]
        job = self.market.run("cat data/points.csv", inputs=inputs)["job_id"]
        self.assertEqual(self.market.get(f"/v1/jobs/{job}/logs").text, "1,2,3\n")

    def test_environment_reaches_the_job(self):
        job = self.market.run('echo "$COLOUR $AITBC_JOB_ID $AITBC_TRY"', env={"COLOUR": "blue"})["job_id"]
        self.assertEqual(self.market.get(f"/v1/jobs/{job}/logs").text, f"blue {job} 1\n")


class Idempotency(MarketTest):
    with_miner = False

    def post(self, key, body, path="/v1/jobs"):
        return self.market.post(path, body, headers={"Idempotency-Key": key})

    def test_the_same_request_gets_the_first_answer(self):
        key, body = uuid.uuid4().hex, {"payload": {"type": "noop"}}
        first, again = self.post(key, body), self.post(key, body)
        self.assertEqual((first.status_code, again.status_code), (201, 201))
        self.assertEqual(first.content, again.content)
        self.assertEqual(again.headers["Idempotent-Replay"], "true")
        self.assertNotIn("Idempotent-Replay", first.headers)

    def test_another_body_is_refused(self):
        key = uuid.uuid4().hex
        self.post(key, {"payload": {"type": "noop"}})
        self.assertProblem(self.post(key, {"payload": {"type": "noop", "x": 1}}), 422)

    def test_a_batch_repeats_too(self):
        key, body = uuid.uuid4().hex, [{"payload": {"type": "noop"}}] * 3
        first, again = (self.post(key, body, "/v1/jobs:batch") for _ in range(2))
        self.assertEqual(first.content, again.content)

    def test_over_a_kill_of_the_coordinator(self):
        key, body = uuid.uuid4().hex, {"payload": {"type": "noop"}}
        first = self.post(key, body)
        self.market.restart(9)
        again = self.post(key, body)
        self.assertEqual(first.content, again.content)
        self.assertEqual(again.headers["Idempotent-Replay"], "true")


class Refusals(MarketTest):
    """Bad input names its field and changes nothing."""

    with_miner = False
    good = {"command": ["true"]}

    def setUp(self):
        self.before = self.total()

    def tearDown(self):
        self.assertEqual(self.total(), self.before, "something was stored")

    def total(self):
        return self.market.get("/v1/jobs").json()["total"]

    def refused(self, body, *fields):
        return self.assertProblem(self.market.post("/v1/jobs", body), 422, *fields)

    def test_unknown_field(self):
        self.assertIn("comand", self.refused({"comand": ["true"]}, "/comand")["detail"])

    def test_unknown_field_inside_constraints(self):
        self.refused(self.good | {"constraints": {"gpuu": "A100"}}, "/constraints/gpuu")

    def test_unknown_fields_inside_payload_and_labels_are_taken(self):
        answer = self.market.post("/v1/jobs", {"payload": {"type": "noop", "anything": 1}, "labels": {"any": "thing"}})
        self.assertEqual(answer.status_code, 201)
        self.before += 1

    def test_wrong_types(self):
        for name, value in (("command", "true"), ("command", []), ("command", [1]), ("name", 7), ("env", []),
                            ("inputs", {}), ("labels", {"a": 1}), ("max_tries", "three"), ("max_tries", 0),
                            ("max_tries", 1.5), ("strict", "yes"), ("not_before", "tomorrow"), ("priority", "asap"),
                            ("run_key", ""), ("timeout_seconds", True), ("constraints", [])):
            with self.subTest(f"{name} = {value}"):
                body = self.refused(self.good | {name: value})
                self.assertTrue(any(e["pointer"].startswith(f"/{name}") for e in body["errors"]), body)

    def test_bad_durations(self):
        for value in ("abc", "1y", "-1s", "0", 0, -5, "1.5h", "", "1 h", 1.5, "99999999999999999999s"):
            for name in ("ttl_seconds", "timeout_seconds"):
                with self.subTest(f"{name} = {value!r}"):
                    self.refused(self.good | {name: value}, f"/{name}")

    def test_paths_that_leave_the_working_directory(self):
        digest = self.market.blob(b"x")
        for path in ("../x", "/etc/passwd", "a/../../x", "", ".", "a//b", "a\\b", "C:/x", "a\u0000b", "x" * 300):
            with self.subTest(path):
                self.refused(self.good | {"inputs": [{"path": path, "sha256": digest}]}, "/inputs/0/path")
                self.refused(self.good | {"artifacts": [path]}, "/artifacts/0")

    def test_input_that_was_not_uploaded(self):
        self.refused(self.good | {"inputs": [{"path": "x", "sha256": "0" * 64}]}, "/inputs/0/sha256")

    def test_two_shapes_at_once(self):
        self.refused(self.good | {"payload": {"type": "noop"}}, "/payload")

    def test_strict_without_run_key(self):
        self.refused(self.good | {"strict": True}, "/strict")

    def test_environment_names(self):
        for name in ("A=B", "1A", "", "AITBC_JOB_ID"):
            with self.subTest(name):
                self.refused(self.good | {"env": {name: "x"}})

    def test_bad_json(self):
        for text in (b"{", b"", b"{'a':1}", b'{"command":["true"]} x', b'\xff', b'{"command":[NaN]}', b"[" * 100_000):
            with self.subTest(text[:20]):
                answer = self.market.session.post(self.market.url + "/v1/jobs", data=text, timeout=20)
                self.assertProblem(answer, 400)

    def test_json_that_is_no_object(self):
        for body in ([], "x", 1, None):
            with self.subTest(body):
                answer = self.market.session.post(
                    self.market.url + "/v1/jobs", data="null" if body is None else None, json=body, timeout=20)
                self.assertProblem(answer, 422)

    def test_huge_body(self):
        answer = self.market.post("/v1/jobs", {"payload": {"type": "noop", "x": "y" * 3_000_000}})
        self.assertProblem(answer, 413)

    def test_huge_body_without_a_length(self):
        parts = (b"x" * 65_536 for _ in range(64))
        try:
            answer = self.market.session.post(self.market.url + "/v1/jobs", data=parts, timeout=20)
            self.assertEqual(answer.status_code, 413)
        except OSError:
            pass  # Closed while we were still sending.
        self.assertEqual(self.market.get("/readyz").status_code, 200)

    def test_unknown_state_word(self):
        for query in ("status=runing", "status=completed,bogus"):
            with self.subTest(query):
                self.assertProblem(self.market.get(f"/v1/jobs?{query}"), 422, "status")

    def test_list_parameters(self):
        for name, value in (("from", "yesterday"), ("to", "2026-02-30"), ("days", "0"), ("limit", "0"), ("limit", "501"),
                            ("sort", "name"), ("cursor", "nonsense"), ("label", "x"), ("color", "red"), ("offset", "-1")):
            with self.subTest(f"{name}={value}"):
                self.assertProblem(self.market.get(f"/v1/jobs?{name}={value}"), 422, name)

    def test_from_later_than_to(self):
        self.assertProblem(self.market.get("/v1/jobs?from=2026-02-01&to=2026-01-01"), 422, "from")

    def test_cancel_body(self):
        job = self.market.submit("true")
        self.assertProblem(self.market.post(f"/v1/jobs/{job}/cancel", {"why": "x"}), 422, "/why")
        self.assertProblem(self.market.post(f"/v1/jobs/{job}/cancel", {"grace_seconds": -1}), 422, "/grace_seconds")
        self.assertEqual(self.market.job(job)["status"], "pending")
        self.before += 1

    def test_ids_that_are_none(self):
        for text in ("job_x", "job_" + "0" * 26, "%2e%2e%2fmarket.db", "job_%00", "x" * 5000):
            with self.subTest(text[:30]):
                self.assertProblem(self.market.get(f"/v1/jobs/{text}"), 404)

    def test_upload_with_another_digest(self):
        answer = self.market.session.put(f"{self.market.url}/v1/blobs/{'0' * 64}", data=b"x", timeout=20)
        self.assertProblem(answer, 422)
        self.assertEqual(self.market.session.head(f"{self.market.url}/v1/blobs/{'0' * 64}", timeout=20).status_code, 404)

    def test_unknown_address_and_method(self):
        self.assertProblem(self.market.get("/v1/nothing"), 404)
        answer = self.market.session.put(self.market.url + "/v1/jobs", timeout=20)
        self.assertIn(answer.status_code, (404, 405))

    def test_static_pages_do_not_leave_their_folder(self):
        for path in ("/../keys/client.key", "/%2e%2e/keys/client.key", "/..%2fkeys%2fclient.key", "//etc/passwd"):
            with self.subTest(path):
                done = subprocess.run(
                    ["curl", "-s", "--path-as-is", "-w", "%{http_code}", self.market.url + path],
                    capture_output=True, text=True, timeout=20)
                self.assertIn(done.stdout[-3:], ("400", "404"))
                self.assertNotIn(self.market.client_key, done.stdout)


class Access(MarketTest):
    """Who may do what."""

    @classmethod
    def prepare(cls):
        cls.second = cls.market.second_account()
        super().prepare()
        cls.job = cls.market.run("echo secret")["job_id"]

    def as_key(self, key, path, method="GET", **options):
        headers = {"X-Api-Key": key}
        return self.market.session.request(method, self.market.url + path, headers=headers, timeout=20, **options)

    def routes(self):
        return [("GET", ""), ("GET", "/result"), ("GET", "/logs"), ("GET", "/tries"), ("GET", "/artifacts"),
                ("GET", "/download"), ("HEAD", "/download"), ("GET", "/checksum"), ("GET", "/manifest"),
                ("POST", "/cancel"), ("DELETE", "")]

    def test_no_key(self):
        for method, path in [("GET", "/v1/jobs"), ("POST", "/v1/jobs"), ("POST", "/v1/jobs:batch"),
                             ("GET", "/v1/miners"), ("GET", "/v1/account"),
                             *((m, f"/v1/jobs/{self.job}{p}") for m, p in self.routes())]:
            with self.subTest(f"{method} {path}"):
                self.assertEqual(self.as_key(None, path, method).status_code, 401)

    def test_unknown_key(self):
        self.assertProblem(self.as_key("ak_unknown", "/v1/jobs"), 401)

    def test_bearer(self):
        answer = self.market.session.get(
            self.market.url + "/v1/jobs", timeout=20,
            headers={"X-Api-Key": None, "Authorization": f"Bearer {self.market.client_key}"})
        self.assertEqual(answer.status_code, 200)

    def test_wrong_role(self):
        self.assertProblem(self.as_key(self.market.miner_key, "/v1/jobs"), 403)
        self.assertProblem(self.as_key(self.market.miner_key, "/v1/jobs", "POST", json={"command": ["true"]}), 403)

    def test_another_accounts_job_does_not_exist(self):
        for method, path in self.routes():
            with self.subTest(f"{method} {path}"):
                answer = self.as_key(self.second, f"/v1/jobs/{self.job}{path}", method)
                self.assertEqual(answer.status_code, 404)
                self.assertNotIn("secret", answer.text)

    def test_another_accounts_jobs_are_not_listed(self):
        self.assertEqual(self.as_key(self.second, "/v1/jobs").json()["total"], 0)

    def test_another_accounts_cancel_changes_nothing(self):
        job = self.market.submit("true", constraints={"region": "nowhere"})
        self.assertEqual(self.as_key(self.second, f"/v1/jobs/{job}/cancel", "POST").status_code, 404)
        self.assertEqual(self.market.job(job)["status"], "pending")

    def test_idempotency_keys_of_accounts_are_apart(self):
        headers = {"Idempotency-Key": marker()}
        body = {"payload": {"type": "noop"}}
        first = self.market.post("/v1/jobs", body, headers=headers).json()
        other = self.market.post("/v1/jobs", body, headers=headers | {"X-Api-Key": self.second}).json()
        self.assertNotEqual(first["job_id"], other["job_id"])

    def test_health_needs_no_key(self):
        for path in ("/healthz", "/readyz", "/v1/health", "/v1/keys"):
            with self.subTest(path):
                self.assertEqual(self.as_key(None, path).status_code, 200)
