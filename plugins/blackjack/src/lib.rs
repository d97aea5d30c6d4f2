//! Blackjack against the bank: a game of several calls whose win can always be paid.
//!
//! The bank is `plugin:blackjack`; the operator fills it. `deal` holds the stake of the member and an equal share
//! of the bank, so that the bank can pay even if it is emptied during the game. Both holds expire by the rules of
//! the manifest if the member does not continue: the stake goes to the bank, and the share is released. A member
//! therefore gains nothing by waiting.
//!
//! The deck is infinite, and the dealer's second card is drawn when the member stands. No hidden card exists that
//! could be read from the state.

mod cards;
mod rules;
mod strategy;

use bursar_plugin::prelude::*;
use cards::{Card, Hand};
use rules::{Config, Deal, Game, RoundOutcome, RoundReply};

bursar_plugin::plugin! {
    id: "blackjack",
    description: "The dealer stands on all 17s, blackjack pays 3:2 rounded down, \
        a game left for an hour is lost.",
    license: "Apache-2.0 OR MIT",
    accounts: [],
    permissions: { state_bytes: 16_777_216 },
    config: Config,
    check: Config::check_configuration,
    actions: {
        deal: "Stakes an amount on two cards against one card of the dealer." => fn(Deal) -> RoundReply,
        hit: "Takes another card." => fn(NoArguments) -> RoundReply,
        stand: "Takes no more cards, and the dealer plays." => fn(NoArguments) -> RoundReply,
        double: "Doubles the stake for exactly one more card." => fn(NoArguments) -> RoundReply,
        look: "Shows your open game." => fn(NoArguments) -> RoundReply,
    },
    holds: {
        stake: 3_600 s then capture,
        share: 3_600 s then release,
    },
    odds: strategy::odds(),
}

fn deal(call: &Call<Config>, Deal { stake }: Deal) -> Result<RoundReply, Decline> {
    let config = call.config();
    let caller = call.caller();
    let bank = call.own_account();
    let asset = &config.asset;
    let needed = config.needed(stake)?;
    let key = rules::key(&caller)?;
    if let Some(previous) = call.get::<Game>(&key)? {
        abandon(call, &previous)?;
    }
    // The ledger would reject this too, but its message would name an account that the member does not know.
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
    // The stored game has a constant length, so a full state fails here, before the first draw.
    call.set(&key, &game);
    // From here on the call must not decline: cards are drawn.
    game.player.take(draw(call, "player", 1));
    game.player.take(draw(call, "player", 2));
    game.dealer = draw(call, "dealer", 1);
    if game.player.is_natural() {
        call.delete(&key);
        return Ok(finish(call, &game, false));
    }
    call.set(&key, &game);
    Ok(game.open_round())
}

fn hit(call: &Call<Config>, _: NoArguments) -> Result<RoundReply, Decline> {
    let (key, mut game) = secured_game(call)?;
    // From here on the call must not decline.
    game.player
        .take(draw(call, "player", game.player.count() + 1));
    if game.player.is_full() {
        call.delete(&key);
        return Ok(finish(call, &game, false));
    }
    call.set(&key, &game);
    Ok(game.open_round())
}

fn stand(call: &Call<Config>, _: NoArguments) -> Result<RoundReply, Decline> {
    let (key, game) = secured_game(call)?;
    // From here on the call must not decline.
    call.delete(&key);
    Ok(finish(call, &game, false))
}

fn double(call: &Call<Config>, _: NoArguments) -> Result<RoundReply, Decline> {
    let (key, mut game) = secured_game(call)?;
    game.check_double()?;
    let caller = call.caller();
    let bank = call.own_account();
    let win = game.doubled_win()?;
    call.transfer(&caller, &bank, &game.asset, game.stake)?;
    // A decline here leaves the game open, with the bank's share in it.
    if !call.has_at_least(&bank, &game.asset, win)? {
        return Err(rules::bank_too_small());
    }
    call.secure(&bank, &game.asset, win)?;
    // From here on the call must not decline.
    game.player
        .take(draw(call, "player", game.player.count() + 1));
    call.delete(&key);
    Ok(finish(call, &game, true))
}

fn look(call: &Call<Config>, _: NoArguments) -> Result<RoundReply, Decline> {
    let game = call.get::<Game>(&rules::key(&call.caller())?)?;
    let open = game.filter(|game| is_open(call, game));
    Ok(open.ok_or_else(rules::no_game)?.open_round())
}

/// Returns true if a game can continue: both holds are whole. This is no longer so once a hold has expired, or an
/// admin has ended one.
fn is_open(call: &Call<Config>, game: &Game) -> bool {
    let whole = |hold| call.hold_left(hold) == Some(game.stake);
    whole(&game.stake_hold) && whole(&game.share_hold)
}

/// Declines if the previous game can continue; otherwise releases the rest of its holds.
fn abandon(call: &Call<Config>, previous: &Game) -> Result<(), Decline> {
    if is_open(call, previous) {
        return Err(rules::game_open());
    }
    call.release_if_open(&previous.stake_hold)?;
    call.release_if_open(&previous.share_hold)?;
    Ok(())
}

/// Returns the key of the caller's open game and the game, with both holds secured for the time after a draw.
fn secured_game(call: &Call<Config>) -> Result<(String, Game), Decline> {
    let key = rules::key(&call.caller())?;
    let game = call.get::<Game>(&key)?;
    let game = game.filter(|game| is_open(call, game));
    let game = game.ok_or_else(rules::no_game)?;
    call.secure_hold(&game.stake_hold)?;
    call.secure_hold(&game.share_hold)?;
    Ok((key, game))
}

/// Draws a card of the player or the dealer.
fn draw(call: &Call<Config>, side: &str, number: usize) -> Card {
    Card::of(call.below(cards::RANKS, &format!("{side} {number}")))
}

/// Draws the dealer's cards, ends the holds by the outcome and pays what is due beyond them.
fn finish(call: &Call<Config>, game: &Game, doubled: bool) -> RoundReply {
    let mut dealer = Hand::from(game.dealer);
    while rules::dealer_draws(&game.player, &dealer) {
        dealer.take(draw(call, "dealer", dealer.count() + 1));
    }
    let outcome = RoundOutcome::of(&game.player, &dealer);
    let result = end_holds(call, game, outcome);
    result.expect("ending a hold that was placed or secured before the draw is not refused");
    if let Some(extra) = game.extra(outcome, doubled) {
        call.pay_secured(&game.asset, extra);
    }
    game.finished_round(&dealer, outcome, doubled)
}

/// Captures or releases both holds by the outcome.
fn end_holds(call: &Call<Config>, game: &Game, outcome: RoundOutcome) -> Result<(), Refusal> {
    if outcome == RoundOutcome::Lost {
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
