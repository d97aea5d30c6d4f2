//! Blackjack against the house: a game of several calls whose win can always be paid.
//!
//! The bank is `plugin:blackjack`; the operator issues or transfers to it. A deal holds the stake of the
//! member and as much of the bank's for the member, so a bank that is emptied meanwhile owes nothing. Both
//! holds end by the manifest's rules if nobody plays on: the stake goes to the bank, its share is free
//! again. So there is nothing to be won by waiting.
//!
//! Cards come from a deck without end, and the dealer's second card is drawn when the member stands: there
//! is no hidden card that anybody could read.

mod cards;
mod rules;
mod strategy;

use bursar_plugin::prelude::*;
use cards::{Card, Hand};
use rules::{Config, Deal, Game, Outcome, Round};

bursar_plugin::plugin! {
    id: "blackjack",
    description: "The dealer stands on all 17s, a blackjack pays 3:2, rounded down; \
        a hand left for an hour is lost.",
    license: "Apache-2.0 OR MIT",
    accounts: [],
    permissions: { state_bytes: 16_777_216 },
    config: Config,
    check: Config::check_configuration,
    actions: {
        deal: "Stakes an amount on two cards against the dealer's one." => fn(Deal) -> Round,
        hit: "Takes another card." => fn(NoArguments) -> Round,
        stand: "Takes no more cards: the dealer plays." => fn(NoArguments) -> Round,
        double: "Stakes as much again on exactly one more card." => fn(NoArguments) -> Round,
        look: "Shows the game that is open." => fn(NoArguments) -> Round,
    },
    holds: {
        stake: 3_600 s then capture,
        share: 3_600 s then release,
    },
    odds: strategy::odds(),
}

fn deal(call: &Call<Config>, Deal { stake }: Deal) -> Result<Round, Decline> {
    let (config, caller, bank) = (call.config(), call.caller(), call.own_account());
    let (asset, needed) = (&config.asset, config.needed(stake)?);
    let key = rules::key(&caller)?;
    if let Some(before) = call.get::<Game>(&key)? {
        give_up(call, &before)?;
    }
    // The ledger would say no as well, but of an account that the member knows nothing of.
    if !call.has_at_least(&bank, asset, needed)? {
        return Err(rules::bank_too_small());
    }
    let stake_hold = call.place_hold("stake", &caller, &bank, asset, stake)?;
    let share_hold = call.place_hold("share", &bank, &caller, asset, stake)?;
    if let Some(bonus) = rules::bonus(stake) {
        call.secure(&bank, asset, bonus)?;
    }
    let mut game = Game {
        asset: asset.clone(),
        stake,
        stake_hold,
        share_hold,
        player: Hand::default(),
        dealer: Card::of(0),
    };
    // It takes the same room whatever the cards are, so it is known before the first of them whether there
    // is room for the game.
    call.set(&key, &game);
    // From here on nothing may decline: there are cards on the table.
    game.player.take(draw(call, "player", 1));
    game.player.take(draw(call, "player", 2));
    game.dealer = draw(call, "dealer", 1);
    if game.player.is_natural() {
        call.delete(&key);
        return Ok(finish(call, &game, false));
    }
    call.set(&key, &game);
    Ok(game.goes_on())
}

fn hit(call: &Call<Config>, _: NoArguments) -> Result<Round, Decline> {
    let (key, mut game) = secured(call)?;
    // From here on nothing may decline.
    game.player
        .take(draw(call, "player", game.player.count() + 1));
    if game.player.is_full() {
        call.delete(&key);
        return Ok(finish(call, &game, false));
    }
    call.set(&key, &game);
    Ok(game.goes_on())
}

fn stand(call: &Call<Config>, _: NoArguments) -> Result<Round, Decline> {
    let (key, game) = secured(call)?;
    // From here on nothing may decline.
    call.delete(&key);
    Ok(finish(call, &game, false))
}

fn double(call: &Call<Config>, _: NoArguments) -> Result<Round, Decline> {
    let (key, mut game) = secured(call)?;
    game.check_double()?;
    let (caller, bank) = (call.caller(), call.own_account());
    let most = game.doubled_win()?;
    call.transfer(&caller, &bank, &game.asset, game.stake)?;
    // Who is told no here still has the game, and the bank's share in it.
    if !call.has_at_least(&bank, &game.asset, most)? {
        return Err(rules::bank_too_small());
    }
    call.secure(&bank, &game.asset, most)?;
    // From here on nothing may decline.
    game.player
        .take(draw(call, "player", game.player.count() + 1));
    call.delete(&key);
    Ok(finish(call, &game, true))
}

fn look(call: &Call<Config>, _: NoArguments) -> Result<Round, Decline> {
    let game = call.get::<Game>(&rules::key(&call.caller())?)?;
    let open = game.filter(|game| is_open(call, game));
    Ok(open.ok_or_else(rules::no_game)?.goes_on())
}

/// Whether a game can be played on: both sides are still there, whole. After its time, or when an admin
/// has ended one of its holds, it cannot.
fn is_open(call: &Call<Config>, game: &Game) -> bool {
    let whole = |hold| call.hold_left(hold) == Some(game.stake);
    whole(&game.stake_hold) && whole(&game.share_hold)
}

/// Makes room for another game, unless there is one to be played on. What an admin has left of it goes
/// back to either side.
fn give_up(call: &Call<Config>, before: &Game) -> Result<(), Decline> {
    if is_open(call, before) {
        return Err(rules::game_open());
    }
    call.release_if_open(&before.stake_hold)?;
    call.release_if_open(&before.share_hold)?;
    Ok(())
}

/// The caller's open game and where it is kept, with both its holds at hand for the time after the draw.
fn secured(call: &Call<Config>) -> Result<(String, Game), Decline> {
    let key = rules::key(&call.caller())?;
    let game = call.get::<Game>(&key)?;
    let game = game.filter(|game| is_open(call, game));
    let game = game.ok_or_else(rules::no_game)?;
    call.secure_hold(&game.stake_hold)?;
    call.secure_hold(&game.share_hold)?;
    Ok((key, game))
}

fn draw(call: &Call<Config>, whose: &str, number: usize) -> Card {
    Card::of(call.below(cards::RANKS, &format!("{whose} {number}")))
}

/// Plays the dealer's cards, and sends what is at stake where they say.
fn finish(call: &Call<Config>, game: &Game, doubled: bool) -> Round {
    let mut dealer = Hand::from(game.dealer);
    while rules::dealer_draws(&game.player, &dealer) {
        dealer.take(draw(call, "dealer", dealer.count() + 1));
    }
    let outcome = Outcome::of(&game.player, &dealer);
    let ended = end_holds(call, game, outcome);
    ended.expect("a hold that was placed or secured before the draw is not refused");
    if let Some(extra) = game.extra(outcome, doubled) {
        call.pay_secured(&game.asset, extra);
    }
    game.over(&dealer, outcome, doubled)
}

fn end_holds(call: &Call<Config>, game: &Game, outcome: Outcome) -> Result<(), Refusal> {
    if outcome == Outcome::Lost {
        call.capture_hold(&game.stake_hold, None)?;
    } else {
        call.release_hold(&game.stake_hold)?;
    }
    if outcome.is_win() {
        call.capture_hold(&game.share_hold, None)
    } else {
        call.release_hold(&game.share_hold)
    }
}
