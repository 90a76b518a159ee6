"""What is archived: the same bytes each time, like what a manager and its machines hold."""

import os
import random

MIB = 1 << 20
WORDS = """node instance relationship deployment blueprint plugin agent tenant secret network volume
started stopped configured created deleted running failed retry queue broker rest database""".split()
STATES = ["started", "stopped", "configured", "uninitialized"]


def sql(rng, size):
    """Text as pg_dump writes it, a MiB at a time."""
    number, rows, held = 0, [], 0
    while size > 0:
        number += 1
        row = "%d\t%s_%06x\t%08x-%04x-4%03x\t2026-%02d-%02d %02d:%02d:%02d.%06d\t%s\t{\"%s\": %d}\t\\N\tt\n" % (
            number, rng.choice(WORDS), rng.getrandbits(24), rng.getrandbits(32), rng.getrandbits(16),
            rng.getrandbits(12), rng.randrange(1, 13), rng.randrange(1, 29), rng.randrange(24),
            rng.randrange(60), rng.randrange(60), rng.randrange(1000000), rng.choice(STATES),
            rng.choice(WORDS), rng.randrange(100000))
        rows.append(row)
        held += len(row)
        if held >= MIB or held >= size:
            part = "".join(rows).encode()[:size]
            yield part
            size -= len(part)
            rows, held = [], 0


def yaml(rng, size):
    """A document as users write them."""
    lines, held = [], 0
    while held < size:
        line = "%s%s_%d: %s\n" % ("  " * rng.randrange(1, 5), rng.choice(WORDS), rng.randrange(99),
                                  " ".join(rng.choices(WORDS, k=rng.randrange(1, 6))))
        lines.append(line)
        held += len(line)
    return "".join(lines).encode()[:size]


def code(rng, size):
    """Like programs: short sequences, few of them often and many seldom; a MiB at a time."""
    table = [rng.randbytes(rng.randrange(2, 9)) for _ in range(4000)]
    weights = [1 / (n + 2) for n in range(len(table))]
    while size > 0:
        part = b"".join(rng.choices(table, weights, k=MIB // 5))[: min(size, MIB)]
        yield part
        size -= len(part)


def text(top, files=20_000, dump=300 * MIB):
    """Text files of 1 to 8 KiB, and a dump."""
    rng = random.Random(1)
    for n in range(files):
        folder = os.path.join(top, "blueprints", str(n % 200))
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "%d.yaml" % n), "wb") as file:
            file.write(yaml(rng, rng.randrange(1024, 8193)))
    with open(os.path.join(top, "pg_data"), "wb") as file:
        file.writelines(sql(rng, dump))


def manager(top):
    """As `text`, and 60 files of 3 to 10 MiB that are packed already."""
    text(top)
    rng = random.Random(2)
    os.makedirs(os.path.join(top, "plugins"))
    for n in range(60):
        with open(os.path.join(top, "plugins", "%d.wgn" % n), "wb") as file:
            file.write(b"\x1f\x8b\x08\0" + rng.randbytes(rng.randrange(3 * MIB, 10 * MIB)))


def image(top, size=2048 * MIB):
    """A sparse disk with data in half of it: programs, text, dumps, and some that is packed."""
    rng = random.Random(3)
    with open(os.path.join(top, "disk.img"), "wb") as file:
        file.truncate(size)
        for start in range(0, size, 64 * MIB):
            file.seek(start)
            file.writelines(code(rng, 12 * MIB))
            file.writelines(sql(rng, 10 * MIB))
            file.write(yaml(rng, 6 * MIB))
            file.write(rng.randbytes(4 * MIB))


def small(top, files=100_000):
    """Files of 200 to 800 bytes."""
    rng = random.Random(4)
    for n in range(files):
        folder = os.path.join(top, str(n % 500))
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "%d.json" % n), "wb") as file:
            file.write(yaml(rng, rng.randrange(200, 801)))


ALL = {"manager": manager, "text": text, "image": image, "small": small}


def make(name, top):
    """The folder of a corpus below `top`, made once."""
    folder = os.path.join(top, name)
    if not os.path.isdir(folder):
        part = folder + ".part"
        os.makedirs(part)
        ALL[name](part)
        os.rename(part, folder)
    return folder
