"""A Discord bot with an economy: /balance, /pay, /buy and /flip.

The bot keeps no money and no rules. It says who asks for what, under the interaction's id as the
idempotency key; Bursar does the rest. A member who clicks twice makes two interactions, and so asks
twice; one interaction that is handled twice, or whose answer was lost, pays once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from typing import Any

import discord
from discord import app_commands

from bursar import Bursar, OutcomeUnknown, Problem

AMOUNT_MAX = 2**53 - 1
ASSET = os.environ.get("BURSAR_ASSET", "coin")

log = logging.getLogger("bot")

Interaction = discord.Interaction["Bot"]


class Bot(discord.Client):
    """The bot, with its one connection to Bursar."""

    def __init__(self, bursar: Bursar) -> None:
        # A plugin's words are shown to members; none of them may call everyone.
        mentions = discord.AllowedMentions(everyone=False, roles=False, users=True)
        super().__init__(intents=discord.Intents.default(), allowed_mentions=mentions)
        self.bursar = bursar
        self.tree = app_commands.CommandTree(self)
        commands: list[app_commands.Command[Any, ..., Any]] = [balance, pay, buy, flip]
        for command in commands:
            self.tree.add_command(command)
        self.tree.error(on_error)

    async def setup_hook(self) -> None:
        await self.tree.sync()


async def account_of(bot: Bot, member: discord.abc.User) -> str:
    """A member's account. Asking for it again changes nothing, so nobody has to sign up."""
    account = f"user:{member.id}"
    await bot.bursar.open_account(account)
    return account


def name_of(asset: str) -> str:
    """`item:potion` as people read it."""
    return asset.removeprefix("item:")


def explain(problem: Problem) -> str:
    """A no, as the member reads it."""
    body = problem.body
    match problem.code:
        case "declined" if body["decline"]["code"] == "over_limit":
            return "That takes more than you were told. Nothing has moved: ask for it again."
        case "declined":  # The plugin's own words, written for members.
            return str(body["decline"]["message"])
        case "insufficient_funds":
            have, need, what = body["available"], body["required"], name_of(body["asset"])
            return f"That takes {need:,} {what}, and you have {have:,}."
        case "ceiling_exceeded":
            return "There is no room for that in the account it would go to."
        case "malformed" if body.get("pointer") == "/arguments/item":
            return "The shop does not sell that."
        case "plugin_disabled" | "plugin_not_found":
            return "That is closed at the moment."
        case "plugin_fault":
            return "Something went wrong there, and the operator can see what. Nothing has moved."
    log.error("unexpected: %s %s: %s", problem.status, problem.code, problem)
    return "That did not work. Nothing has moved."


@app_commands.command()
@app_commands.guild_only()
async def balance(interaction: Interaction) -> None:
    """What you have."""
    await interaction.response.defer(ephemeral=True)
    bot = interaction.client
    balances = await bot.bursar.balances(await account_of(bot, interaction.user))
    lines = [
        f"{amounts['available']:,} {name_of(asset)}"
        for asset, amounts in sorted(balances.items())
        if amounts["posted"] != 0
    ]
    await interaction.followup.send("\n".join(lines) or "Nothing yet.", ephemeral=True)


@app_commands.command()
@app_commands.guild_only()
@app_commands.describe(member="Who gets it", amount="How much")
async def pay(
    interaction: Interaction,
    member: discord.Member,
    amount: app_commands.Range[int, 1, AMOUNT_MAX],
) -> None:
    """Gives another member some of yours."""
    if member.id == interaction.user.id:
        await interaction.response.send_message("You have that already.", ephemeral=True)
        return
    # Discord waits three seconds for a first word, and a quarter of an hour for the rest.
    await interaction.response.defer()
    bot = interaction.client
    source, destination = await account_of(bot, interaction.user), await account_of(bot, member)
    posting = {"from": source, "to": destination, "asset": ASSET, "amount": amount}
    await bot.bursar.transfer(str(interaction.id), [posting], memo="/pay")
    await interaction.followup.send(
        f"{interaction.user.mention} gave {member.mention} {amount:,} {ASSET}."
    )


