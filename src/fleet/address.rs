//! Where the other members find this one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::Uri;
use tokio::net::UdpSocket;

/// The address of the telemetry port, for peers: at `POD_IP`; else where it listens, if that is one address; else at the address
/// from which this machine would speak to the API server.
pub(super) async fn own_address(ip: Option<IpAddr>, telemetry: SocketAddr, server: Option<&Uri>) -> SocketAddr {
    let port = telemetry.port();
    if let Some(ip) = ip {
        return SocketAddr::new(ip, port);
    }
    if !telemetry.ip().is_unspecified() {
        return telemetry;
    }
    let towards = match server {
        Some(server) => source_address(server).await,
        None => None,
    };
    SocketAddr::new(towards.unwrap_or(Ipv4Addr::LOCALHOST.into()), port)
}

/// NB: nothing is sent; the system only looks up its routes.
async fn source_address(server: &Uri) -> Option<IpAddr> {
    let host = server.host()?.trim_start_matches('[').trim_end_matches(']');
    let port = server.port_u16().unwrap_or(443);
    for any in ["0.0.0.0:0", "[::]:0"] {
        let Ok(socket) = UdpSocket::bind(any).await else { continue };
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
    async fn peers_find_a_member_where_it_says_or_listens_or_speaks_from() {
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let server: Uri = "https://127.0.0.1:6443".parse().expect("a URL");
        let any = address("[::]:8081");
        let ip = "10.0.0.7".parse().ok();
        assert_eq!(own_address(ip, any, Some(&server)).await, address("10.0.0.7:8081"));
        assert_eq!(own_address(None, address("127.0.0.3:81"), Some(&server)).await, address("127.0.0.3:81"));
        assert_eq!(own_address(None, any, Some(&server)).await, address("127.0.0.1:8081"));
        assert_eq!(own_address(None, any, None).await, address("127.0.0.1:8081"));
    }
}
