#!/usr/bin/env python3
"""Checks openapi.yaml, and the local run against it.

The document has to be valid, and so have its examples. Then schemathesis calls every operation of the local run with what
the document allows and with what it forbids, and checks that the answers are as the document says. Its settings, with a
reason for every exception, stand in schemathesis.toml. Expects `cargo build --workspace --bins` and the tools of
`.ci/requirements.txt`.
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from urllib.parse import quote

import yaml
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from servers import HOST, LIMIT, ROOT, Server

SCOPES = "consent/read+consent/write+consent/admin+consent/platform"
DOCUMENT = "urn:document"


def examples(value, place=""):
    """The pointers to all schemas in the document that have an example beside them, each with the example."""
    if isinstance(value, dict):
        if "schema" in value and "example" in value:
            yield f"{place}/schema", value["example"]
        for name, inner in value.items():
            # As RFC 6901 has it for a pointer in a fragment.
            yield from examples(inner, f"{place}/{quote(name.replace('~', '~0').replace('/', '~1'))}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from examples(inner, f"{place}/{index}")


def faults(document):
    """The faults of the document and of its examples, a line each."""
    for error in OpenAPIV31SpecValidator(document).iter_errors():
        yield f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
    registry = Registry().with_resource(DOCUMENT, Resource(document, DRAFT202012))
    for place, example in examples(document):
        schema = {"$ref": f"{DOCUMENT}#{place}"}
        validator = OAS31Validator(schema, registry=registry, format_checker=OAS31Validator.FORMAT_CHECKER)
        for error in validator.iter_errors(example):
            yield f"the example beside {place}: {error.message}"


def token(api):
    with urllib.request.urlopen(f"{api}/local/token?tenant=demo&scope={SCOPES}", timeout=LIMIT) as answer:
        return json.load(answer)["access_token"]


def served(api):
    with urllib.request.urlopen(f"{api}/openapi.json", timeout=LIMIT) as answer:
        return json.load(answer)


def schemathesis(api, folder):
    command = [
        "schemathesis",
        "--config-file",
        str(ROOT / "tests/system/schemathesis.toml"),
        "run",
        f"{api}/openapi.json",
        "--url",
        api,
    ]
    # A folder of its own for its memory of earlier runs: each run is to be the same.
    return subprocess.run(command, cwd=folder, env=os.environ | {"CONSENT_TOKEN": token(api)}).returncode


def main():
    document = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))
    found = list(faults(document))
    if found:
        print(*found, sep="\n")
        return 1
    print("openapi.yaml is valid, and so are its examples")
    with tempfile.TemporaryDirectory(prefix="api-document-") as folder:
        free = f"{HOST}:0"
        command = [str(ROOT / "target/debug/local"), "--api", free, "--dynamodb", free, "--s3", free]
        local = Server("local", command, Path(folder))
        try:
            local.await_line("ready".__eq__)
            api = next(line.split()[1] for line in local.lines if line.startswith("api "))
            if served(api) != document:
                print("/openapi.json is not what openapi.yaml says")
                return 1
            failed = schemathesis(api, folder)
        finally:
            local.stop()
        if failed:
            local.show()
        return failed


if __name__ == "__main__":
    sys.exit(main())
