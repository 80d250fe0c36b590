#!/usr/bin/env python3
"""Runs every function as the binary that is deployed, beside the local run, and checks what it answers.

The engine, the secrets and the Graph API are the local run's. The webhook is called over HTTP as Meta calls it; the others
are invoked with their files from events/. Expects `cargo build --workspace --bins` and the tools of `.ci/requirements.txt`.
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import subprocess
import tempfile
import time

from claims import all_hold, check, run_check
from servers import HOST, LIMIT, ROOT, Server, is_open

API, DYNAMODB, S3, FUNCTIONS = 3000, 8000, 9001, 9000  # the first three stand in local.env
APP_SECRET = b"local-app-secret"


def eventually(condition, what):
    """Waits for what nobody announces."""
    end = time.monotonic() + LIMIT
    while not (result := condition()):
        if time.monotonic() > end:
            raise SystemExit(f"waited in vain: {what}")
        time.sleep(0.05)
    return result


def event(name):
    return json.loads((ROOT / "events" / f"{name}.json").read_text(encoding="utf-8"))


def request(port, method, target, headers=None, body=None):
    """Status, content type and text of an answer over HTTP."""
    connection = http.client.HTTPConnection(HOST, port, timeout=LIMIT)
    try:
        connection.request(method, target, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.getheader("content-type", ""), answer.read().decode()
    finally:
        connection.close()


def deliver(name, now=None):
    """Sends a webhook's file over HTTP as it stands or, with `now`, as if it were written then, signed anew."""
    sent = event(name)
    target = sent["rawPath"] + ("?" + sent["rawQueryString"] if sent["rawQueryString"] else "")
    body = sent.get("body")
    wanted = ("content-type", "x-hub-signature-256")
    headers = {key: value for key, value in sent["headers"].items() if key in wanted}
    if now is not None:
        update = json.loads(body)
        update["entry"][0]["changes"][0]["value"]["messages"][0]["timestamp"] = str(now)
        body = json.dumps(update)
        headers["x-hub-signature-256"] = "sha256=" + hmac.new(APP_SECRET, body.encode(), hashlib.sha256).hexdigest()
    return request(FUNCTIONS, sent["requestContext"]["http"]["method"], target, headers, body)


def invoke(function, case):
    """What a function makes of one of its files: its answer, or the text of its error."""
    command = [
        "cargo",
        "lambda",
        "invoke",
        function,
        "--invoke-address",
        HOST,
        "--invoke-port",
        str(FUNCTIONS),
        "--data-file",
        f"events/{function}-{case}.json",
    ]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr


def route(function, case):
    """Status and body of a function behind the HTTP API."""
    answer = invoke(function, case)
    if not isinstance(answer, dict) or "statusCode" not in answer:
        return answer, {}
    body = answer.get("body") or "{}"
    if answer.get("isBase64Encoded"):
        body = base64.b64decode(body).decode()
    try:
        return answer["statusCode"], json.loads(body)
    except ValueError:
        return answer["statusCode"], {"not JSON": body}


def aws(port, *command):
    """Runs the command line of AWS against an endpoint here."""
    keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_REGION": "us-east-1"}
    return subprocess.run(
        ["aws", "--endpoint-url", f"http://{HOST}:{port}", *command],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        env=os.environ | keys,
    )


def sent_messages():
    """What went out through the stand-in for the Graph API."""
    return json.loads(request(API, "GET", "/local/outbox")[2])


