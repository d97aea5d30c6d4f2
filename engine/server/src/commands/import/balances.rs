//! Opening balances from a list. Each row is issued once, even if it is imported again with another list.
//!
//! All rows are checked before the first one is issued, and all mistakes are reported together.

use std::collections::BTreeMap;
use std::path::Path;

use bursar_ledger::{AssetId, EconomyId, Timestamp};
use bursar_storage::OfflineFile;

use super::list::{self, List, Mistake, Row};
use crate::client::Client;
use crate::clock;
use crate::commands::error::CommandError;
use crate::commands::owner::detail;
use crate::commands::progress::progress_each;
use crate::commands::{input, style};
use crate::http::{
    LIST_CHARS_MAX, OPENING_ROWS_MAX, OpeningBody, OpeningReport, OpeningRowBody, RowReport,
    is_list_name, render,
};
use crate::service::{OpeningList, OpeningRow, check_closed};

/// The largest size of a list in bytes.
const LIST_BYTES_MAX: u64 = 64 << 20;

/// The most mistakes that are printed.
const MISTAKES_SHOWN: usize = 50;

/// Number of rows between two progress lines.
const ROWS_A_LINE: u64 = 4 * OPENING_ROWS_MAX as u64;

/// A list without mistakes of its own, and the options for its import.
pub(super) struct OpeningImport {
    pub(super) economy: EconomyId,
    /// The name of the list.
    name: String,
    pub(super) list: List,
    force: bool,
    pub(super) dry_run: bool,
}

/// The options of an import of opening balances.
pub(super) struct ImportOptions {
    /// The name of the list; that of the file by default.
    pub(super) name: Option<String>,
    /// True to sum the rows of an account and asset.
    pub(super) sum: bool,
    /// True to issue rows although another list has issued one for the same account and asset.
    pub(super) force: bool,
    /// True to only check the list.
    pub(super) dry_run: bool,
}

impl OpeningImport {
    /// Reads a list. Reports all mistakes that the list alone shows.
    pub(super) fn read(
        file: &Path,
        economy: EconomyId,
        options: ImportOptions,
        now: Timestamp,
    ) -> Result<Self, CommandError> {
        let stem = file.file_stem().and_then(|stem| stem.to_str());
        let stem = stem.filter(|_| file.as_os_str() != "-").map(str::to_owned);
        let name = options.name.or(stem).unwrap_or_default();
        if !is_list_name(&name) {
            return Err(CommandError::new(format!(
                "the name of a list has 1 to {LIST_CHARS_MAX} characters and identifies the list when it is \
                 imported again: pass --list NAME"
            )));
        }
        let bytes = input::read_up_to(file, LIST_BYTES_MAX, "a list")?;
        let list = list::read(&bytes, now, options.sum).map_err(|mistakes| report(&mistakes))?;
        Ok(Self {
            economy,
            name,
            list,
            force: options.force,
            dry_run: options.dry_run,
        })
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/economies/{}{rest}", self.economy)
    }
}

/// Prints mistakes and returns the error of the command.
fn report(mistakes: &[Mistake]) -> CommandError {
    let count = mistakes.len();
    print_mistakes(mistakes);
    let lines = if count == 1 { "line" } else { "lines" };
    CommandError::new(format!(
        "{count} {lines} cannot be imported; nothing was issued"
    ))
}

fn print_mistakes(mistakes: &[Mistake]) {
    for Mistake { line, what } in mistakes.iter().take(MISTAKES_SHOWN) {
        style::remark(format!("line {line}: {what}"));
    }
    let more = mistakes.len().saturating_sub(MISTAKES_SHOWN);
    if more > 0 {
        style::remark(format!("and {more} more"));
    }
}

/// The database file against which a list is checked.
pub(super) enum ImportTarget {
    /// A file that a server uses, with a client of that server.
    Served(Client),
    /// A file that no server uses.
    Offline(OfflineFile),
}

/// Checks all rows and prints the plan. Nothing changes.
pub(super) async fn plan(
    file: &mut ImportTarget,
    opening: &OpeningImport,
) -> Result<ImportPlan, CommandError> {
    if opening.list.zeros > 0 {
        let zeros = opening.list.zeros;
        style::remark(format!("{zeros} rows have the amount 0 and are skipped"));
    }
    let plan = check(file, opening).await?;
    if plan.done > 0 {
        let done = plan.done;
        style::remark(format!(
            "{done} rows of this list were issued before and are skipped"
        ));
    }
    if opening.dry_run {
        for (asset, sum) in &plan.sums {
            style::say(format!("{sum} {asset} would be issued"));
        }
        let rows = plan.pending.len();
        let accounts = plan.accounts;
        style::say(format!(
            "{rows} rows would be issued, {accounts} accounts created; nothing has changed"
        ));
    }
    Ok(plan)
}

/// The rows of a list that an import issues.
#[derive(Default)]
pub(super) struct ImportPlan {
    /// Rows to be issued.
    pub(super) pending: Vec<Row>,
    /// Number of rows that were issued before.
    done: u64,
    /// Number of accounts to be created.
    pub(super) accounts: u64,
    /// The amount to be issued of each asset.
    sums: BTreeMap<AssetId, u64>,
}

