"""The guest's file tree, packed as a newc cpio archive (not compressed: a guest without KVM unpacks slowly)."""

import re
import stat
import subprocess
import threading
from pathlib import Path

from kit.lab import GUESTS, Lab

FOLDERS = ("bin", "dev", "proc", "sys", "tmp", "etc", "root", "run", "var/run", "usr/bin", "usr/lib", "usr/lib64")
LINKS = {"lib": "usr/lib", "lib64": "usr/lib64"}  # as in Debian, so that a library has one path


BUILDING = threading.Lock()


class Archive:
    """A newc archive under construction. Names are relative, parents come before their children."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._inode = 0
        self._known: set[str] = set()

    def _entry(self, name: str, mode: int, content: bytes) -> None:
        self._inode += 1
        encoded = name.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
        self._bytes += b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
        self._bytes += bytes(-len(self._bytes) % 4)
        self._bytes += content
        self._bytes += bytes(-len(self._bytes) % 4)

    def folder(self, name: str) -> None:
        """Adds `name` and the folders above it, once."""
        for part in [*reversed([str(p) for p in Path(name).parents if str(p) != "."]), name]:
            if part not in self._known:
                self._known.add(part)
                self._entry(part, stat.S_IFDIR | 0o755, b"")

    def file(self, name: str, content: bytes, mode: int = 0o755) -> None:
        """Adds a file, once; a second one of the same name is ignored."""
        name = f"usr/{name}" if name.split("/")[0] in LINKS else name
        if name not in self._known:
            self.folder(str(Path(name).parent)) if "/" in name else None
            self._known.add(name)
            self._entry(name, stat.S_IFREG | mode, content)

    def link(self, name: str, to: str) -> None:
        """Adds a symbolic link."""
        self._entry(name, stat.S_IFLNK | 0o777, to.encode())

    def packed(self) -> bytes:
        """The whole archive with its end mark."""
        done = Archive()
        done._bytes = bytearray(self._bytes)
        done._entry("TRAILER!!!", 0, b"")
        return bytes(done._bytes)


def libraries(lab: Lab, program: str) -> list[str]:
    """Absolute paths, inside the lab's Debian, of the shared libraries that `program` is linked with."""
    listed = subprocess.run(["chroot", str(lab.root), "ldd", program], capture_output=True, text=True, check=False).stdout
    return re.findall(r"(/\S+) \(0x", listed)


def add_program(lab: Lab, archive: Archive, program: str, *plugins: str, name: str = "") -> None:
    """A program of the lab's Debian with its libraries, called `name` in the guest if that is given; `plugins` are shared objects it
    opens by itself."""
    for path in [program, *plugins]:
        archive.file((path == program and name) or path.lstrip("/"), lab.inside(path).read_bytes())
        for library in libraries(lab, path):
            archive.file(library.lstrip("/"), lab.inside(library).read_bytes())


def dpdk_plugins(lab: Lab) -> list[str]:
    """The shared objects testpmd needs for a VMXNET3: the PCI bus, the ring mempool and the driver itself."""
    names = ("librte_bus_pci", "librte_bus_vdev", "librte_mempool_ring", "librte_net_vmxnet3")
    folder = lab.inside("/usr/lib/x86_64-linux-gnu")
    return ["/" + str(path.relative_to(lab.root)) for name in names for path in folder.glob(f"{name}.so.[0-9][0-9]")]


def build(lab: Lab, kernel: str, dpdk: bool) -> Path:
    """The initramfs for `kernel`, built anew when any part is newer. Returns its path inside the lab."""
    folder = lab.inside(f"/lab/kernels/{kernel}")
    image = folder / ("dpdk.cpio" if dpdk else "image.cpio")
    parts = [GUESTS / "guest/init", Path(__file__), lab.inside("/lab/bin/probe"), folder / "vmxnet3.ko"]
    with BUILDING:
        return build_unless_new(lab, kernel, dpdk, folder, image, parts)


def build_unless_new(lab: Lab, kernel: str, dpdk: bool, folder: Path, image: Path, parts: list[Path]) -> Path:
    """`build`, alone."""
    if image.exists() and all(part.stat().st_mtime < image.stat().st_mtime for part in parts):
        return image
    archive = Archive()
    for name in FOLDERS:
        archive.folder(name)
    for name, to in LINKS.items():
        archive.link(name, to)
    archive.file("init", (GUESTS / "guest/init").read_bytes())
    archive.file("bin/busybox", lab.inside("/usr/bin/busybox").read_bytes())
    archive.file("bin/probe", lab.inside("/lab/bin/probe").read_bytes())
    add_program(lab, archive, lab.program("ethtool"))
    # Busybox knows no tunnels, and has `ip` in the path already; this one goes by its name.
    add_program(lab, archive, lab.program("ip"), name="usr/libexec/ip")
    if dpdk:
        add_program(lab, archive, "/usr/bin/dpdk-testpmd", *dpdk_plugins(lab), "/usr/lib/x86_64-linux-gnu/libgcc_s.so.1")
    for module in sorted(folder.glob("*.ko")):
        archive.file(f"lib/modules/{lab.release(kernel)}/{module.name}", module.read_bytes())
    image.with_suffix(".new").write_bytes(archive.packed())
    image.with_suffix(".new").rename(image)
    return image
