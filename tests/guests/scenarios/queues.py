"""Rings of every size and several queue pairs, and what the driver says of them."""

import re
import struct
import subprocess
from typing import Any

from kit.guest import Failed
from kit.scenario import PAIRS2, PAIRS4, PLAIN, It, scenario


def dump(it: It) -> list[int]:
    """`ethtool -d eth0 raw on` as 32-bit words, through the console as hex."""
    text = it.guest.do("ethtool -d eth0 raw on | xxd -p").text
    raw = bytes.fromhex("".join(text.split()))
    (it.guest.folder / "registers.bin").write_bytes(raw)
    return list(struct.unpack(f"<{len(raw) // 4}I", raw[: len(raw) & ~3]))


def agree(words: list[int], status: dict[str, Any]) -> None:
    """The driver's own positions, at rest, are the device's: transmit and completion indices and generations of every queue."""
    vectors = words[9]
    tx, rx = 11 + vectors, 12 + vectors + 17 * words[10 + vectors]
    hardware = status["mode"] == "hardware"
    for number, queue in enumerate(status["positions"]["tx"]):
        row = words[tx + 17 * number : tx + 17 * (number + 1)]
        # Word 4 is next2fill; words 14 and 15 are the completion ring's next2proc and gen.
        driver = {"next": row[4], "completion": row[14], "generation": row[15]}
        at = queue["fetch"] if hardware else queue["next"]["index"]
        device = {"next": at, "completion": queue["comp"]["index"], "generation": queue["comp"]["gen"]}
        if driver != device:
            raise Failed(f"transmit queue {number}: the driver is at {driver}, the device at {device}")
    for number, queue in enumerate(status["positions"]["rx"]):
        row = words[rx + 23 * number : rx + 23 * (number + 1)]
        driver = {"completion": row[21], "generation": row[22]}
        device = {"completion": queue["comp"]["index"], "generation": queue["comp"]["gen"]}
        if driver != device:
            raise Failed(f"receive queue {number}: the driver is at {driver}, the device at {device}")


@scenario(PLAIN, "register dump")
def registers(it: It) -> str:
    """The driver's register dump has the layout of its queues, decodes, and agrees with the device's own state."""
    it.up()
    it.traffic()
    words = dump(it)
    vectors = words[9]
    tx = words[10 + vectors]
    rx = words[11 + vectors + 17 * tx]
    expected = 9 + 1 + vectors + 1 + 17 * tx + 1 + 23 * rx
    if len(words) != expected:
        raise Failed(f"{len(words)} words for {vectors} vectors, {tx} and {rx} queues; {expected} expected")
    mac = struct.pack("<II", words[5], words[6])[:6]
    if mac != it.guest_mac():
        raise Failed(f"MAC registers {mac.hex(':')}, eth0 has {it.guest_mac().hex(':')}")
    shown = subprocess.run([it.options.vnic, "show", it.guest.folder / "registers.bin"], capture_output=True, text=True, check=False)
    (it.guest.folder / "registers.txt").write_text(shown.stdout + shown.stderr)
    if shown.returncode != 0:
        raise Failed(f"vnic show: {shown.stderr.strip()[-300:]}")
    for turn in range(5) if it.device.server else ():
        try:
            agree(dump(it), it.device.control("status"))
            break
        except Failed:
            # A packet of the kernel's own (neighbour discovery) may have gone between the two looks.
            if turn == 4:
                raise
    return f"{len(words)} words, revision {words[0]}"


@scenario(PLAIN, "ring sizes", seconds=120, known="it drops what finds none of 32 buffers instead of letting it wait, and TCP stalls")
def ring_sizes(it: It) -> str:
    """Traffic flows with the smallest and the largest rings that the driver offers."""
    it.up()
    text = it.guest.do("ethtool -g eth0").text
    largest = dict(re.findall(r"^(RX|TX):\s+(\d+)", text.split("Current")[0], re.MULTILINE))
    for rx, tx in ((32, 32), (int(largest["RX"]), int(largest["TX"])), (96, 4096), (256, 512)):
        it.guest.do(f"ethtool -G eth0 rx {rx} tx {tx} || ethtool -g eth0 | grep -q 'RX:.*{rx}'")
        it.carrier()
        it.traffic()
        it.probe("blast host=10.0.2.2 count=2000 size=1000 rate=2000")
    return f"rx 32 to {largest['RX']}, tx 32 to {largest['TX']}"


def several(it: It, wanted: int) -> str:
    it.up()
    words = dump(it)
    tx = words[10 + words[9]]
    rx = words[11 + words[9] + 17 * tx]
    if (tx, rx) != (wanted, wanted):
        raise Failed(f"{tx} transmit and {rx} receive queues")
    for number in range(4 * wanted):
        it.guest.spawn(f"flow{number}", f"probe echo host=10.0.2.2 count=1000 size={200 + number} window=8 seconds=20")
    for number in range(4 * wanted):
        answer = it.guest.finish(f"flow{number}", 60)
        if answer.status != 0:
            raise Failed(f"flow {number}: {answer.text.strip()}")
    it.probe("tcp-echo host=10.0.2.2 mib=4")
    text = it.guest.do("ethtool -S eth0").text
    used = [int(count) > 0 for count in re.findall(r"ucast pkts rx:\s*(\d+)", text)]
    sent = [int(count) > 0 for count in re.findall(r"ucast pkts tx:\s*(\d+)", text)]
    return f"{4 * wanted} flows; {sum(sent)} transmit and {sum(used)} receive queues saw unicast"


@scenario(PAIRS2, "two queue pairs", seconds=120)
def two(it: It) -> str:
    """Two vCPUs, two queue pairs, flows over both."""
    return several(it, 2)


@scenario(PAIRS4, "four queue pairs", seconds=180)
def four(it: It) -> str:
    """Four vCPUs, four queue pairs, flows over all."""
    return several(it, 4)
