# SPDX-License-Identifier: Apache-2.0
"""The SDK as strangers have it: an installation in an empty prefix, and nothing else of the tree."""
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.burrow import clean_environment, split_address
from harness.process import Process
from harness.sockets import dial, echo, read_exactly

# Plugins of strangers are not built with sanitizers.
pytestmark = pytest.mark.plain_build

COMPILERS = {"gcc": ("gcc", "C"), "clang": ("clang", "C"), "c++17": ("g++", "CXX")}


@pytest.fixture(scope="module")
def prefix(burrow, tmp_path_factory):
    """A copy of what `cmake --install` puts there."""
    folder = tmp_path_factory.mktemp("prefix")
    subprocess.run(["cmake", "--install", burrow.build, "--prefix", folder], check=True, stdout=subprocess.DEVNULL)
    return folder


def make(prefix, source, build, *arguments):
    """Configures, builds and runs the tests of a project that finds burrow by its prefix."""
    for command in (["cmake", "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}", *arguments],
                    ["cmake", "--build", build],
                    ["ctest", "--test-dir", build, "--output-on-failure"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"


def carry(world, prefix, server, client, token):
    """Bytes go through a tunnel of the installed program, with these flags, and back."""
    program = prefix / "bin" / "burrow"
    target = world.target(echo)
    running = []
    try:
        first = Process("server", [program, "server", *server], env=clean_environment())
        running.append(first)
        addr = first.wait_event("listening", role="main")["addr"]
        url = [word.format(addr=addr) for word in client]
        second = Process("client", [program, "client", "--client-id=a", f"--local-target={target}", *url],
                         env=clean_environment(BURROW_BEARER_TOKEN=token))
        running.append(second)
        bridge = split_address(second.wait_event("service_ready")["bridge"])
        with dial(bridge) as connection:
            connection.sendall(b"by a stranger's plugin")
            assert read_exactly(connection, 22) == b"by a stranger's plugin"
    finally:
        for process in reversed(running):
            process.stop()


def build(prefix, folder, name, compiler):
    """Builds and tests a copy of this project of the SDK's; its folder and its plugin."""
    program, language = COMPILERS[compiler]
    source = folder / "source" / Path(name).name
    shutil.copytree(prefix / "share/burrow/sdk" / name, source)
    if language == "CXX":
        for file in source.glob("*.c"):
            file.with_suffix(".cpp").write_text(re.sub(r'#include "(\w+)\.c"', r'#include "\1.cpp"', file.read_text()))
            file.unlink()
        cmake = source / "CMakeLists.txt"
        cmake.write_text(re.sub(r"\b(\w+)\.c\b", r"\1.cpp", cmake.read_text())
                         .replace("LANGUAGES C", "LANGUAGES CXX").replace("C_STANDARD 11", "CXX_STANDARD 17")
                         .replace("C_EXTENSIONS", "CXX_EXTENSIONS"))
    make(prefix, source, folder / source.name, f"-DCMAKE_{language}_COMPILER={program}")
    plugin, = (folder / source.name).glob("*.so")
    return source, plugin


@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_template_builds_passes_and_lets_a_client_in(world, prefix, tmp_path, compiler):
    _, plugin = build(prefix, tmp_path, "template", compiler)
    carry(world, prefix, [f"--plugin={plugin}", "--auth-template.token=sesame", "--server-addr=127.0.0.1:0"],
          ["--server-url=ws://{addr}/ws"], "sesame")


@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_examples_build_pass_and_carry_a_tunnel(world, prefix, tmp_path, compiler):
    slow, auth = build(prefix, tmp_path, "examples/auth-slow", compiler)
    _, registry = build(prefix, tmp_path, "examples/registry-hosts", compiler)
    _, transport = build(prefix, tmp_path, "examples/transport-unix", compiler)
    socket, hosts = tmp_path / "x.sock", tmp_path / "hosts"
    carry(world, prefix,
          [f"--plugin={transport}", f"--listen=transport-unix=unix:{socket}", "--token-in-register",
           f"--plugin={auth}", f"--auth-slow.program={slow / 'judge.sh'}",
           f"--plugin={registry}", f"--registry-hosts.file={hosts}"],
          [f"--plugin={transport}", f"--server-url=unix://{socket}"], "open-sesame-a")
    assert "client=a port=" in hosts.read_text()


def test_the_guides_plugin_builds_passes_and_lets_a_client_in(world, prefix, tmp_path):
    guide = (prefix / "share/burrow/sdk/plugin-guide.md").read_text()
    blocks = {name: re.findall(rf"^```{name}\n(.*?)^```", guide, re.M | re.S) for name in ("c", "cmake")}
    (tmp_path / "auth_door.c").write_text("\n".join(blocks["c"]))
    (tmp_path / "CMakeLists.txt").write_text("\n".join(blocks["cmake"]))
    make(prefix, tmp_path, tmp_path / "build", "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror")
    carry(world, prefix,
          [f"--plugin={tmp_path / 'build' / 'auth-door.so'}", "--auth-door.word=sesame", "--server-addr=127.0.0.1:0"],
          ["--server-url=ws://{addr}/ws"], "sesame")
