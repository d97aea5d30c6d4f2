//! Opening balances: each row of a list is issued once, whatever list it comes in again.
//!
//! All rows are checked before the first is issued, and all that is wrong is said at once.

use std::collections::BTreeMap;
use std::path::Path;

use bursar_ledger::{AssetId, EconomyId, Timestamp};
use bursar_storage::OfflineFile;

use super::list::{self, List, Mistake, Row};
use super::{CommandError, detail, style};
use crate::client::Client;
use crate::clock;
use crate::commands::input;
use crate::commands::progress::progress_each;
use crate::http::{
    LIST_CHARS_MAX, OPENING_ROWS_MAX, OpeningBody, OpeningReport, OpeningRowBody, RowReport,
    is_list_name, render,
};
use crate::service::{OpeningList, OpeningRow, check_closed};

/// Bytes of a list.
const LIST_BYTES_MAX: u64 = 64 << 20;

/// Mistakes that are spelled out.
const MISTAKES_SHOWN: usize = 50;

/// Rows after which a terminal is told how far the work is.
const ROWS_A_LINE: u64 = 4 * OPENING_ROWS_MAX as u64;

/// A list that is right by itself, and how it is meant.
pub(super) struct Opening {
    pub(super) economy: EconomyId,
    /// The name of the list.
    name: String,
    pub(super) list: List,
    force: bool,
    pub(super) dry_run: bool,
}

/// How a list is meant.
pub(super) struct Meant {
    /// Its name, if it is not the file's.
    pub(super) name: Option<String>,
    /// Whether rows of one account and asset are summed.
    pub(super) sum: bool,
    /// Whether rows are issued although another list has issued some for the same account and asset.
    pub(super) force: bool,
    /// Whether it is only said what would happen.
    pub(super) dry_run: bool,
}

impl Opening {
    pub(super) fn read(
        file: &Path,
        economy: EconomyId,
        meant: Meant,
        now: Timestamp,
    ) -> Result<Self, CommandError> {
        let stem = file.file_stem().and_then(|stem| stem.to_str());
        let stem = stem.filter(|_| file.as_os_str() != "-").map(str::to_owned);
        let name = meant.name.or(stem).unwrap_or_default();
        if !is_list_name(&name) {
            return Err(CommandError::new(format!(
                "a list has a name of 1 to {LIST_CHARS_MAX} characters, by which it is known when it comes \
                 again: say --list NAME"
            )));
        }
        let bytes = input::read_up_to(file, LIST_BYTES_MAX, "a list")?;
        let list = list::read(&bytes, now, meant.sum).map_err(|mistakes| wrong(&mistakes))?;
        Ok(Self {
            economy,
            name,
            list,
            force: meant.force,
            dry_run: meant.dry_run,
        })
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/economies/{}{rest}", self.economy)
    }
}

/// All that is wrong, each with its line.
fn wrong(mistakes: &[Mistake]) -> CommandError {
    let count = mistakes.len();
    tell(mistakes);
    let lines = if count == 1 { "line" } else { "lines" };
    CommandError::new(format!("{count} {lines} cannot be; nothing was issued"))
}

fn tell(mistakes: &[Mistake]) {
    for Mistake { line, what } in mistakes.iter().take(MISTAKES_SHOWN) {
        style::remark(format!("line {line}: {what}"));
    }
    let more = mistakes.len().saturating_sub(MISTAKES_SHOWN);
    if more > 0 {
        style::remark(format!("and {more} more"));
    }
}

/// The file that a list is checked against.
pub(super) enum Checked {
    /// Its owner is asked.
    Served(Client),
    /// Nobody serves it.
    Closed(OfflineFile),
}

