"""What a run found, as JSON, as JUnit XML, and as Markdown to be committed."""

import json
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from kit.lab import Lab
from kit.run import FAILED, KNOWN, PASSED, SKIPPED, Outcome


def write_json(path: Path, outcomes: list[Outcome]) -> None:
    """One object for each outcome."""
    rows = [
        {
            "kernel": each.config.kernel,
            "device": each.config.device,
            "path": each.config.path,
            "scenario": each.scenario.name,
            "claim": each.scenario.says,
            "verdict": each.verdict,
            "seconds": each.seconds,
            "detail": each.detail,
        }
        for each in outcomes
    ]
    path.write_text(json.dumps(rows, indent=1) + "\n")


def write_junit(path: Path, outcomes: list[Outcome]) -> None:
    """A test suite for each configuration, as CI systems read it."""
    top = ElementTree.Element("testsuites")
    for config in dict.fromkeys(each.config for each in outcomes):
        of_config = [each for each in outcomes if each.config == config]
        count = Counter(each.verdict for each in of_config)
        suite = ElementTree.SubElement(
            top, "testsuite", name=str(config), tests=str(len(of_config)), failures=str(count[FAILED]), skipped=str(count[SKIPPED] + count[KNOWN])
        )
        for each in of_config:
            case = ElementTree.SubElement(suite, "testcase", classname=str(config), name=each.scenario.name, time=str(each.seconds))
            if each.verdict == FAILED:
                ElementTree.SubElement(case, "failure", message=printable(each.detail))
            elif each.verdict in (SKIPPED, KNOWN):
                ElementTree.SubElement(case, "skipped", message=printable(each.detail))
            else:
                ElementTree.SubElement(case, "system-out").text = printable(each.detail)
    ElementTree.ElementTree(top).write(path, encoding="utf-8", xml_declaration=True)


def printable(text: str) -> str:
    """`text` without the characters that XML cannot hold."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def command(name: str) -> str:
    """The command line of this run, without what only this machine has: folders and files."""
    words = [name]
    rest = iter(sys.argv[1:])
    for word in rest:
        if word in ("--lab", "--vnic", "--commit-report"):
            next(rest, None)
        elif not word.startswith(("--lab=", "--vnic=", "--commit-report=")):
            words.append(f"'{word}'" if " " in word else word)
    return " ".join(words)


def markdown(lab: Lab, outcomes: list[Outcome], command: str) -> str:
    """A table of scenarios against configurations, then each detail and each reason for a skip."""
    configs = list(dict.fromkeys(each.config for each in outcomes))
    names = list(dict.fromkeys(each.scenario.name for each in outcomes))
    found = {(each.config, each.scenario.name): each for each in outcomes}
    words = {PASSED: "ok", FAILED: "**failed**", SKIPPED: "-", KNOWN: "known"}
    lines = ["# Guest lab: the last run", "", f"`{command}`", "", summary(outcomes), ""]
    lines += ["Kernels: " + ", ".join(f"{name} is {lab.release(name)}" for name in dict.fromkeys(c.kernel for c in configs)) + ".", ""]
    lines += ["| scenario | " + " | ".join(map(str, configs)) + " |", "|---" * (len(configs) + 1) + "|"]
    for name in names:
        cells = [words[found[config, name].verdict] if (config, name) in found else "" for config in configs]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for config in configs:
        lines += ["", f"## {config}", "", "| scenario | claim | seen | seconds |", "|---|---|---|---|"]
        for each in outcomes:
            if each.config == config:
                seen = each.detail if each.verdict == PASSED else f"{each.verdict}: {each.detail}"
                lines.append(f"| {each.scenario.name} | {each.scenario.says} | {cell(seen)} | {each.seconds} |")
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """`text` fit for a table cell."""
    return printable(text).replace("|", "\\|")


def summary(outcomes: list[Outcome]) -> str:
    """One sentence with the counts; skips are never silent."""
    count = Counter(each.verdict for each in outcomes)
    reasons = Counter(each.detail for each in outcomes if each.verdict == SKIPPED)
    why = "".join(f"; {number} because: {reason}" for reason, number in reasons.most_common())
    return f"{len(outcomes)} scenarios: {count[PASSED]} passed, {count[FAILED]} failed, {count[KNOWN]} known of QEMU's own device, {count[SKIPPED]} skipped{why}."
