"""Where things are: the repository, the lab folder that `setup` makes, and the results of runs."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

GUESTS = Path(__file__).resolve().parent.parent
REPOSITORY = GUESTS.parent.parent

KERNELS = ("6.1", "6.12", "newest")


class Trouble(Exception):
    """The lab itself cannot do what it was asked; says why."""


@dataclass(frozen=True)
class Lab:
    """A lab folder. QEMU runs with `root` as its root folder, so a path has an inner and an outer form."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def inside(self, path: str) -> Path:
        """The outer form of a path of the lab's Debian."""
        return self.root / path.lstrip("/")

    def inner(self, path: Path) -> str:
        """The inner form of `path`, as QEMU sees it."""
        return "/" + str(path.relative_to(self.root))

    def program(self, name: str) -> str:
        """Where the lab's Debian has program `name` (inner form)."""
        for folder in ("/usr/bin", "/usr/sbin", "/bin", "/sbin"):
            if self.inside(f"{folder}/{name}").exists():
                return f"{folder}/{name}"
        raise Trouble(f"the lab has no program {name}; run tests/guests/setup --fresh")

    def release(self, kernel: str) -> str:
        """The exact version behind a kernel's short name."""
        return self.inside(f"/lab/kernels/{kernel}/release").read_text().strip()

    def run_folder(self, name: str) -> Path:
        """An empty folder for one boot's sockets, seen by QEMU too. Short, because socket paths are limited to 107 bytes."""
        folder = self.inside(f"/lab/run/{os.getpid()}-{name}")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder


def prepare(folder: str | None) -> Lab:
    """The lab, set up first if it is not there yet."""
    chosen = Path(folder or os.environ.get("VNIC_LAB") or REPOSITORY / "target/lab").absolute()
    done = subprocess.run([str(GUESTS / "setup"), "--lab", str(chosen)], check=False)
    if done.returncode != 0:
        raise Trouble("setup failed")
    return Lab(chosen)


def build_vnic() -> Path:
    """The `vnic` command built from this checkout in the release profile."""
    command = ["cargo", "build", "--release", "--quiet", "--package", "vnic", "--bins"]
    if subprocess.run(command, cwd=REPOSITORY, check=False).returncode != 0:
        raise Trouble("the vnic command does not build")
    return Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")).absolute() / "release/vnic"
