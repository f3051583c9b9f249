# SPDX-License-Identifier: Apache-2.0
"""Wrong usage and configuration: exit code 2, one line that names the flag (or file and place) and
never a secret, and nothing started. The tables are docs/operations.md's promise."""
import os
import shutil
import signal
import subprocess

import pytest

from harness.burrow import SECRET, clean_environment, make_certificate
from harness.process import Process
from harness.wait import PATIENCE

LONG_HOST = "h" * 256 + ":80"
BASE = {
    "server": (["--server-addr", "127.0.0.1:0"], {"BURROW_JWT_HMAC_SECRET": SECRET}),
    "client": (["--client-id", "c", "--local-target", "127.0.0.1:9"], {"BURROW_BEARER_TOKEN": "t"}),
}


def refused(burrow, command, flags=(), env=None, without=()):
    """Runs a command that must not start; the one line that it says."""
    base, settings = BASE.get(command, ([], {}))
    base = [part for i in range(0, len(base), 2) if base[i] not in without for part in base[i:i + 2]]
    settings = {k: v for k, v in settings.items() if k not in without}
    # A flag that is being tested takes the base's place: most may be given once only.
    given = {os.fsdecode(f).split("=")[0] for f in flags}
    base = [part for i in range(0, len(base), 2) if base[i] not in given for part in base[i:i + 2]]
    done = subprocess.run([burrow.binary, command, *base, *flags], env=clean_environment(**settings, **(env or {})),
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    text = done.stderr.decode("utf-8", "replace")
    assert done.returncode == 2, (done.returncode, text)
    assert done.stdout == b""
    lines = text.rstrip("\n").split("\n")
    assert len(lines) == 1 and lines[0].startswith("burrow: "), text
    assert "\x1b" not in text and len(text) < 2048
    assert SECRET not in text
    return text


ADDRESSES = ["127.0.0.1", "h:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:http", "::1:80", "[::1", "[::1]",
             "127.0.0.1:80:80", LONG_HOST, "a b:80", "127.0.0.1:1e3", "127.0.0.1:+80", "127.0.0.1: 80"]
DURATIONS = ["10", "-1s", "0", "0s", "1e99s", "10x", "s", "99999999999999999999s", "1.2.3s", "1s 2s", " 1s", "1ms"]
COUNTS = ["-1", "0", "abc", "1e99", "99999999999999999999", "1.5", "0x10", " 1", "+1"]

SERVER_FLAGS = (
    [("--server-addr", v) for v in ADDRESSES] + [("--tls-addr", v) for v in ADDRESSES[:4]]
    + [("--admin-addr", v) for v in ADDRESSES[:4]]
    + [("--listen", v) for v in ("", "=", "127.0.0.1:0", "transport-ws=", "transport-ws=127.0.0.1",
                                 "transport-ws=unix:x.sock", "transport-ws=unix:/" + "p" * 108,
                                 "transport-none=127.0.0.1:0")[1:]]
    + [("--heartbeat-interval", v) for v in DURATIONS] + [("--heartbeat-timeout", v) for v in DURATIONS]
    + [("--max-clients", v) for v in COUNTS] + [("--max-streams", v) for v in COUNTS]
    + [("--buffer-limit", v) for v in ("-1", "0", "10XB", "1e99", "MiB", "99999999999GiB")]
    + [("--log-level", "loud"), ("--log-format", "xml"), ("--enable-client-api", "maybe"),
       ("--jwt-alg", "none"), ("--jwt-alg", "HS999"), ("--jwt-allow-weak-secret=perhaps",),
       ("--token-in-register=2",), ("--bridge-host", "not a host"), ("--bridge-host", "x" * 300),
       ("--tls-cert", "/nonexistent/cert.pem"), ("--tls-key", "/nonexistent/key.pem"),
       ("--plugin", "no-such-plugin"), ("--plugin", "../plugins/x"), ("--plugin", "/nonexistent/plugin.so"),
       ("--plugin", "transport-ws,no-such-option=1"), ("--plugin-dir", "/nonexistent"),
       ("--jwt-hmac-secret-file", "/nonexistent/secret"), ("--config", "/nonexistent/burrow.yaml")])

CLIENT_FLAGS = (
    [("--local-target", v) for v in ADDRESSES + [":80", "127.0.0.1:0", "unix:", "unix:" + "p" * 200, "=127.0.0.1:80",
                                                 "bad name=127.0.0.1:80"]]
    + [("--server-url", v) for v in ("http://127.0.0.1/ws", "ws://", "ws://:80/ws", "ws://h:0/ws", "ws://h:65536/ws",
                                     "ws://[::1/ws", "127.0.0.1:8080", "ws://user:password@h/ws", "ws://a b/ws",
                                     "ws://h/ws#fragment", "tls://h:1/path", "ws://h:80 /ws")]
    + [("--connect-addr", v) for v in ("127.0.0.1:65536", "127.0.0.1:0", ":80", "[::1")]
    + [("--client-id", v) for v in ("x" * 129, "a\tb", "a\x1bb")]
    + [("--token-refresh-window", "10"), ("--client-retry-interval", "0s"), ("--client-retry-interval", "-1s"),
       ("--client-auth-retry-interval", "x"), ("--tls-skip-verify=maybe",), ("--tls-ca", "/nonexistent/ca.pem"),
       ("--log-level", "loud")])


def name(case):
    return " ".join(case)[:48].encode("unicode_escape").decode()


@pytest.mark.parametrize("case", SERVER_FLAGS, ids=name)
def test_a_bad_server_flag_is_named(burrow, case):
    flag = case[0].split("=")[0]
    # A plugin is named itself; so is a file.
    assert flag in refused(burrow, "server", case) or flag in ("--plugin", "--plugin-dir", "--config")


@pytest.mark.parametrize("case", CLIENT_FLAGS, ids=name)
def test_a_bad_client_flag_is_named(burrow, case):
    url = ("--server-url", "wss://127.0.0.1:1/ws") if case[0].startswith("--tls") else ()
    assert case[0].split("=")[0] in refused(burrow, "client", (*case, *url))


@pytest.mark.parametrize("command, variable, value", [
    ("server", "BURROW_HEARTBEAT_INTERVAL", "10"), ("server", "BURROW_MAX_CLIENTS", "many"),
    ("server", "BURROW_SERVER_ADDR", "h:99999"), ("server", "BURROW_LOG_LEVEL", "loud"),
    ("client", "BURROW_LOCAL_TARGET", "::1:80"), ("client", "BURROW_SERVER_URL", "ftp://h/"),
])
def test_a_bad_variable_is_named(burrow, command, variable, value):
    flag = "--" + variable[7:].lower().replace("_", "-")
    text = refused(burrow, command, env={variable: value}, without=(flag,))
    assert variable in text and flag in text


@pytest.mark.parametrize("command", ["server", "client", "token", "plugins", "check-config"])
def test_an_unknown_flag_is_named(burrow, command):
    flags = {"token": ("mint", "--no-such-flag"), "check-config": ("server", "--no-such-flag")}
    text = refused(burrow, command, flags.get(command, ("--no-such-flag",)), env={"BURROW_JWT_HMAC_SECRET": SECRET},
                   without=("BURROW_JWT_HMAC_SECRET",))
    assert "--no-such-flag" in text


@pytest.mark.parametrize("command, flag", [("server", "--server-addr"), ("client", "--client-id"),
                                           ("client", "--bearer-token-file")])
def test_a_flag_without_its_value_is_named(burrow, command, flag):
    assert flag in refused(burrow, command, (flag,))


@pytest.mark.parametrize("command", ["server", "client"])
def test_words_that_are_no_flags_are_refused(burrow, command):
    assert "surplus" in refused(burrow, command, ("surplus",))


def test_a_value_that_is_no_text_is_refused(burrow):
    refused(burrow, "client", (b"--client-id", b"\xff\xfe"))


CONTRADICTIONS = {
    "timeout not over interval": (["--heartbeat-interval", "10s", "--heartbeat-timeout", "10s"],
                                  ["--heartbeat-timeout", "--heartbeat-interval"]),
    "certificate without key": (["--tls-cert", "CERT"], ["--tls-key"]),
    "key without certificate": (["--tls-key", "KEY"], ["--tls-cert"]),
    "raw TLS without certificate": (["--tls-addr", "127.0.0.1:0"], ["--tls-cert"]),
    "a key as the certificate": (["--tls-cert", "KEY", "--tls-key", "KEY"], ["--tls-cert"]),
    "a certificate as the key": (["--tls-cert", "CERT", "--tls-key", "CERT"], ["--tls-key"]),
    "two sources of the secret": (["--jwt-hmac-secret-file", "CERT"], ["--jwt-hmac-secret", "--jwt-hmac-secret-file"]),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_contradictions_are_named(burrow, case):
    flags, names = CONTRADICTIONS[case]
    files = dict(zip(("CERT", "KEY"), burrow.certificate))
    text = refused(burrow, "server", [files.get(f, f) for f in flags])
    assert all(n in text for n in names), text


def test_a_certificate_and_a_key_that_do_not_match_are_refused(burrow, tmp_path):
    _, other = make_certificate(str(tmp_path))
    assert "--tls-key" in refused(burrow, "server", ("--tls-cert", burrow.certificate[0], "--tls-key", other))


def test_a_server_without_an_auth_plugin_does_not_start(burrow):
    text = refused(burrow, "server", without=("BURROW_JWT_HMAC_SECRET",))
    assert "--jwt-hmac-secret" in text and "auth-none" in text
    refused(burrow, "server", ("--plugin", "transport-ws"), without=("BURROW_JWT_HMAC_SECRET",))


def test_a_weak_secret_is_refused_with_its_remedy(burrow):
    text = refused(burrow, "server", env={"BURROW_JWT_HMAC_SECRET": "dev-secret"}, without=("BURROW_JWT_HMAC_SECRET",))
    assert "--jwt-allow-weak-secret" in text and "dev-secret" not in text and "32" in text


@pytest.mark.parametrize("missing", ["--client-id", "--local-target"])
def test_a_client_names_what_it_lacks(burrow, missing):
    assert missing in refused(burrow, "client", without=(missing,))


def test_a_client_takes_one_source_of_tokens(burrow):
    text = refused(burrow, "client", ("--bearer-token-file", "/dev/null"))
    assert "--bearer-token" in text and "--bearer-token-file" in text


# ---- the config file -------------------------------------------------------------------

BAD_FILES = {
    "not yaml": "server-addr: [",
    "unknown key": "server-addr: 127.0.0.1:0\nserver-adr: x\n",
    "duplicate key": "log-level: info\nlog-level: debug\n",
    "wrong type": "max-clients: [1, 2]\n",
    "bad value": "max-clients: many\n",
    "a list": "- server-addr\n",
    "a scalar": "server\n",
    "plugins is a map": "plugins:\n  transport-ws: {}\n",
    "plugins item without a name": "plugins:\n  - {}\n",
    "unknown plugin": "plugins:\n  - no-such-plugin\n",
    "plugin twice": "plugins:\n  - transport-ws\n  - transport-ws\n  - auth-none\n",
    "unknown plugin option": "plugins:\n  - transport-ws\n  - auth-none:\n      colour: blue\n",
    "two documents": "log-level: info\n---\nlog-level: debug\n",
    "alias": "a: &a [x, x]\nb: *a\n",
    "tab": "\tlog-level: info\n",
    "nul": "log-level: in\0fo\n",
    "deep": "[" * 2000,
    "not utf-8": b"log-level: \xff\xfe\n",
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_config_file_is_named_with_its_place(burrow, tmp_path, case):
    path = tmp_path / "burrow.yaml"
    content = BAD_FILES[case]
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    text = refused(burrow, "server", ("--config", str(path)))
    assert str(path) in text or "plugin" in case


@pytest.mark.parametrize("kind", ["directory", "fifo", "/dev/zero", "huge", "unreadable as text"])
def test_a_config_file_of_the_wrong_kind_is_refused_in_time(burrow, tmp_path, kind):
    path = str(tmp_path / "burrow.yaml")
    if kind == "directory":
        os.mkdir(path)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "huge":
        with open(path, "wb") as file:
            file.truncate(1 << 30)
    elif kind == "/dev/zero":
        path = kind
    else:
        with open(path, "wb") as file:
            file.write(os.urandom(4096))
    assert path in refused(burrow, "server", ("--config", path))


def test_a_secret_in_a_file_that_others_may_write_is_refused(burrow, tmp_path):
    path = tmp_path / "burrow.yaml"
    path.write_text(f"jwt-hmac-secret: {SECRET}\n")
    path.chmod(0o666)
    assert str(path) in refused(burrow, "server", ("--config", str(path)), without=("BURROW_JWT_HMAC_SECRET",))


# ---- the default config file ---------------------------------------------------------------

# With an /etc of our own, and no capability that passes by a file's mode. It is not done with another uid, for
# whom the folder of the build itself may be closed.
STRANGER = ["sh", "-ec", 'mount --bind "$0" /etc; exec setpriv --bounding-set=-all --inh-caps=-all "$@"']


def as_stranger(burrow, etc, *argv):
    """The words that run burrow so."""
    unshare = ["unshare", *([] if os.getuid() == 0 else ["--user", "--map-root-user"]), "--mount"]
    if subprocess.run([*unshare, "true"], check=False, stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("no mount namespace can be made here")
    if os.path.exists("/etc/ld.so.cache"):
        shutil.copy("/etc/ld.so.cache", etc)
    return [*unshare, *STRANGER, etc, burrow.binary, *argv]


@pytest.fixture(params=["burrow", "burrow/burrow.yaml"], ids=["folder", "file"])
def run_closed(request, burrow, tmp_path):
    """Runs a command that cannot read the default config file."""
    (tmp_path / "burrow").mkdir()
    (tmp_path / "burrow" / "burrow.yaml").write_text("no-such-option: x\n")
    closed = tmp_path / request.param
    closed.chmod(0)
    yield lambda *argv, **env: subprocess.run(
        as_stranger(burrow, tmp_path, *argv), env=clean_environment(**env), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=PATIENCE)
    closed.chmod(0o700)


DEFAULT_FILE = "/etc/burrow/burrow.yaml"


def test_a_default_file_that_the_user_may_not_read_is_passed_over(run_closed):
    done = run_closed("check-config", "client", "--server-url", "ws://127.0.0.1:1/ws", *BASE["client"][0],
                      **BASE["client"][1])
    assert (done.returncode, done.stdout, done.stderr) == (0, "configuration OK\n", "")
    done = run_closed("check-config", "server", **BASE["server"][1])
    assert (done.returncode, done.stdout) == (0, "configuration OK\n"), done.stderr
    (line,) = done.stderr.splitlines()
    assert "level=warn" in line and "event=config_warning" in line and f"{DEFAULT_FILE}: Permission denied" in line


def test_a_named_file_that_the_user_may_not_read_is_refused(run_closed):
    for flags, env in ([["--config", DEFAULT_FILE], {}], [[], {"BURROW_CONFIG": DEFAULT_FILE}]):
        done = run_closed("check-config", "client", *flags, *BASE["client"][0], **BASE["client"][1], **env)
        assert done.returncode == 2 and done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert f"--config (BURROW_CONFIG): {DEFAULT_FILE}: Permission denied" in line


def test_a_default_file_that_is_closed_after_the_start_is_no_file_without_settings(burrow, tmp_path):
    (tmp_path / "burrow").mkdir()
    file = tmp_path / "burrow" / "burrow.yaml"
    file.write_text(f"jwt-hmac-secret: {SECRET}\nserver-addr: 127.0.0.1:0\n")
    file.chmod(0o600)
    server = Process("server", as_stranger(burrow, tmp_path, "server"), env=clean_environment())
    try:
        server.wait_event("listening")
        file.chmod(0)
        server.signal(signal.SIGHUP)
        assert server.wait_event("reload_refused")["reason"] == f"{DEFAULT_FILE}: Permission denied"
    finally:
        server.stop()


# ---- plugin files --------------------------------------------------------------------------


def plugin_dir(burrow):
    for folder, _, files in os.walk(burrow.build):
        if "auth-none.so" in files:
            return folder
    raise AssertionError("no plugins in the build")


@pytest.mark.parametrize("label", ["text", "empty", "cut", "machine"])
def test_a_plugin_file_that_is_none_is_refused_by_name(burrow, tmp_path, label):
    good = os.path.join(plugin_dir(burrow), "auth-none.so")
    with open(good, "rb") as file:
        elf = file.read()
    other_machine = bytearray(elf)
    other_machine[18:20] = b"\xb7\x00" if elf[18:20] != b"\xb7\x00" else b"\x3e\x00"
    content = {"text": b"hello\n", "empty": b"", "cut": elf[:len(elf) // 2], "machine": bytes(other_machine)}
    path = tmp_path / f"auth-{label}.so"
    path.write_bytes(content[label])
    path.chmod(0o644)
    assert str(path) in refused(burrow, "server", ("--plugin", "transport-ws", "--plugin", str(path)))


def test_a_library_that_is_no_plugin_is_refused(burrow, tmp_path):
    path = tmp_path / "auth-library.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-o", path, "-"], input=b"int answer = 42;", check=True)
    path.chmod(0o755)
    assert str(path) in refused(burrow, "server", ("--plugin", "transport-ws", "--plugin", str(path)))


def test_a_plugin_that_others_may_write_is_refused(burrow, tmp_path):
    path = tmp_path / "auth-none.so"
    with open(os.path.join(plugin_dir(burrow), "auth-none.so"), "rb") as file:
        path.write_bytes(file.read())
    path.chmod(0o666)
    text = refused(burrow, "server", ("--plugin", "transport-ws", "--plugin", str(path)))
    assert str(path) in text and "writ" in text


def test_a_misspelt_variable_is_warned_of_with_the_nearest_name(world):
    server = world.server("ws", env={"BURROW_SERVER_ADR": "x", "BURROW_CLIENT_SERVICE_HOST": "10.0.0.1",
                                     "BURROW_PORT_8080_TCP": "tcp://10.0.0.1:8080"})
    warnings = [line for line in server.lines if "BURROW_SERVER_ADR" in line]
    assert len(warnings) == 1 and "BURROW_SERVER_ADDR" in warnings[0]
    assert not any("SERVICE_HOST" in line or "PORT_8080" in line for line in server.lines)


def test_an_address_in_use_is_a_run_time_failure(world, burrow):
    server = world.server("ws")
    done = burrow.run("server", "--server-addr", "%s:%d" % server.web, env={"BURROW_JWT_HMAC_SECRET": SECRET})
    assert done.returncode == 1
    assert "%s:%d" % server.web in done.stderr
