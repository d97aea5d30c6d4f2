//! The rules of an auction: plain functions, without the host.

use bursar_plugin::prelude::*;
use bursar_plugin::{OpenList, member_key, name_key};

use crate::replies::{Collected, Shown};

/// The longest auction as it is opened: 30 days.
const LASTS_S_MAX: u64 = 30 * 24 * 60 * 60;

/// Seconds after its opening by which an auction is over, however late the last bid has come.
const OVER_S: u64 = LASTS_S_MAX + DAY_S;

/// Seconds after its end for which a lot is tried again that cannot be settled: a week.
const TRIED_S: u64 = 7 * DAY_S;

/// How long lots and bids are held, as in the manifest: 60 days. That is three weeks longer than any lot may
/// take to be settled, for the case that no server runs meanwhile.
pub(crate) const HELD_S: u64 = 60 * DAY_S;

const DAY_S: u64 = 24 * 60 * 60;

/// Seconds after which lots that wait are looked at in any case.
pub(crate) const QUIET_S: u64 = DAY_S;

/// Seconds before a lot that could not be settled is tried again; each further time twice as many, up to a
/// day.
const TRY_AGAIN_S: u64 = 60;

/// Lots that one run looks at. Each takes five writes at most, of which a call has sixteen.
pub(crate) const SWEPT: usize = 3;

/// Lots that a member has open at a time: with the longest names they take some 20 KB of what is kept for
/// all.
const OPEN_MAX: usize = 20;

/// What the operator sets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What is bid in. A lot keeps all of these terms from its opening to its end; others apply to lots
    /// that are opened later.
    asset: Asset,
    /// By how much a bid has to pass the one before; 1 where absent.
    #[serde(default = "one")]
    increment: Amount,
    /// Seconds that an auction goes on at least after a bid; none where absent. However many bids there are,
    /// it ends 31 days after it was opened.
    #[serde(default)]
    extension_s: u64,
}

fn one() -> Amount {
    Amount::ONE
}

/// Something to put up for auction.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Open {
    /// What.
    pub(crate) asset: Asset,
    /// How much of it.
    pub(crate) amount: Amount,
    /// The smallest bid.
    reserve: Amount,
    /// Seconds until the end: up to 30 days.
    #[schemars(range(min = 1, max = 2_592_000))]
    lasts_s: u64,
}

/// A bid.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bid {
    /// For which lot.
    pub(crate) lot: u64,
    /// How much.
    pub(crate) amount: Amount,
}

/// The number of a lot.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    /// Which lot.
    pub(crate) lot: u64,
}

/// What waits on the plugin's account for a member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Owed {
    asset: Asset,
    amount: Amount,
}

impl Owed {
    pub(crate) fn new(asset: &Asset, amount: Amount) -> Self {
        let asset = asset.clone();
        Self { asset, amount }
    }

    pub(crate) fn asset(&self) -> &Asset {
        &self.asset
    }

    pub(crate) fn amount(&self) -> Amount {
        self.amount
    }

    pub(crate) fn collected(self, more: bool) -> Collected {
        Collected {
            asset: self.asset,
            amount: self.amount,
            more,
        }
    }
}

/// When an auction ends: without late bids, and with ever so many of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Times {
    ends_ms: u64,
    last_end_ms: u64,
}

/// The highest bid.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Placed {
    pub(crate) bidder: Account,
    pub(crate) amount: Amount,
    pub(crate) hold: HoldId,
}

/// A lot as it is kept.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Lot {
    seller: Account,
    asset: Asset,
    amount: Amount,
    reserve: Amount,
    ends_ms: u64,
    hold: HoldId,
    highest: Option<Placed>,
    terms: Terms,
    /// When it is looked at next; its place among the lots that wait.
    looked_at_ms: u64,
    /// How often it could not be settled.
    tries: u32,
}

/// The terms of an auction, as they were configured when it was opened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Terms {
    /// What is bid in.
    asset: Asset,
    /// By how much a bid has to pass the one before.
    increment: Amount,
    /// Seconds that the auction goes on at least after a bid.
    extension_s: u64,
    /// Until when late bids make it go on.
    last_end_ms: u64,
}

