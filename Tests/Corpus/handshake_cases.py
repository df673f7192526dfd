"""Opening handshakes: requests with the status that a server must give, answers with what a client must make of them."""

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
START = "GET /chat HTTP/1.1"
FIELDS = [("Host", "server.example.com"), ("Upgrade", "websocket"), ("Connection", "Upgrade"),
          ("Sec-WebSocket-Key", KEY), ("Sec-WebSocket-Version", "13")]


def request(start=START, drop=(), change=None, add=(), end="\r\n", tail=b""):
    fields = [(name, (change or {}).get(name, value)) for name, value in FIELDS if name not in drop] + list(add)
    text = start + end + "".join(f"{name}: {value}{end}" for name, value in fields) + end
    return text.encode("utf-8", "surrogateescape") + tail


def raw(line, where=1):
    """A good request with a line put in after the first `where` ones."""
    lines = request().split(b"\r\n")
    return b"\r\n".join(lines[:where] + [line] + lines[where:])


def requests():
    """(name, octets, status). 0: no answer yet, the head is not whole."""
    good = {
        "rfc-example": request(add=[("Origin", "http://server.example.com"), ("Sec-WebSocket-Protocol", "chat, superchat")]),
        "names-in-any-case": request().replace(b"Upgrade: websocket", b"uPGRADE: WebSocket").replace(b"Host:", b"HOST:"),
        "connection-list": request(change={"Connection": "keep-alive, Upgrade"}),
        "connection-twice": request(add=[("Connection", "keep-alive")]), "upgrade-list": request(change={"Upgrade": "h2c, websocket"}),
        "upgrade-twice": request(add=[("Upgrade", "h2c")]), "no-blank-after-colon": request().replace(b": ", b":"),
        "blanks-around-values": request().replace(b"13\r\n", b" \t13 \t\r\n"), "empty-list-members": request(change={"Connection": ", ,Upgrade,"}),
        "content-length-0": request(add=[("Content-Length", "0")]), "unknown-field": request(add=[("X-Other", "é €")]),
        "port-in-host": request(change={"Host": "server.example.com:8000"}), "ipv6-host": request(change={"Host": "[::1]:80"}),
        "host-empty-port": request(change={"Host": "server.example.com:"}), "query": request("GET /chat?x=%20&y HTTP/1.1"),
        "protocol-over-lines": request(add=[("Sec-WebSocket-Protocol", "chat"), ("Sec-WebSocket-Protocol", "superchat")]),
        "extension": request(add=[("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")]),
        "extension-unknown": request(add=[("Sec-WebSocket-Extensions", "x-unknown; a=1; b=\"c\", mux")]),
        "extension-over-lines": request(add=[("Sec-WebSocket-Extensions", "x-one"), ("Sec-WebSocket-Extensions", "permessage-deflate")]),
        "extension-bad-parameter-is-declined": request(add=[("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=7")]),
        "frames-behind": request(tail=b"\x81\x80\x00\x00\x00\x00"), "large-but-allowed": request(add=[("X-Large", "x" * 8192)]),
        "origin-other-case": request(add=[("Origin", "HTTP://Server.Example.COM")]),
        "origin-default-port": request(add=[("Origin", "http://server.example.com:80")]),
        "origin-allowed": request(add=[("Origin", "https://partner.example")]),
    }
    for name, octets in good.items():
        yield f"fine-{name}", octets, 101
    for name, value in FIELDS:
        yield f"missing-{name.lower()}", request(drop=[name]), 426 if name in ("Upgrade", "Sec-WebSocket-Version") else 400
        if name not in ("Upgrade", "Connection"):
            yield f"twice-{name.lower()}", request(add=[(name, value)]), 400
            yield f"twice-{name.lower()}-other-case", request(add=[(name.upper(), value)]), 400
        yield f"empty-{name.lower()}", request(change={name: ""}), 426 if name in ("Upgrade", "Sec-WebSocket-Version") else 400
    for value in ("h2c", "websockets", "websocket/13", "web socket", "\"websocket\"", "websocket;q=1"):
        yield f"upgrade-{value.strip(chr(34)).replace(' ', '_').replace('/', '-')}", request(change={"Upgrade": value}), 426
    for value in ("close", "keep-alive", "Upgraded", "Up grade"):
        yield f"connection-{value.replace(' ', '_')}", request(change={"Connection": value}), 400
    for value in ("0", "7", "8", "12", "14", "99", "013", "13.0", "+13", "-13", "13;", "13, 8", "thirteen", "1 3", "0x0d"):
        yield f"version-{value.replace(' ', '_')}", request(change={"Sec-WebSocket-Version": value}), 426
    keys = {"short": "dGhlIHNhbXBsZSBub25j", "long": "dGhlIHNhbXBsZSBub25jZXg=", "unpadded": KEY[:-2], "one-pad": KEY[:-1],
            "three-pads": KEY + "=", "stray-bits": "dGhlIHNhbXBsZSBub25jZR==", "not-base64": "dGhlIHNhbXBsZSBub25jZ!==",
            "url-alphabet": "_-_-_-_-_-_-_-_-_-_-_w==", "blank-inside": "dGhlIHNh bXBsZSBub25jZQ==", "two-keys": KEY + ", " + KEY,
            "quoted": f'"{KEY}"', "hex": "00112233445566778899aabbccddeeff", "one-octet": "AA=="}
    for name, value in keys.items():
        yield f"key-{name}", request(change={"Sec-WebSocket-Key": value}), 400
    hosts = {"blank": "a b", "slash": "a/b", "user": "me@server.example.com", "two": "a, b", "bad-port": "a:80x", "two-ports": "a:80:80",
             "open-bracket": "[::1", "behind-bracket": "[::1]a", "bracketed-name": "[name]", "query": "a?b", "backslash": "a\\b",
             "negative-port": "a:-1", "fragment": "a#b", "beyond-ascii": "é.example"}
    for name, value in hosts.items():
        yield f"host-{name}", request(change={"Host": value}), 400
    origins = {"null": "null", "other": "http://evil.example", "suffix": "http://server.example.com.evil.example",
               "prefix": "http://evilserver.example.com", "subdomain": "http://a.server.example.com", "port": "http://server.example.com:8001",
               "loopback-port": "http://127.0.0.1:9000", "localhost": "http://localhost", "scheme": "ftp://server.example.com",
               "no-scheme": "server.example.com", "slash": "http://server.example.com/", "user": "http://server.example.com@evil.example",
               "empty": "", "list": "http://server.example.com http://evil.example", "file": "file://", "wrong-default": "https://server.example.com:80",
               "partner-suffix": "https://partner.example.evil", "partner-scheme": "http://partner.example", "extension": "chrome-extension://abc"}
    for name, value in origins.items():
        yield f"origin-{name}", request(add=[("Origin", value)]), 403
    yield "origin-twice", request(add=[("Origin", "http://server.example.com"), ("Origin", "http://evil.example")]), 400
    for name, value in {"blank": "cha t", "empty": "", "comma": ",", "twice": "chat, chat", "quoted": '"chat"', "slash": "a/b", "beyond-ascii": "é"}.items():
        yield f"protocol-{name}", request(add=[("Sec-WebSocket-Protocol", value)]), 400
    yield "protocol-twice-over-lines", request(add=[("Sec-WebSocket-Protocol", "chat"), ("Sec-WebSocket-Protocol", "chat")]), 400
    for name, value in {"empty": "", "commas": ",,", "no-parameter": "permessage-deflate;", "no-value": "a; b=", "open-quote": 'a; b="c',
                        "not-a-token": "a; b=\"c d\"", "no-name": "; a", "two-names": "a b", "slash": "a/b", "escape-at-end": 'a; b="c\\'}.items():
        yield f"extensions-{name}", request(add=[("Sec-WebSocket-Extensions", value)]), 400
    starts = {"post": ("POST /chat HTTP/1.1", 400), "head": ("HEAD /chat HTTP/1.1", 400), "connect": ("CONNECT server.example.com:80 HTTP/1.1", 400),
              "options": ("OPTIONS * HTTP/1.1", 400), "lower-case": ("get /chat HTTP/1.1", 400), "http-1-0": ("GET /chat HTTP/1.0", 400),
              "http-0-9": ("GET /chat", 400), "http-2": ("GET /chat HTTP/2.0", 400), "no-version": ("GET /chat ", 400),
              "bad-version": ("GET /chat HTTP/1.x", 400), "lower-http": ("GET /chat http/1.1", 400), "two-blanks": ("GET  /chat HTTP/1.1", 400),
              "tab": ("GET\t/chat\tHTTP/1.1", 400), "trailing": ("GET /chat HTTP/1.1 x", 400), "no-target": ("GET HTTP/1.1", 400)}
    for name, (start, status) in starts.items():
        yield f"start-{name}", request(start), status
    smuggling = {
        "length-5": request(add=[("Content-Length", "5")], tail=b"hello"), "length-plus": request(add=[("Content-Length", "+0")]),
        "length-list": request(add=[("Content-Length", "0, 5")]), "length-twice": request(add=[("Content-Length", "0"), ("Content-Length", "5")], tail=b"hello"),
        "length-hex": request(add=[("Content-Length", "0x0")]), "length-negative": request(add=[("Content-Length", "-1")]),
        "chunked": request(add=[("Transfer-Encoding", "chunked")], tail=b"0\r\n\r\n"),
        "chunk-extension": request(add=[("Transfer-Encoding", "chunked")], tail=b"0;x=\"\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
        "both": request(add=[("Content-Length", "5"), ("Transfer-Encoding", "chunked")], tail=b"0\r\n\r\n"),
        "identity": request(add=[("Transfer-Encoding", "identity")]), "unknown-coding": request(add=[("Transfer-Encoding", "xchunked")]),
        "obs-fold": raw(b"X-Folded: one\r\n two"), "obs-fold-key": request().replace(KEY.encode(), KEY.encode()[:10] + b"\r\n " + KEY.encode()[10:]),
        "obs-fold-tab": raw(b"X-Folded: one\r\n\ttwo"), "obs-fold-first": raw(b" Host: evil.example"), "bare-lf": request(end="\n"),
        "bare-lf-once": raw(b"X-A: 1\nX-B: 2"), "bare-lf-end": request()[:-2] + b"\n", "bare-cr": raw(b"X-A: 1\rHost: evil.example"),
        "cr-in-name": raw(b"X-A\r: 1"), "nul-in-value": raw(b"X-A: a\x00b"), "nul-in-name": raw(b"X\x00A: b"), "del-in-value": raw(b"X-A: a\x7fb"),
        "control-in-value": raw(b"X-A: a\x01b"), "blank-before-colon": raw(b"X-A : 1"), "blank-before-colon-host": request().replace(b"Host:", b"Host :"),
        "no-colon": raw(b"X-A"), "empty-name": raw(b": 1"), "name-with-blank": raw(b"X A: 1"), "name-beyond-ascii": raw("é: 1".encode()),
        "name-in-parentheses": raw(b"X(A): 1"), "tls-hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40 + b"\r\n\r\n",
        "http2-preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "response-instead": b"HTTP/1.1 200 OK\r\n\r\n", "noise": bytes(range(1, 64)) + b"\r\n\r\n",
        "target-with-control": request("GET /ch\x01at HTTP/1.1"), "target-with-nul": request("GET /ch\x00at HTTP/1.1"),
        "target-beyond-ascii": request("GET /é HTTP/1.1"),
    }
    for name, octets in smuggling.items():
        yield f"smuggling-{name}", octets, 400
    yield "large-one-field", request(add=[("X-Large", "x" * 20000)]), 431
    yield "large-many-fields", request(add=[(f"X-{number}", "y" * 100) for number in range(200)]), 431
    yield "large-name", request(add=[("X" * 17000, "1")]), 431
    yield "large-target", request("GET /" + "x" * 17000 + " HTTP/1.1"), 431
    yield "unfinished", request()[:-2], 0
    yield "unfinished-line", request()[:40], 0


def answers():
    """(name, octets, outcome): open, refused (with the status), or failed."""
    fields = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", ACCEPT)]

    def answer(start="HTTP/1.1 101 Switching Protocols", drop=(), change=None, add=(), end="\r\n"):
        mine = [(name, (change or {}).get(name, value)) for name, value in fields if name not in drop] + list(add)
        return (start + end + "".join(f"{name}: {value}{end}" for name, value in mine) + end).encode("utf-8")

    good = {
        "plain": answer(), "other-case": answer().replace(b"Upgrade: websocket", b"UPGRADE: WebSocket"), "no-reason": answer("HTTP/1.1 101 "),
        "no-blank-after-status": answer("HTTP/1.1 101"), "connection-list": answer(change={"Connection": "keep-alive, upgrade"}),
        "protocol": answer(add=[("Sec-WebSocket-Protocol", "chat")]), "second-protocol": answer(add=[("Sec-WebSocket-Protocol", "superchat")]),
        "deflate": answer(add=[("Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover; client_no_context_takeover")]),
        "deflate-windows": answer(add=[("Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=\"10\"")]),
        "interim-first": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + answer(), "other-fields": answer(add=[("Server", "x"), ("Date", "today")]),
        "length-is-ignored": answer(add=[("Content-Length", "5")]), "frame-behind": answer() + b"\x81\x02hi",
    }
    for name, octets in good.items():
        yield f"fine-{name}", octets, "open"
    failed = {
        "no-upgrade": answer(drop=["Upgrade"]), "other-upgrade": answer(change={"Upgrade": "h2c"}), "upgrade-list": answer(change={"Upgrade": "websocket, h2c"}),
        "upgrade-twice": answer(add=[("Upgrade", "websocket")]), "no-connection": answer(drop=["Connection"]), "connection-close": answer(change={"Connection": "close"}),
        "no-accept": answer(drop=["Sec-WebSocket-Accept"]), "empty-accept": answer(change={"Sec-WebSocket-Accept": ""}), "wrong-accept": answer(change={"Sec-WebSocket-Accept": KEY}),
        "accept-other-case": answer(change={"Sec-WebSocket-Accept": ACCEPT.lower()}), "accept-twice": answer(add=[("Sec-WebSocket-Accept", ACCEPT)]),
        "accept-with-more": answer(change={"Sec-WebSocket-Accept": ACCEPT + ", x"}), "protocol-not-offered": answer(add=[("Sec-WebSocket-Protocol", "other")]),
        "protocol-other-case": answer(add=[("Sec-WebSocket-Protocol", "Chat")]), "protocol-twice": answer(add=[("Sec-WebSocket-Protocol", "chat"), ("Sec-WebSocket-Protocol", "chat")]),
        "protocol-list": answer(add=[("Sec-WebSocket-Protocol", "chat, superchat")]), "protocol-empty": answer(add=[("Sec-WebSocket-Protocol", "")]),
        "http-1-0": answer("HTTP/1.0 101 Switching Protocols"), "http-2": answer("HTTP/2.0 101 Switching Protocols"), "not-http": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "status-with-letters": answer("HTTP/1.1 1O1 Switching"), "status-four-digits": answer("HTTP/1.1 1010 Switching"), "status-missing": answer("HTTP/1.1 "),
        "bare-lf": answer(end="\n"), "obs-fold": answer(add=[("X-A", "1\r\n 2")]), "nul": answer(add=[("X-A", "a\x00b")]), "blank-before-colon": answer(add=[("X-A ", "1")]),
        "too-large": answer(add=[("X-A", "x" * 20000)]),
    }
    extensions = {
        "unknown": "x-unknown", "two": "permessage-deflate; server_no_context_takeover, permessage-deflate; server_no_context_takeover", "empty": "",
        "malformed": "permessage-deflate;", "unknown-parameter": "permessage-deflate; server_no_context_takeover; x",
        "parameter-twice": "permessage-deflate; server_no_context_takeover; server_no_context_takeover", "takeover-not-confirmed": "permessage-deflate",
        "takeover-with-value": "permessage-deflate; server_no_context_takeover=1", "window-7": "permessage-deflate; server_no_context_takeover; server_max_window_bits=7",
        "window-16": "permessage-deflate; server_no_context_takeover; server_max_window_bits=16", "window-leading-zero": "permessage-deflate; server_no_context_takeover; server_max_window_bits=09",
        "window-without-value": "permessage-deflate; server_no_context_takeover; server_max_window_bits", "client-window-without-value": "permessage-deflate; server_no_context_takeover; client_max_window_bits",
        "client-window-16": "permessage-deflate; server_no_context_takeover; client_max_window_bits=16",
    }
    for name, value in extensions.items():
        failed[f"extension-{name}"] = answer(add=[("Sec-WebSocket-Extensions", value)])
    for name, octets in failed.items():
        yield name, octets, "failed"
    for status, reason in ((200, "OK"), (301, "Moved"), (400, "Bad Request"), (401, "Unauthorized"), (403, "Forbidden"), (404, "Not Found"), (426, "Upgrade Required"),
                           (429, "Too Many"), (500, "Error"), (503, "Unavailable")):
        body = b"why"
        yield f"status-{status}", answer(f"HTTP/1.1 {status} {reason}", add=[("Content-Length", "3")]) + body, f"refused {status}"
    yield "status-chunked", answer("HTTP/1.1 403 Forbidden", add=[("Transfer-Encoding", "chunked")]) + b"3;x=y\r\nwhy\r\n0\r\n\r\n", "refused 403"
    yield "status-1-0", answer("HTTP/1.0 503 Unavailable", drop=["Upgrade", "Connection"], add=[("Content-Length", "3")]) + b"why", "refused 503"
