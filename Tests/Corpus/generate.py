#!/usr/bin/env python3
"""Writes the corpora beside this file: octets that break the WebSocket standards, and what each must come to.

usage: Tests/Corpus/generate.py [--check]      --check: writes nothing, fails when a file is not as it would be written

frames/NAME      one octet that says how the connection is set up (see `setup`), then what the peer sends
frames.index     NAME, the failure that must come ("fine": none), the octet at which it must come ("-": by the end)
headers.txt      every first octet of a frame: what must come of it, by role, compression, mask and length
requests/NAME    an opening handshake as a client sends it; requests.index: NAME, the status it must get
answers/NAME     a server's answer to one; answers.index: NAME, what a client must make of it

What is expected is written down here from RFC 6455 and RFC 7692, not taken from the code under test.
"""

import shutil
import sys
from pathlib import Path

import frame_cases
import handshake_cases
import header_table

HERE = Path(__file__).resolve().parent


def files():
    """Everything by its path."""
    found = {"headers.txt": header_table.table().encode()}
    for folder, cases in (("frames", frame_cases.cases()), ("requests", handshake_cases.requests()),
                          ("answers", handshake_cases.answers())):
        lines = []
        for name, octets, *expected in cases:
            path = f"{folder}/{name}"
            assert path not in found, path
            found[path] = octets
            lines.append("\t".join([name, *map(str, expected)]))
        found[f"{folder}.index"] = ("\n".join(lines) + "\n").encode()
    return found


def main():
    wanted = files()
    there = {str(path.relative_to(HERE)): path.read_bytes() for folder in ("frames", "requests", "answers")
             for path in (HERE / folder).glob("*")}
    there |= {name: (HERE / name).read_bytes() for name in wanted if "/" not in name and (HERE / name).exists()}
    if "--check" in sys.argv:
        wrong = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
        print(f"{len(wanted) - len(wrong)} passed, {len(wrong)} failed" + "".join("\n  " + name for name in wrong[:20]))
        sys.exit(1 if wrong else 0)
    for folder in ("frames", "requests", "answers"):
        shutil.rmtree(HERE / folder, ignore_errors=True)
        (HERE / folder).mkdir()
    for name, octets in wanted.items():
        (HERE / name).write_bytes(octets)
    counts = {folder: sum(name.startswith(folder + "/") for name in wanted) for folder in ("frames", "requests", "answers")}
    print(", ".join(f"{count} {folder}" for folder, count in counts.items()))


main()
