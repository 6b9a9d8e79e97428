//! A Dockerfile: taken apart, and its stages resolved.
#![no_main]

use std::collections::BTreeMap;

use certdoctor::format::dockerfile::Dockerfile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let parsed = Dockerfile::parse(text);
    for stage in parsed.stages(&BTreeMap::new()) {
        let _ = format!("{stage:?}");
    }
    let arguments = BTreeMap::from([("BASE".to_owned(), "debian:$TAG${BASE}".to_owned()), ("TAG".to_owned(), "1".to_owned())]);
    let _ = parsed.stages(&arguments);
    for (_, _, instruction) in parsed.instructions() {
        let _ = (instruction.words(), instruction.flag("from"));
    }
});
