"""The example bot's `/buy`, against a running server: what is shown is the most that is paid.

Only Discord's side is stood in for: what the bot is handed when somebody uses a command or clicks.
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
PRICE, DEARER = 50, 60


class Interaction:
    """What Discord hands to the bot, and what the bot says."""

    def __init__(self, number, bursar):
        self.id = number
        self.user = SimpleNamespace(id=7)
        self.client = SimpleNamespace(bursar=bursar)
        self.said = []
        self.views = []
        self.response = SimpleNamespace(
            defer=self.nothing, is_done=lambda: True, edit_message=self.say
        )
        self.followup = SimpleNamespace(send=self.say)
        self.edit_original_response = self.say

    async def nothing(self, **_):
        pass

    async def say(self, text=None, *, content=None, view=None, ephemeral=False):
        self.said.append(text or content)
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


async def furnish(session):
    await put(session, "", {})
    await put(session, "/assets/coin", {"kind": "currency", "name": "Coin"})
    await put(session, "/assets/item:potion", {"kind": "item", "name": "Potion"})
    await put(session, "/accounts/user:7", {})
    await sell_for(session, PRICE)
    await issue(session, "plugin:shop", "item:potion", 10)
    await issue(session, "user:7", "coin", 100)


async def offered(number, bursar):
    """Uses `/buy`, and hands back the two buttons that the member sees."""
    asked = Interaction(number, bursar)
    await bot.buy.callback(asked, "item:potion", 1)
    assert asked.said == [f"Buy 1 potion for {PRICE} coin?"], asked.said
    return asked.views[0]


async def click(offer, how, number, bursar):
    """Clicks one of them, and hands back what the member reads."""
    clicked = Interaction(number, bursar)
    button = {"Buy": offer.accept, "Cancel": offer.decline}[how]
    try:
        await button.callback(clicked)
    except Exception as error:  # As the library does with it.
        await offer.on_error(clicked, error, button)
    return clicked.said


async def coins(bursar):
    return (await bursar.balances("user:7"))["coin"]["posted"]


async def main():
    key = os.environ["KEY"]
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        Bursar(os.environ["URL"], key, ECONOMY) as bursar,
    ):
        await furnish(session)

        offer = await offered(1, bursar)
        assert await coins(bursar) == 100, "what is shown is not paid"
        assert await click(offer, "Cancel", 2, bursar) == ["You have bought nothing."]
        assert await coins(bursar) == 100

        offer = await offered(3, bursar)
        await sell_for(session, DEARER)
        said = await click(offer, "Buy", 4, bursar)
        assert said == ["The price has changed, and nothing was paid. Use the command again."]
        assert await coins(bursar) == 100, "a price that was not shown is not paid"

        await sell_for(session, PRICE)
        offer = await offered(5, bursar)
        told = "You have bought 1 potion for 50 coin. You can return it: it is your purchase 1."
        # Whoever clicks twice has two interactions, and buys once.
        assert await click(offer, "Buy", 6, bursar) == [told]
        assert await click(offer, "Buy", 7, bursar) == [told]
        assert await coins(bursar) == 50


asyncio.run(main())
print("The bot shows a price, and no more than that is paid.")
