#!/usr/bin/env python3
"""A small VMXNET3, version 1, that answers in JSON lines: vnic conform --dut "process:python3 tests/examples/device.py"

One object a line on standard input, one answer a line on standard output, by tests/schema/dut-1.json. It has one megabyte of guest
memory of its own, sends what is in plain descriptors, receives into both rings, and tells by MSI-X vectors with their masks. It does
no checksums, segmentation, VLAN, RSS or statistics, and its link does not change: the suite shows the first and skips the last.
"""

import json
import struct
import sys

BASE, BYTES = 0x10000, 1 << 20
MAC = bytes([0x00, 0x0C, 0x29, 0x12, 0x34, 0x56])
VECTORS, CELL = 25, 16
MAGIC = 0xBABEFEE1
FAILED, UNKNOWN = 1, 0xFFFFFFFF
ACTIVATE, QUIESCE, RESET, RX_MODE = 0xCAFE0000, 0xCAFE0001, 0xCAFE0002, 0xCAFE0003
GET_LINK, GET_MAC_LO, GET_MAC_HI, GET_CONF_INTR = 0xF00D0002, 0xF00D0003, 0xF00D0004, 0xF00D0008
LINK = 10000 << 16 | 1
UCAST, MCAST, BCAST, ALL_MULTI, PROMISC = 1, 2, 4, 8, 16


class Outside(Exception):
    """An access that guest memory does not have."""


class Ring:
    """A ring as the device walks it: an index and the generation that is due there."""

    def __init__(self, base, size):
        self.base, self.size, self.index, self.generation = base, size, 0, 1

    def address(self):
        return self.base + self.index * CELL

    def step(self):
        self.index += 1
        if self.index == self.size:
            self.index, self.generation = 0, self.generation ^ 1

    def place(self):
        return self.index, self.generation

    def back(self, place):
        self.index, self.generation = place


