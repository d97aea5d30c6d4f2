//! When something is for sale, and to whom.

use bursar_plugin::prelude::*;

/// What has to be so for a purchase; what is absent does not matter.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Terms {
    /// From when on it is for sale, in milliseconds since 1970 UTC.
    from_ms: Option<u64>,
    /// Until when it is for sale, in milliseconds since 1970 UTC.
    until_ms: Option<u64>,
    /// A role that the member must have, as the bot says with the call.
    role: Option<String>,
    /// An item that the member must have one of.
    item: Option<Asset>,
}

impl Terms {
    /// Whether it is for sale now, to a member with these roles.
    pub(crate) fn check(
        &self,
        now_ms: u64,
        has_role: impl Fn(&str) -> bool,
    ) -> Result<(), Decline> {
        if let Some(from_ms) = self.from_ms.filter(|from_ms| now_ms < *from_ms) {
            let wait_s = (from_ms - now_ms).div_ceil(1000);
            let message = format!("That is for sale in {wait_s} s.");
            return Err(Decline::new("not_yet_for_sale", message));
        }
        if self.until_ms.is_some_and(|until_ms| now_ms >= until_ms) {
            return Err(Decline::new("sale_over", "That is not for sale any more."));
        }
        match &self.role {
            Some(role) if !has_role(role) => {
                let message = format!("That is for members with the role {role}.");
                Err(Decline::new("role_required", message))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The item that the member must have.
    pub(crate) fn item(&self) -> Option<&Asset> {
        self.item.as_ref()
    }
}

/// The member does not have what it takes.
pub(crate) fn item_required(item: &Asset) -> Decline {
    Decline::new(
        "item_required",
        format!("That is for members who have {item}."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(terms: &str, now_ms: u64, role: &str) -> Result<(), &'static str> {
        let terms: Terms = serde_json::from_str(terms).expect("terms");
        let checked = terms.check(now_ms, |wanted| wanted == role);
        checked.map_err(|decline| decline.code())
    }

    #[test]
    fn a_sale_begins_and_ends_on_its_millisecond() {
        let sale = r#"{"from_ms": 1000, "until_ms": 2000}"#;
        assert_eq!(code(sale, 999, ""), Err("not_yet_for_sale"));
        assert_eq!(code(sale, 1000, ""), Ok(()));
        assert_eq!(code(sale, 1999, ""), Ok(()));
        assert_eq!(code(sale, 2000, ""), Err("sale_over"));
    }

    #[test]
    fn a_role_is_asked_for_by_its_name() {
        let vip = r#"{"role": "vip"}"#;
        assert_eq!(code(vip, 0, "vip"), Ok(()));
        assert_eq!(code(vip, 0, "VIP"), Err("role_required"));
        assert_eq!(code("{}", 0, ""), Ok(()));
    }
}
