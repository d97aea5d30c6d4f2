//! The ways in which a guest's run ends without a result.
//!
//! A [`Fault`] is caused by the guest and is the same in every run, so it is recorded as the call's ending.
//! Its text is part of the record, and a replay compares it: a change of a fault's wording makes recorded
//! calls differ. A [`CallFailure`] depends on this machine at this moment, and is not recorded as an ending.

use bursar_ledger::Rejection;
use wasmtime::Trap;

/// A violation of the contract by the guest. The text is for the operator and is part of the record.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Fault(pub(crate) String);

/// An error in the host itself. The guest did not cause it, so nothing of the call is recorded.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InternalError(pub(crate) String);

/// A rejection of the call's requests at its first draw, before anything is drawn.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct RejectedBeforeDraw(pub(crate) Rejection);

/// The reason why a call could not be finished.
///
/// It depends on the machine and the moment, so it is not an outcome: only draws are recorded, and the same request may
/// succeed when it is sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CallFailure {
    /// The call ran longer than its deadline.
    #[error("it ran into its deadline")]
    Deadline,
    /// The guest's stack overflowed. The possible depth of calls depends on the build, so it is not deterministic.
    #[error("its stack overflowed")]
    StackOverflow,
    /// All instance slots are in use.
    #[error("all instance slots are in use")]
    Exhausted,
    /// An error in the host itself.
    #[error("internal error of the host")]
    Internal,
}

/// Returns the text of a fault, which is the same in every run, or else the failure of this machine.
pub(crate) fn describe_error(error: &wasmtime::Error) -> Result<String, CallFailure> {
    if let Some(fault) = error.downcast_ref::<Fault>() {
        return Ok(fault.to_string());
    }
    if let Some(error) = error.downcast_ref::<InternalError>() {
        tracing::error!(%error, "internal error while a plugin ran");
        return Err(CallFailure::Internal);
    }
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return Err(CallFailure::Exhausted);
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Err(CallFailure::Deadline),
        Some(Trap::StackOverflow) => Err(CallFailure::StackOverflow),
        Some(Trap::OutOfFuel) => Ok("it ran out of fuel".into()),
        Some(Trap::UnreachableCodeReached) => Ok("it gave up (panic or unreachable code)".into()),
        Some(trap) => Ok(format!("it trapped: {trap}")),
        // wasmtime has no error types for these, such as a denied `memory.grow` or too much hostcall fuel.
        None => Ok(format!("it was stopped: {}", error.root_cause())),
    }
}
