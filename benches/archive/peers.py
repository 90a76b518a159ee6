"""Who is compared: the command lines of each, for one archive of one folder."""

import json
import shlex
import subprocess
import sys


def built(package, kind, name):
    """Builds a program of ours; gives its path."""
    command = ["cargo", "build", "--release", "--message-format=json-render-diagnostics",
               "-p", package, "--" + kind, name]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    lines = map(json.loads, out.splitlines())
    return [line["executable"] for line in lines if line.get("executable")][-1]


class Peer:
    """A tool: shell lines with {a} for its archive, {d} for the folder, {o} for where it comes out."""

    def __init__(self, name, suffix, create, verify, extract, list):
        self.name, self.suffix = name, suffix
        self.lines = {"create": create, "verify": verify, "extract": extract, "list": list}

    def line(self, what, archive, folder, out):
        places = {"a": archive, "d": folder, "o": out}
        quoted = {key: shlex.quote(place) for key, place in places.items()}
        return self.lines[what].format(**quoted)


def all():
    ours = built("stillpoint-archive", "example", "archive")
    theirs = built("stillpoint-benches", "bench", "zip_crate")
    python = shlex.quote(sys.executable) + " -m zipfile"
    rest = [ours + " verify --json {a}", ours + " extract {a} {o}", ours + " list {a} --json"]
    return [
        Peer("stillpoint", "zip", ours + " create {a} {d}", *rest),
        Peer("stillpoint, level 1", "zip", ours + " create --level 1 {a} {d}", *rest),
        Peer("python zipfile", "zip", "cd {d} && exec " + python + " -c {a} .", python + " -t {a}",
             python + " -e {a} {o}", python + " -l {a}"),
        Peer("zip -6, unzip", "zip", "cd {d} && exec zip -q -r -6 {a} .", "unzip -tqq {a}",
             "unzip -qq {a} -d {o}", "unzip -Z1 {a}"),
        Peer("7z -mx1 -mmt2", "zip", "cd {d} && exec 7z a -bd -tzip -mx1 -mmt2 {a} .", "7z t {a}",
             "7z x -o{o} {a}", "7z l {a}"),
        Peer("tar, zstd -T2 -3", "tar.zst", "tar -C {d} -cf - . | zstd -q -T2 -3 -o {a}", "zstd -q -t {a}",
             "mkdir {o} && zstd -q -dc {a} | tar -C {o} -xf -", "zstd -q -dc {a} | tar -tf -"),
        Peer("zip crate, parallel", "zip", theirs + " create {a} {d}", theirs + " verify {a}",
             theirs + " extract {a} {o}", theirs + " list {a}"),
    ]
