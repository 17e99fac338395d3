"""Runs scenarios: boots the guests they share, keeps time, judges each, and starts a fresh guest after a failure."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from shutil import move, rmtree

from kit import image
from kit.device import CAPTURE, Config, Device
from kit.guest import Failed, Guest, direct_kernel
from kit.lab import Lab, Trouble
from kit.scenario import Group, It, Options, Scenario, Skipped

PASSED, FAILED, SKIPPED, KNOWN = "passed", "failed", "skipped", "known"
IPXE_SCRIPT = "boot.ipxe"


class Untouched(Failed):
    """A guest did not come up, and its device was never touched: QEMU or the kernel stood still before its driver was there."""


@dataclass(frozen=True)
class Outcome:
    """What became of one scenario on one configuration."""

    config: Config
    scenario: Scenario
    verdict: str
    seconds: float
    detail: str


@dataclass(frozen=True)
class Job:
    """Scenarios of one group, to be run one after the other in one guest."""

    config: Config
    group: Group
    scenarios: tuple[Scenario, ...]

    def name(self) -> str:
        """A file name for this job's artefacts."""
        return f"{self.config}-{self.group.name}".replace(" ", "-")


def jobs(configs: list[Config], scenarios: list[Scenario], whole: bool) -> list[Job]:
    """One job for each configuration and group, long ones first so that two guests end at about the same time."""
    made = []
    both = len({config.path for config in configs if config.device != "qemu"}) > 1
    for config in configs:
        groups: dict[Group, list[Scenario]] = {}
        for each in scenarios:
            once = each.group.any_kernel or each.group.any_kernel_will_do and not whole
            later = config.kernel != configs[0].kernel
            one_path = not whole and (each.group.any_path_will_do or later)
            beside = one_path and both and config.device != "qemu" and config.path == ("trapped" if later else "direct")
            if not beside and (not once or config.kernel == configs[0].kernel):
                groups.setdefault(each.group, []).append(each)
        made += [Job(config, group, tuple(members)) for group, members in groups.items()]
    return sorted(made, key=lambda job: -sum(each.seconds for each in job.scenarios))


