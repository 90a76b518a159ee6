"""The way to the cloud that is not the provider's own: the stock SDK, told what to do by lines of
JSON on its standard input, one answer a line. Errors are answers, too."""

import glob
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

import keystoneauth1.session
import openstack

GIB = 1 << 30
LAB = os.environ["STILLPOINT_OPENSTACK_LAB"]
cloud = openstack.connect(cloud=os.environ["STILLPOINT_OPENSTACK_CLOUD"])
admin = openstack.connect(cloud="admin")


def until(what, get, wanted, bad=("error", "ERROR", "killed"), patience=180):
    end = time.time() + patience
    while True:
        status = get()
        if status == wanted:
            return
        if status in bad or time.time() > end:
            raise RuntimeError(f"{what} is {status}, and {wanted} was waited for")
        time.sleep(0.3)


def volume(name, size):
    made = cloud.block_storage.create_volume(name=name, size=max(1, -(-size // GIB)))
    until(name, lambda: cloud.block_storage.get_volume(made.id).status, "available")
    cloud.block_storage.set_volume_bootable_status(made.id, True)
    return made.id


def flavor(name):
    return cloud.compute.find_flavor(name).id


def instance(name, disks, flavor_name="m1.zero"):
    volumes = [cloud.block_storage.create_volume(name=f"{name}-{disk}", size=max(1, -(-size // GIB))) for disk, size in disks]
    mapping = []
    for index, ((disk, _), made) in enumerate(zip(disks, volumes)):
        until(disk, lambda: cloud.block_storage.get_volume(made.id).status, "available")
        mapping.append({"uuid": made.id, "source_type": "volume", "destination_type": "volume",
                        "boot_index": 0 if index == 0 else -1, "delete_on_termination": False, "tag": disk})
    cloud.block_storage.set_volume_bootable_status(volumes[0].id, True)
    body = {"name": name, "flavorRef": flavor(flavor_name), "networks": "none", "block_device_mapping_v2": mapping}
    reply = cloud.compute.post("/servers", json={"server": body}, microversion="2.79")
    reply.raise_for_status()
    return active(reply.json()["server"]["id"])


def from_image(name, image, flavor_name):
    body = {"name": name, "flavorRef": flavor(flavor_name), "networks": "none", "imageRef": image}
    reply = cloud.compute.post("/servers", json={"server": body}, microversion="2.79")
    reply.raise_for_status()
    return active(reply.json()["server"]["id"])


def active(server):
    until(server, lambda: cloud.compute.get_server(server).status, "ACTIVE")
    return server


def image(name, megabytes, **properties):
    """An image of bytes that cannot be packed."""
    data = os.urandom(megabytes << 20)
    made = cloud.image.create_image(name=name, disk_format="raw", container_format="bare", data=data,
                                    allow_duplicates=True, **properties)
    return made.id


def power_off(server):
    cloud.compute.stop_server(server)
    until(server, lambda: cloud.compute.get_server(server).status, "SHUTOFF")


def create_server_image(server, name):
    """What `openstack server image create` does."""
    cloud.compute.create_server_image(server, name)
    until(name, lambda: getattr(cloud.image.find_image(name), "status", None), "active")
    made = cloud.image.find_image(name)
    for mapped in json.loads(made.properties.get("block_device_mapping", "[]")):
        snapshot = mapped["snapshot_id"]
        until(snapshot, lambda: cloud.block_storage.get_snapshot(snapshot).status, "available")
    return made.id


def share():
    return glob.glob(os.path.join(LAB, "nfs", "*"))[0]


def active_file(volume):
    info = os.path.join(share(), f"volume-{volume}.info")
    if os.path.exists(info):
        return os.path.join(share(), json.load(open(info))["active"])
    return os.path.join(share(), f"volume-{volume}")


def described(path):
    return json.loads(subprocess.check_output(["qemu-img", "info", "-U", "--output=json", path]))


def file_of(kind, what):
    if kind == "volume":
        return active_file(what)
    of = cloud.block_storage.get_snapshot(what).volume_id
    info = json.load(open(os.path.join(share(), f"volume-{of}.info")))
    overlay = os.path.join(share(), info[what])
    return os.path.join(share(), os.path.basename(described(overlay)["backing-filename"]))


def fill(volume, seed):
    """Bytes that follow from the seed at three places, holes between; through the guest's qemu where
    one has it open."""
    path = active_file(volume)
    form = described(path)["format"]
    for place, megabytes in ((0, 1), (64, 2), (1000, 3)):
        pattern = (seed * 37 + place) % 255 + 1
        subprocess.check_call(["qemu-io", "-f", form, "-c", f"write -P {pattern} {place}M {megabytes}M", path],
                              stdout=subprocess.DEVNULL)


def digest(kind, what):
    path = file_of(kind, what)
    form = described(path)["format"]
    with tempfile.NamedTemporaryFile(dir=LAB) as raw:
        subprocess.check_call(["qemu-img", "convert", "-U", "-f", form, "-O", "raw", path, raw.name])
        whole = hashlib.sha256()
        with open(raw.name, "rb") as data:
            while chunk := data.read(1 << 22):
                whole.update(chunk)
        return whole.hexdigest()


def inventory():
    found = {}
    for server in cloud.compute.servers():
        disks = sorted((one["id"] for one in server.attached_volumes or []))
        found[f"instance/{server.id}"] = f"{server.name} {server.status} {server.metadata} {disks}"
    for one in cloud.block_storage.volumes():
        attached = sorted(it["server_id"] for it in one.attachments)
        found[f"volume/{one.id}"] = f"{one.name} {one.size} {one.status} {one.metadata} {attached}"
    for one in cloud.block_storage.snapshots():
        found[f"snapshot/{one.id}"] = f"{one.name} {one.size} {one.status} {one.metadata} {one.volume_id}"
    for one in cloud.image.images(owner=cloud.current_project_id):
        marks = sorted((k, v) for k, v in (one.properties or {}).items() if k.startswith("stillpoint"))
        found[f"image/{one.id}"] = f"{one.name} {one.status} {one.size} {marks}"
    return found


def clean(keep):
    """Removes all that is not to be kept, whatever state it is in; gives the inventory then."""
    end = time.time() + 300
    def gone(kind):
        return [name.split("/")[1] for name in inventory() if name.startswith(kind + "/") and name not in keep]
    for kind, delete in (
        ("instance", lambda it: cloud.compute.delete_server(it)),
        ("image", lambda it: cloud.image.delete_image(it)),
        ("snapshot", lambda it: cloud.block_storage.delete_snapshot(it)),
        ("volume", lambda it: cloud.block_storage.delete_volume(it)),
    ):
        while left := gone(kind):
            for one in left:
                try:
                    delete(one)
                except Exception as error:  # it is still busy, or gone
                    if time.time() > end:
                        raise RuntimeError(f"{kind} {one} stays: {error}") from error
            time.sleep(0.5)
    return inventory()


def token_revoked():
    """Ends every token of the user there is, those of the application credential, too."""
    user = cloud.current_user_id
    for enabled in (False, True):
        admin.identity.patch(f"/users/{user}", json={"user": {"enabled": enabled}}).raise_for_status()


def runs(group):
    """Whether any thread of this group is left: a process whose first one has ended may still hold its port by the
    others."""
    for stat in glob.glob("/proc/[0-9]*/task/[0-9]*/stat"):
        try:
            state, _, its = open(stat).read().rsplit(") ", 1)[1].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(its) == group and state != "Z":
            return True
    return False


def restart(name, away, how="KILL"):
    """Ends a service of the lab by a signal, and starts it again as it was after so many seconds; gives its new
    pid."""
    path = os.path.join(LAB, "pid", f"{name}.pid")
    pid = int(open(path).read().split()[0])
    words = open(f"/proc/{pid}/cmdline").read().split("\0")[:-1]
    around = dict(one.split("=", 1) for one in open(f"/proc/{pid}/environ").read().split("\0") if "=" in one)
    os.killpg(pid, signal.Signals["SIG" + how])
    # Its port is free only when it is gone.
    until(name, lambda: runs(pid), False)
    time.sleep(away)
    log = open(os.path.join(LAB, "log", f"{name}.log"), "a")
    new = subprocess.Popen(words, env=around, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    started = open(f"/proc/{new.pid}/stat").read().rsplit(") ", 1)[1].split()[19]
    with open(path, "w") as out:
        out.write(f"{new.pid} {started}\n")
    return new.pid


def token_life(seconds):
    """Has Keystone give tokens that end so soon; gives what their life was. Those that it gave before live on."""
    path = os.path.join(LAB, "etc", "keystone", "keystone.conf")
    text = open(path).read()
    before = int(re.search(r"^expiration = (\d+)$", text, re.M)[1])
    with open(path, "w") as out:
        out.write(re.sub(r"^expiration = \d+$", f"expiration = {seconds}", text, flags=re.M))
    restart("keystone", 0)
    until("keystone", lambda: life_of_a_token() == seconds, True)
    return before


def life_of_a_token():
    """In seconds; none while nobody gives one."""
    fresh = keystoneauth1.session.Session(auth=cloud.config.get_auth())
    try:
        got = fresh.auth.get_auth_ref(fresh)
    except Exception:
        return None
    return round((got.expires - got.issued).total_seconds())


def image_gone(name):
    """Deletes an image as soon as one of that name is there; gives its state then."""
    end = time.time() + 60
    while time.time() < end:
        for one in cloud.image.images(owner=cloud.current_project_id, name=name):
            cloud.image.delete_image(one.id)
            return one.status
    raise RuntimeError(f"no image {name} came")


def freezing_image(name, megabytes):
    """An image that has Nova freeze what is launched from it."""
    return image(name, megabytes, hw_qemu_guest_agent="yes", os_require_quiesce="yes")


def volume_of(name, source):
    made = cloud.block_storage.create_volume(name=name, size=1, image_id=source)
    until(name, lambda: cloud.block_storage.get_volume(made.id).status, "available")
    return made.id


def from_volume(name, volumes):
    """A server that boots from the first of these."""
    mapping = [{"uuid": one, "source_type": "volume", "destination_type": "volume", "delete_on_termination": False,
                "boot_index": 0 if index == 0 else -1} for index, one in enumerate(volumes)]
    body = {"name": name, "flavorRef": flavor("m1.zero"), "networks": "none", "block_device_mapping_v2": mapping}
    reply = cloud.compute.post("/servers", json={"server": body}, microversion="2.79")
    reply.raise_for_status()
    return active(reply.json()["server"]["id"])


def volumes(name, count):
    """So many volumes at once; gives their ids."""
    made = [cloud.block_storage.create_volume(name=f"{name}-{number}", size=1).id for number in range(count)]
    for one in made:
        until(one, lambda: cloud.block_storage.get_volume(one).status, "available")
    return made


def quotas(most):
    """Sets what the project may have of these; gives what it might have before."""
    path = f"/os-quota-sets/{cloud.current_project_id}"
    before = admin.block_storage.get(path).json()["quota_set"]
    admin.block_storage.put(path, json={"quota_set": most}).raise_for_status()
    return {name: before[name] for name in most}


def cinder():
    """The address and path of our volumes."""
    return cloud.block_storage.get_endpoint().split("//")[1]


def answers():
    """Whether Cinder is there."""
    try:
        list(cloud.block_storage.volumes())
    except Exception:
        return False
    return True


def until_answers():
    until("cinder answers", answers, True, patience=60)


def until_idle(server):
    until(server, lambda: cloud.compute.get_server(server).task_state, None)


def available(snapshot):
    until(snapshot, lambda: cloud.block_storage.get_snapshot(snapshot).status, "available")


def set_status(kind, what, status):
    admin.block_storage.post(f"/{kind}/{what}/action", json={"os-reset_status": {"status": status}}).raise_for_status()


for line in sys.stdin:
    ask = json.loads(line)
    try:
        answer = {"ok": globals()[ask["do"]](*ask.get("with", []))}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
