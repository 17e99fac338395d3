"""The device a guest is given and what is at the other end of its wire: QEMU's own, or one that `vnic serve` shows."""

import json
import socket
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from kit.guest import Boot, Failed
from kit.lab import Lab
from kit.peer import Peer

DEVICES = ("qemu", "software", "adapter", "switching")
MAC = "52:54:00:12:34:56"
HOSTS = ("a", "b")
CAPTURE = "wire"  # the stem of a capture's file


@dataclass(frozen=True)
class Config:
    """What a run is made of."""

    kernel: str
    device: str
    path: str = "trapped"  # QEMU's own device has no other
    posted: bool = False  # register writes that do not wait for the server: an unsafe window, for measurements

    def __str__(self) -> str:
        path = "" if self.device == "qemu" else f" {self.path}"
        return f"{self.kernel} {self.device}{path}{' posted' if self.posted else ''}"


class Server:
    """A process of ours that ends with its owner, and its log."""

    def __init__(self, command: list[str], log: Path) -> None:
        self.command, self.log = command, log
        with open(log, "wb") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def await_path(self, path: Path) -> None:
        """Waits until the process has made `path`."""
        deadline = time.monotonic() + 10
        while not path.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.end()
                raise Failed(f"`{' '.join(self.command)}` did not start: {self.log.read_text(errors='replace').strip()[-500:]}")
            time.sleep(0.01)

    def end(self) -> None:
        """Ends the process: politely, then by force."""
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Device:
    """A device with its wire, up for as long as the context lasts.

    `wire` names the other end: `responder` (inside `vnic serve`; behind a datagram socket for QEMU's own device), `dgram` (the
    same responder behind a datagram socket for any device), `peer` (the test itself) or `hosts`: two servers, `a` and `b`, behind
    a front, and between them and the responder a fabric.
    """

    def __init__(
        self,
        lab: Lab,
        config: Config,
        boot: Boot,
        folder: Path,
        vnic: Path,
        wire: str = "responder",
        tftp: Path | None = None,
        capture: bool = True,
        record: Path | None = None,
        versions: int = 0,
        interrupts: str = "",
    ) -> None:
        self.lab, self.config, self.boot, self.folder, self.vnic = lab, config, boot, folder, vnic
        self.wire, self.tftp, self.capture, self.record, self.versions = wire, tftp, capture, record, versions
        self.interrupts = interrupts
        self.peer: Peer | None = None
        self.server: Server | None = None
        self._others: list[Server] = []
        self._stack = ExitStack()

    def __enter__(self) -> "Device":
        try:
            outer, guest_end = self.folder / "wire", self.folder / "device"
            if self.wire == "peer":
                self.peer = Peer(outer, guest_end)
                self._stack.callback(self.peer.close)
            own = self.config.device == "qemu"
            if self.wire == "dgram" or own and self.wire == "responder":
                self._fabric([f"dgram:{outer},{guest_end}", self._responder()], outer)
            if self.wire == "hosts" and not own:
                self._hosts()
            elif not own:
                spec = self._responder() if self.wire == "responder" else f"dgram:{guest_end},{outer}"
                self.server = self._start(self._serve(spec), "serve.log", self.folder / "vu")
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def _start(self, command: list[str], log: str, path: Path) -> Server:
        server = Server(command, self.folder / log)
        self._stack.callback(server.end)
        server.await_path(path)
        return server

    def _responder(self) -> str:
        return "responder" + (f":10.0.2.2/24,tftp={self.tftp}" if self.tftp else "")

    def _fabric(self, ports: list[str], made: Path) -> None:
        """Joins the ports."""
        words = [word for port in ports for word in ("--port", port)]
        command = [str(self.vnic), "fabric", "--control", str(self.folder / "fabric.control"), *words]
        self._others.append(self._start(command, "fabric.log", made))

    def _hosts(self) -> None:
        """Two hosts, the fabric and the front, which starts with host `a`."""
        captured = f"+pcapng:{self.folder}/{CAPTURE}.pcapng" if self.capture else ""
        uplinks = [f"stream-listen:{self.folder}/up-{name}" for name in HOSTS]
        self._fabric([*uplinks, self._responder() + captured], self.folder / "up-b")
        for name in HOSTS:
            command = self._serve(f"switch:{name},stream:{self.folder}/up-{name}", name, capture=False)
            self._others.append(self._start(command, f"serve-{name}.log", self.folder / name))
        front = ["--socket", str(self.folder / "vu"), "--control", str(self.folder / "control"), "--host", str(self.folder / "a")]
        self.server = self._start([str(self.vnic), "front", *front], "serve.log", self.folder / "vu")

    def _serve(self, spec: str, name: str = "vu", capture: bool = True) -> list[str]:
        control = "control" if name == "vu" else f"{name}.control"
        path = "trapped" if self.wire == "hosts" else self.config.path
        return [
            str(self.vnic), "serve", "--device", self.config.device, "--path", path,
            "--socket", str(self.folder / name), "--control", str(self.folder / control),
            "--wire", spec, *(["--pcap", str(self.folder / f"{CAPTURE}.pcapng")] if self.capture and capture else []),
            *(["--record", str(self.record)] if self.record else []),
            *(["--versions", str(self.versions)] if self.versions else []),
            *(["--interrupts", self.interrupts] if self.interrupts else []),
        ]  # fmt: skip

    def arguments(self) -> list[str]:
        """QEMU's options for this device."""
        inner = self.lab.inner(self.folder)
        rom = "pxe-vmxnet3.rom" if self.boot.firmware else ""
        if self.config.device == "qemu":
            ends = f"local.type=unix,local.path={inner}/device,remote.type=unix,remote.path={inner}/wire"
            capture = ["-object", f"filter-dump,id=dump,netdev=n,file={inner}/{CAPTURE}.pcap"]
            return [
                "-netdev",
                f"dgram,id=n,{ends}",
                "-device",
                f"vmxnet3,netdev=n,mac={MAC},romfile={rom}",
                *(capture if self.capture else []),
            ]
        options: dict[str, object] = {
            "driver": "vfio-user-pci",
            "socket": {"type": "unix", "path": f"{inner}/vu"},
            "romfile": rom,
            "x-no-posted-writes": not self.config.posted,
        }
        return ["-device", json.dumps(options)]

    def control(self, do: str, at: str = "control", **arguments: object) -> dict[str, Any]:
        """One request to the served device's control socket, its answer; a refusal is an answer too. `at` names the socket of a host,
        `a.control` or `b.control`, or of the fabric, `fabric.control`."""
        if not self.server:
            raise Failed("this device has no control socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(20)
            client.connect(str(self.folder / at))
            client.sendall(json.dumps({"do": do, **arguments}).encode() + b"\n")
            with client.makefile("rb") as lines:
                line = lines.readline()
        if not line:
            raise Failed(f"control: no answer to {do}")
        answer: dict[str, Any] = json.loads(line)
        with open(self.folder / "control.log", "a") as log:
            log.write(f"{json.dumps({'do': do, **arguments})}\n  {json.dumps(answer)}\n")
        return answer

    def untouched(self) -> bool:
        """Whether no driver has read or written a register so far; QEMU's own device does not tell."""
        if not self.server or not self.alive():
            return False
        stats = self.control("stats")
        return stats.get("reads") == 0 and stats.get("writes") == 0

    def alive(self) -> bool:
        """Whether the serving processes still run; QEMU's own device lives with QEMU."""
        servers = [*self._others, *([self.server] if self.server else [])]
        return all(server.process.poll() is None for server in servers)
