//! The members of each request, drawn from a seed.

use clap::ValueEnum;
use rand::RngExt;
use rand_distr::{Distribution as _, Zipf};
use rand_pcg::Pcg64Mcg;
use serde::Serialize;

/// The exponent of Zipf's distribution: of 50,000 members the first makes a fifth of all payments.
const ZIPF_EXPONENT: f64 = 1.2;

/// The largest amount of a payment. It has one digit, so that all requests have the same length.
const PAYMENT_MAX: u8 = 9;

/// The distribution of payments over members.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Distribution {
    /// Each member pays equally often
    Uniform,
    /// A few members pay most of the time
    Zipf,
    /// Everyone pays one member
    Hot,
}

/// A payment between two members of an economy, by their numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Payment {
    pub(super) payer: u64,
    pub(super) payee: u64,
    pub(super) amount: u8,
}

/// A source of payments that follows from its seed.
pub(super) struct Sampler {
    random: Pcg64Mcg,
    economies: u64,
    members: u64,
    distribution: Distribution,
    zipf: Option<Zipf<f64>>,
}

impl Sampler {
    /// Creates a source for a number of economies, each with a number of members, at least two.
    pub(super) fn new(seed: u64, economies: u64, members: u64, distribution: Distribution) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "members are less than 2^53")]
        let zipf = match distribution {
            Distribution::Zipf => Zipf::new(members as f64, ZIPF_EXPONENT).ok(),
            Distribution::Uniform | Distribution::Hot => None,
        };
        Self {
            random: Pcg64Mcg::new(seed.into()),
            economies: economies.max(1),
            members: members.max(2),
            distribution,
            zipf,
        }
    }

    /// Draws an economy.
    pub(super) fn economy(&mut self) -> u64 {
        self.random.random_range(0..self.economies)
    }

    /// Draws true in some of 100 cases.
    pub(super) fn percent(&mut self, cases: u32) -> bool {
        self.random.random_range(0..100) < cases
    }

    /// Draws a payment. A member never pays itself.
    pub(super) fn payment(&mut self) -> Payment {
        let members = self.members;
        let any = self.random.random_range(0..members);
        let (from, to) = match (self.distribution, self.zipf) {
            (Distribution::Hot, _) => (any, 0),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "ranks are whole numbers from 1 to the number of members"
            )]
            (Distribution::Zipf, Some(zipf)) => {
                let rank = zipf.sample(&mut self.random) as u64;
                (rank.clamp(1, members).saturating_sub(1), any)
            }
            (Distribution::Uniform | Distribution::Zipf, _) => {
                (any, self.random.random_range(0..members))
            }
        };
        let amount = self.random.random_range(1..=PAYMENT_MAX);
        if from != to {
            return Payment {
                payer: from,
                payee: to,
                amount,
            };
        }
        // The next member takes the place of the one that would pay itself; the hot one stays in its place.
        let next = to.saturating_add(1).checked_rem(members).unwrap_or(0);
        match self.distribution {
            Distribution::Hot => Payment {
                payer: next,
                payee: to,
                amount,
            },
            Distribution::Uniform | Distribution::Zipf => Payment {
                payer: from,
                payee: next,
                amount,
            },
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    fn payments(distribution: Distribution, members: u64) -> Vec<Payment> {
        let mut sampler = Sampler::new(7, 1, members, distribution);
        (0..20_000).map(|_| sampler.payment()).collect()
    }

    fn share(payments: &[Payment], is_counted: impl Fn(&Payment) -> bool) -> f64 {
        let counted = payments.iter().filter(|it| is_counted(it)).count();
        f64::from(u32::try_from(counted).unwrap()) / 20_000.0
    }

    #[test]
    fn a_seed_gives_the_same_payments_each_time() {
        for distribution in [Distribution::Uniform, Distribution::Zipf, Distribution::Hot] {
            assert_eq!(payments(distribution, 100), payments(distribution, 100));
        }
        let mut other = Sampler::new(8, 1, 100, Distribution::Uniform);
        assert_ne!(payments(Distribution::Uniform, 100)[0], other.payment());
        // Figures of different releases are only comparable if the sequence stays as it is.
        let first = payments(Distribution::Uniform, 50_000)[0];
        assert_eq!(
            first,
            Payment {
                payer: 23_531,
                payee: 23_338,
                amount: 4
            }
        );
    }

    #[test]
    fn members_are_in_range_and_never_pay_themselves() {
        for distribution in [Distribution::Uniform, Distribution::Zipf, Distribution::Hot] {
            for members in [2, 3, 1_000] {
                for payment in payments(distribution, members) {
                    assert!(payment.payer < members && payment.payee < members);
                    assert_ne!(payment.payer, payment.payee);
                    assert!((1..=PAYMENT_MAX).contains(&payment.amount));
                }
            }
        }
    }

    #[test]
    fn uniform_payments_reach_all_members_alike() {
        let payments = payments(Distribution::Uniform, 10);
        for member in 0..10 {
            let share = share(&payments, |it| it.payer == member);
            assert!((0.09..0.11).contains(&share), "{member}: {share}");
        }
    }

    #[test]
    fn a_few_members_make_most_payments_by_zipf() {
        let payments = payments(Distribution::Zipf, 50_000);
        let first = share(&payments, |it| it.payer == 0);
        assert!((0.15..0.25).contains(&first), "{first}");
        let second = share(&payments, |it| it.payer == 1);
        let ratio = first / second;
        assert!(
            (2.0..2.6).contains(&ratio),
            "{ratio} is not 2 to the power of 1.2"
        );
        assert!(share(&payments, |it| it.payee == 0) < 0.01);
    }

    #[test]
    fn everyone_pays_the_hot_member() {
        let payments = payments(Distribution::Hot, 1_000);
        assert!(payments.iter().all(|it| it.payee == 0 && it.payer > 0));
    }
}