def webhook():
    answer = deliver("webhook-handshake")
    check("the handshake gives the challenge back", (answer[0], answer[2]) == (200, "1158201444"), answer)
    answer = deliver("webhook-handshake-wrong-token")
    check("a wrong verify token is refused", answer[0] == 403, answer)
    answer = deliver("webhook-bad-signature")
    check("a wrong signature is refused", answer[0] == 401, answer)
    answer = deliver("webhook-unsigned")
    check("a body without a signature is refused", answer[0] == 401, answer)
    answer = deliver("webhook-unknown-channel")
    check("STOP on a number that nobody registered is delivered again", answer[0] == 503, answer)
    answer = deliver("webhook-status-delivered")
    check("a status update is taken", answer[0] == 200, answer)

    now = int(time.time())
    answer = deliver("webhook-text-stop", now)
    check("STOP is taken", answer[0] == 200, answer)
    status, contact = route("contacts", "show")
    check("who sent it is opted out", (status, contact.get("status")) == (200, "opted_out"), (status, contact))
    sent = eventually(sent_messages, "a confirmation")
    check("the confirmation goes to who sent it", sent[0].get("to") == "+14155550123", sent)
    answer = deliver("webhook-text-stop", now)
    check("STOP is taken a second time", answer[0] == 200, answer)


def campaign_filter():
    answer = invoke("campaign-filter", "marketing")
    counts = answer.get("counts", {}) if isinstance(answer, dict) else {}
    check(
        "a marketing campaign skips who opted out", (counts.get("eligible"), counts.get("opted_out")) == (2, 1), answer
    )
    check("the summary says so", counts and answer.get("summary") == "1 contact skipped (opted-out)", answer)
    answer = invoke("campaign-filter", "utility")
    eligible = answer.get("eligible", []) if isinstance(answer, dict) else []
    check("a utility campaign goes to everyone", len(eligible) == 3, answer)
    answer = invoke("campaign-filter", "odd-recipients")
    adds_up = isinstance(answer, dict) and answer.get("total") == sum(answer.get("counts", {}).values()) == 15
    check("odd recipients are counted, each once", adds_up, answer)
    answer = invoke("campaign-filter", "unknown-category")
    check("an unknown category is InvalidCampaign", "InvalidCampaign" in str(answer), answer)

    with tempfile.NamedTemporaryFile("r", suffix=".json") as out:
        done = aws(
            API,
            "lambda",
            "invoke",
            "--function-name",
            "campaign-filter",
            "--payload",
            "file://events/campaign-filter-marketing.json",
            out.name,
        )
        answer = out.read()
    same = done.returncode == 0 and json.loads(answer) == invoke("campaign-filter", "marketing")
    check("the local run's Invoke call answers as the binary does", same, answer or done.stderr)


def settings():
    status, body = route("settings", "get")
    check("settings are there", (status, body.get("opt_out_keywords")) == (200, ["STOP"]), (status, body))
    status, body = route("settings", "test")
    check("the tester finds the keyword", (status, body.get("outcome")) == (200, "opt_out"), (status, body))
    status, body = route("settings", "put")
    check("settings are saved", body.get("message") == "Opt-In/Out settings saved successfully", (status, body))
    for case, wanted in [
        ("put-stale", 412),
        ("put-malformed-json", 400),
        ("put-wrong-content-type", 415),
        ("put-missing-field", 422),
        ("get-no-tenant", 401),
        ("channel-put-taken", 409),
    ]:
        status, body = route("settings", case)
        check(
            f"settings-{case} is {wanted}, a problem document",
            (status, body.get("status")) == (wanted, wanted),
            (status, body),
        )
    status, body = route("settings", "channel-put-secret")
    check("a number is given to a tenant", (status, body.get("tenant_id")) == (200, "demo"), (status, body))
    status, body = route("settings", "channel-delete-unknown")
    check("a number that is nobody's can be taken back", status == 204, (status, body))


def contacts():
    status, body = route("contacts", "history")
    check("the history has one entry", (status, len(body.get("events", []))) == (200, 1), (status, body))
    status, body = route("contacts", "list-filtered")
    listed = [contact.get("id") for contact in body.get("contacts", [])]
    check("the list can be filtered", status == 200 and "+14155550123" in listed, (status, body))
    status, body = route("contacts", "opt-in")
    check("staff switch a contact on", (status, body.get("status")) == (200, "opted_in"), (status, body))
    answer = invoke("campaign-filter", "marketing")
    summary = answer.get("summary") if isinstance(answer, dict) else None
    check("the next campaign goes to it", summary == "0 contacts skipped", answer)
    for case, wanted in [
        ("unknown-route", 404),
        ("show-unknown", 404),
        ("consent-malformed-json", 400),
        ("list-no-tenant", 401),
    ]:
        status, body = route("contacts", case)
        check(
            f"contacts-{case} is {wanted}, a problem document",
            (status, body.get("status")) == (wanted, wanted),
            (status, body),
        )
    for path in ["/settings", "/contacts"]:
        answer = request(FUNCTIONS, "GET", path)
        check(f"GET {path} over plain HTTP is 401", answer[0] == 401, answer)


