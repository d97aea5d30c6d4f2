"""What schemathesis is to ask otherwise."""

import hashlib
import json
import os
import re
import time

import schemathesis

KEY = re.compile(r"[!#-~]([ -~]{0,126}[!-~])?")

# The largest whole number that every reader of JSON has exactly.
EXACT_MAX = 2**53 - 1

# The beginning of the run, as a timestamp.
STARTED_MS = int(time.time() * 1000)

# Members that are free documents.
FREE = ("metadata", "arguments", "config")

# The intents that were asked for under each key.
intents = {}


@schemathesis.hook
def map_body(context, body):
    """Writes whole numbers as whole numbers.

    To JSON Schema 5.0 is an integer too. To Bursar it is a float, and nothing in the money path is.
    """
    return whole(body)


@schemathesis.hook
def before_call(context, case, kwargs):
    if withheld(case) == "Authorization":
        # It is refused as it is; a case that is changed here would be sent with its key after all.
        return
    stay_here(case)
    keep_apart(case)
    keep_exact(case.body)
    keep_past(case.body)
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and KEY.fullmatch(key):
        number = number_of_intent(key, case)
        if number > 0:
            case.headers["Idempotency-Key"] = f"{key[:100]}-{number}"
    else:
        ask_in_earnest(case)


def withheld(case):
    """The parameter that is left out on purpose, if there is one."""
    phase = case.meta.phase.data if case.meta else None
    return getattr(phase, "parameter", None)


def stay_here(case):
    """Keeps what is asked for from reaching beyond the run.

    A backup is written where the run keeps its data, whatever path was thought of. No webhook leads
    to a machine. The economy in which everything else is tried is not frozen or closed.
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


def keep_apart(case):
    """Keeps members together only where they may stand together, which the schema does not say."""
    body = case.body
    if not isinstance(body, dict):
        return
    if case.path.endswith("/rollback") and body.get("what") == "component":
        body.pop("to", None)
    rows = body.get("rows")
    if case.path.endswith("/opening-balances") and isinstance(rows, list):
        # No account stands twice with the same asset.
        places = [json.dumps([row.get("account"), row.get("asset")]) if isinstance(row, dict) else None for row in rows]
        body["rows"] = [row for at, row in enumerate(rows) if places[at] is None or places[at] not in places[:at]]


def keep_exact(value, free=False):
    """Keeps whole numbers in free documents where every reader has them exactly.

    Others are refused, which no schema of a free document says.
    """
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in list(members):
        inside = free or name in FREE
        if inside and isinstance(member, (int, float)) and abs(member) > EXACT_MAX:
            value[name] = int(member) % EXACT_MAX
        else:
            keep_exact(member, inside)


def keep_past(value):
    """Keeps moments of rows and transfers in the past.

    Later ones are refused, and no schema knows what time it is.
    """
    if isinstance(value, dict):
        at = value.get("effective_at")
        if isinstance(at, int) and at > STARTED_MS:
            value["effective_at"] = at % STARTED_MS
    for member in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        keep_past(member)


def number_of_intent(key, case):
    """Each intent gets a key of its own.

    The examples are tried with many bodies; under one key all but the first would be refused before
    anything is looked at. Repeating a request still repeats its key.
    """
    known = intents.setdefault(key, {})
    intent = json.dumps([case.path, case.path_parameters, case.body], sort_keys=True, default=str)
    return known.setdefault(intent, len(known))


def ask_in_earnest(case):
    """Where no key is needed none is looked at: by previews, and by independent batches."""
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
