"""The live switch: the guest's traffic goes on while its device changes between software and adapter."""

import random
import time
from typing import Any

from kit.guest import Failed
from kit.scenario import INTX, MSI, SWITCHING, It, scenario

from scenarios import conversation

HARDWARE, SOFTWARE = "hardware", "software"


def switch(it: It, to: str) -> dict[str, Any]:
    """One switch; the answer, or a failure when it is refused."""
    answer = it.device.control("switch", to=to)
    if answer.get("ok") is False or "error" in answer:
        raise Failed(f"switch to {to}: {answer}")
    return answer


def under_traffic(it: It, frozen: bool) -> str:
    """So many switches while traffic goes on, the guest `frozen` around each or not."""
    conversation.begin(it)
    chosen = random.Random(it.options.seed)
    for turn in range(it.options.switches):
        time.sleep(chosen.uniform(0.005, 0.12))  # the moment is the scenario's random input
        if frozen:
            it.guest.qmp("stop")
        switch(it, SOFTWARE if turn % 2 else HARDWARE)
        if frozen:
            it.guest.qmp("cont")
    udp = conversation.end(it)
    longest = it.device.control("stats")["longest_switch_ns"] / 1000
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
    return closed(it)


@scenario(MSI, "no hardware with msi", devices=("switching",))
def refused_with_msi(it: It) -> str:
    """A guest that uses MSI may not enter hardware: the switch is refused, and the guest goes on in software."""
    return closed(it)


def closed(it: It) -> str:
    """Hardware is closed to the guest, and it goes on in software."""
    it.up()
    answer = it.device.control("switch", to=HARDWARE)
    if answer.get("ok") is not False and "error" not in answer:
        raise Failed(f"the switch was not refused: {answer}")
    it.ping(3)
    return str(answer.get("error", answer))[:120]
