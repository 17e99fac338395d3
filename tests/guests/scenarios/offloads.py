"""Every offload that a driver of the newest interface version has, on at once: payloads are checked end to end."""

import re

from kit.guest import Failed
from kit.scenario import OFFLOADS, It, scenario

from scenarios.switching import HARDWARE, SOFTWARE, switch

SERVED = ("software", "adapter", "switching")
# What `ethtool -K` calls them, and what `ethtool -k` says.
ON = {
    "tx": "tx-checksumming",
    "rx": "rx-checksumming",
    "sg": "scatter-gather",
    "tso": "tcp-segmentation-offload",
    "gro": "generic-receive-offload",
    "lro": "large-receive-offload",
    "rxvlan": "rx-vlan-offload",
    "txvlan": "tx-vlan-offload",
    "rxhash": "receive-hashing",
    "tx-udp_tnl-segmentation": "tx-udp_tnl-segmentation",
    "tx-udp_tnl-csum-segmentation": "tx-udp_tnl-csum-segmentation",
}
INNER = "10.80.7.1"


def all_on(it: It) -> str:
    """Switches every offload on that the driver lets one switch; the version in force and the names of those that stayed off."""
    it.up()
    for name in ON:
        it.guest.run(f"ethtool -K eth0 {name} on")
    listed = it.guest.do("ethtool -k eth0").text
    off = [name for name in ON.values() if not re.search(rf"^\s*{name}: on", listed, re.MULTILINE)]
    missing = sorted({"tcp-segmentation-offload", "large-receive-offload", "tx-checksumming", "rx-checksumming"} & set(off))
    if missing:
        raise Failed(f"off: {' '.join(missing)}")
    for kind in ("udp4", "udp6"):
        it.guest.run(f"ethtool -N eth0 rx-flow-hash {kind} sdfn")
    version = it.device.control("status")["version"]
    return f"version {version}" + (f", off: {' '.join(off)}" if off else "")


def every_road(it: It, host: str, mib: int = 4) -> int:
    """TCP and UDP both ways, every byte checked; Mbit/s of the echo."""
    # What waits for a neighbour to be found overtakes, or is overtaken, in the guest: it is found first.
    it.guest.do(f"{'ping6' if ':' in host else 'ping'} -c 2 -i 0.1 -W 2 {host}")
    it.probe(f"echo host={host} count=500 size=1000 window=16")
    rate = it.probe(f"tcp-echo host={host} mib={mib}").value("kbps") // 1000
    it.probe(f"tcp-sink host={host} mib={mib}")
    it.probe(f"tcp-send host={host} mib={mib}")
    return rate


@scenario(OFFLOADS, "every offload on", devices=SERVED, seconds=120)
def everything(it: It) -> str:
    """The newest version both sides know, every offload on: TCP and UDP over IPv4, IPv6 and a VLAN, every byte checked."""
    says = all_on(it)
    rate = every_road(it, "10.0.2.2", 16)
    every_road(it, "fd00::a00:202")
    it.guest.do(
        "modprobe 8021q; ip link add link eth0 name eth0.5 type vlan id 5 && ip addr add 10.64.5.2/24 dev eth0.5 && ip link set eth0.5 up"
    )
    every_road(it, "10.64.5.1")
    it.guest.do("ip link del eth0.5")
    counted = it.statistics()
    tso, lro = counted.get("TSO pkts tx", 0), counted.get("LRO pkts rx", 0)
    if not tso:
        raise Failed("nothing was segmented")
    wrong = {key: value for key, value in counted.items() if value and re.search("error|err |drv dropped", key)}
    if wrong:
        raise Failed(f"error counters: {wrong}")
    return f"{says}; {tso} segmented, {lro} merged, {rate} Mbit/s"


@scenario(OFFLOADS, "tunnel", devices=SERVED, seconds=120)
def tunnel(it: It) -> str:
    """VXLAN with the inner checksums and segmentation left to the device: TCP and UDP inside, every byte checked."""
    says = all_on(it)
    it.guest.do(
        "modprobe vxlan; /usr/libexec/ip link add vx0 type vxlan id 7 remote 10.0.2.2 dstport 4789 dev eth0"
        " && ip addr add 10.80.7.2/24 dev vx0 && ip link set vx0 mtu 1450 up"
    )
    before = it.statistics().get("TSO pkts tx", 0)
    it.ping(2, host=INNER)
    rate = every_road(it, INNER)
    tso = it.statistics().get("TSO pkts tx", 0) - before
    it.guest.do("ip link del vx0")
    it.traffic()
    return f"{says}; {tso} segmented inside, {rate} Mbit/s"


@scenario(OFFLOADS, "flows over four pairs", devices=SERVED, seconds=120)
def flows(it: It) -> str:
    """Eight UDP flows and four TCP streams at once, spread by hash over four queue pairs, nothing lost in the device."""
    says = all_on(it)
    # Patient: two guests of four processors share a host that may have two.
    for number in range(8):
        it.guest.spawn(f"flow{number}", f"probe echo host=10.0.2.2 count=500 size={200 + 100 * number} window=4 seconds=60")
    for number in range(4):
        it.guest.spawn(f"tcp{number}", "probe tcp-echo host=10.0.2.2 mib=1 seconds=60")
    for name in [f"flow{number}" for number in range(8)] + [f"tcp{number}" for number in range(4)]:
        answer = it.guest.finish(name, 120)
        if answer.status != 0:
            raise Failed(f"{name}: {answer.text.strip()[-300:]}")
    used = [int(count) > 0 for count in re.findall(r"ucast pkts rx:\s*(\d+)", it.guest.do("ethtool -S eth0").text)]
    if sum(used) < 2:
        raise Failed(f"{sum(used)} of {len(used)} receive queues saw unicast")
    return f"{says}; {sum(used)} of {len(used)} receive queues saw unicast"


@scenario(OFFLOADS, "switches with offloads", devices=("switching",), seconds=120)
def switches(it: It) -> str:
    """Twenty live switches with every offload on under checked TCP both ways."""
    says = all_on(it)
    it.guest.spawn("tcp", "while [ ! -e /tmp/stop ]; do probe tcp-echo host=10.0.2.2 mib=2 seconds=30 || exit 1; done")
    for turn in range(20):
        it.probe("echo host=10.0.2.2 count=100 size=700 window=8")
        switch(it, SOFTWARE if turn % 2 else HARDWARE)
    it.guest.do("touch /tmp/stop")
    answer = it.guest.finish("tcp", 60)
    it.guest.do("rm /tmp/stop")
    if answer.status != 0:
        raise Failed(f"TCP: {answer.text.strip()[-300:]}")
    return says
