# SPDX-License-Identifier: Apache-2.0
"""The Debian packages in a clean Debian 12."""
import os
import re
import subprocess

import pytest

from conftest import PACKAGES, ROOT, run

# An echo service, and functions that the scripts below share.
COMMON = r"""
cat >/etc/systemd/system/echo.socket <<END
[Socket]
ListenStream=127.0.0.1:7000
Accept=yes
END
cat >/etc/systemd/system/echo@.service <<END
[Service]
ExecStart=/bin/cat
StandardInput=socket
END
systemctl daemon-reload
systemctl start echo.socket
trap "journalctl --no-pager -n 60" ERR
until_true() { { set +x; } 2>/dev/null; for _ in $(seq 200); do "$@" && { set -x; return; }; sleep 0.1; done; journalctl --no-pager -n 100; return 1; }
echoes() { exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1; echo "$2" >&3; read -r -t 10 line <&3; exec 3>&-; [ "$line" = "$2" ]; }
bridge() { curl -sf "http://127.0.0.1:8080/api/clients/$1/bridge-addr" >/run/bridge; }
secret() { (umask 027; head -c 32 /dev/urandom | od -An -vtx1 | tr -d ' \n' >"$1"; chgrp burrow "$1"); }
client() {
    (umask 027
     burrow token mint --sub "$1" --jwt-hmac-secret-file /etc/burrow/jwt-secret >"/etc/burrow/clients/$1.token"
     cat >"/etc/burrow/clients/$1.yaml" <<END
server-url: ws://127.0.0.1:8080/ws
client-id: $1
bearer-token-file: /etc/burrow/clients/$1.token
local-target: 127.0.0.1:7000
END
     chgrp burrow /etc/burrow/clients/*)
    systemctl start "burrow-client@$1"
}
"""


def files_of(root):
    """All files and folders, but for what apt and dpkg keep for themselves."""
    found = set()
    for folder, folders, names in os.walk(root.folder):
        inside = folder[len(root.folder):]
        if re.match(r"/(proc|sys|dev|run|tmp|root|var/(cache|log|lib/(apt|dpkg|systemd)|tmp))(/|$)", inside):
            folders.clear()
            continue
        found.update(os.path.join(inside, n) for n in folders + names)
    return found


def test_two_builds_are_equal(debs, tmp_path):
    run(os.path.join(ROOT, "packaging", "deb", "build.sh"), tmp_path)
    names = [n for n in os.listdir(debs) if n.endswith((".deb", ".dsc", ".tar.xz"))]
    assert len(names) >= len(PACKAGES) + 3
    for name in names:
        assert run("cmp", os.path.join(debs, name), tmp_path / name) == ""


