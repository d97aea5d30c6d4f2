//! The time of a sale and the conditions for buyers.

use bursar_plugin::prelude::*;

/// The largest number of roles that a decline names.
const ROLES_NAMED: usize = 5;

/// The conditions of a purchase. An absent condition always holds.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SaleTerms {
    /// The start of the sale, in milliseconds since 1970 UTC.
    from_ms: Option<u64>,
    /// The end of the sale, in milliseconds since 1970 UTC.
    until_ms: Option<u64>,
    /// A role that the member must have. The bot sends the member's roles with the call.
    role: Option<String>,
    /// An item that the member must have.
    item: Option<Asset>,
}

impl SaleTerms {
    /// Declines a purchase before or after the sale.
    pub(crate) fn check_time(&self, now_ms: u64) -> Result<(), Decline> {
        if let Some(from_ms) = self.from_ms.filter(|from_ms| now_ms < *from_ms) {
            let wait_s = (from_ms - now_ms).div_ceil(1000);
            let message = format!("That is for sale in {wait_s} s.");
            return Err(Decline::new("not_yet_for_sale", message));
        }
        if self.until_ms.is_some_and(|until_ms| now_ms >= until_ms) {
            return Err(Decline::new("sale_over", "That is no longer for sale."));
        }
        Ok(())
    }

    /// Returns true if the sale starts before it ends.
    pub(crate) fn has_time(&self) -> bool {
        match (self.from_ms, self.until_ms) {
            (Some(from_ms), Some(until_ms)) => from_ms < until_ms,
            (None, Some(until_ms)) => until_ms > 0,
            (Some(_) | None, None) => true,
        }
    }

    /// Returns the role that the member must have.
    pub(crate) fn role(&self) -> Option<&str> {
        self.role.as_deref()
    }

    /// Returns the item that the member must have.
    pub(crate) fn item(&self) -> Option<&Asset> {
        self.item.as_ref()
    }
}

/// Returns the decline for a member who has none of the required roles.
pub(crate) fn role_required<'a>(roles: impl Iterator<Item = &'a str>) -> Decline {
    let roles: Vec<_> = roles.take(ROLES_NAMED).collect();
    let message = format!("That is for members with the role {}.", roles.join(" or "));
    Decline::new("role_required", message)
}

/// Returns the decline for a member who does not have the required item.
pub(crate) fn item_required(item: &Asset) -> Decline {
    Decline::new(
        "item_required",
        format!("That is for members who have {item}."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sale_begins_and_ends_on_its_millisecond() {
        let sale: SaleTerms =
            serde_json::from_str(r#"{"from_ms": 1000, "until_ms": 2000}"#).expect("terms");
        let code = |now_ms| sale.check_time(now_ms).map_err(|decline| decline.code());
        assert_eq!(code(999), Err("not_yet_for_sale"));
        assert_eq!(code(1000), Ok(()));
        assert_eq!(code(1999), Ok(()));
        assert_eq!(code(2000), Err("sale_over"));
    }

    #[test]
    fn a_decline_names_a_few_of_many_roles() {
        let roles = ["a", "b", "c", "d", "e", "f"];
        let declined = role_required(roles.into_iter());
        let message = "That is for members with the role a or b or c or d or e.";
        assert_eq!(
            (declined.code(), declined.message()),
            ("role_required", message)
        );
    }
}
