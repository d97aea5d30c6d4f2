//! Polling for conditions: a test checks a condition repeatedly and fails with its name if it does not hold
//! in time.

use std::time::Duration;

/// The longest wait for a condition. It only bounds failing tests: a condition that holds is seen earlier.
pub(crate) const TIMEOUT: Duration = Duration::from_mins(2);

/// The pause between two checks of a condition.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Calls `check` until it returns a value, and panics with `condition` if that takes too long.
pub(crate) async fn eventually<T>(condition: &str, check: impl AsyncFnMut() -> Option<T>) -> T {
    within(TIMEOUT, condition, check).await
}

async fn within<T>(
    timeout: Duration,
    condition: &str,
    mut check: impl AsyncFnMut() -> Option<T>,
) -> T {
    let result = tokio::time::timeout(timeout, async {
        loop {
            if let Some(value) = check().await {
                return value;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    });
    result
        .await
        .unwrap_or_else(|_| panic!("{condition}: not within {timeout:?}"))
}

#[tokio::test]
async fn waiting_for_a_condition_that_never_holds_fails_with_its_name() {
    let never = async || None::<()>;
    let waited = tokio::spawn(within(Duration::ZERO, "the condition", never));
    let failed = waited.await.unwrap_err().into_panic();
    let message = failed.downcast_ref::<String>().unwrap();
    assert!(
        message.starts_with("the condition: not within"),
        "{message}"
    );
}

#[tokio::test]
async fn a_condition_that_holds_late_is_awaited() {
    let mut checks = 0;
    let value = eventually("the third check", async || {
        checks += 1;
        (checks == 3).then_some(checks)
    });
    assert_eq!(value.await, 3);
}
