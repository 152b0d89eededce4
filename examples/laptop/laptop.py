"""What examples/laptop/run does, once it has found Python and the binaries.

Starts the emulator of the tests (fixtures/emulator), deploys to it what Terraform describes (terraform/tests/deployment.json), and
shows what an operator sees. All state is in a temporary folder. With --keep, emulator and deployment stay until Ctrl-C.
"""
import argparse
import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import botocore.session
from botocore.config import Config

REGION = "eu-central-1"
PATIENCE = 90                      # seconds until what has to come is given up

ORDERS = "id,customer,price\n1,ada,9.50\n2,grace,12.00\n3,edsger,8.00,express\n4,barbara,3.25\n"
LATE = "id,customer,price\n5,alan,7.75\n6,katherine,8.00\n"

# Python's deltalake, which knows nothing of Sluice. Its threads may abort an interpreter that ends in the usual way.
READ = """
import os, sys, deltalake
table = deltalake.DeltaTable(os.environ["TABLE_URI"])
rows = sorted(table.to_pyarrow_table().to_pylist(), key=lambda row: row["id"])
for row in rows:
    print("  " + "  ".join(f"{name}={value}" for name, value in row.items()))
print(f"  {len(rows)} rows, version {table.version()}")
sys.stdout.flush()
os._exit(0)
"""