/// Checks all rows, and says what is to be done. Nothing changes.
pub(super) async fn plan(file: &mut Checked, opening: &Opening) -> Result<Plan, CommandError> {
    if opening.list.zeros > 0 {
        let zeros = opening.list.zeros;
        style::remark(format!("{zeros} rows of 0 are left out"));
    }
    let plan = check(file, opening).await?;
    if plan.done > 0 {
        let done = plan.done;
        style::remark(format!(
            "{done} rows of this list were issued before, and stay as they are"
        ));
    }
    if opening.dry_run {
        for (asset, sum) in &plan.sums {
            style::say(format!("{sum} {asset} would be issued"));
        }
        let (rows, accounts) = (plan.ahead.len(), plan.accounts);
        style::say(format!(
            "{rows} rows would be issued, {accounts} accounts made; nothing has changed"
        ));
    }
    Ok(plan)
}

/// What is to be done of a list.
#[derive(Default)]
pub(super) struct Plan {
    /// Rows that are still to be issued.
    pub(super) ahead: Vec<Row>,
    /// Rows that were issued before.
    done: u64,
    /// Accounts that are made for them.
    pub(super) accounts: u64,
    /// How much is issued.
    sums: BTreeMap<AssetId, u64>,
}

/// Has the owner of the file check all rows, in portions; what adds up over portions is checked here.
async fn check(file: &mut Checked, opening: &Opening) -> Result<Plan, CommandError> {
    let (mut plan, mut mistakes) = (Plan::default(), Vec::new());
    let mut shown = progress_each("rows", "checked", ROWS_A_LINE);
    let (rows, mut checked) = (&opening.list.rows, 0);
    for portion in rows.chunks(OPENING_ROWS_MAX) {
        let report = match file {
            Checked::Served(client) => ask(client, opening, portion, true).await?,
            Checked::Closed(file) => look(file, opening, portion)?,
        };
        for (row, outcome) in portion.iter().zip(&report.rows) {
            match judge(row, outcome, &mut plan) {
                Ok(()) => {}
                Err(what) => mistakes.push(Mistake::new(row.line, what)),
            }
        }
        if let (Some(row), Some(what)) = (portion.last(), plan.excess(&report)) {
            mistakes.push(Mistake::new(row.line, what));
            break;
        }
        checked += portion.len() as u64;
        shown(checked, rows.len() as u64);
    }
    if mistakes.is_empty() {
        Ok(plan)
    } else {
        Err(wrong(&mistakes))
    }
}

/// Adds a row to the plan, or says why it cannot be.
fn judge(row: &Row, outcome: &RowReport, plan: &mut Plan) -> Result<(), String> {
    let OpeningRow {
        account,
        asset,
        amount,
        ..
    } = &row.opening;
    let amount = amount.get();
    match outcome {
        RowReport::Ready { makes_account } => {
            plan.accounts += u64::from(*makes_account);
            let sum = plan.sums.entry(asset.clone()).or_default();
            *sum = sum.saturating_add(amount);
            plan.ahead.push(row.clone());
            Ok(())
        }
        RowReport::Issued | RowReport::Done => {
            plan.done += 1;
            Ok(())
        }
        RowReport::Differs { issued } => Err(format!(
            "`{account}` was issued {issued} {asset} by this list, and now it says {amount}; nothing moves. \
             Issue or burn the difference, and put {issued} here"
        )),
        RowReport::Elsewhere { list, issued } => Err(format!(
            "`{account}` was issued {issued} {asset} by the list `{list}`. If this is that list, say --list \
             {list}; if {amount} more are meant, say --force",
            list = quoted(list)
        )),
        RowReport::Refused { detail } => Err(detail.clone()),
    }
}

/// A name as a shell takes it.
fn quoted(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.bytes().all(is_plain) {
        return name.into();
    }
    format!("'{}'", name.replace('\'', r"'\''"))
}

impl Plan {
    /// What all rows so far take beyond what there may be.
    fn excess(&self, report: &OpeningReport) -> Option<String> {
        for (asset, left) in &report.assets_left {
            let sum = self.sums.get(asset).copied().unwrap_or_default();
            if sum > *left {
                return Some(format!(
                    "up to here the list issues {sum} {asset}, and {left} more may be issued"
                ));
            }
        }
        (self.accounts > report.accounts_left).then(|| {
            let (accounts, left) = (self.accounts, report.accounts_left);
            format!("up to here the list makes {accounts} accounts, and the quota leaves {left}")
        })
    }
}

