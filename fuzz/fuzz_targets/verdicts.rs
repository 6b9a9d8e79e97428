//! A chain and the anchors behind it: every client judges. The last certificates of the input are the anchors, as many as were presented.
#![no_main]

use certdoctor::{
    base::At,
    client,
    format::sniff,
    path::{self, Anchors, Extra, Question, Verdict},
    x509::{Purpose, SignatureCache},
};
use libfuzzer_sys::fuzz_target;

const AT: At = At(1_795_305_600);

fuzz_target!(|bytes: &[u8]| {
    let certificates = sniff::certificates(bytes).certificates;
    let (presented, anchors) = certificates.split_at(certificates.len().div_ceil(2));
    if presented.is_empty() {
        return;
    }
    let anchors = Anchors { file: anchors.to_vec(), directory: Vec::new() };
    let signatures = SignatureCache::default();
    let question = Question {
        presented,
        anchors: &anchors,
        at: AT,
        host: Some("example.com"),
        purpose: &Purpose::ServerAuth,
        signatures: &signatures,
        extra: Extra::default(),
    };
    for profile in client::ALL {
        match profile.client().judge(&question) {
            Verdict::Trusted { path } => assert_eq!(path.first(), presented.first(), "{profile:?}"),
            Verdict::Untrusted { errors, .. } => assert!(!errors.is_empty(), "{profile:?} refuses without a reason"),
            Verdict::Unknown(why) => assert!(!why.is_empty(), "{profile:?}"),
        }
    }
    let _ = path::explore(presented, &anchors.file, AT, question.host, &signatures);
});
