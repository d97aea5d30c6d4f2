//! A list of balances as comma-separated values. Checks that need only the list are made here, and each mistake has
//! the number of its line.

use std::collections::HashMap;

use bursar_ledger::{AccountId, Amount, AssetId, Timestamp};
use csv::{ReaderBuilder, StringRecord, Trim};

use super::fields;
use crate::http::MEMO_CHARS_MAX;
use crate::service::OpeningRow;

/// The most rows of a list.
const ROWS_MAX: usize = 1_000_000;

/// The possible delimiters between the fields of a line.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// A list without mistakes of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct List {
    /// The rows. No two have the same account and asset.
    pub(super) rows: Vec<Row>,
    /// Number of rows with the amount 0, which are skipped.
    pub(super) zeros: u64,
}

/// One row of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Row {
    /// The number of its line, from 1.
    pub(super) line: u64,
    pub(super) opening: OpeningRow,
}

/// A mistake in one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Mistake {
    pub(super) line: u64,
    pub(super) what: String,
}

impl Mistake {
    pub(super) fn new(line: u64, what: impl std::fmt::Display) -> Self {
        Self {
            line,
            what: what.to_string(),
        }
    }
}

/// The position of each column in a list.
struct Columns {
    account: usize,
    asset: usize,
    amount: usize,
    date: Option<usize>,
    memo: Option<usize>,
}

impl Columns {
    fn of(header: &StringRecord) -> Result<Self, Mistake> {
        let known = ["account", "asset", "amount", "date", "memo"];
        let mistake = |what: String| {
            Mistake::new(
                1,
                format!("{what}; the first line is account,asset,amount[,date][,memo]"),
            )
        };
        let names: Vec<String> = header.iter().map(str::to_ascii_lowercase).collect();
        if let Some(other) = names.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(mistake(format!("`{other}` is no column of this list")));
        }
        let position = |name: &str| {
            let mut positions = names.iter().enumerate().filter(|(_, it)| *it == name);
            let first = positions.next().map(|(position, _)| position);
            match positions.next() {
                None => Ok(first),
                Some(_) => Err(mistake(format!("the column `{name}` is there twice"))),
            }
        };
        let required = |name: &str| {
            position(name)?.ok_or_else(|| mistake(format!("the column `{name}` is missing")))
        };
        Ok(Self {
            account: required("account")?,
            asset: required("asset")?,
            amount: required("amount")?,
            date: position("date")?,
            memo: position("memo")?,
        })
    }

    /// Parses a row. Returns none if its amount is 0.
    fn read(
        &self,
        line: u64,
        record: &StringRecord,
        now: Timestamp,
    ) -> Result<Option<Row>, Mistake> {
        let mistake = |what: String| Mistake::new(line, what);
        let text = |position: usize| record.get(position).unwrap_or_default();
        let optional = |position: Option<usize>| position.map(text).filter(|text| !text.is_empty());
        let account = fields::account(text(self.account)).map_err(mistake)?;
        let asset = fields::asset(text(self.asset)).map_err(mistake)?;
        let Some(amount) = fields::amount(text(self.amount)).map_err(mistake)? else {
            return Ok(None);
        };
        let effective_at = optional(self.date).map(|text| fields::date(text, now));
        let memo = optional(self.memo).map(str::to_owned);
        if memo
            .as_ref()
            .is_some_and(|memo| memo.chars().count() > MEMO_CHARS_MAX)
        {
            return Err(mistake(format!(
                "a memo has at most {MEMO_CHARS_MAX} characters"
            )));
        }
        let opening = OpeningRow {
            account,
            asset,
            amount,
            effective_at: effective_at.transpose().map_err(mistake)?,
            memo,
        };
        Ok(Some(Row { line, opening }))
    }
}

/// Parses a list, or returns all of its mistakes. Rows with the same account and asset are summed if `sum` is true,
/// and are mistakes otherwise.
pub(super) fn read(bytes: &[u8], now: Timestamp, sum: bool) -> Result<List, Vec<Mistake>> {
    read_up_to(ROWS_MAX, bytes, now, sum)
}

