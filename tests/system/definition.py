#!/usr/bin/env python3
"""Checks the state machine's definition as far as that goes without AWS: its form, and what its tasks try again."""

import json
import logging
import pathlib
import subprocess
import sys
import tempfile

from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEFINITION = ROOT / "statemachines" / "campaign.asl.json"
ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
FILTER, SENDER = "${CampaignFilterArn}", "${SenderFunctionArn}"

# Lambda's own errors that pass by themselves.
TRANSIENT = {
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
}
# How a call ends of which nobody knows how far it came. Step Functions sees a crash, or a lack of memory, as ExitError.
CUT_OFF = {"States.Timeout", "Sandbox.Timedout", "Lambda.Unknown", "Runtime.ExitError"}
# The errors of our own that pass, by task. Adding up the answers reads neither the table nor a list.
OURS = {
    "Filter": {"StoreUnavailable", "ObjectUnavailable"},
    "Filter again": {"StoreUnavailable", "ObjectUnavailable"},
    "Report": set(),
}
# The errors of a sender after which a batch is handed over again.
OF_SENDER = {"SenderUnavailable", "BatchStale"}


def states(machine):
    """All states by name, those of a map's children included."""
    for name, state in machine["States"].items():
        yield name, state
        yield from states(state.get("ItemProcessor", {"States": {}}))


def successors(state):
    """The states that may come next."""
    choices = state.get("Choices", []) + state.get("Catch", [])
    found = [state.get("Next"), state.get("Default"), *(choice.get("Next") for choice in choices)]
    return {name for name in found if name is not None}


def gaps(machine):
    """Steps that lead nowhere, and states that no step leads to; in children as well."""
    inner = machine["States"]
    reached, left = set(), [machine["StartAt"]]
    while left:
        name = left.pop()
        if name not in inner:
            yield f"{name}: there is no such state"
        elif name not in reached:
            reached.add(name)
            left += successors(inner[name])
    for name in inner.keys() - reached:
        yield f"{name}: no state leads to it"
    for state in inner.values():
        if "ItemProcessor" in state:
            yield from gaps(state["ItemProcessor"])


def reached(machine, start, without=()):
    """The states that a step from `start` may lead to, sooner or later, though not through those without which it goes."""
    found, left = set(), list(successors(machine["States"][start]))
    while left:
        name = left.pop()
        if name not in found and name not in without:
            found.add(name)
            left += successors(machine["States"].get(name, {}))
    return found


def hand_overs(machine):
    """What would hand a batch to its sender on an old filter, or not again where it should."""
    batches = next(state["ItemProcessor"] for state in machine["States"].values() if state["Type"] == "Map")
    send = batches["States"]["Send"]
    if "Retry" in send:
        yield "Send: tries again by itself, with the contacts of before"
    if "Send" in reached(batches, "Send", without={"Filter again"}):
        yield "Send: is tried again on another way than through Filter again"
    again = {
        error
        for catch in send["Catch"]
        for error in catch["ErrorEquals"]
        if "Filter again" in {catch["Next"]} | reached(batches, catch["Next"], without={"Send"})
    }
    wanted = TRANSIENT | CUT_OFF | OF_SENDER
    if again != wanted:
        yield f"Send: is tried again after {sorted(again)}, not {sorted(wanted)}"
    if send["Catch"][-1]["ErrorEquals"] != ["States.ALL"]:
        yield "Send: an error of the sender ends the run"


def problems(machine):
    yield from gaps(machine)
    yield from hand_overs(machine)
    tasks = {name: state for name, state in states(machine) if state["Type"] == "Task"}
    if set(tasks) != set(OURS) | {"Send"}:
        yield f"the tasks are {sorted(tasks)}, not {sorted(OURS)} and Send"
    for name, task in tasks.items():
        retried = {error for retry in task.get("Retry", []) for error in retry["ErrorEquals"]}
        wanted = TRANSIENT | CUT_OFF | OURS[name] if name in OURS else set()
        if retried != wanted:
            yield f"{name}: tries again {sorted(retried)}, not {sorted(wanted)}"
        for retry in task.get("Retry", []):
            if retry.get("JitterStrategy") != "FULL" or retry.get("BackoffRate", 1) <= 1:
                yield f"{name}: tries again without growing gaps and jitter"
        if "TimeoutSeconds" not in task:
            yield f"{name}: waits for ever"
        if "Catch" in task and name != "Send":
            yield f"{name}: an error of the filter does not end the run"
    for name, state in states(machine):
        # One that is left out is 0. moto does not know whole percentages.
        if state["Type"] == "Map" and any(state.get(f"ToleratedFailure{kind}", 0) for kind in ["Count", "Percentage"]):
            yield f"{name}: tolerates failures"


def main():
    text = DEFINITION.read_text(encoding="utf-8")
    found = list(problems(json.loads(text)))
    whole = text.replace(FILTER, ARN + "filter").replace(SENDER, ARN + "sender")
    if "${" in whole:
        found.append("there is a substitution that the template does not know")
    logging.disable()  # moto tells what it does not do; the test of the pipeline relies on none of it.
    AmazonStateLanguageParser.parse(whole)

    # cfn-lint looks into a definition only where it stands in the template itself.
    template = {
        "Resources": {
            "Campaign": {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": {"RoleArn": "arn:aws:iam::000000000000:role/campaign", "Definition": json.loads(whole)},
            }
        }
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(template, file)
        file.flush()
        linted = subprocess.run(["cfn-lint", "--format", "parseable", file.name], capture_output=True, text=True)
    found += (linted.stdout + linted.stderr).splitlines() if linted.returncode else []
    for problem in found:
        print(f"{DEFINITION.relative_to(ROOT)}: {problem}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
