#!/usr/bin/env python3
"""Names the transactions that Kafka itself tore: committed in some partitions, aborted in others.

Reads the data folders of a cluster's brokers as they are on disk:
`TRIAGED_TEST_KEEP=1 cargo run --release --example chaos -- ...`, then
`python3 tests/chaos/torn.py FOLDER`, where FOLDER has a folder `data` for each broker below it.

The coordinator notes in `__transaction_state` when a transaction goes on, and then how it is to end,
before any partition gets an end marker. So a marker that stands between the two notes in time, and
says otherwise than the second, ended a part of the transaction in another way than the rest.
Layout: Kafka's documentation, "Message format"; `TransactionLogValue.json` of its sources.
"""

import struct
import sys
from collections import defaultdict
from datetime import datetime, timezone
from pathlib import Path

TRANSACTIONAL, CONTROL = 16, 32
HEADER = struct.Struct(">qiibIhiqqqhii")
VALUE = struct.Struct(">hqhib")
ONGOING, PREPARE_COMMIT, PREPARE_ABORT = 1, 2, 3


def varint(data, at):
    """A zigzag number, and where the next thing begins."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return (number >> 1) ^ -(number & 1), at


def records(batch):
    """Key and value of each record of an uncompressed batch."""
    at = HEADER.size
    for _ in range(HEADER.unpack_from(batch)[12]):
        length, at = varint(batch, at)
        end, at = at + length, at + 1
        for _ in range(2):
            _, at = varint(batch, at)
        pair = []
        for _ in range(2):
            length, at = varint(batch, at)
            pair.append(None if length < 0 else batch[at : at + length])
            at += max(length, 0)
        yield pair
        at = end


def batches(folder):
    """Time, attributes, producer and bytes of each batch of a partition."""
    for file in sorted(folder.glob("*.log")):
        data, at = file.read_bytes(), 0
        while at + HEADER.size <= len(data):
            _, length, _, _, _, attributes, _, _, latest, producer, _, _, _ = HEADER.unpack_from(data, at)
            if length <= 0:
                break
            yield latest, attributes, producer, data[at : at + 12 + length]
            at += 12 + length


def partitions(root):
    """The fullest replica of each partition, by name."""
    found = {}
    for folder in Path(root).glob("**/data/*-*"):
        size = sum(file.stat().st_size for file in folder.glob("*.log"))
        if size > found.get(folder.name, (-1, None))[0]:
            found[folder.name] = (size, folder)
    return {name: folder for name, (_, folder) in found.items()}


def transactions(folder):
    """Of the coordinator's log: producer, when it went on, when its end was noted, committed or not."""
    begun = {}
    for at, _, _, batch in batches(folder):
        for _, value in records(batch):
            if value is None:
                continue
            _, producer, _, _, state = VALUE.unpack_from(value)
            if state == ONGOING:
                begun.setdefault(producer, at)
            elif state in (PREPARE_COMMIT, PREPARE_ABORT) and producer in begun:
                yield producer, begun.pop(producer), at, state == PREPARE_COMMIT


def markers(folder):
    """Of one partition: producer, time, committed or not."""
    for at, attributes, producer, batch in batches(folder):
        if attributes & TRANSACTIONAL and attributes & CONTROL:
            for key, _ in records(batch):
                yield producer, at, struct.unpack_from(">hh", key)[1] == 1


def main(root):
    ended, early = defaultdict(list), 0
    for name, folder in sorted(partitions(root).items()):
        if not name.startswith("__"):
            for producer, at, committed in markers(folder):
                ended[producer].append((at, committed, name))
    positions = [f for n, f in partitions(root).items() if n.startswith("__consumer_offsets")]
    for folder in positions:
        for producer, at, committed in markers(folder):
            ended[producer].append((at, committed, folder.name))
    clock = lambda ms: datetime.fromtimestamp(ms / 1000, timezone.utc).strftime("%H:%M:%S.%f")[:-3]
    how = lambda committed: "committed" if committed else "aborted"
    for name, folder in sorted(partitions(root).items()):
        if not name.startswith("__transaction_state"):
            continue
        for producer, begin, end, committed in transactions(folder):
            others = [e for e in ended[producer] if begin < e[0] < end and e[1] != committed]
            early += bool(others)
            for at, other, where in sorted(others):
                print(
                    f"producer {producer}: a transaction of {clock(begin)}, to be {how(committed)} from "
                    f"{clock(end)} on, was {how(other)} in {where} at {clock(at)}"
                )
    print(f"{early} torn transactions")
    return 1 if early else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
