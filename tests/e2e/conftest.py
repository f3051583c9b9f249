# SPDX-License-Identifier: Apache-2.0
"""The end-to-end tests: real processes, real sockets, real programs as their users.

    make e2e                                              the release build
    BURROW_BUILD=build/asan python3 -m pytest tests/e2e   another build, one test after the other

Sizes shrink under sanitizers. With CI=true a skipped test fails the run. At the end of each test every
burrow process must have ended by SIGTERM with code 0, and without a word from a sanitizer."""
import contextlib
import os
import random
import socket
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))

pytest.register_assert_rewrite("every_option", "every_option_of_client", "every_option_of_plugins",
                               "every_option_of_server")

from harness.burrow import TRANSPORTS, Burrow  # noqa: E402
from harness.world import burrow, pytest_runtest_makereport, pytest_sessionfinish, world  # noqa: E402, F401


def pytest_configure(config):
    config.addinivalue_line("markers", "plain_build: not for a build with sanitizers")


def pytest_collection_modifyitems(config, items):
    """Tests marked plain_build are none of a build with sanitizers: left out, not skipped. Groups that one process
    runs come first, or it is alone with them at the end."""
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)
    out = [item for item in items if item.get_closest_marker("plain_build")]
    build = os.environ.get("BURROW_BUILD") or os.path.join(ROOT, "build", "release")
    if out and Burrow(build, "").sanitized:
        items[:] = [item for item in items if item not in out]
        config.hook.pytest_deselected(items=out)


@pytest.fixture(scope="session")
def sized(burrow):
    """sized(full, small): full for a plain build, small under sanitizers."""
    return lambda full, small: small if burrow.sanitized else full


@pytest.fixture(scope="session")
def free_port():
    """For programs that cannot choose a port themselves and tell it."""
    # Of those that the kernel gives to nobody who asks for any: what is free now stays so.
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        first = int(file.read().split()[0])

    def choose():
        while True:
            port = random.randrange(10000, first)
            with socket.socket() as sock, contextlib.suppress(OSError):
                sock.bind(("0.0.0.0", port))
                return port
    return choose


@pytest.fixture(params=TRANSPORTS)
def transport(request):
    return request.param
