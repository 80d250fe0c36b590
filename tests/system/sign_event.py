#!/usr/bin/env python3
"""Signs the webhooks of event files anew, in place, with the app secret of the local run.

Usage: tests/system/sign_event.py events/webhook-new-case.json …
"""

import base64
import hashlib
import hmac
import json
import pathlib
import sys

APP_SECRET = b"local-app-secret"


def sign(path):
    event = json.loads(path.read_text(encoding="utf-8"))
    body = base64.b64decode(event["body"]) if event["isBase64Encoded"] else event["body"].encode()
    signature = hmac.new(APP_SECRET, body, hashlib.sha256).hexdigest()
    event["headers"] |= {"content-length": str(len(body)), "x-hub-signature-256": f"sha256={signature}"}
    path.write_text(json.dumps(event, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if len(sys.argv) < 2:
    sys.exit(__doc__)
for name in sys.argv[1:]:
    sign(pathlib.Path(name))
