"""Coming and going: links, interfaces, drivers, guests; and interrupts without MSI."""

import re

from kit.guest import Failed
from kit.scenario import INTX, MSI, PLAIN, It, scenario


def set_link(it: It, up: bool) -> None:
    if it.config.device == "qemu":
        it.guest.qmp("set_link", name="n", up=up)
    elif (answer := it.device.control("link", up=up)).get("ok") is False or "error" in answer:
        raise Failed(f"control: {answer}")


@scenario(PLAIN, "link down and up")
def link(it: It) -> str:
    """The driver sees the cable pulled and plugged, three times, and goes on."""
    it.up()
    for _ in range(3):
        set_link(it, up=False)
        it.carrier(0)
        set_link(it, up=True)
        it.carrier(1)
        it.ping(1)
    return it.traffic()


@scenario(PLAIN, "interface down and up", seconds=90)
def interface(it: It) -> str:
    """Ten times down and up, half of them under traffic."""
    it.up()
    for turn in range(10):
        if turn % 2:
            it.guest.spawn("noise", "probe udp-send host=10.0.2.2 count=200000 size=64 rate=20000 until=/tmp/stop")
        it.guest.do("ip link set eth0 down; ip link set eth0 up")
        it.up()
        if turn % 2:
            it.guest.do("touch /tmp/stop")
            it.guest.finish("noise", 10)
            it.guest.do("rm /tmp/stop")
    return it.traffic()


@scenario(PLAIN, "driver reload", seconds=90)
def reload(it: It) -> str:
    """Five times unloaded and loaded again, from up and from down."""
    for turn in range(5):
        it.up()
        it.guest.do("ip link set eth0 down" if turn % 2 else "true")
        it.guest.do("rmmod vmxnet3 && [ ! -e /sys/class/net/eth0 ]")
    it.up()
    return it.traffic()


@scenario(PLAIN, "suspend", seconds=90)
def suspend(it: It) -> str:
    """The driver suspends and resumes its device, as for a suspend to idle."""
    it.up()
    # The kernel's test mode resumes by itself, after a busy wait of so many seconds.
    it.guest.do("echo 1 >/sys/module/suspend/parameters/pm_test_delay; echo devices >/sys/power/pm_test")
    it.guest.do("echo freeze >/sys/power/state; echo none >/sys/power/pm_test", 40)
    it.carrier()
    return it.traffic()


@scenario(PLAIN, "reset", seconds=120)
def reset(it: It) -> str:
    """The guest is reset in full traffic and boots again."""
    it.up()
    it.guest.spawn("noise", "probe udp-send host=10.0.2.2 count=1000000 size=64 rate=20000")
    it.guest.qmp("set-action", reboot="reset")
    it.guest.qmp("system_reset")
    it.guest.ready(90)
    it.guest.qmp("set-action", reboot="shutdown")
    it.up()
    return it.traffic()


@scenario(INTX, "intx", seconds=120)
def intx(it: It) -> str:
    """Without MSI the device interrupts through its line, and traffic flows."""
    return told_by(it, "IO-APIC|XT-PIC")


@scenario(MSI, "msi", devices=("software", "switching"), seconds=120)
def msi(it: It) -> str:
    """Without MSI-X the device interrupts by its one message, and traffic flows."""
    return told_by(it, r"MSI(?!-?X)")


def told_by(it: It, kind: str) -> str:
    """The device interrupts by this kind, as the kernel names it, and traffic flows."""
    it.up()
    lines = [line for line in it.guest.do("cat /proc/interrupts").text.splitlines() if "eth0" in line]
    if len(lines) != 1 or not re.search(kind, lines[0]):
        raise Failed(f"interrupts of eth0: {lines}")
    it.ping(3)
    it.probe("echo host=10.0.2.2 count=200 size=600 window=8", 90)
    it.probe("tcp-echo host=10.0.2.2 mib=1", 90)
    return " ".join(lines[0].split())
