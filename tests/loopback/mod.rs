//! Servers on loopback ports for tests, with certificates made on the spot.

pub mod openssl;
pub mod pki;