def test_lintian_has_nothing_to_say(debs):
    (changes,) = [n for n in os.listdir(debs) if n.endswith(".changes")]
    done = subprocess.run(["lintian", "--pedantic", "--display-info", "--fail-on", "error,warning,info,pedantic",
                           "--tag-display-limit", "0", "--allow-root", os.path.join(debs, changes)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_server_and_client_run_by_the_installed_files_alone(debs, root):
    root.install(debs, "burrow")
    log = root.boot(COMMON + r"""
systemctl is-enabled burrow-server && exit 1   # nothing starts unasked
systemctl is-active burrow-server && exit 1
burrow check-config server && exit 1           # the file as installed names a secret that is not there
secret /etc/burrow/jwt-secret
burrow check-config server
systemctl start burrow-server                   # returns when it is ready
systemctl show -p User -p StatusText burrow-server
client web
until_true bridge web
port=$(sed 's/.*://' /run/bridge)
echoes "$port" hello
until_true sh -c "systemctl show -p StatusText burrow-server | grep -q '1 clients'"
# No stream is lost by a reload.
exec 4<>"/dev/tcp/127.0.0.1/$port"; echo before >&4; read -r -t 10 line <&4; [ "$line" = before ]
systemctl reload burrow-server
echo after >&4; read -r -t 10 line <&4; [ "$line" = after ]; exec 4>&-
# A server that hangs is restarted by the watchdog, and the client comes back to the same port.
mkdir -p /run/systemd/system/burrow-server.service.d
printf '[Service]\nWatchdogSec=2\n' >/run/systemd/system/burrow-server.service.d/watchdog.conf
systemctl daemon-reload; systemctl restart burrow-server
old=$(systemctl show -P MainPID burrow-server)
kill -STOP "$old"
until_true sh -c "[ \"\$(systemctl show -P MainPID burrow-server)\" != $old ] && systemctl -q is-active burrow-server"
until_true bridge web
echoes "$(sed 's/.*://' /run/bridge)" again
# Both end in order.
systemctl stop burrow-client@web burrow-server
[ "$(systemctl show -P Result burrow-client@web)" = success ]
journalctl -u burrow-server -o cat --no-pager | grep -q 'event=stopped'
echo DONE
""")
    assert "User=burrow" in log


def test_socket_activation_and_credentials_as_the_units_say(debs, root):
    root.install(debs, "burrow")
    unit = root.read("lib/systemd/system/burrow-server.service")
    hints = re.findall(r"^#((?:LoadCredential|Environment)=.*)$", unit, re.M)
    assert len(hints) == 2
    root.write("etc/systemd/system/burrow-server.service.d/secret.conf", "[Service]\n" + "\n".join(hints) + "\n")
    root.boot(COMMON + r"""
secret /etc/burrow/jwt-secret
chown root:root /etc/burrow/jwt-secret; chmod 600 /etc/burrow/jwt-secret
sed -i '/^jwt-hmac-secret-file/d' /etc/burrow/burrow.yaml
systemctl start burrow-server.socket
systemctl is-active burrow-server && exit 1
curl -sf http://127.0.0.1:8080/healthz          # starts it
systemctl is-active burrow-server
client web
until_true bridge web
echoes "$(sed 's/.*://' /run/bridge)" hello
# While it restarts nobody is refused.
for i in 1 2 3; do systemctl restart burrow-server & curl -sf http://127.0.0.1:8080/healthz; wait; done
echo DONE
""")


def test_an_upgrade_keeps_what_was_changed_and_a_purge_leaves_nothing(debs, root):
    root.inside("apt-get", "-qq", "update")
    before = files_of(root)
    root.install(debs, "burrow")
    root.write("etc/burrow/burrow.yaml", "bridge-host: 127.0.0.1\n# mine\n")
    root.write("etc/burrow/jwt-secret", "mine")
    # The same again is what dpkg does in an upgrade: conffiles are looked at, scripts run.
    (deb,) = [f for f in os.listdir(debs) if f.startswith("burrow_") and f.endswith(".deb")]
    run("cp", os.path.join(debs, deb), root.path("/" + deb))
    root.inside("dpkg", "--install", "/" + deb)
    os.remove(root.path("/" + deb))
    assert "# mine" in root.read("etc/burrow/burrow.yaml")
    root.inside("dpkg", "--remove", "burrow")
    assert "# mine" in root.read("etc/burrow/burrow.yaml") and not os.path.exists(root.path("usr/bin/burrow"))
    root.inside("dpkg", "--purge", "burrow")
    root.inside("apt-get", "-qq", "-y", "autoremove", "--purge")
    left = files_of(root) - before
    assert {name for name in left if "burrow" in name} == set()
    assert "burrow" not in root.read("etc/passwd") and "burrow" not in root.read("etc/group")


def test_each_package_brings_its_plugins(installed):
    listed = {line.split()[0] for line in installed.inside("burrow", "plugins").splitlines() if line}
    plugins = {name for name in os.listdir(os.path.join(ROOT, "plugins"))
               if name.startswith(("transport-", "auth-", "registry-", "command-"))}
    assert plugins <= listed
    owners = {name: installed.inside("sh", "-c", f"dpkg -S /usr/lib/*/burrow/plugins/{name}.so").split(":")[0]
              for name in plugins}
    apart = {"auth-jwks": "burrow-plugin-jwks", "auth-http": "burrow-plugin-jwks",
             "registry-kubernetes": "burrow-plugin-kubernetes", "command-expose": "burrow-plugin-kubernetes"}
    assert owners == {name: apart.get(name, "burrow") for name in plugins}


def test_manual_pages_are_there_and_render_without_a_warning(installed):
    pages = {"burrow.1", "burrow-token.1", "burrow-conformance.1", "burrow.yaml.5", "burrow-plugins.7",
             "burrow-server.8", "burrow-client.8", "burrow-expose.1"}
    found = set()
    for section in "1578":
        folder = installed.path(f"usr/share/man/man{section}")
        found |= {name.removesuffix(".gz") for name in os.listdir(folder) if name.startswith("burrow")}
    assert found == pages
    for page in sorted(pages):
        name, section = page.rsplit(".", 1)
        said = installed.inside("sh", "-c", "LC_ALL=C.UTF-8 MANROFFSEQ= MANWIDTH=80 man --warnings -E UTF-8 -l "
                                f"-Tutf8 -Z /usr/share/man/man{section}/{page}.gz 2>&1 >/dev/null")
        assert said == "", page
        assert name.upper() in installed.inside("sh", "-c", f"LC_ALL=C.UTF-8 man {section} {name} | head -1").upper()


# What is typed, and words that the shell must offer for it.
TYPED = [("burrow ser", {"server"}), ("burrow server --bridge-h", {"--bridge-host"}),
         ("burrow server --log-format ", {"json", "logfmt"}), ("burrow token ", {"mint", "inspect", "verify"}),
         ("burrow client --local-t", {"--local-target"})]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_of(installed, shell):
    scripts = {"bash": BASH, "zsh": ZSH, "fish": 'complete -C "$argv[1]" | string split -f1 \\t; true'}
    for typed, words in TYPED:
        offered = installed.inside(shell, *(["-f"] if shell == "zsh" else []), "-c", scripts[shell],
                                   *([shell] if shell != "fish" else []), typed)
        assert words <= set(offered.split()), f"{typed!r}: {offered}"


# As bash does: the completion is loaded for the command's name, and given the words.
BASH = r"""
. /usr/share/bash-completion/bash_completion
_completion_loader burrow
read -ra COMP_WORDS <<<"$1"
case $1 in *' ') COMP_WORDS+=('') ;; esac
COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$1 COMP_POINT=${#1}
function=$(complete -p burrow | sed 's/.*-F \([^ ]*\) .*/\1/')
"$function" burrow "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
printf '%s\n' "${COMPREPLY[@]}"
"""

# A zsh on a terminal of its own, to which the words and TAB are typed.
ZSH = r"""
zmodload zsh/zpty
zpty -b shell zsh -f -i
zpty -w shell 'autoload -Uz compinit; compinit -u -D; zstyle ":completion:*" list-prompt ""; LISTMAX=9999; TERM=dumb; PS1=; stty columns 200; echo RE""ADY'
collected=
for i in {1..300}; do
    zpty -r -t shell chunk && collected+=$chunk
    [[ $collected == *READY* ]] && break
    sleep 0.1
done
collected=
zpty -w -n shell "$1"$'\t\t'
for i in {1..100}; do
    if zpty -r -t shell chunk; then collected+=$chunk; idle=0; else (( ++idle > 15 )) && [[ $collected != "" ]] && break; sleep 0.1; fi
done
zpty -d shell
print -r -- "$collected" | tr -d '\r\007' | sed 's/\x1b\[[0-9;?]*[a-zA-Z]//g'
"""


def test_a_plugin_is_built_with_the_installed_sdk(installed):
    said = installed.inside("sh", "-c", "rm -rf /tmp/mine && cp -r /usr/share/burrow/sdk/template /tmp/mine && "
                            "cd /tmp/mine && cmake -S . -B build && cmake --build build && "
                            "ctest --test-dir build --output-on-failure")
    assert "100% tests passed" in said


def test_units_are_sound_and_locked_in(installed):
    for unit in ("burrow-server.service", "burrow-client@.service"):
        said = run("systemd-analyze", f"--root={installed.folder}", "security", "--offline=true", unit)
        score = float(re.search(r"exposure level for \S+: ([\d.]+)", said)[1])
        assert score <= 1.5, said
    said = installed.inside("systemd-analyze", "verify", "--man=yes", "burrow-server.service", "burrow-server.socket",
                            "burrow-client@web.service")
    assert said.strip() == ""


def test_only_the_services_group_looks_into_the_configuration(installed):
    said = installed.inside("stat", "-c", "%a %U:%G", "/etc/burrow", "/etc/burrow/clients")
    assert said.split("\n")[:2] == ["750 root:burrow", "750 root:burrow"]
