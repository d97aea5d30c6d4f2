//! The fields of a row, parsed strictly. A value that a spreadsheet or another program has rounded, shortened or
//! reformatted is rejected, and the error says what to write instead.

use bursar_ledger::{AccountId, AccountKind, Amount, AssetId, Timestamp};
use jiff::tz::TimeZone;

/// Parses an account.
pub(super) fn account(text: &str) -> Result<AccountId, String> {
    if looks_rounded(text.rsplit(':').next().unwrap_or(text)) {
        return Err(format!(
            "the account `{text}` is a number that a program has rounded or reformatted: format that column \
             as text, and export the list again"
        ));
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!(
            "the account `{text}` is a bare number: write the account's full name, as in `user:{text}`"
        ));
    }
    let account: AccountId = text
        .parse()
        .map_err(|error| format!("the account `{text}`: {error}"))?;
    if account.kind() == AccountKind::Issuer {
        return Err(format!(
            "`{account}` is an issuer and cannot receive a balance: name the account that receives it"
        ));
    }
    Ok(account)
}

/// Returns true if a text is a number with a point or an exponent, as in `1.23457e17` and `123.0`.
fn looks_rounded(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_digit() || b".eE+-".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(is_part)
        && text.bytes().any(|byte| !byte.is_ascii_digit())
        && text.parse::<f64>().is_ok()
}

/// Parses an asset.
pub(super) fn asset(text: &str) -> Result<AssetId, String> {
    text.parse()
        .map_err(|error| format!("the asset `{text}`: {error}"))
}

/// Parses an amount. Returns none for zero, which is not issued.
pub(super) fn amount(text: &str) -> Result<Option<Amount>, String> {
    let malformed = |reason: &str| Err(format!("the amount `{text}` {reason}"));
    let is_whole = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_whole {
        if text.bytes().all(|byte| byte == b'0') {
            return Ok(None);
        }
        let amount = text.parse().ok().and_then(Amount::new);
        return amount.map_or_else(
            || malformed("is more than 9007199254740991"),
            |amount| Ok(Some(amount)),
        );
    }
    match text.strip_prefix('-') {
        Some(rest) if rest.parse::<f64>().is_ok() => {
            malformed("is below zero: an opening balance is more than 0; remove the line")
        }
        _ if looks_rounded(text) => malformed(
            "is not a whole number: write it in the asset's smallest unit, without a point or exponent",
        ),
        _ => malformed("is not a whole number from 1 to 9007199254740991"),
    }
}

/// Parses a date: a day, which means its start in UTC, or a time with its zone. It must not be after `now`.
pub(super) fn date(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let day = text
        .parse::<jiff::civil::Date>()
        .ok()
        .filter(|_| text.len() == "2024-12-31".len());
    let moment = match day {
        Some(day) => day.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()),
        None => text.parse::<jiff::Timestamp>(),
    };
    let form = "write 2024-12-31 or 2024-12-31T18:30:00Z";
    let moment = moment.map_err(|_| format!("`{text}` is not a date: {form}"))?;
    let since = u64::try_from(moment.as_millisecond());
    let moment = Timestamp(since.map_err(|_| format!("the date `{text}` is before 1970"))?);
    if moment > now {
        return Err(format!("the date `{text}` is in the future"));
    }
    Ok(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_a_program_has_rewritten_are_not_accounts() {
        for rounded in [
            "1.23457e17",
            "1.23457E+17",
            "user:1.23457e17",
            "123456789012345678.0",
            "user:123456789012345678.0",
            "user:1e5",
        ] {
            let error = account(rounded).expect_err(rounded);
            assert!(error.contains("as text"), "{error}");
        }
        let bare = account("123").expect_err("a bare number");
        assert!(bare.contains("as in `user:123`"), "{bare}");
        for name in ["user:123", "user:1.2.3", "user:e5", "user:1e", "shop-2"] {
            assert!(account(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn amounts_are_whole_and_a_zero_is_skipped() {
        let read = |text: &str| amount(text).map(|amount| amount.map(Amount::get));
        assert_eq!(read("9007199254740991"), Ok(Some(9_007_199_254_740_991)));
        assert_eq!(read("007"), Ok(Some(7)));
        assert_eq!((read("0"), read("00")), (Ok(None), Ok(None)));
        for (text, reason) in [
            ("9007199254740992", "more than"),
            ("99999999999999999999999", "more than"),
            ("-5", "below zero"),
            ("-0.5", "below zero"),
            ("10781.0", "smallest unit"),
            ("1.2e3", "smallest unit"),
            ("+5", "not a whole number from"),
            ("1,000", "not a whole number from"),
            ("", "not a whole number from"),
            ("none", "not a whole number from"),
        ] {
            let error = amount(text).expect_err(text);
            assert!(error.contains(reason), "{error}");
        }
    }
}
