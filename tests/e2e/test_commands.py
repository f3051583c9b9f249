# SPDX-License-Identifier: Apache-2.0
"""The commands besides server and client, and where settings come from."""
import base64
import json
import os
import re
import subprocess
import time

import pytest

from harness.burrow import SECRET, clean_environment, split_address
from harness.process import Process
from harness.sockets import dial, echo, read_exactly
from test_admission import UPGRADE, ask
from test_status import metrics

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

BUNDLED = ["transport-ws", "transport-tls", "auth-hmac", "auth-pem", "auth-static", "auth-none", "registry-noop", "command-token", "command-expose"]
COMMANDS = ["server", "client", "token", "expose", "plugins", "check-config", "version", "help"]


def ok(done):
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_version_names_program_and_number(burrow):
    for argv in (["version"], ["--version"]):
        assert re.match(r"burrow \d+\.\d+\.\d+", ok(burrow.run(*argv)))


def test_help_lists_every_command(burrow):
    for argv in (["help"], ["--help"], ["-h"]):
        text = ok(burrow.run(*argv))
        assert all(re.search(rf"^\s+{c}\b", text, re.M) for c in COMMANDS), text


@pytest.mark.parametrize("command", ["server", "client"])
def test_help_of_a_command_shows_flags_variables_and_defaults(burrow, command):
    text = ok(burrow.run(command, "--help"))
    assert ok(burrow.run("help", command)) == text
    expected = {"server": ["--server-addr", ":8080", "--heartbeat-interval", "10s", "--jwt-hmac-secret", "--tls-addr"],
                "client": ["--server-url", "ws://127.0.0.1:8080/ws", "--local-target", "--bearer-token-file"]}
    for part in expected[command] + ["BURROW_"]:
        assert part in text, part


def test_help_for_programs_tells_what_help_tells(burrow):
    commands = {c["name"]: c for c in json.loads(ok(burrow.run("help", "--json")))["commands"]}
    assert set(COMMANDS) <= set(commands)
    for command in ("server", "client", "token"):
        shown = re.findall(r"^  --(\S+)(?: \S+)?$", ok(burrow.run(command, "--help")), re.M)
        told = [o for g in commands[command]["groups"] for o in g["options"]]
        assert set(shown) == {o["name"] for o in told}
        assert all(o["variable"].startswith("BURROW_") and o["help"] for o in told)
    levels = next(o for o in told if o["name"] == "log-level")
    assert levels["default"] == "info" and levels["expected"] == "debug, info, warn or error"
    assert any(sub["name"] == "mint" for sub in commands["token"]["subcommands"])


def test_help_of_token_mint(burrow):
    assert "--sub" in ok(burrow.run("token", "mint", "--help"))


@pytest.mark.parametrize("argv", [[], ["nonsense"], ["help", "nonsense"], ["token"], ["token", "nonsense"],
                                  ["plugins", "nonsense"], ["plugins", "info"], ["version", "surplus"]])
def test_wrong_usage_is_exit_code_2(burrow, argv):
    done = burrow.run(*argv)
    assert done.returncode == 2 and done.stderr and not done.stdout


def test_plugins_lists_the_bundled_ones_with_their_kinds(burrow):
    text = ok(burrow.run("plugins"))
    for plugin in BUNDLED:
        line = next(line for line in text.splitlines() if plugin in line)
        assert plugin.split("-")[0] in line


@pytest.mark.parametrize("plugin", BUNDLED)
def test_plugins_info_shows_a_plugin(burrow, plugin):
    text = ok(burrow.run("plugins", "info", plugin))
    assert plugin in text
    if plugin == "auth-hmac":
        assert "jwt-hmac-secret" in text


def test_plugins_info_of_an_unknown_one_fails(burrow):
    done = burrow.run("plugins", "info", "no-such-plugin")
    assert done.returncode != 0 and "no-such-plugin" in done.stderr


def test_nothing_of_the_plugins_is_linked_into_the_program(burrow):
    """The program's own needs are the core's: no TLS, HTTP or token library among them."""
    needs = subprocess.run(["readelf", "-d", burrow.binary], check=True, capture_output=True, text=True).stdout
    assert "libev" in needs
    assert not re.search(r"NEEDED.*(ssl|crypto|websockets|curl|jose)", needs)


# ---- token mint ------------------------------------------------------------------------


