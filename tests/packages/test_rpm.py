# SPDX-License-Identifier: Apache-2.0
"""The RPM packages, built and installed by Debian's rpm into a root that has what their scriptlets call."""
import os
import shutil
import subprocess

from conftest import OLDER, PLUGIN_KINDS, ROOT, run

LIBRARIES = ["libcurl4", "libev4", "libjansson4", "libjose0", "libssl3", "libwebsockets-evlib-ev",
             "libwebsockets17", "libyaml-0-2"]


def binaries(folder):
    return sorted(os.path.join(folder, n) for n in os.listdir(folder) if n.endswith(".rpm") and ".src." not in n)


def named(folder, name):
    (found,) = [f for f in binaries(folder) if run("rpm", "-qp", "--qf", "%{NAME}", f) == name]
    return found


def test_rpmlint_has_nothing_to_say_that_is_not_explained(rpms):
    done = subprocess.run(["rpmlint", "--strict", "--ignore-unused-rpmlintrc", "--config",
                           os.path.join(ROOT, "packaging", "rpm", "rpmlint.toml"),
                           *(os.path.join(rpms, n) for n in os.listdir(rpms) if n.endswith(".rpm"))],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_two_builds_of_rpms_have_the_same_files(rpms, tmp_path):
    run(os.path.join(ROOT, "packaging", "rpm", "build.sh"), tmp_path)
    for first in binaries(rpms):
        assert run("cmp", first, tmp_path / os.path.basename(first)) == ""


def test_split_plugins_need_their_abi(rpms):
    assert "burrow(plugin-abi) = 0" in run("rpm", "-qp", "--provides", named(rpms, "burrow"))
    for name in ("burrow-plugin-jwks", "burrow-plugin-kubernetes"):
        needed = run("rpm", "-qp", "--requires", named(rpms, name)).splitlines()
        assert "burrow(plugin-abi) = 0" in needed and not any(n.split()[0] == "burrow" for n in needed)


# Of the service's group, closed to others; all else is root's, and the plugins nobody else may write.
OWN = {"/etc/burrow": "drwxr-x--- root burrow", "/etc/burrow/clients": "drwxr-x--- root burrow",
       "/etc/burrow/burrow.yaml": "-rw-r----- root burrow"}
PLUGINS = {"auth-jwks": "burrow-plugin-jwks", "auth-http": "burrow-plugin-jwks",
           "registry-kubernetes": "burrow-plugin-kubernetes", "command-expose": "burrow-plugin-kubernetes"}


def test_files_and_owners_are_as_specified(rpms):
    where = {}
    for file in binaries(rpms):
        name = run("rpm", "-qp", "--qf", "%{NAME}", file)
        said = run("rpm", "-qp", "--qf", "[%{FILENAMES} %{FILEMODES:perms} %{FILEUSERNAME} %{FILEGROUPNAME}\\n]", file)
        for line in said.splitlines():
            path, told = line.split(" ", 1)
            where[path] = name
            usual = {"d": "drwxr-xr-x", "l": "lrwxrwxrwx"}.get(told[0])
            allowed = [usual] if usual else ["-rw-r--r--", "-rwxr-xr-x"]
            assert told == OWN[path] if path in OWN else told in [f"{mode} root root" for mode in allowed], line
    assert set(OWN) <= set(where)
    for name in os.listdir(os.path.join(ROOT, "plugins")):
        if name.startswith(PLUGIN_KINDS):
            assert where[f"/usr/lib64/burrow/plugins/{name}.so"] == PLUGINS.get(name, "burrow")
    for path, name in {"/usr/bin/burrow": "burrow", "/usr/bin/burrow-conformance": "burrow-devel",
                       "/usr/lib/systemd/system/burrow-server.service": "burrow",
                       "/usr/lib/systemd/system/burrow-server.socket": "burrow",
                       "/usr/lib/systemd/system/burrow-client@.service": "burrow",
                       "/usr/share/man/man1/burrow-expose.1.gz": "burrow-plugin-kubernetes"}.items():
        assert where[path] == name
    assert run("rpm", "-qp", "--configfiles", named(rpms, "burrow")).split() == ["/etc/burrow/burrow.yaml",
                                                                                 "/etc/default/burrow-server"]


def test_installed_upgraded_and_erased_as_specified(rpms, older_rpms, root):
    """By rpm in the root, under a running systemd, so that the scripts have all that they call."""
    root.inside("apt-get", "-qq", "update")
    root.inside("apt-get", "-qq", "-y", "--no-install-recommends", "install", "rpm", *LIBRARIES)
    for folder, kept in ((rpms, "new"), (older_rpms, "old")):
        os.mkdir(root.path(kept))
        for file in binaries(folder):
            shutil.copy(file, root.path(kept))
    plugins = [n for n in os.listdir(os.path.join(ROOT, "plugins")) if n.startswith(PLUGIN_KINDS)]
    log = root.boot(f"older={OLDER} plugins='{' '.join(plugins)}'\n" + r"""
rpm --initdb
rpm --nodeps --install /old/*.rpm
getent passwd burrow                            # made before the files that are its group's
stat -c '%a %U:%G %n' /etc/burrow /etc/burrow/clients /etc/burrow/burrow.yaml
systemctl is-active burrow-server && exit 1     # nothing starts unasked
for plugin in $plugins; do burrow plugins info $plugin >/dev/null; done
secret /etc/burrow/jwt-secret
systemctl start burrow-server
systemctl reload burrow-server
client web
until_true bridge web
echoes "$(sed 's/.*://' /run/bridge)" hello
echo '# mine' >>/etc/burrow/burrow.yaml
[[ $(burrow version) == "burrow $older "* ]]
pids=$(systemctl show -P MainPID burrow-server burrow-client@web | grep .)  # without the empty line between
rpm --nodeps --upgrade /new/*.rpm
rpm --query --all 'burrow*'
[[ $(burrow version) != "burrow $older "* ]]
grep -Fx "$pids" <(systemctl show -P MainPID burrow-server burrow-client@web) && exit 1
until_true bridge web
echoes "$(sed 's/.*://' /run/bridge)" again
grep '# mine' /etc/burrow/burrow.yaml
grep 'of the older version' /etc/default/burrow-server && exit 1
rpm --verify --nodeps $(rpm --query --all 'burrow*') | tee /run/changed
[ "$(sed 's/.* //' /run/changed)" = /etc/burrow/burrow.yaml ]
rpm --erase $(rpm --query --all --qf '%{NAME}
' 'burrow*')
systemctl is-active burrow-server burrow-client@web && exit 1
grep '# mine' /etc/burrow/burrow.yaml.rpmsave
find /usr /var/lib/systemd -name '*burrow*' | tee /run/left
[ ! -s /run/left ]
echo DONE
""")
    for line in ("750 root:burrow /etc/burrow", "750 root:burrow /etc/burrow/clients", "640 root:burrow /etc/burrow/burrow.yaml"):
        assert line in log.splitlines()
