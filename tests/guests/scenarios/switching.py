"""The live switch: the guest's traffic goes on while its device changes between software and adapter."""

import random
import time
from typing import Any

from kit.guest import Failed
from kit.scenario import INTX, SWITCHING, It, scenario

HARDWARE, SOFTWARE = "hardware", "software"


def switch(it: It, to: str) -> dict[str, Any]:
    """One switch; the answer, or a failure when it is refused."""
    answer = it.device.control("switch", to=to)
    if answer.get("ok") is False or "error" in answer:
        raise Failed(f"switch to {to}: {answer}")
    return answer


def under_traffic(it: It, frozen: bool) -> str:
    # Rings large enough that a guest starved by a busy host does not run out of buffers, which is no fault of a switch.
    it.up()
    it.guest.do("ethtool -G eth0 rx 4096 tx 4096")
    it.up()
    # With LRO on, Linux hands packets up at once while updateRxProd is 0 and through its GRO list while it is 1: a switch in the
    # middle of one poll would reorder them inside the guest. Source: vmxnet3_drv.c, vmxnet3_rq_rx_complete.
    it.guest.do("ethtool -K eth0 lro off")
    # A host that pauses the guest or the responder for a while must not look like loss: no tail loss probes, patient timeouts
    # where the kernel has a knob for them.
    it.guest.do("cd /proc/sys/net/ipv4; echo 0 >tcp_early_retrans; [ ! -e tcp_rto_min_us ] || echo 5000000 >tcp_rto_min_us")
    chosen = random.Random(it.options.seed)
    patience = "seconds=20"
    it.guest.spawn("udp", f"probe echo host=10.0.2.2 count=4000000 size=400 window=16 until=/tmp/stop {patience}")
    it.guest.spawn("tcp", f"while [ ! -e /tmp/stop ]; do probe tcp-echo host=10.0.2.2 mib=2 {patience} || exit 1; done")
    it.guest.spawn("in", f"while [ ! -e /tmp/stop ]; do probe blast host=10.0.2.2 count=2000 size=600 rate=2000 {patience} || exit 1; done")
    for turn in range(it.options.switches):
        time.sleep(chosen.uniform(0.005, 0.12))  # the moment is the scenario's random input
        if frozen:
            it.guest.qmp("stop")
        switch(it, SOFTWARE if turn % 2 else HARDWARE)
        if frozen:
            it.guest.qmp("cont")
    it.guest.do("touch /tmp/stop")
    answers = {tag: it.guest.finish(tag, 60) for tag in ("udp", "in", "tcp")}
    it.guest.do("rm /tmp/stop")
    starved = it.statistics().get("pkts rx OOB", 0)
    for tag, answer in answers.items():
        if answer.status != 0:
            raise Failed(f"{tag}: {answer.text.strip()[-400:]}; {starved} frames found no buffer")
    again = sum(int(word.split("=")[1]) for word in answers["tcp"].text.split() if word.startswith("retransmitted="))
    if again:
        raise Failed(f"TCP sent {again} segments again")
    longest = it.device.control("stats")["longest_switch_ns"] / 1000
    udp = answers["udp"]
    return (
        f"{it.options.switches} switches, longest {longest:.0f} us; {udp.value('arrived')} datagrams, 0 lost, doubled or reordered, "
        f"longest gap {udp.value('gap_us') / 1000:.1f} ms; 0 TCP segments sent again"
    )


@scenario(SWITCHING, "switches", devices=("switching",), seconds=600)
def running(it: It) -> str:
    """Switches at random moments while the guest runs: nothing lost, doubled or reordered, no TCP segment sent again."""
    return under_traffic(it, frozen=False)


@scenario(SWITCHING, "switches, guest stopped", devices=("switching",), seconds=600)
def stopped(it: It) -> str:
    """The same with the guest frozen around each switch."""
    return under_traffic(it, frozen=True)


@scenario(INTX, "no hardware with intx", devices=("switching",))
def refused(it: It) -> str:
    """A guest that uses INTx may not enter hardware: the switch is refused, and the guest goes on in software."""
    it.up()
    answer = it.device.control("switch", to=HARDWARE)
    if answer.get("ok") is not False and "error" not in answer:
        raise Failed(f"the switch was not refused: {answer}")
    it.ping(3)
    return str(answer.get("error", answer))[:120]
