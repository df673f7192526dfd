"""A miner that runs nothing: it takes jobs, says that they run, and tells how far they are, ten times a second each."""

import json
import select
import threading
import time

from feed import Feed

INTERVAL = 0.1


class ProgressMiner:
    def __init__(self, port, key, slots):
        self.feed = Feed(port, key, "/v1/miners/ws")
        self.slots = slots
        self.leases = []
        self.told = 0
        self.stopping = threading.Event()
        self.feed.say({
            "type": "hello", "instance": "benchmark-miner-" + "0" * 32, "name": "bench", "version": "0",
            "capabilities": {"runners": ["noop"], "slots": slots}, "fresh": True, "leases": []})

    def hear(self):
        """Takes every message that is there."""
        while self.feed.buffer or select.select([self.feed.socket], [], [], 0)[0]:
            message = self.feed.message()
            if message["type"] == "assign":
                lease = message["lease_token"]
                self.feed.say({"type": "accept", "lease_token": lease})
                self.feed.say({"type": "started", "lease_token": lease})
                self.leases.append(lease)

    def run(self):
        """Jobs are spread over the interval, as they would be."""
        turn, beat = 0, time.monotonic()
        steps = 20
        due = time.monotonic()
        while not self.stopping.is_set():
            self.hear()
            frames = bytearray()
            for lease in self.leases[turn % steps::steps]:
                frames += frame({
                    "type": "progress", "lease_token": lease, "progress": min(99, self.told // 5_000),
                    "message": f"t={time.monotonic_ns()}"})
                self.told += 1
            if frames:
                self.feed.socket.sendall(frames)
            turn += 1
            if self.leases and time.monotonic() > beat:
                self.feed.say({"type": "lease", "lease_tokens": self.leases[:1000]})
                beat = time.monotonic() + 3
            due += INTERVAL / steps
            time.sleep(max(0, due - time.monotonic()))
        self.feed.close()

    def stop(self):
        self.stopping.set()


def frame(message):
    """A text frame with a mask of zeros, which is legal and cheap."""
    payload = json.dumps(message).encode()
    count = len(payload)
    length = bytes([0x80 | count]) if count < 126 else b"\xfe" + count.to_bytes(2, "big")
    return b"\x81" + length + bytes(4) + payload
