"""Large files on their way out: whole connections, clients that leave, that read slowly, that read nothing."""

import concurrent.futures
import http.client
import os
import socket
import time

from market import MarketTest, until

MIB = 1 << 20


class Downloads(MarketTest):
    slowness = 3

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.data = os.urandom(9 * MIB + 12_345)
        cls.path = "/v1/blobs/" + cls.market.blob(cls.data)

    def request(self, path, *headers):
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{self.market.port}", f"X-Api-Key: {self.market.client_key}"]
        return "\r\n".join([*lines, *headers, "", ""]).encode()

    def connect(self, room=None):
        """- room: bytes that the kernel keeps for the reader."""
        connection = socket.socket()
        if room:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        connection.settimeout(30)
        connection.connect(("127.0.0.1", self.market.port))
        return connection

    def answer(self, connection):
        """Status and body of one answer."""
        answer = http.client.HTTPResponse(connection, method="GET")
        answer.begin()
        return answer.status, answer.read()

    def open_files(self):
        return len(os.listdir(f"/proc/{self.market.coordinator.pid}/fd"))

    def test_a_connection_goes_on_behind_a_file(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.market.port, timeout=30)
        key = {"X-Api-Key": self.market.client_key}
        for first, end in ((0, len(self.data)), (MIB - 1, 3 * MIB), (5, 700_000), (0, 1), (12_345, len(self.data))):
            for path, headers, status, expected in (
                    (self.path, key | {"Range": f"bytes={first}-{end - 1}"}, 206, self.data[first:end]),
                    ("/v1/account", key, 200, None), (self.path, key, 200, self.data)):
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                body = answer.read()
                self.assertEqual(answer.status, status)
                if expected is not None:
                    self.assertTrue(body == expected, f"{path} {headers.get('Range')}: {len(body)} bytes")
        connection.close()

    def test_answers_in_the_order_of_the_requests(self):
        with self.connect() as connection:
            connection.sendall(
                self.request(self.path) + self.request("/v1/account")
                + self.request(self.path, f"Range: bytes=-{2 * MIB}", "Connection: close"))
            file = connection.makefile("rb")
            for expected in (self.data, None, self.data[-2 * MIB:]):
                length = None
                self.assertIn(file.readline().split()[1], (b"200", b"206"))
                while (line := file.readline().strip()):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split()[1])
                body = file.read(length)
                if expected is not None:
                    self.assertTrue(body == expected, f"{len(body)} bytes")
            self.assertEqual(file.read(), b"")

    def test_who_leaves_leaves_nothing_open(self):
        self.market.get("/v1/account")
        before = self.open_files()
        for number in range(20):
            with self.connect(room=4096) as connection:
                connection.sendall(self.request(self.path))
                self.assertTrue(connection.recv(64 << (number % 8)))
        until(lambda: self.open_files() <= before, f"files are closed: {before} before, {self.open_files()} now")

    def test_slow_readers_do_not_hold_up_others(self):
        slow = [self.connect(room=4096) for _ in range(8)]
        for connection in slow:
            connection.sendall(self.request(self.path))
            self.assertIn(b" 200 ", connection.recv(64))
        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            bodies = list(threads.map(lambda _: self.market.get(self.path).content, range(8)))
        self.assertTrue(all(body == self.data for body in bodies))
        for connection in slow:
            tail = b""
            while piece := connection.recv(1 << 20):
                tail = (tail + piece)[-1000:]
                if self.data.endswith(tail) and len(tail) == 1000:
                    break
            self.assertTrue(self.data.endswith(tail) and tail)
            connection.close()

    def test_the_result_is_removed_under_the_reader(self):
        job = self.market.run(f"head -c {6 * MIB} /dev/urandom > $AITBC_OUTPUT_DIR/noise")["job_id"]
        whole = self.market.get(f"/v1/jobs/{job}/download").content
        with self.connect(room=4096) as connection:
            connection.sendall(self.request(f"/v1/jobs/{job}/download"))
            self.assertIn(b"HTTP/1.1 200 ", connection.recv(13, socket.MSG_PEEK))
            removed = self.market.session.delete(f"{self.market.url}/v1/jobs/{job}/results", timeout=30)
            self.assertLess(removed.status_code, 300, removed.text)
            self.assertEqual(self.market.get(f"/v1/jobs/{job}/download").status_code, 410)
            status, body = self.answer(connection)
        self.assertEqual(status, 200)
        self.assertTrue(body == whole, f"{len(body)} of {len(whole)} bytes")

    def test_a_stop_ends_it(self):
        with self.connect(room=4096) as connection:
            connection.sendall(self.request(self.path))
            self.assertIn(b" 200 ", connection.recv(64))
            began = time.monotonic()
            self.market.restart()
            self.assertLess(time.monotonic() - began, 25)
        self.assertTrue(self.market.get(self.path).content == self.data)
