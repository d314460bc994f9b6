//! The address of a client.

use std::net::IpAddr;

/// The address from which a request came, as one of its extensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientIp(pub IpAddr);
