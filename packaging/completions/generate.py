# SPDX-License-Identifier: Apache-2.0
"""Makes the shell completions from what the program tells about itself.

    generate.py BURROW OUTPUT_FOLDER

writes burrow.bash, _burrow (zsh) and burrow.fish. The words are fixed at build time; only names
of files, and of plugins in the plugin folder, are looked up at the prompt by the shell itself.
"""
import os
import re
import shlex
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
from describe import describe  # noqa: E402


def words_after(command, commands):
    """The words that may follow a command without being options."""
    if command.subcommands:
        return [s["name"] for s in command.subcommands if s["name"]]
    if command.name == "help":
        return list(commands)
    if command.name == "check-config":
        return ["server", "client"]
    return ["info"] if command.name == "plugins" else []


def options_of(command, commands):
    if command.name == "check-config":
        both = {o["name"]: o for name in ("server", "client") for o in commands[name].options}
        return list(both.values())
    return command.options


def file_options(every):
    return sorted({o["name"] for o in every if o["type"] == "path" and o["metavar"] != "DIR"
                   or o["name"].endswith("-file")})


def dir_options(every):
    return sorted({o["name"] for o in every if o["metavar"] == "DIR"})


def choices_of(every):
    return {o["name"]: o["choices"].split("|") for o in every if o["choices"]}


def bash(commands, every):
    out = ["# bash completion for burrow; made from its tables of options.",
           "_burrow() {",
           '    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=',
           "    COMPREPLY=()",
           '    case $prev in']
    for name, values in choices_of(every).items():
        out.append(f'    --{name}) COMPREPLY=($(compgen -W "{" ".join(values)}" -- "$cur")); return ;;')
    out.append("    " + "|".join("--" + n for n in file_options(every)) +
               ') compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return ;;')
    out.append("    " + "|".join("--" + n for n in dir_options(every)) +
               ') compopt -o filenames; COMPREPLY=($(compgen -d -- "$cur")); return ;;')
    out += ["    esac", "    if [ $COMP_CWORD -eq 1 ]; then",
            f'        words="{" ".join(commands)} --help --version"', "    else",
            "        case ${COMP_WORDS[1]} in"]
    for command in commands.values():
        options = options_of(command, commands)
        words = words_after(command, commands) + ["--" + o["name"] for o in options] + ["--help"]
        out.append(f'        {command.name}) words="{" ".join(words)}" ;;')
    out += ["        esac", "    fi", '    COMPREPLY=($(compgen -W "$words" -- "$cur"))', "}",
            "complete -F _burrow burrow", ""]
    return "\n".join(out)


def zsh_action(option):
    if option["choices"]:
        return f":{option['name']}:({option['choices'].replace('|', ' ')})"
    if option["metavar"] == "DIR":
        return f":{option['name']}:_files -/"
    if option["type"] == "path" or option["name"].endswith("-file"):
        return f":{option['name']}:_files"
    return "" if option["type"] == "bool" else f":{option['name']}: "


def zsh_text(text):
    return re.sub(r"([\[\]:])", r"\\\1", text)


def zsh(commands, _every):
    out = ["#compdef burrow", "# zsh completion for burrow; made from its tables of options.",
           "_burrow() {", "    local -a commands=("]
    out += [f"        {shlex.quote(zsh_text(c.name) + ':' + c.summary)}" for c in commands.values()]
    out += ["    )", "    if (( CURRENT == 2 )); then", "        _describe command commands",
            "        return", "    fi", "    local command=$words[2]", "    shift words",
            "    (( CURRENT-- ))", "    case $command in"]
    for command in commands.values():
        specs = [f"{'*' if o['repeatable'] else ''}--{o['name']}[{zsh_text(o['help'])}]{zsh_action(o)}"
                 for o in options_of(command, commands)] + ["--help[show the options]"]
        words = words_after(command, commands)
        if words:
            specs.append(f"1:{command.name}:({' '.join(words)})")
        out.append(f"    {command.name}) _arguments \\")
        out += [f"        {shlex.quote(spec)} \\" for spec in specs[:-1]]
        out += [f"        {shlex.quote(specs[-1])} ;;"]
    out += ["    esac", "}", '_burrow "$@"', ""]
    return "\n".join(out)


def fish(commands, _every):
    out = ["# fish completion for burrow; made from its tables of options.", "complete -c burrow -f"]
    for command in commands.values():
        out.append(f"complete -c burrow -n __fish_use_subcommand -a {command.name} "
                   f"-d {shlex.quote(command.summary)}")
        inside = f"'__fish_seen_subcommand_from {command.name}'"
        for word in words_after(command, commands):
            out.append(f"complete -c burrow -n {inside} -a {word}")
        for o in options_of(command, commands):
            value = ""
            if o["choices"]:
                value = f" -x -a {shlex.quote(o['choices'].replace('|', ' '))}"
            elif o["type"] == "path" or o["name"].endswith("-file"):
                value = " -r -F"
            elif o["type"] != "bool":
                value = " -x"
            out.append(f"complete -c burrow -n {inside} -l {o['name']}{value} -d {shlex.quote(o['help'])}")
    return "\n".join(out) + "\n"


def main():
    program, output = sys.argv[1:]
    _, commands = describe(program)
    every = [o for c in commands.values() for o in c.options]
    os.makedirs(output, exist_ok=True)
    for name, make in (("burrow.bash", bash), ("_burrow", zsh), ("burrow.fish", fish)):
        with open(os.path.join(output, name), "w", encoding="utf-8") as file:
            file.write(make(commands, every))


if __name__ == "__main__":
    main()
