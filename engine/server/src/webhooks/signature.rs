//! Signatures of deliveries according to Standard Webhooks: HMAC-SHA-256 over the id, the time and
//! the body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bursar_ledger::WebhookSecret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Returns a secret in the form that its receiver uses.
pub(crate) fn reveal(secret: &WebhookSecret) -> String {
    format!("whsec_{}", STANDARD.encode(secret.as_bytes()))
}

/// Returns the value of the header `webhook-signature`.
pub(crate) fn sign(secret: &[u8], id: &str, timestamp_s: u64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC accepts keys of any length");
    mac.update(format!("{id}.{timestamp_s}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vector of the Standard Webhooks libraries.
    #[test]
    fn signatures_match_other_implementations() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(
            sign(&secret.expect("base64"), id, 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_secret_is_shown_in_base64() {
        let shown = reveal(&WebhookSecret::new([0; 32]));
        assert_eq!(shown, format!("whsec_{}=", "A".repeat(43)));
    }
}
