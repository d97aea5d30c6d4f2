//! The report of a plugin's check of its configuration.

use crate::amount::Amount;
use crate::bindings::configured::exports::bursar::plugin::configuration::{Finding, Need, Report};
use crate::names::{Account, Asset};

/// The largest number of findings in a report. More would be a fault.
const FINDINGS_MAX: usize = 64;
/// The largest number of needs in a report. More would be a fault.
const NEEDS_MAX: usize = 64;
/// The largest sentence of a finding, in bytes.
const FINDING_BYTES_MAX: usize = 512;

/// The errors of a configuration (findings) and the balances that the plugin needs to work with it (needs).
///
/// A configuration with findings is rejected, and the response lists all of them. A configuration with needs
/// is accepted: the response names the missing balances and the requests that add them.
///
/// ```
/// use bursar_plugin::prelude::*;
///
/// let mut report = ConfigReport::new("coinflip");
/// report.finding("/stakes/min", "min is above max");
/// let bank = report.own_account();
/// report.need(&bank, &Asset::new("coin"), Amount::new(500).unwrap());
/// assert_eq!(report.findings[0].pointer, "/stakes/min");
/// assert_eq!(report.needs[0].account, "plugin:coinflip");
/// ```
#[derive(Clone, Debug)]
pub struct ConfigReport {
    plugin: String,
    /// The errors of the configuration.
    pub findings: Vec<Finding>,
    /// Balances that the plugin needs; without them calls decline.
    pub needs: Vec<Need>,
    /// The number of findings that did not fit into the report.
    left_out: usize,
}

impl ConfigReport {
    /// Creates an empty report for a plugin with this name of installation.
    pub fn new(plugin: &str) -> Self {
        Self {
            plugin: plugin.into(),
            findings: Vec::new(),
            needs: Vec::new(),
            left_out: 0,
        }
    }

    /// Returns the plugin's first account: `plugin:` and the name under which it is installed.
    pub fn own_account(&self) -> Account {
        let account = Account::try_from(format!("plugin:{}", self.plugin));
        account.expect("the name of an installation is one segment of a name")
    }

    /// Returns one of the plugin's further accounts. `plugin!` lists them.
    ///
    /// # Panics
    ///
    /// If `sub` is not one segment of a name.
    pub fn own_sub_account(&self, sub: &str) -> Account {
        let account = Account::try_from(format!("plugin:{}:{sub}", self.plugin));
        account.expect("`sub` is one segment of a name")
    }

    /// Adds an error: a JSON pointer into the configuration, empty for the whole, and a sentence for the operator.
    ///
    /// A report has 64 findings. If there are more, the last one counts the rest. A sentence is cut after 512
    /// bytes.
    pub fn finding(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        if self.findings.len() == FINDINGS_MAX {
            self.left_out += 1;
            return;
        }
        let pointer = pointer.into();
        let mut message = message.into();
        if message.len() > FINDING_BYTES_MAX {
            let end = message.floor_char_boundary(FINDING_BYTES_MAX - '…'.len_utf8());
            message.truncate(end);
            message.push('…');
        }
        self.findings.push(Finding { pointer, message });
    }

    /// Adds a balance that the plugin needs: the smallest available amount of an asset on an account.
    ///
    /// The largest of several amounts for one account and asset counts. A report keeps the first 64 pairs of
    /// account and asset.
    pub fn need(&mut self, account: &Account, asset: &Asset, at_least: Amount) {
        let at_least = at_least.get();
        let same =
            |need: &&mut Need| need.account == account.as_str() && need.asset == asset.as_str();
        if let Some(need) = self.needs.iter_mut().find(same) {
            need.at_least = need.at_least.max(at_least);
        } else if self.needs.len() < NEEDS_MAX {
            self.needs.push(Need {
                account: account.to_string(),
                asset: asset.to_string(),
                at_least,
            });
        }
    }

    /// Converts the report to the type of the contract.
    pub(crate) fn into_contract(self) -> Report {
        let Self {
            mut findings,
            needs,
            left_out,
            ..
        } = self;
        if let Some(last) = findings.last_mut().filter(|_| left_out > 0) {
            let more = left_out + 1;
            *last = Finding {
                pointer: String::new(),
                message: format!("{more} more findings are left out"),
            };
        }
        Report { findings, needs }
    }
}

/// Returns the name of a JSON member as a segment of a JSON pointer (RFC 6901), with its slash: `/a~1b` for `a/b`.
pub fn pointer_segment(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_counts_the_findings_that_it_leaves_out() {
        let mut report = ConfigReport::new("shop");
        for index in 0..FINDINGS_MAX {
            report.finding(format!("/items/{index}"), "wrong");
        }
        let full = report.clone().into_contract().findings;
        assert_eq!(full.len(), FINDINGS_MAX);
        assert_eq!(full[FINDINGS_MAX - 1].message, "wrong");
        report.finding("/items/64", "wrong");
        let beyond = report.into_contract().findings;
        assert_eq!(beyond.len(), FINDINGS_MAX);
        let last = &beyond[FINDINGS_MAX - 1].message;
        assert_eq!(last, "2 more findings are left out");
    }

    #[test]
    fn a_sentence_is_cut_at_its_limit() {
        let mut report = ConfigReport::new("shop");
        let most = "ü".repeat(FINDING_BYTES_MAX / 2);
        report.finding("", most.clone());
        report.finding("", format!("{most}ü"));
        assert_eq!(report.findings[0].message, most);
        let cut = &report.findings[1].message;
        assert!(
            cut.len() <= FINDING_BYTES_MAX && cut.ends_with("ü…"),
            "{cut}"
        );
    }

    #[test]
    fn the_largest_of_several_needs_counts_up_to_their_limit() {
        let mut report = ConfigReport::new("shop");
        let amount = |units| Amount::new(units).expect("an amount");
        let own = report.own_account();
        for index in 0..=NEEDS_MAX {
            let asset: Asset = format!("item:{index}").parse().expect("a name");
            report.need(&own, &asset, amount(5));
            report.need(&own, &asset, amount(3));
        }
        assert_eq!(report.needs.len(), NEEDS_MAX);
        assert!(report.needs.iter().all(|need| need.at_least == 5));
    }

    #[test]
    fn a_name_is_escaped_in_a_pointer() {
        assert_eq!(pointer_segment("a/b~c"), "/a~1b~0c");
    }
}
