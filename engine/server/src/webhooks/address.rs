//! Where a webhook may lead: an operator's URL must not become a way into the operator's network.
//!
//! Names are resolved first, every address is checked, and the connection goes to a checked address:
//! a name that means something else a moment later leads nowhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bursar_ledger::WebhookUrl;
use hyper::Uri;

use super::lookup::Lookups;

/// A URL, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// Whether TLS is spoken.
    pub secure: bool,
    /// A name, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Host and port as a `Host` header has them.
    pub authority: String,
    /// Path and query.
    pub path: String,
}

/// Why nothing is sent there.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AddressError {
    /// The text cannot be taken apart.
    #[error("this is not a URL with a host: https://HOST[:PORT]/PATH")]
    Malformed,
    /// The URL carries a name or a password.
    #[error("a webhook's URL has no user, no password and no fragment")]
    Credentials,
    /// Plain HTTP would cross a network.
    #[error("http:// only leads to this machine (localhost, 127.0.0.1, [::1]); use https://")]
    PlainHttp,
    /// The address is not one of the internet at large.
    #[error("{0} is a private or reserved address; `--allow-private-webhooks` lets it be")]
    Private(IpAddr),
    /// The address is nobody's.
    #[error("{0} is no address of a single machine")]
    Nobody(IpAddr),
    /// The name has no address.
    #[error("the name of the host does not resolve")]
    Unresolved,
}

impl Target {
    /// Takes a URL apart, and refuses what can be seen to lead nowhere good.
    pub fn parse(url: &WebhookUrl, allow_private: bool) -> Result<Self, AddressError> {
        if url.as_str().contains('#') {
            return Err(AddressError::Credentials);
        }
        let uri: Uri = url.as_str().parse().map_err(|_| AddressError::Malformed)?;
        let authority = uri.authority().ok_or(AddressError::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(AddressError::Credentials);
        }
        let secure = uri.scheme_str() == Some("https");
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        // What stands after the host is a port, and a port is a number.
        let has_port = authority.as_str() != authority.host();
        if host.is_empty() || (has_port && authority.port_u16().is_none()) {
            return Err(AddressError::Malformed);
        }
        // A query may follow the host at once in a URL, and not in a request.
        let path = uri.path_and_query().map_or("", |path| path.as_str());
        let slash = if path.starts_with('/') { "" } else { "/" };
        let target = Self {
            secure,
            port: authority
                .port_u16()
                .unwrap_or(if secure { 443 } else { 80 }),
            authority: authority.to_string(),
            path: format!("{slash}{path}"),
            host,
        };
        match target.host.parse() {
            Ok(address) => target.check(address, allow_private)?,
            Err(_) if !secure && target.host != "localhost" => return Err(AddressError::PlainHttp),
            Err(_) => {}
        }
        Ok(target)
    }

    /// The URL without what may be a secret: deliveries are often let in by their path.
    pub fn origin(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }

    /// The addresses to connect to: all that the name has, if each of them is allowed.
    pub(super) async fn resolve(
        &self,
        lookups: &Lookups,
        allow_private: bool,
    ) -> Result<Vec<SocketAddr>, AddressError> {
        let found = lookups.find(&self.host, self.port).await;
        let found = found.map_err(|_| AddressError::Unresolved)?;
        if found.is_empty() {
            return Err(AddressError::Unresolved);
        }
        for address in &found {
            self.check(address.ip(), allow_private)?;
        }
        Ok(found)
    }

    fn check(&self, address: IpAddr, allow_private: bool) -> Result<(), AddressError> {
        let address = address.to_canonical();
        if address.is_multicast() || address.is_unspecified() || is_broadcast(address) {
            return Err(AddressError::Nobody(address));
        }
        if address.is_loopback() {
            return Ok(());
        }
        if !self.secure {
            return Err(AddressError::PlainHttp);
        }
        if is_global(address) || allow_private {
            return Ok(());
        }
        Err(AddressError::Private(address))
    }
}

fn is_broadcast(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.is_broadcast())
}

/// Whether an address is one of the internet at large, by the registries of special-purpose
/// addresses (RFC 6890 and what followed).
fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_global_v4(address),
        IpAddr::V6(address) => is_global_v6(address),
    }
}

fn is_global_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmarks = a == 198 && (18..20).contains(&b);
    let protocols = (a, b, c) == (192, 0, 0);
    let relays = (a, b, c) == (192, 88, 99);
    !(a == 0
        || a >= 240
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || shared
        || benchmarks
        || protocols
        || relays)
}

