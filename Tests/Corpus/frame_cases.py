"""Frames that break a rule, each with the failure it must come to and the octet at which that is known."""

import zlib

MASK = bytes([0x37, 0xFA, 0x21, 0x3D])
SERVER, CLIENT = 0, 1
ROLES = {"server": SERVER, "client": CLIENT}
OPCODES = {"continuation": 0, "text": 1, "binary": 2, "close": 8, "ping": 9, "pong": 10}
DATA = {"text": 1, "binary": 2}
CONTROL = {"close": 8, "ping": 9, "pong": 10}
# The small limits: frame 1000, message 2000, fragments 8, control frames 5 in a second, inflated 1500.
FRAME, MESSAGE, FRAGMENTS, CONTROLS, BOMB = 1000, 2000, 8, 5, 1500
WINDOWS = (15, 12, 9, 8)


def setup(role, deflate=False, forgets=False, window=15, small=False):
    """The octet before the frames. `role` is the receiver's; `forgets`: no context takeover."""
    return bytes([role | deflate << 1 | forgets << 2 | WINDOWS.index(window) << 3 | small << 6])


def frame(role, first, payload=b"", form=None, masked=None):
    """A frame to an end of this role. `form`: octets of the length beyond the first."""
    masked = role == SERVER if masked is None else masked
    size = len(payload)
    form = (0 if size < 126 else 2 if size < 65536 else 8) if form is None else form
    head = bytes([first, masked << 7 | (size if form == 0 else 126 if form == 2 else 127)])
    head += size.to_bytes(form, "big") if form else b""
    if not masked:
        return head + payload
    return head + MASK + bytes(octet ^ MASK[index % 4] for index, octet in enumerate(payload))


def head(role, first, size, form, masked=None):
    """A header without its mask and payload."""
    masked = role == SERVER if masked is None else masked
    return bytes([first, masked << 7 | (126 if form == 2 else 127)]) + size.to_bytes(form, "big")


def front(role):
    """Octets before the payload of a short frame."""
    return 6 if role == SERVER else 2


def cases():
    """(name, octets, failure, octet)."""
    found = []
    for part in (masks, reserved, opcodes, control, lengths, sizes, text, closes, order, floods, deflate, fine):
        found += part()
    return found


def masks():
    for role, failure in (("server", "unmaskedFrame"), ("client", "maskedFrame")):
        for name, opcode in OPCODES.items():
            if opcode == 0:
                continue
            for size in (0, 1, 125) if opcode >= 8 else (0, 5, 125, 126, 70000):
                octets = frame(ROLES[role], 0x80 | opcode, b"\x00" * size if opcode != 8 or size > 1 else b"",
                               masked=role == "client")
                # Known at the second octet: the payload need not come at all.
                yield f"mask-{role}-{name}-{size}", setup(ROLES[role]) + octets[:300], failure, 2


def reserved():
    for name, opcode in OPCODES.items():
        for bits in range(1, 8):
            octets = frame(SERVER, 0x80 | bits << 4 | opcode, b"a")
            yield f"rsv-{name}-{bits}", setup(SERVER) + octets, "reservedBits", 1
            if not (bits == 4 and opcode in (1, 2)):
                yield f"rsv-deflate-{name}-{bits}", setup(SERVER, True) + octets, "reservedBits", 1
        yield f"rsv-client-{name}", setup(CLIENT) + frame(CLIENT, 0xC0 | opcode), "reservedBits", 1
    first = frame(SERVER, 0x41, compressed(b"one")[:2])
    yield "rsv-deflate-later-fragment", setup(SERVER, True) + first + frame(SERVER, 0xC0, b"a"), "reservedBits", len(first) + 1
    yield "rsv-deflate-ping-inside", setup(SERVER, True) + first + frame(SERVER, 0xC9), "reservedBits", len(first) + 1


def opcodes():
    for role in ROLES:
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
            for final in (0, 1):
                octets = frame(ROLES[role], final << 7 | opcode, b"x")
                yield f"opcode-{role}-{opcode}-{final}", setup(ROLES[role]) + octets, "unknownOpcode", 1


