"""What schemathesis is to ask otherwise."""

import hashlib
import json
import os
import re

import schemathesis

KEY = re.compile(r"[!#-~]([ -~]{0,126}[!-~])?")

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