/// Where a lot is kept.
pub(crate) fn key(number: u64) -> String {
    format!("l/{number}")
}

/// What keys of lots that wait to be looked at begin with.
pub(crate) const WAITING: &str = "e/";

/// Where a lot waits that is looked at at a time: in the order of these times.
pub(crate) fn waiting_key(looked_at_ms: u64, number: u64) -> String {
    format!("{WAITING}{looked_at_ms:020}/{number}")
}

/// The time and the lot of such a key.
pub(crate) fn waiting(key: &str) -> Result<(u64, u64), Decline> {
    let parts = key.strip_prefix(WAITING).and_then(|it| it.split_once('/'));
    let parsed = parts.and_then(|(at, number)| Some((at.parse().ok()?, number.parse().ok()?)));
    parsed.ok_or_else(|| Decline::new("bad_state", format!("`{key}` is the place of no lot.")))
}

/// What keys begin with of what waits for a member.
pub(crate) fn owed(member: &Account) -> String {
    format!("o/{member}/")
}

/// Where it is kept what waits for a member of a lot.
pub(crate) fn owed_key(member: &Account, lot: u64) -> Result<String, Decline> {
    name_key(format!("{}{lot}", owed(member)))
}

pub(crate) fn nothing_owed() -> Decline {
    Decline::new("nothing_to_collect", "Nothing was put aside for you.")
}

/// A lot is not kept, of those that were opened before the next one.
pub(crate) fn no_lot(number: u64, next: u64) -> Decline {
    if (1..next).contains(&number) {
        let message = "That auction is over, and was settled already.";
        return Decline::new("already_settled", message);
    }
    Decline::new("no_such_lot", "There is no such lot.")
}

/// An account of the two can neither give nor take.
pub(crate) fn blocked() -> Decline {
    let message = "The account of the seller or of the winner is closed to payments at the moment. It is \
        tried again by itself for a week, and then both have their own back.";
    Decline::new("cannot_settle", message)
}

/// The line that the operator reads of a lot that could not be settled.
pub(crate) fn waits(number: u64, lot: &Lot) -> String {
    format!(
        "lot {number} could not be settled {} times: {} or {} can neither give nor take",
        lot.tries,
        lot.seller,
        lot.highest
            .as_ref()
            .map_or("nobody", |it| it.bidder.as_str()),
    )
}

/// What is up for auction has been taken away from it.
pub(crate) fn lot_gone() -> Decline {
    let message = "The lot is not there any more: settle it, and everybody has their own back.";
    Decline::new("lot_gone", message)
}

/// Where it is kept which lots a member has open.
pub(crate) fn open_key(seller: &Account) -> Result<String, Decline> {
    member_key("s", seller)
}

/// What a member has open with one more lot, if it may.
pub(crate) fn opened(mut lots: OpenList, number: u64, now_ms: u64) -> Result<OpenList, Decline> {
    if lots.add(number, after(now_ms, HELD_S), now_ms, OPEN_MAX) {
        return Ok(lots);
    }
    let message = format!("You have {OPEN_MAX} lots open: settle or cancel one before the next.");
    Err(Decline::new("too_many_lots", message))
}

/// So many seconds later.
pub(crate) fn after(now_ms: u64, seconds: u64) -> u64 {
    now_ms.saturating_add(seconds.saturating_mul(1000))
}

impl Config {
    /// Reports an extension that is longer than any auction.
    pub(crate) fn check_configuration(&self, report: &mut ConfigReport) {
        if self.extension_s > LASTS_S_MAX {
            let message =
                format!("an auction lasts at most {LASTS_S_MAX} s, and so does its extension");
            report.finding("/extension_s", message);
        }
    }

    /// When an auction ends that begins now.
    pub(crate) fn times(&self, open: &Open, now_ms: u64) -> Result<Times, Decline> {
        if !(1..=LASTS_S_MAX).contains(&open.lasts_s) {
            let message = format!("An auction lasts 1 to {LASTS_S_MAX} s.");
            return Err(Decline::new("lasts_too_long", message));
        }
        if open.asset == self.asset {
            return Err(Decline::new(
                "same_asset",
                "What is bid in cannot be bid for.",
            ));
        }
        Ok(Times {
            ends_ms: after(now_ms, open.lasts_s),
            last_end_ms: after(now_ms, OVER_S),
        })
    }
}

