"""The table of peers in docs/performance.md, between two marks."""

from pathlib import Path

BEGIN = "<!-- peers: written by tests/peers/run -->"
END = "<!-- /peers -->"
NAMES = {
    "echo": "the echo route: HTTP and JSON, no storage",
    "bursar": "**Bursar**",
    "python": "Python: aiohttp, SQLite, a lock",
    "postgresql": "PostgreSQL: a function, no HTTP",
}


def cell(number: float | None, digits: int) -> str:
    return "" if number is None else f"{number:,.{digits}f}"


def table(results: dict) -> str:
    echoes = {row["connections"]: row for row in results["rows"] if row["system"] == "echo"}
    lines = [
        "| system | members | connections | transfers/s | of the echo | p50 ms | p99 ms | CPU µs | CPU × echo |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for system, name in NAMES.items():
        for row in results["rows"]:
            if row["system"] != system:
                continue
            echo = echoes[row["connections"]]
            cells = [
                name,
                {"uniform": "all alike", "hot": "all pay one"}[row["load"]],
                str(row["connections"]),
                cell(row["rate"], 0),
                cell(row["rate"] / echo["rate"], 2 if row["rate"] > echo["rate"] / 20 else 3),
                cell(row["p50_ms"], 2),
                cell(row["p99_ms"], 2),
                cell(row["processor_us"], 0),
                cell(row["processor_us"] / echo["processor_us"], 1),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    versions, disk = results["versions"], results["disk"]
    load = results["machine"]["load_average_at_the_end"][0]
    terms = (
        f"Bursar {versions['bursar']}, Python {versions['python']}, PostgreSQL {versions['postgresql']}; "
        f"{results['machine']['cores']} cores for the load and the servers together; {disk['file_system']}, where a sync "
        f"takes {disk['sync_ms']:.2f} ms; {results['accounts']:,} members; {results['seconds']} s for each row; load "
        f"average at the end {load}. Each system committed to disk before it answered, and had all of its money "
        "afterwards."
    )
    return "\n".join([*lines, "", terms])


def write(results: dict, path: Path) -> None:
    text = path.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    path.write_text(f"{before}{BEGIN}\n\n{table(results)}\n\n{END}{after}")
