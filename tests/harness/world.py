# SPDX-License-Identifier: Apache-2.0
"""The servers, clients and targets of one test, and their end; the fixtures and hooks of pytest that every
folder of tests with real processes imports into its conftest.py."""
import os

import pytest

from harness.burrow import Burrow, Client, Server
from harness.sockets import Target

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class World:
    """What one test has started, to be ended after it."""

    def __init__(self, burrow):
        self.burrow, self.processes, self.closing = burrow, [], []

    def server(self, transport="ws", *flags, wait=True, **options):
        server = Server(self.burrow, transport, *flags, **options)
        self.processes.append(server)
        return server.ready() if wait else server

    def client(self, server, target, *flags, wait=True, **options):
        client = Client(self.burrow, server, str(target), *flags, **options)
        self.processes.append(client)
        return client.ready() if wait else client

    def tunnel(self, transport, target, *flags, **options):
        """A server and a client; returns them and the bridge's address."""
        server = self.server(transport, *flags, **options)
        client = self.client(server, target)
        return server, client, client.bridge

    def target(self, handler=None, **options):
        target = Target(handler, **options)
        self.closing.append(target)
        return target

    def end(self):
        errors = []
        for process in reversed(self.processes):
            try:
                process.stop()
                process.check_sanitizers()
            except AssertionError as error:
                errors.append(str(error))
        for thing in self.closing:
            thing.close()
        assert not errors, "\n".join(errors)


@pytest.fixture(scope="session")
def burrow(tmp_path_factory):
    build = os.environ.get("BURROW_BUILD") or os.path.join(ROOT, "build", "release")
    return Burrow(build, tmp_path_factory.mktemp("burrow"))


@pytest.fixture
def world(burrow):
    world = World(burrow)
    yield world
    world.end()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    world = getattr(item, "funcargs", {}).get("world")
    if report.failed and call.when == "call" and world:
        for process in world.processes:
            state = "running" if process.running() else f"exit {process.popen.returncode}"
            report.sections.append((f"log of {process.name} ({state})", "\n".join(process.lines[-200:])))


def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") == "true" and reporter and reporter.stats.get("skipped"):
        print("\nFAIL: with CI=true a skipped test is a failure")
        session.exitstatus = 1
