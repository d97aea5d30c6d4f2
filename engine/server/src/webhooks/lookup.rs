//! Resolution of host names, limited in number. A look-up blocks a thread and cannot be cancelled:
//! after the time limit of an attempt it continues and keeps its permit until it ends.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use tokio::sync::Semaphore;

/// The greatest number of simultaneous look-ups. It is far below the number of blocking threads
/// (tokio's default is 512), so that slow name servers cannot occupy all of them.
const LOOKUPS_MAX: usize = 64;

/// The permits of look-ups.
pub(super) struct Lookups {
    places: Arc<Semaphore>,
}

impl Lookups {
    pub(super) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(LOOKUPS_MAX)),
        }
    }

    /// Resolves a host name once a permit is free. An IP address requires no look-up.
    pub(super) async fn find(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = host.parse() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(io::Error::other)?;
        let host = host.to_owned();
        let looked_up = tokio::task::spawn_blocking(move || {
            let _place = place;
            let found = (host.as_str(), port).to_socket_addrs()?;
            Ok(found.collect())
        });
        looked_up.await.map_err(io::Error::other)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn look_ups_are_bounded_and_addresses_require_none() {
        let lookups = Lookups::new();
        let all_but_one = u32::try_from(LOOKUPS_MAX - 1).expect("a few");
        let _held = lookups.places.acquire_many(all_but_one).await;
        assert!(lookups.find("localhost", 1).await.is_ok());
        let last = lookups.places.acquire().await;
        let mut waiting = std::pin::pin!(lookups.find("localhost", 1));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        assert!(lookups.find("127.0.0.1", 1).await.is_ok());
        drop(last);
        assert!(waiting.await.is_ok());
    }
}
