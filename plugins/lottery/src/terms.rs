//! The configuration of the lottery, and the terms of a round.

use bursar_plugin::prelude::*;

/// The largest share of the operator, in thousandths of the pot.
const FEE_PERMILLE_MAX: u16 = 500;

/// The configuration, which the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The asset of tickets and prizes. A round keeps the terms of its first ticket; a change applies from the
    /// next round on.
    asset: Asset,
    /// The price of a ticket.
    price: Amount,
    /// The number of tickets that a member may have in a round; unlimited if absent.
    per_member_limit: Option<u64>,
    /// The operator's share of the pot, in thousandths: 0 to 500, 0 if absent.
    #[serde(default)]
    #[schemars(range(min = 0, max = 500))]
    fee_permille: u16,
}

/// The terms of a round, from the configuration at its first ticket.
///
/// A buyer therefore knows the price and the operator's share, and all tickets of a round are equal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RoundTerms {
    /// The asset of tickets and prizes.
    pub(crate) asset: Asset,
    /// The price of a ticket.
    price: Amount,
    /// The number of tickets that a member may have; unlimited if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    per_member_limit: Option<u64>,
    /// The operator's share of the pot, in thousandths.
    fee_permille: u16,
}

impl Config {
    pub(crate) fn terms(&self) -> RoundTerms {
        RoundTerms {
            asset: self.asset.clone(),
            price: self.price,
            per_member_limit: self.per_member_limit,
            fee_permille: self.fee_permille,
        }
    }

    /// Returns the terms, and declines a share that is too large.
    pub(crate) fn checked_terms(&self) -> Result<RoundTerms, Decline> {
        if self.fee_permille > FEE_PERMILLE_MAX {
            let message =
                format!("The operator's share is at most {FEE_PERMILLE_MAX} thousandths.");
            return Err(Decline::new("misconfigured", message));
        }
        Ok(self.terms())
    }

    /// Reports a limit that allows no tickets and a share that is too large.
    pub(crate) fn check_configuration(&self, report: &mut ConfigReport) {
        if self.fee_permille > FEE_PERMILLE_MAX {
            let message = format!("the operator's share is at most {FEE_PERMILLE_MAX} thousandths");
            report.finding("/fee_permille", message);
        }
        if self.per_member_limit == Some(0) {
            report.finding(
                "/per_member_limit",
                "0 allows no tickets: omit it, or set 1 or more",
            );
        }
    }
}

impl RoundTerms {
    /// Returns the price of a number of tickets.
    pub(crate) fn cost(&self, tickets: u64) -> Result<Amount, Decline> {
        Ok(self.price.checked_mul(tickets)?)
    }

    /// Adds tickets to those of a member, and declines more than the limit.
    pub(crate) fn check(&self, owned: u64, more: u64) -> Result<u64, Decline> {
        let owned = owned.saturating_add(more);
        match self.per_member_limit {
            Some(most) if owned > most => {
                let message = format!("A member has at most {most} tickets in a round.");
                Err(Decline::new("limit_reached", message))
            }
            Some(_) | None => Ok(owned),
        }
    }

    /// Splits the pot into the prize and the operator's share.
    pub(crate) fn split(&self, pot: u64) -> Result<(Amount, Option<Amount>), Decline> {
        let fee = u128::from(pot) * u128::from(self.fee_permille) / 1000;
        let fee = u64::try_from(fee).unwrap_or(0);
        let prize = Amount::new(pot.saturating_sub(fee));
        let prize = prize.ok_or_else(|| Decline::new("empty_pot", "The pot is empty."))?;
        Ok((prize, Amount::new(fee)))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns a configuration with a ticket price of 10 coins.
    pub(crate) fn config(more: &str) -> Config {
        let text = format!("{{\"asset\": \"coin\", \"price\": 10{more}}}");
        serde_json::from_str(&text).expect("a configuration")
    }

    pub(crate) fn member(number: u32) -> Account {
        format!("user:{number}").parse().expect("an account")
    }

    /// Returns a member whose name has this many characters.
    pub(crate) fn long_name(chars: usize) -> Account {
        let name = format!("{}:{}", "a".repeat(64), "b".repeat(chars - 65));
        name.parse().expect("a name")
    }

    /// Returns the terms of a configuration with the defaults.
    pub(crate) fn terms() -> RoundTerms {
        config("").terms()
    }

    #[test]
    fn a_limit_without_tickets_and_a_large_share_are_reported() {
        let pointers = |more: &str| {
            let mut report = ConfigReport::new("raffle");
            config(more).check_configuration(&mut report);
            assert_eq!(report.needs, []);
            let findings = report.findings.into_iter();
            findings.map(|finding| finding.pointer).collect::<Vec<_>>()
        };
        assert_eq!(pointers(", \"fee_permille\": 501"), ["/fee_permille"]);
        assert_eq!(pointers(", \"per_member_limit\": 0"), ["/per_member_limit"]);
        let edges = ", \"fee_permille\": 500, \"per_member_limit\": 1";
        assert_eq!(pointers(edges), [""; 0]);
    }

    #[test]
    fn the_pot_is_split_without_a_remainder() {
        let share = |permille: u16, pot| {
            let config = config(&format!(", \"fee_permille\": {permille}"));
            let terms = config.checked_terms();
            let split = terms.and_then(|terms| terms.split(pot));
            let split = split.map(|(prize, fee)| (prize.get(), fee.map_or(0, Amount::get)));
            split.map_err(|decline| decline.code())
        };
        assert_eq!(share(0, 100), Ok((100, 0)));
        assert_eq!(share(55, 999), Ok((945, 54)));
        assert_eq!(share(500, 1), Ok((1, 0)));
        assert_eq!(share(0, 0), Err("empty_pot"));
        assert_eq!(share(501, 100), Err("misconfigured"));
    }

    #[test]
    fn the_limit_of_tickets_is_checked() {
        let limited = config(", \"per_member_limit\": 5").terms();
        assert_eq!(limited.check(2, 3), Ok(5));
        let more = limited.check(2, 4).expect_err("too many");
        assert_eq!(more.code(), "limit_reached");
    }
}
