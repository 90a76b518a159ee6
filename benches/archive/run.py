#!/usr/bin/env python3
"""Archives beside what people use today, in turns: run.py [--rounds N] [--only CORPUS,..] [--peers TEXT,..] DIR

Makes the corpora in DIR (6 GiB are needed there with what comes out), and prints a table a corpus
after each round: medians of processor time, time on the wall and peak memory, and sizes. Needs zip,
unzip, 7z, zstd and tar. A peer that fails is said to.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time

import corpora
import peers

STEPS = ["create", "verify", "extract", "list"]


def run(line):
    """Processor seconds, seconds on the wall and peak MiB of a shell line; none where it fails."""
    start = time.monotonic()
    child = subprocess.Popen(["sh", "-c", line], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = child.stderr.read()
    _, status, used = os.wait4(child.pid, 0)
    wall = time.monotonic() - start
    child.returncode = status
    if status:
        print("%s\n%s" % (line, said.decode(errors="replace")[-500:]), file=sys.stderr)
        return None
    return used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024


def turn(peer, folder, top, seen):
    """One peer does all steps once."""
    archive, out = os.path.join(top, "bench." + peer.suffix), os.path.join(top, "out")
    for step in STEPS:
        measured = run(peer.line(step, archive, folder, out))
        seen.setdefault((peer.name, step), []).append(measured)
        if measured is None:
            break
        if step == "create":
            seen[peer.name, "size"] = os.path.getsize(archive) / (1 << 20)
    shutil.rmtree(out, ignore_errors=True)
    if os.path.exists(archive):
        os.remove(archive)


def cell(measured):
    """The medians of a step."""
    measured = [one for one in measured if one]
    if not measured:
        return "failed"
    cpu, wall, peak = (statistics.median(column) for column in zip(*measured))
    return "%.2f / %.2f / %.0f" % (cpu, wall, peak)


def table(corpus, contenders, seen, rounds):
    heads = ["%s, %d rounds" % (corpus, rounds), "MiB"] + STEPS
    print("\n| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for peer in contenders:
        size = seen.get((peer.name, "size"))
        row = [peer.name, "%.0f" % size if size else "-"]
        row += [cell(seen.get((peer.name, step), [])) for step in STEPS]
        print("| " + " | ".join(row) + " |")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(corpora.ALL))
    parser.add_argument("--peers", default="", help="only those whose names begin so")
    parser.add_argument("dir")
    asked = parser.parse_args()
    os.makedirs(asked.dir, exist_ok=True)
    top = os.path.abspath(asked.dir)
    starts = tuple(asked.peers.split(","))
    contenders = [peer for peer in peers.all() if peer.name.startswith(starts)]
    folders = {name: corpora.make(name, top) for name in asked.only.split(",")}
    seen = {name: {} for name in folders}
    for number in range(asked.rounds):
        for corpus, folder in folders.items():
            for peer in contenders:
                turn(peer, folder, top, seen[corpus])
            table(corpus, contenders, seen[corpus], number + 1)


main()
