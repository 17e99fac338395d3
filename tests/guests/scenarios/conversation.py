"""Traffic that goes on while something is done to the device: datagrams out and back, a checked TCP echo, numbered datagrams in."""

from kit.guest import Answer, Failed
from kit.scenario import It

PATIENCE = "seconds=20"


def begin(it: It) -> None:
    """Starts it, on large rings."""
    # A guest starved by a busy host does not run out of buffers then, which is no fault of the device.
    it.up()
    it.guest.do("ethtool -G eth0 rx 4096 tx 4096")
    it.up()
    # With LRO on, Linux hands packets up at once while updateRxProd is 0 and through its GRO list while it is 1: a switch in the
    # middle of one poll would reorder them inside the guest. Source: vmxnet3_drv.c, vmxnet3_rq_rx_complete.
    it.guest.do("ethtool -K eth0 lro off")
    # A host that pauses the guest or the responder for a while must not look like loss: no tail loss probes, patient timeouts
    # where the kernel has a knob for them.
    it.guest.do("cd /proc/sys/net/ipv4; echo 0 >tcp_early_retrans; [ ! -e tcp_rto_min_us ] || echo 5000000 >tcp_rto_min_us")
    it.guest.spawn("udp", f"probe echo host=10.0.2.2 count=4000000 size=400 window=16 until=/tmp/stop {PATIENCE}")
    it.guest.spawn("tcp", f"while [ ! -e /tmp/stop ]; do probe tcp-echo host=10.0.2.2 mib=2 {PATIENCE} || exit 1; done")
    it.guest.spawn("in", f"while [ ! -e /tmp/stop ]; do probe blast host=10.0.2.2 count=2000 size=600 rate=2000 {PATIENCE} || exit 1; done")


def end(it: It) -> Answer:
    """Ends it in good order; a failure when anything was lost, doubled, reordered or damaged, or TCP sent a segment again. The answer is
    that of the datagrams out and back."""
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
    return answers["udp"]