impl Lot {
    pub(crate) fn new(
        seller: Account,
        open: Open,
        times: Times,
        config: &Config,
        hold: HoldId,
    ) -> Self {
        Self {
            seller,
            asset: open.asset,
            amount: open.amount,
            reserve: open.reserve,
            ends_ms: times.ends_ms,
            hold,
            highest: None,
            terms: Terms {
                asset: config.asset.clone(),
                increment: config.increment,
                extension_s: config.extension_s,
                last_end_ms: times.last_end_ms,
            },
            looked_at_ms: times.ends_ms,
            tries: 0,
        }
    }

    /// When it is looked at next.
    pub(crate) fn looked_at_ms(&self) -> u64 {
        self.looked_at_ms
    }

    /// Has it looked at when it ends by now.
    pub(crate) fn look_at_end(&mut self) {
        self.looked_at_ms = self.ends_ms;
    }

    /// Has it looked at again after a while, since it could not be settled.
    pub(crate) fn try_again(&mut self, now_ms: u64) {
        let wait_s = TRY_AGAIN_S.saturating_mul(1 << self.tries.min(16));
        self.tries = self.tries.saturating_add(1);
        self.looked_at_ms = after(now_ms, wait_s.min(DAY_S));
    }

    /// Whether it was tried for long enough.
    pub(crate) fn is_given_up(&self, now_ms: u64) -> bool {
        now_ms >= after(self.ends_ms, TRIED_S)
    }

    /// The lot as members see it.
    pub(crate) fn shown(self) -> Result<Shown, Decline> {
        let next_bid = self.least()?;
        let (highest, bidder) = self.highest.map(|it| (it.amount, it.bidder)).unzip();
        Ok(Shown {
            seller: self.seller,
            asset: self.asset,
            amount: self.amount,
            bid_asset: self.terms.asset,
            next_bid,
            highest,
            bidder,
            ends_ms: self.ends_ms,
            extension_s: self.terms.extension_s,
            tries: self.tries,
        })
    }

    /// The smallest bid that counts.
    fn least(&self) -> Result<Amount, Decline> {
        match &self.highest {
            Some(highest) => Ok(highest.amount.checked_add(self.terms.increment)?),
            None => Ok(self.reserve),
        }
    }

    pub(crate) fn seller(&self) -> &Account {
        &self.seller
    }

    pub(crate) fn asset(&self) -> &Asset {
        &self.asset
    }

    pub(crate) fn amount(&self) -> Amount {
        self.amount
    }

    /// What is bid in.
    pub(crate) fn bid_asset(&self) -> &Asset {
        &self.terms.asset
    }

    pub(crate) fn hold(&self) -> &HoldId {
        &self.hold
    }

    pub(crate) fn highest(&self) -> Option<&Placed> {
        self.highest.as_ref()
    }

    pub(crate) fn ends_ms(&self) -> u64 {
        self.ends_ms
    }

    /// Whether a bid counts.
    pub(crate) fn check_bid(
        &self,
        bidder: &Account,
        amount: Amount,
        now_ms: u64,
    ) -> Result<(), Decline> {
        if now_ms >= self.ends_ms {
            return Err(Decline::new("over", "The auction is over."));
        }
        if *bidder == self.seller {
            return Err(Decline::new(
                "bids_self",
                "You cannot bid for what you sell.",
            ));
        }
        let least = self.least()?;
        if amount < least {
            let message = format!("Bid at least {least} {}.", self.bid_asset());
            return Err(Decline::new("bid_too_low", message));
        }
        Ok(())
    }

    /// Takes a bid as the highest. The auction goes on for a while after it, but not until the lot is held
    /// no longer: whoever bids most then would go away empty-handed.
    pub(crate) fn take(&mut self, placed: Placed, now_ms: u64) {
        let goes_on = after(now_ms, self.terms.extension_s).min(self.terms.last_end_ms);
        self.ends_ms = self.ends_ms.max(goes_on);
        self.highest = Some(placed);
    }

