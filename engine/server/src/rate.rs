//! Rate limits of API keys, in memory. Each key with a limit has a small state from its first request on. A changed
//! limit starts with its full burst.

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

/// The rate limiters of all keys with a limit that have sent a request. The ledger never removes keys, so the map is
/// bounded by their number.
pub struct Rates {
    ticks: Ticks,
    keys: Mutex<HashMap<KeyId, KeyLimiter>>,
}

/// The limiter of one key, with the limit for which it was created.
struct KeyLimiter {
    limit: RateLimit,
    limiter: Limiter,
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, TickClock, StateInformationMiddleware>;

/// The state of a key's rate limit after a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateStatus {
    /// The limit.
    pub limit: RateLimit,
    /// The number of further requests that would be admitted now.
    pub remaining: u32,
    /// Seconds until the full limit is available; for a rejected request, seconds until it can be repeated.
    pub reset_s: u64,
    /// True if the request is admitted.
    pub admitted: bool,
}

impl Rates {
    /// Creates the rates of a server that has had no requests.
    pub fn new(ticks: Ticks) -> Self {
        Self {
            ticks,
            keys: Mutex::default(),
        }
    }

    /// Counts a request of a key and returns the state of its limit.
    pub fn ask(&self, key: &KeyId, limit: RateLimit) -> RateStatus {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.get(key).is_none_or(|found| found.limit != limit) {
            let limiter = limiter(limit, TickClock(self.ticks.clone()));
            keys.insert(key.clone(), KeyLimiter { limit, limiter });
        }
        let limiter = keys.get(key).expect("it was inserted above");
        limiter.check()
    }
}

impl KeyLimiter {
    fn check(&self) -> RateStatus {
        let limit = self.limit;
        match self.limiter.check() {
            Ok(snapshot) => {
                let remaining = snapshot.remaining_burst_capacity();
                let used = u64::from(limit.requests().saturating_sub(remaining));
                let period = u64::from(limit.per_s());
                let reset_s = (used * period).div_ceil(u64::from(limit.requests()));
                RateStatus {
                    limit,
                    remaining,
                    reset_s,
                    admitted: true,
                }
            }
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.limiter.clock().now());
                // Rounded up, and at least 1, so that a client does not repeat the request too early.
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

fn limiter(limit: RateLimit, clock: TickClock) -> Limiter {
    let requests =
        NonZeroU32::new(limit.requests()).expect("a rate limit has at least one request");
    let period = Duration::from_secs(u64::from(limit.per_s())) / limit.requests();
    let quota =
        Quota::with_period(period).expect("the shortest period is a second for 1,000,000 requests");
    RateLimiter::direct_with_clock(quota.allow_burst(requests), clock).with_middleware()
}

/// The clock of a limiter.
struct TickClock(Ticks);

/// A time, as the distance from the start of the clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Tick(Duration);

impl Clock for TickClock {
    type Instant = Tick;

    fn now(&self) -> Tick {
        Tick((self.0)())
    }
}

impl Add<Nanos> for Tick {
    type Output = Self;

    fn add(self, later: Nanos) -> Self {
        Self(self.0.saturating_add(later.into()))
    }
}

impl Reference for Tick {
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

    /// Returns rates and a function that advances their clock by milliseconds.
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
    fn a_key_sends_up_to_its_limit_at_once() {
        let (rates, pass) = rates();
        let limit = RateLimit::new(3, 6).expect("a limit");
        let ask = || rates.ask(&key("bot"), limit);
        let values = |status: RateStatus| (status.admitted, status.remaining, status.reset_s);
        assert_eq!(values(ask()), (true, 2, 2));
        assert_eq!(values(ask()), (true, 1, 4));
        assert_eq!(values(ask()), (true, 0, 6));
        assert_eq!(values(ask()), (false, 0, 2));
        pass(1_001);
        assert_eq!(
            values(ask()),
            (false, 0, 1),
            "a started second counts as a whole one"
        );
        pass(999);
        assert_eq!(values(ask()), (true, 0, 6));
        pass(60_000);
        assert_eq!(
            values(ask()),
            (true, 2, 2),
            "the limit never exceeds its full burst"
        );
    }

    #[test]
    fn keys_are_limited_separately_and_a_new_limit_applies_immediately() {
        let (rates, _) = rates();
        let once = RateLimit::new(1, 60).expect("a limit");
        assert!(rates.ask(&key("a"), once).admitted);
        assert!(!rates.ask(&key("a"), once).admitted);
        assert!(rates.ask(&key("b"), once).admitted);
        let twice = RateLimit::new(2, 60).expect("a limit");
        assert!(rates.ask(&key("a"), twice).admitted);
    }

    #[test]
    fn the_smallest_and_largest_limits_are_valid() {
        use bursar_ledger::{RATE_PERIOD_S_MAX, RATE_REQUESTS_MAX};
        let (rates, _) = rates();
        for (requests, per_s) in [(1, RATE_PERIOD_S_MAX), (RATE_REQUESTS_MAX, 1)] {
            let limit = RateLimit::new(requests, per_s).expect("a limit");
            let status = rates.ask(&key("bot"), limit);
            assert_eq!((status.admitted, status.remaining), (true, requests - 1));
        }
    }
}
