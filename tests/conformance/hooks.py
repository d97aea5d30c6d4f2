"""Changes to the requests that schemathesis generates."""

import hashlib
import json
import os
import re
import time

import schemathesis

KEY = re.compile(r"[!#-~]([ -~]{0,126}[!-~])?")

# The largest whole number that every JSON parser represents exactly.
EXACT_MAX = 2**53 - 1

# The start of the run, in milliseconds since 1970.
STARTED_MS = int(time.time() * 1000)

# Members that are free documents.
FREE = ("metadata", "arguments", "config")

# The requests sent under each key.
requests = {}


@schemathesis.hook
def map_body(context, body):
    """Writes whole numbers without decimals.

    JSON Schema accepts 5.0 as an integer. Bursar refuses it, because amounts are never floats.
    """
    return whole(body)


@schemathesis.hook
def before_call(context, case, kwargs):
    if withheld(case) == "Authorization":
        # The case must stay unchanged: a changed case would be sent with the key.
        return
    keep_local(case)
    avoid_conflicting_members(case)
    keep_exact(case.body)
    keep_past(case.body)
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and KEY.fullmatch(key):
        number = number_of_request(key, case)
        if number > 0:
            case.headers["Idempotency-Key"] = f"{key[:100]}-{number}"
    else:
        require_key(case)


def withheld(case):
    """Returns the parameter that schemathesis omits on purpose, if any."""
    phase = case.meta.phase.data if case.meta else None
    return getattr(phase, "parameter", None)


def keep_local(case):
    """Limits the effects of requests to this run.

    Backups are written to the run's own folder, whatever the path. Webhooks lead to an invalid host. The economy
    of all other requests is not frozen or closed.
    """
    body = case.body
    if not isinstance(body, dict):
        return
    path, url = body.get("path"), body.get("url")
    if case.path.endswith("/backup") and isinstance(path, str) and path.startswith("/"):
        name = hashlib.sha256(path.encode("utf-8", "replace")).hexdigest()
        body["path"] = f"{os.environ['DATA']}/{name}.db"
    if "/webhooks/" in case.path and isinstance(url, str) and re.match("https?://[!-~]", url):
        body["url"] = "https://receiver.invalid/"
    guild = (case.path_parameters or {}).get("economy") == "guild"
    if guild and case.path.endswith("/{economy}") and body.get("status") in ("frozen", "closed"):
        body["status"] = "open"


def avoid_conflicting_members(case):
    """Removes members that exclude each other, which the schema cannot express."""
    body = case.body
    if not isinstance(body, dict):
        return
    if case.path.endswith("/rollback") and body.get("what") == "component":
        body.pop("to", None)
    rows = body.get("rows")
    if case.path.endswith("/opening-balances") and isinstance(rows, list):
        # An account and an asset occur only once.
        places = [json.dumps([row.get("account"), row.get("asset")]) if isinstance(row, dict) else None for row in rows]
        body["rows"] = [row for at, row in enumerate(rows) if places[at] is None or places[at] not in places[:at]]


def keep_exact(value, free=False):
    """Keeps whole numbers in free documents within the exact range.

    Larger numbers are refused, which no schema of a free document expresses.
    """
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in list(members):
        inside = free or name in FREE
        if inside and isinstance(member, (int, float)) and abs(member) > EXACT_MAX:
            value[name] = int(member) % EXACT_MAX
        else:
            keep_exact(member, inside)


def keep_past(value):
    """Keeps effective times of rows and transfers in the past.

    Future times are refused, which no schema can express.
    """
    if isinstance(value, dict):
        at = value.get("effective_at")
        if isinstance(at, int) and at > STARTED_MS:
            value["effective_at"] = at % STARTED_MS
    for member in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        keep_past(member)


def number_of_request(key, case):
    """Returns a number that gives each different request its own key.

    The examples are sent with many bodies; under one key all but the first would be refused immediately. A repeated
    request still repeats its key.
    """
    known = requests.setdefault(key, {})
    request = json.dumps([case.path, case.path_parameters, case.body], sort_keys=True, default=str)
    return known.setdefault(request, len(known))


def require_key(case):
    """Changes requests that need no key, previews and independent batches, into ones that do."""
    if case.query and case.query.get("preview") in (True, "true"):
        case.query["preview"] = "false"
    if isinstance(case.body, dict) and case.body.get("preview") is True:
        case.body["preview"] = False
    if isinstance(case.body, dict) and case.body.get("mode") == "independent":
        case.body["mode"] = "atomic"


def whole(value):
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {name: whole(item) for name, item in value.items()}
    return value