/// Of the addresses of version 6 only `2000::/3` is handed out, and of that some lead elsewhere.
fn is_global_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, ..] = address.segments();
    // An address of version 4 in the clothes of version 6 is what it is inside.
    let inside = |high: u16, low: u16| {
        let ([h1, h2], [l1, l2]) = (high.to_be_bytes(), low.to_be_bytes());
        is_global_v4(Ipv4Addr::new(h1, h2, l1, l2))
    };
    match (a, b) {
        (0x2002, _) => inside(b, c),
        (0x64, 0xff9b) => {
            let [.., high, low] = address.segments();
            (c, d) == (0, 0) && inside(high, low)
        }
        // Protocols and tunnels; documentation.
        (0x2001, 0..0x200 | 0xdb8) | (0x3fff, 0..0x1000) => false,
        _ => (0x2000..0x4000).contains(&a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str, allow_private: bool) -> Result<Target, AddressError> {
        let url = WebhookUrl::try_from(url.to_owned()).expect("a URL");
        Target::parse(&url, allow_private)
    }

    #[test]
    fn a_url_is_taken_apart() {
        let target = parse("https://bot.example:8443/a/b?c=d", false).expect("a target");
        assert_eq!((target.host.as_str(), target.port), ("bot.example", 8443));
        assert_eq!(target.authority, "bot.example:8443");
        assert_eq!(target.path, "/a/b?c=d");
        assert_eq!(target.origin(), "https://bot.example:8443");
        let local = parse("http://[::1]:9/", false).expect("a target");
        assert_eq!((local.host.as_str(), local.secure), ("::1", false));
        for (url, path) in [
            ("https://bot.example", "/"),
            ("https://bot.example?token=x", "/?token=x"),
            ("https://bot.example:8443?a=/b", "/?a=/b"),
        ] {
            assert_eq!(parse(url, false).expect("a target").path, path);
        }
    }

    #[test]
    fn urls_that_lead_nowhere_good_are_refused() {
        use AddressError::{Credentials, Malformed, PlainHttp};
        for (url, error) in [
            ("https://", Malformed),
            ("https://host:port/", Malformed),
            ("https://host:/", Malformed),
            ("https://host:65536/", Malformed),
            ("https://user:word@host/", Credentials),
            ("https://host/#part", Credentials),
            ("http://bot.example/", PlainHttp),
            ("http://10.0.0.1/", PlainHttp),
            ("http://localhost.example/", PlainHttp),
        ] {
            assert_eq!(parse(url, true), Err(error), "{url}");
        }
    }

    #[test]
    fn private_and_reserved_addresses_need_the_operators_word() {
        for private in [
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "240.0.0.1",
            "[fc00::1]",
            "[fd12::1]",
            "[fe80::1]",
            "[fec0::1]",
            "[::ffff:10.0.0.1]",
            "[64:ff9b::a00:1]",
            "[2002:a00:1::]",
            "[2001:db8::1]",
            "[2001::1]",
            "[100::1]",
        ] {
            let url = format!("https://{private}/");
            assert!(
                matches!(parse(&url, false), Err(AddressError::Private(_))),
                "{url}"
            );
            assert!(parse(&url, true).is_ok(), "{url}");
        }
        for nobody in [
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "[::]",
            "[ff02::1]",
        ] {
            let url = format!("https://{nobody}/");
            assert!(
                matches!(parse(&url, true), Err(AddressError::Nobody(_))),
                "{url}"
            );
        }
        for public in [
            "1.1.1.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.32.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "[2606:4700::1111]",
            "[2002:101:101::]",
            "[64:ff9b::101:101]",
            "127.0.0.1",
            "[::1]",
        ] {
            assert!(
                parse(&format!("https://{public}/"), false).is_ok(),
                "{public}"
            );
        }
    }

    #[tokio::test]
    async fn what_a_name_means_is_checked_before_anything_is_sent() {
        let mut target = parse("http://localhost:1/", false).expect("a target");
        let lookups = Lookups::new();
        let found = target.resolve(&lookups, false).await;
        let found = found.expect("this machine");
        assert!(found.iter().all(|address| address.ip().is_loopback()));
        // A name that turns out to mean an address of the house.
        target.host = "10.1.2.3".into();
        let refused = target.resolve(&lookups, false).await;
        assert_eq!(refused, Err(AddressError::PlainHttp));
        target.secure = true;
        let refused = target.resolve(&lookups, false).await;
        assert!(matches!(refused, Err(AddressError::Private(_))));
        assert!(target.resolve(&lookups, true).await.is_ok());
    }
}
