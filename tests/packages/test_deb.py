# SPDX-License-Identifier: Apache-2.0
"""The Debian packages in a clean Debian 12."""
import json
import os
import re
import subprocess
import sys

from conftest import OLDER, PACKAGES, PLUGIN_KINDS, ROOT, run

with open(os.path.join(ROOT, "docs", "packages.md"), encoding="utf-8") as page:
    DOC = page.read()

def files_of(root):
    """All files and folders, but for what apt and dpkg keep for themselves."""
    found = set()
    for folder, folders, names in os.walk(root.folder):
        inside = folder[len(root.folder):]
        if re.match(r"/(proc|sys|dev|run|tmp|root|var/(cache|log|lib/(apt|dpkg)|tmp))(/|$)", inside):
            folders.clear()
            continue
        found.update(os.path.join(inside, n) for n in folders + names)
    return found


def documented(word):
    """The shell lines of the block in docs/packages.md that has this word."""
    (block,) = [b for b in re.findall(r"^```sh\n(.*?)^```", DOC, re.M | re.S) if word in b]
    return block


def test_two_builds_are_equal(debs, tmp_path):
    run(os.path.join(ROOT, "packaging", "deb", "build.sh"), tmp_path)
    names = [n for n in os.listdir(debs) if n.endswith((".deb", ".dsc", ".tar.xz"))]
    assert len(names) >= len(PACKAGES) + 3
    for name in names:
        assert run("cmp", os.path.join(debs, name), tmp_path / name) == ""
    bills = [tmp_path / "first", tmp_path / "second"]
    for folder, bill in zip((debs, tmp_path), bills):
        run(sys.executable, "-B", os.path.join(ROOT, "packaging", "sbom.py"), folder, bill)
    assert bills[0].read_text(encoding="utf-8") == bills[1].read_text(encoding="utf-8")


