"""The strict form of the pollers' race: 150 jobs, each in its first try. It fails now and then, see "Known faults"."""

import threading

from market import MarketTest
from rest_miner import RestMiner
from test_rest_miner import Protocol as Short


class Races(MarketTest):
    options = getattr(Short, "options", ())
    with_miner = Short.with_miner
    payload = Short.payload

    def test_two_pollers_one_job(self):
        """Both wait each time a job comes; exactly one gets it."""
        stop, given, jobs = threading.Event(), [], []
        miners = [RestMiner(self.market, f"racer{number}") for number in range(2)]
        for miner in miners:
            miner.register(capabilities={"labels": {"only": "racer"}})

        def race(miner):
            while not stop.is_set():
                got = miner.poll(1)
                if got:
                    given.append((got["job_id"], got["try"]))
                    assert miner.result(got, {}).status_code == 200

        threads = [threading.Thread(target=race, args=(miner, )) for miner in miners]
        for thread in threads:
            thread.start()
        try:
            for _ in range(150):
                jobs.append(self.payload(constraints={"labels": {"only": "racer"}}))
                self.market.finished(jobs[-1])
        finally:
            stop.set()
            for thread in threads:
                thread.join(20)
        self.assertEqual(sorted(given), sorted((job, 1) for job in jobs))