def control():
    for role in ROLES:
        for name, opcode in CONTROL.items():
            yield (f"control-fragmented-{role}-{name}", setup(ROLES[role]) + frame(ROLES[role], opcode),
                   "fragmentedControlFrame", 1)
            for size, form in ((126, 2), (65535, 2), (65536, 8), (0, 2), (5, 8)):
                octets = head(ROLES[role], 0x80 | opcode, size, form)
                yield f"control-long-{role}-{name}-{size}-{form}", setup(ROLES[role]) + octets, "controlFrameTooLong", 2
    start = frame(SERVER, 0x01, b"a")
    yield "control-fragmented-inside", setup(SERVER) + start + frame(SERVER, 0x09), "fragmentedControlFrame", len(start) + 1


def lengths():
    for role in ROLES:
        for name, opcode in DATA.items():
            for size, form in ((0, 2), (1, 2), (125, 2), (0, 8), (125, 8), (126, 8), (65535, 8)):
                octets = head(ROLES[role], 0x80 | opcode, size, form) + MASK * (role == "server") + b"\x00" * 8
                yield f"length-{role}-{name}-{size}-{form}", setup(ROLES[role]) + octets, "lengthNotMinimal", 2 + form
        for size in (1 << 63, (1 << 63) + 1, (1 << 64) - 1):
            octets = head(ROLES[role], 0x82, size, 8)
            yield f"length-top-bit-{role}-{size:x}", setup(ROLES[role]) + octets, "lengthTooLarge", 3


def sizes():
    for role in ROLES:
        for size, form in ((FRAME + 1, 2), (65535, 2), (65536, 8), (1 << 32, 8), ((1 << 63) - 1, 8)):
            octets = head(ROLES[role], 0x82, size, form) + MASK * (role == "server")
            yield f"size-frame-{role}-{size:x}", setup(ROLES[role], small=True) + octets, "frameTooLarge", 2 + form
        size = 1 << 21
        yield (f"size-frame-{role}-default", setup(ROLES[role]) + head(ROLES[role], 0x81, size, 8), "frameTooLarge", 10)
        first = frame(ROLES[role], 0x02, b"\x00" * FRAME)
        second = frame(ROLES[role], 0x00, b"\x00" * FRAME)
        third = frame(ROLES[role], 0x80, b"\x00")
        yield (f"size-message-{role}", setup(ROLES[role], small=True) + first + second + third, "messageTooLarge",
               len(first + second) + front(ROLES[role]))


# Each with the index of the octet after which nothing could make it valid.
BAD_TEXT = {
    "continuation": (b"\x80", 0), "continuation-last": (b"\xbf", 0), "overlong-2": (b"\xc0\x80", 0),
    "overlong-2-last": (b"\xc1\xbf", 0), "overlong-3": (b"\xe0\x80\x80", 1), "overlong-3-last": (b"\xe0\x9f\xbf", 1),
    "surrogate-first": (b"\xed\xa0\x80", 1), "surrogate-last": (b"\xed\xbf\xbf", 1), "overlong-4": (b"\xf0\x80\x80\x80", 1),
    "overlong-4-last": (b"\xf0\x8f\xbf\xbf", 1), "beyond": (b"\xf4\x90\x80\x80", 1), "f5": (b"\xf5\x80\x80\x80", 0),
    "f8": (b"\xf8\x88\x80\x80\x80", 0), "fc": (b"\xfc\x84\x80\x80\x80\x80", 0), "fe": (b"\xfe", 0), "ff": (b"\xff", 0),
    "lead-then-ascii": (b"\xc2 ", 1), "lead-then-lead": (b"\xc2\xc2", 1), "three-then-ascii": (b"\xe2\x82(", 2),
    "three-then-lead": (b"\xe2\xe2\x82", 1), "four-then-ascii": (b"\xf0\x9f\x98 ", 3), "four-second": (b"\xf0(\x8c\xbc", 1),
    "four-third": (b"\xf0\x90(\xbc", 2), "too-many": (b"\xc3\xa9\xa9", 2),
}
CUT_TEXT = {"cut-2": b"\xc2", "cut-3-1": b"\xe2", "cut-3-2": b"\xe2\x82", "cut-4-1": b"\xf0", "cut-4-2": b"\xf0\x9f",
            "cut-4-3": b"\xf0\x9f\x98"}


