//! PEM text: blocks and places, any form of file, and cutting one certificate out.
#![no_main]

use certdoctor::{
    facts::{Content, Entry},
    format::{Interner, Scan, pem, section, sniff},
    x509::Certificate,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let scan = pem::scan(bytes, &Interner::default());
    for Entry { block, section, .. } in &scan.entries {
        assert!(block.end <= bytes.len() && section.end <= bytes.len() && block.start <= block.end);
    }
    let _ = (pem::refused_by_openssl(&scan), sniff::certificates(bytes), sniff::scan(bytes, &Interner::default()));
    let Some(first) = certificates(&scan).next() else { return };
    for rewritten in [section::cut(bytes, |c| c == first), section::comment_out(bytes, |c| c == first)].into_iter().flatten() {
        let left = pem::scan(&rewritten, &Interner::default());
        assert!(certificates(&left).all(|c| c != first), "the unwanted one is still there");
        let wanted: Vec<&Certificate> = certificates(&scan).filter(|c| *c != first).collect();
        assert_eq!(certificates(&left).collect::<Vec<_>>(), wanted, "another certificate was harmed");
    }
});

fn certificates(scan: &Scan) -> impl Iterator<Item = &Certificate> {
    scan.entries.iter().filter_map(|e| if let Content::Certificate(certificate) = &e.content { Some(certificate) } else { None })
}
