"""What must come of the first two octets of a connection (RFC 6455 section 5.2, RFC 7692 section 6)."""

HEAD = """\
# The first octet of a connection's first frame, and what must come of it together with the second one.
# Columns: a server without compression, a server with it, a client without, a client with. In each, by the second
# octet: the mask of the wrong role / the right mask, length to 125 / the right mask, length 126 or 127.
# "." goes on. Failures: op unknownOpcode, rsv reservedBits, frag fragmentedControlFrame, cont unexpectedContinuation,
# mask unmaskedFrame at a server and maskedFrame at a client, long controlFrameTooLong.
"""


def outcome(first, compression, mask_is_right, is_long):
    opcode, reserved = first & 15, first >> 4 & 7
    if opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        return "op"
    if reserved and not (compression and reserved == 4 and opcode in (1, 2)):
        return "rsv"
    if opcode >= 8 and not first & 128:
        return "frag"
    if opcode == 0:
        return "cont"
    if not mask_is_right:
        return "mask"
    if opcode >= 8 and is_long:
        return "long"
    return "."


def table():
    lines = []
    for first in range(256):
        row = ["/".join(outcome(first, compression, right, long)
                        for right, long in ((False, False), (True, False), (True, True)))
               for _ in ("server", "client") for compression in (False, True)]
        lines.append(f"{first:02x} " + " ".join(row))
    return HEAD + "\n".join(lines) + "\n"
