#!/usr/bin/env python3
"""Python websockets as a broadcaster. PORT MODE RATE BURST SIZE START_AT DEFLATE"""

import asyncio
import resource
import sys
import time

from websockets.asyncio.server import broadcast, serve

PORT, MODE, RATE, BURST, SIZE, START_AT, DEFLATE = (
    int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]), int(sys.argv[6]),
    sys.argv[7] == "1")
BACKLOG = 64 * 1024

hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
connections = set()
sequence = 0


def publish():
    global sequence
    for _ in range(BURST):
        sequence += 1
        head = '{"t":%d,"seq":%d,"type":"job.update","pad":"' % (time.monotonic_ns(), sequence)
        broadcast(connections, head + "x" * (SIZE - len(head) - 2) + '"}')


async def handle(connection):
    connections.add(connection)
    try:
        await connection.wait_closed()
    finally:
        connections.discard(connection)


async def main():
    options = {"compression": "deflate" if DEFLATE else None, "ping_interval": None, "backlog": 4096}
    async with serve(handle, "127.0.0.1", PORT, server_header=None, **options):
        print("listening", flush=True)
        if MODE == "idle":
            await asyncio.Future()
        while len(connections) < START_AT:
            await asyncio.sleep(0.02)
        due = time.monotonic()
        while True:
            publish()
            if MODE == "rate":
                due += 1 / RATE
                await asyncio.sleep(max(0, due - time.monotonic()))
            else:
                await asyncio.sleep(0)
                while any(each.transport.get_write_buffer_size() > BACKLOG for each in connections):
                    await asyncio.sleep(0)


asyncio.run(main())
