"""A ledger service as one would write it in an afternoon: aiohttp, SQLite, and a lock.

It is careful where it matters: each transfer has an idempotency key, the lock orders all changes, and each commit is
synced to the disk before its answer. It speaks the part of Bursar's API that `bursar bench` uses, so that one driver
sends one load to both.
"""

import asyncio
import json
import sys

import aiosqlite
from aiohttp import web

SCHEMA = """
CREATE TABLE accounts (economy TEXT, id TEXT, balance INTEGER NOT NULL, PRIMARY KEY (economy, id)) WITHOUT ROWID;
CREATE TABLE transfers (
    seq INTEGER PRIMARY KEY, economy TEXT NOT NULL, key TEXT NOT NULL, payer TEXT, payee TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0), answer TEXT NOT NULL, UNIQUE (economy, key)
);
"""

routes = web.RouteTableDef()


class Rejected(Exception):
    """A transfer that the rules forbid."""


def answer(status: int, body: object) -> web.Response:
    return web.Response(status=status, text=json.dumps(body), content_type="application/json")


async def move(db: aiosqlite.Connection, economy: str, key: str, posting: dict) -> str:
    """Makes a transfer within an open transaction and returns its answer. A known key returns the kept answer."""
    cursor = await db.execute("SELECT answer FROM transfers WHERE economy = ? AND key = ?", (economy, key))
    if known := await cursor.fetchone():
        return known[0]
    payer, payee, amount = posting.get("from"), posting["to"], posting["amount"]
    balances = {}
    # An issue has no payer: its money is new.
    for account, change in ((payer, -amount), (payee, amount)):
        if account is None:
            continue
        cursor = await db.execute(
            "UPDATE accounts SET balance = balance + ? WHERE economy = ? AND id = ? AND balance + ? >= 0"
            " RETURNING balance",
            (change, economy, account, change),
        )
        row = await cursor.fetchone()
        if row is None:
            raise Rejected
        balances[account] = row[0]
    text = json.dumps({"postings": [posting], "balances": balances})
    await db.execute(
        "INSERT INTO transfers (economy, key, payer, payee, amount, answer) VALUES (?, ?, ?, ?, ?, ?)",
        (economy, key, payer, payee, amount, text),
    )
    return text


async def transact(app: web.Application, work) -> web.Response:
    """Runs `work` in a transaction of its own and commits it."""
    db = app["db"]
    async with app["lock"]:
        await db.execute("BEGIN IMMEDIATE")
        try:
            made = await work(db)
            await db.execute("COMMIT")
            return made
        except Rejected:
            await db.execute("ROLLBACK")
            return answer(422, {"code": "insufficient_funds"})


@routes.get("/healthz")
async def health(_: web.Request) -> web.Response:
    return answer(200, {"version": "peer"})


@routes.put("/v1/economies/{economy}")
@routes.put("/v1/economies/{economy}/quotas")
@routes.put("/v1/economies/{economy}/assets/{asset}")
async def accepted(_: web.Request) -> web.Response:
    return answer(201, {})


@routes.get("/v1/economies/{economy}")
async def economy(request: web.Request) -> web.Response:
    query = "SELECT count(*) FROM transfers WHERE economy = ?"
    cursor = await request.app["db"].execute(query, (request.match_info["economy"],))
    return answer(200, {"seq": (await cursor.fetchone())[0]})


@routes.put("/v1/economies/{economy}/accounts/{account}")
async def open_account(request: web.Request) -> web.Response:
    path = request.match_info

    async def insert(db: aiosqlite.Connection) -> web.Response:
        await db.execute("INSERT OR IGNORE INTO accounts VALUES (?, ?, 0)", (path["economy"], path["account"]))
        return answer(201, {})

    return await transact(request.app, insert)


@routes.post("/v1/economies/{economy}/issue")
async def issue(request: web.Request) -> web.Response:
    body = await request.json()
    posting = {"to": body["account"], "amount": body["amount"]}
    return await single(request, posting)


@routes.post("/v1/economies/{economy}/transfers")
async def transfer(request: web.Request) -> web.Response:
    body = await request.json()
    return await single(request, body["postings"][0])


async def single(request: web.Request, posting: dict) -> web.Response:
    economy, key = request.match_info["economy"], request.headers["Idempotency-Key"]

    async def pay(db: aiosqlite.Connection) -> web.Response:
        text = await move(db, economy, key, posting)
        return web.Response(status=201, text=text, content_type="application/json")

    return await transact(request.app, pay)


@routes.post("/v1/economies/{economy}/transfers/batch")
async def batch(request: web.Request) -> web.Response:
    body = await request.json()
    economy = request.match_info["economy"]

    async def pay(db: aiosqlite.Connection) -> web.Response:
        made = [
            await move(db, economy, transfer["idempotency_key"], transfer["postings"][0])
            for transfer in body["transfers"]
        ]
        results = ",".join('{"status":201,"body":' + text + ',"replayed":false}' for text in made)
        return web.Response(text='{"results":[' + results + "]}", content_type="application/json")

    return await transact(request.app, pay)


@routes.get("/conserved")
async def conserved(request: web.Request) -> web.Response:
    """Tells if the balances are the issued money, and no balance is below zero."""
    cursor = await request.app["db"].execute(
        "SELECT (SELECT coalesce(sum(balance), 0) FROM accounts),"
        " (SELECT coalesce(sum(amount), 0) FROM transfers WHERE payer IS NULL),"
        " (SELECT count(*) FROM accounts WHERE balance < 0)"
    )
    held, issued, negative = await cursor.fetchone()
    return answer(200, {"ok": held == issued and negative == 0})


async def main(file: str) -> None:
    app = web.Application(client_max_size=8 << 20)
    app.add_routes(routes)
    app["lock"] = asyncio.Lock()
    app["db"] = await aiosqlite.connect(file, isolation_level=None)
    await app["db"].executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + SCHEMA)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    print(f"listening on http://127.0.0.1:{port}", flush=True)
    await asyncio.Event().wait()


asyncio.run(main(sys.argv[1]))
