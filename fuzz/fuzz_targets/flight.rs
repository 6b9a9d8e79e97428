//! What a server sends before any encryption: records, messages, the Certificate message.
#![no_main]

use certdoctor::{host::dial::plaintext_certificates, x509::Certificate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let certificates = plaintext_certificates(bytes);
    assert!(certificates.iter().map(Vec::len).sum::<usize>() <= bytes.len());
    for der in certificates {
        let _ = Certificate::parse(&der);
    }
});
