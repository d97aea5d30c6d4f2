"""A Discord bot with an economy: /balance, /pay, /buy and /flip.

The bot stores no money and has no rules. It sends each command to Bursar with the interaction's id
as the idempotency key. An interaction that is handled twice, or whose response was lost, pays
once. Two clicks of a member are two interactions, so they pay twice.
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
    """The bot with its connection to Bursar."""

    def __init__(self, bursar: Bursar) -> None:
        # Members see texts of plugins, which must not mention @everyone or roles.
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
    """Returns a member's account, and creates it if it does not exist."""
    account = f"user:{member.id}"
    await bot.bursar.open_account(account)
    return account


def name_of(asset: str) -> str:
    """Returns the name of an asset for members: `potion` for `item:potion`."""
    return asset.removeprefix("item:")


def explain(problem: Problem) -> str:
    """Returns the sentence for a member about a rejected request."""
    body = problem.body
    match problem.code:
        case "declined" if body["decline"]["code"] == "over_limit":
            return "The price has changed, and nothing was paid. Use the command again."
        case "declined":  # The plugin's sentence, which is written for members.
            return str(body["decline"]["message"])
        case "insufficient_funds":
            have, need, what = body["available"], body["required"], name_of(body["asset"])
            return f"That takes {need:,} {what}, and you have {have:,}."
        case "ceiling_exceeded":
            return "The account that would get it is full."
        case "malformed" if body.get("pointer") == "/arguments/item":
            return "The shop does not sell that."
        case "plugin_disabled" | "plugin_not_found":
            return "That is not available at the moment."
        case "plugin_fault":
            return "That failed, and nothing was paid. The operator can find the error in the log."
    log.error("unexpected response: %s %s: %s", problem.status, problem.code, problem)
    return "That failed, and nothing was paid."


@app_commands.command()
@app_commands.guild_only()
async def balance(interaction: Interaction) -> None:
    """Shows your balance."""
    await interaction.response.defer(ephemeral=True)
    bot = interaction.client
    balances = await bot.bursar.balances(await account_of(bot, interaction.user))
    lines = [
        f"{amounts['available']:,} {name_of(asset)}"
        for asset, amounts in sorted(balances.items())
        if amounts["posted"] != 0
    ]
    await interaction.followup.send("\n".join(lines) or "You have nothing yet.", ephemeral=True)


@app_commands.command()
@app_commands.guild_only()
@app_commands.describe(member="The member to pay", amount="The amount")
async def pay(
    interaction: Interaction,
    member: discord.Member,
    amount: app_commands.Range[int, 1, AMOUNT_MAX],
) -> None:
    """Pays another member."""
    if member.id == interaction.user.id:
        await interaction.response.send_message("You cannot pay yourself.", ephemeral=True)
        return
    # Discord waits 3 seconds for the first response and 15 minutes for the rest:
    # https://discord.com/developers/docs/interactions/receiving-and-responding
    await interaction.response.defer()
    bot = interaction.client
    source = await account_of(bot, interaction.user)
    destination = await account_of(bot, member)
    posting = {"from": source, "to": destination, "asset": ASSET, "amount": amount}
    await bot.bursar.transfer(str(interaction.id), [posting], memo="/pay")
    await interaction.followup.send(
        f"{interaction.user.mention} gave {member.mention} {amount:,} {ASSET}."
    )


class Offer(discord.ui.View):
    """An offer that a member can buy for a minute at the price that it shows."""

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
        """Buys the offer. Two clicks have one idempotency key, so they buy once."""
        await interaction.response.defer()
        # The member never pays more than the price that was shown, even if it has risen.
        bought = await interaction.client.bursar.call(
            self.key, "shop", "buy", self.caller, self.arguments, spend_limit=self.price
        )
        self.stop()
        reply = bought["reply"]
        goods = f"{reply['quantity']} {name_of(reply['item'])}"
        text = f"You have bought {goods} for {format_amounts(reply['paid'])}."
        if "purchase" in reply:
            text += f" You can return it: it is your purchase {reply['purchase']}."
        await interaction.edit_original_response(content=text, view=None)

    @discord.ui.button(label="Cancel", style=discord.ButtonStyle.secondary)
    async def decline(self, interaction: Interaction, _: discord.ui.Button[Offer]) -> None:
        """Cancels the offer."""
        self.stop()
        await interaction.response.edit_message(content="You have bought nothing.", view=None)

    # The view's interactions belong to this bot, which the library's type does not express.
    async def on_error(  # type: ignore[override]
        self, interaction: Interaction, error: Exception, _: discord.ui.Item[Any]
    ) -> None:
        """Reports an error of a button like an error of a command."""
        await report(interaction, error)


