"""What any network card must do: bind, come up, carry every size and kind of traffic, answer questions."""

import re

from kit.guest import Failed
from kit.scenario import PLAIN, It, scenario


@scenario(PLAIN, "probe")
def bind(it: It) -> str:
    """The in-tree driver binds to the device and makes eth0."""
    it.guest.do("modprobe vmxnet3", 30)
    driver = it.guest.do("readlink /sys/class/net/eth0/device/driver").text.strip().rsplit("/", 1)[-1]
    if driver != "vmxnet3":
        raise Failed(f"eth0 belongs to {driver}")
    version = re.search(r"^version: (\S+)", it.guest.do("ethtool -i eth0").text, re.MULTILINE)
    return f"driver {version.group(1) if version else '?'}"


@scenario(PLAIN, "link")
def link(it: It) -> str:
    """The link comes up with a speed when the interface does."""
    it.up()
    speed = it.guest.do("cat /sys/class/net/eth0/speed").text.strip()
    if not speed.isdigit() or int(speed) < 1000:
        raise Failed(f"speed {speed}")
    return f"{speed} Mbit/s"


@scenario(PLAIN, "ping sizes")
def sizes(it: It) -> str:
    """Echoes of 0 to 8972 bytes return, first within an MTU of 1500, in fragments too, then within 9000."""
    it.up()
    within = (0, 1, 17, 18, 19, 56, 100, 128, 129, 1400, 1471, 1472)
    for size in (*within, 1473, 2952, 8000):
        it.ping(2, size)
    it.up(mtu=9000)
    for size in (1473, 2000, 4052, 4096, 8192, 8971, 8972):
        it.ping(2, size)
    it.up()
    return "0 to 8972 bytes"


@scenario(PLAIN, "round trip")
def round_trip(it: It) -> str:
    """1,000 UDP echoes one at a time, none lost."""
    it.up()
    answer = it.probe("ping host=10.0.2.2 count=1000 size=64")
    return f"p50 {answer.value('p50')} us, p99 {answer.value('p99')} us"


@scenario(PLAIN, "udp echo")
def udp_echo(it: It) -> str:
    """Numbered datagrams of three sizes go out and come back once each, in order, undamaged."""
    it.up()
    for size in (18, 512, 1472):
        answer = it.probe(f"echo host=10.0.2.2 count=3000 size={size} window=32")
    return f"{answer.value('pps')} pps both ways at 1472 bytes"


@scenario(PLAIN, "udp out")
def udp_out(it: It) -> str:
    """A flood of datagrams leaves the guest, and the device counts each."""
    it.up()
    before = it.statistics()
    answer = it.probe("udp-send host=10.0.2.2 count=20000 size=64")
    it.ping(1)
    after = it.statistics()
    sent = sum(after[key] - before.get(key, 0) for key in after if key.lower().startswith("ucast pkts tx"))
    if sent < 20000:
        raise Failed(f"the device counted {sent} of 20000 datagrams")
    return f"{answer.value('pps')} pps"


@scenario(PLAIN, "udp in")
def udp_in(it: It) -> str:
    """Numbered datagrams at a fixed rate reach the guest once each, in order."""
    it.up()
    answer = it.probe("blast host=10.0.2.2 count=10000 size=1000 rate=5000")
    return f"{answer.value('pps')} pps"


@scenario(PLAIN, "tcp echo")
def tcp_echo(it: It) -> str:
    """8 MiB of TCP there and back, every byte checked, nothing sent again."""
    it.up()
    answer = it.probe("tcp-echo host=10.0.2.2 mib=8")
    if it.config.device != "qemu" and answer.value("retransmitted"):
        raise Failed(f"{answer.value('retransmitted')} segments were sent again")
    return f"{answer.value('kbps') // 1000} Mbit/s"


@scenario(PLAIN, "tcp out")
def tcp_out(it: It) -> str:
    """64 MiB of TCP out of the guest: segmentation offload at work."""
    it.up()
    return f"{it.probe('tcp-send host=10.0.2.2 mib=64').value('kbps') // 1000} Mbit/s"


@scenario(PLAIN, "tcp in")
def tcp_in(it: It) -> str:
    """32 MiB of TCP into the guest."""
    it.up()
    return f"{it.probe('tcp-sink host=10.0.2.2 mib=32').value('kbps') // 1000} Mbit/s"


@scenario(PLAIN, "ipv6")
def ipv6(it: It) -> str:
    """Neighbour discovery, ping, UDP and TCP over IPv6."""
    it.up()
    it.guest.do("ping6 -c 2 -W 2 fd00::a00:202 || ping6 -c 2 -W 2 fd00::2")
    host = "fd00::a00:202" if it.guest.run("ping6 -c 1 -W 1 fd00::a00:202").status == 0 else "fd00::2"
    it.probe(f"echo host={host} count=500 size=1000")
    return f"{it.probe(f'tcp-echo host={host} mib=2').value('kbps') // 1000} Mbit/s"


@scenario(PLAIN, "vlan")
def vlan(it: It) -> str:
    """A VLAN interface carries traffic: tags inserted and stripped by the device."""
    it.up()
    it.guest.do(
        "modprobe 8021q; ip link add link eth0 name eth0.5 type vlan id 5 && ip addr add 10.64.5.2/24 dev eth0.5 && ip link set eth0.5 up"
    )
    it.ping(2, host="10.64.5.1")
    it.ping(2, 1472, host="10.64.5.1")
    it.probe("echo host=10.64.5.1 count=500 size=1000 window=16")
    it.probe("tcp-echo host=10.64.5.1 mib=1")
    it.guest.do("ip link del eth0.5")
    it.traffic()
    return "id 5"


@scenario(PLAIN, "mtu 9000", known="it takes maxNumRxSG 0 for 1, so a frame of several buffers ends with err")
def jumbo(it: It) -> str:
    """Frames of 9000 bytes both ways, and back to 1500."""
    it.up(mtu=9000)
    it.probe("echo host=10.0.2.2 count=500 size=8972 window=8")
    answer = it.probe("tcp-echo host=10.0.2.2 mib=4")
    it.up()
    it.traffic()
    return f"{answer.value('kbps') // 1000} Mbit/s"


@scenario(PLAIN, "ethtool")
def ethtool(it: It) -> str:
    """Queries answer: driver, features, rings, coalescing, channels, statistics without errors."""
    it.up()
    for query in ("-i", "-k", "-g"):
        it.guest.do(f"ethtool {query} eth0")
    answered = [query for query in ("-c", "-l", "-n", "-x", "-a") if it.guest.run(f"ethtool {query} eth0").status == 0]
    for off in ("tso", "tx", "rx", "gro"):
        it.guest.do(f"ethtool -K eth0 {off} off")
    it.traffic()
    for on in ("rx", "tx", "tso", "gro"):
        it.guest.do(f"ethtool -K eth0 {on} on")
    it.traffic()
    statistics = it.statistics()
    errors = {key: value for key, value in statistics.items() if value and re.search("error|err |discard|drv dropped", key)}
    if errors:
        raise Failed(f"error counters: {errors}")
    return f"{len(statistics)} statistics, also {' '.join(answered)}"
