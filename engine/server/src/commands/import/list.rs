//! A list of balances as a spreadsheet writes it (CSV): read and checked as far as the list alone
//! tells, each mistake with its line.

use bursar_ledger::{AccountId, AccountKind, Amount, AssetId, Timestamp};
use csv::{ReaderBuilder, StringRecord, Trim};
use jiff::tz::TimeZone;

use crate::http::MEMO_CHARS_MAX;

/// Rows in one list.
const ROWS_MAX: usize = 1_000_000;

/// One row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Row {
    /// Where it stands in the list.
    pub(super) line: u64,
    pub(super) account: AccountId,
    pub(super) asset: AssetId,
    pub(super) amount: Amount,
    pub(super) effective_at: Option<Timestamp>,
    pub(super) memo: Option<String>,
}

/// What is wrong with a line.
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

/// Where each column stands in a list.
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
        let wrong = |what: String| {
            Mistake::new(
                1,
                format!("{what}; the first line is account,asset,amount[,date][,memo]"),
            )
        };
        if let Some(other) = header.iter().find(|name| !known.contains(name)) {
            return Err(wrong(format!("`{other}` is no column of this list")));
        }
        let place = |name: &str| {
            let mut places = header.iter().enumerate().filter(|(_, it)| *it == name);
            let first = places.next().map(|(place, _)| place);
            match places.next() {
                None => Ok(first),
                Some(_) => Err(wrong(format!("the column `{name}` is there twice"))),
            }
        };
        let must = |name: &str| {
            place(name)?.ok_or_else(|| wrong(format!("the column `{name}` is missing")))
        };
        Ok(Self {
            account: must("account")?,
            asset: must("asset")?,
            amount: must("amount")?,
            date: place("date")?,
            memo: place("memo")?,
        })
    }

    fn read(&self, line: u64, record: &StringRecord, now: Timestamp) -> Result<Row, Mistake> {
        let wrong = |what: String| Mistake::new(line, what);
        let text = |place: usize| record.get(place).unwrap_or_default();
        let given = |place: Option<usize>| place.map(text).filter(|text| !text.is_empty());
        let account = text(self.account);
        let account: AccountId = account
            .parse()
            .map_err(|error| wrong(format!("the account `{account}`: {error}")))?;
        if account.kind() == AccountKind::Issuer {
            return Err(wrong(format!(
                "`{account}` is an issuer: what is issued comes from it"
            )));
        }
        let asset = text(self.asset);
        let asset = asset
            .parse()
            .map_err(|error| wrong(format!("the asset `{asset}`: {error}")))?;
        let amount = text(self.amount);
        let units = amount
            .parse()
            .ok()
            .filter(|_| amount.bytes().all(|byte| byte.is_ascii_digit()));
        let amount = units.and_then(Amount::new).ok_or_else(|| {
            wrong(format!(
                "`{amount}` is no whole number from 1 to 9007199254740991"
            ))
        })?;
        let effective_at = given(self.date).map(|text| date(text, now)).transpose();
        let memo = given(self.memo).map(str::to_owned);
        if memo
            .as_ref()
            .is_some_and(|memo| memo.chars().count() > MEMO_CHARS_MAX)
        {
            return Err(wrong(format!(
                "a memo has {MEMO_CHARS_MAX} characters at most"
            )));
        }
        Ok(Row {
            line,
            account,
            asset,
            amount,
            effective_at: effective_at.map_err(wrong)?,
            memo,
        })
    }
}

/// A day (its beginning, in UTC), or a moment with its zone.
fn date(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let day = text
        .parse::<jiff::civil::Date>()
        .ok()
        .filter(|_| text.len() == "2024-12-31".len());
    let moment = match day {
        Some(day) => day.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()),
        None => text.parse::<jiff::Timestamp>(),
    };
    let form = "a date is 2024-12-31 or 2024-12-31T18:30:00Z";
    let moment = moment.map_err(|_| format!("`{text}` is none: {form}"))?;
    let since = u64::try_from(moment.as_millisecond());
    let moment = Timestamp(since.map_err(|_| format!("`{text}` is before 1970"))?);
    if moment > now {
        return Err(format!(
            "`{text}` is in the future, and nothing is kept for later"
        ));
    }
    Ok(moment)
}

/// Reads a list, or says all that is wrong with it.
pub(super) fn read(bytes: &[u8], now: Timestamp) -> Result<Vec<Row>, Vec<Mistake>> {
    read_up_to(ROWS_MAX, bytes, now)
}

fn read_up_to(rows_max: usize, bytes: &[u8], now: Timestamp) -> Result<Vec<Row>, Vec<Mistake>> {
    // Spreadsheets begin a text with a mark of its encoding.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(bytes);
    let header = reader.headers().map_err(|error| vec![unreadable(&error)])?;
    let columns = Columns::of(header).map_err(|mistake| vec![mistake])?;
    let (mut rows, mut mistakes) = (Vec::new(), Vec::new());
    for record in reader.records() {
        let row = record
            .map_err(|error| unreadable(&error))
            .and_then(|record| {
                let line = record.position().map_or(0, csv::Position::line);
                columns.read(line, &record, now)
            });
        match row {
            Ok(row) => rows.push(row),
            Err(mistake) => mistakes.push(mistake),
        }
        if rows.len() > rows_max {
            let line = rows.last().map_or(0, |row| row.line);
            mistakes.push(Mistake::new(
                line,
                format!("a list has {rows_max} rows at most; split it"),
            ));
            break;
        }
    }
    if mistakes.is_empty() {
        Ok(rows)
    } else {
        Err(mistakes)
    }
}

fn unreadable(error: &csv::Error) -> Mistake {
    let line = error.position().map_or(1, csv::Position::line);
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => Mistake::new(
            line,
            format!("{len} fields, where the first line has {expected_len}"),
        ),
        csv::ErrorKind::Utf8 { .. } => Mistake::new(line, "this is not UTF-8"),
        _ => Mistake::new(line, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01.
    const NOW: Timestamp = Timestamp(1_767_225_600_000);

    fn said(list: &str) -> Vec<String> {
        let mistakes = read(list.as_bytes(), NOW).expect_err(list);
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
                    coin,,user:2,1,2024-02-29T10:00:00+01:00\n";
        let rows = read(list.as_bytes(), NOW).expect("a list");
        let dates: Vec<_> = rows.iter().map(|row| row.effective_at).collect();
        let day = 1_709_164_800_000;
        let nine = Timestamp(day + 9 * 3_600_000);
        assert_eq!(dates, [Some(Timestamp(day)), None, Some(nine)]);
        let memos: Vec<_> = rows.iter().map(|row| row.memo.as_deref()).collect();
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
             user:1,coin,0,,\n\
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
        let said = said(&list);
        assert_eq!(said.len(), 12, "{said:#?}");
        for (said, line) in said.iter().zip(3..) {
            assert!(said.starts_with(&format!("{line}: ")), "{said}");
        }
    }

    #[test]
    fn a_list_has_a_largest_number_of_rows() {
        let list = |rows| format!("account,asset,amount\n{}", "user:1,coin,1\n".repeat(rows));
        assert_eq!(
            read_up_to(3, list(3).as_bytes(), NOW).map(|rows| rows.len()),
            Ok(3)
        );
        let mistakes = read_up_to(3, list(4).as_bytes(), NOW).expect_err("one beyond");
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
            let said = said(list);
            assert!(
                said.len() == 1 && said[0].starts_with("1: ") && said[0].contains(what),
                "{said:?}"
            );
        }
    }
}
