"""The move between two hosts: the guest's device leaves one server process and goes on in another, under traffic."""

import json
import random
import subprocess
import time
from typing import Any

from kit.device import HOSTS
from kit.guest import Failed
from kit.scenario import MOVING, It, Skipped, scenario

from scenarios import conversation

MOVES = 5


def move(it: It, number: int, to: str) -> dict[str, Any]:
    """One move by `vnic ctl`, drawn into the results; its report, or a failure when something is wrong with it."""
    folder = it.device.folder
    drawn = [word for kind in ("svg", "txt") for word in ("--draw", str(folder / f"move-{number}.{kind}"))]
    command = [str(it.options.vnic), "ctl", str(folder / "control"), "move", str(folder / to), *drawn]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise Failed(f"move to {to}: {done.stderr.strip()}") from None
    (folder / f"move-{number}.json").write_text(done.stdout)
    if done.returncode != 0 or not report["ok"]:
        raise Failed(f"move to {to}: {report}")
    if not report["barrier"] or report["dropped"]:
        raise Failed(f"move to {to}: no barrier, or frames found no place: {report}")
    return report


def place(it: It, mac: str) -> list[str]:
    """The ports of the fabric behind which the address was heard last."""
    ports = it.device.control("status", at="fabric.control")["ports"]
    return [port["port"] for port in ports if mac in port["addresses"]]


@scenario(MOVING, "two hosts", devices=("switching",), seconds=300)
def two_hosts(it: It) -> str:
    """Hardware on one host, software, a move, hardware on the other, back: nothing lost, doubled or reordered, no segment sent again."""
    if it.config.path != "trapped":
        raise Skipped("a device that moves is trapped: its page would stay in the guest")
    conversation.begin(it)
    mac = it.guest.do("cat /sys/class/net/eth0/address").text.strip()
    chosen = random.Random(it.options.seed)
    reports = []
    for number in range(MOVES):
        here, there = HOSTS[number % 2], HOSTS[(number + 1) % 2]
        time.sleep(chosen.uniform(0.1, 0.6))  # the moment is the scenario's random input
        answer = it.device.control("switch", at=f"{here}.control", to="hardware")
        if not answer.get("ok"):
            raise Failed(f"host {here} does not enter hardware: {answer}")
        time.sleep(chosen.uniform(0.1, 0.6))
        reports.append(move(it, number + 1, there))
        heard = place(it, mac)
        if len(heard) != 1 or not heard[0].endswith(f"up-{there}"):
            raise Failed(f"the guest is at host {there}, and the fabric heard it last at {heard}")
    time.sleep(0.5)
    udp = conversation.end(it)
    still = max(report["still_us"] for report in reports)
    frames = sum(report["frames"] for report in reports)
    arrived = udp.value("arrived")
    return f"{MOVES} moves, {arrived} datagrams, 0/0/0, {frames} frames handed over, still for {still / 1000:.1f} ms at most"