/// Checks all rows in portions. Limits on sums over several portions are checked here.
async fn check(
    file: &mut ImportTarget,
    opening: &OpeningImport,
) -> Result<ImportPlan, CommandError> {
    let mut plan = ImportPlan::default();
    let mut mistakes = Vec::new();
    let mut progress = progress_each("rows", "checked", ROWS_A_LINE);
    let rows = &opening.list.rows;
    let mut checked = 0;
    for portion in rows.chunks(OPENING_ROWS_MAX) {
        let report = match file {
            ImportTarget::Served(client) => send(client, opening, portion, true).await?,
            ImportTarget::Offline(file) => check_offline(file, opening, portion)?,
        };
        for (row, outcome) in portion.iter().zip(&report.rows) {
            match add_outcome(row, outcome, &mut plan) {
                Ok(()) => {}
                Err(what) => mistakes.push(Mistake::new(row.line, what)),
            }
        }
        if let (Some(row), Some(what)) = (portion.last(), plan.excess(&report)) {
            mistakes.push(Mistake::new(row.line, what));
            break;
        }
        checked += portion.len() as u64;
        progress(checked, rows.len() as u64);
    }
    if mistakes.is_empty() {
        Ok(plan)
    } else {
        Err(report(&mistakes))
    }
}

/// Adds a row to the plan by its outcome. Returns the reason if the row cannot be issued.
fn add_outcome(row: &Row, outcome: &RowReport, plan: &mut ImportPlan) -> Result<(), String> {
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
            plan.pending.push(row.clone());
            Ok(())
        }
        RowReport::Issued | RowReport::Done => {
            plan.done += 1;
            Ok(())
        }
        RowReport::Differs { issued } => Err(format!(
            "this list has issued {issued} {asset} to `{account}` before, and now it has {amount}. Write {issued} \
             here, and issue or burn the difference"
        )),
        RowReport::Elsewhere { list, issued } => Err(format!(
            "the list `{list}` has issued {issued} {asset} to `{account}` before. If this is that list, pass \
             --list {list}; to issue {amount} more, pass --force",
            list = quoted(list)
        )),
        RowReport::Refused { detail } => Err(detail.clone()),
    }
}

/// Quotes a name for a shell, if that is needed.
fn quoted(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.bytes().all(is_plain) {
        return name.into();
    }
    format!("'{}'", name.replace('\'', r"'\''"))
}

impl ImportPlan {
    /// Returns the limit that the rows so far exceed together.
    fn excess(&self, report: &OpeningReport) -> Option<String> {
        for (asset, left) in &report.assets_left {
            let sum = self.sums.get(asset).copied().unwrap_or_default();
            if sum > *left {
                return Some(format!(
                    "up to this line the list issues {sum} {asset}, and only {left} more may be issued"
                ));
            }
        }
        (self.accounts > report.accounts_left).then(|| {
            let accounts = self.accounts;
            let left = report.accounts_left;
            format!(
                "up to this line the list creates {accounts} accounts, and the quota leaves {left}"
            )
        })
    }
}

/// Requests the issue of checked rows from a server, in portions.
pub(super) async fn issue(
    client: &mut Client,
    opening: &OpeningImport,
    rows: &[Row],
) -> Result<(), CommandError> {
    let mut rejected = Vec::new();
    let mut progress = progress_each("rows", "issued", ROWS_A_LINE);
    let mut issued = 0;
    for portion in rows.chunks(OPENING_ROWS_MAX) {
        let report = send(client, opening, portion, false).await?;
        for (row, outcome) in portion.iter().zip(&report.rows) {
            if let Err(what) = add_outcome(row, outcome, &mut ImportPlan::default()) {
                rejected.push(Mistake::new(row.line, what));
            }
        }
        issued += portion.len() as u64;
        progress(issued, rows.len() as u64);
    }
    if rejected.is_empty() {
        return Ok(());
    }
    print_mistakes(&rejected);
    Err(CommandError::new(format!(
        "{} lines were rejected, because the economy has changed since they were checked; all others are issued. \
         Correct the cause and run the same command again: no row is issued twice",
        rejected.len()
    )))
}

/// Checks rows against a file that no server uses.
fn check_offline(
    file: &OfflineFile,
    opening: &OpeningImport,
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
    let books = books.ok_or_else(|| CommandError::new("internal error: the economy is missing"))?;
    Ok(OpeningReport::of(outcomes, books, assets, now))
}

/// Sends rows to a server, which checks them (`dry_run`) or issues them.
async fn send(
    client: &mut Client,
    opening: &OpeningImport,
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
    let response = client.send("POST", &path, None, body.into()).await;
    let response = response.map_err(|error| CommandError::new(format!("{error}; {again}")))?;
    if !response.status.is_success() {
        let detail = detail(&response);
        return Err(CommandError::new(format!("{detail}; {again}")));
    }
    serde_json::from_slice(&response.body).map_err(CommandError::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_up_to_its_largest_size() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("list.csv");
        // The first line is rejected, so that the rest is not parsed.
        std::fs::write(&path, "x\n").expect("a list");
        let file = std::fs::File::options().write(true).open(&path);
        let file = file.expect("the list");
        let economy: EconomyId = "guild".parse().expect("a name");
        for (bytes, too_large) in [(LIST_BYTES_MAX, false), (LIST_BYTES_MAX + 1, true)] {
            file.set_len(bytes).expect("so long");
            let options = ImportOptions {
                name: None,
                sum: false,
                force: false,
                dry_run: false,
            };
            let error = OpeningImport::read(&path, economy.clone(), options, Timestamp(0)).err();
            let error = error.expect("`x` is no column").to_string();
            assert_eq!(
                error.contains("at most 67108864 bytes"),
                too_large,
                "{error}"
            );
        }
    }

    #[test]
    fn a_name_is_quoted_if_a_shell_would_split_it() {
        assert_eq!(quoted("members-2.x"), "members-2.x");
        assert_eq!(quoted("it's (1)"), r"'it'\''s (1)'");
    }
}
