//! PKCS #7 and CMS: the certificates of a SignedData.
#![no_main]

use certdoctor::{
    format::{pkcs7, sniff},
    x509::Certificate,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|der: &[u8]| {
    for certificate in pkcs7::certificates(der).unwrap_or_default() {
        let _ = Certificate::parse(certificate);
    }
    let _ = sniff::certificates(der);
});
