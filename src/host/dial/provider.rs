//! The crypto provider: the only file that knows which one it is.
//!
//! It is ring: one handshake in a static program takes a millisecond, where aws-lc-rs gathers jitter for 25 first.

use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};
use rustls::crypto::CryptoProvider;

/// The provider, handed on as an argument: the process-wide default is never set.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// `N` random bytes; zeros where the system has none, since nothing secret hangs on a hello that is never completed.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        bytes.fill(0);
    }
    bytes
}
