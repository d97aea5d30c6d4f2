//! How often keys ask. In memory, one small state for each key that has a limit and has asked since
//! the start; a key's first request under another limit begins with the whole of it.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::ops::Add;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bursar_ledger::{KeyId, RateLimit};
use governor::clock::{Clock, Reference};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::clock::Ticks;

/// All keys that have asked under a limit. Keys are never removed, so there are as many of these at
/// most as there are keys.
pub struct Rates {
    ticks: Ticks,
    keys: Mutex<HashMap<KeyId, Kept>>,
}

struct Kept {
    limit: RateLimit,
    limiter: Limiter,
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, Running, StateInformationMiddleware>;

/// How a key stands after it has asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateStatus {
    /// The limit.
    pub limit: RateLimit,
    /// How many more requests would be let through at once.
    pub remaining: u32,
    /// Seconds until the whole limit is there again; for a request that was turned away, until it
    /// can be asked again.
    pub reset_s: u64,
    /// Whether this request may go on.
    pub admitted: bool,
}

impl Rates {
    /// No key has asked yet.
    pub fn new(ticks: Ticks) -> Self {
        Self {
            ticks,
            keys: Mutex::default(),
        }
    }

    /// Counts a request of a key.
    pub fn ask(&self, key: &KeyId, limit: RateLimit) -> RateStatus {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.get(key).is_none_or(|kept| kept.limit != limit) {
            let limiter = limiter(limit, Running(self.ticks.clone()));
            keys.insert(key.clone(), Kept { limit, limiter });
        }
        let kept = keys.get(key).expect("it was put there a line above");
        kept.ask()
    }
}

impl Kept {
    fn ask(&self) -> RateStatus {
        let limit = self.limit;
        match self.limiter.check() {
            Ok(snapshot) => {
                let remaining = snapshot.remaining_burst_capacity();
                let gone = u64::from(limit.requests().saturating_sub(remaining));
                let period = u64::from(limit.per_s());
                let reset_s = (gone * period).div_ceil(u64::from(limit.requests()));
                RateStatus {
                    limit,
                    remaining,
                    reset_s,
                    admitted: true,
                }
            }
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.limiter.clock().now());
                // A whole second that is enough; never none, or a client would ask again at once.
                let reset_s = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                RateStatus {
                    limit,
                    remaining: 0,
                    reset_s: reset_s.max(1),
                    admitted: false,
                }
            }
        }
    }
}

fn limiter(limit: RateLimit, clock: Running) -> Limiter {
    let requests = NonZeroU32::new(limit.requests()).expect("a rate limit has a request");
    let period = Duration::from_secs(u64::from(limit.per_s())) / limit.requests();
    let quota = Quota::with_period(period).expect("a second over a million is a microsecond");
    RateLimiter::direct_with_clock(quota.allow_burst(requests), clock).with_middleware()
}

/// The time that has passed, for the limiter.
struct Running(Ticks);

/// A moment, as time since some other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Moment(Duration);

impl Clock for Running {
    type Instant = Moment;

    fn now(&self) -> Moment {
        Moment((self.0)())
    }
}

impl Add<Nanos> for Moment {
    type Output = Self;

    fn add(self, later: Nanos) -> Self {
        Self(self.0.saturating_add(later.into()))
    }
}

impl Reference for Moment {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }

    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.checked_sub(duration.into()).unwrap_or(self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// Rates over a clock that stands still until it is told.
    fn rates() -> (Rates, impl Fn(u64)) {
        let now = Arc::new(AtomicU64::new(0));
        let read = Arc::clone(&now);
        let ticks = Arc::new(move || Duration::from_millis(read.load(Ordering::Relaxed)));
        let pass = move |ms| {
            now.fetch_add(ms, Ordering::Relaxed);
        };
        (Rates::new(ticks), pass)
    }

    fn key(name: &str) -> KeyId {
        name.parse().expect("a key's name")
    }

    #[test]
    fn a_key_has_its_requests_at_once_and_not_one_more() {
        let (rates, pass) = rates();
        let limit = RateLimit::new(3, 6).expect("a limit");
        let ask = || rates.ask(&key("bot"), limit);
        let told = |standing: RateStatus| (standing.admitted, standing.remaining, standing.reset_s);
        assert_eq!(told(ask()), (true, 2, 2));
        assert_eq!(told(ask()), (true, 1, 4));
        assert_eq!(told(ask()), (true, 0, 6));
        assert_eq!(told(ask()), (false, 0, 2));
        pass(1_001);
        assert_eq!(
            told(ask()),
            (false, 0, 1),
            "a second that has begun is waited for"
        );
        pass(999);
        assert_eq!(told(ask()), (true, 0, 6));
        pass(60_000);
        assert_eq!(
            told(ask()),
            (true, 2, 2),
            "the limit is never more than whole"
        );
    }

    #[test]
    fn keys_do_not_disturb_each_other_and_another_limit_holds_at_once() {
        let (rates, _) = rates();
        let once = RateLimit::new(1, 60).expect("a limit");
        assert!(rates.ask(&key("a"), once).admitted);
        assert!(!rates.ask(&key("a"), once).admitted);
        assert!(rates.ask(&key("b"), once).admitted);
        let twice = RateLimit::new(2, 60).expect("a limit");
        assert!(rates.ask(&key("a"), twice).admitted);
    }

    #[test]
    fn the_ends_of_the_bounds_are_limits() {
        use bursar_ledger::{RATE_PERIOD_S_MAX, RATE_REQUESTS_MAX};
        let (rates, _) = rates();
        for (requests, per_s) in [(1, RATE_PERIOD_S_MAX), (RATE_REQUESTS_MAX, 1)] {
            let limit = RateLimit::new(requests, per_s).expect("a limit");
            let standing = rates.ask(&key("bot"), limit);
            assert_eq!(
                (standing.admitted, standing.remaining),
                (true, requests - 1)
            );
        }
    }
}
