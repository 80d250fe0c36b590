#!/usr/bin/env python3
"""Takes the tours of README.md and docs/tour.md on the local run, each on one of its own, and compares what is printed.

Expects `cargo build --bin local`, bash and curl.
"""

import difflib
import os
import pathlib
import re
import subprocess
import tempfile

from claims import all_hold, check, run_check
from servers import HOST, ROOT, Server

# Where each tour stands: the file, and the headings that it begins with and ends before.
SHORT_TOUR = ("README.md", "\n## Tour\n", "\n## Test\n")
LONG_TOUR = ("docs/tour.md", "# The long tour\n", "\n## The binaries themselves\n")

# Times are those of the day.
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def binary():
    """The program of the local run."""
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "local"


def steps(place, api):
    """The commands of a tour and what they print, block by block. None is printed where no output follows a block."""
    file, begin, end = place
    text = (ROOT / file).read_text(encoding="utf-8")
    text = text[text.index(begin) : text.index(end)]
    blocks = re.findall(r"^```(sh)?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    commands = [index for index, (kind, _) in enumerate(blocks) if kind == "sh"]
    for index in commands:
        printed = blocks[index + 1] if index + 1 < len(blocks) else ("sh", "")
        shell = blocks[index][1].replace("http://127.0.0.1:3000", api)
        yield shell, None if printed[0] == "sh" else printed[1]


def take(place, api):
    """Runs the commands of a tour, and claims for each block that it printed what the document says."""
    tour = list(steps(place, api))
    script = "\n".join(f"{shell}\nprintf '\\0'" for shell, _ in tour)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL)
    printed = done.stdout.split("\0")
    for (shell, wanted), found in zip(tour, printed, strict=False):
        if wanted is None:
            continue
        wanted, found = (TIME.sub("<time>", text).split("\n") for text in (wanted, found))
        print(*(f"     {line[:160]}" for line in found if line), sep="\n")
        check(
            f"{place[0]}: {shell.strip().splitlines()[0][:70]}",
            wanted == found,
            "\n" + "\n".join(difflib.unified_diff(wanted, found)),
        )
    check(f"{place[0]}: all of the tour was taken", len(printed) == len(tour) + 1, done.stderr)


def main():
    with tempfile.TemporaryDirectory() as logs:
        for place in (SHORT_TOUR, LONG_TOUR):
            anywhere = f"{HOST}:0"
            command = [str(binary()), "--api", anywhere, "--dynamodb", anywhere, "--s3", anywhere]
            server = Server("local", command, pathlib.Path(logs))
            try:
                server.await_line(lambda line: line == "ready")
                take(place, next(line.split()[1] for line in server.lines if line.startswith("api ")))
            finally:
                whole = all_hold()
                server.stop()
                if not whole:
                    server.show()


if __name__ == "__main__":
    run_check(main)
