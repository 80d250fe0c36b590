"""Servers that the checks start and stop: the local run, and whatever is tried beside it."""

import os
import pathlib
import signal
import socket
import subprocess
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
LIMIT = 120  # seconds that anything may take; what is well takes a few


class Server:
    """A process that serves until it is told to stop, with all that it starts."""

    def __init__(self, name, command, logs):
        self.name = name
        self.log = open(logs / f"{name}.log", "w+", encoding="utf-8", errors="replace")
        # A session of its own: a Ctrl-C in the terminal is for this script, which then stops the servers in order.
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self.seen = threading.Condition()
        self.lines = []
        self.ended = False
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.log.write(line)
            self.log.flush()
            with self.seen:
                self.lines.append(line.strip())
                self.seen.notify_all()
        with self.seen:
            self.ended = True
            self.seen.notify_all()

    def await_line(self, wanted):
        with self.seen:
            self.seen.wait_for(lambda: self.ended or any(wanted(line) for line in self.lines), LIMIT)
            if not any(wanted(line) for line in self.lines):
                raise SystemExit(f"{self.name} did not start")

    def stop(self):
        started = descendants(self.process.pid)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                print(f"{self.name} does not stop and is killed")
                self.process.kill()
                self.process.wait()
        # Functions run in sessions of their own; none may outlive the one who started it.
        for pid in started:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def show(self):
        self.log.seek(0)
        print(f"---- the last lines of {self.name} ----", *self.log.read().splitlines()[-60:], sep="\n")


def descendants(pid):
    """The processes that a process started, and those that they started. Empty where there is no /proc."""
    children = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name stands in parentheses and may hold anything; the parent comes second behind it.
            parent = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found, left = [], [pid]
    while left:
        new = children.get(left.pop(), [])
        found += new
        left += new
    return found


def is_open(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
