"""A client for Bursar's HTTP API. It does not depend on Discord.

Every request that moves money has an idempotency key. The client sends a request again with the
same key if its response was lost or it was rejected temporarily. Money cannot move twice this way.
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

# Statuses after which a retry with the same key is safe. Bursar does not send 429 and 504, but a
# gateway in front of it may.
RETRYABLE = frozenset({408, 429, 500, 503, 504})


class Problem(Exception):
    """The error of a rejected request: it has moved nothing."""

    def __init__(self, status: int, body: JSON) -> None:
        self.status = status
        self.body = body
        self.code: str = str(body.get("code", "unknown"))
        self.retry: str = str(body.get("retry", "never"))
        super().__init__(str(body.get("detail", f"HTTP {status}")))


class OutcomeUnknown(Exception):
    """The error of a request without a response in time.

    A retry with the same key returns the outcome.
    """


class Bursar:
    """A client for one economy with one API key. Use it as an asynchronous context manager."""

    def __init__(self, url: str, key: str, economy: str, *, retry_for_s: float = 30.0) -> None:
        self._base = f"{url.rstrip('/')}/v1/economies/{quote(economy, safe='')}"
        self._headers = {"Authorization": f"Bearer {key}"}
        self._retry_for_s = retry_for_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # Longer than the server waits for a commit, so that its response arrives.
        timeout = aiohttp.ClientTimeout(total=12, connect=3)
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def open_account(self, account: str) -> JSON:
        """Creates an account. An existing account stays as it is."""
        return await self._request("PUT", f"accounts/{quote(account, safe=':')}", {})

    async def balances(self, account: str) -> dict[str, JSON]:
        """Returns the balances of an account by asset: `posted`, `held` and `available`."""
        found = await self._request("GET", f"accounts/{quote(account, safe=':')}")
        return dict(found["balances"])

    async def plugin(self, plugin: str) -> JSON:
        """Returns an installed plugin: its configuration, its grants and its manifest."""
        return await self._request("GET", f"plugins/{quote(plugin, safe='')}")

    async def transfer(
        self, key: str, postings: Sequence[Mapping[str, Any]], *, memo: str | None = None
    ) -> JSON:
        """Posts all postings (`from`, `to`, `asset`, `amount`) in this order, or none of them."""
        body: JSON = {"postings": list(postings)}
        if memo is not None:
            body["memo"] = memo
        return await self._request("POST", "transfers", body, key=key)

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
        """Calls an action for a member, who pays at most `spend_limit` of each asset."""
        body: JSON = {"caller": caller, "arguments": dict(arguments)}
        if spend_limit is not None:
            body["spend_limit"] = dict(spend_limit)
        return await self._request("POST", self._action(plugin, action), body, key=key)

    async def preview(
        self, plugin: str, action: str, caller: str, arguments: Mapping[str, Any]
    ) -> JSON:
        """Returns the response that `call` would get now. It moves nothing and needs no key."""
        body: JSON = {"caller": caller, "arguments": dict(arguments), "preview": True}
        return await self._request("POST", self._action(plugin, action), body)

    @staticmethod
    def _action(plugin: str, action: str) -> str:
        return f"plugins/{quote(plugin, safe='')}/actions/{quote(action, safe='')}"

    async def _request(
        self, method: str, path: str, request: JSON | None = None, *, key: str | None = None
    ) -> JSON:
        """Sends a request with one key until there is a response or the time for retries is over.

        The body is serialised once, since Bursar compares it with the body of earlier requests.
        """
        headers = {"Content-Type": "application/json"} if request is not None else {}
        if key is not None:
            headers["Idempotency-Key"] = key
        data = json.dumps(request) if request is not None else None
        give_up_at = time.monotonic() + self._retry_for_s
        wait_s = 0.2
        while True:
            try:
                status, body, retry_after_s = await self._send(method, path, data, headers)
            except (aiohttp.ClientError, TimeoutError, json.JSONDecodeError) as error:
                reason: Exception = error
            else:
                if status < 400:
                    return body
                problem = Problem(status, body)
                # Bursar's 502 has the code `plugin_fault` and is final; a gateway's has no code.
                if status not in RETRYABLE and not (status == 502 and "code" not in body):
                    raise problem
                reason = problem
                wait_s = max(wait_s, retry_after_s)
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
                body = json.loads(text)
            except json.JSONDecodeError:
                if response.status < 400:
                    raise
                body = {}  # A page of a gateway.
            after = response.headers.get("Retry-After", "")
            retry_after_s = float(after) if after.isdecimal() else 0.0
            return response.status, body if isinstance(body, dict) else {}, retry_after_s
