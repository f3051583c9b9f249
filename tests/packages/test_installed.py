# SPDX-License-Identifier: Apache-2.0
"""All packages together in a Debian 12: each documented path, option, page, completion and unit is tried as
installed."""
import os
import re
import subprocess
import sys

import pytest

from conftest import PLUGIN_KINDS, ROOT, run

sys.path.insert(0, os.path.join(ROOT, "packaging"))
from describe import describe  # noqa: E402


def test_each_package_brings_its_plugins(installed):
    listed = {line.split()[0] for line in installed.inside("burrow", "plugins").splitlines() if line}
    plugins = {name for name in os.listdir(os.path.join(ROOT, "plugins"))
               if name.startswith(PLUGIN_KINDS)}
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
    _, commands = describe(installed.path("usr/bin/burrow"))
    typed = TYPED + [("burrow ", set(commands))]
    typed += [(f"burrow {c.name} --", {"--" + o["name"] for o in c.options}) for c in commands.values() if c.options]
    for text, words in typed:
        offered = installed.inside(shell, *(["-f"] if shell == "zsh" else []), "-c", scripts[shell],
                                   *([shell] if shell != "fish" else []), text)
        assert words <= set(offered.split()), f"{text!r}: {offered}"


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
zpty -w shell 'autoload -Uz compinit; compinit -u -D; LISTMAX=9999; TERM=dumb; PS1=; stty columns 200; echo RE""ADY'
collected=
for i in {1..300}; do
    zpty -r -t shell chunk && collected+=$chunk
    [[ $collected == *READY* ]] && break
    sleep 0.1
done
collected=
zpty -w -n shell "$1"$'\t\t'
for i in {1..2000}; do
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


# What stands in documents as an example of what an administrator makes, and where an rpm has its documents.
EXAMPLES = {"/etc/burrow/clients/web", "/etc/burrow/clients/web.token", "/etc/burrow/clients/web.yaml",
            "/etc/burrow/jwt-secret", "/etc/burrow/secret", "/etc/burrow/pg.token",
            "/etc/burrow/clients/NAME.yaml", "/etc/default/burrow-client-NAME", "/usr/share/doc/burrow-doc-VERSION"}


def test_each_documented_path_is_there(installed):
    texts = [os.path.join(ROOT, "docs", "packages.md"), os.path.join(ROOT, "packaging", "burrow.yaml")]
    manuals = os.path.join(ROOT, "packaging", "man")
    texts += [os.path.join(manuals, name) for name in os.listdir(manuals) if name.endswith(".in")]
    found = set()
    for name in texts:
        with open(name, encoding="utf-8") as file:
            found |= set(re.findall(r"(?<![\w.:/])/(?:etc|usr|lib)/[\w./@-]*\w", file.read().replace("\\-", "-")))
    assert {"/etc/burrow/burrow.yaml", "/etc/burrow/clients/web.yaml", "/usr/share/burrow/sdk"} <= found
    missing = {path for path in found - EXAMPLES if not os.path.exists(installed.path(path))}
    assert {p for p in missing if not re.search(r"/(cert|key)\.pem$", p)} == set()


def test_the_documents_are_there(installed):
    documents = [name for name in os.listdir(os.path.join(ROOT, "docs")) if name != "Doxyfile"]
    assert documents
    for name in documents:
        assert any(os.path.exists(installed.path(f"usr/share/doc/burrow/{name}{end}")) for end in ("", ".gz")), name


# Each option of server, client and the other commands is given once, and its effect seen.
OPTION_TESTS = ["test_every_option", "test_commands", "test_service_manager", "test_kubernetes_answers", "test_auth_static",
                "test_auth_mtls", "test_auth_http", "test_jwks", "test_expose_dry_run"]


def test_each_option_works_as_installed(installed):
    """By the end-to-end tests, whose program is now the installed one."""
    done = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-n", "2", "--dist", "loadgroup", "--maxfail=3",
                           *(os.path.join(ROOT, "tests", "e2e", name + ".py") for name in OPTION_TESTS)],
                          env={**os.environ, "BURROW_BUILD": installed.path("usr")}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:]
