"""A client for Bursar's HTTP API. It knows nothing of Discord.

Every request that moves something carries an idempotency key. A request whose answer was lost, or
that was turned away for the moment, is sent again under the same key: it cannot move money twice.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Self
from urllib.parse import quote

import aiohttp

JSON = dict[str, Any]

# Nothing is known to have happened, and asking again under the same key is safe. 429 and 504 are
# not Bursar's own: a gateway in between may say them.
AGAIN = frozenset({408, 429, 500, 503, 504})


class Problem(Exception):
    """Bursar said no: nothing of this request has moved."""

    def __init__(self, status: int, body: JSON) -> None:
        self.status = status
        self.body = body
        self.code: str = str(body.get("code", "unknown"))
        self.retry: str = str(body.get("retry", "never"))
        super().__init__(str(body.get("detail", f"HTTP {status}")))


class OutcomeUnknown(Exception):
    """No answer came in time. Asking again under the same key finds out what happened."""


class Bursar:
    """One economy of one server, for one API key. Use it as an asynchronous context manager."""

    def __init__(self, url: str, key: str, economy: str, *, patience_s: float = 30.0) -> None:
        self._base = f"{url.rstrip('/')}/v1/economies/{quote(economy, safe='')}"
        self._headers = {"Authorization": f"Bearer {key}"}
        self._patience_s = patience_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # Longer than the server itself waits for a commit, so that its word on it is heard.
        timeout = aiohttp.ClientTimeout(total=12, connect=3)
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def open_account(self, account: str) -> JSON:
        """Makes an account; one that is there stays exactly as it is."""
        return await self._ask("PUT", f"accounts/{quote(account, safe=':')}", {})

    async def balances(self, account: str) -> dict[str, JSON]:
        """What an account has, by asset: `posted`, `held` and `available`."""
        found = await self._ask("GET", f"accounts/{quote(account, safe=':')}")
        return dict(found["balances"])

    async def plugin(self, plugin: str) -> JSON:
        """An installed plugin: its configuration, its grants and its manifest."""
        return await self._ask("GET", f"plugins/{quote(plugin, safe='')}")

    async def transfer(
        self, key: str, postings: Sequence[Mapping[str, Any]], *, memo: str | None = None
    ) -> JSON:
        """Moves all postings (`from`, `to`, `asset`, `amount`) in this order, or none of them."""
        body: JSON = {"postings": list(postings)}
        if memo is not None:
            body["memo"] = memo
        return await self._ask("POST", "transfers", body, key=key)

    async def call(
        self,
        key: str,
        plugin: str,
        action: str,
        caller: str,
        arguments: Mapping[str, Any],
        *,
        spend_limit: Mapping[str, int] | None = None,
    ) -> JSON:
        """Has a plugin act for a member; at most `spend_limit` of each asset leaves them."""
        body: JSON = {"caller": caller, "arguments": dict(arguments)}
        if spend_limit is not None:
            body["spend_limit"] = dict(spend_limit)
        return await self._ask("POST", self._action(plugin, action), body, key=key)

    async def preview(
        self, plugin: str, action: str, caller: str, arguments: Mapping[str, Any]
    ) -> JSON:
        """What `call` would answer now. Nothing moves, so there is no key."""
        body: JSON = {"caller": caller, "arguments": dict(arguments), "preview": True}
        return await self._ask("POST", self._action(plugin, action), body)

    @staticmethod
    def _action(plugin: str, action: str) -> str:
        return f"plugins/{quote(plugin, safe='')}/actions/{quote(action, safe='')}"

    async def _ask(
        self, method: str, path: str, body: JSON | None = None, *, key: str | None = None
    ) -> JSON:
        """Asks until there is an answer, always under the same key, for as long as patience lasts.

        The body is written once: Bursar compares what it is asked with what it was asked before.
        """
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if key is not None:
            headers["Idempotency-Key"] = key
        data = json.dumps(body) if body is not None else None
        give_up_at = time.monotonic() + self._patience_s
        wait_s = 0.2
        while True:
            try:
                status, answer, retry_after_s = await self._send(method, path, data, headers)
            except (aiohttp.ClientError, TimeoutError, json.JSONDecodeError) as error:
                reason: Exception = error
            else:
                if status < 400:
                    return answer
                problem = Problem(status, answer)
                # A 502 of Bursar's own says `plugin_fault` and is final; a gateway's has no code.
                if status not in AGAIN and not (status == 502 and "code" not in answer):
                    raise problem
                reason, wait_s = problem, max(wait_s, retry_after_s)
            if time.monotonic() + wait_s > give_up_at:
                raise OutcomeUnknown(f"{method} {path}: {reason}") from reason
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, 5.0)

    async def _send(
        self, method: str, path: str, data: str | None, headers: Mapping[str, str]
    ) -> tuple[int, JSON, float]:
        if self._session is None:
            raise RuntimeError("use `async with Bursar(...)`")
        url = f"{self._base}/{path}"
        async with self._session.request(method, url, data=data, headers=headers) as response:
            text = await response.text()
            try:
                answer = json.loads(text)
            except json.JSONDecodeError:
                if response.status < 400:
                    raise
                answer = {}  # Not Bursar's: a gateway's page.
            after = response.headers.get("Retry-After", "")
            retry_after_s = float(after) if after.isdecimal() else 0.0
            return response.status, answer if isinstance(answer, dict) else {}, retry_after_s
