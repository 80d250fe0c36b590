#!/usr/bin/env python3
"""Takes the tours of README.md and docs/tour.md on the vendor's DynamoDB Local in place of the embedded engine: cold, over
HTTP and HTTPS, with and without credentials in the environment.

Needs Java and npm besides the tools of `.ci/requirements.txt`, and expects `cargo build --bin local`.
"""

import datetime
import ipaddress
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from claims import all_hold, check, run_check
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from servers import HOST, ROOT, Server, is_open
from tours import LONG_TOUR, SHORT_TOUR, binary, take

PACKAGE = "amplify-dynamodb-simulator@2.9.30"
FOLDER = ROOT / ".venv" / "dynamodb-local"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "example"}


def emulator():
    """The folder with the vendor's program. It comes as an npm package, of which nothing is run."""
    if not (FOLDER / "package").is_dir():
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        packed = subprocess.run(
            ["npm", "pack", "--silent", PACKAGE], cwd=FOLDER, check=True, capture_output=True, text=True
        )
        archive = FOLDER / packed.stdout.split()[-1]
        shutil.unpack_archive(archive, FOLDER / "unpacked", "gztar")
        archive.unlink()
        (FOLDER / "unpacked" / "package").rename(FOLDER / "package")
    return FOLDER / "package" / "emulator"


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


class Front:
    """Speaks TLS before a port that does not, with a certificate of its own."""

    def __init__(self, port, folder):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "dynamodb-local")])
        now = datetime.datetime.now(datetime.UTC)
        hosts = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(hosts, False)
            .sign(key, hashes.SHA256())
        )
        self.authority = folder / "authority.pem"
        self.authority.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        private = folder / "key.pem"
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.authority, private)
        self.behind = port
        self.listener = socket.create_server((HOST, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.relay, args=[client], daemon=True).start()

    def relay(self, client):
        try:
            with (
                self.context.wrap_socket(client, server_side=True) as client,
                socket.create_connection((HOST, self.behind)) as server,
            ):
                threading.Thread(target=self.answers, args=[server, client], daemon=True).start()
                while data := client.recv(65536):
                    server.sendall(data)
                server.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # One side has hung up.

    @staticmethod
    def answers(server, client):
        try:
            while data := server.recv(65536):
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def scenario(what, variables, https, place, logs):
    """Starts the vendor's engine and the local run together, so that its first call finds it cold. Takes a tour there or,
    where `place` is None, has one customer opt out."""
    port = free_port()
    folder = emulator()
    # It writes down its installation where it is started.
    engine = Server(
        f"dynamodb-local-{port}",
        [
            "env",
            "-C",
            str(logs),
            "java",
            f"-Djava.library.path={folder}/DynamoDBLocal_lib",
            "-jar",
            f"{folder}/DynamoDBLocal.jar",
            "-inMemory",
            "-disableTelemetry",
            "-port",
            str(port),
        ],
        logs,
    )
    server = None
    try:
        while not is_open(port):
            if engine.ended:
                raise SystemExit("DynamoDB Local did not start")
            time.sleep(0.02)
        begun = time.monotonic()
        endpoint, environment = f"http://{HOST}:{port}", []
        if https:
            front = Front(port, logs)
            endpoint, environment = f"https://{HOST}:{front.port}", [f"SSL_CERT_FILE={front.authority}"]
        environment += [f"{name}={value}" for name, value in variables.items()]
        unset = [part for name in os.environ if name.startswith("AWS_") for part in ("-u", name)]
        server = Server(
            f"local-{port}",
            [
                "env",
                *unset,
                *environment,
                str(binary()),
                "--api",
                f"{HOST}:0",
                "--s3",
                f"{HOST}:0",
                "--dynamodb",
                endpoint,
            ],
            logs,
        )
        server.await_line(lambda line: line == "ready")
        print(f"---- {what}: {endpoint}, ready after {time.monotonic() - begun:.1f} s ----")
        api = next(line.split()[1] for line in server.lines if line.startswith("api "))
        if place:
            take(place, api)
        else:
            stop = subprocess.run(
                [
                    "curl",
                    "-s",
                    "-o",
                    "/dev/null",
                    "-w",
                    "%{http_code}",
                    f"{api}/local/messages",
                    "-d",
                    '{"from": "14155550123", "text": "STOP"}',
                ],
                capture_output=True,
                text=True,
                timeout=60,
            )
            check(f"{what}: a customer opts out", stop.stdout == "200", stop.stdout)
            end = time.monotonic() + 60
            outbox = ""
            while "+14155550123" not in outbox and time.monotonic() < end:
                outbox = subprocess.run(
                    ["curl", "-s", f"{api}/local/outbox"], capture_output=True, text=True, timeout=60
                ).stdout
            check(f"{what}: and is told so by way of the table's stream", "+14155550123" in outbox, outbox)
    finally:
        whole = all_hold()
        for program in filter(None, [server, engine]):
            program.stop()
            if not whole:
                program.show()


def main():
    missing = [tool for tool in ("java", "npm", "curl") if not shutil.which(tool)]
    if missing:
        raise SystemExit(f"needs {' and '.join(missing)}")
    with tempfile.TemporaryDirectory() as logs:
        logs = pathlib.Path(logs)
        scenario("without credentials", {}, False, LONG_TOUR, logs)
        scenario("with credentials", KEYS, False, SHORT_TOUR, logs)
        scenario("with TLS and credentials", KEYS, True, None, logs)
        scenario("with TLS, without credentials", {}, True, None, logs)


if __name__ == "__main__":
    run_check(main)
