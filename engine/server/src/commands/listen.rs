//! The value of `--listen`: an address, a port, or both.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

/// The default port.
const PORT: u16 = 7777;

/// The default address, which only this machine reaches.
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The forms of an address, for error messages.
pub(super) const FORMS: &str =
    "127.0.0.1:7777, [::1]:7777, localhost:7777 or, on this machine alone, :7777 or 7777";

/// Parses an address. A port alone means this machine; to listen on every interface, write 0.0.0.0 or [::].
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let malformed = |reason: String| format!("{reason}; write {FORMS}");
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Ok(host) = bare.unwrap_or(text).parse::<IpAddr>() {
        return Ok(SocketAddr::new(host, PORT));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => ("", Some(text)),
        None => (text, None),
    };
    let port = port.map_or(Ok(PORT), str::parse::<u16>);
    let port = port.map_err(|_| {
        malformed(format!(
            "the port of `{text}` is not a number from 0 to 65535"
        ))
    })?;
    if host.is_empty() || host == "localhost" {
        return Ok(SocketAddr::new(HOST, port));
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    if !host.bytes().all(is_name) {
        return Err(malformed(format!("`{text}` is not an address")));
    }
    let found = (host, port).to_socket_addrs();
    let found = found
        .map_err(|error| malformed(format!("the name `{host}` does not resolve ({error})")))?;
    found
        .min_by_key(SocketAddr::is_ipv6)
        .ok_or_else(|| malformed(format!("the name `{host}` does not resolve")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_in_many_forms() {
        for (text, expected) in [
            ("7788", "127.0.0.1:7788"),
            (":7788", "127.0.0.1:7788"),
            ("localhost:7788", "127.0.0.1:7788"),
            ("localhost", "127.0.0.1:7777"),
            ("127.0.0.1", "127.0.0.1:7777"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("0.0.0.0:7788", "0.0.0.0:7788"),
            ("0.0.0.0", "0.0.0.0:7777"),
            ("[::1]:7788", "[::1]:7788"),
            ("::1", "[::1]:7777"),
            ("[::]", "[::]:7777"),
        ] {
            assert_eq!(address(text), Ok(expected.parse().expect(text)), "{text}");
        }
    }

    #[test]
    fn an_invalid_address_is_answered_with_the_valid_forms() {
        for text in [
            "",
            ":",
            "localhost:",
            "localhost:99999",
            "99999",
            "http://localhost:7788",
            "localhost:7788/",
            "*:7788",
            "1.2.3.4:5:6",
            "-1",
        ] {
            let error = address(text).expect_err(text);
            assert!(error.contains(FORMS), "{error}");
        }
    }
}