class Offer(discord.ui.View):
    """Something that a member may buy at the price that it was shown, for a minute."""

    def __init__(
        self, key: str, caller: str, arguments: dict[str, Any], price: dict[str, int]
    ) -> None:
        super().__init__(timeout=60)
        self.key = key
        self.caller = caller
        self.arguments = arguments
        self.price = price

    @discord.ui.button(label="Buy", style=discord.ButtonStyle.success)
    async def accept(self, interaction: Interaction, _: discord.ui.Button[Offer]) -> None:
        """Buys it. Whoever clicks twice asks twice under one key, and so buys once."""
        await interaction.response.defer()
        # No more leaves the member than they were shown, whatever it costs by now.
        bought = await interaction.client.bursar.call(
            self.key, "shop", "buy", self.caller, self.arguments, spend_limit=self.price
        )
        self.stop()
        reply = bought["reply"]
        goods, paid = f"{reply['quantity']} {name_of(reply['item'])}", in_words(reply["paid"])
        text = f"You have {goods} for {paid}."
        if "purchase" in reply:
            text += f" It can be given back: it is your purchase {reply['purchase']}."
        await interaction.edit_original_response(content=text, view=None)

    @discord.ui.button(label="Leave it", style=discord.ButtonStyle.secondary)
    async def decline(self, interaction: Interaction, _: discord.ui.Button[Offer]) -> None:
        """Buys nothing."""
        self.stop()
        await interaction.response.edit_message(content="You have bought nothing.", view=None)

    # The view's interactions are those of this bot, which the library's type does not know.
    async def on_error(  # type: ignore[override]
        self, interaction: Interaction, error: Exception, _: discord.ui.Item[Any]
    ) -> None:
        """What goes wrong with a button is told like what goes wrong with a command."""
        await tell(interaction, error)


def in_words(amounts: dict[str, int]) -> str:
    """`50 coin and 1 gem`."""
    return " and ".join(f"{amount:,} {name_of(asset)}" for asset, amount in amounts.items())


@app_commands.command()
@app_commands.guild_only()
@app_commands.describe(item="What", quantity="How many; one if you do not say")
async def buy(
    interaction: Interaction, item: str, quantity: app_commands.Range[int, 1, 1000] = 1
) -> None:
    """Shows what something costs in the shop, and buys it if you agree."""
    # Only the member sees the offer, so nobody else can click on it.
    await interaction.response.defer(ephemeral=True)
    bot = interaction.client
    caller = await account_of(bot, interaction.user)
    arguments = {"item": item, "quantity": quantity}
    shown = await bot.bursar.preview("shop", "buy", caller, arguments)
    reply = shown["reply"]
    offer = Offer(str(interaction.id), caller, arguments, reply["paid"])
    text = f"{reply['quantity']} {name_of(reply['item'])} for {in_words(reply['paid'])}?"
    await interaction.followup.send(text, view=offer, ephemeral=True)


@buy.autocomplete("item")
async def items(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    """What the shop sells, from its configuration."""
    async with asyncio.timeout(2):  # Later than that Discord does not listen.
        shop = await interaction.client.bursar.plugin("shop")
    names: list[str] = [offer["item"] for offer in shop["config"]["items"]]
    # Discord shows 25 choices of at most 100 characters.
    fitting = [name for name in names if typed.lower() in name and len(name) <= 100]
    return [app_commands.Choice(name=name_of(name), value=name) for name in fitting[:25]]


@app_commands.command()
@app_commands.guild_only()
@app_commands.describe(stake="How much you bet", side="What you bet on")
@app_commands.choices(
    side=[
        app_commands.Choice(name="heads", value="heads"),
        app_commands.Choice(name="tails", value="tails"),
    ]
)
async def flip(
    interaction: Interaction, stake: app_commands.Range[int, 1, AMOUNT_MAX], side: str
) -> None:
    """Bets on a coin, double or nothing."""
    await interaction.response.defer()
    bot = interaction.client
    caller = await account_of(bot, interaction.user)
    arguments = {"stake": stake, "side": side}
    # The coin cannot be thrown again: the same key draws the same side, whatever gets lost.
    flipped = await bot.bursar.call(
        str(interaction.id), "coinflip", "flip", caller, arguments, spend_limit={ASSET: stake}
    )
    reply = flipped["reply"]
    end = f"and gets {reply['paid']:,}" if reply["won"] else f"and loses {stake:,}"
    await interaction.followup.send(
        f"{interaction.user.mention} bets on {side}. It is {reply['side']}, {end}."
    )


async def on_error(interaction: Interaction, error: app_commands.AppCommandError) -> None:
    """Every no and every failure of a command ends here."""
    cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
    await tell(interaction, cause)


async def tell(interaction: Interaction, cause: Exception) -> None:
    """Says in one sentence what went wrong."""
    if isinstance(cause, Problem):
        text = explain(cause)
    elif isinstance(cause, OutcomeUnknown):
        log.warning("interaction %s: %s", interaction.id, cause)
        text = "No answer came in time. Look at /balance in a moment before you try again."
    else:
        log.error("interaction %s", interaction.id, exc_info=cause)
        text = "Something went wrong with this bot."
    if interaction.response.is_done():
        await interaction.followup.send(text, ephemeral=True)
    else:
        await interaction.response.send_message(text, ephemeral=True)


async def main() -> None:
    """Runs until it is stopped."""
    discord.utils.setup_logging()
    url = os.environ.get("BURSAR_URL", "http://127.0.0.1:7777")
    economy = os.environ.get("BURSAR_ECONOMY", "guild")
    async with Bursar(url, os.environ["BURSAR_KEY"], economy) as bursar, Bot(bursar) as bot:
        await bot.start(os.environ["DISCORD_TOKEN"])


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
