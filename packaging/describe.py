# SPDX-License-Identifier: Apache-2.0
"""What `burrow help --json` tells, in the shape that the generators of manual pages and shell
completions need. Nothing about options is written by hand elsewhere."""
import json
import subprocess


class Command:
    """One command: its words, subcommands, and groups of options, each option told once."""

    def __init__(self, told):
        self.name = told["name"]
        self.arguments = told["arguments"]
        self.summary = told["summary"]
        self.subcommands = told["subcommands"]
        self.groups = []
        owners = {}
        for group in told["groups"]:
            fresh = []
            for option in group["options"]:
                if option["name"] in owners:
                    owners[option["name"]]["plugins"].append(group["plugin"])
                    continue
                owners[option["name"]] = option
                option["plugins"] = [group["plugin"]] if group["plugin"] else []
                fresh.append(option)
            self.groups.append((group["title"], group["plugin"], fresh))

    @property
    def options(self):
        return [option for _, _, options in self.groups for option in options]


def describe(program):
    """(version, {name: Command}) of the program with the plugins that it finds."""
    told = json.loads(subprocess.run([program, "help", "--json"], check=True, capture_output=True,
                                     env={"PATH": "/usr/bin:/bin"}).stdout)
    return told["version"], {c["name"]: Command(c) for c in told["commands"]}