def confirmation():
    answer = invoke("confirmation", "outbox")
    check("an outbox item that is gone is no failure", answer == {"batchItemFailures": []}, answer)
    # Somebody else opts out, and the local run sends the confirmation. Then it is made as if a first try had failed: due
    # again, and no business of the stream.
    now = int(time.time())
    deliver("webhook-text-decorated", now)
    eventually(lambda: len(sent_messages()) == 2, "a second confirmation")
    message = json.loads(event("webhook-text-decorated")["body"])["entry"][0]["changes"][0]["value"]["messages"][0]
    contact, entry = "+" + message["from"], now * 1000
    key = {"pk": {"S": f"T#demo#H#{contact}"}, "sk": {"S": f"{entry:013}#{message['id']}"}}
    again = aws(
        DYNAMODB,
        "dynamodb",
        "update-item",
        "--table-name",
        "consent",
        "--key",
        json.dumps(key),
        "--update-expression",
        "SET confirmation.#state = :pending",
        "--condition-expression",
        "attribute_exists(pk)",
        "--expression-attribute-names",
        '{"#state": "state"}',
        "--expression-attribute-values",
        '{":pending": {"S": "pending"}}',
    )
    shard = hashlib.sha256(message["id"].encode()).hexdigest()[0]
    item = {
        "pk": {"S": f"OUTBOX#{shard}"},
        "sk": {"S": f"0000000000001#{message['id']}"},
        "tenant": {"S": "demo"},
        "contact": {"S": contact},
        "entry": {"N": str(entry)},
        "channel": {"S": "106540352242922"},
        "to": {"S": contact},
        "attempt": {"N": "1"},
    }
    due = aws(DYNAMODB, "dynamodb", "put-item", "--table-name", "consent", "--item", json.dumps(item))
    check("a confirmation can be made due again", again.returncode == due.returncode == 0, again.stderr + due.stderr)
    answer = invoke("confirmation", "schedule")
    check("the sweep runs", answer == {"batchItemFailures": []}, answer)
    sent = [message.get("to") for message in sent_messages()]
    check("the sweep sends what is due, once", sent == ["+14155550123", contact, contact], sent)


def main():
    for port in [API, DYNAMODB, S3, FUNCTIONS]:
        if is_open(port):
            raise SystemExit(f"port {port} is taken: stop what listens there")
    servers = []
    with tempfile.TemporaryDirectory() as logs:
        try:
            # By --bin and not -p, so that cargo unites features as it did for the build, and builds nothing now.
            servers.append(
                Server(
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
                        f"{HOST}:{API}",
                        "--dynamodb",
                        f"{HOST}:{DYNAMODB}",
                        "--s3",
                        f"{HOST}:{S3}",
                    ],
                    pathlib.Path(logs),
                )
            )
            servers[-1].await_line(lambda line: line == "ready")
            servers.append(
                Server(
                    "watch",
                    [
                        "cargo",
                        "lambda",
                        "watch",
                        "--ignore-changes",
                        "--locked",
                        "--env-file",
                        "local.env",
                        "--invoke-address",
                        HOST,
                        "--invoke-port",
                        str(FUNCTIONS),
                    ],
                    pathlib.Path(logs),
                )
            )
            servers[-1].await_line(lambda line: "starting Runtime server" in line)
            eventually(lambda: is_open(FUNCTIONS), "cargo lambda watch to listen")
            webhook()
            campaign_filter()
            settings()
            contacts()
            confirmation()
        finally:
            whole = all_hold()
            for server in reversed(servers):
                server.stop()
                if not whole:
                    server.show()


if __name__ == "__main__":
    run_check(main)
