//! The replies of the lottery's actions.

use bursar_plugin::prelude::*;

use crate::terms::RoundTerms;

/// The reply to `buy`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TicketReply {
    /// The number of the round.
    pub(crate) round: u64,
    /// The number of tickets that the member now has in the round.
    pub(crate) tickets: u64,
    /// The price that was paid.
    pub(crate) paid: Amount,
}

/// The reply to `claim`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PrizeReply {
    /// The asset of the prize.
    pub(crate) asset: Asset,
    /// The amount of the prize.
    pub(crate) amount: Amount,
    /// `true` if there is another prize to claim, in another asset.
    pub(crate) more: bool,
}

/// The reply to `status`.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct StatusReply {
    /// The number of the current round.
    pub(crate) round: u64,
    /// The number of sold tickets.
    pub(crate) tickets: u64,
    /// The amount in the pot.
    pub(crate) pot: u64,
    /// The terms of the round; before its first ticket, those that the ticket would fix.
    #[serde(flatten)]
    pub(crate) terms: RoundTerms,
}

/// The reply of the schedule `draw`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DrawReply {
    /// The number of the round.
    pub(crate) round: u64,
    /// The winning ticket, counted from 0.
    pub(crate) ticket: u32,
    /// The number of tickets in the round.
    pub(crate) tickets: u32,
    /// The owner of the winning ticket.
    pub(crate) winner: Account,
    /// The asset of the prize.
    pub(crate) asset: Asset,
    /// The amount of the prize, which the winner can claim.
    pub(crate) prize: Amount,
}