class Device:
    def __init__(self):
        self.memory = bytearray(BYTES)
        self.power_on()

    def power_on(self):
        self.mac, self.masks, self.pending = bytearray(MAC), [1] * VECTORS, [0] * VECTORS
        self.dsal, self.shared, self.answer = 0, 0, 0
        self.active, self.mastering, self.seen = False, True, []
        self.tx, self.rx, self.table = [], [], {}

    # Guest memory.

    def span(self, pa, count):
        if pa < BASE or pa + count > BASE + BYTES:
            raise Outside(hex(pa))
        return slice(pa - BASE, pa - BASE + count)

    def load(self, pa, count):
        return bytes(self.memory[self.span(pa, count)])

    def store(self, pa, data):
        self.memory[self.span(pa, len(data))] = data

    def unpack(self, layout, pa):
        return struct.unpack("<" + layout, self.load(pa, struct.calcsize("<" + layout)))

    # Registers.

    def read(self, bar, offset):
        if bar == 0 and offset < 8 * VECTORS and offset % 8 == 0:
            return self.masks[offset // 8]
        if bar == 1:
            low, high = struct.unpack("<IH", self.mac)
            fixed = {0x00: 1, 0x08: 1, 0x20: self.answer, 0x28: low, 0x30: high}
            return fixed.get(offset, 0)
        return self.table.get(offset, 0) if bar == 2 else 0

    def write(self, bar, offset, value):
        if bar == 0 and offset % 8 == 0:
            number = offset % 0x200 // 8
            if offset < 8 * VECTORS:
                self.masks[number] = value & 1
                self.fire(number)
            elif offset >= 0x600 and offset < 0x800 and number < len(self.tx):
                self.send(number)
        elif bar == 1:
            if offset == 0x10:
                self.dsal = value
            elif offset == 0x18:
                self.shared = value << 32 | self.dsal
            elif offset == 0x20:
                self.answer = self.command(value)
            elif offset == 0x28:
                self.mac[0:4] = struct.pack("<I", value)
            elif offset == 0x30:
                self.mac[4:6] = struct.pack("<H", value & 0xFFFF)
        elif bar == 2 and offset < 16 * VECTORS:
            self.table[offset] = value

    def command(self, code):
        if code == ACTIVATE:
            try:
                return self.activate() if self.mastering else FAILED
            except Outside:
                return FAILED
        if code in (QUIESCE, RESET):
            self.active, self.tx, self.rx = False, [], []
            if code == RESET:
                self.masks, self.pending = [1] * VECTORS, [0] * VECTORS
            return 0
        if code == RX_MODE and self.active:
            (self.mode,) = self.unpack("I", self.shared + 120)
        low, high = struct.unpack("<IH", MAC)
        known = {RX_MODE: 0, GET_LINK: LINK, GET_MAC_LO: low, GET_MAC_HI: high, GET_CONF_INTR: 0}
        return known.get(code, UNKNOWN)

    def activate(self):
        if self.active:
            return 0
        (magic,) = self.unpack("I", self.shared)
        queues, _, length, mtu, _, txs, rxs = self.unpack("QIIIHBB", self.shared + 8 + 32)
        if magic != MAGIC or not 60 <= mtu <= 9000 or not 1 <= txs <= 8 or not 1 <= rxs <= 8:
            return FAILED
        if length < 256 * (txs + rxs):
            return FAILED
        auto, _, self.event = self.unpack("BBB", self.shared + 80)
        (self.control,) = self.unpack("I", self.shared + 108)
        (self.mode,) = self.unpack("I", self.shared + 120)
        self.auto_mask, tx, rx, sizes = auto & 3 == 0, [], [], []
        for number in range(txs):
            at = queues + 256 * number
            ring, _, comp, _, _, size, _, comps, _, vector = self.unpack("QQQQQIIIIB", at + 16)
            tx.append((Ring(ring, size), Ring(comp, comps), vector))
            sizes += [size, comps]
        for number in range(rxs):
            at = queues + 256 * (txs + number)
            zero, one, comp, _, _, size, other, comps, _, vector = self.unpack("QQQQQIIIIB", at + 16)
            rx.append(([Ring(zero, size), Ring(one, other)], Ring(comp, comps), vector))
            sizes += [size, comps]
            if other % 32 or other > 4096:
                return FAILED
        if any(size == 0 or size % 32 or size > 4096 for size in sizes):
            return FAILED
        self.tx, self.rx, self.active = tx, rx, True
        return 0

    # Interrupts.

    def raise_(self, vector):
        if vector < VECTORS:
            self.pending[vector] = 1
            self.fire(vector)

    def fire(self, vector):
        if self.active and self.pending[vector] and not self.masks[vector] and not self.control & 1:
            self.pending[vector], self.masks[vector] = 0, int(self.auto_mask)
            self.seen.append({"vector": vector})

    # Traffic.

    def send(self, number):
        ring, comp, vector = self.tx[number]
        told = False
        for _ in range(ring.size):
            start, frame, done = ring.place(), b"", None
            while done is None:
                address, one, two = self.unpack("QII", ring.address())
                if one >> 14 & 1 != ring.generation or len(frame) > 1 << 16:
                    break
                frame += self.load(address, (one & 0x3FFF) or 0x4000)
                index = ring.index
                ring.step()
                done = (index, two >> 13 & 1) if two >> 12 & 1 else None
            if done is None:
                ring.back(start)
                break
            if len(frame) >= 14:
                self.seen.append({"sent": frame.hex()})
            if done[1]:
                self.complete(comp, struct.pack("<III", done[0], 0, 0), 0)
                told = True
        if told:
            self.raise_(vector)

    def complete(self, comp, words, kind):
        self.store(comp.address(), words + struct.pack("<I", kind | comp.generation << 31))
        comp.step()

    def wanted(self, frame):
        to, own = frame[0:6], bytes(self.mac)
        if self.mode & PROMISC:
            return True
        if to == b"\xff" * 6:
            return bool(self.mode & BCAST)
        if to[0] & 1:
            return bool(self.mode & ALL_MULTI)
        return bool(self.mode & UCAST) and to == own

    def offer(self, frame):
        if not self.active or not self.mastering or len(frame) < 14 or not self.wanted(frame):
            return
        frame = frame.ljust(60, b"\0")
        rings, comp, vector = self.rx[0]
        places, parts, left = [ring.place() for ring in rings], [], frame
        while left:
            which = 1 if parts and rings[1].size else 0
            ring = rings[which]
            address, word, _ = self.unpack("QII", ring.address())
            if word >> 31 != ring.generation or (not parts and word >> 14 & 1):
                for ring, place in zip(rings, places):
                    ring.back(place)
                return
            count = min(len(left), word & 0x3FFF)
            parts.append((which, ring.index, address, left[:count]))
            left = left[count:]
            ring.step()
        for number, (which, index, address, data) in enumerate(parts):
            self.store(address, data)
            flags = (number == len(parts) - 1) << 14 | (number == 0) << 15 | (which * len(self.rx)) << 16 | 1 << 30
            self.complete(comp, struct.pack("<III", index | flags, 0, len(data)), 3 << 24)
        self.raise_(vector)

    # The conversation.

    def do(self, ask):
        what = ask.pop("do")
        if what == "about":
            return {"about": {
                "protocol": 1, "name": "python", "identity": "the example in Python", "version": "1.0", "base": BASE,
                "bytes": BYTES, "mac": ":".join(f"{byte:02x}" for byte in MAC), "vectors": VECTORS, "cannot": ["link"],
            }}
        if what == "link":
            return {"cannot": "link"}
        if what == "read":
            value = self.read(ask["bar"], ask["offset"])
            return {"value": value & (1 << 8 * ask["width"]) - 1}
        if what == "write" and ask["width"] >= 4:
            try:
                self.write(ask["bar"], ask["offset"], ask["value"] & 0xFFFFFFFF)
            except Outside:
                pass
        elif what == "load":
            return {"hex": self.load(ask["pa"], ask["bytes"]).hex()}
        elif what == "store":
            self.store(ask["pa"], bytes.fromhex(ask["hex"]))
        elif what == "offer":
            try:
                self.offer(bytes.fromhex(ask["hex"]))
            except Outside:
                pass
        elif what == "settle":
            seen, self.seen = self.seen[:256], self.seen[256:]
            return {"seen": seen, "more": bool(self.seen)}
        elif what == "reset":
            self.power_on()
        elif what == "bus_master":
            self.mastering = ask["on"]
        elif what != "write":
            return {"error": f"{what} is not known"}
        return {}


def main():
    device = Device()
    for line in sys.stdin:
        print(json.dumps(device.do(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
