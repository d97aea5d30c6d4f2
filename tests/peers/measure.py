"""Measures Bursar, a service in Python and a function in PostgreSQL with the same load, one after the other."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import page
import postgres

HERE = Path(__file__).parent
CONNECTIONS = [1, 16, 64]
ACCOUNTS = 5_000
# The load of each system: its distribution, and its numbers of connections.
LOADS = [("uniform", CONNECTIONS), ("hot", [64])]


def bench(bursar: str, seconds: int, distribution: str, connections: list[int], options: list[str]) -> dict:
    """Runs `bursar bench` and returns its document. It fails if the server's records are not those of its answers."""
    command = [bursar, "bench", "--json", "--accounts", str(ACCOUNTS), "--seconds", str(seconds), "--warm-up", "1"]
    command += ["--distribution", distribution, "--connections", ",".join(map(str, connections)), *options]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def rows_of(document: dict, system: str, distribution: str) -> list[dict]:
    """The rows of a document: each point, and the echo below it."""
    rows = []
    for point in document["points"]:
        for name, load in ((system, point["work"]), ("echo", point["echo"])):
            if load is None or (name == "echo" and distribution != "uniform"):
                continue
            processor = load["processor_us"]
            rows.append(
                {
                    "system": name,
                    "load": distribution,
                    "connections": point["connections"],
                    "rate": load["rate"],
                    "p50_ms": load["latency_ms"]["p50"],
                    "p99_ms": load["latency_ms"]["p99"],
                    "processor_us": processor and processor["all"],
                    "written_bytes": load["written_bytes"],
                }
            )
    return rows


def bursar(program: str, seconds: int) -> tuple[list[dict], dict]:
    """Measures a server of its own. The document has the terms and the disk of all."""
    rows = []
    document = {}
    for distribution, connections in LOADS:
        document = bench(program, seconds, distribution, connections, [])
        rows += rows_of(document, "bursar", distribution)
    return rows, document


@contextmanager
def service(folder: Path):
    """Serves the Python service from a new file; it ends with the block."""
    command = [sys.executable, "-B", str(HERE / "service.py"), str(folder / "service.db")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        if not line.startswith("listening on "):
            raise SystemExit("the Python service did not start")
        yield process.pid, line.removeprefix("listening on ").strip()
    finally:
        process.terminate()
        process.wait()


def python(program: str, seconds: int) -> list[dict]:
    rows = []
    for distribution, connections in LOADS:
        with tempfile.TemporaryDirectory(prefix="peers-") as folder, service(Path(folder)) as (pid, url):
            options = ["--url", url, "--key", "none", "--any-version", "--process", str(pid)]
            document = bench(program, seconds, distribution, connections, options)
            with urllib.request.urlopen(f"{url}/conserved") as answer:
                if not json.load(answer)["ok"]:
                    raise SystemExit("the Python service has lost or made money")
            rows += rows_of(document, "python", distribution)
    return rows


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("bursar")
    arguments.add_argument("--seconds", type=int, default=5)
    options = arguments.parse_args()
    print("Bursar…", flush=True)
    rows, document = bursar(options.bursar, options.seconds)
    print("Python…", flush=True)
    rows += python(options.bursar, options.seconds)
    print("PostgreSQL…", flush=True)
    rows += postgres.measure(LOADS, ACCOUNTS, options.seconds)
    load = os.getloadavg()
    results = {
        "versions": {"bursar": document["version"], "postgresql": postgres.version(), "python": sys.version.split()[0]},
        "machine": document["machine"] | {"load_average_at_the_end": [round(it, 1) for it in load]},
        "disk": document["server"]["durability"],
        "accounts": ACCOUNTS,
        "seconds": options.seconds,
        "rows": rows,
    }
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    page.write(results, HERE.parent.parent / "docs" / "performance.md")
    print(page.table(results))
    print("Every system has as much money as before, and as many transfers as it has answered.")


main()