def format_amounts(amounts: dict[str, int]) -> str:
    """Returns amounts as text, such as `50 coin and 1 gem`."""
    return " and ".join(f"{amount:,} {name_of(asset)}" for asset, amount in amounts.items())


@app_commands.command()
@app_commands.guild_only()
@app_commands.describe(item="The item", quantity="The number of units; 1 by default")
async def buy(
    interaction: Interaction, item: str, quantity: app_commands.Range[int, 1, 1000] = 1
) -> None:
    """Shows the price of an item in the shop, and buys it if you confirm."""
    # Only the member sees the offer, so no other member can click on it.
    await interaction.response.defer(ephemeral=True)
    bot = interaction.client
    caller = await account_of(bot, interaction.user)
    arguments = {"item": item, "quantity": quantity}
    shown = await bot.bursar.preview("shop", "buy", caller, arguments)
    reply = shown["reply"]
    offer = Offer(str(interaction.id), caller, arguments, reply["paid"])
    text = f"Buy {reply['quantity']} {name_of(reply['item'])} for {format_amounts(reply['paid'])}?"
    await interaction.followup.send(text, view=offer, ephemeral=True)


@buy.autocomplete("item")
async def items(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    """Returns the items of the shop's configuration that contain the typed text."""
    async with asyncio.timeout(2):  # Discord ignores later choices.
        shop = await interaction.client.bursar.plugin("shop")
    names: list[str] = [offer["item"] for offer in shop["config"]["items"]]
    # Discord shows at most 25 choices of at most 100 characters.
    fitting = [name for name in names if typed.lower() in name and len(name) <= 100]
    return [app_commands.Choice(name=name_of(name), value=name) for name in fitting[:25]]


@app_commands.command()
@app_commands.guild_only()
@app_commands.describe(stake="The stake", side="The side to bet on")
@app_commands.choices(
    side=[
        app_commands.Choice(name="heads", value="heads"),
        app_commands.Choice(name="tails", value="tails"),
    ]
)
async def flip(
    interaction: Interaction, stake: app_commands.Range[int, 1, AMOUNT_MAX], side: str
) -> None:
    """Bets on a coin flip: double or nothing."""
    await interaction.response.defer()
    bot = interaction.client
    caller = await account_of(bot, interaction.user)
    arguments = {"stake": stake, "side": side}
    # A retry cannot draw again: the same idempotency key always draws the same side.
    flipped = await bot.bursar.call(
        str(interaction.id), "coinflip", "flip", caller, arguments, spend_limit={ASSET: stake}
    )
    reply = flipped["reply"]
    end = f"and gets {reply['paid']:,}" if reply["won"] else f"and loses {stake:,}"
    await interaction.followup.send(
        f"{interaction.user.mention} bets on {side}. It is {reply['side']}, {end}."
    )


async def on_error(interaction: Interaction, error: app_commands.AppCommandError) -> None:
    """Handles every rejection and every error of a command."""
    cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
    await report(interaction, cause)


async def report(interaction: Interaction, cause: Exception) -> None:
    """Sends the member one sentence about an error."""
    if isinstance(cause, Problem):
        text = explain(cause)
    elif isinstance(cause, OutcomeUnknown):
        log.warning("interaction %s: %s", interaction.id, cause)
        text = "There was no response in time. Look at /balance before you try again."
    else:
        log.error("interaction %s", interaction.id, exc_info=cause)
        text = "This bot has an error."
    if interaction.response.is_done():
        await interaction.followup.send(text, ephemeral=True)
    else:
        await interaction.response.send_message(text, ephemeral=True)


async def main() -> None:
    """Runs the bot until it is stopped."""
    discord.utils.setup_logging()
    url = os.environ.get("BURSAR_URL", "http://127.0.0.1:7777")
    economy = os.environ.get("BURSAR_ECONOMY", "guild")
    async with Bursar(url, os.environ["BURSAR_KEY"], economy) as bursar, Bot(bursar) as bot:
        await bot.start(os.environ["DISCORD_TOKEN"])


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
