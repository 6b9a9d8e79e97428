//! `certdoctor.toml`: a policy, or the line of a mistake and what to write.
#![no_main]

use certdoctor::policy::Policy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Policy::parse(text) {
        Ok(policy) => {
            assert!(policy.targets.iter().chain(&policy.clients).chain(&policy.protected).all(|word| !word.trim().is_empty()));
            assert!(policy.regrade.iter().all(|r| !r.code.trim().is_empty() && !r.reason.trim().is_empty()));
        }
        Err(mistake) => {
            assert!((1..=text.split('\n').count()).contains(&mistake.line), "{mistake}");
            assert!(!mistake.what.is_empty(), "{mistake}");
        }
    }
});