def text():
    good = "κόσμε ".encode()
    for name, (bad, index) in BAD_TEXT.items():
        whole = good + bad + b" and more"
        at = front(SERVER) + len(good) + index + 1
        yield f"text-{name}", setup(SERVER) + frame(SERVER, 0x81, whole), "invalidUTF8", at
        pieces = b"".join(frame(SERVER, (0x01 if number == 0 else 0x80 if number == len(whole) - 1 else 0x00),
                                whole[number:number + 1]) for number in range(len(whole)))
        yield (f"text-{name}-octet-frames", setup(SERVER) + pieces, "invalidUTF8", 7 * (len(good) + index + 1))
        reason = b"\x03\xe8" + whole
        yield (f"text-{name}-close", setup(CLIENT) + frame(CLIENT, 0x88, reason), "invalidUTF8",
               front(CLIENT) + 2 + len(good) + index + 1)
    for name, bad in CUT_TEXT.items():
        for role in ROLES:
            octets = frame(ROLES[role], 0x81, good + bad)
            yield f"text-{name}-{role}", setup(ROLES[role]) + octets, "invalidUTF8", len(octets)
        first, last = frame(SERVER, 0x01, good + bad), frame(SERVER, 0x80)
        yield f"text-{name}-empty-last", setup(SERVER) + first + last, "invalidUTF8", len(first + last)
        octets = frame(SERVER, 0x88, b"\x03\xe8" + good + bad)
        yield f"text-{name}-close", setup(SERVER) + octets, "invalidUTF8", len(octets)


def closes():
    for role in ROLES:
        yield (f"close-one-octet-{role}", setup(ROLES[role]) + frame(ROLES[role], 0x88, b"\x03"), "closePayloadTooShort",
               front(ROLES[role]) + 1)
        for code in (0, 1, 125, 500, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 5001, 32768, 65535):
            octets = frame(ROLES[role], 0x88, code.to_bytes(2, "big") + b"because")
            yield f"close-{role}-{code}", setup(ROLES[role]) + octets, "invalidCloseCode", front(ROLES[role]) + 2


def order():
    for role in ROLES:
        number = ROLES[role]
        for final in (0, 1):
            octets = frame(number, final << 7, b"x")
            yield f"order-continuation-{role}-{final}", setup(number) + octets, "unexpectedContinuation", 1
            whole = frame(number, 0x81, b"done")
            yield (f"order-continuation-after-whole-{role}-{final}", setup(number) + whole + octets,
                   "unexpectedContinuation", len(whole) + 1)
        for outer, first in DATA.items():
            for inner, second in DATA.items():
                for final in (0, 1):
                    start = frame(number, first, b"x") + frame(number, 0x89, b"?")
                    octets = start + frame(number, final << 7 | second, b"y")
                    yield (f"order-{inner}-inside-{outer}-{role}-{final}", setup(number) + octets, "messageInterrupted",
                           len(start) + 1)


def floods():
    for role in ROLES:
        number = ROLES[role]
        for name, opcode in (("ping", 0x89), ("pong", 0x8A)):
            one = frame(number, opcode, b"!")
            yield (f"flood-{name}-{role}", setup(number, small=True) + one * (CONTROLS + 1), "tooManyControlFrames",
                   len(one) * CONTROLS + front(number))
        for size in (0, 1):
            first, more = frame(number, 0x02, b"a" * size), frame(number, 0x00, b"a" * size)
            yield (f"flood-fragments-{size}-{role}", setup(number, small=True) + first + more * FRAGMENTS,
                   "tooManyFragments", len(first) + len(more) * (FRAGMENTS - 1) + front(number))


def compressed(data, window=15, level=9, earlier=()):
    """A message's payload; `earlier` messages of the same connection go before it."""
    engine = zlib.compressobj(level, zlib.DEFLATED, -window)
    for other in earlier:
        engine.compress(other) + engine.flush(zlib.Z_SYNC_FLUSH)
    return (engine.compress(data) + engine.flush(zlib.Z_SYNC_FLUSH))[:-4]


