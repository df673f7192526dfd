"""The least WebSocket client that can follow a feed: text messages without compression, blocking."""

import base64
import json
import os
import socket
import struct

from market import Failure


class Feed:
    def __init__(self, port, key, path="/v1/jobs/ws"):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        nonce = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            (f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {nonce}\r\nX-Api-Key: {key}\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.buffer:
            self.receive()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise Failure(f"the feed was refused: {head[:100]!r}")

    def receive(self):
        data = self.socket.recv(65536)
        if not data:
            raise Failure("the feed was closed")
        self.buffer += data

    def take(self, count):
        while len(self.buffer) < count:
            self.receive()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def message(self):
        """The next JSON message; pings are answered on the way."""
        while True:
            first, second = self.take(2)
            length = second & 127
            if length == 126:
                (length,) = struct.unpack(">H", self.take(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self.take(8))
            payload = self.take(length)
            if first == 0x81:
                return json.loads(payload)
            if first == 0x89:
                self.send(0x8A, payload)
            else:
                raise Failure(f"an unexpected frame: {first:#x} {payload[:100]!r}")

    def send(self, first, payload):
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        count = len(payload)
        length = bytes([0x80 | count]) if count < 126 else b"\xfe" + struct.pack(">H", count)
        self.socket.sendall(bytes([first]) + length + mask + masked)

    def say(self, message):
        self.send(0x81, json.dumps(message).encode())

    def wait_for_end(self, job):
        while True:
            message = self.message()
            if message["type"] == "end" and message["job_id"] == job:
                if message["status"] != "completed":
                    raise Failure(f"{job} ended as {message['status']}")
                return

    def close(self):
        self.socket.close()
