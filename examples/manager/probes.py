#!/usr/bin/env python3
"""Archives that Cloudify 7.1's own restore calls a success, or never ends with, against the example.

    examples/manager/probes.py MANAGER FOLDER      # the example's binary, and Cloudify's archives

Each is made of a real archive. Every one of them ends in the correct result or in an error that says
why: never in a success that is none, and never with a restore that seems to go on.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile

PORT = 8103
manager, archives = sys.argv[1:]
work = tempfile.mkdtemp()
serving = subprocess.Popen([
    manager, "serve", "--folder", f"{work}/probes", "--key", f"{work}/key", "--listen", f"127.0.0.1:{PORT}",
])


def ask(method, path, body=None, who=b"admin:admin"):
    url = f"http://127.0.0.1:{PORT}/api/v3.1{path}"
    request = urllib.request.Request(url, data=body, method=method)
    request.add_header("Authorization", "Basic " + base64.b64encode(who).decode())
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def changed(of, name, change=lambda path, content: content, more=(), directories=True):
    """Another archive like the one of that version: `change` gives the content of a file, or none."""
    path = f"{work}/{name}.zip"
    with zipfile.ZipFile(f"{archives}/cloudify-{of}.zip") as old:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
            for info in old.infolist():
                if info.is_dir():
                    if directories:
                        new.writestr(info, b"")
                    continue
                content = change(info.filename, old.read(info))
                if content is not None:
                    new.writestr(info, content)
            for filename, content in more:
                new.writestr(filename, content)
    return path


def with_metadata(**keys):
    def change(path, content):
        if path != "metadata.json":
            return content
        metadata = {**json.loads(content), **keys}
        return json.dumps({key: it for key, it in metadata.items() if it is not None}).encode()

    return change


def with_many_rows(name):
    """The archive of 5.0.5 with a dump of 400 MiB: half of each row can be packed."""
    path = f"{work}/{name}.zip"
    with zipfile.ZipFile(f"{archives}/cloudify-5.0.5.zip") as old:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new:
            for info in old.infolist():
                if info.filename != "pg_data":
                    new.writestr(info, b"" if info.is_dir() else old.read(info))
                    continue
                head, tail = old.read(info).split(b"COPY events (", 1)
                columns, tail = tail.split(b"\n", 1)
                with new.open("pg_data", "w") as dump:
                    dump.write(head + b"COPY events (" + columns + b"\n")
                    for number in range(400):
                        row = f"{number}\t".encode() + os.urandom(2000).hex().encode() + b"a" * 4000 + b"\n"
                        dump.write(row * (2**20 // len(row)))
                    dump.write(tail)
    return path


def memory():
    """The most that the manager has held at once, in MiB."""
    with open(f"/proc/{serving.pid}/status") as status:
        return next(int(line.split()[1]) >> 10 for line in status if line.startswith("VmHWM"))


def counts():
    kinds = ("blueprints", "deployments", "plugins", "secrets", "tenants")
    return {kind: ask("GET", f"/{kind}")[1]["metadata"]["pagination"]["total"] for kind in kinds}


def probe(name, path, refused=None, failed=None, then=None, before=lambda: None):
    """Uploads and restores it: refused or failed with these words, and these entities then."""
    was = counts()
    with open(path, "rb") as archive:
        status, said = ask("PUT", f"/snapshots/{name}/archive", archive.read())
    before()
    if status == 201:
        status, said = ask("POST", f"/snapshots/{name}/restore", b'{"force": true}')
    if status in (200, 201):
        assert refused is None, f"{name}: not refused"
        job = said["id"]
        while said["status"] == "started":
            time.sleep(0.1)
            said = ask("GET", f"/executions/{job}")[1]
            assert "status" in said, f"{name}: {said}"
        said = said["error"]
        assert failed in said, f"{name}: {said}"
    else:
        said = said["message"]
        assert refused and refused in said, f"{name}: {status} {said}"
    found = counts()
    wanted = was if then is None else {**found, **then}
    assert found == wanted, f"{name}: {found} instead of {wanted}"
    assert ask("GET", "/snapshot-status")[1]["status"] == "not-running", f"{name}: it seems to go on"
    print(f"{name:<18} {said[:110]}")


def strangers():
    """Without a password there is one thing to be asked, and nothing that is only called like it."""
    for method, path, wanted in (
        ("GET", "/snapshot-status", 200),
        ("GET", "/snapshots", 401),
        ("PUT", "/snapshots/snapshot-status", 401),
        ("DELETE", "/snapshots/snapshot-status", 401),
        ("PUT", "/secrets/snapshot-status", 401),
        ("PUT", "/plugins/snapshot-status", 401),
    ):
        body = b"{}" if method == "PUT" else None
        status, _ = ask(method, path, body, who=b"admin:guess")
        assert status == wanted, f"{method} {path}: {status}"


def refused_puts():
    """A blueprint that is refused changes nothing of the one there is, and a plugin has a limit."""
    at = f"{work}/probes/blueprints/kept"
    assert ask("PUT", "/blueprints/kept", b"first")[0] == 200
    assert ask("PUT", "/blueprints/kept", b"second")[0] == 409
    found = [os.path.join(folder, name) for folder, _, names in os.walk(f"{work}/probes/blueprints") for name in names]
    assert [open(path, "rb").read() for path in found if "kept" in path] == [b"first"], f"{at}: {found}"


def lost_in_the_depot():
    os.remove(f"{work}/probes/archives/snapshots/lost/archive.zip")


def without_blueprint(path, content):
    if not path.endswith(".json") or b'"deployments"' not in content[:200]:
        return content
    envelope = json.loads(content)
    if envelope.get("type") == "deployments":
        for item in envelope["items"]:
            item["blueprint_id"] = "nobody"
    return json.dumps(envelope).encode()


try:
    for _ in range(300):
        try:
            ask("GET", "/version")
            break
        except OSError:
            time.sleep(0.1)
    strangers()
    with zipfile.ZipFile(f"{archives}/cloudify-7.1.zip") as real:
        last = max(path for path in real.namelist() if path.startswith("mgmt/") and path.endswith(".json"))
    provider = json.dumps({"type": "secrets_providers", "items": [{"name": "vault"}]})
    here = {"blueprints": 4, "plugins": 3, "tenants": 3}
    place = "had no place"
    probe("plain", f"{archives}/cloudify-7.1.zip", failed=place, then=here)
    number = int(last[5:13]) + 1
    one_more = [(f"mgmt/{number:08}.json", provider)]
    probe("secrets-provider", changed("7.1", "a", more=one_more), failed="2 secrets_providers", then=here)
    probe("no-directories", changed("7.1", "c", directories=False), failed=place, then=here)
    newer = with_metadata(snapshot_version="99.0.0")
    probe("newer", changed("7.1", "d", newer), refused="it is of version 99.0.0")
    probe("failing-entities", changed("7.1", "e", without_blueprint), failed="component database")
    few = with_metadata(stage_schema_revision=None, composer_schema_revision=None)
    probe("community", changed("5.0.5", "f", few), failed=place, then={"blueprints": 2, "deployments": 2})
    probe("old", f"{archives}/cloudify-4.0.zip", failed=place, then={"blueprints": 1, "deployments": 1})
    cut = changed("5.0.5", "n", lambda path, it: it[: it.index(b"COPY deployments (") + 1000] if path == "pg_data" else it)
    probe("cut-dump", cut, failed="it ends among the rows of a table")
    zero = changed("5.0.5", "z", lambda path, it: it.replace(b"\tinfra\t", b"\tinf\0ra\t", 1) if path == "pg_data" else it)
    probe("zero-byte", zero, failed="zero byte")
    probe("many-rows", with_many_rows("m"), failed="rows of table events", then={"blueprints": 2, "deployments": 2})
    print(f"{'':<18} at most {memory()} MiB of memory")
    assert memory() < 256, f"a dump of 400 MiB is held: {memory()} MiB"
    with open(f"{work}/cut.zip", "wb") as cut, open(f"{archives}/cloudify-7.1.zip", "rb") as whole:
        cut.write(whole.read()[:10_000])
    probe("truncated", f"{work}/cut.zip", refused="cut short")
    none = changed("7.1", "j", lambda path, it: None if path == "metadata.json" else it)
    probe("no-metadata", none, refused="no metadata.json")
    probe("lost", f"{archives}/cloudify-7.1.zip", refused="lost", before=lost_in_the_depot)
    more = changed("7.1", "k", with_metadata(more="of ours"), more=[("OURS/note", "hello")])
    probe("additions", more, failed=place, then=here)
    refused_puts()
    print("every probe ended as it should")
finally:
    serving.terminate()
    serving.wait()
    shutil.rmtree(work)
