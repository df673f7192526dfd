"""Networks that fail silently: half-open connections, nginx with its defaults, proxies that cut. Minutes, and root."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

import websocket
from listener import listen, shut
from market import BINARY, MarketTest, until

# Ping interval and pong time-out together, a tick of the deadline wheel, and a busy machine.
NOTICED = 35 + 0.5 + 3


def tool(*words, check=True):
    return subprocess.run(words, check=check, capture_output=True, text=True)


def may_make_namespaces():
    if os.geteuid() != 0 or not all(shutil.which(name) for name in ("ip", "nft", "ss")):
        return False
    made = tool("ip", "netns", "add", "aitbc-probe", check=False).returncode == 0
    if made:
        tool("ip", "netns", "del", "aitbc-probe")
    return made


class Namespace:
    """A network namespace with a cable to ours, in which packets can be made to vanish."""

    def __init__(self, number):
        self.name, self.ours, self.theirs = f"aitbc{os.getpid()}-{number}", f"10.231.{number}.1", f"10.231.{number}.2"
        end = f"aitbc{os.getpid() % 10000}{number}"
        tool("ip", "netns", "add", self.name)
        tool("ip", "link", "add", end, "type", "veth", "peer", "name", "far", "netns", self.name)
        tool("ip", "addr", "add", f"{self.ours}/24", "dev", end)
        tool("ip", "link", "set", end, "up")
        for words in (["addr", "add", f"{self.theirs}/24", "dev", "far"], ["link", "set", "far", "up"],
                      ["link", "set", "lo", "up"]):
            tool("ip", "-n", self.name, *words)

    def inside(self, *words):
        return ["ip", "netns", "exec", self.name, *words]

    def drop(self, *hooks):
        rules = "table inet vanish {\n" + "".join(
            f"chain {hook} {{ type filter hook {hook} priority 0; policy drop; }}\n" for hook in hooks) + "}\n"
        subprocess.run(self.inside("nft", "-f", "-"), input=rules, text=True, check=True)

    def heal(self):
        tool(*self.inside("nft", "delete", "table", "inet", "vanish"))

    def feeds(self, port):
        """The ports of the client's live feed. It is opened after the connection that its requests share."""
        listed = tool(*self.inside("ss", "-tnpH", "state", "established", f"( dport = :{port} )")).stdout
        found = re.findall(rf"{re.escape(self.theirs)}:(\d+) .*users:.*fd=(\d+)", listed)
        return {port for port, _ in sorted(found, key=lambda one: int(one[1]))[1:]}

    def remove(self):
        tool("ip", "netns", "del", self.name, check=False)


@unittest.skipUnless(may_make_namespaces(), "needs root, ip, nft and ss, and the right to make network namespaces")
class HalfOpen(MarketTest):
    options = ("--host", "0.0.0.0")
    slowness = 3

    def holds(self, cable, ports):
        """Whether the coordinator has not closed the feeds from these ports."""
        listed = tool("ss", "-tnpH", "state", "established",
                      f"( sport = :{self.market.port} and dst {cable.theirs} )").stdout
        return ports & set(re.findall(rf"{re.escape(cable.theirs)}:(\d+) +users:", listed))

    def test_both_ends_notice_within_35_seconds_and_the_view_goes_on(self):
        """Drops everything, and each direction alone, on three cables at once."""
        job = self.market.shell("while [ ! -e go ]; do sleep 0.2; done; echo done")
        self.market.until(job, "running")
        cables = [Namespace(number) for number in range(3)]
        for cable in cables:
            self.addCleanup(cable.remove)
        watchers = []
        for cable in cables:
            environment = self.market.environment | {
                "AITBC_URL": f"http://{cable.ours}:{self.market.port}", "AITBC_API_KEY": self.market.client_key}
            process = subprocess.Popen(
                cable.inside(BINARY, "client", "watch", "--job-id", job, "--json"), cwd=self.market.folder,
                env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.addCleanup(lambda process=process: process.poll() is None and process.kill())
            watchers.append(process)
        port = self.market.port
        for cable in cables:
            until(lambda: len(cable.feeds(port)) == 1 and self.holds(cable, cable.feeds(port)), "it watches", 20)
        before = [cable.feeds(port) for cable in cables]
        cables[0].drop("input", "output")
        cables[1].drop("input")
        cables[2].drop("output")
        began = time.monotonic()
        for cable, known in zip(cables, before):
            left = NOTICED - (time.monotonic() - began)
            until(lambda: not cable.feeds(port) & known, f"the client on {cable.theirs} notices", left)
            left = NOTICED - (time.monotonic() - began)
            until(lambda: not self.holds(cable, known), f"the server notices {cable.theirs}", max(left, 1))
        # Not by luck: nobody gives up on a silent peer before the ping was due.
        self.assertGreater(time.monotonic() - began, 20)
        for cable in cables:
            cable.heal()
        for cable in cables:
            until(lambda: cable.feeds(port), "it is back", 40)
        for folder in (self.market.folder / "work-miner" / "jobs").glob("*"):
            for path in [folder, *folder.rglob("*")]:
                if path.is_dir():
                    (path / "go").touch()
        for process in watchers:
            output, errors = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, errors)
            self.assertIn("completed", output)


