"""What schemathesis is to ask otherwise."""

import json
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
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and KEY.fullmatch(key):
        number = number_of_intent(key, case)
        if number > 0:
            case.headers["Idempotency-Key"] = f"{key[:100]}-{number}"
    else:
        ask_in_earnest(case)


def number_of_intent(key, case):
    """Each intent gets a key of its own.

    The examples are tried with many bodies; under one key all but the first would be refused before
    anything is looked at. Repeating a request still repeats its key.
    """
    known = intents.setdefault(key, {})
    intent = json.dumps([case.path, case.path_parameters, case.body], sort_keys=True, default=str)
    return known.setdefault(intent, len(known))


def ask_in_earnest(case):
    """A preview needs no key, so that a missing one shows only without `preview`."""
    if case.query and case.query.get("preview") in (True, "true"):
        case.query["preview"] = "false"
    if isinstance(case.body, dict) and case.body.get("preview") is True:
        case.body["preview"] = False


def whole(value):
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {name: whole(item) for name, item in value.items()}
    return value
