#!/usr/bin/env python3
"""Sends campaigns through statemachines/campaign.asl.json, and checks that whoever stops in time is spared, however often a
batch is tried.

moto plays Step Functions: it interprets the definition as it stands. What the state machine calls is the local run: its
campaign filter by Lambda's Invoke call, its S3, and its webhook for those who stop. The tenant's sender is in here, so that
it can hold up a campaign at the moments that matter. Expects `cargo build --workspace --bins` and the tools of
`.ci/requirements.txt`.
"""

import collections
import concurrent.futures
import csv
import functools
import http.client
import io
import json
import logging
import pathlib
import sys
import tempfile
import threading
import time
import urllib.parse

import boto3
from botocore.config import Config
from claims import all_hold, check, run_check
from moto import mock_aws
from servers import LIMIT, ROOT, Server

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
FILTER, SENDER = ARN + "campaign-filter", ARN + "sender"
BUCKET = "campaigns"
# The most bytes that Step Functions carries from state to state.
LIMIT_OF_STATES = 256 * 1024
# How many batches are under way at once; the definition says so.
AT_ONCE = 20


class Local:
    """The local run, as its callers see it."""

    def __init__(self, server):
        places = dict(line.split(None, 1) for line in server.lines if " " in line)
        self.api = urllib.parse.urlsplit(places["api"]).netloc
        keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any", "region_name": "us-east-1"}
        # One attempt: trying again is the state machine's business.
        config = Config(
            retries={"total_max_attempts": 1},
            read_timeout=LIMIT,
            max_pool_connections=2 * AT_ONCE,
            s3={"addressing_style": "path"},
        )
        self.lambda_ = boto3.client("lambda", endpoint_url=places["api"], config=config, **keys)
        self.s3 = boto3.client("s3", endpoint_url=places["s3"], config=config, **keys)
        # When each customer's STOP was acknowledged.
        self.stopped = {}

    def stop(self, phones):
        """Customers send STOP, several at once, and the webhook acknowledges each."""

        def send(phone):
            connection = http.client.HTTPConnection(self.api, timeout=LIMIT)
            try:
                connection.request("POST", "/local/messages", json.dumps({"from": phone.lstrip("+"), "text": "STOP"}))
                status = connection.getresponse().status
            finally:
                connection.close()
            if status != 200:
                raise RuntimeError(f"a STOP was answered with {status}")
            self.stopped[phone] = time.monotonic()

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(send, phones))

    def put(self, key, body):
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)

    def read(self, key):
        return self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


