"""Runs Autobahn's suite against websocket-echo: see the script `run` beside this file."""
import collections
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

GOOD = ("OK", "INFORMATIONAL")
FAST_EXCLUDES = ["9.*", "12.*", "13.*"]
# Seconds without a new line in the suite's log after which a run counts as hung.
STALL = 300
AGENT = "websocket-echo"
# Run in the environment without the suite's old packages.
PEER = [os.path.join(os.environ["CONFORMANCE_DIR"], "peer", "bin", "python"),
        os.path.join(os.path.dirname(os.path.abspath(__file__)), "peer.py")]

GROUP_9 = {"9.1": "text, one frame", "9.2": "binary, one frame", "9.3": "text, fragments", "9.4": "binary, fragments",
           "9.5": "text, chopped", "9.6": "binary, chopped", "9.7": "small texts", "9.8": "small binaries"}

COUNT = """
import json, sys
from autobahntestsuite import choosereactor
from autobahntestsuite.case import CaseSetname, CaseBasename, Cases, CaseCategories, CaseSubCategories
from autobahntestsuite.caseset import CaseSet
cases = CaseSet(CaseSetname, CaseBasename, Cases, CaseCategories, CaseSubCategories)
print(len(cases.parseSpecCases(json.loads(sys.argv[1]))))
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, process, seconds=20):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            sys.exit("conformance: a process ended early with %d" % process.returncode)
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit("conformance: nothing listens on port %d" % port)


def wstest(mode, spec, out, log):
    path = os.path.join(out, mode + ".json")
    with open(path, "w") as f:
        json.dump(spec, f)
    argv = [sys.executable, "-W", "ignore", "-m", "autobahntestsuite.wstest", "-m", mode, "-s", path]
    if mode == "fuzzingserver":
        argv += ["-u", "0"]
    return subprocess.Popen(argv, env=dict(os.environ, PYTHONUNBUFFERED="1"), stdout=log, stderr=subprocess.STDOUT)


def wait(process, log_path):
    """Waits for a process; ends it when the suite has been silent for too long."""
    size, since = -1, time.monotonic()
    while True:
        try:
            return process.wait(0.1)
        except subprocess.TimeoutExpired:
            now = os.path.getsize(log_path)
            if now != size:
                size, since = now, time.monotonic()
            elif time.monotonic() - since > STALL:
                print("conformance: no progress for %d s; see %s" % (STALL, log_path))
                stop(process)
                return 124


def stop(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def testee(role, binary, port, url):
    """The command of what is tested: our executable, or the peer where there is none."""
    flags = shlex.split(os.environ.get("ECHO_FLAGS", ""))
    if role == "server":
        return [binary, "--port", str(port)] + flags if binary else PEER + ["server", str(port)]
    return [binary, "--client", url, "--agent", AGENT] + flags if binary else PEER + ["client", url, AGENT]


def run(role, cases, excludes, binary, out):
    """Runs the suite once; returns {case id: behaviour}. No binary: against the peer."""
    os.makedirs(out, exist_ok=True)
    index = os.path.join(out, "index.json")
    if os.path.exists(index):
        os.remove(index)
    port, log_path = free_port(), os.path.join(out, "wstest.log")
    url = "ws://127.0.0.1:%d" % port
    command = testee(role, binary, port, url)
    common = {"outdir": out, "cases": cases, "exclude-cases": excludes, "exclude-agent-cases": {}}
    running = []
    with open(log_path, "w") as log:
        try:
            if role == "server":
                running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
                wait_for_port(port, running[-1])
                suite = wstest("fuzzingclient", dict(common, servers=[{"agent": AGENT, "url": url}]), out, log)
                running.append(suite)
                wait(suite, log_path)
            else:
                suite = wstest("fuzzingserver", dict(common, url=url), out, log)
                running.append(suite)
                wait_for_port(port, suite)
                running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
                wait(running[-1], log_path)
        finally:
            for process in running:
                stop(process)
    if not os.path.exists(index):
        sys.exit("conformance: no report; see " + log_path)
    with open(index) as f:
        return json.load(f).get(AGENT, {})


def seconds(results, group):
    return sum(r.get("duration", 0) for c, r in results.items() if c.startswith(group + ".")) / 1000


def compare(role, results, out):
    """Group 9 (large messages) beside a peer's, run right behind ours."""
    peer = run(role, ["9.*"], [], None, os.path.join(out, "peer"))
    print("group 9, seconds:            ours  Python websockets")
    for group in ["9.%d" % number for number in range(1, 9)]:
        print("  %-4s %s %9.2f %9.2f" % (group, GROUP_9[group].ljust(18), seconds(results, group), seconds(peer, group)))
    print("  all                     %9.2f %9.2f" % (seconds(results, "9"), seconds(peer, "9")))


def main():
    role, group, binary, patterns = sys.argv[1:5]
    cases = [p for p in patterns.split(",") if p] or ["*"]
    excludes = FAST_EXCLUDES if group == "fast" and not patterns else []
    out = os.environ.get("OUT") or os.path.join(os.environ["CONFORMANCE_DIR"], "report", role + "-" + group)
    shutil.rmtree(out, ignore_errors=True)
    expected = int(subprocess.run(
        [sys.executable, "-W", "ignore", "-c", COUNT, json.dumps({"cases": cases, "exclude-cases": excludes})],
        check=True, capture_output=True, text=True).stdout)
    start = time.monotonic()
    results = run(role, cases, excludes, binary, out)
    key = lambda case: [int(part) for part in case.split(".")]
    bad = sorted((c for c, r in results.items() if r["behavior"] not in GOOD), key=key)
    if bad and len(bad) <= 10:
        # The suite's deadlines are half a second: a stalled machine can miss one. A defect fails again.
        print("again: " + " ".join("%s (%s)" % (c, results[c]["behavior"]) for c in bad))
        results.update(run(role, bad, [], binary, os.path.join(out, "again")))
        bad = sorted((c for c, r in results.items() if r["behavior"] not in GOOD), key=key)
    for case in bad:
        print("%-8s %s" % (case, results[case]["behavior"]))
    kinds = collections.Counter(r["behavior"] for r in results.values())
    unclean = sorted((c for c, r in results.items() if r["behaviorClose"] not in GOOD), key=key)
    if unclean:
        print("closing not OK: " + " ".join("%s (%s)" % (c, results[c]["behaviorClose"]) for c in unclean))
    missing = expected - len(results)
    if missing:
        print("%d cases have no result" % missing)
    print("%s %s: %s in %.0f s; report: %s/index.html" % (
        role, group, ", ".join("%s %d" % k for k in sorted(kinds.items())), time.monotonic() - start, out))
    if group == "full" and not patterns:
        compare(role, results, out)
    failed = len(set(bad) | set(unclean)) + missing
    print("%d passed, %d failed" % (len(results) - len(set(bad) | set(unclean)), failed))
    sys.exit(1 if failed else 0)


main()
