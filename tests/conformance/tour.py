"""The requests of the README's tour, made with a client generated from the API's description.

They show that the description alone is enough. They also create the economy that schemathesis uses.
"""

import os

from bursar_client import AuthenticatedClient
from bursar_client.api.accounts import get_account, get_statement, set_account
from bursar_client.api.assets import list_assets, list_holders, set_asset
from bursar_client.api.audit import audit_economy
from bursar_client.api.economies import get_economy, list_economies, open_economy
from bursar_client.api.events import list_events
from bursar_client.api.health import get_readiness
from bursar_client.api.holds import capture_hold, get_hold, place_hold
from bursar_client.api.keys import list_keys, set_key
from bursar_client.api.plugins import call_action, get_plugin, set_plugin
from bursar_client.api.transfers import (
    create_transfer,
    create_transfer_batch,
    get_outcome,
    get_transfer,
    issue,
    reverse_transfer,
)
from bursar_client.models import (
    AccountBody,
    AssetBody,
    AssetKind,
    BatchBody,
    BatchItem,
    Call,
    CallBody,
    CallPreview,
    CaptureBody,
    GrantsRequested,
    HoldBody,
    HoldStatus,
    IssueBody,
    KeyBody,
    KeyScope,
    PluginBody,
    Posting,
    Problem,
    Retry,
    ReversalBody,
    Transfer,
    TransferBody,
    TransferPreview,
)

GUILD = "guild"
client = AuthenticatedClient(base_url=os.environ["URL"], token=os.environ["KEY"])


def posting(source, destination, amount):
    return Posting(from_=source, to=destination, asset="coin", amount=amount)


def balance(account, asset):
    read = get_account.sync(GUILD, account, client=client)
    return read.balances[asset].posted


def buy(member, key):
    body = CallBody(caller=member, arguments={"item": "item:potion", "quantity": 1})
    return call_action.sync_detailed(
        GUILD, "shop", "buy", client=client, body=body, idempotency_key=key
    )


def create_the_economy():
    assert get_readiness.sync_detailed(client=client).status_code == 200
    assert open_economy.sync_detailed(GUILD, client=client).status_code == 201
    repeated = open_economy.sync_detailed(GUILD, client=client)
    assert (repeated.status_code, repeated.parsed.changed) == (200, False)
    coin = AssetBody(kind=AssetKind.CURRENCY, name="Coin")
    potion = AssetBody(kind=AssetKind.ITEM, name="Potion")
    assert set_asset.sync(GUILD, "coin", client=client, body=coin).changed
    assert set_asset.sync(GUILD, "item:potion", client=client, body=potion).changed
    for member in ["user:1", "user:2"]:
        opened = set_account.sync(GUILD, member, client=client, body=AccountBody())
        assert (opened.id, opened.changed) == (member, True)


def pay_once():
    welcome = IssueBody(account="user:1", asset="coin", amount=200, memo="welcome")
    issued = issue.sync(GUILD, client=client, body=welcome, idempotency_key="welcome-1")
    assert issued.balances["user:1"]["coin"] == 200
    payment = TransferBody(postings=[posting("user:1", "user:2", 30)])
    request = {"client": client, "body": payment}
    preview = create_transfer.sync(GUILD, **request, preview=True, idempotency_key="ignored")
    assert isinstance(preview, TransferPreview) and preview.balances["user:2"]["coin"] == 30
    first = create_transfer.sync_detailed(GUILD, **request, idempotency_key="pay-1")
    replayed = create_transfer.sync_detailed(GUILD, **request, idempotency_key="pay-1")
    assert isinstance(first.parsed, Transfer) and first.parsed.balances["user:1"]["coin"] == 170
    assert first.status_code == replayed.status_code == 201
    assert first.content == replayed.content
    assert "idempotency-replayed" not in first.headers
    assert replayed.headers["idempotency-replayed"] == "true"
    outcome = get_outcome.sync_detailed(GUILD, "pay-1", client=client)
    assert outcome.content == first.content
    other = TransferBody(postings=[posting("user:1", "user:2", 31)])
    reused = create_transfer.sync(GUILD, client=client, body=other, idempotency_key="pay-1")
    assert isinstance(reused, Problem)
    assert (reused.code, reused.field) == ("idempotency_key_reused", "/postings")


def pay_many():
    rents = [
        BatchItem(idempotency_key="rent-1", postings=[posting("user:1", "user:2", 5)]),
        BatchItem(idempotency_key="rent-2", postings=[posting("user:2", "user:1", 5000)]),
    ]
    body = BatchBody(mode="independent", transfers=rents)
    paid, refused = create_transfer_batch.sync(GUILD, client=client, body=body).results
    assert (paid.status, refused.status) == (201, 422)
    assert isinstance(paid.body, Transfer) and refused.body.code == "insufficient_funds"
    back = TransferBody(postings=[posting("user:2", "user:1", 5)])
    create_transfer.sync(GUILD, client=client, body=back, idempotency_key="rent-back")


