"""Tests the example bot's `/buy` against a running server: the displayed price is the most that is paid.

Only Discord is replaced: the interactions that the bot receives for a command or a click.
"""

import asyncio
import os
import sys
from types import SimpleNamespace

import aiohttp

sys.path.insert(0, "examples/discord-bot")
import bot  # noqa: E402
from bursar import Bursar  # noqa: E402

ECONOMY = "bot"
GUILD = f"{os.environ['URL']}/v1/economies/{ECONOMY}"
PRICE = 50
RAISED_PRICE = 60


class Interaction:
    """An interaction from Discord that records the bot's messages."""

    def __init__(self, number, bursar):
        self.id = number
        self.user = SimpleNamespace(id=7)
        self.client = SimpleNamespace(bursar=bursar)
        self.messages = []
        self.views = []
        self.response = SimpleNamespace(
            defer=self.ignore, is_done=lambda: True, edit_message=self.send
        )
        self.followup = SimpleNamespace(send=self.send)
        self.edit_original_response = self.send

    async def ignore(self, **_):
        pass

    async def send(self, text=None, *, content=None, view=None, ephemeral=False):
        self.messages.append(text or content)
        self.views.append(view)


async def put(session, path, body):
    async with session.put(GUILD + path, json=body) as answer:
        assert answer.status < 300, await answer.text()


async def sell_for(session, price):
    offer = {"item": "item:potion", "price": {"coin": price}, "refund_within_s": 60}
    body = {"component": "bundled:shop", "grants": "requested", "enabled": True}
    await put(session, "/plugins/shop", body | {"config": {"items": [offer]}})


async def issue(session, account, asset, amount):
    body = {"account": account, "asset": asset, "amount": amount}
    headers = {"Idempotency-Key": f"{account} {asset}"}
    async with session.post(GUILD + "/issue", json=body, headers=headers) as answer:
        assert answer.status == 201, await answer.text()


async def create_economy(session):
    await put(session, "", {})
    await put(session, "/assets/coin", {"kind": "currency", "name": "Coin"})
    await put(session, "/assets/item:potion", {"kind": "item", "name": "Potion"})
    await put(session, "/accounts/user:7", {})
    await sell_for(session, PRICE)
    await issue(session, "plugin:shop", "item:potion", 10)
    await issue(session, "user:7", "coin", 100)


async def request_offer(number, bursar):
    """Uses `/buy` and returns the view with its two buttons."""
    interaction = Interaction(number, bursar)
    await bot.buy.callback(interaction, "item:potion", 1)
    assert interaction.messages == [f"Buy 1 potion for {PRICE} coin?"], interaction.messages
    return interaction.views[0]


async def click(offer, label, number, bursar):
    """Clicks a button and returns the bot's messages."""
    interaction = Interaction(number, bursar)
    button = {"Buy": offer.accept, "Cancel": offer.decline}[label]
    try:
        await button.callback(interaction)
    except Exception as error:  # As discord.py does.
        await offer.on_error(interaction, error, button)
    return interaction.messages


async def coins(bursar):
    return (await bursar.balances("user:7"))["coin"]["posted"]


async def main():
    key = os.environ["KEY"]
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        Bursar(os.environ["URL"], key, ECONOMY) as bursar,
    ):
        await create_economy(session)

        offer = await request_offer(1, bursar)
        assert await coins(bursar) == 100, "displaying a price pays nothing"
        assert await click(offer, "Cancel", 2, bursar) == ["You have bought nothing."]
        assert await coins(bursar) == 100

        offer = await request_offer(3, bursar)
        await sell_for(session, RAISED_PRICE)
        messages = await click(offer, "Buy", 4, bursar)
        assert messages == ["The price has changed, and nothing was paid. Use the command again."]
        assert await coins(bursar) == 100, "a price that was not displayed is not paid"

        await sell_for(session, PRICE)
        offer = await request_offer(5, bursar)
        expected = "You have bought 1 potion for 50 coin. You can return it: it is your purchase 1."
        # Two clicks are two interactions and one purchase.
        assert await click(offer, "Buy", 6, bursar) == [expected]
        assert await click(offer, "Buy", 7, bursar) == [expected]
        assert await coins(bursar) == 50


asyncio.run(main())
print("The price that the bot displays is the most that is paid.")