class Run:
    """One execution of the state machine. Plays the sender, and sees every call of the filter on its way."""

    def __init__(self, local, campaign, phones, category="marketing", extra=(), note="x" * 1_000):
        self.local, self.campaign = local, campaign
        # Long rows, so that there are more batches than can be under way at once.
        rows = io.StringIO()
        table = csv.writer(rows)
        table.writerow(["name", "phone", "note"])
        table.writerows([f"customer {number}", phone, note] for number, phone in enumerate([*phones, *extra]))
        # Whatever belongs to a tenant stands below its id.
        self.folder = f"demo/{campaign}"
        # A note may hold bytes that are no UTF-8.
        local.put(f"{self.folder}.csv", rows.getvalue().encode("utf-8", "surrogateescape"))
        # The most bytes that went to a function or came from it, as JSON.
        self.largest = 0
        self.input = {
            "tenant_id": "demo",
            "campaign_id": campaign,
            "category": category,
            "source": {"bucket": BUCKET, "key": f"{self.folder}.csv", "format": "csv", "column": "phone"},
            "destination": {"bucket": BUCKET, "prefix": self.folder},
        }
        self.changed = threading.Condition()
        self.filtered = None
        # By the number of the batch: when its last call of the filter began; whom the sender got, each time; and when the
        # filter had begun that said so.
        self.begun, self.handed, self.filtered_since = {}, collections.defaultdict(list), collections.defaultdict(list)
        # How the sender answers some batches, and the filter some late calls, by the number of the batch.
        self.sender_says, self.filter_says = {}, {}
        self.says = lambda contacts: {"sent": len(contacts), "failed": []}
        self.hold = threading.Event()
        self.hold.set()
        self.whole_list_asked = self.whole_list_answered = lambda: None

    def batches(self):
        return json.loads(self.local.read(f"{self.folder}/batches.json"))

    def rows(self, batch):
        """The phones in a batch's stretch of the eligible."""
        text = self.local.read(f"{self.folder}/eligible.csv")
        text = text[batch["first_byte"] : batch["last_byte"] + 1].decode(errors="replace")
        return [row[1] for row in csv.reader(io.StringIO(text))]

    def invoke(self, FunctionName, Payload, **_):
        """Lambda's Invoke call, as the interpreter makes it."""
        event = json.loads(Payload)
        self.largest = max(self.largest, bytes_of(event))
        if FunctionName == SENDER:
            return self.send(event)
        if FunctionName != FILTER:
            raise RuntimeError(f"nobody is called {FunctionName}")
        if "report" in event:
            return self.filter(event)
        if "first_byte" in event["source"]:
            batch = event["source"]["batch"]
            self.begun[batch] = time.monotonic()
            says = self.filter_says.get(batch, [])
            return error(says.pop(0)) if says else self.filter(event)
        self.whole_list_asked()
        answer = self.filter(event)
        payload = answer["Payload"].read()
        self.filtered = json.loads(payload)
        self.whole_list_answered()
        return answer | {"Payload": io.BytesIO(payload)}

    def filter(self, event):
        answer = self.local.lambda_.invoke(FunctionName=FILTER, Payload=json.dumps(event).encode())
        payload = answer["Payload"].read()
        self.largest = max(self.largest, bytes_of(json.loads(payload)))
        return answer | {"Payload": io.BytesIO(payload)}

    def send(self, event):
        """The tenant's sender. It waits while it is held."""
        batch, contacts = event["batch"], [contact["phone"] for contact in event["contacts"]]
        with self.changed:
            self.handed[batch].append(contacts)
            self.filtered_since[batch].append(self.begun[batch])
            self.changed.notify_all()
        if not self.hold.wait(LIMIT):
            raise RuntimeError("the sender was held for ever")
        says = self.sender_says.get(batch, [])
        said = says.pop(0) if says else self.says(contacts)
        said = said() if callable(said) else said
        if isinstance(said, str):
            return error(said)
        return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(said).encode())}

    def handed_too_late(self):
        """Who was handed to the sender, at any try, though they had stopped before that try was filtered."""
        tries = (
            (phone, begun)
            for batch, calls in self.handed.items()
            for contacts, begun in zip(calls, self.filtered_since[batch], strict=True)
            for phone in contacts
        )
        return [phone for phone, begun in tries if self.local.stopped.get(phone, begun + 1) <= begun]

    def await_sender(self, calls):
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.handed) >= calls, LIMIT):
                raise SystemExit("waited in vain for the sender to be called")

    def start(self, step_functions, machine):
        self.step_functions = step_functions
        interpreter.calls(self)
        started = step_functions.start_execution(
            stateMachineArn=machine, name=self.campaign, input=json.dumps(self.input)
        )
        self.execution = started["executionArn"]

    def finish(self):
        """How it ended, and with what report or error."""
        end = time.monotonic() + LIMIT
        while (ended := self.step_functions.describe_execution(executionArn=self.execution))["status"] == "RUNNING":
            if time.monotonic() > end:
                raise SystemExit("the execution did not end")
            time.sleep(0.1)
        return ended["status"], json.loads(ended.get("output") or "null") or (ended.get("error"), ended.get("cause"))

    def states(self):
        """The bytes of what went into each state and came out of it, as far as the interpreter writes that down."""
        pages = self.step_functions.get_paginator("get_execution_history").paginate(executionArn=self.execution)
        details = (
            details
            for page in pages
            for event in page["events"]
            for details in event.values()
            if isinstance(details, dict)
        )
        return [
            bytes_of(json.loads(details[end])) for details in details for end in ["input", "output"] if end in details
        ]

    def answers_of_children(self):
        """What the Map state gathered, as it went on to the next state."""
        pages = self.step_functions.get_paginator("get_execution_history").paginate(executionArn=self.execution)
        details = (event.get("stateExitedEventDetails", {}) for page in pages for event in page["events"])
        output = next(exited["output"] for exited in details if exited.get("name") == "Batches")
        return json.loads(output)["batches"]


