//! A Java keystore: read, and an entry taken out.
#![no_main]

use certdoctor::format::{Interner, jks};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = jks::scan(bytes, &Interner::default());
    let Some(entries) = jks::entries(bytes) else { return };
    let Some(first) = entries.first() else { return };
    if let Ok(rest) = jks::remove(bytes, &[&first.alias]) {
        let left = jks::entries(&rest).expect("what was written can be read");
        assert!(left.iter().all(|entry| entry.alias != first.alias));
        assert!(left.len() < entries.len());
    }
});