def deflate():
    def message(payload, role=SERVER, first=0xC1):
        return frame(role, first, payload)

    bad = {
        "block-type-3": b"\x07\x00", "stored-complement": b"\x00\x05\x00\x00\x00abcde", "stored-cut": b"\x00\x05\x00\xfa\xffab",
        "stored-cut-in-length": b"\x00\x05", "distance-too-far": b"\x4b\x84\x43\x00\x10", "dynamic-cut": b"\x05\xc0\x81",
        "dynamic-too-many-codes": b"\xfd\xff\xff\xff", "dynamic-bad-lengths": b"\x0c\x00\x00\x00\x00\x00",
        "huffman-cut": compressed(b"no end in sight, none at all")[:-7], "symbol-invalid": b"\x1b\xff\xff\xff\x00",
        "all-ones": b"\xff" * 12, "final-then-cut": b"\x4b\x04\x00\x00\x05\x00\xfa\xffab",
    }
    for name, payload in bad.items():
        yield f"deflate-{name}", setup(SERVER, True) + message(payload, first=0xC2), "invalidDeflate", "-"
    one, two = b"the same again and again", b"the same again and again"
    second = compressed(two, earlier=[one])
    octets = message(compressed(one)) + message(second)
    yield "deflate-history-forgotten", setup(SERVER, True, forgets=True) + octets, "invalidDeflate", "-"
    for role in ROLES:
        for kind, first in (("text", 0xC1), ("binary", 0xC2)):
            payload = compressed(b"a" * (BOMB + 1))
            yield (f"deflate-bomb-{role}-{kind}", setup(ROLES[role], True, small=True) + message(payload, ROLES[role], first),
                   "deflateBomb", "-")
    # Both wrong: what comes first counts, however much is inflated in one go.
    payload = compressed(b"a" * BOMB + b"\xff" + b"a" * 500)
    yield "deflate-bomb-then-bad-text", setup(SERVER, True, small=True) + message(payload), "deflateBomb", "-"
    payload = compressed(b"a" * (BOMB - 1) + b"\xff" + b"a" * 500)
    yield "deflate-bad-text-then-bomb", setup(SERVER, True, small=True) + message(payload), "invalidUTF8", "-"
    payload = compressed(b"\x00" * (5 << 20))
    yield "deflate-bomb-default-limit", setup(SERVER, True) + message(payload, first=0xC2), "deflateBomb", "-"
    half = len(payload) // 2
    yield ("deflate-bomb-in-fragments", setup(SERVER, True) + frame(SERVER, 0x42, payload[:half]) +
           frame(SERVER, 0x80, payload[half:]), "deflateBomb", "-")
    for name, (octets, _) in BAD_TEXT.items():
        yield (f"deflate-text-{name}", setup(SERVER, True) + message(compressed(b"fine until " + octets + b"here")),
               "invalidUTF8", "-")
    for name, octets in CUT_TEXT.items():
        payload = message(compressed(b"fine until " + octets))
        yield f"deflate-text-{name}", setup(SERVER, True) + payload, "invalidUTF8", len(payload)


