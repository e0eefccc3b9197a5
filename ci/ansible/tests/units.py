"""Prints what dfaas-init needs to start the commands of systemd units: units.py UNIT... > services.json

For a container without systemd. Knows of a unit what the units of a node use; of its drop-ins, as systemd, the last word.
"""

import json
import shlex
import sys
from pathlib import Path

FOLDERS = (Path("/etc/systemd/system"), Path("/lib/systemd/system"))


def settings(unit):
    """(key, value) pairs of the section Service, drop-ins last."""
    files = [next(folder / unit for folder in FOLDERS if (folder / unit).exists())]
    files += sorted((FOLDERS[0] / f"{unit}.d").glob("*.conf"))
    for file in files:
        section = None
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("["):
                section = line
            elif section == "[Service]" and "=" in line and not line.startswith("#"):
                yield line.split("=", 1)


def service(unit):
    commands = {"ExecStartPre": [], "ExecStart": []}
    environment = {}
    folders = []
    for key, value in settings(unit):
        if key in commands:
            commands[key] = commands[key] + [value] if value else []
        elif key == "Environment":
            environment.update(word.split("=", 1) for word in shlex.split(value))
        elif key == "EnvironmentFile" and not value.startswith("-"):
            lines = Path(value).read_text(encoding="utf-8").splitlines()
            environment.update(line.split("=", 1) for line in lines if line and line[0] not in "#;")
        elif key in ("RuntimeDirectory", "StateDirectory"):
            root = "/run" if key == "RuntimeDirectory" else "/var/lib"
            folders += [f"{root}/{name}" for name in value.split()]
    steps = [f"mkdir -p {shlex.join(folders)}"] if folders else []
    steps += commands["ExecStartPre"] + ["exec " + commands["ExecStart"][0]]
    return {
        "name": unit.removesuffix(".service"),
        "command": ["/bin/sh", "-ec", "; ".join(steps)],
        "environment": environment,
    }


print(json.dumps([service(unit) for unit in sys.argv[1:]], indent=2))
