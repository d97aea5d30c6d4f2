//! Waiting for what comes in time: a condition is looked at again and again, and what does not come fails
//! with a sentence instead of hanging.

use std::time::Duration;

/// The longest that anything is waited for. It decides nothing: what comes at all comes sooner.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// The pause between two looks.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);

/// Looks until there is something to see, and says what is missing if that takes too long.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look).await
}

async fn within<T>(patience: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let seen = tokio::time::timeout(patience, async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(PAUSE).await;
        }
    });
    seen.await
        .unwrap_or_else(|_| panic!("{what}: not within {patience:?}"))
}

#[tokio::test]
async fn what_never_comes_fails_with_a_sentence() {
    let never = async || None::<()>;
    let waited = tokio::spawn(within(Duration::ZERO, "the parcel is here", never));
    let failed = waited.await.unwrap_err().into_panic();
    let words = failed.downcast_ref::<String>().unwrap();
    assert!(
        words.starts_with("the parcel is here: not within"),
        "{words}"
    );
}

#[tokio::test]
async fn what_comes_late_is_waited_for() {
    let mut looks = 0;
    let seen = eventually("the third look", async || {
        looks += 1;
        (looks == 3).then_some(looks)
    });
    assert_eq!(seen.await, 3);
}
