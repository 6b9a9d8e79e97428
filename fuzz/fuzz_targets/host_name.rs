//! A name in a certificate against a name asked for; the input is both, a line each.
#![no_main]

use certdoctor::path::host_name::{Rules, matches};
use libfuzzer_sys::fuzz_target;

const RULES: &[Rules] = &[
    Rules::OPENSSL,
    Rules::WHOLE_LABEL,
    Rules::GNUTLS,
    Rules::JAVA,
    Rules::MBEDTLS,
    Rules::WOLFSSL,
    Rules::ALT_NAME_ONLY,
    Rules::GO,
    Rules::WEBPKI,
];

fuzz_target!(|text: &str| {
    let (pattern, asked) = text.split_once('\n').unwrap_or((text, text));
    for rules in RULES {
        let covered = matches(pattern, asked, *rules);
        assert_eq!(covered, matches(&pattern.to_ascii_uppercase(), &asked.to_ascii_lowercase(), *rules), "case counts");
        if covered && !pattern.contains('*') {
            let bare = pattern.strip_suffix('.').unwrap_or(pattern);
            assert!(bare.eq_ignore_ascii_case(asked), "covers another name without a wildcard");
        }
        if covered && pattern.contains('*') {
            let labels = |name: &str| name.strip_suffix('.').unwrap_or(name).split('.').count();
            assert_eq!(labels(pattern), asked.split('.').count(), "a wildcard covers one label");
        }
    }
});
