//! What a plugin says of a configuration before it is taken.

use crate::amount::Amount;
use crate::bindings::configured::exports::bursar::plugin::configuration::{Finding, Need, Report};
use crate::names::{Account, Asset};

/// Findings of a report; a report with more of them would be a fault.
const FINDINGS_MAX: usize = 64;
/// Needs of a report.
const NEEDS_MAX: usize = 64;
/// Bytes of a finding's sentence.
const FINDING_BYTES_MAX: usize = 512;

/// What a plugin finds wrong in a configuration, and what it needs to work with it.
///
/// A configuration with findings is refused, with all of them at once. Needs refuse nothing: the operator
/// is told what is missing, and the request that adds it.
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
    /// Everything that is wrong.
    pub findings: Vec<Finding>,
    /// Balances without which calls will decline.
    pub needs: Vec<Need>,
    /// Findings beyond those that a report may have.
    left_out: usize,
}

impl ConfigReport {
    /// An empty report, for a plugin that is installed under this name, or is to be.
    pub fn new(plugin: &str) -> Self {
        Self {
            plugin: plugin.into(),
            findings: Vec::new(),
            needs: Vec::new(),
            left_out: 0,
        }
    }

    /// The plugin's first account: `plugin:` and the name under which it is installed.
    pub fn own_account(&self) -> Account {
        let account = Account::try_from(format!("plugin:{}", self.plugin));
        account.expect("a plugin is installed under one segment of a name")
    }

    /// A further account of the plugin's own, as `plugin!` lists it.
    ///
    /// # Panics
    ///
    /// If `sub` is not one segment of a name.
    pub fn own_sub_account(&self, sub: &str) -> Account {
        let account = Account::try_from(format!("plugin:{}:{sub}", self.plugin));
        account.expect("`sub` is one segment of a name")
    }

    /// Says that something is wrong: where, as a JSON pointer into the configuration (empty for all of it),
    /// and a sentence for the operator. A report has 64 findings; the last of them counts those beyond. Of
    /// a sentence 512 bytes are kept.
    pub fn finding(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        if self.findings.len() == FINDINGS_MAX {
            self.left_out += 1;
            return;
        }
        let (pointer, mut message) = (pointer.into(), message.into());
        if message.len() > FINDING_BYTES_MAX {
            let end = message.floor_char_boundary(FINDING_BYTES_MAX - '…'.len_utf8());
            message.truncate(end);
            message.push('…');
        }
        self.findings.push(Finding { pointer, message });
    }

    /// Says that calls will decline unless so much of an asset is available on an account. Of several
    /// amounts for the same account and asset the largest counts; 64 different ones are kept, the first.
    pub fn need(&mut self, account: &Account, asset: &Asset, at_least: Amount) {
        let at_least = at_least.get();
        let same =
            |need: &&mut Need| need.account == account.as_str() && need.asset == asset.as_str();
        if let Some(known) = self.needs.iter_mut().find(same) {
            known.at_least = known.at_least.max(at_least);
        } else if self.needs.len() < NEEDS_MAX {
            self.needs.push(Need {
                account: account.to_string(),
                asset: asset.to_string(),
                at_least,
            });
        }
    }

    /// The report as the contract has it.
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

/// A member's name as a segment of a JSON pointer, with the slash before it: `a/b` is `/a~1b`.
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
        let said = &beyond[FINDINGS_MAX - 1].message;
        assert_eq!(said, "2 more findings are left out");
    }

    #[test]
    fn a_sentence_ends_at_its_limit() {
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
