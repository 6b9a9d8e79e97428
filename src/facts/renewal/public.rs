//! Where the names of this host's certificates lead, as the world's resolvers tell this host. Asked for only where a person wants it.

use std::net::IpAddr;

use crate::facts::ConnectFailure;

/// One name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicName {
    /// The name.
    pub name: String,
    /// Its addresses, and whether each is one of this host's own.
    pub addresses: Result<Vec<(IpAddr, bool)>, ConnectFailure>,
}
