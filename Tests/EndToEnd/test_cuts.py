"""A feed whose connection is cut at random octets, some hundred times: nothing is lost, nothing comes twice."""

import json
import os
import random
import socket
import struct
import threading

import websocket
from listener import listen, shut
from market import MarketTest

CUTS = 200
JOBS = 40


class CuttingProxy:
    """A TCP proxy that passes a random number of octets of each connection to the client and then resets it."""

    def __init__(self, port, seed):
        self.port, self.random, self.cuts, self.cutting = port, random.Random(seed), 0, True
        self.listener = listen(self.serve)
        self.address = self.listener.getsockname()[1]

    def serve(self, client):
        # Most cuts fall into the stream, some into the handshake.
        limit = self.random.randint(1, 6000) if self.cutting else None
        server = socket.create_connection(("127.0.0.1", self.port))
        threading.Thread(target=self.upload, args=(client, server), daemon=True).start()
        passed = 0
        try:
            while octets := server.recv(4096):
                if limit is not None and passed + len(octets) >= limit:
                    client.sendall(octets[:limit - passed])
                    self.cuts += 1
                    # A reset on one half of them, a plain end on the others.
                    if self.random.random() < 0.5:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    break
                client.sendall(octets)
                passed += len(octets)
        except OSError:
            pass
        shut(client, server)
        client.close()
        server.close()

    def upload(self, client, server):
        try:
            while octets := client.recv(4096):
                server.sendall(octets)
        except OSError:
            pass

    def stop(self):
        self.listener.close()


class Cuts(MarketTest):
    slowness = 2

    def test_every_event_once_and_in_order(self):
        seed = int(os.environ.get("AITBC_CUT_SEED", random.randrange(1 << 30)))
        proxy = CuttingProxy(self.market.port, seed)
        self.addCleanup(proxy.stop)
        done = threading.Event()

        def work():
            while not done.is_set():
                self.market.submit(payload={"type": "noop"})
                done.wait(0.02)

        producer = threading.Thread(target=work, daemon=True)
        producer.start()
        seen, epoch, after, snapshots = [], None, None, 0
        try:
            while proxy.cuts < CUTS or sum(one["type"] == "end" for one in seen) < JOBS:
                if proxy.cuts >= CUTS:
                    proxy.cutting = False
                query = "" if after is None else f"?after={after}&epoch={epoch}"
                try:
                    feed = websocket.create_connection(
                        f"ws://127.0.0.1:{proxy.address}/v1/jobs/ws{query}", timeout=20, suppress_origin=True,
                        header={"X-Api-Key": self.market.client_key})
                    while proxy.cuts < CUTS or sum(one["type"] == "end" for one in seen) < JOBS:
                        code, data = feed.recv_data()
                        if code != websocket.ABNF.OPCODE_TEXT:
                            break
                        one = json.loads(data)
                        if one["type"] == "snapshot":
                            snapshots += 1
                            epoch, after = one["epoch"], one["seq"]
                            self.assertFalse(seen, f"a resume got a snapshot, seed {seed}")
                        elif "seq" in one:
                            seen.append(one)
                            after = one["seq"]
                        self.assertNotEqual(one["type"], "reset", f"seed {seed}")
                except (websocket.WebSocketException, OSError):
                    continue
        finally:
            done.set()
            producer.join()
        numbers = [one["seq"] for one in seen]
        self.assertEqual(numbers, sorted(set(numbers)), f"seed {seed}")
        # One account and one market: no number may be missing.
        self.assertEqual(numbers, list(range(numbers[0], numbers[-1] + 1)), f"seed {seed}")
        self.assertGreaterEqual(proxy.cuts, CUTS)
