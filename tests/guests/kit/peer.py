"""The other end of a guest's wire, held in the test's own hands: keeps every frame, puts any frame on the wire, and answers
ARP and ping, so that a guest finds a neighbour. Filters need this; traffic with services is the responder's.
"""

import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path

from kit import frames
from kit.frames import Ethernet

MAC = bytes.fromhex("020000000002")
HERE = IPv4Address("10.0.2.2")
KEPT = 4096  # frames


class Peer:
    """One end of a pair of unix datagram sockets, served on a thread until `close`."""

    def __init__(self, here: Path, there: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(here))
        self._there = str(there)
        self._stop = threading.Event()
        self._arrival = threading.Condition()
        self.frames: deque[Ethernet] = deque(maxlen=KEPT)
        self._thread = threading.Thread(target=self._serve, name="peer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread and the socket."""
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def send(self, frame: Ethernet) -> None:
        """Puts a frame on the wire; lost when the guest's end is not there, as on any wire."""
        with suppress(FileNotFoundError, ConnectionRefusedError):
            self._socket.sendto(frame.packed(), self._there)

    def saw(self, wanted: Callable[[Ethernet], bool], seconds: float) -> bool:
        """Whether a kept frame fits, now or within `seconds`."""
        with self._arrival:
            return self._arrival.wait_for(lambda: any(wanted(frame) for frame in self.frames), seconds)

    def _serve(self) -> None:
        self._socket.settimeout(0.1)
        while not self._stop.is_set():
            try:
                frame = frames.ethernet(self._socket.recv(1 << 17))
            except TimeoutError:
                continue
            if not frame:
                continue
            with self._arrival:
                self.frames.append(frame)
                self._arrival.notify_all()
            if answer := reply(frame):
                self.send(answer)


def reply(frame: Ethernet) -> Ethernet | None:
    """What a host at 10.0.2.2 answers: ARP requests for it, and pings."""
    data = frame.payload
    if frame.kind == frames.ARP and data[6:8] == b"\0\1" and data[24:28] == HERE.packed:
        return frame.answer(MAC, data[:6] + b"\0\2" + MAC + HERE.packed + data[8:18])
    if frame.kind == frames.IPV4 and len(data) >= 28 and data[9] == frames.ICMP and data[16:20] == HERE.packed:
        length = struct.unpack_from("!H", data, 2)[0]
        message = data[(data[0] & 15) * 4 : length]
        if message[:1] == b"\x08":
            return frame.answer(MAC, frames.icmp(HERE, IPv4Address(data[12:16]), b"\0" + message[1:]))
    return None
