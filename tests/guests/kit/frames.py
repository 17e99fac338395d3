"""Ethernet, IPv4, ICMP and UDP as bytes: what the wire peer reads, answers and sends."""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

ARP, IPV4, VLAN = 0x0806, 0x0800, 0x8100
ICMP, UDP = 1, 17


@dataclass(frozen=True)
class Ethernet:
    """A frame taken apart; `tags` are the VLAN tag control words, outermost first."""

    to: bytes
    source: bytes
    tags: tuple[int, ...]
    kind: int
    payload: bytes

    def packed(self) -> bytes:
        """The frame as bytes, padded to the 60 that a wire carries at least."""
        tags = b"".join(struct.pack("!HH", VLAN, tag) for tag in self.tags)
        return (self.to + self.source + tags + struct.pack("!H", self.kind) + self.payload).ljust(60, b"\0")

    def answer(self, source: bytes, payload: bytes) -> "Ethernet":
        """A frame back to this one's sender, in the same VLAN."""
        return Ethernet(self.source, source, self.tags, self.kind, payload)


def ethernet(frame: bytes) -> Ethernet | None:
    """Takes a frame apart; nothing for one that is cut short."""
    at = 12
    tags: list[int] = []
    while len(frame) >= at + 2:
        kind = struct.unpack_from("!H", frame, at)[0]
        if kind != VLAN:
            return Ethernet(frame[:6], frame[6:12], tuple(tags), kind, frame[at + 2 :])
        if len(frame) < at + 4:
            break
        tags.append(struct.unpack_from("!H", frame, at + 2)[0])
        at += 4
    return None


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) & 1)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(source: IPv4Address, to: IPv4Address, protocol: int, payload: bytes) -> bytes:
    """An IPv4 packet."""
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0x4000, 64, protocol, 0) + source.packed + to.packed
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def icmp(source: IPv4Address, to: IPv4Address, message: bytes) -> bytes:
    """An ICMP packet; the message's checksum field is written anew."""
    bare = message[:2] + b"\0\0" + message[4:]
    return packet(source, to, ICMP, bare[:2] + struct.pack("!H", checksum(bare)) + bare[4:])


def udp(source: IPv4Address, to: IPv4Address, port: int, payload: bytes) -> bytes:
    """A UDP packet to `port` from the same port, with its checksum."""
    head = struct.pack("!HHHH", port, port, 8 + len(payload), 0)
    pseudo = source.packed + to.packed + struct.pack("!BBH", 0, UDP, 8 + len(payload))
    total = checksum(pseudo + head + payload) or 0xFFFF
    return packet(source, to, UDP, head[:6] + struct.pack("!H", total) + payload)
