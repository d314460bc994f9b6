//! The address at which other members reach this one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::Uri;
use tokio::net::UdpSocket;

/// Returns the address of the fleet port for peers.
///
/// The IP is `POD_IP` if it is set, or the listen address if that is a single address. Otherwise it is the local address of
/// connections to the API server, or 127.0.0.1 without one.
pub(super) async fn own_address(ip: Option<IpAddr>, listen: SocketAddr, server: Option<&Uri>) -> SocketAddr {
    let port = listen.port();
    if let Some(ip) = ip {
        return SocketAddr::new(ip, port);
    }
    if !listen.ip().is_unspecified() {
        return listen;
    }
    let local = match server {
        Some(server) => source_address(server).await,
        None => None,
    };
    SocketAddr::new(local.unwrap_or(Ipv4Addr::LOCALHOST.into()), port)
}

/// Returns the local address of connections to `server`.
///
/// Connecting a UDP socket sends nothing: the system only looks up the route.
async fn source_address(server: &Uri) -> Option<IpAddr> {
    let host = server.host()?.trim_start_matches('[').trim_end_matches(']');
    let port = server.port_u16().unwrap_or(443);
    for unspecified in ["0.0.0.0:0", "[::]:0"] {
        let Ok(socket) = UdpSocket::bind(unspecified).await else { continue };
        if socket.connect((host, port)).await.is_ok()
            && let Ok(address) = socket.local_addr()
        {
            return Some(address.ip());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_address_is_the_pod_ip_or_the_listen_address_or_the_local_address() {
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let server: Uri = "https://127.0.0.1:6443".parse().expect("a URL");
        let any = address("[::]:8082");
        let ip = "10.0.0.7".parse().ok();
        assert_eq!(own_address(ip, any, Some(&server)).await, address("10.0.0.7:8082"));
        assert_eq!(own_address(None, address("127.0.0.3:81"), Some(&server)).await, address("127.0.0.3:81"));
        assert_eq!(own_address(None, any, Some(&server)).await, address("127.0.0.1:8082"));
        assert_eq!(own_address(None, any, None).await, address("127.0.0.1:8082"));
    }
}