def fine():
    """What looks odd and is allowed."""
    allowed = {
        "empty-text": frame(SERVER, 0x81), "empty-fragments": frame(SERVER, 0x01) + frame(SERVER, 0x00) * 3 + frame(SERVER, 0x80),
        "ping-125": frame(SERVER, 0x89, b"p" * 125), "close-empty": frame(SERVER, 0x88),
        "close-reason-123": frame(SERVER, 0x88, b"\x03\xe8" + b"r" * 123), "unasked-pong": frame(SERVER, 0x8A, b"?"),
        "control-inside": frame(SERVER, 0x01, b"He") + frame(SERVER, 0x89, b"1") + frame(SERVER, 0x8A) + frame(SERVER, 0x80, b"llo"),
        "character-over-frames": frame(SERVER, 0x01, b"\xf0\x9f") + frame(SERVER, 0x00) + frame(SERVER, 0x80, b"\x98\x80"),
        "data-after-close": frame(SERVER, 0x88, b"\x03\xe8") + frame(SERVER, 0x81, b"late") + b"\xff\xff",
        "close-inside-message": frame(SERVER, 0x01, b"half") + frame(SERVER, 0x88, b"\x03\xe9"),
        "noncharacters": frame(SERVER, 0x81, "\ufffe\uffff\U0010ffff\U0001fffe\x00".encode()),
        "two-octet-length": frame(SERVER, 0x82, b"\x00" * 126), "two-octet-length-most": frame(SERVER, 0x82, b"\x00" * 65535),
        "eight-octet-length": frame(SERVER, 0x82, b"\x00" * 65536), "half-a-header": frame(SERVER, 0x82, b"\x00" * 200)[:3],
        "half-a-payload": frame(SERVER, 0x81, b"abc")[:-1],
    }
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999):
        allowed[f"close-{code}"] = frame(SERVER, 0x88, code.to_bytes(2, "big"))
    for name, octets in allowed.items():
        yield f"fine-{name}", setup(SERVER) + octets, "fine", "-"
    small = setup(SERVER, small=True)
    yield "fine-limit-frame", small + frame(SERVER, 0x82, b"\x00" * FRAME), "fine", "-"
    yield ("fine-limit-message", small + frame(SERVER, 0x02, b"\x00" * FRAME) + frame(SERVER, 0x80, b"\x00" * FRAME),
           "fine", "-")
    yield ("fine-limit-fragments", small + frame(SERVER, 0x02) + frame(SERVER, 0x00) * (FRAGMENTS - 2) + frame(SERVER, 0x80),
           "fine", "-")
    yield "fine-limit-control", small + frame(SERVER, 0x89) * CONTROLS, "fine", "-"
    yield ("fine-limit-inflated", setup(SERVER, True, small=True) + frame(SERVER, 0xC2, compressed(b"a" * BOMB)),
           "fine", "-")
    one = b"the same again and again"
    both = frame(SERVER, 0xC1, compressed(one)) + frame(SERVER, 0xC1, compressed(one, earlier=[one]))
    yield "fine-deflate-history", setup(SERVER, True) + both, "fine", "-"
    # RFC 7692 sections 7.2.3.1 to 7.2.3.6.
    for name, payload in (("one-block", "f248cdc9c90700"), ("shared-window", "f200110000"), ("stored", "000500faff48656c6c6f00"),
                          ("final", "f348cdc9c9070000"), ("two-blocks", "f24805000000ffffcac9c90700"), ("empty", "00")):
        octets = frame(SERVER, 0xC1, bytes.fromhex(payload))
        if name == "shared-window":
            octets = frame(SERVER, 0xC1, bytes.fromhex("f248cdc9c90700")) + octets
        yield f"fine-deflate-rfc-{name}", setup(SERVER, True) + octets, "fine", "-"
    yield ("fine-deflate-fragments", setup(SERVER, True) + frame(SERVER, 0x41, bytes.fromhex("f248cd")) +
           frame(SERVER, 0x80, bytes.fromhex("c9c90700")), "fine", "-")
    for window in (8, 9, 12):
        # A match that reaches further back than the window that was agreed on: we have the largest one all the same.
        filler = bytes((number * 7 + number // 256) % 251 for number in range((1 << window) + 40))
        payload = compressed(b"needle in the hay" + filler + b"needle in the hay", 15)
        yield (f"fine-deflate-beyond-window-{window}", setup(SERVER, True, window=window) + frame(SERVER, 0xC2, payload),
               "fine", "-")
    yield "fine-deflate-uncompressed", setup(SERVER, True) + frame(SERVER, 0x81, b"plain"), "fine", "-"
    for role in ROLES:
        for window in (9, 12, 15):
            data = bytes((number * 31) % 256 for number in range(3000)) * 2
            yield (f"fine-deflate-window-{window}-{role}", setup(ROLES[role], True, window=window) +
                   frame(ROLES[role], 0xC2, compressed(data, window)), "fine", "-")