class Runner:
    """Runs jobs, at most `parallel` guests at a time, and tells each outcome as it comes."""

    def __init__(self, lab: Lab, options: Options, tell: "Tell") -> None:
        self.lab, self.options, self.tell = lab, options, tell
        self.outcomes: list[Outcome] = []
        self.booted_again: list[str] = []
        self._lock = threading.Lock()
        self._count = 0

    def run(self, work: list[Job], parallel: int) -> list[Outcome]:
        """All jobs; the outcomes in the order of configurations and scenarios."""
        with ThreadPoolExecutor(parallel) as pool:
            for done in [pool.submit(self._job, job) for job in work]:
                done.result()
        order = {id(each): at for at, each in enumerate(dict.fromkeys(s for job in work for s in job.scenarios))}
        return sorted(self.outcomes, key=lambda o: (str(o.config), o.scenario.group.name, order[id(o.scenario)]))

    def _note(self, config: Config, scenario: Scenario, verdict: str, seconds: float, detail: str) -> None:
        outcome = Outcome(config, scenario, verdict, round(seconds, 1), " ".join(detail.split()))
        with self._lock:
            self.outcomes.append(outcome)
            self.tell(outcome)

    def _job(self, job: Job) -> None:
        left = []
        for each in job.scenarios:
            if each.devices and job.config.device not in each.devices:
                self._note(job.config, each, SKIPPED, 0, f"only for a device that is {' or '.join(each.devices)}")
            else:
                left.append(each)
        while left:
            left = self._boot(job, left)

    def _boot(self, job: Job, scenarios: list[Scenario], again: bool = False) -> list[Scenario]:
        """Runs scenarios in one guest until one fails; returns those that still need a guest: all of them when a guest stood still
        before it touched its device, which is no fault of the device. That is allowed once, and counted."""
        with self._lock:
            self._count += 1
            folder = self.lab.run_folder(str(self._count))
        start = time.monotonic()
        try:
            with ExitStack() as stack:
                stack.callback(self._keep, job, folder)
                try:
                    it = self._start(job, folder, stack)
                except Untouched as error:
                    if not again:
                        self.booted_again.append(f"{job.config}, {job.group.name}")
                        return self._boot(job, scenarios, again=True)
                    for each in scenarios:
                        self._note(job.config, each, FAILED, time.monotonic() - start, f"no guest, twice: {error}")
                    return []
                except (Failed, OSError) as error:
                    for each in scenarios:
                        self._note(job.config, each, FAILED, time.monotonic() - start, f"no guest: {error}")
                    return []
                for at, each in enumerate(scenarios):
                    if not self._one(it, each):
                        return scenarios[at + 1 :]
        except Trouble as error:
            for each in scenarios:
                self._note(job.config, each, FAILED, 0, str(error))
        return []

    def _start(self, job: Job, folder: Path, stack: ExitStack) -> It:
        boot = job.group.boot(job.config.kernel)
        files = [] if boot.firmware else direct_kernel(self.lab, boot, image.build(self.lab, boot.kernel, boot.dpdk))
        tftp = None
        if boot.firmware:
            from scenarios.boots import SCRIPT

            tftp = folder / IPXE_SCRIPT
            tftp.write_bytes(SCRIPT)
        offer = {"versions": job.group.versions, "interrupts": job.group.interrupts}
        device = stack.enter_context(Device(self.lab, job.config, boot, folder, self.options.vnic, job.group.wire, tftp, **offer))
        try:
            guest = stack.enter_context(Guest(self.lab, boot, folder, device.arguments(), files))
        except Failed as error:
            if device.untouched():
                raise Untouched(str(error)) from None
            raise
        return It(self.lab, job.config, guest, device, self.options)

    def _one(self, it: It, scenario: Scenario) -> bool:
        """Runs one scenario; whether the guest is fit for the next."""
        start = time.monotonic()
        verdict, detail = PASSED, ""
        timer = threading.Timer(scenario.seconds + 0.4 * it.options.switches, it.guest.kill)
        timer.start()
        try:
            detail = scenario.run(it)
        except Skipped as reason:
            verdict, detail = SKIPPED, str(reason)
        except Failed as error:
            verdict, detail = FAILED, str(error)
        except Exception as error:  # a scenario's own mistake is a failure of that scenario, not of the run
            verdict, detail = FAILED, f"{type(error).__name__}: {error}"
        finally:
            timer.cancel()
        if it.guest.killed:
            verdict, detail = FAILED, f"not done within {scenario.seconds:g} s; {detail}"
        elif complaints := it.guest.complaints():
            verdict, detail = FAILED, f"the guest's log: {complaints[0]} ({len(complaints)} such lines); {detail}"
        elif not it.device.alive():
            verdict, detail = FAILED, f"vnic serve has ended; {detail}"
        fit = verdict != FAILED
        if not fit:
            aftermath(it)
        if not fit and scenario.known and not it.device.server:
            verdict, detail = KNOWN, scenario.known
        self._note(it.config, scenario, verdict, time.monotonic() - start, detail)
        return fit

    def _keep(self, job: Job, folder: Path) -> None:
        """Moves what a boot left behind to the results; captures, hundreds of megabytes each, only of a job in which something
        failed, or when asked for."""
        failed = any(each.verdict == FAILED and each.config == job.config and each.scenario in job.scenarios for each in self.outcomes)
        kept = self.lab.results / job.name() / folder.name.split("-")[-1]
        kept.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if path.is_file() and (failed or self.options.captures or path.stem != CAPTURE):
                move(path, kept / path.name)
        rmtree(folder)


AFTERMATH = "ip addr; ethtool -S eth0; ethtool -d eth0; cat /proc/interrupts /proc/net/snmp; dmesg | tail -n 60"


def aftermath(it: It) -> None:
    """What guest and device say after a failure, into the log of commands and of the control socket."""
    try:
        if it.device.server and it.device.alive():
            it.device.control("status")
            it.device.control("stats")
        if not it.guest.killed and not it.guest.boot.firmware:
            it.guest.run(AFTERMATH, 10)
    except (Failed, OSError):
        pass  # a guest that does not answer any more has said so already


class Tell:
    """Prints outcomes as they come; verdicts other than passed stand out."""

    def __call__(self, outcome: Outcome) -> None:
        mark = {PASSED: "ok", FAILED: "FAILED", SKIPPED: "skipped", KNOWN: "known"}[outcome.verdict]
        print(f"{outcome.config!s:28} {outcome.scenario.name:24} {mark:8} {outcome.seconds:6.1f} s  {outcome.detail}", flush=True)
