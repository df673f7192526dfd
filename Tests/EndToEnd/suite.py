"""Runs the test classes, some at a time, and says what came of them."""

import argparse
import concurrent.futures
import os
import signal
import sys
import threading
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
say_lock = threading.Lock()


class Result(unittest.TestResult):
    """Tells each failure as soon as its class is through; with -v, each test."""

    def __init__(self, verbose):
        super().__init__()
        self.verbose, self.passed, self.began = verbose, 0, {}

    def startTest(self, test):
        super().startTest(test)
        self.began[test.id()] = time.monotonic()

    def say(self, word, test):
        seconds = time.monotonic() - self.began.get(test.id(), time.monotonic())
        if self.verbose:
            with say_lock:
                print(f"{word} {test.id()} ({seconds:.2f} s)", flush=True)

    def addSuccess(self, test):
        self.passed += 1
        self.say("ok    ", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.say("FAILED", test)

    def addError(self, test, err):
        super().addError(test, err)
        self.say("FAILED", test)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.say("FAILED", test)


def classes(suite):
    """The suite's tests, by class."""
    found = {}
    for part in suite:
        for group in part:
            for test in group if isinstance(group, unittest.TestSuite) else [group]:
                found.setdefault(type(test), []).append(test)
    return found


def interrupted(number, _):
    """Leaves nothing behind when it is stopped."""
    from market import abandon_all

    abandon_all()
    os._exit(128 + number)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-k", default="", metavar="PATTERN")
    parser.add_argument("-j", type=int, default=3, metavar="WORKERS")
    parser.add_argument("-v", action="store_true")
    parser.add_argument("-p", default="test_*.py", metavar="FILES")
    options = parser.parse_args()
    sys.path.insert(0, str(HERE))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    groups = {}
    for kind, tests in classes(unittest.TestLoader().discover(str(HERE), options.p, str(HERE))).items():
        tests = [test for test in tests if options.k in test.id()]
        if tests:
            groups[kind] = tests
    # The slowest first, so that they do not run alone at the end.
    order = sorted(groups.values(), key=lambda tests: getattr(tests[0], "slowness", 0), reverse=True)
    began = time.monotonic()

    def run(tests):
        result = Result(options.v)
        unittest.TestSuite(tests).run(result)
        for test, trace in result.failures + result.errors:
            with say_lock:
                print(f"\n=== FAILED {test.id()}\n" + "\n".join(trace.splitlines()[-25:]), flush=True)
        return result

    with concurrent.futures.ThreadPoolExecutor(max(1, options.j)) as pool:
        results = list(pool.map(run, order))
    passed = sum(result.passed for result in results)
    failed = sum(len(result.failures) + len(result.errors) for result in results)
    skipped = [skip for result in results for skip in result.skipped]
    for test, reason in skipped:
        print(f"skipped {test.id()}: {reason}")
    print(f"end to end: {time.monotonic() - began:.0f} s", file=sys.stderr)
    print(f"{passed} passed, {failed} failed" + (f", {len(skipped)} skipped" if skipped else ""))
    sys.exit(1 if failed or not passed else 0)


main()
