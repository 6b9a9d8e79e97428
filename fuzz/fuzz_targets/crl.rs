//! One revocation list.
#![no_main]

use certdoctor::x509::{Crl, distribution_points};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|der: &[u8]| {
    let Ok(crl) = Crl::parse(der) else { return };
    assert!(der.starts_with(crl.der()));
    let _ = (crl.this_update(), crl.next_update(), crl.scope(), crl.authority_key_id());
    let _ = (crl.number(), crl.base_number(), crl.has_unhandled_critical(), crl.revoked(&[1]), crl.issuer().to_string());
    // freshestCRL has the syntax of the distribution points.
    for oid in ["2.5.29.46", "2.5.29.28"] {
        if let Some(value) = crl.extension(oid) {
            let _ = distribution_points(value, crl.issuer());
        }
    }
});
