# SPDX-License-Identifier: Apache-2.0
"""A child process whose standard error is read line by line, so that callers wait for what
it says (`event=listening …`) instead of for time to pass."""
import re
import signal
import subprocess
import threading
import time

from harness.wait import PATIENCE

PAIR = re.compile(r'([A-Za-z_][\w.-]*)=("(?:[^"\\]|\\.)*"|\S*)')
SANITIZER = re.compile(r"(AddressSanitizer|ThreadSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|runtime error:)")


def parse_logfmt(line):
    """The fields of one logfmt line; quoted values are unescaped."""
    fields = {}
    for key, value in PAIR.findall(line):
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        fields[key] = value
    return fields


class ProcessError(AssertionError):
    pass


class Process:
    def __init__(self, name, argv, env=None, cwd=None, pass_fds=()):
        self.name, self.argv = name, [str(a) for a in argv]
        self.lines, self.events = [], []  # appended by the reader only
        self._news = threading.Condition()
        self._closed = False
        self._end_seen = False  # a caller knows how it ended
        self.popen = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.PIPE, env=env, cwd=cwd, pass_fds=pass_fds)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self):
        return self.popen.pid

    @property
    def log(self):
        return "\n".join(self.lines)

    def _read(self):
        for raw in self.popen.stderr:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            with self._news:
                self.lines.append(line)
                fields = parse_logfmt(line)
                if "event" in fields:
                    self.events.append(fields)
                self._news.notify_all()
        with self._news:
            self._closed = True
            self._news.notify_all()

    def _matching(self, event, after, fields):
        return [e for e in self.events[after:]
                if e["event"] == event and all(e.get(k) == str(v) for k, v in fields.items())]

    def mark(self):
        """A place in the stream of events, for wait_event(after=…)."""
        with self._news:
            return len(self.events)

    def _wait(self, find, what, seconds):
        deadline = time.monotonic() + seconds
        with self._news:
            while True:
                found = find()
                if found:
                    return found
                left = deadline - time.monotonic()
                if self._closed or left <= 0:
                    why = "it ended" if self._closed else f"{seconds} s passed"
                    raise ProcessError(f"{self.name}: no {what}: {why}\n{self.log}")
                self._news.wait(left)

    def wait_event(self, event, seconds=PATIENCE, after=0, **fields):
        """The first event of this name and these fields from place `after` on."""
        return self.wait_events(event, 1, seconds, after, **fields)[0]

    def wait_events(self, event, count, seconds=PATIENCE, after=0, **fields):
        """All events of this name and these fields from place `after` on, when there are so many. What another
        process has said already may be read later: who counts on an event waits for it."""
        def find():
            found = self._matching(event, after, fields)
            return found if len(found) >= count else None
        return self._wait(find, f"{count} times event={event} {fields}", seconds)

    def wait_line(self, text, seconds=PATIENCE):
        """The first line that holds this text."""
        return self._wait(lambda: next((line for line in self.lines if text in line), None), repr(text), seconds)

    def seen(self, event, after=0, **fields):
        """Such events as have been read so far: for what must not have happened, and how often at most."""
        with self._news:
            return self._matching(event, after, fields)

    def wait(self, seconds=PATIENCE):
        """The exit code; its whole log has been read then."""
        try:
            code = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ProcessError(f"{self.name}: still running after {seconds} s\n{self.log}") from None
        self._reader.join(PATIENCE)
        assert not self._reader.is_alive(), f"{self.name} has ended, and somebody holds its standard error"
        self._end_seen = True
        return code

    def running(self):
        return self.popen.poll() is None

    def signal(self, number):
        self.popen.send_signal(number)

    def kill(self):
        """SIGKILL: the peer learns it only from the sockets."""
        self.popen.kill()
        self.wait()

    def stop(self, seconds=PATIENCE):
        """SIGTERM; the exit code must be 0 within the deadline. Does nothing after wait or kill."""
        if self.running():
            self.signal(signal.SIGTERM)
        elif self._end_seen:
            return
        try:
            code = self.wait(seconds)
        except ProcessError:
            self.kill()
            raise
        if code != 0:
            raise ProcessError(f"{self.name}: exit code {code} after SIGTERM\n{self.log}")

    def check_sanitizers(self):
        if SANITIZER.search(self.log):
            raise ProcessError(f"{self.name}: a sanitizer spoke\n{self.log}")

    def memory_kib(self, field="VmHWM"):
        """VmHWM is the peak of the resident set, VmRSS the present one."""
        with open(f"/proc/{self.pid}/status") as status:
            for line in status:
                if line.startswith(field + ":"):
                    return int(line.split()[1])
        raise ProcessError(f"{self.name}: no {field}")
