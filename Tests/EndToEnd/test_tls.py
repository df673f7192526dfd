"""A coordinator behind a proxy that speaks TLS: Python's `ssl`, whose certificate `openssl` made."""

import socket
import ssl
import subprocess
import threading

from listener import listen, shut
from market import MarketTest, until


class Proxy:
    """Takes TLS connections for a coordinator on the loopback interface."""

    def __init__(self, folder, port, names):
        self.certificate, key = folder / "proxy.pem", folder / "proxy.key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
             "2", "-subj", "/CN=proxy", "-addext", f"subjectAltName={names}", "-keyout", key, "-out", self.certificate],
            check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        # HTTP/2 is offered too; the client must not be drawn into it.
        context.set_alpn_protocols(["h2", "http/1.1"])
        self.target, self.chosen, self.open, self.context = port, set(), [], context
        self.server = listen(self.serve)
        self.port = self.server.getsockname()[1]

    def serve(self, plain):
        try:
            secure = self.context.wrap_socket(plain, server_side=True)
        except (OSError, ssl.SSLError):
            plain.close()
            return
        self.chosen.add((secure.version(), secure.selected_alpn_protocol()))
        behind = socket.create_connection(("127.0.0.1", self.target))
        self.open += [secure, behind]
        for source, sink in ((secure, behind), (behind, secure)):
            threading.Thread(target=self.pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.unwrap() if isinstance(sink, ssl.SSLSocket) else sink.shutdown(socket.SHUT_WR)
        except (OSError, ValueError):
            pass
        finally:
            shut(source, sink)

    def close(self):
        self.server.close()
        for one in self.open:
            one.close()


class BehindTLS(MarketTest):
    with_miner = False

    @classmethod
    def prepare(cls):
        cls.proxy = Proxy(cls.market.folder, cls.market.port, "DNS:localhost,IP:127.0.0.1")
        cls.addClassCleanup(cls.proxy.close)
        cls.market.environment["SSL_CERT_FILE"] = str(cls.proxy.certificate)
        cls.url = f"https://localhost:{cls.proxy.port}"
        cls.market.url, plain = cls.url, cls.market.url
        try:
            cls.market.miner("miner", "--slots", "2", wait=False)
        finally:
            cls.market.url = plain
        until(lambda: cls.market.fleet().get("miner") == "online", "the miner is online, over TLS")

    def client(self, *words, status=0, url=None):
        done = self.market.client(*words, "--url", url or self.url)
        self.assertEqual(done.returncode, status, f"{words}\n{done.stdout}\n{done.stderr}")
        return done

    def test_a_job_and_its_result(self):
        script = "head -c 3000000 /dev/urandom > big; for n in 1 2 3; do echo line $n; done"
        self.client("submit", "--wait", "--", "sh", "-c", script)
        job = self.market.get("/v1/jobs?limit=1").json()["jobs"][0]["job_id"]
        self.assertIn("line 3", self.client("logs", job).stdout)
        self.client("watch", job)
        self.client("download", job, "--output", "tls")
        package, = (self.market.folder / "tls").glob("*.zip")
        self.client("verify", job, "--file", str(package))

    def test_an_address_in_the_certificate(self):
        self.client("list", url=f"https://127.0.0.1:{self.proxy.port}")

    def test_versions_and_protocol(self):
        self.client("list")
        self.assertTrue(self.proxy.chosen)
        for version, protocol in self.proxy.chosen:
            self.assertIn(version, ("TLSv1.2", "TLSv1.3"))
            self.assertEqual(protocol, "http/1.1")

    def test_an_authority_nobody_trusts(self):
        trusted = self.market.environment.pop("SSL_CERT_FILE")
        try:
            done = self.client("list", "--timeout", "2s", status=7)
        finally:
            self.market.environment["SSL_CERT_FILE"] = trusted
        self.assertIn("certificate is not trusted: self-signed certificate", done.stderr)

    def test_another_host(self):
        other = Proxy(self.market.folder / "bin", self.market.port, "DNS:example.org")
        self.addCleanup(other.close)
        trusted = self.market.environment["SSL_CERT_FILE"]
        self.market.environment["SSL_CERT_FILE"] = str(other.certificate)
        try:
            for host in ("localhost", "127.0.0.1"):
                done = self.client("list", "--timeout", "2s", status=7, url=f"https://{host}:{other.port}")
                self.assertIn("mismatch", done.stderr)
        finally:
            self.market.environment["SSL_CERT_FILE"] = trusted

    def test_plain_where_tls_is_expected(self):
        done = self.client("list", "--timeout", "2s", status=7, url=f"https://localhost:{self.market.port}")
        self.assertIn("TLS failed", done.stderr)
        self.assertIn("hint: does it speak TLS?", done.stderr)

    def test_an_end_that_tls_tells_is_one(self):
        """A proxy that says `close_notify` and leaves TCP open."""
        held = []

        def serve(plain):
            secure = self.proxy.context.wrap_socket(plain, server_side=True)
            held.append(secure)
            secure.recv(65536)
            secure.setblocking(False)
            try:
                secure.unwrap()
            except ssl.SSLError:
                pass  # it does not wait for the answer

        listener = listen(serve)
        self.addCleanup(lambda: [one.close() for one in [listener, *held]])
        done = self.client("list", "--timeout", "3s", status=7, url=f"https://localhost:{listener.getsockname()[1]}")
        self.assertIn("the connection was closed before the answer was complete", done.stderr)

    def test_authorities_that_are_none(self):
        trusted = self.market.environment["SSL_CERT_FILE"]
        try:
            for name in (str(self.market.folder / "nowhere.pem"), str(self.market.folder / "keys" / "client.key")):
                self.market.environment["SSL_CERT_FILE"] = name
                done = self.client("list", status=1)
                self.assertIn(f"SSL_CERT_FILE names {name}", done.stderr)
        finally:
            self.market.environment["SSL_CERT_FILE"] = trusted
