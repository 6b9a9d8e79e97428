//! One X.509 certificate: everything that can be asked of it.
#![no_main]

use certdoctor::{
    base::At,
    path::{
        host_name::{self, Rules},
        name_constraints, openssl_rules,
    },
    x509::{Certificate, SignatureCache},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|der: &[u8]| {
    let Ok(certificate) = Certificate::parse(der) else { return };
    // What is read again is the same.
    assert!(der.starts_with(certificate.der()));
    assert_eq!(Certificate::parse(certificate.der()).as_ref(), Ok(&certificate));
    let _ = (certificate.label(), certificate.subject().to_string(), certificate.subject().openssl_oneline());
    let _ = (certificate.subject().openssl_hash(), certificate.subject().email_addresses(), certificate.public_key_octets());
    let _ = (certificate.is_expired(At(0)), certificate.is_self_issued(), certificate.signature_algorithm().to_string());
    let _ = (openssl_rules::is_unreadable(&certificate), name_constraints::of(&certificate));
    let _ = host_name::check(&certificate, "www.example.com", Rules::OPENSSL);
    let _ = host_name::check(&certificate, "[2001:db8::1]", Rules::GNUTLS);
    let _ = host_name::check_email(&certificate, "a@example.com");
    let _ = SignatureCache::default().verify(&certificate, &certificate);
});
