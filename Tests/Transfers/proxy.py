"""A TCP proxy that counts bytes, holds them to a rate, and cuts all connections again and again."""

import socket
import threading
import time

PIECE = 16 * 1024


class CuttingProxy:
    """`up` and `down` count what clients sent and got. Cuts only while `cutting`."""

    def __init__(self, target, every, rate):
        self.target, self.every, self.rate = target, every, rate
        self.up = self.down = self.cuts = 0
        self.cutting = self.closed = False
        self.open = set()
        self.lock = threading.Lock()
        self.server = socket.socket()
        # Small buffers, so that a cut loses little: what a real network loses is what was on its way.
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        self.server.bind(("127.0.0.1", 0))
        self.server.listen(128)
        self.port = self.server.getsockname()[1]
        for work in (self.accept, self.cut_again_and_again):
            threading.Thread(target=work, daemon=True).start()

    def reset(self):
        self.up = self.down = self.cuts = 0

    def accept(self):
        while not self.closed:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        try:
            server.connect(("127.0.0.1", self.target))
        except OSError:
            client.close()
            return
        with self.lock:
            self.open.add((client, server))
        pumps = [threading.Thread(target=self.pump, args=pair, daemon=True)
                 for pair in ((client, server, "up"), (server, client, "down"))]
        for pump in pumps:
            pump.start()
        for pump in pumps:
            pump.join()
        with self.lock:
            self.open.discard((client, server))
        client.close()
        server.close()

    def pump(self, source, sink, name):
        due = time.monotonic()
        try:
            while data := source.recv(PIECE):
                with self.lock:
                    setattr(self, name, getattr(self, name) + len(data))
                sink.sendall(data)
                due = max(due, time.monotonic() - 0.05) + len(data) / self.rate
                time.sleep(max(0, due - time.monotonic()))
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut_again_and_again(self):
        while not self.closed:
            time.sleep(self.every)
            if self.cutting:
                self.cut()

    def cut(self):
        with self.lock:
            pairs = list(self.open)
            self.cuts += bool(pairs)
        for pair in pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self.closed = True
        self.server.close()
        self.cut()