    pub(crate) fn check_over(&self, now_ms: u64) -> Result<(), Decline> {
        if now_ms >= self.ends_ms {
            return Ok(());
        }
        let wait_s = (self.ends_ms - now_ms).div_ceil(1000);
        Err(Decline::new(
            "not_over",
            format!("The auction goes on for {wait_s} s."),
        ))
    }

    pub(crate) fn check_cancel(&self, caller: &Account) -> Result<(), Decline> {
        if *caller != self.seller {
            return Err(Decline::new("not_yours", "Somebody else sells it."));
        }
        if self.highest.is_some() {
            return Err(Decline::new("has_bids", "Somebody has bid for it."));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(units: u64) -> Amount {
        Amount::new(units).expect("an amount")
    }

    fn member(number: u32) -> Account {
        format!("user:{number}").parse().expect("an account")
    }

    fn hold() -> HoldId {
        serde_json::from_str("\"00000000-0000-7000-8000-000000000000\"").expect("an id")
    }

    fn config() -> Config {
        let text = r#"{"asset": "coin", "increment": 5, "extension_s": 10}"#;
        serde_json::from_str(text).expect("a configuration")
    }

    #[test]
    fn an_extension_that_is_longer_than_any_auction_is_found() {
        let pointers = |extension_s: u64| {
            let mut report = ConfigReport::new("auction");
            let text = format!(r#"{{"asset": "coin", "extension_s": {extension_s}}}"#);
            let config: Config = serde_json::from_str(&text).expect("a configuration");
            config.check_configuration(&mut report);
            let findings = report.findings.into_iter();
            findings.map(|finding| finding.pointer).collect::<Vec<_>>()
        };
        assert_eq!(pointers(LASTS_S_MAX), [""; 0]);
        assert_eq!(pointers(LASTS_S_MAX + 1), ["/extension_s"]);
    }

    fn open(asset: &str, lasts_s: u64) -> Open {
        let text =
            format!(r#"{{"asset": "{asset}", "amount": 1, "reserve": 100, "lasts_s": {lasts_s}}}"#);
        serde_json::from_str(&text).expect("a lot")
    }

    fn lot() -> Lot {
        let open = open("item:sword", 60);
        let times = config().times(&open, 0).expect("it is short");
        Lot::new(member(1), open, times, &config(), hold())
    }

    fn bid(lot: &mut Lot, bidder: u32, units: u64, now_ms: u64) -> Result<(), &'static str> {
        let (bidder, amount) = (member(bidder), amount(units));
        let checked = lot.check_bid(&bidder, amount, now_ms);
        checked.map_err(|decline| decline.code())?;
        let hold = hold();
        lot.take(
            Placed {
                bidder,
                amount,
                hold,
            },
            now_ms,
        );
        Ok(())
    }

    #[test]
    fn each_bid_passes_the_one_before_by_the_increment() {
        let mut lot = lot();
        assert_eq!(bid(&mut lot, 2, 99, 0), Err("bid_too_low"));
        assert_eq!(bid(&mut lot, 2, 100, 0), Ok(()));
        assert_eq!(bid(&mut lot, 3, 104, 0), Err("bid_too_low"));
        assert_eq!(bid(&mut lot, 3, 105, 0), Ok(()));
        assert_eq!(bid(&mut lot, 1, 200, 0), Err("bids_self"));
        let ended = crate::replies::Ended::sold(lot.highest().expect("there are bids"), Vec::new());
        assert_eq!(
            (ended.winner, ended.price),
            (Some(member(3)), Some(amount(105)))
        );
    }

    #[test]
    fn a_bid_at_the_last_moment_makes_it_go_on() {
        let mut lot = lot();
        assert_eq!(bid(&mut lot, 2, 100, 59_999), Ok(()));
        assert_eq!(lot.ends_ms(), 69_999);
        assert_eq!(bid(&mut lot, 3, 200, 69_999), Err("over"));
        assert_eq!(
            lot.check_over(69_998).expect_err("it goes on").code(),
            "not_over"
        );
        assert!(lot.check_over(69_999).is_ok());
    }

    #[test]
    fn auctions_end_at_their_limits() {
        let code = |asset, lasts_s| {
            let times = config().times(&open(asset, lasts_s), 5);
            times.map(|times| times.ends_ms).map_err(|no| no.code())
        };
        assert_eq!(code("item:sword", LASTS_S_MAX), Ok(5 + LASTS_S_MAX * 1000));
        assert_eq!(code("item:sword", LASTS_S_MAX + 1), Err("lasts_too_long"));
        assert_eq!(code("item:sword", 0), Err("lasts_too_long"));
        assert_eq!(code("coin", 60), Err("same_asset"));
    }

    #[test]
    fn late_bids_leave_time_to_settle_before_the_lot_is_free() {
        let mut lot = lot();
        lot.ends_ms = after(0, LASTS_S_MAX);
        let last_ms = after(0, OVER_S);
        let mut placed = |now_ms| {
            let (bidder, amount, hold) = (member(2), amount(100), hold());
            let placed = Placed {
                bidder,
                amount,
                hold,
            };
            lot.take(placed, now_ms);
            lot.ends_ms()
        };
        assert_eq!(placed(last_ms - 10_001), last_ms - 1);
        assert_eq!(placed(last_ms - 10_000), last_ms);
        assert_eq!(placed(last_ms - 1), last_ms);
        // It is tried until it is given up.
        const { assert!(OVER_S + TRIED_S + DAY_S < HELD_S) };
    }

    #[test]
    fn lots_wait_in_the_order_of_their_times() {
        let keys = [(9, 7), (10, 1), (10, 2), (u64::MAX, 1)].map(|(at, number)| {
            let key = waiting_key(at, number);
            assert_eq!(waiting(&key), Ok((at, number)));
            key
        });
        assert!(keys.is_sorted());
        assert_eq!(waiting("e/no").expect_err("none").code(), "bad_state");
    }

    #[test]
    fn a_lot_is_tried_later_and_later_and_not_for_ever() {
        let mut lot = lot();
        let (mut now_ms, mut waits) = (lot.ends_ms(), Vec::new());
        while !lot.is_given_up(now_ms) {
            lot.try_again(now_ms);
            waits.push((lot.looked_at_ms() - now_ms) / 1000);
            now_ms = lot.looked_at_ms();
        }
        assert_eq!(waits[..3], [60, 120, 240]);
        assert_eq!((waits.len(), waits[waits.len() - 1]), (17, DAY_S));
    }

    #[test]
    fn what_waits_for_a_member_is_kept_up_to_the_length_of_a_key() {
        let named = |chars: usize| {
            let name = format!("{}:{}", "a".repeat(64), "b".repeat(chars - 65));
            name.parse::<Account>().expect("a name")
        };
        assert!(owed_key(&named(105), u64::MAX).is_ok());
        let long = owed_key(&named(106), u64::MAX).expect_err("too long");
        assert_eq!(long.code(), "name_too_long");
    }

    #[test]
    fn lots_that_were_opened_are_told_from_those_that_never_were() {
        let code = |number| no_lot(number, 3).code();
        assert_eq!(
            [code(0), code(1), code(2), code(3)],
            [
                "no_such_lot",
                "already_settled",
                "already_settled",
                "no_such_lot"
            ]
        );
    }

    #[test]
    fn a_member_has_so_many_lots_open_and_no_more() {
        let add = |lots, number| opened(lots, number, 0).expect("there is room");
        let full = (0..OPEN_MAX as u64).fold(OpenList::default(), add);
        let more = opened(full.clone(), 99, HELD_S * 1000 - 1).expect_err("one too many");
        assert_eq!(more.code(), "too_many_lots");
        assert!(opened(full, 99, HELD_S * 1000).is_ok(), "they are over");
    }

    #[test]
    fn a_lot_is_taken_back_by_its_seller_before_the_first_bid() {
        let mut lot = lot();
        assert!(lot.check_cancel(&member(1)).is_ok());
        assert_eq!(
            lot.check_cancel(&member(2)).expect_err("not his").code(),
            "not_yours"
        );
        bid(&mut lot, 2, 100, 0).expect("a bid");
        assert_eq!(
            lot.check_cancel(&member(1)).expect_err("too late").code(),
            "has_bids"
        );
    }
}
