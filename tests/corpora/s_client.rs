//! The text of `openssl s_client` over real handshakes with the chains of x509-limbo, beside ours.

use certdoctor::{
    facts::{Presented, Protocol},
    path::Verdict,
    render::s_client::{SClient, VerifyError, peername, render, verification},
    x509::SignatureCache,
};

use crate::{
    cases::{Case, Suite},
    openssl::as_s_client,
};

/// Chain section, verify lines and return code. `-servername`, sizes and the temporary key are not ours to tell.
#[test]
fn transcripts_are_those_of_s_client() {
    let suite = Suite::load("limbo");
    let signatures = SignatureCache::new();
    let (mut compared, mut nothing_sent, mut wrong) = (0, 0, Vec::new());
    for case in suite.cases.iter().filter(|case| case.json["s_client"].is_object()) {
        let text = |field: &str| case.json["s_client"][field].as_str().expect("a text");
        if !text("stdout").contains("Certificate chain") {
            // The recording server has no cipher for a DSA key, and nothing was sent.
            nothing_sent += 1;
            continue;
        }
        let real = Transcript { said: parts(text("stdout")), verified: lines(text("stderr")) };
        compared += 1;
        let ours = transcript(case, &signatures);
        if ours != real {
            let all = |t: &Transcript| t.said.iter().chain(&t.verified).cloned().collect::<Vec<_>>().join("\n");
            let (real, ours) = (all(&real), all(&ours));
            let diff = similar::TextDiff::from_lines(&real, &ours);
            wrong.push(format!("{}:\n{}", case.id, diff.unified_diff().context_radius(1).header("s_client", "ours")));
        }
    }
    assert_eq!((compared, nothing_sent), (93, 1));
    assert!(wrong.is_empty(), "{} of {compared} transcripts differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[derive(Debug, PartialEq)]
struct Transcript {
    /// From standard output.
    said: Vec<String>,
    /// From standard error, where the verify callback writes.
    verified: Vec<String>,
}

fn transcript(case: &Case, signatures: &SignatureCache) -> Transcript {
    let mut certificates = vec![case.leaf.clone()];
    certificates.extend(case.untrusted.iter().cloned());
    let presented = Presented { certificates, protocol: Some(Protocol::Tls13), ..Presented::default() };
    let verdict = as_s_client(case, signatures);
    let (path, errors) = match &verdict {
        Verdict::Trusted { path } => (path, &[][..]),
        Verdict::Untrusted { path, errors } => (path, &errors[..]),
        Verdict::Unknown(why) => panic!("{}: {why}", case.id),
    };
    let errors: Vec<VerifyError<'_>> = errors
        .iter()
        .map(|e| VerifyError { number: e.code.parse().expect("a number"), depth: e.depth.expect("a depth"), text: &e.text })
        .collect();
    let peername = case.text("host").and_then(|host| peername(&case.leaf, host));
    let input = SClient {
        presented: &presented,
        path,
        errors: &errors,
        peername: peername.as_deref(),
        partial_chain: false,
        showcerts: true,
    };
    let verified = verification(&input);
    Transcript { said: parts(&render(&input).replacen(&verified, "", 1)), verified: lines(&verified) }
}

/// Chain and server certificate, and what is said about the verification.
fn parts(text: &str) -> Vec<String> {
    // After TLS 1.3's report come the tickets that arrived later.
    let text = text.split("---\nPost-Handshake").next().unwrap_or_default();
    let from = text.find("Certificate chain").unwrap_or(text.len());
    let to = text.find("---\nNo client certificate").unwrap_or(text.len());
    let about = ["Verif", "Server public key"];
    let rest = text[to..].lines().map(str::trim).filter(|l| about.iter().any(|a| l.starts_with(a)));
    text[from..to].lines().chain(rest).map(str::to_owned).collect()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().filter(|l| !l.is_empty() && *l != "DONE").map(str::to_owned).collect()
}