fn read_up_to(
    rows_max: usize,
    bytes: &[u8],
    now: Timestamp,
    sum: bool,
) -> Result<List, Vec<Mistake>> {
    // Spreadsheets write a byte order mark at the start.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = ReaderBuilder::new()
        .trim(Trim::All)
        .delimiter(delimiter(bytes))
        .from_reader(bytes);
    let header = reader.headers().map_err(|error| vec![unreadable(&error)])?;
    let columns = Columns::of(header).map_err(|mistake| vec![mistake])?;
    let mut list = ListBuilder::new(sum);
    let mut mistakes = Vec::new();
    for record in reader.records() {
        let result = record
            .map_err(|error| unreadable(&error))
            .and_then(|record| {
                let line = record.position().map_or(0, csv::Position::line);
                list.add(columns.read(line, &record, now)?)?;
                if list.read > rows_max {
                    let what = format!("a list has at most {rows_max} rows; split it");
                    return Err(Mistake::new(line, what));
                }
                Ok(())
            });
        mistakes.extend(result.err());
        if list.read > rows_max {
            break;
        }
    }
    if mistakes.is_empty() {
        Ok(list.list)
    } else {
        Err(mistakes)
    }
}

/// Returns the delimiter of a list: the most frequent one of its first line.
fn delimiter(bytes: &[u8]) -> u8 {
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or(bytes);
    let count = |delimiter: u8| first.split(|byte| *byte == delimiter).count();
    let mut found = DELIMITERS[0];
    for delimiter in DELIMITERS {
        if count(delimiter) > count(found) {
            found = delimiter;
        }
    }
    found
}

/// A list while its rows are read.
struct ListBuilder {
    sum: bool,
    /// Number of rows that were read, including skipped ones.
    read: usize,
    /// The index of the row of each account and asset.
    indices: HashMap<(AccountId, AssetId), usize>,
    list: List,
}

impl ListBuilder {
    fn new(sum: bool) -> Self {
        Self {
            sum,
            read: 0,
            indices: HashMap::new(),
            list: List {
                rows: Vec::new(),
                zeros: 0,
            },
        }
    }

    fn add(&mut self, row: Option<Row>) -> Result<(), Mistake> {
        self.read += 1;
        let Some(row) = row else {
            self.list.zeros += 1;
            return Ok(());
        };
        let Row { line, opening } = &row;
        let name = (opening.account.clone(), opening.asset.clone());
        let index = self.indices.get(&name).copied();
        let Some(first) = index.and_then(|index| self.list.rows.get_mut(index)) else {
            self.indices.insert(name, self.list.rows.len());
            self.list.rows.push(row);
            return Ok(());
        };
        if !self.sum {
            let what = format!(
                "`{}` has {} in line {} already; merge the two lines, or pass --sum",
                opening.account, opening.asset, first.line
            );
            return Err(Mistake::new(*line, what));
        }
        let first = &mut first.opening;
        let sum = first.amount.get().checked_add(opening.amount.get());
        let sum = sum.and_then(Amount::new);
        first.amount = sum.ok_or_else(|| {
            let what = "the sum with the lines before is more than 9007199254740991";
            Mistake::new(*line, what)
        })?;
        // A memo or a date that the rows do not share does not apply to their sum.
        first.memo = first
            .memo
            .take()
            .filter(|memo| Some(memo) == opening.memo.as_ref());
        first.effective_at = first
            .effective_at
            .filter(|at| Some(*at) == opening.effective_at);
        Ok(())
    }
}

