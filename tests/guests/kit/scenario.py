"""What a scenario is, which boot it needs, and what it is given."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kit.device import Config, Device
from kit.guest import Answer, Boot, Failed, Guest
from kit.lab import Lab


class Skipped(Exception):
    """The scenario does not apply here; says why."""


@dataclass(frozen=True)
class Group:
    """Scenarios that share one boot, and what the boot is like."""

    name: str
    smp: int = 1
    memory_mib: int = 384
    append: str = ""
    dpdk: bool = False
    firmware: bool = False
    wire: str = "responder"
    versions: int = 0  # the newest interface version that a served device offers; 0: what the profile has
    interrupts: str = ""  # the best kind of interrupts of a served device; empty: what the profile has
    any_kernel: bool = False  # what is tested is not the kernel's driver: one kernel is enough
    any_path_will_do: bool = False  # the same on either path: one is enough, unless the whole matrix is asked for
    any_kernel_will_do: bool = False  # it is little of it: one kernel is enough, unless the whole matrix is asked for

    def boot(self, kernel: str) -> Boot:
        """The boot for a kernel."""
        return Boot(kernel, self.smp, self.memory_mib, self.append, self.dpdk, self.firmware)


PLAIN = Group("plain")
PAIRS2 = Group("2 pairs", smp=2, any_kernel_will_do=True)
PAIRS4 = Group("4 pairs", smp=4, memory_mib=512, any_kernel_will_do=True)
INTX = Group("intx", append="pci=nomsi", any_kernel_will_do=True)
MSI = Group("msi", interrupts="msi", any_kernel_will_do=True)
OFFLOADS = Group("offloads", smp=4, memory_mib=512, versions=9, any_path_will_do=True)
FILTERS = Group("filters", wire="peer", any_kernel_will_do=True)
SWITCHING = Group("switching")
MOVING = Group("moving", wire="hosts")
IPXE = Group("ipxe", firmware=True, any_kernel=True)
DPDK = Group("dpdk", smp=2, memory_mib=768, append="hugepages=160", dpdk=True, wire="peer", any_kernel=True, versions=9)


@dataclass(frozen=True)
class Options:
    """What the command line chose for scenarios."""

    vnic: Path
    switches: int = 200
    seed: int = 1
    captures: bool = False  # keep those of guests that passed too


@dataclass
class It:
    """What a scenario works with."""

    lab: Lab
    config: Config
    guest: Guest
    device: Device
    options: Options

    def up(self, mtu: int = 1500, settle: bool = True) -> None:
        """The driver loaded, eth0 up with its addresses, and a neighbour that answers."""
        self.guest.do(f"[ -e /sys/class/net/eth0 ] || modprobe vmxnet3; ip link set eth0 mtu {mtu} up", 30)
        self.guest.do("ip addr replace 10.0.2.15/24 dev eth0 && ip -6 addr replace fd00::15/64 dev eth0")
        if settle:
            self.carrier()
            self.ping(1)

    def carrier(self, wanted: int = 1, seconds: int = 10) -> None:
        """Waits until the driver sees the link up (1) or down (0)."""
        test = f'[ "$(cat /sys/class/net/eth0/carrier)" = {wanted} ]'
        self.guest.do(f"n=0; until {test} || [ $n -ge {seconds * 20} ]; do sleep 0.05; n=$((n+1)); done; {test}", seconds + 20)

    def ping(self, count: int = 3, size: int = 56, host: str = "10.0.2.2") -> Answer:
        """Pings the responder; every echo must return."""
        answer = self.guest.do(f"ping -i 0.1 -c {count} -s {size} -W 2 {host}", 10 + 3 * count)
        if f" {count} packets received" not in answer.text:
            raise Failed(f"ping of {size} bytes: {answer.text.strip()[-200:]}")
        return answer

    def probe(self, words: str, seconds: float = 60) -> Answer:
        """Runs the guest's own program; its verdict must hold."""
        return self.guest.do(f"probe {words}", seconds)

    def traffic(self) -> str:
        """A little of everything, both ways: proof that the device works after whatever was done to it."""
        self.ping(2)
        self.probe("echo host=10.0.2.2 count=500 size=600 window=16")
        answer = self.probe("tcp-echo host=10.0.2.2 mib=1")
        return f"tcp {answer.value('kbps') // 1000} Mbit/s"

    def statistics(self) -> dict[str, int]:
        """`ethtool -S eth0` by name; counters of several queues of one name are added up."""
        found: dict[str, int] = {}
        for line in self.guest.do("ethtool -S eth0").text.splitlines():
            key, _, value = line.rpartition(":")
            if value.strip().isdigit():
                found[key.strip()] = found.get(key.strip(), 0) + int(value)
        return found

    def guest_mac(self) -> bytes:
        """The hardware address of eth0."""
        return bytes.fromhex(self.guest.do("cat /sys/class/net/eth0/address").text.strip().replace(":", ""))


Body = Callable[[It], str]


@dataclass(frozen=True)
class Scenario:
    """A named check. `run` returns what is worth saying in the table, or raises Failed or Skipped."""

    name: str
    group: Group
    run: Body
    says: str
    devices: tuple[str, ...]
    seconds: float
    known: str  # why QEMU's own device may fail it; empty: it must hold


ALL: list[Scenario] = []


def scenario(group: Group, name: str, devices: tuple[str, ...] = (), seconds: float = 60, known: str = "") -> Callable[[Body], Body]:
    """Registers a function as a scenario; its docstring's first line says what it claims. No `devices`: all. `known` says why it is
    known to fail, always or at times, on QEMU's own device."""

    def register(run: Body) -> Body:
        says = (run.__doc__ or "").strip().splitlines()[0]
        ALL.append(Scenario(name, group, run, says, devices, seconds, known))
        return run

    return register


__all__ = ["ALL", "DPDK", "FILTERS", "INTX", "IPXE", "MOVING", "MSI", "OFFLOADS", "PAIRS2", "PAIRS4", "PLAIN", "SWITCHING", "It", "Scenario", "scenario"]
