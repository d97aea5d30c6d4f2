//! The work of an act: an estimate of its cost, known before the act is decided, and equal on every
//! machine.
//!
//! A server of several economies shares its time by work, so that a request of 64 postings counts for more
//! than a request of one.

use crate::act::{Act, BatchRequest};
use crate::document::Document;
use crate::limits::{ACT_WORK, POSTING_WORK};

impl Act {
    /// Returns the work of the act: [`ACT_WORK`] for its record, and [`POSTING_WORK`] for each posting,
    /// each transfer of a batch, each limit of an account, each half KiB of a configuration and each
    /// exchange of a call.
    pub fn work(&self) -> u64 {
        ACT_WORK.saturating_add(POSTING_WORK.saturating_mul(self.parts()))
    }

    /// Counts the parts of the act that cost about as much as a posting.
    fn parts(&self) -> u64 {
        let parts = match self {
            Self::Transfer(transfer) => transfer.postings.as_slice().len(),
            Self::Batch(batch) => batch_parts(batch),
            Self::Reverse(reversal) => reversal.postings.as_slice().len(),
            Self::Call(call) => call.transcript.exchanges().len(),
            Self::SetAccount { patch, .. } => patch.limits().saturating_add(1),
            // A configuration is written several times: in the request, in the decision and in the
            // response.
            Self::SetPlugin { patch, .. } => {
                let bytes = patch.config.as_ref().map_or(0, Document::bytes);
                1_usize.saturating_add(bytes / 512)
            }
            Self::BurnNonces { nonces } => nonces.len(),
            Self::ExtendHolds { holds, .. } => holds.len(),
            Self::OpenEconomy { .. }
            | Self::SetEconomy { .. }
            | Self::SetQuotas { .. }
            | Self::SetAsset { .. }
            | Self::PlaceHold(_)
            | Self::CaptureHold(_)
            | Self::ReleaseHold { .. }
            | Self::ExpireHold { .. }
            | Self::Issue(_)
            | Self::Burn(_)
            | Self::RemovePlugin { .. }
            | Self::RollBackPlugin { .. }
            | Self::SwitchOffPlugin { .. }
            | Self::SkipDue { .. }
            | Self::SetClientSeed { .. }
            | Self::SetClock { .. }
            | Self::RotateSeed
            | Self::RevealSeeds { .. }
            | Self::SetKey { .. }
            | Self::AddComponent { .. }
            | Self::SetWebhook(_)
            | Self::RemoveWebhook { .. }
            | Self::ReplayWebhook { .. } => 1,
        };
        u64::try_from(parts).unwrap_or(u64::MAX)
    }
}

/// Counts the parts of a batch. A transfer of a batch has no record of its own, but an id and a reply.
fn batch_parts(batch: &BatchRequest) -> usize {
    let transfers = batch.transfers.as_slice();
    let postings = transfers.iter().map(|each| each.postings.as_slice().len());
    postings.fold(transfers.len(), usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::{Authority, TransferRequest, Transfers};
    use crate::amount::{Amount, Limit};
    use crate::id::TransferId;
    use crate::limits::{CONFIG_BYTES_MAX, POSTINGS_MAX};
    use crate::movement::{Posting, Postings};
    use crate::patch::Patch;
    use crate::{AccountPatch, LimitsPatch, PluginPatch};

    fn transfer(postings: usize) -> TransferRequest {
        let posting = Posting {
            source: "user:1".parse().expect("a name"),
            destination: "user:2".parse().expect("a name"),
            asset: "coin".parse().expect("a name"),
            amount: Amount::new(1).expect("an amount"),
        };
        TransferRequest {
            id: TransferId(uuid::Uuid::nil()),
            postings: Postings::new(vec![posting; postings]).expect("postings"),
            authority: Authority::Bot,
            cap: None,
        }
    }

    #[test]
    fn an_account_costs_more_the_more_limits_it_is_given() {
        let limits = |names: &[&str]| {
            let limits = names.iter().map(|name| {
                let asset = name.parse().expect("a name");
                (asset, Some(Limit::ZERO))
            });
            Patch::Set(limits.collect::<LimitsPatch>())
        };
        let patch = AccountPatch {
            credit_limit: limits(&["coin"]),
            ceiling: limits(&["coin", "gem", "token"]),
            ..AccountPatch::default()
        };
        assert_eq!(patch.limits(), 4);
        assert_eq!(AccountPatch::default().limits(), 0);
    }

    #[test]
    fn an_act_costs_more_the_more_it_moves() {
        let one = Act::Transfer(transfer(1)).work();
        let most = Act::Transfer(transfer(POSTINGS_MAX)).work();
        assert_eq!(one, ACT_WORK + POSTING_WORK);
        assert_eq!(most, ACT_WORK + 64 * POSTING_WORK);
        let batch = |transfers: usize| {
            let transfers = Transfers::new(vec![transfer(2); transfers]).expect("a batch");
            Act::Batch(BatchRequest {
                transfers,
                cap: None,
            })
        };
        assert_eq!(batch(1).work(), ACT_WORK + 3 * POSTING_WORK);
        assert_eq!(batch(100).work(), ACT_WORK + 300 * POSTING_WORK);
    }

    #[test]
    fn a_plugin_costs_more_the_larger_its_configuration_is() {
        let plugin = |config: Option<usize>| {
            let document = |bytes: usize| Document::new(&"c".repeat(bytes - 2).into());
            let patch = PluginPatch {
                config: config.map(document),
                ..PluginPatch::default()
            };
            let plugin = "shop".parse().expect("a name");
            let patch = Box::new(patch);
            Act::SetPlugin { plugin, patch }.work()
        };
        assert_eq!(plugin(None), ACT_WORK + POSTING_WORK);
        assert_eq!(plugin(Some(511)), ACT_WORK + POSTING_WORK);
        assert_eq!(
            plugin(Some(CONFIG_BYTES_MAX)),
            ACT_WORK + 257 * POSTING_WORK
        );
    }

    #[test]
    fn an_account_costs_more_the_more_limits_are_set() {
        let account = |limits: Patch<LimitsPatch>| {
            let patch = AccountPatch {
                credit_limit: limits,
                ..AccountPatch::default()
            };
            let account = "user:1".parse().expect("a name");
            Act::SetAccount {
                account,
                patch,
                admission: None,
            }
            .work()
        };
        let coin = ("coin".parse().expect("a name"), Limit::new(5));
        let limits: LimitsPatch = [coin].into_iter().collect();
        assert_eq!(account(Patch::Keep), ACT_WORK + POSTING_WORK);
        assert_eq!(account(Patch::Clear), ACT_WORK + POSTING_WORK);
        assert_eq!(account(Patch::Set(limits)), ACT_WORK + 2 * POSTING_WORK);
    }
}
