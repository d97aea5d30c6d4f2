"""The function in ledger.sql, on a PostgreSQL of its own in a temporary folder, under pgbench."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
# PostgreSQL refuses to run as root.
USER = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
NAME = "postgres"
SETTINGS = {
    "listen_addresses": "",
    "synchronous_commit": "on",
    "fsync": "on",
    "full_page_writes": "on",
    "shared_buffers": "512MB",
    "max_connections": "100",
}


def programs() -> Path:
    """The folder of the newest PostgreSQL that is installed."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda path: int(path.parent.name))


def version() -> str:
    done = subprocess.run([programs() / "postgres", "--version"], check=True, capture_output=True, text=True)
    return done.stdout.split()[2]


class Cluster:
    """A cluster in a temporary folder, and its server."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="peers-"))
        if USER:
            shutil.chown(self.folder, USER["user"], USER["group"])
        data = self.folder / "data"
        initdb = [programs() / "initdb", "--auth=trust", "--no-instructions", "-U", NAME, "-D", data]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd=self.folder, **USER)
        command = [programs() / "postgres", "-D", data, "-k", self.folder]
        for setting, value in SETTINGS.items():
            command += ["-c", f"{setting}={value}"]
        log = open(self.folder / "log", "w")
        self.server = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **USER)
        for _ in range(300):
            ready = subprocess.run([programs() / "pg_isready", "-q", "-h", self.folder], check=False)
            if ready.returncode == 0:
                return
            time.sleep(0.1)
        raise SystemExit((self.folder / "log").read_text())

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        # SIGINT is the fast shutdown.
        self.server.send_signal(signal.SIGINT)
        self.server.wait()
        shutil.rmtree(self.folder)

    def query(self, sql: str) -> str:
        command = [programs() / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-U", NAME]
        done = subprocess.run([*command, "-f", "-"], input=sql, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def processor_seconds(self) -> float:
        """The processor time of the server, of its present processes, and of those that have ended."""
        ticks = 0
        children = Path(f"/proc/{self.server.pid}/task/{self.server.pid}/children").read_text().split()
        for pid in [str(self.server.pid), *children]:
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except FileNotFoundError:
                continue
            ticks += sum(int(field) for field in fields[11:15])
        return ticks / os.sysconf("SC_CLK_TCK")


def script(distribution: str, accounts: int) -> str:
    payee = "1" if distribution == "hot" else f"random(1, {accounts})"
    return (
        f"\\set payee {payee}\n\\set payer random(1, {accounts - 1})\n"
        # Another account than the payee's, each with the same probability.
        "\\set payer :payer + case when :payer >= :payee then 1 else 0 end\n"
        "\\set amount random(1, 9)\n"
        "SELECT pay(gen_random_uuid(), :payer, :payee, :amount);\n"
    )


def point(cluster: Cluster, distribution: str, connections: int, accounts: int, seconds: int) -> dict:
    """Measures one number of connections, after a warm-up of a second."""
    with tempfile.TemporaryDirectory(prefix="pgbench-") as folder:
        file = Path(folder) / "pay.sql"
        file.write_text(script(distribution, accounts))
        command = [programs() / "pgbench", "-n", "-M", "prepared", "-c", str(connections), "-j", "1"]
        command += ["-h", cluster.folder, "-U", NAME, "-f", file]
        subprocess.run([*command, "-T", "1", "postgres"], check=True, capture_output=True, cwd=folder)
        before = cluster.processor_seconds()
        done = subprocess.run(
            [*command, "-T", str(seconds), "--log", "postgres"], check=True, capture_output=True, text=True, cwd=folder
        )
        used = cluster.processor_seconds() - before
        rate = next(float(line.split()[2]) for line in done.stdout.splitlines() if line.startswith("tps ="))
        latencies = []
        for log in Path(folder).glob("pgbench_log.*"):
            latencies += [int(line.split()[2]) for line in log.read_text().splitlines()]
    latencies.sort()
    return {
        "system": "postgresql",
        "load": distribution,
        "connections": connections,
        "rate": rate,
        "p50_ms": latencies[len(latencies) // 2] / 1e3,
        "p99_ms": latencies[len(latencies) * 99 // 100] / 1e3,
        "processor_us": used / len(latencies) * 1e6,
        "written_bytes": None,
    }


def measure(loads: list, accounts: int, seconds: int) -> list[dict]:
    rows = []
    with Cluster() as cluster:
        cluster.query((HERE / "ledger.sql").read_text())
        cluster.query(f"INSERT INTO account SELECT id, 100000000 FROM generate_series(1, {accounts}) id; ANALYZE;")
        for distribution, connections in loads:
            rows += [point(cluster, distribution, number, accounts, seconds) for number in connections]
        sums = cluster.query(
            "SELECT (SELECT sum(balance) FROM account), (SELECT coalesce(sum(amount), 0) FROM entry),"
            " (SELECT count(*) FROM entry) = 2 * (SELECT count(*) FROM transfer)"
        )
        if sums != f"{accounts * 100_000_000}|0|t":
            raise SystemExit(f"PostgreSQL has lost or made money: {sums}")
    return rows
