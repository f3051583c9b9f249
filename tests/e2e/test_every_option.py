# SPDX-License-Identifier: Apache-2.0
"""Every option of server and client is changed once as a flag and once as a variable, and its effect is
seen. What a row does not give comes from a config file, so that precedence is tried along the way. The rows
are in every_option_of_server.py, …_of_client.py and …_of_plugins.py; those of both commands are here.

A row is a function of the tries: `@row("server", "max-clients")`. The test at the end compares the rows
with what --help lists: an option without a row fails it."""
import json
import os
import re
import shutil
import signal

import pytest

import every_option_of_client  # noqa: F401 - it fills the table, and so do these
import every_option_of_plugins  # noqa: F401
import every_option_of_server  # noqa: F401
from every_option import ROWS, Try, both
from harness.burrow import SECRET, clean_environment
from harness.process import Process
from harness.sockets import echo
from harness.wait import until

# Options that a command takes though they say nothing to it: the transports have one table of options.
ELSEWHERE = {"server": {"tls-ca", "tls-skip-verify"},
             "client": {"ws-path", "ws-origin", "tls-client-ca", "tls-client-required"}}


def complete(t, command):
    """A configuration that works, as keys of a file."""
    settings = {"drain-timeout": "0s"}
    if command == "server":
        return settings | {"server-addr": "127.0.0.1:0", "jwt-hmac-secret": SECRET}
    return settings | {"server-url": t.server().url, "client-id": "c", "local-target": str(t.world.target(echo)),
                       "bearer-token": t.burrow.mint("c")}


def starts(t, command, argv, env, event=None):
    process = Process(command, [t.burrow.binary, command, *argv], env=clean_environment(**env))
    t.world.processes.append(process)
    process.wait_event(event or ("listening" if command == "server" else "service_ready"))
    return process


@both("config")
def config(t, command):
    flags, env = t.given(t.file(complete(t, command)))
    starts(t, command, flags, env)


@both("plugin")
def plugin(t, command):
    settings = complete(t, command)
    if command == "server":
        del settings["jwt-hmac-secret"]
        flags, env = t.given("auth-none")
        process = starts(t, command, [*flags, "--config", t.file(settings)], env)
        process.wait_line("auth-none")  # it warns at each start
    else:
        flags, env = t.given("no-such-plugin")
        done = t.burrow.run(command, *flags, "--config", t.file(settings), env=env)
        assert done.returncode == 2 and "no-such-plugin" in done.stderr


@both("plugin-dir")
def plugin_dir(t, command):
    settings = t.file(complete(t, command))
    folder = t.folder / "plugins"
    folder.mkdir(mode=0o755)
    flags, env = t.given(str(folder))
    done = t.burrow.run(command, *flags, "--config", settings, env=env)
    assert done.returncode == 2 and "transport-ws" in done.stderr
    listed = re.search(r"^Plugins are in (.*?);", t.burrow.run(command, "--help").stdout, re.M).group(1)
    for name in os.listdir(listed):
        if name.endswith(".so"):
            shutil.copy(os.path.join(listed, name), folder)
    starts(t, command, [*flags, "--config", settings], env)


@both("log-level")
def log_level(t, command):
    settings = t.file(complete(t, command))
    flags, env = t.given("error")
    process = Process(command, [t.burrow.binary, command, *flags, "--config", settings], env=clean_environment(**env))
    t.world.processes.append(process)
    chatty = starts(t, command, ["--config", settings], {})
    until(lambda: catches_sigterm(process.pid))
    process.stop()
    assert not process.events and chatty.events


def catches_sigterm(pid):
    with open(f"/proc/{pid}/status") as status:
        caught = re.search(r"^SigCgt:\s*(\w+)", status.read(), re.M).group(1)
    return int(caught, 16) >> (signal.SIGTERM - 1) & 1


@both("log-format")
def log_format(t, command):
    flags, env = t.given("json")
    process = Process(command, [t.burrow.binary, command, *flags, "--config", t.file(complete(t, command))],
                      env=clean_environment(**env))
    t.world.processes.append(process)
    process.wait_line('"event":"listening"' if command == "server" else '"event":"connected"', 20)
    assert all(json.loads(line)["event"] for line in process.lines)


# ---- the test ----

CASES = [(command, option, by) for command, rows in ROWS.items() for option in rows for by in ("flag", "variable")]


@pytest.mark.parametrize("command, option, by", CASES)
def test_the_option_has_its_effect(world, burrow, tmp_path, free_port, command, option, by):
    ROWS[command][option](Try(world, burrow, tmp_path, free_port, option, by))


@pytest.mark.parametrize("command", ROWS)
def test_every_option_has_a_row(burrow, command):
    """As the program lists them, and as the documents do."""
    commands = json.loads(burrow.run("help", "--json").stdout)["commands"]
    listed = {option["name"] for entry in commands if entry["name"] == command
              for group in entry["groups"] for option in group["options"]}
    assert listed == set(re.findall(r"^  --([a-z-]+)", burrow.run(command, "--help").stdout, re.M))
    assert set(ROWS[command]) | ELSEWHERE[command] == listed
    assert not set(ROWS[command]) & ELSEWHERE[command], "an option is in two tables"
