"""Other people's drivers: the iPXE option ROM and DPDK's poll-mode driver."""

import re
import struct
import time
from collections.abc import Callable
from ipaddress import IPv4Address

from kit import frames
from kit.frames import Ethernet
from kit.guest import Failed
from kit.peer import HERE, MAC
from kit.scenario import DPDK, IPXE, It, Skipped, scenario

# An iPXE script is any file that begins so; its last line shows that it was fetched and run.
GUEST = IPv4Address("10.0.2.15")
SCRIPT = b"#!ipxe\necho VNIC-IPXE-RAN ${net0/mac} ${net0/ip}\nsleep 1\npoweroff\n"


@scenario(IPXE, "ipxe", seconds=90)
def ipxe(it: It) -> str:
    """The firmware's own VMXNET3 driver gets an address by DHCP and boots a file by TFTP."""
    deadline = time.monotonic() + 80
    while "VNIC-IPXE-RAN" not in it.guest.text("console"):
        assert it.guest.process
        if it.guest.process.poll() is not None or time.monotonic() > deadline:
            raise Failed(f"no boot; console ends: {it.guest.console_tail()[-400:]}")
        time.sleep(0.1)
    found = re.search(r"VNIC-IPXE-RAN (\S+) (\S+)", it.guest.text("console"))
    return f"{found.group(1)} {found.group(2)}" if found else "ran"


ECHOES = 200


@scenario(DPDK, "dpdk", seconds=180)
def dpdk(it: It) -> str:
    """DPDK's poll-mode driver, through UIO, answers ARP and 200 numbered pings, each once, in order and undamaged."""
    assert it.device.peer
    if it.guest.run("[ -x /usr/bin/dpdk-testpmd ]").status != 0:
        raise Skipped("the lab has no dpdk-testpmd")
    it.guest.do("modprobe uio_pci_generic; mkdir -p /dev/hugepages; mount -t hugetlbfs huge /dev/hugepages")
    slot = it.guest.do("grep -l 0x07b0 /sys/bus/pci/devices/*/device").text.strip().split("/")[-2]
    it.guest.do("echo '15ad 07b0' >/sys/bus/pci/drivers/uio_pci_generic/new_id")
    if it.guest.run(f"[ -e /sys/bus/pci/devices/{slot}/driver ]").status != 0:
        raise Skipped("uio_pci_generic does not take the device: it needs an INTx pin")
    plugins = it.guest.do(
        "cd /usr/lib/x86_64-linux-gnu; ls librte_net_vmxnet3.so.* librte_bus_pci.so.* librte_mempool_ring.so.*"
    ).text.split()
    options = " ".join(f"-d {name}" for name in plugins)
    it.guest.spawn(
        "testpmd",
        f"timeout -s INT 60 dpdk-testpmd -l 0,1 -a {slot} {options} --iova-mode=pa --no-telemetry -- "
        "--total-num-mbufs=4096 --forward-mode=icmpecho --stats-period=1 --auto-start",
    )
    peer = it.device.peer
    deadline = time.monotonic() + 60
    arp = Ethernet(b"\xff" * 6, MAC, (), frames.ARP, bytes.fromhex("0001080006040001") + MAC + HERE.packed + bytes(6) + GUEST.packed)
    while not peer.saw(lambda frame: frame.kind == frames.ARP and frame.payload[6:8] == b"\0\2", 0.5):
        if time.monotonic() > deadline or it.guest.run("[ -e /tmp/testpmd.end ]").status == 0:
            raise Failed(f"no answer to ARP; testpmd said: {it.guest.run('cat /tmp/testpmd').text.strip()[-500:]}")
        peer.send(arp)
    station = next(frame.source for frame in peer.frames if frame.kind == frames.ARP and frame.payload[6:8] == b"\0\2")
    for number in range(ECHOES):
        message = struct.pack("!BBHHH", 8, 0, 0, 77, number) + bytes((number + at) & 0xFF for at in range(20 + 5 * number))
        peer.send(Ethernet(station, MAC, (), frames.IPV4, frames.icmp(HERE, GUEST, message)))
        if not peer.saw(is_echo(number), 5):
            raise Failed(f"ping {number} was not answered")
    answers = [found for frame in peer.frames if (found := echoed(frame)) is not None]
    if answers != list(range(ECHOES)):
        raise Failed(f"answers: {answers}")
    it.guest.do("killall -INT dpdk-testpmd")
    said = it.guest.finish("testpmd", 20)
    if "Bye" not in said.text:
        raise Failed(f"testpmd did not end well: {said.text.strip()[-300:]}")
    return f"{ECHOES} pings of 48 to {48 + 5 * (ECHOES - 1)} bytes"


def is_echo(number: int) -> Callable[[Ethernet], bool]:
    """Tells the undamaged echo reply with this number."""
    return lambda frame: echoed(frame) == number


def echoed(frame: Ethernet) -> int | None:
    """The number in an undamaged echo reply; nothing for any other frame."""
    message = frame.payload[20:]
    if frame.kind != frames.IPV4 or message[:2] != b"\0\0" or message[4:6] != b"\0\x4d":
        return None
    number = int.from_bytes(message[6:8])
    expected = bytes((number + at) & 0xFF for at in range(20 + 5 * number))
    return number if message[8 : 8 + len(expected)] == expected else None
