"""An echo server and the suite's client on Python's websockets: a peer whose times stand beside ours.

usage: peer.py server PORT        peer.py client URL AGENT
"""
import asyncio
import signal
import sys

import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

OPTIONS = {"max_size": 64 << 20, "ping_interval": None, "compression": "deflate"}


async def echo(socket):
    try:
        async for message in socket:
            await socket.send(message)
    except websockets.ConnectionClosed:
        pass


async def server(port):
    stop = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set_result, None)
    async with serve(echo, "127.0.0.1", int(port), **OPTIONS):
        await stop


async def client(url, agent):
    async with connect(url + "/getCaseCount", proxy=None, **OPTIONS) as socket:
        count = int(await socket.recv())
    for number in range(1, count + 1):
        async with connect(f"{url}/runCase?case={number}&agent={agent}", proxy=None, **OPTIONS) as socket:
            await echo(socket)
    async with connect(f"{url}/updateReports?agent={agent}", proxy=None, **OPTIONS):
        pass


asyncio.run({"server": server, "client": client}[sys.argv[1]](*sys.argv[2:]))