def nginx():
    return shutil.which("nginx") or (os.path.exists("/usr/sbin/nginx") and "/usr/sbin/nginx") or None


class Proxies(MarketTest):
    slowness = 3

    def silent_job(self, seconds):
        return self.market.shell(f"sleep {seconds}; echo done")

    def wait_for_end(self, feed, job):
        """Reads one connection up to the job's end."""
        while True:
            code, data = feed.recv_data()
            self.assertEqual(code, websocket.ABNF.OPCODE_TEXT, data)
            one = json.loads(data)
            if one["type"] == "end" and one["job_id"] == job:
                return one

    @unittest.skipUnless(nginx(), "nginx is not installed")
    def test_nginx_with_its_defaults_keeps_a_silent_view(self):
        """nginx closes what is silent for 60 s; the server's pings keep it from that."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        folder = Path(tempfile.mkdtemp(prefix="aitbc-nginx."))
        self.addCleanup(shutil.rmtree, folder, True)
        for name in ("body", "proxy", "fastcgi", "uwsgi", "scgi"):
            (folder / name).mkdir()
        paths = "".join(f"{kind}_temp_path {folder}/{name};" for kind, name in (
            ("client_body", "body"), ("proxy", "proxy"), ("fastcgi", "fastcgi"), ("uwsgi", "uwsgi"), ("scgi", "scgi")))
        (folder / "nginx.conf").write_text(f"""
            daemon off; pid {folder}/pid; error_log stderr; user root; worker_processes 1;
            events {{}}
            http {{
              access_log off; {paths}
              server {{
                listen 127.0.0.1:{port};
                location / {{
                  proxy_pass http://127.0.0.1:{self.market.port};
                  proxy_http_version 1.1;
                  proxy_set_header Host $http_host;
                  proxy_set_header Upgrade $http_upgrade;
                  proxy_set_header Connection upgrade;
                }}
              }}
            }}""")
        log = open(folder / "log", "wb")
        proxy = subprocess.Popen([nginx(), "-p", folder, "-c", folder / "nginx.conf"], stdout=log, stderr=log)
        log.close()
        self.addCleanup(lambda: (proxy.terminate(), proxy.wait(20)))
        until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, "nginx listens")
        job = self.silent_job(130)
        feed = websocket.create_connection(
            f"ws://127.0.0.1:{port}/v1/jobs/{job}/ws", timeout=200, suppress_origin=True,
            header={"X-Api-Key": self.market.client_key})
        watch = subprocess.Popen(
            [BINARY, "client", "watch", "--job-id", job, "--url", f"http://127.0.0.1:{port}", "--json"],
            cwd=self.market.folder, env=self.market.environment | {"AITBC_API_KEY": self.market.client_key},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        began = time.monotonic()
        self.wait_for_end(feed, job)
        self.assertGreater(time.monotonic() - began, 120)
        output, errors = watch.communicate(timeout=30)
        self.assertEqual(watch.returncode, 0, errors)
        self.assertIn("completed", output)
        # It was never cut off on the way.
        self.assertNotIn("closed", errors)

    def test_a_proxy_that_cuts_every_10_seconds(self):
        """The view goes on over each of its cuts, to the end."""
        cuts = []

        def copy(source, target):
            try:
                while octets := source.recv(65536):
                    target.sendall(octets)
            except OSError:
                pass

        def serve(client):
            server = socket.create_connection(("127.0.0.1", self.market.port))

            def cut():
                cuts.append(1)
                shut(client, server)
                client.close()
                server.close()

            timer = threading.Timer(10, cut)
            timer.daemon = True
            timer.start()
            for pair in ((client, server), (server, client)):
                threading.Thread(target=copy, args=pair, daemon=True).start()

        listener = listen(serve)
        self.addCleanup(listener.close)
        job = self.silent_job(45)
        watch = subprocess.run(
            [BINARY, "client", "watch", "--job-id", job, "--url", f"http://127.0.0.1:{listener.getsockname()[1]}", "--json"],
            cwd=self.market.folder, env=self.market.environment | {"AITBC_API_KEY": self.market.client_key},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        self.assertEqual(watch.returncode, 0, watch.stderr)
        self.assertIn("completed", watch.stdout)
        self.assertGreaterEqual(len(cuts), 3)