/// Has the owner of the file issue rows that were checked, in portions.
pub(super) async fn issue(
    client: &mut Client,
    opening: &Opening,
    rows: &[Row],
) -> Result<(), CommandError> {
    let mut refused = Vec::new();
    let mut shown = progress_each("rows", "issued", ROWS_A_LINE);
    let mut issued = 0;
    for portion in rows.chunks(OPENING_ROWS_MAX) {
        let report = ask(client, opening, portion, false).await?;
        for (row, outcome) in portion.iter().zip(&report.rows) {
            if let Err(what) = judge(row, outcome, &mut Plan::default()) {
                refused.push(Mistake::new(row.line, what));
            }
        }
        issued += portion.len() as u64;
        shown(issued, rows.len() as u64);
    }
    if refused.is_empty() {
        return Ok(());
    }
    tell(&refused);
    Err(CommandError::new(format!(
        "{} lines were refused, since something changed meanwhile; all others are issued. Once that is put \
         right, run the same command again: no row is issued twice",
        refused.len()
    )))
}

/// Looks at what would become of some rows in a file that nobody serves.
fn look(
    file: &OfflineFile,
    opening: &Opening,
    rows: &[Row],
) -> Result<OpeningReport, CommandError> {
    let now = clock::wall();
    let list = OpeningList {
        economy: opening.economy.clone(),
        list: opening.name.clone(),
        rows: rows.iter().map(|row| row.opening.clone()).collect(),
        force: opening.force,
    };
    let outcomes = check_closed(file, &list, render, now).map_err(CommandError::new)?;
    let assets = rows.iter().map(|row| row.opening.asset.clone()).collect();
    let books = file.state().books(&opening.economy);
    let books = books.ok_or_else(|| CommandError::new("the economy is gone"))?;
    Ok(OpeningReport::of(outcomes, books, assets, now))
}

async fn ask(
    client: &mut Client,
    opening: &Opening,
    rows: &[Row],
    dry_run: bool,
) -> Result<OpeningReport, CommandError> {
    let row = |row: &Row| OpeningRowBody::from(row.opening.clone());
    let body = OpeningBody {
        list: opening.name.clone(),
        rows: rows.iter().map(row).collect(),
        dry_run,
        force: opening.force,
    };
    let body = serde_json::to_vec(&body).map_err(CommandError::new)?;
    let path = opening.path("/opening-balances");
    let again = "run the same command again: no row is issued twice";
    let answer = client.send("POST", &path, None, body.into()).await;
    let answer = answer.map_err(|error| CommandError::new(format!("{error}; {again}")))?;
    if !answer.status.is_success() {
        let detail = detail(&answer);
        return Err(CommandError::new(format!("{detail}; {again}")));
    }
    serde_json::from_slice(&answer.body).map_err(CommandError::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_a_largest_size() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("list.csv");
        // The first line is refused at once, so that the rest costs nothing.
        std::fs::write(&path, "x\n").expect("a list");
        let file = std::fs::File::options().write(true).open(&path);
        let file = file.expect("the list");
        let economy: EconomyId = "guild".parse().expect("a name");
        for (bytes, too_large) in [(LIST_BYTES_MAX, false), (LIST_BYTES_MAX + 1, true)] {
            file.set_len(bytes).expect("so long");
            let meant = Meant {
                name: None,
                sum: false,
                force: false,
                dry_run: false,
            };
            let refused = Opening::read(&path, economy.clone(), meant, Timestamp(0)).err();
            let said = refused.expect("`x` is no column").to_string();
            assert_eq!(said.contains("at most 67108864 bytes"), too_large, "{said}");
        }
    }

    #[test]
    fn a_name_is_quoted_where_a_shell_would_take_it_apart() {
        assert_eq!(quoted("members-2.x"), "members-2.x");
        assert_eq!(quoted("it's (1)"), r"'it'\''s (1)'");
    }
}
