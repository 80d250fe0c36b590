"""The claims that a check of the system makes: each is printed with its outcome, and together they decide the exit code."""

import signal
import sys

outcomes = []


def check(claim, holds, found=""):
    outcomes.append(bool(holds))
    print(f"ok      {claim}" if holds else f"FAILED  {claim}\n        found: {found}", flush=True)


def all_hold():
    """Whether nothing has failed so far, and no exception is on its way."""
    return all(outcomes) and sys.exc_info()[0] is None


def run_check(main):
    """Runs a check, and ends with 0 if it made claims and all hold. Whoever ends this script ends its servers too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
    print(f"{outcomes.count(True)} passed, {outcomes.count(False)} failed")
    sys.exit(0 if outcomes and all(outcomes) else 1)
