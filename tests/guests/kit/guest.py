"""One guest under QEMU: started, spoken to over its second serial port, watched over QMP, and ended by its process."""

import json
import re
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from kit.lab import Lab

# What a healthy guest never prints. "transmit queue N timed out" and "NETDEV WATCHDOG" are the kernel's words for a dead queue.
BROKEN = re.compile(r"BUG:|kernel BUG|Call Trace|Oops|watchdog: |WATCHDOG|transmit queue.*timed out|Kernel panic|tx hang")
# The kernel's own word on a CPU without performance counters.
HARMLESS = re.compile(r"Perf NMI watchdog permanently disabled")

END = re.compile(rb"\x1e (\d+)\n")


class Failed(Exception):
    """A check did not hold; says what was expected and what was seen."""


@dataclass(frozen=True)
class Answer:
    """What a command in the guest said, both streams together, and how it ended."""

    status: int
    text: str

    def value(self, key: str) -> int:
        """The number in `key=NUMBER`, as the guest's own program prints it."""
        found = re.search(rf"(?:^|\s){key}=(\d+)", self.text)
        if not found:
            raise Failed(f"no {key}= in: {self.text.strip()[-300:]}")
        return int(found.group(1))


@dataclass(frozen=True)
class Boot:
    """How a guest is started, apart from its device."""

    kernel: str = "6.1"
    smp: int = 1
    memory_mib: int = 384
    append: str = ""
    dpdk: bool = False
    firmware: bool = False  # no kernel given: the option ROM boots


