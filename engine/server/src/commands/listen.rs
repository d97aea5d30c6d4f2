//! `--listen`: the forms in which an address is written.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

/// The port that is listened on where none is said.
const PORT: u16 = 7777;

/// The address where none is said: only this machine reaches it.
const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What `--help` says of the forms.
pub(super) const FORMS: &str =
    "127.0.0.1:7777, [::1]:7777, localhost:7777 or, on this machine alone, :7777 or 7777";

/// Reads an address. A port alone means this machine; every interface has to be said, as 0.0.0.0 or [::].
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let wrong = |why: String| format!("{why}; write {FORMS}");
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
    let port = port.map_err(|_| wrong(format!("`{text}` has no port from 0 to 65535")))?;
    if host.is_empty() || host == "localhost" {
        return Ok(SocketAddr::new(HOST, port));
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    if !host.bytes().all(is_name) {
        return Err(wrong(format!("`{text}` is no address")));
    }
    let found = (host, port).to_socket_addrs();
    let found = found.map_err(|error| wrong(format!("`{host}` has no address here ({error})")))?;
    found
        .min_by_key(SocketAddr::is_ipv6)
        .ok_or_else(|| wrong(format!("`{host}` has no address here")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_in_many_forms() {
        for (text, meant) in [
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
            assert_eq!(address(text), Ok(meant.parse().expect(text)), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_answered_with_the_forms() {
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
            let refused = address(text).expect_err(text);
            assert!(refused.contains(FORMS), "{refused}");
        }
    }
}
