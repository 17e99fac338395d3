"""Which frames the device lets in: unicast, multicast, promiscuous, VLAN. The wire is in the test's own hands."""

import struct
from collections.abc import Callable
from ipaddress import IPv4Address

from kit import frames
from kit.frames import Ethernet
from kit.guest import Failed
from kit.peer import HERE, MAC
from kit.scenario import FILTERS, It, scenario

GUEST = IPv4Address("10.0.2.15")
GROUP = IPv4Address("239.1.2.3")
GROUP_HEX = GROUP.packed[::-1].hex().upper()  # as /proc/net/igmp has it
STRANGER = bytes.fromhex("020000000099")


def group_mac(group: IPv4Address) -> bytes:
    """The Ethernet address of a multicast group (RFC 1112, 6.4)."""
    return b"\x01\0\x5e" + bytes([group.packed[1] & 0x7F]) + group.packed[2:]


def numbered(to_mac: bytes, to: IPv4Address, port: int, count: int) -> list[Ethernet]:
    """Datagrams numbered from 0 as the guest's program judges them: number, then its pattern."""
    made = []
    for number in range(count):
        pattern = bytes((number * 31 + at) & 0xFF for at in range(56))
        payload = struct.pack("<Q", number) + pattern
        made.append(Ethernet(to_mac, MAC, (), frames.IPV4, frames.udp(HERE, to, port, payload)))
    return made


def received(it: It) -> int:
    """Packets the driver has delivered to the stack."""
    return int(it.guest.do("cat /sys/class/net/eth0/statistics/rx_packets").text)


def deliver(it: It, made: list[Ethernet]) -> int:
    """Sends frames, then a broadcast of known effect to know that all before it were judged; how many came in."""
    assert it.device.peer
    before = received(it)
    for frame in made:
        it.device.peer.send(frame)
    it.ping(1)
    return received(it) - before - 1


@scenario(FILTERS, "multicast")
def multicast(it: It) -> str:
    """A joined group's datagrams arrive once each, in order; after leaving they stay out."""
    assert it.device.peer
    it.up()
    it.guest.spawn("listen", f"probe udp-sink port=5000 group={GROUP} interface=10.0.2.15 count=100 seconds=10")
    it.guest.do(f"n=0; until grep -q {GROUP_HEX} /proc/net/igmp || [ $n -ge 100 ]; do sleep 0.05; n=$((n+1)); done")
    for frame in numbered(group_mac(GROUP), GROUP, 5000, 100):
        it.device.peer.send(frame)
    answer = it.guest.finish("listen", 30)
    if answer.status != 0:
        raise Failed(answer.text.strip())
    outside = deliver(it, numbered(group_mac(IPv4Address("239.9.9.9")), IPv4Address("239.9.9.9"), 5000, 20))
    if outside > 0:
        raise Failed(f"{outside} frames of a group nobody joined came in")
    return "100 of 100, a stranger group filtered"


@scenario(FILTERS, "all multicast")
def all_multicast(it: It) -> str:
    """All-multicast lets every group in, and its end keeps them out again."""
    it.up()
    stranger = numbered(group_mac(IPv4Address("239.7.7.7")), IPv4Address("239.7.7.7"), 5000, 20)
    return toggled(it, "allmulti", lambda: deliver(it, stranger), 20)


@scenario(FILTERS, "promiscuous")
def promiscuous(it: It) -> str:
    """Promiscuous mode lets other stations' frames in, and its end keeps them out again."""
    it.up()
    stranger = numbered(STRANGER, GUEST, 5000, 20)
    return toggled(it, "promisc", lambda: deliver(it, stranger), 20)


def toggled(it: It, mode: str, send: Callable[[], int], count: int) -> str:
    """Sends before, during and after a mode of the interface, by ifconfig's name for it."""
    seen = [send()]
    it.guest.do(f"ifconfig eth0 {mode}")
    seen.append(send())
    it.guest.do(f"ifconfig eth0 -{mode}")
    seen.append(send())
    if seen != [0, count, 0]:
        raise Failed(f"of {count} frames came in before, during and after: {seen}")
    return f"{count} of {count} during, none before and after"


@scenario(FILTERS, "mac change", known="its ACTIVATE_DEV restores the permanent address, so frames to the new one are filtered out")
def mac_change(it: It) -> str:
    """A new hardware address is used for sending and for filtering."""
    assert it.device.peer
    it.up()
    old, new = it.guest_mac(), bytes.fromhex("02aabbccddee")
    it.guest.do(f"ip link set eth0 down; ip link set eth0 address {new.hex(':')}")
    it.up()
    if not it.device.peer.saw(lambda frame: frame.source == new, 5):
        raise Failed("no frame with the new address was sent")
    if came := deliver(it, numbered(old, GUEST, 5000, 20)):
        raise Failed(f"{came} frames to the old address came in")
    if (came := deliver(it, numbered(new, GUEST, 5000, 20))) != 20:
        raise Failed(f"{came} of 20 frames to the new address came in")
    it.guest.do(f"ip link set eth0 down; ip link set eth0 address {old.hex(':')}")
    it.up()
    return new.hex(":")


@scenario(FILTERS, "runts and giants")
def sizes(it: It) -> str:
    """Frames from 14 bytes to far beyond the MTU neither stop the device nor the guest."""
    assert it.device.peer
    it.up()
    for length in (0, 1, 2, 31, 45, 46, 1500, 1501, 1504, 1600, 2000, 4096, 9000, 9018, 16000):
        it.device.peer.send(Ethernet(it.guest_mac(), MAC, (), 0x88B5, bytes(length)))
    it.device.peer.send(Ethernet(it.guest_mac(), MAC, (5,), 0x88B5, bytes(40)))
    it.device.peer.send(Ethernet(it.guest_mac(), MAC, (5, 6, 7), 0x88B5, bytes(2)))
    it.ping(3)
    return "14 to 16014 bytes"
