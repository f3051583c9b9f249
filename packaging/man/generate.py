# SPDX-License-Identifier: Apache-2.0
"""Makes the manual pages: prose from the *.in files beside this one, options from the program.

    generate.py BURROW OUTPUT_FOLDER

In an .in file `@VERSION@` and `@DATE@` are what they say, a line `@OPTIONS server@` becomes all
options of that command, and `@SUBCOMMANDS token@`, `@COMMANDS@` and `@KEYS@` the lists of that
name.
"""
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.dont_write_bytecode = True
from describe import describe  # noqa: E402


def escape(text):
    """Plain text as roff: no character of it is a command."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def option_text(option):
    lines = [escape(option["help"]) + "."]
    if option["choices"]:
        lines.append("One of " + escape(option["expected"]) + ".")
    facts = [escape(option["variable"])]
    if option["default"]:
        facts.append("default " + escape(option["default"]))
    if option["required"]:
        facts.append("required")
    if option["repeatable"]:
        facts.append("may be repeated")
    if option["reloadable"]:
        facts.append("taken over by a reload")
    if option["plugins"]:
        facts.append("of " + ", ".join(map(escape, option["plugins"])))
    lines.append(".br\n" + "; ".join(facts) + ".")
    return "\n".join(lines)


def option_entry(option):
    name = f"\\fB\\-\\-{escape(option['name'])}\\fR"
    if option["type"] != "bool":
        name += f" \\fI{escape(option['metavar'] or 'VALUE')}\\fR"
    return f".TP\n{name}\n{option_text(option)}"


def all_options(command):
    out = []
    for title, plugin, options in command.groups:
        if not options:
            continue
        heading = f"Options of {plugin}" if plugin else title
        out.append(f".SS {escape(heading)}")
        out.extend(map(option_entry, options))
    return "\n".join(out)


def subcommands(command):
    out = []
    for sub in command.subcommands:
        words = f"\\fBburrow {escape(command.name)} {escape(sub['name'])}\\fR"
        out.append(f".TP\n{words} {escape(sub['arguments'])}\n{escape(sub['summary'])}.")
    return "\n".join(out)


def command_list(commands):
    return "\n".join(f".TP\n\\fBburrow {escape(c.name)}\\fR {escape(c.arguments)}\n{escape(c.summary)}."
                     for c in commands.values())


def keys(commands):
    """Every key of the config file once, with the commands that read it."""
    readers = {}
    for name in ("server", "client"):
        for option in commands[name].options:
            readers.setdefault(option["name"], (option, []))[1].append(name)
    out = []
    for option, names in readers.values():
        if option["name"] in ("config", "plugin"):
            continue
        kind = "list" if option["repeatable"] else option["type"]
        out.append(f".TP\n\\fB{escape(option['name'])}\\fR ({escape(kind)}; {', '.join(names)})\n"
                   f"{option_text(option)}")
    return "\n".join(out)


def page(text, version, date, commands):
    text = text.replace("@VERSION@", version).replace("@DATE@", date)
    text = re.sub(r"^@OPTIONS ([\w-]+)@$", lambda m: all_options(commands[m[1]]), text, flags=re.M)
    text = re.sub(r"^@SUBCOMMANDS ([\w-]+)@$", lambda m: subcommands(commands[m[1]]), text, flags=re.M)
    text = re.sub(r"^@COMMANDS@$", lambda m: command_list(commands), text, flags=re.M)
    return re.sub(r"^@KEYS@$", lambda m: keys(commands), text, flags=re.M)


def main():
    program, output = sys.argv[1:]
    version, commands = describe(program)
    # The date of the source, so that two builds of one source are equal.
    date = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))))
    os.makedirs(output, exist_ok=True)
    for name in sorted(os.listdir(HERE)):
        if not name.endswith(".in"):
            continue
        with open(os.path.join(HERE, name), encoding="utf-8") as file:
            made = page(file.read(), version, date, commands)
        with open(os.path.join(output, name.removesuffix(".in")), "w", encoding="utf-8") as file:
            file.write(made)


if __name__ == "__main__":
    main()
