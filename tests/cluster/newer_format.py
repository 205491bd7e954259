"""Copies of data that look as if a newer program had written them: a version is raised, and the checksum over it made
right again. Each takes a directory and what to add to the version (-1 undoes 1), and returns a name that the refusal has
to mention."""

import glob
import struct
import subprocess

from cluster import BIN

BLOCK_BYTES = 4096


def crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


TABLE = crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def rewrite(path, change):
    with open(path, "r+b") as file:
        content = bytearray(file.read())
        change(content)
        file.seek(0)
        file.write(content)


def only(pattern):
    paths = glob.glob(pattern)
    assert paths, f"nothing is called {pattern}"
    return sorted(paths)[-1]


def raise_node_identity(directory, by):
    path = f"{directory}/identity"
    with open(path) as file:
        first, rest = file.read().split("\n", 1)
    words = first.split(" ")
    words[-1] = str(int(words[-1]) + by)
    with open(path, "w") as file:
        file.write(" ".join(words) + "\n" + rest)  # the version is looked at before the checksum
    return "identity"


def raise_segment(directory, by):
    path = only(f"{directory}/log/*.segment")

    def change(content):
        for begin in (0, BLOCK_BYTES):  # the header stands there twice
            version = struct.unpack_from("<I", content, begin + 12)[0]
            struct.pack_into("<I", content, begin + 12, version + by)
            struct.pack_into("<I", content, begin, crc32c(content[begin + 4:begin + BLOCK_BYTES]))
    rewrite(path, change)
    return path


def raise_plan(directory, by):
    path = only(f"{directory}/plans/*")

    def change(content):
        content[0] += by
        struct.pack_into("<I", content, len(content) - 4, crc32c(content[:-4]))
    rewrite(path, change)
    return path


def raise_state(directory, by):
    path = only(f"{directory}/groups/*/*/CURRENT").removesuffix("/CURRENT")
    subprocess.run([f"{BIN}/raise-format", path, str(by)], check=True)
    return "partition state"


def raise_coordinator_identity(directory, by):
    path = f"{directory}/coordinator.identity"

    def change(content):
        content[8] += by  # behind the magic
        struct.pack_into("<I", content, len(content) - 4, crc32c(content[:-4]))
    rewrite(path, change)
    return path