def shop():
    config = {
        "items": [{"item": "item:potion", "price": {"coin": 50}, "per_member_limit": 3}],
    }
    body = PluginBody(
        component="bundled:shop",
        grants=GrantsRequested.REQUESTED,
        enabled=True,
        config=config,
    )
    assert set_plugin.sync(GUILD, "shop", client=client, body=body).enabled
    stock = IssueBody(account="plugin:shop", asset="item:potion", amount=10)
    issue.sync(GUILD, client=client, body=stock, idempotency_key="stock-1")
    manifest = get_plugin.sync(GUILD, "shop", client=client).manifest
    assert "buy" in [action.name for action in manifest.actions]
    request = CallBody(caller="user:1", arguments={"item": "item:potion"}, preview=True)
    preview = call_action.sync(
        GUILD, "shop", "buy", client=client, body=request, idempotency_key="ignored"
    )
    assert isinstance(preview, CallPreview) and preview.preview
    bought = buy("user:1", "click-1")
    repeated = buy("user:1", "click-1")
    assert isinstance(bought.parsed, Call) and bought.content == repeated.content
    assert bought.parsed.reply["paid"] == {"coin": 50}
    assert bought.parsed.transfer.balances["plugin:shop:till"]["coin"] == 50
    assert balance("user:1", "coin") == 120
    assert balance("user:1", "item:potion") == 1


def see_rejections():
    refused = buy("user:2", "click-2")
    problem = refused.parsed
    assert refused.status_code == 422 and isinstance(problem, Problem)
    assert (problem.code, problem.retry) == ("insufficient_funds", Retry.NEW_KEY)
    assert (problem.account, problem.available, problem.required) == ("user:2", 30, 50)
    unknown = get_account.sync_detailed(GUILD, "user:99", client=client)
    assert (unknown.status_code, unknown.parsed.code) == (404, "account_not_found")
    unauthorized = AuthenticatedClient(base_url=os.environ["URL"], token="bursar_x_y")
    assert list_economies.sync_detailed(client=unauthorized).status_code == 401


def read_the_books():
    page = get_statement.sync(GUILD, "user:1", client=client, limit=2, asset="coin")
    assert [entry.change for entry in page.entries] == [-50, 5]
    assert page.entries[0].balance == 120
    older = get_statement.sync(GUILD, "user:1", client=client, cursor=page.next_cursor)
    assert [entry.change for entry in older.entries] == [-5, -30, 200]
    assert older.entries[-1].memo == "welcome" and older.next_cursor is None
    holders = list_holders.sync(GUILD, "coin", client=client).holders
    assert [holder.account for holder in holders] == ["user:1", "user:2"]
    supply = {asset.id: asset.supply for asset in list_assets.sync(GUILD, client=client).assets}
    assert supply == {"coin": 200, "item:potion": 10}
    events = list_events.sync(GUILD, client=client, limit=500)
    assert [event.seq for event in events.events] == list(range(1, events.head.seq + 1))
    assert get_economy.sync(GUILD, client=client).head == events.head.hash_
    audit = audit_economy.sync(GUILD, client=client)
    assert audit.ok and len(audit.promises) == 10


def hold_and_reverse():
    bid = HoldBody(from_="user:1", to="user:2", asset="coin", amount=20, expires_in_s=60)
    hold = place_hold.sync(GUILD, client=client, body=bid, idempotency_key="bid-1")
    assert (hold.status, hold.remaining) == (HoldStatus.OPEN, 20)
    request = {"client": client, "body": CaptureBody(), "idempotency_key": "won-1"}
    captured = capture_hold.sync(GUILD, hold.id, **request)
    assert captured.hold.status == HoldStatus.CAPTURED
    assert captured.balances["user:2"]["coin"] == 50
    assert get_hold.sync(GUILD, hold.id, client=client).captured == 20
    request = {"client": client, "body": ReversalBody(), "idempotency_key": "back-1"}
    reversal = reverse_transfer.sync(GUILD, captured.id, **request)
    assert (reversal.reverses, reversal.balances["user:1"]["coin"]) == (captured.id, 120)
    assert get_transfer.sync(GUILD, captured.id, client=client).reversed_by == reversal.id


def create_a_key_for_a_bot():
    body = KeyBody(scopes=[KeyScope.READ], economies=[GUILD])
    created = set_key.sync("reader", client=client, body=body)
    assert created.changed
    assert [key.id for key in list_keys.sync(client=client).keys] == ["admin", "reader"]
    bot = AuthenticatedClient(base_url=os.environ["URL"], token=created.key)
    assert get_account.sync(GUILD, "user:1", client=bot).id == "user:1"
    payment = TransferBody(postings=[posting("user:1", "user:2", 1)])
    refused = create_transfer.sync(GUILD, client=bot, body=payment, idempotency_key="theft")
    assert (refused.code, refused.scope) == ("forbidden", KeyScope.TRANSFER)


for step in [
    create_the_economy,
    pay_once,
    pay_many,
    shop,
    see_rejections,
    read_the_books,
    hold_and_reverse,
    create_a_key_for_a_bot,
]:
    step()
    print(f"  {step.__name__.replace('_', ' ')}")
