//! A Caddyfile: words, blocks and lines.
#![no_main]

use certdoctor::format::caddyfile::{self, Directive};
use libfuzzer_sys::fuzz_target;

fn look(directives: &[Directive], lines: usize) {
    for directive in directives {
        assert!(directive.words.iter().all(|word| (1..=lines).contains(&(word.line as usize))));
        look(&directive.block, lines);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    look(&caddyfile::parse(&text), text.matches('\n').count() + 1);
});