class Interpreter:
    """moto's Step Functions, whose AWS is the local run."""

    def __init__(self, local):
        self.run = None
        for name, module in list(sys.modules.items()):
            # Every module that makes calls has the name for itself.
            if name.startswith("moto.stepfunctions.") and hasattr(module, "boto_client_for"):
                module.boto_client_for = lambda service, **_: {"lambda": self.run, "s3": local.s3}[service]

    def calls(self, run):
        self.run = run


def bytes_of(value):
    """What a value takes between two states, at most: moto counts JSON in ASCII, Step Functions in UTF-8, which is less."""
    return len(json.dumps(value, separators=(",", ":")))


def error(kind):
    """A function's error, as Lambda passes it on."""
    body = json.dumps({"errorType": kind, "errorMessage": "on purpose"})
    return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": io.BytesIO(body.encode())}


def ten_thousand(local, step_functions, machine):
    """10,000 recipients, of whom 100 stop while their campaign runs: before, between and after the calls of the filter."""
    phones = [f"+1415555{number:04}" for number in range(10_000)]
    repeated = [f"+1 (415) 555-{number:04}" for number in range(0, 1_000, 100)]
    run = Run(local, "spring-1", phones, extra=[*repeated, "n/a", "", "0", "12", "call me"])
    waves, stale = {}, AT_ONCE + 7

    def before_the_filter():
        waves["before"] = phones[7:10_000:500]
        local.stop(waves["before"])

    def after_the_filter():
        batches = run.batches()
        # Two in each of ten batches, all over the list.
        waves["between"] = [phone for batch in batches[:: len(batches) // 10][:10] for phone in run.rows(batch)[3:5]]
        local.stop(waves["between"])
        waves["while stale"] = run.rows(batches[stale])[50:51]
        run.sender_says = {
            3: ["SenderBroken"],
            5: [
                {
                    "sent": batches[5]["rows"] - 5,
                    "failed": [{"contact": phone, "reason": "131026"} for phone in run.rows(batches[5])[-3:]],
                }
            ],
            7: ["Sandbox.Timedout"],
            len(batches) - 2: [{"ok": True}],
            len(batches) - 3: ["SenderUnavailable"],
            len(batches) - 4: [None],
            stale: [lambda: local.stop(waves["while stale"]) or "BatchStale"],
        }
        run.filter_says = {len(batches) - 1: ["StoreUnavailable"]}

    run.whole_list_asked, run.whole_list_answered = before_the_filter, after_the_filter
    run.hold.clear()
    run.start(step_functions, machine)
    run.await_sender(AT_ONCE)
    batches = run.batches()
    eligible = {batch["batch"]: run.rows(batch) for batch in batches}
    check("there are batches that have to wait for others", len(batches) > AT_ONCE + 5, len(batches))
    check("no more batches are under way than the definition says", set(run.begun) == set(range(AT_ONCE)), run.begun)
    waves["after"] = [phone for batch in range(AT_ONCE) for phone in run.handed[batch][0][10:11]]
    waves["in time"] = [phone for batch in range(AT_ONCE, AT_ONCE + 5) for phone in eligible[batch][20:24]]
    local.stop(waves["after"] + waves["in time"])
    # The rest stop whenever it happens, while batches begin and end.
    waves["at random"] = [eligible[batch][40] for batch in range(len(batches) - 1, -1, -1)][:19]
    run.hold.set()
    local.stop(waves["at random"])
    status, report = run.finish()

    check("the campaign comes to its end", status == "SUCCEEDED", (status, report))
    if status != "SUCCEEDED":
        return
    check(
        "100 customers stopped on the way",
        len(local.stopped) == 100 == sum(map(len, waves.values())),
        {name: len(wave) for name, wave in waves.items()},
    )
    counts = report["counts"]
    adds_up = report["total"] == report["sent"] + report["failed"] + report["skipped"] + report["late_skips"] == 10_015
    check("the report adds up", adds_up, report)
    skips = (report["skipped"], counts["opted_out"], counts["duplicate"], counts["invalid"])
    check(
        "whoever stopped before is skipped, and so are duplicates and what is no number",
        skips == (35, 20, 10, 5),
        report,
    )

    handed = {batch: set(calls[-1]) for batch, calls in run.handed.items()}
    too_late = run.handed_too_late()
    check(
        "nobody is handed to the sender who stopped before the late call of their batch began", not too_late, too_late
    )
    everybody = set().union(*handed.values())
    late = {phone for phones in eligible.values() for phone in phones} - everybody
    check(
        "whoever stopped between the two calls is a late skip", late >= set(waves["between"] + waves["in time"]), late
    )
    check("only who stopped is", late <= set(local.stopped), late - set(local.stopped))
    check("every late skip is counted", report["late_skips"] == len(late), (report, len(late)))
    # One of these batches is handed over again after a time-out, and filtered once more before.
    after = {phone for phone in waves["after"] if phone not in run.handed[7][0]}
    check("whoever stopped after the hand-off was written to", everybody >= after, after - everybody)

    last = len(batches) - 1
    lost = {batch: handed[batch] for batch in [3, last - 1, last - 3]}
    unsent = len(handed[5]) - (batches[5]["rows"] - 5)
    check(
        "a sender that fails for a batch costs that batch, and what it does not say to have sent has failed",
        report["failed"] == sum(map(len, lost.values())) + unsent,
        (report, {batch: len(phones) for batch, phones in lost.items()}, unsent),
    )
    check("all others are sent", report["sent"] == len(everybody) - report["failed"], report)
    calls = {batch: len(calls) for batch, calls in run.handed.items() if len(calls) > 1}
    check(
        "a batch is handed over again after a time-out, and where the sender asks for it",
        calls == {7: 2, last - 2: 2, stale: 2},
        calls,
    )
    check("nobody comes into a batch then", all(set(calls[-1]) <= set(calls[0]) for calls in run.handed.values()))
    first, again = map(set, run.handed[stale])
    check("who stopped since is spared", first - again >= set(waves["while stale"]), first - again)
    check("a filter that is not available is asked again", not run.filter_says[last] and last in handed)
    summary = (
        f"20 contacts skipped (opted-out), 10 contacts skipped (duplicate), 5 contacts skipped (invalid), "
        f"{report['late_skips']} contacts skipped late, {report['failed']} contacts failed"
    )
    check("the summary says all of it", report["summary"] == summary, report["summary"])
    answers = run.answers_of_children()
    small = all(isinstance(answer, list) and len(answer) == 2 for answer in answers) and len(answers) == len(batches)
    check("a child answers two numbers", small, answers)


def nobody_left(local, step_functions, machine):
    run = Run(local, "spring-2", sorted(local.stopped)[:50])
    run.start(step_functions, machine)
    status, report = run.finish()
    numbers = status == "SUCCEEDED" and [report[name] for name in ["total", "sent", "failed", "skipped", "late_skips"]]
    check(
        "a campaign that nobody may get ends well, without the sender",
        numbers == [50, 0, 0, 50, 0] and not run.handed,
        (status, report),
    )


def everybody_stops_late(local, step_functions, machine):
    phones = [f"+1415556{number:04}" for number in range(5)]
    run = Run(local, "spring-3", phones)
    run.whole_list_answered = lambda: local.stop(phones)
    run.start(step_functions, machine)
    status, report = run.finish()
    numbers = status == "SUCCEEDED" and [report[name] for name in ["total", "sent", "failed", "skipped", "late_skips"]]
    check(
        "nor is it called for a batch of whom everybody stopped late",
        numbers == [5, 0, 0, 0, 5] and not run.handed,
        (status, report),
    )


def sender_away(local, step_functions, machine):
    """Senders that are not available, are cut off, or find their batch too old, while people stop: each try is filtered."""
    phones = [f"+1415558{number:04}" for number in range(120)]
    # Rows so long that a few make a batch.
    run = Run(local, "spring-7", phones, note="x" * 20_000)
    eligible, gone, expected = {}, collections.defaultdict(list), {}

    def fails(batch, error, stops):
        """The sender fails, and meanwhile so many more of the batch stop."""

        def said():
            new = [phone for phone in eligible[batch] if phone not in gone[batch]][:stops]
            local.stop(new)
            gone[batch] += new
            return error

        return said

    def plan():
        eligible.update({batch["batch"]: run.rows(batch) for batch in run.batches()})
        rows = {batch: len(phones) for batch, phones in eligible.items()}
        run.sender_says = {
            0: [fails(0, "SenderUnavailable", 1), fails(0, "SenderUnavailable", 1), fails(0, "SenderUnavailable", 1)],
            # It had sent the batch when it was cut off, and says so ever after.
            1: [fails(1, "Sandbox.Timedout", 2), {"sent": rows[1]}],
            2: [fails(2, "Runtime.ExitError", 1)],
            4: [fails(4, "Lambda.Unknown", rows[4]), {"sent": rows[4]}],
            5: ["Sandbox.Timedout", "Runtime.ExitError", "Sandbox.Timedout"],
            6: [fails(6, "Lambda.TooManyRequestsException", rows[6])],
            7: [fails(7, "BatchStale", 1), fails(7, "BatchStale", 1)],
            # All but two were sent when it was cut off; of those, one stops.
            8: [fails(8, "Sandbox.Timedout", 1), {"sent": rows[8] - 2}],
        }
        run.filter_says = {3: ["Runtime.ExitError"], 4: ["Sandbox.Timedout"]}
        # What is sent and skipped late.
        expected.update({batch: [count, 0] for batch, count in rows.items()})
        expected.update(
            {
                0: [rows[0] - 3, 3],
                2: [rows[2] - 1, 1],
                5: [0, 0],
                6: [0, rows[6]],
                7: [rows[7] - 2, 2],
                8: [rows[8] - 2, 1],
            }
        )

    run.whole_list_answered = plan
    run.start(step_functions, machine)
    status, report = run.finish()
    check(
        "a campaign whose senders are away for a while comes to its end",
        status == "SUCCEEDED" and len(eligible) > 9,
        (status, report, len(eligible)),
    )
    if status != "SUCCEEDED":
        return
    tries = {batch: len(calls) for batch, calls in run.handed.items()}
    asked = {
        batch: 4 if batch == 0 else 3 if batch in (5, 7) else 2 if batch in (1, 2, 4, 6, 8) else 1 for batch in eligible
    }
    check("a sender that is not available three times gets its batch four times", tries[0] == 4, tries)
    check(
        "a crash is tried again like a time-out, of the sender and of the filter",
        tries == asked and not any(run.filter_says.values()),
        (tries, run.filter_says),
    )
    fourth = set(run.handed[0][3])
    check(
        "nobody who stopped in between is handed over again",
        not run.handed_too_late() and not fourth & set(gone[0]) and len(gone[0]) == 3,
        run.handed_too_late(),
    )
    check("all others of the batch are", fourth == set(eligible[0]) - set(gone[0]), fourth)
    check(
        "where everybody stopped in between, nobody is handed over",
        run.handed[4][-1] == run.handed[6][-1] == [],
        (run.handed[4], run.handed[6]),
    )
    answers = dict(enumerate(run.answers_of_children()))
    check(
        "what a sender had sent before it was cut off counts as sent",
        answers == expected,
        {batch: (answers.get(batch), wanted) for batch, wanted in expected.items() if answers.get(batch) != wanted},
    )
    sent, late = (sum(numbers) for numbers in zip(*expected.values(), strict=True))
    found = [report[name] for name in ["total", "sent", "failed", "skipped", "late_skips"]]
    check("the report adds up over all tries", found == [120, sent, 120 - sent - late, 0, late], (report, sent, late))


def wide_rows(local, step_functions, machine):
    """Rows that take far more bytes as JSON than in the list: quotes, control characters, bytes that are no UTF-8."""
    for number, note in enumerate(
        ['"' * 3_000, "\x01" * 4_000, b"\xe9".decode("utf-8", "surrogateescape") * 4_000, ""]
    ):
        phones = [f"+141556{number}{row:04}" for row in range(3_000 if not note else 200)]
        run = Run(local, f"wide-{number}", phones, note=note)
        # Everybody is told to have failed, in the longest words.
        run.says = lambda contacts: {
            "sent": 0,
            "failed": [{"contact": phone, "reason": "131026"} for phone in contacts],
        }
        # Half of them stop, so that the answer for a batch names them all the same.
        run.whole_list_answered = functools.partial(local.stop, phones[:100:2])
        run.start(step_functions, machine)
        status, report = run.finish()
        check(
            f"rows of kind {number} come to their sender",
            status == "SUCCEEDED" and sum(len(calls[0]) for calls in run.handed.values()) == len(phones) - 50,
            (status, report),
        )
        largest = max([run.largest, *run.states()])
        check("and fit between two states with room for all else", largest < LIMIT_OF_STATES - 32 * 1024, largest)


def broken_off(local, step_functions, machine):
    phones = [f"+1415557{number:04}" for number in range(500)]
    run = Run(local, "spring-4", phones)
    run.filter_says = {1: ["InvalidCampaign"]}
    run.start(step_functions, machine)
    status, report = run.finish()
    check("a batch that can't be filtered ends the run", status == "FAILED", (status, report))
    check("and is handed to nobody", 0 in run.handed and 1 not in run.handed, run.handed.keys())

    run = Run(local, "spring-5", phones)

    def make_one_row_of_two():
        header, first, rest = local.read("demo/spring-5/eligible.csv").decode().split("\r\n", 2)
        local.put("demo/spring-5/eligible.csv", f"{header}\r\n{first}  {rest}".encode())

    run.whole_list_answered = make_one_row_of_two
    run.start(step_functions, machine)
    status, report = run.finish()
    check("so does a list that is not what it was", status == "FAILED" and 0 not in run.handed, (status, report))

    run = Run(local, "spring-6", phones)
    run.input["source"]["key"] = "demo/none.csv"
    run.start(step_functions, machine)
    check("so does a list that is not there", run.finish()[0] == "FAILED" and not run.handed)


def main():
    global interpreter
    logging.disable()  # moto logs every error that a state is there to handle
    with tempfile.TemporaryDirectory() as logs:
        # By --bin and not -p, so that cargo unites features as it did for the build, and builds nothing now.
        server = Server(
            "local",
            [
                "cargo",
                "run",
                "--quiet",
                "--locked",
                "--bin",
                "local",
                "--",
                "--api",
                "127.0.0.1:0",
                "--dynamodb",
                "127.0.0.1:0",
                "--s3",
                "127.0.0.1:0",
            ],
            pathlib.Path(logs),
        )
        try:
            server.await_line(lambda line: line == "ready")
            with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
                local = Local(server)
                step_functions = boto3.client("stepfunctions", region_name="us-east-1")
                definition = (ROOT / "statemachines" / "campaign.asl.json").read_text(encoding="utf-8")
                for name, arn in [("CampaignFilterArn", FILTER), ("SenderFunctionArn", SENDER)]:
                    definition = definition.replace("${" + name + "}", arn)
                machine = step_functions.create_state_machine(
                    name="campaign", definition=definition, roleArn="arn:aws:iam::000000000000:role/campaign"
                )
                interpreter = Interpreter(local)
                for scenario in [ten_thousand, nobody_left, everybody_stops_late, sender_away, wide_rows, broken_off]:
                    scenario(local, step_functions, machine["stateMachineArn"])
        finally:
            whole = all_hold()
            server.stop()
            if not whole:
                server.show()


if __name__ == "__main__":
    run_check(main)