@dataclass
class Guest:
    """A running guest. `folder` keeps its sockets, console and conversation."""

    lab: Lab
    boot: Boot
    folder: Path
    device: list[str]
    kernel_files: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    killed: bool = False

    def command(self) -> list[str]:
        """QEMU's command line, inner paths throughout."""
        inner = self.lab.inner(self.folder)
        cpu = ["-cpu", "Nehalem"] if self.boot.dpdk else []
        return [
            "chroot", str(self.lab.root), "qemu-system-x86_64", "-accel", "tcg", *cpu,
            "-machine", "q35,memory-backend=mem",
            "-object", f"memory-backend-memfd,id=mem,size={self.boot.memory_mib}M,share=on",
            "-m", str(self.boot.memory_mib), "-smp", str(self.boot.smp),
            "-nodefaults", "-nographic", "-no-reboot", "-nic", "none",
            "-chardev", f"file,id=console,path={inner}/console", "-serial", "chardev:console",
            "-chardev", f"socket,id=agent,path={inner}/agent", "-serial", "chardev:agent",
            "-chardev", f"socket,id=qmp,path={inner}/qmp", "-mon", "chardev=qmp,mode=control",
            *self.kernel_files, *self.device,
        ]  # fmt: skip

    def __enter__(self) -> "Guest":
        agent, qmp = (listen(self.folder / name) for name in ("agent", "qmp"))
        with open(self.folder / "qemu.log", "wb") as log:
            (self.folder / "command").write_text(" ".join(self.command()) + "\n")
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self._agent = self._accept(agent)
            self._qmp = self._accept(qmp)
            self._qmp_bytes = b""
            self._agent_bytes = b""
            self._qmp_line(10)
            self.qmp("qmp_capabilities")
            if not self.boot.firmware:
                self.ready()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.end()

    def _accept(self, server: socket.socket) -> socket.socket:
        """The connection QEMU makes at its start; fails at once when QEMU has ended instead."""
        assert self.process
        deadline = time.monotonic() + 20
        server.settimeout(0.1)
        while True:
            try:
                return server.accept()[0]
            except TimeoutError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise Failed(f"QEMU did not start: {self.text('qemu.log').strip()[-500:]}") from None

    def ready(self, seconds: float = 60) -> None:
        """Waits until the guest serves commands, after power-on or a reset."""
        self._answer(seconds, "boot")

    def text(self, name: str) -> str:
        """A file of this guest's folder as text, whatever bytes the firmware printed."""
        path = self.folder / name
        return path.read_text(errors="replace") if path.exists() else ""

    def _answer(self, seconds: float, what: str) -> Answer:
        deadline = time.monotonic() + seconds
        while not (end := END.search(self._agent_bytes)):
            self._agent.settimeout(max(deadline - time.monotonic(), 0.01))
            try:
                more = self._agent.recv(65536)
            except TimeoutError:
                raise Failed(f"{what}: no answer within {seconds:g} s; console ends: {self.console_tail()}") from None
            except ConnectionError:
                more = b""
            if not more:
                raise Failed(f"{what}: the guest ended; console ends: {self.console_tail()}")
            self._agent_bytes += more
        text = self._agent_bytes[: end.start()].decode(errors="replace")
        self._agent_bytes = self._agent_bytes[end.end() :]
        with open(self.folder / "commands.log", "a") as log:
            log.write(f"$ {what}\n{text}[{int(end.group(1))}]\n")
        return Answer(int(end.group(1)), text)

    def console_tail(self) -> str:
        """The last words of the console, for a message."""
        return " | ".join(line.strip() for line in self.text("console").splitlines()[-6:])

    def run(self, command: str, seconds: float = 20) -> Answer:
        """Runs one line of shell in the guest and waits for its end."""
        try:
            self._agent.sendall(command.encode() + b"\n")
        except OSError:
            raise Failed(f"{command}: the guest has ended; console ends: {self.console_tail()}") from None
        return self._answer(seconds, command)

    def do(self, command: str, seconds: float = 20) -> Answer:
        """As `run`; a status other than 0 is a failure."""
        answer = self.run(command, seconds)
        if answer.status != 0:
            raise Failed(f"`{command}` ended with status {answer.status}: {answer.text.strip()[-500:]}")
        return answer

    def spawn(self, tag: str, command: str) -> None:
        """Starts a command in the guest's background; `finish` collects it."""
        self.do(f"rm -f /tmp/{tag}.end; (({command}) >/tmp/{tag} 2>&1; echo $? >/tmp/{tag}.new; mv /tmp/{tag}.new /tmp/{tag}.end) &")

    def finish(self, tag: str, seconds: float) -> Answer:
        """Waits for a spawned command and returns its answer."""
        wait = f"n=0; while [ ! -e /tmp/{tag}.end ] && [ $n -lt {int(seconds * 5)} ]; do sleep 0.2; n=$((n+1)); done"
        answer = self.run(f"{wait}; cat /tmp/{tag}; exit $(cat /tmp/{tag}.end || echo 124)", seconds + 20)
        return answer

    def qmp(self, name: str, /, **arguments: object) -> object:
        """One QMP command, its answer; events that come first are passed over."""
        self._qmp.sendall(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        while True:
            answer = self._qmp_line(10)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise Failed(f"QMP {name}: {answer['error']}")

    def event(self, name: str, seconds: float) -> None:
        """Waits for the QMP event `name`."""
        deadline = time.monotonic() + seconds
        while self._qmp_line(max(deadline - time.monotonic(), 0.01)).get("event") != name:
            pass

    def _qmp_line(self, seconds: float) -> dict[str, object]:
        deadline = time.monotonic() + seconds
        while b"\n" not in self._qmp_bytes:
            self._qmp.settimeout(max(deadline - time.monotonic(), 0.01))
            try:
                more = self._qmp.recv(65536)
            except TimeoutError:
                raise Failed(f"QMP: nothing within {seconds:g} s") from None
            except ConnectionError:
                more = b""
            if not more:
                raise Failed(f"QEMU has ended: {self.text('qemu.log').strip()[-500:]}")
            self._qmp_bytes += more
        line, _, self._qmp_bytes = self._qmp_bytes.partition(b"\n")
        parsed: dict[str, object] = json.loads(line)
        return parsed

    def complaints(self) -> list[str]:
        """Lines of the guest's log and console that no healthy guest prints."""
        lines = self.text("console").splitlines()
        if self.process and self.process.poll() is None and not self.boot.firmware:
            try:
                lines += self.run("dmesg", 20).text.splitlines()
            except Failed as error:
                lines.append(f"BUG: {error}")
        return [line.strip() for line in lines if BROKEN.search(line) and not HARMLESS.search(line)]

    def kill(self) -> None:
        """Ends a guest that is out of time; whoever waits for it then fails."""
        if self.process:
            self.killed = True
            self.process.kill()

    def end(self) -> None:
        """Ends the guest: asks QEMU to quit, then ends its process."""
        if not self.process:
            return
        try:
            self.qmp("quit")
            self.process.wait(5)
        except (Failed, OSError, AttributeError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.process = None


def listen(path: Path) -> socket.socket:
    """A listening unix stream socket at `path`."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(path))
    server.listen(1)
    return server


def direct_kernel(lab: Lab, boot: Boot, image: Path) -> list[str]:
    """QEMU's options that start the guest kernel without a boot loader."""
    # On a busy host the timer check of the kernel fails for want of ticks, and it would boot without a timer.
    append = f"console=ttyS0 quiet panic=-1 mitigations=off no_timer_check {boot.append}".strip()
    return ["-kernel", f"/lab/kernels/{boot.kernel}/vmlinuz", "-initrd", lab.inner(image), "-append", append]
