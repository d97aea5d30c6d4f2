//! Checks of the addresses to which events are sent: a URL must not give access to the operator's
//! network (server-side request forgery, CWE-918).
//!
//! A host name is resolved first, every address is checked, and the connection is opened to a
//! checked address. Resolving the name again for the connection would allow DNS rebinding.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bursar_ledger::WebhookUrl;
use hyper::Uri;

use super::lookup::Lookups;

/// The parts of a webhook's URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// True if the scheme is https.
    pub secure: bool,
    /// A host name, or an IP address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The host and port for the `Host` header.
    pub authority: String,
    /// The path and the query.
    pub path: String,
}

/// The reason for which events cannot be sent to a URL.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AddressError {
    /// The URL cannot be parsed.
    #[error("this is not a URL with a host: https://HOST[:PORT]/PATH")]
    Malformed,
    /// The URL contains credentials or a fragment.
    #[error("a webhook's URL must not contain a user, a password or a fragment")]
    Credentials,
    /// HTTP without TLS would be sent over a network.
    #[error("http:// is allowed for this machine only (localhost, 127.0.0.1, [::1]); use https://")]
    PlainHttp,
    /// The address is not global.
    #[error(
        "{0} is a private or reserved address; start the server with \
             `--allow-private-webhooks` to allow it"
    )]
    Private(IpAddr),
    /// The address is a multicast, broadcast or unspecified address.
    #[error("{0} is not the address of a single machine")]
    NotUnicast(IpAddr),
    /// The host name cannot be resolved.
    #[error("the host name cannot be resolved")]
    Unresolved,
}

impl Target {
    /// Parses a URL, and rejects URLs whose address is known to be forbidden.
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
        // The text after the host must be a port, and a port must be a number.
        let has_port = authority.as_str() != authority.host();
        if host.is_empty() || (has_port && authority.port_u16().is_none()) {
            return Err(AddressError::Malformed);
        }
        // A URL may have a query without a path, but a request target must begin with `/` (RFC
        // 9112, section 3.2.1).
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

    /// Returns the URL without its path and query, which may be a secret.
    pub fn origin(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }

    /// Resolves the host. Every address must be allowed, otherwise none is returned.
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
            return Err(AddressError::NotUnicast(address));
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

/// Returns true if an address is global according to the registries of special-purpose addresses
/// (RFC 6890 and its updates).
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

/// Returns true if an IPv6 address is global: only `2000::/3` is allocated for global unicast, and
/// some of its blocks are reserved (RFC 4291, IANA IPv6 special-purpose registry).
fn is_global_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, ..] = address.segments();
    // Addresses that contain an IPv4 address are checked by it: 6to4 (RFC 3056) and NAT64 (RFC
    // 6052).
    let inside = |high: u16, low: u16| {
        let [h1, h2] = high.to_be_bytes();
        let [l1, l2] = low.to_be_bytes();
        is_global_v4(Ipv4Addr::new(h1, h2, l1, l2))
    };
    match (a, b) {
        (0x2002, _) => inside(b, c),
        (0x64, 0xff9b) => {
            let [.., high, low] = address.segments();
            (c, d) == (0, 0) && inside(high, low)
        }
        // Protocol assignments including Teredo, and documentation (RFC 2928, RFC 4380, RFC 3849,
        // RFC 9637).
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
    fn urls_are_parsed() {
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
    fn forbidden_urls_are_rejected() {
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
    fn private_addresses_require_the_operators_permission() {
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
        for host in [
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "[::]",
            "[ff02::1]",
        ] {
            let url = format!("https://{host}/");
            assert!(
                matches!(parse(&url, true), Err(AddressError::NotUnicast(_))),
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
    async fn resolved_addresses_are_checked_before_sending() {
        let mut target = parse("http://localhost:1/", false).expect("a target");
        let lookups = Lookups::new();
        let found = target.resolve(&lookups, false).await;
        let found = found.expect("this machine");
        assert!(found.iter().all(|address| address.ip().is_loopback()));
        // A host name that resolves to a private address.
        target.host = "10.1.2.3".into();
        let refused = target.resolve(&lookups, false).await;
        assert_eq!(refused, Err(AddressError::PlainHttp));
        target.secure = true;
        let refused = target.resolve(&lookups, false).await;
        assert!(matches!(refused, Err(AddressError::Private(_))));
        assert!(target.resolve(&lookups, true).await.is_ok());
    }
}
