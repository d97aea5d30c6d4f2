//! Subjects of a record: the transfers, holds and calls by whose ids it is found.

use crate::act::Act;
use crate::id::{CallId, HoldId, TransferId};

/// The bytes of an id.
pub type SubjectId = [u8; 16];

/// A subject of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subject {
    /// The id.
    pub id: SubjectId,
    /// The part of the record's movements that belongs to the subject, if any.
    pub part: Option<u32>,
}

impl From<TransferId> for SubjectId {
    fn from(transfer: TransferId) -> Self {
        transfer.0.into_bytes()
    }
}

impl From<HoldId> for SubjectId {
    fn from(hold: HoldId) -> Self {
        hold.0.into_bytes()
    }
}

impl From<CallId> for SubjectId {
    fn from(call: CallId) -> Self {
        call.0.into_bytes()
    }
}

impl Act {
    /// Returns the subjects of the act's record, if the act is applied.
    pub fn subjects(&self) -> Vec<Subject> {
        let transfer_part = |transfer: TransferId, part: u32| Subject {
            id: transfer.into(),
            part: Some(part),
        };
        let hold_part = |hold: HoldId| Subject {
            id: hold.into(),
            part: Some(0),
        };
        let about = |id: SubjectId| Subject { id, part: None };
        match self {
            Self::Transfer(request) => vec![transfer_part(request.id, 0)],
            Self::Issue(request) | Self::Burn(request) => vec![transfer_part(request.id, 0)],
            Self::Batch(request) => {
                let transfers = request.transfers.as_slice().iter().zip(0..);
                transfers
                    .map(|(each, part)| transfer_part(each.id, part))
                    .collect()
            }
            Self::Reverse(request) => {
                vec![transfer_part(request.id, 0), about(request.original.into())]
            }
            Self::PlaceHold(request) => vec![about(request.id.into())],
            Self::CaptureHold(request) => {
                vec![transfer_part(request.id, 0), hold_part(request.hold)]
            }
            Self::ReleaseHold { hold, .. } | Self::ExpireHold { hold } => vec![hold_part(*hold)],
            Self::Call(result) => {
                let holds = result.transcript.holds().map(|hold| about(hold.into()));
                std::iter::once(transfer_part(result.request.id.into(), 0))
                    .chain(holds)
                    .collect()
            }
            Self::OpenEconomy { .. }
            | Self::SetEconomy { .. }
            | Self::SetAsset { .. }
            | Self::SetAccount { .. }
            | Self::SetPlugin { .. }
            | Self::RemovePlugin { .. }
            | Self::RollBackPlugin { .. }
            | Self::SwitchOffPlugin { .. }
            | Self::SkipDue { .. }
            | Self::SetClientSeed { .. }
            | Self::SetClock { .. }
            | Self::ExtendHolds { .. }
            | Self::RotateSeed
            | Self::RevealSeeds { .. }
            | Self::BurnNonces { .. }
            | Self::SetKey { .. }
            | Self::AddComponent { .. }
            | Self::SetWebhook(_)
            | Self::RemoveWebhook { .. }
            | Self::SetQuotas { .. }
            | Self::ReplayWebhook { .. } => Vec::new(),
        }
    }
}