def test_lintian_has_nothing_to_say(debs):
    (changes,) = [n for n in os.listdir(debs) if n.endswith(".changes")]
    done = subprocess.run(["lintian", "--pedantic", "--display-info", "--fail-on", "error,warning,info,pedantic",
                           "--tag-display-limit", "0", "--allow-root", os.path.join(debs, changes)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_server_and_client_run_by_the_installed_files_alone(debs, root):
    """Word for word as docs/packages.md says it; packages are installed before, where there is a network."""
    root.install(debs, "burrow")
    server = documented("check-config server").replace("apt-get install ./burrow_*.deb\n", "")
    client = documented("burrow-client@web").replace("127.0.0.1:5432", "127.0.0.1:7000")
    assert server != documented("check-config server") and client != documented("burrow-client@web")
    log = root.boot(f"""
echo 127.0.0.1 server.example >>/etc/hosts
cd /run
systemctl is-enabled burrow-server && exit 1   # nothing starts unasked
systemctl is-active burrow-server && exit 1
burrow check-config server && exit 1           # the file as installed names a secret that is not there
{server}
systemctl show -p User -p StatusText burrow-server
{client}
""" + r"""
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
    for unit in ("burrow-server", "burrow-client@"):
        hints = re.findall(r"^#((?:LoadCredential|Environment)=.*)$", root.read(f"lib/systemd/system/{unit}.service"), re.M)
        assert len(hints) == 2
        root.write(f"etc/systemd/system/{unit}.service.d/secret.conf", "[Service]\n" + "\n".join(hints) + "\n")
    root.boot(r"""
secret /etc/burrow/jwt-secret
chown root:root /etc/burrow/jwt-secret; chmod 600 /etc/burrow/jwt-secret
sed -i '/^jwt-hmac-secret-file/d' /etc/burrow/burrow.yaml
systemctl start burrow-server.socket
systemctl is-active burrow-server && exit 1
curl -sf http://127.0.0.1:8080/healthz          # starts it
systemctl is-active burrow-server
client web
until_true bridge web
chown root:root /etc/burrow/clients/web.token; chmod 600 /etc/burrow/clients/web.token
sed -i '/^bearer-token-file/d' /etc/burrow/clients/web.yaml
systemctl restart burrow-client@web
until_true bridge web
echoes "$(sed 's/.*://' /run/bridge)" hello
# While it restarts nobody is refused (7); whom the old one had accepted when it ended may be cut off.
for i in 1 2 3; do
    systemctl restart burrow-server &
    curl -sf http://127.0.0.1:8080/healthz || [ $? -ne 7 ]
    wait
    curl -sf http://127.0.0.1:8080/healthz
done
echo DONE
""")


def test_an_upgrade_keeps_what_was_changed_and_a_purge_leaves_nothing(debs, older_debs, root):
    root.inside("apt-get", "-qq", "update")
    before = files_of(root)
    # What it depends on comes from the network; then all happens under a running systemd.
    root.install(older_debs, "burrow")
    root.inside("dpkg", "--purge", "burrow")
    (old,) = root.put(older_debs, "burrow")
    (new,) = root.put(debs, "burrow")
    root.boot(f"old={old} new={new} older={OLDER}\n" + r"""
dpkg --install "$old"
systemctl is-active burrow-server && exit 1     # nothing starts unasked
systemctl is-enabled burrow-server && exit 1
secret /etc/burrow/jwt-secret
systemctl enable --now burrow-server.socket
systemctl enable --now burrow-server
client web
systemctl enable burrow-client@web
until_true bridge web
echo '# mine' >>/etc/burrow/burrow.yaml
echo BURROW_LOG_LEVEL=info >/etc/default/burrow-client-web
[[ $(burrow version) == "burrow $older "* ]]
pids=$(systemctl show -P MainPID burrow-server burrow-client@web | grep .)  # without the empty line between
# The default answer to the question about a file that both sides changed: keep it.
dpkg --force-confdef --install "$new"
[[ $(burrow version) != "burrow $older "* ]]
grep -Fx "$pids" <(systemctl show -P MainPID burrow-server burrow-client@web) && exit 1
until_true bridge web
echoes "$(sed 's/.*://' /run/bridge)" hello
grep '# mine' /etc/burrow/burrow.yaml
grep 'of the older version' /etc/default/burrow-server && exit 1  # it was not changed: the new one
dpkg --remove burrow
systemctl is-active burrow-server burrow-server.socket burrow-client@web && exit 1
grep '# mine' /etc/burrow/burrow.yaml
[ -s /etc/burrow/jwt-secret ]
dpkg --purge burrow
getent passwd burrow && exit 1
getent group burrow && exit 1
systemctl list-unit-files 'burrow*' | grep '^0 unit files'
rm "$old" "$new" /etc/systemd/system/echo*
echo DONE
""")
    root.inside("apt-get", "-qq", "-y", "autoremove", "--purge")
    assert {name for name in files_of(root) - before
            if not name.startswith(MADE_BY_THE_BOOT) or "burrow" in name} == set()


# What a first boot and this test itself leave behind.
MADE_BY_THE_BOOT = ("smoke.", "/etc/systemd/system/smoke.service", "/var/lib/systemd/", "/var/lib/private")


def test_the_version_stands_in_one_place(older_tree, older_debs, tmp_path):
    """In the older tree it was changed there; all that is made of it follows."""
    for name in PACKAGES:
        (deb,) = [n for n in os.listdir(older_debs) if n.startswith(name + "_") and n.endswith(".deb")]
        assert run("dpkg-deb", "-f", older_debs / deb, "Version").strip() == f"{OLDER}-1"
        run("dpkg-deb", "-x", older_debs / deb, tmp_path)
    program = tmp_path / "usr" / "bin" / "burrow"
    assert run(program, "version").startswith(f"burrow {OLDER} ")
    lines = [line.split() for line in run(program, "plugins").splitlines() if line.startswith(PLUGIN_KINDS)]
    assert len(lines) >= 13 and {words[1] for words in lines} == {OLDER}
    for page in (tmp_path / "usr" / "share" / "man").glob("man*/*.gz"):
        assert f'"burrow {OLDER}"' in run("zcat", page), page
    (config,) = (tmp_path / "usr" / "lib").glob("*/pkgconfig/burrow-plugin.pc")
    assert f"Version: {OLDER}\n" in config.read_text(encoding="utf-8")
    run(sys.executable, "-B", older_tree / "packaging" / "sbom.py", older_debs, tmp_path / "bill")
    assert json.loads((tmp_path / "bill").read_text(encoding="utf-8"))["name"] == f"burrow-{OLDER}"


def test_packages_of_plugins_need_the_abi_and_nothing_of_a_version(debs):
    def field(package, name):
        (deb,) = [n for n in os.listdir(debs) if n.startswith(package + "_") and n.endswith(".deb")]
        return run("dpkg-deb", "-f", os.path.join(debs, deb), name).strip()

    assert field("burrow", "Provides") == "burrow-plugin-abi-0"
    for package in ("burrow-plugin-jwks", "burrow-plugin-kubernetes"):
        needed = re.split(r", *", field(package, "Depends"))
        assert "burrow-plugin-abi-0" in needed and not any(n.split()[0] == "burrow" for n in needed)