class Laptop:
    def __init__(self, root: Path, binaries: Path, folder: Path):
        self.root, self.binaries, self.folder = root, binaries, folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{port}"
        self.env = {
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION, "AWS_ALLOW_HTTP": "true", "AWS_EC2_METADATA_DISABLED": "true",
            "PATH": f"{binaries}:/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder / "tmp"),
            "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1",
        }
        for name in ("tmp", "state", "s3"):
            (folder / name).mkdir()
        os.environ.update(self.env)
        server = {
            "MINISTACK_REGION": REGION, "BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1", "GATEWAY_PORT": str(port),
            "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0", "STATE_DIR": str(folder / "state"), "S3_DATA_DIR": str(folder / "s3"),
        }
        self.log = folder / "emulator.log"
        with open(self.log, "w") as log:
            # It ends by itself, with the functions that it runs, when this process does.
            self.server = subprocess.Popen(
                [sys.executable, str(root / "fixtures/emulator/ministack_plus.py"), "--exit-with", str(os.getpid())],
                env=self.env | server, stdout=log, stderr=log, start_new_session=True)
        self.until("the emulator", self.is_up)

    def is_up(self) -> bool:
        if self.server.poll() is not None:
            sys.exit(f"error: the emulator did not start:\n{self.log.read_text()}")
        try:
            urllib.request.urlopen(self.endpoint, timeout=1)
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def until(self, what: str, has_come) -> None:
        begun = time.monotonic()
        while not has_come():
            if time.monotonic() - begun > PATIENCE:
                sys.exit(f"error: {what} did not come within {PATIENCE} s; the log is {self.log}:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.2)

    def client(self, service: str):
        config = Config(s3={"addressing_style": "path"})
        return botocore.session.get_session().create_client(
            service, region_name=REGION, endpoint_url=self.endpoint, aws_access_key_id="test", aws_secret_access_key="test",
            config=config)

    def deploy(self) -> None:
        deployments = self.root / "terraform/tests/deployment.json"
        made = subprocess.run(
            [sys.executable, str(self.root / "fixtures/emulator/deploy.py"), str(deployments), "deployment",
             "--splitter", str(self.binaries / "splitter"), "--worker", str(self.binaries / "worker"),
             "--visibility-divisor", "1"],
            env=self.env, stdout=subprocess.PIPE, check=True, text=True)
        self.urls = json.loads(made.stdout)
        resources = json.loads(deployments.read_text())["deployment"]
        variables = resources["aws_lambda_function.worker"]["environment"][0]["variables"]
        self.table, self.chunks = variables["TABLE_URI"], variables["CHUNK_BUCKET"]
        self.work_dir = f"s3://{self.chunks}/{variables['CHUNK_PREFIX']}"
        self.drops = resources["aws_s3_bucket_notification.source[0]"]["bucket"]
        # So that the commands below need no more options than those that matter.
        os.environ.update({"TABLE_URI": self.table, "CHUNK_BUCKET": self.chunks, "CHUNK_PREFIX": variables["CHUNK_PREFIX"]})

    def sluice(self, *args: str, expect: int = 0) -> None:
        """Shows a command and what it prints."""
        print(f"\n$ sluice {shlex.join(args)}", flush=True)
        ended = subprocess.run([str(self.binaries / "sluice"), *args], cwd=self.folder, stderr=subprocess.STDOUT, check=False)
        if ended.returncode != expect:
            sys.exit(f"error: it ended with status {ended.returncode}; the emulator's log is {self.log}")

    def ask(self, *args: str):
        """What a command prints as JSON; none while it cannot."""
        ended = subprocess.run(
            [str(self.binaries / "sluice"), *args, "--json"], cwd=self.folder, capture_output=True, text=True, check=False)
        return json.loads(ended.stdout) if ended.stdout.strip() else None

    def rows(self) -> None:
        """Shows the table as another program reads it."""
        print(f"\n{self.table}:", flush=True)
        subprocess.run([os.environ.get("READER", sys.executable), "-c", READ], stderr=subprocess.STDOUT, check=True)

    def messages(self, queue: str) -> int:
        asked = self.client("sqs").get_queue_attributes(
            QueueUrl=self.urls[queue], AttributeNames=["ApproximateNumberOfMessages"])
        return int(asked["Attributes"]["ApproximateNumberOfMessages"])


def is_done(laptop: Laptop, source: str) -> bool:
    status = laptop.ask("status", source)
    return isinstance(status, list) and bool(status) and status[0].get("state") == "done"


def title(text: str) -> None:
    print(f"\n## {text}", flush=True)


def drop(laptop: Laptop) -> None:
    title("A file is dropped")
    source = f"s3://{laptop.drops}/in/orders.csv"
    print(f"\n{source}:\n{ORDERS}", end="")
    laptop.client("s3").put_object(Bucket=laptop.drops, Key="in/orders.csv", Body=ORDERS.encode())
    laptop.until("the drop", lambda: is_done(laptop, source))
    laptop.sluice("jobs")
    laptop.sluice("quarantine", "show", "latest")
    laptop.rows()


def dead_letter(laptop: Laptop) -> None:
    title("A message fails, and becomes a dead letter")
    (laptop.folder / "late.csv").write_text(LATE)
    task = {"s3_bucket": laptop.chunks, "s3_object_key": "by-hand/late.parquet"}
    print(f"\nA program announces a Parquet file before it has written it: {json.dumps(task)}")
    laptop.client("sqs").send_message(QueueUrl=laptop.urls["sluice-chunks"], MessageBody=json.dumps(task))
    laptop.until("the dead letter", lambda: laptop.messages("sluice-chunks-dead") == 1)
    laptop.sluice("dlq", "list", "--queue-url", laptop.urls["sluice-chunks-dead"])

    title("The cause is fixed, and the dead letter is replayed")
    made = laptop.ask("split", "late.csv", "--out", "cut")
    body = Path(laptop.folder, made["s3_object_key"]).read_bytes()
    laptop.client("s3").put_object(Bucket=laptop.chunks, Key=task["s3_object_key"], Body=body)
    print(f"\nNow the file is there: s3://{laptop.chunks}/{task['s3_object_key']}")
    laptop.sluice("dlq", "replay", "--queue-url", laptop.urls["sluice-chunks-dead"])
    laptop.until("the late rows", lambda: log_count(laptop, '"chunk loaded"') >= 2)
    laptop.rows()


def log_count(laptop: Laptop, text: str) -> int:
    return laptop.log.read_text().count(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=Path, required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--keep", action="store_true", help="keep the deployment until Ctrl-C")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sluice-laptop-", ignore_cleanup_errors=True) as folder:
        laptop = Laptop(args.root.resolve(), args.binaries.resolve(), Path(folder))
        try:
            laptop.deploy()
            drop(laptop)
            dead_letter(laptop)
            title("Is the deployment right?")
            laptop.sluice("doctor", "--name", "sluice")
            if args.keep:
                keep(laptop)
        finally:
            laptop.server.terminate()
            laptop.server.wait()


def keep(laptop: Laptop) -> None:
    title("It stays until Ctrl-C; in another shell")
    names = [*laptop.env, "TABLE_URI", "CHUNK_BUCKET", "CHUNK_PREFIX"]
    for name in names:
        if name.startswith(("AWS_", "TABLE_", "CHUNK_")):
            print(f"export {name}={shlex.quote(os.environ[name])}")
    print(f"export QUEUES={shlex.quote(json.dumps(laptop.urls))}", flush=True)
    try:
        laptop.server.wait()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
