# SPDX-License-Identifier: Apache-2.0
"""The tests of what breaks: networks, processes, limits of the system, many clients. They need root, for
network namespaces of their own.

    make faults                  the short form, minutes
    BURROW_LONG=1 make faults    the long form, hours: a hundred of each fault, 5,000 clients

The times that matter are printed. What a loaded machine adds to them is allowed for by BURROW_FAULT_SLACK
seconds; 0.25 in the long form, which wants a machine of its own, and 3 in the short one."""
import os
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness.world import burrow, pytest_runtest_makereport, pytest_sessionfinish, world  # noqa: E402, F401
from network import Network  # noqa: E402

LONG = os.environ.get("BURROW_LONG") == "1"


@pytest.fixture(scope="session")
def sized():
    """sized(full, small): full in the long form."""
    return lambda full, small: full if LONG else small


@pytest.fixture(scope="session")
def slack():
    return float(os.environ.get("BURROW_FAULT_SLACK") or (0.25 if LONG else 3))


@pytest.fixture
def network():
    network = Network()
    yield network
    network.close()


@pytest.fixture
def say(capsys):
    """Prints a line past pytest's capture."""
    def say(text):
        with capsys.disabled():
            print("\n    " + text, end="", flush=True)
    return say
