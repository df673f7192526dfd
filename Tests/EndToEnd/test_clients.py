"""One feed, many clients: websocket-client, websockets, Node's own and Chromium receive the same, message by message."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

import requests
import websocket
import websockets.asyncio.client
from market import BINARY, MarketTest, until

JOBS = 12
# Receives until JOBS jobs have ended, and answers with every durable message as it stood on the wire.
SCRIPT = """
async function follow(url, key, jobs) {
  const socket = new WebSocket(url);
  const found = [];
  let ends = 0;
  return await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("only " + JSON.stringify(found))), 60000);
    socket.onopen = () => socket.send(JSON.stringify({type: "auth", api_key: key}));
    socket.onerror = () => reject(new Error("the connection failed"));
    socket.onmessage = (event) => {
      const type = JSON.parse(event.data).type;
      if (type === "snapshot") globalThis.hasSnapshot?.();
      if (type !== "status" && type !== "end") return;
      found.push(event.data);
      if (type === "end" && ++ends === jobs) {
        clearTimeout(timer);
        socket.close(1000);
        resolve(found);
      }
    };
  });
}
"""


def durable(texts):
    return [text for text in texts if json.loads(text)["type"] in ("status", "end")]


class Client(threading.Thread):
    """Follows the feed in a thread of its own; `ready` is set once it has its snapshot."""

    def __init__(self, market):
        super().__init__(daemon=True)
        self.market, self.ready, self.found, self.error = market, threading.Event(), None, None
        self.url = f"ws://127.0.0.1:{market.port}/v1/jobs/ws"

    def run(self):
        try:
            self.found = self.follow()
        except BaseException as error:
            self.error = error
        finally:
            self.ready.set()

    def result(self):
        self.join(90)
        if self.error:
            raise self.error
        return self.found


class WebSocketClient(Client):
    def follow(self):
        feed = websocket.create_connection(self.url, header={"X-Api-Key": self.market.client_key}, timeout=60)
        texts = []
        while sum(json.loads(text)["type"] == "end" for text in texts) < JOBS:
            text = feed.recv()
            if json.loads(text)["type"] == "snapshot":
                self.ready.set()
            texts += durable([text])
        feed.close()
        return texts


class WebSockets(Client):
    compression = "deflate"

    def follow(self):
        return asyncio.run(asyncio.wait_for(self.receive(), 80))

    async def receive(self):
        texts = []
        async with websockets.asyncio.client.connect(
            self.url, additional_headers={"X-Api-Key": self.market.client_key}, compression=self.compression,
            proxy=None
        ) as feed:
            while sum(json.loads(text)["type"] == "end" for text in texts) < JOBS:
                text = await feed.recv()
                if json.loads(text)["type"] == "snapshot":
                    self.ready.set()
                texts += durable([text])
        return texts


class WebSocketsPlain(WebSockets):
    compression = None


class Node(Client):
    @staticmethod
    def command():
        """How to run Node with a WebSocket of its own; None when the one installed has none."""
        node = shutil.which("node")
        for flags in ([], ["--experimental-websocket"]):
            if node and subprocess.run([node, *flags, "-e", "new WebSocket('ws://127.0.0.1:1').onerror = () => {}"],
                                       capture_output=True).returncode == 0:
                return [node, "--no-warnings", *flags]
        return None

    def follow(self):
        script = SCRIPT + """
        globalThis.hasSnapshot = () => console.log("ready");
        follow(process.argv[1], process.argv[2], Number(process.argv[3])).then(
            (found) => { console.log(JSON.stringify(found)); process.exit(0); },
            (error) => { console.error(error); process.exit(1); });
        """
        process = subprocess.Popen(
            [*self.command(), "-e", script, self.url, self.market.client_key, str(JOBS)], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        try:
            if process.stdout.readline().strip() == "ready":
                self.ready.set()
            output, errors = process.communicate(timeout=80)
        finally:
            process.kill()
        if process.returncode:
            raise AssertionError(errors)
        return json.loads(output)


class Chromium(Client):
    @staticmethod
    def command():
        return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

    def follow(self):
        folder = tempfile.mkdtemp(prefix="aitbc-chromium.")
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                   "--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={folder}"]
        process = subprocess.Popen([self.command(), *options, self.market.url + "/healthz"], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            return self.in_page(folder)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            shutil.rmtree(folder, ignore_errors=True)

    def in_page(self, folder):
        """Runs the script in a page of the coordinator's own, over the browser's debugging socket."""
        file = os.path.join(folder, "DevToolsActivePort")
        until(lambda: os.path.exists(file) and open(file).read().count("\n"), "the browser listens", 60)
        port = open(file).read().split()[0]

        def page():
            pages = requests.get(f"http://127.0.0.1:{port}/json", timeout=20).json()
            return next((one for one in pages if one["type"] == "page" and one["url"].startswith(self.market.url)), None)

        target = until(page, "the browser shows a page of ours", 60)["webSocketDebuggerUrl"]
        browser = websocket.create_connection(target, timeout=80, suppress_origin=True)
        self.numbers = 0

        def evaluate(expression):
            self.numbers += 1
            browser.send(json.dumps({"id": self.numbers, "method": "Runtime.evaluate", "params": {
                "expression": expression, "awaitPromise": True, "returnByValue": True}}))
            while (answer := json.loads(browser.recv())).get("id") != self.numbers:
                pass
            result = answer.get("result", {})
            if "result" not in result or "exceptionDetails" in result:
                raise AssertionError(json.dumps(answer))
            return result["result"].get("value")

        def is_loaded():
            try:
                return evaluate("document.readyState") == "complete"
            except AssertionError:
                # The page was changed for another one meanwhile.
                return False

        until(is_loaded, "the page is there", 60)

        start = f"({json.dumps(self.url)}, {json.dumps(self.market.client_key)}, {JOBS})"

        def is_started():
            try:
                # In one: the document may be another in the next.
                evaluate(SCRIPT + f"; new Promise((ready) => {{ globalThis.hasSnapshot = () => ready(1); "
                         f"globalThis.result = follow{start}; }})")
                return True
            except AssertionError as fault:
                # The browser put another document in the page's place once more.
                if "context was destroyed" not in str(fault):
                    raise
                return False

        until(is_started, "the page follows the feed", 60)
        self.ready.set()
        found = evaluate("globalThis.result")
        browser.close()
        return found


class SameFeed(MarketTest):
    slowness = 2

    def run_clients(self, *kinds):
        clients = [kind(self.market) for kind in kinds]
        for client in clients:
            client.start()
        for client in clients:
            self.assertTrue(client.ready.wait(60), type(client).__name__)
        for number in range(JOBS):
            self.market.shell(f"echo é汉🧪 {number}; exit {number % 3}", name=f"same feed {number} é汉🧪")
        found = {type(client).__name__: client.result() for client in clients}
        first = found["WebSocketClient"]
        self.assertGreaterEqual(len(first), 4 * JOBS)
        numbers = [json.loads(text)["seq"] for text in first]
        self.assertEqual(numbers, sorted(set(numbers)))
        for name, texts in found.items():
            self.assertEqual(texts, first, name)

    def test_python_clients(self):
        self.run_clients(WebSocketClient, WebSockets, WebSocketsPlain)

    def test_node(self):
        if not Node.command():
            self.skipTest("no Node with a WebSocket client of its own is installed")
        self.run_clients(WebSocketClient, Node)

    def test_chromium(self):
        if not Chromium.command():
            self.skipTest("Chromium is not installed")
        self.run_clients(WebSocketClient, Chromium)
