#!/usr/bin/env python3
"""uWebSockets' core as a broadcaster, through socketify. Python only says when to publish: what happens for each
connection (topics, framing, compression, writing) is uWebSockets' own. PORT MODE RATE BURST SIZE START_AT DEFLATE"""

import resource
import sys
import time

from socketify import App, AppListenOptions, CompressOptions, OpCode

PORT, MODE, RATE, BURST, SIZE, START_AT, DEFLATE = (
    int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]), int(sys.argv[6]),
    sys.argv[7] == "1")
BACKLOG = 64 * 1024
LOOK_EVERY = 16  # bursts between two looks at what waits

hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
connections = []
sequence = 0


def opened(socket):
    socket.subscribe("all")
    connections.append(socket)


app = App()
app.ws("/*", {
    "compression": CompressOptions.SHARED_COMPRESSOR if DEFLATE else CompressOptions.DISABLED,
    "idle_timeout": 0, "max_backpressure": 64 * 1024 * 1024, "open": opened,
    "close": lambda socket, code, message: None})
app.listen(AppListenOptions(port=PORT, host="127.0.0.1"), lambda _: print("listening", flush=True))
loop = app.loop.uv_loop


def publish():
    global sequence
    for _ in range(BURST):
        sequence += 1
        head = '{"t":%d,"seq":%d,"type":"job.update","pad":"' % (time.monotonic_ns(), sequence)
        app.publish("all", head + "x" * (SIZE - len(head) - 2) + '"}', OpCode.TEXT, DEFLATE)


def waits():
    return any(socket.get_buffered_amount() > BACKLOG for socket in connections)


if MODE == "idle":
    loop.run()
while len(connections) < START_AT:
    loop.run_nowait()
    time.sleep(0.001)
if MODE == "rate":
    timer = loop.create_timer(int(1000 / RATE), int(1000 / RATE), lambda _: publish(), None)
    loop.run()
while True:
    for _ in range(LOOK_EVERY):
        publish()
        loop.run_nowait()
    while waits():
        loop.run_nowait()
