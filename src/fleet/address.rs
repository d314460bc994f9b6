//! The address at which other members reach this one.

use std::net::{IpAddr, SocketAddr};

use http::Uri;
use tokio::net::UdpSocket;

/// Returns the address of the fleet port for peers, or `None` if only this host could reach it.
///
/// The IP is `POD_IP` if it is set, or the listen address if that is a single address: the user chose it. Otherwise it is the one
/// in the status of the pod, or else the local address of connections to the API server. Loopback counts only if the API server
/// is on loopback, too.
pub(super) async fn own_address(
    ip: Option<IpAddr>,
    listen: SocketAddr,
    pod_ip: Option<IpAddr>,
    server: Option<&Uri>,
) -> Option<SocketAddr> {
    let port = listen.port();
    if let Some(ip) = ip {
        return Some(SocketAddr::new(ip, port));
    }
    if !listen.ip().is_unspecified() {
        return Some(listen);
    }
    let route = match server {
        Some(server) => source_address(server).await,
        None => None,
    };
    // The local address of connections to loopback is on loopback.
    let is_local = route.is_some_and(|route| route.is_loopback());
    let usable = |ip: &IpAddr| !ip.is_unspecified() && (is_local || !ip.is_loopback());
    pod_ip.filter(usable).or(route).map(|ip| SocketAddr::new(ip, port))
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
    async fn the_address_is_one_that_peers_can_reach_or_that_the_user_chose() {
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let server: Uri = "https://127.0.0.1:6443".parse().expect("a URL");
        let any = address("[::]:8082");
        let remote: Uri = "https://192.0.2.1:6443".parse().expect("a URL");
        let ip = |text: &str| text.parse().ok();
        let pod_ip = "10.0.0.9".parse().ok();
        for (given, listen, pod_ip, server, expected) in [
            (ip("10.0.0.7"), any, pod_ip, Some(&server), Some("10.0.0.7:8082")),
            (ip("127.0.0.1"), any, pod_ip, None, Some("127.0.0.1:8082")),
            (None, address("127.0.0.3:81"), pod_ip, Some(&server), Some("127.0.0.3:81")),
            (None, any, pod_ip, Some(&remote), Some("10.0.0.9:8082")),
            (None, any, pod_ip, None, Some("10.0.0.9:8082")),
            (None, any, None, Some(&server), Some("127.0.0.1:8082")),
            (None, any, ip("127.0.0.2"), Some(&server), Some("127.0.0.2:8082")),
            // Nobody else could reach these.
            (None, any, ip("127.0.0.1"), None, None),
            (None, any, ip("::"), None, None),
            (None, any, None, None, None),
        ] {
            let found = own_address(given, listen, pod_ip, server).await;
            assert_eq!(found, expected.map(address), "{given:?} {listen} {pod_ip:?} {server:?}");
        }
    }
}