fn unreadable(error: &csv::Error) -> Mistake {
    let line = error.position().map_or(1, csv::Position::line);
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => Mistake::new(
            line,
            format!("the line has {len} fields, and the first line has {expected_len}"),
        ),
        csv::ErrorKind::Utf8 { .. } => Mistake::new(line, "the line is not valid UTF-8"),
        _ => Mistake::new(line, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01.
    const NOW: Timestamp = Timestamp(1_767_225_600_000);

    fn mistakes_of(list: &str) -> Vec<String> {
        let mistakes = read(list.as_bytes(), NOW, false).expect_err(list);
        mistakes
            .iter()
            .map(|it| format!("{}: {}", it.line, it.what))
            .collect()
    }

    #[test]
    fn rows_are_read_in_any_order_of_columns() {
        let list = "\u{feff}asset, memo, account, amount, date\n\
                    coin,\"from, before\",user:1, 5 ,2024-02-29\n\
                    coin,,user:2,9007199254740991,\n\
                    coin,,user:3,1,2024-02-29T10:00:00+01:00\n";
        let rows = read(list.as_bytes(), NOW, false).expect("a list").rows;
        let dates: Vec<_> = rows.iter().map(|row| row.opening.effective_at).collect();
        let day = 1_709_164_800_000;
        let nine = Timestamp(day + 9 * 3_600_000);
        assert_eq!(dates, [Some(Timestamp(day)), None, Some(nine)]);
        let memos: Vec<_> = rows.iter().map(|row| row.opening.memo.as_deref()).collect();
        assert_eq!(memos, [Some("from, before"), None, None]);
        let lines: Vec<_> = rows.iter().map(|row| row.line).collect();
        assert_eq!(lines, [2, 3, 4]);
    }

    #[test]
    fn every_mistake_is_named_with_its_line() {
        let memo = "m".repeat(MEMO_CHARS_MAX + 1);
        let list = format!(
            "account,asset,amount,date,memo\n\
             user:1,coin,1,,{}\n\
             User 1,coin,1,,\n\
             issuer:coin,coin,1,,\n\
             user:1,no coin,1,,\n\
             user:1,coin,9007199254740992,,\n\
             user:1,coin,+5,,\n\
             user:1,coin,1.5,,\n\
             user:1,coin,1,31.12.2024,\n\
             user:1,coin,1,2026-01-02,\n\
             user:1,coin,1,1969-12-31,\n\
             user:1,coin,1,,{memo}\n\
             user:1,coin\n",
            "m".repeat(MEMO_CHARS_MAX)
        );
        let mistakes = mistakes_of(&list);
        assert_eq!(mistakes.len(), 11, "{mistakes:#?}");
        for (mistake, line) in mistakes.iter().zip(3..) {
            assert!(mistake.starts_with(&format!("{line}: ")), "{mistake}");
        }
    }

    #[test]
    fn a_list_is_read_up_to_its_largest_number_of_rows() {
        let list = |rows| format!("account,asset,amount\n{}", "user:1,coin,0\n".repeat(rows));
        let zeros = |rows: usize| {
            let list = read_up_to(3, list(rows).as_bytes(), NOW, false);
            list.map(|list| list.zeros)
        };
        assert_eq!(zeros(3), Ok(3));
        let mistakes = zeros(4).expect_err("one beyond");
        assert_eq!(mistakes.first().map(|it| it.line), Some(5));
    }

    #[test]
    fn a_header_names_the_columns_and_no_others() {
        for (list, what) in [
            ("", "missing"),
            ("account,amount\n", "`asset` is missing"),
            ("account,asset,amount,name\n", "`name` is no column"),
            ("account,asset,amount,asset\n", "there twice"),
        ] {
            let mistakes = mistakes_of(list);
            assert!(
                mistakes.len() == 1 && mistakes[0].starts_with("1: ") && mistakes[0].contains(what),
                "{mistakes:?}"
            );
        }
    }

    /// Spreadsheets may save a list with other line ends, delimiters, quotes or orders of columns.
    #[test]
    fn a_list_that_is_saved_again_has_the_same_rows() {
        let list = "account,asset,amount,memo\nuser:1,coin,5,hello\nuser:2,coin,7,\n";
        let rows = |list: &str| {
            let mut rows = read(list.as_bytes(), NOW, false).expect(list).rows;
            for row in &mut rows {
                row.line = 0;
            }
            rows.sort_by(|a, b| a.opening.account.cmp(&b.opening.account));
            rows
        };
        for again in [
            list.replace('\n', "\r\n"),
            format!("\u{feff}{list}"),
            list.replace(',', ";"),
            list.replace(',', "\t"),
            "Account,Asset,Amount,Memo\n\"user:2\",\"coin\",\"7\",\"\"\nuser:1,coin,5,\"hello\""
                .into(),
            "memo,amount,asset,account\nhello,5,coin,user:1\n,7,coin,user:2\n".into(),
        ] {
            assert_eq!(rows(&again), rows(list), "{again}");
        }
    }

    #[test]
    fn an_account_occurs_once_in_a_list_or_is_summed() {
        let list = "account,asset,amount,memo\n\
                    user:1,coin,5,a\n\
                    user:1,gem,5,a\n\
                    user:1,coin,6,b\n\
                    user:1,coin,0,b\n";
        let mistakes = mistakes_of(list);
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert!(mistakes[0].starts_with("4: ") && mistakes[0].contains("in line 2 already"));
        let summed = read(list.as_bytes(), NOW, true).expect("a list");
        let amounts: Vec<_> = summed
            .rows
            .iter()
            .map(|row| row.opening.amount.get())
            .collect();
        assert_eq!((amounts, summed.zeros), (vec![11, 5], 1));
        assert_eq!(summed.rows[0].opening.memo, None);
        let most = "account,asset,amount\nuser:1,coin,9007199254740991\nuser:1,coin,1\n";
        let beyond = read(most.as_bytes(), NOW, true).expect_err("too much");
        assert_eq!(beyond.first().map(|it| it.line), Some(3));
    }
}