def claims_of(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_a_minted_token_says_what_was_asked(burrow):
    now = time.time()
    claims = claims_of(burrow.mint("client-a", expires_in="5m", jwt_issuer="me", jwt_audience="you"))
    assert claims["sub"] == "client-a" and claims["iss"] == "me" and claims["aud"] in ("you", ["you"])
    assert now + 295 < claims["exp"] < now + 305


@pytest.mark.parametrize("flags, name", [
    (["--sub", "c", "--expires-in", "10"], "--expires-in"), (["--expires-in", "10s"], "--sub"),
    (["--sub", "c", "--jwt-alg", "RS256"], "--jwt-alg"), (["--sub", "c", "--claim", "x"], "--claim"),
    (["--sub", "c", "--not-before", "tomorrow"], "--not-before")])
def test_mint_names_what_is_wrong(burrow, flags, name):
    done = burrow.run("token", "mint", *flags, env={"BURROW_JWT_HMAC_SECRET": SECRET})
    assert done.returncode == 2 and name in done.stderr and not done.stdout
    assert done.stderr.count("\n") == 1 and SECRET not in done.stderr


def test_mint_reads_its_secret_from_a_file(burrow, tmp_path):
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    path.chmod(0o600)
    token = ok(burrow.run("token", "mint", "--sub", "c", "--jwt-hmac-secret-file", path))
    assert claims_of(token)["sub"] == "c"


# ---- sources of settings ---------------------------------------------------------------

FILE = """# Everything that a flag says may stand here under its name.
server-addr: 127.0.0.1:0
bridge-host: 127.0.0.1
log-level: {level}
plugins:
  - transport-ws
  - auth-hmac:
      jwt-hmac-secret-file: {secret}
      jwt-issuer: tests
      jwt-audience: burrow-tests
"""


@pytest.fixture
def config(tmp_path):
    def write(level="info"):
        secret = tmp_path / "secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        path = tmp_path / "burrow.yaml"
        path.write_text(FILE.format(level=level, secret=secret))
        path.chmod(0o600)
        return str(path)
    return write


def test_a_server_runs_from_a_config_file_alone(world, burrow, config):
    server = Process("server", [burrow.binary, "server", "--config", config()], env=clean_environment())
    world.processes.append(server)
    web = server.wait_event("listening", role="main")
    url = "ws://%s:%d/ws" % split_address(web["addr"])
    client = world.client(None, world.target(echo), url=url)
    with dial(client.bridge) as user:
        user.sendall(b"hello")
        assert read_exactly(user, 5) == b"hello"


def test_check_config_says_that_a_good_file_is_good(burrow, config):
    done = burrow.run("check-config", "server", "--config", config())
    assert done.returncode == 0, done.stderr


def test_check_config_names_what_is_bad_and_starts_nothing(burrow, config):
    done = burrow.run("check-config", "server", "--config", config("loud"))
    assert done.returncode == 2 and "log-level" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("flag, variable, file, told", [
    ("nonsense", "info", "info", "--log-level"), (None, "nonsense", "info", "BURROW_LOG_LEVEL"),
    (None, None, "nonsense", "burrow.yaml"), ("info", "nonsense", "nonsense", None),
    (None, "info", "nonsense", None), ("", "", "info", None)])
def test_flag_beats_variable_beats_file(burrow, config, flag, variable, file, told):
    """Whose value counts is seen by whose nonsense is complained of."""
    argv = ["check-config", "server", "--config", config(file)]
    argv += ["--log-level", flag] if flag is not None else []
    done = burrow.run(*argv, env={"BURROW_LOG_LEVEL": variable} if variable is not None else {})
    if told:
        assert done.returncode == 2 and told in done.stderr and "nonsense" in done.stderr
    else:
        assert done.returncode == 0, done.stderr


def test_log_format_json_is_json(world):
    server = world.server("ws", "--log-format", "json", wait=False)
    server.wait_line('"listening"')
    for line in list(server.lines):
        assert isinstance(json.loads(line), dict), line


def test_no_secret_is_left_in_argv_or_environment(world, burrow):
    server = world.server("ws", "--api-token", "a token on the command line")
    client = world.client(server, world.target(echo))
    for process in (server, client):
        for file in ("cmdline", "environ"):
            with open(f"/proc/{process.pid}/{file}", "rb") as content:
                text = content.read()
            assert SECRET.encode() not in text and b"a token on the command line" not in text
            assert b"eyJ" not in text, "a token"
    assert "eyJ" not in server.log + client.log and SECRET not in server.log


def test_debug_logs_hold_no_secrets(world, burrow):
    server = world.server("ws", "--log-level", "debug")
    client = world.client(server, world.target(echo), "--log-level", "debug")
    with dial(client.bridge) as user:
        user.sendall(b"the payload of a stream")
        read_exactly(user, 23)
    text = server.log + client.log
    assert "eyJ" not in text and SECRET not in text and "the payload" not in text


def test_logs_cannot_be_forged_by_a_peer(world):
    server = world.server("ws", "--log-level", "debug")
    ask(server, path="/ws?x=%0aevent=forged", headers={**UPGRADE, "Authorization": "Bearer a event=forged"})
    ask(server, path="/%0aevent=forged", headers={"Authorization": "Bearer a\tevent=forged\x1b[31m"})
    server.wait_event("handshake_closed", after=server.mark() - 1)
    assert not server.seen("forged") and "\x1b" not in server.log


def operations():
    with open(os.path.join(ROOT, "docs", "operations.md")) as file:
        return file.read()


def test_the_documents_tell_every_log_event_above_debug():
    """docs/operations.md against the names in the core's sources, both ways."""
    raised = set()
    for folder, _, files in os.walk(os.path.join(ROOT, "core")):
        for name in files:
            with open(os.path.join(folder, name)) as file:
                raised |= set(re.findall(r'log_at\([^;]*?BURROW_LOG_(?:INFO|WARN|ERROR),\s*"(\w+)"', file.read()))
    section = operations().split("## Log events")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", section, re.M)
    documented = {name for row in rows for name in re.findall(r"\w+", row)}
    assert documented - {"plugin"} == raised - {"plugin"}


def families(process):
    return {re.sub(r"(?<=_seconds)_(bucket|sum|count)$", "", name.split("{")[0]) for name in metrics(process)
            if not name.startswith("burrow_plugin_") or name.startswith("burrow_plugin_faults")}


def test_the_documents_tell_every_metric(world):
    """docs/operations.md against what server and client show, both ways."""
    server = world.server("ws", "--metrics-per-service")
    client = world.client(server, world.target(echo), "--admin-addr", "127.0.0.1:0")
    client.web = split_address(client.wait_event("listening", role="admin")["addr"])
    client.transport = "ws"
    section = operations().split("\n## Metrics")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`burrow_[^|]*) \|", section, re.M)
    told = {name for cell in cells for name in re.findall(r"`(burrow_[a-z_]+)[`{]", cell)}
    assert told == families(server) | families(client)


def source(path):
    with open(os.path.join(ROOT, path)) as file:
        return file.read()


def seconds(ms):
    return f"{int(ms) // 1000} s"


def test_the_documents_tell_how_long_the_client_waits_and_why():
    """docs/operations.md against the client's two tables, both ways."""
    text = source("core/client/backoff.c").replace("SUPERSEDED_MS + SUPERSEDED_SPREAD_MS", "65000").replace(
        "SUPERSEDED_MS", "60000")
    causes = {name: (seconds(first), seconds(most)) for name, first, most in
              re.findall(r'\[BACKOFF_\w+\] = \{"(\w+)", (\d+), (\d+)\}', text)}
    codes = {code: (one.lower(), other.lower()) for code, one, other in
             re.findall(r'\{"(\w+)", BACKOFF_(\w+), BACKOFF_(\w+)\}', text)}
    assert len(causes) == 6 and len(codes) > 5
    section = operations().split("### Refusals")[1].split("\n## ")[0]
    by_code, by_cause = section.split("| cause | first pause |")
    told = dict(re.findall(r"^\| `(\w+)` \| [^|]* \| (`\w+`[^|]*) \|$", by_code, re.M))
    told = {code: tuple(re.findall(r"`(\w+)`", cause)) for code, cause in told.items()}
    assert {code: (c * 2)[:2] if len(c) == 1 else c for code, c in told.items()} == codes
    assert {name: (first, most) for name, first, most in
            re.findall(r"^\| `(\w+)` \| (\d+ s) \| (\d+ s) \|", by_cause, re.M)} == causes


def test_the_documents_tell_the_codes_that_the_server_sends():
    sent = set()
    for name in os.listdir(os.path.join(ROOT, "core/server")):
        if name.endswith(".c"):
            text = source("core/server/" + name)
            sent |= set(re.findall(r'(?:send_error\(h|refuse\(h, \w+|refuse\(claim|(?:session|seat)_close\([^;]*?), "(\w+)"', text))
    assert {"identity_mismatch", "protocol", "draining", "superseded"} <= sent
    missing = {code for code in sent if f"| `{code}` |" not in operations()}
    assert not missing


LIMITS = {
    "connections before admission": ("core/server/internal.h", "MAX_PENDING", 1, "256"),
    "handshake": ("core/server/internal.h", "HANDSHAKE_MS", 1000, "10 s"),
    "register": ("core/server/internal.h", "REGISTER_MS", 1000, "5 s"),
    "services of a client": ("core/wire/control.h", "CONTROL_MAX_SERVICES", 1, "64"),
    "TCP to the server or its proxy": ("core/client/internal.h", "DIAL_TCP_MS", 1000, "5 s"),
    "looking up the name of the server or its proxy": ("core/client/internal.h", "LOOK_UP_MS", 1000, "15 s"),
    "reaching the server": ("core/client/internal.h", "DIAL_SERVER_MS", 1000, "10 s"),
    "dialling a target": ("core/client/dial_target.h", "DIAL_TARGET_MS", 1000, "5 s"),
    "client id": ("core/wire/control.h", "CONTROL_MAX_CLIENT_ID", 1, "1 to 128 bytes"),
    "token": ("core/client/token.h", "TOKEN_MAX", 1024, "8 KiB"),
    "HTTP head": ("plugins/transport-ws/ws_handshake.h", "WS_HEAD_MAX", 1024, "16 KiB"),
    "connections to the admin address": ("core/status/port.h", "STATUS_MAX_CONNECTIONS", 1, "256"),
}


def test_the_documents_tell_the_limits_as_they_are(burrow):
    """Rows without an option against the sources, rows with one against --help."""
    section = operations().split("\n## Limits")[1].split("\n## ")[0]
    rows = {name: (value, note) for name, value, note in
            re.findall(r"^\| ([^|]+?) \| ([^|]+?) \| ([^|]*?) ?\|$", section, re.M)}
    helped = dict(re.findall(r"^  (--[a-z-]+).*?default (\S+?),?$", ok(burrow.run("server", "--help")), re.M | re.S))
    for name, (value, note) in rows.items():
        if note.startswith("`--"):
            assert value.replace(",", "").replace(" ", "") == helped[note.strip("`")], name
            continue
        path, macro, unit, text = LIMITS[name]
        number = int(re.search(rf"#define {macro} (\d+)", source(path)).group(1)) // unit
        assert value == text and str(number) in text.split(), name
    assert set(LIMITS) <= set(rows)


def documented_options():
    """The tables under "## Options" of docs/operations.md, by what they belong to: a command, both, or plugins."""
    tables = {}
    for section in operations().split("\n## Options\n")[1].split("\n## ")[0].split("\n### ")[1:]:
        name = re.match(r"`burrow (\w+)|Both", section)
        tables.setdefault((name[1] or "both") if name else "plugins", set()).update(re.findall(
            r"^\| `(--[a-z-]+)`[^|]*(?:\\\|[^|]*)* \| `(BURROW_\w+)` \| `?(.*?)`? \|", section, re.M))
    return tables


def helped_options(burrow):
    """What --help shows under "Options:" of a command, "Common options:" and "Options of" a plugin."""
    tables = {}
    for argv in (["server"], ["client"], ["token", "mint"], ["expose"]):
        text = ok(burrow.run(*argv, "--help"))
        for heading, group in re.findall(r"^((?:O|Common o)ptions.*):\n((?:  .*\n)+)", text, re.M):
            table = {"Options": argv[0], "Common options": "both"}.get(heading, "plugins")
            for option in re.split(r"^  (?=--)", group, flags=re.M)[1:]:
                variable, default = re.search(r"^ {8}(BURROW_\w+)(?:, default (\S+))?(?:,.*)?$", option, re.M).groups()
                tables.setdefault(table, set()).add((option.split()[0], variable, default or ""))
    return tables


def test_the_documents_tell_every_option_of_each_command_with_its_variable_and_default(burrow):
    """docs/operations.md against --help, both ways, command by command."""
    assert documented_options() == helped_options(burrow)
