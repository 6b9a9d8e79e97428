//! Counts, and `docs/agreement.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use certdoctor::x509::SignatureCache;

use crate::{
    cases::{Case, SUITES, Suite},
    exceptions::EXCEPTIONS,
    openssl,
    readers::ODD,
    verifiers,
};

/// A real verifier and the model of it.
pub struct Verifier {
    pub name: &'static str,
    pub model: &'static str,
    /// What has to be equal.
    pub depth: &'static str,
    pub how: How,
}

/// How a case is compared.
pub enum How {
    /// As a program calls OpenSSL: the name of its record, and how it calls.
    Openssl(&'static str, &'static openssl::Caller),
    /// By the verdict of a client's model alone: the name of the record, and the client.
    Verdict(&'static str, &'static str),
}

impl Verifier {
    const fn by_verdict(name: &'static str, oracle: &'static str, model: &'static str) -> Verifier {
        Verifier { name, model, depth: "verdict", how: How::Verdict(oracle, model) }
    }

    fn compare(&self, case: &Case, signatures: &SignatureCache) -> Compared {
        match self.how {
            How::Openssl(oracle, caller) => openssl::compare(case, oracle, caller, signatures),
            How::Verdict(oracle, client) => verifiers::compare(case, oracle, client, signatures),
        }
    }
}

/// One case, compared.
pub enum Compared {
    Equal,
    Different {
        what: &'static str,
        is: String,
        should: String,
    },
    /// The verifier was not asked, or not what the model is asked.
    NotRun(String),
}

/// Cases that differ for one reason.
pub struct Exception {
    pub verifier: &'static str,
    pub reason: &'static str,
    pub cases: &'static [&'static str],
}

/// Every verifier whose verdicts are recorded and modelled: one line each.
const VERIFIERS: &[Verifier] = &[
    openssl::VERIFY,
    openssl::S_CLIENT,
    Verifier::by_verdict("Go 1.19.8", "go", "go-1.19"),
    Verifier::by_verdict("GnuTLS 3.7.9", "gnutls", "gnutls-3.7"),
    Verifier::by_verdict("rustls-webpki 0.103.16", "webpki", "rustls-webpki-0.103"),
    Verifier::by_verdict("cryptography 46.0.7", "pyca", "pyca-cryptography-46.0.7"),
];

#[derive(Default)]
struct Count {
    run: usize,
    equal: usize,
    not_run: BTreeMap<String, usize>,
}

/// Every case of every suite: equal, or listed with a reason. A reason whose case agrees by now is stale and fails too.
#[test]
fn verdicts_are_those_of_the_real_verifiers() {
    let mut counts: BTreeMap<(usize, usize), Count> = BTreeMap::new();
    let mut differs: BTreeMap<(&str, String), String> = BTreeMap::new();
    for (row, name) in SUITES.iter().enumerate() {
        let suite = Suite::load(name);
        let signatures = SignatureCache::new();
        for (column, verifier) in VERIFIERS.iter().enumerate() {
            let count = counts.entry((row, column)).or_default();
            for case in &suite.cases {
                match verifier.compare(case, &signatures) {
                    Compared::NotRun(why) => *count.not_run.entry(why).or_default() += 1,
                    Compared::Equal => {
                        count.run += 1;
                        count.equal += 1;
                    }
                    Compared::Different { what, is, should } => {
                        count.run += 1;
                        let text = format!("{what}: recorded {should}, model {is}");
                        differs.insert((verifier.name, case.id.clone()), text);
                    }
                }
            }
        }
    }
    let listed: BTreeSet<(&str, String)> =
        EXCEPTIONS.iter().flat_map(|e| e.cases.iter().map(|case| (e.verifier, (*case).to_owned()))).collect();
    let new: Vec<String> =
        differs.iter().filter(|(at, _)| !listed.contains(*at)).map(|((v, case), text)| format!("{v}: {case}: {text}")).collect();
    let stale: Vec<_> = listed.iter().filter(|at| !differs.contains_key(*at)).collect();
    let written = document("docs/agreement.md", &render(&counts));
    assert!(new.is_empty(), "{} new disagreements:\n{}", new.len(), new.join("\n"));
    assert!(stale.is_empty(), "exceptions that agree by now: {stale:?}");
    assert!(written, "docs/agreement.md is not up to date: UPDATE_DOCS=1 cargo test --test corpora");
}

/// Whether the document is as it should be; writes it when told.
fn document(path: &str, text: &str) -> bool {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, text).expect("the document");
    }
    fs::read_to_string(&file).unwrap_or_default() == text
}

fn render(counts: &BTreeMap<(usize, usize), Count>) -> String {
    let mut out = String::from(
        "# Agreement with real verifiers\n\n\
         <!-- Generated: UPDATE_DOCS=1 cargo test --test corpora. -->\n\n\
         Chains of certificates from eight suites that nobody on this project wrote (`fixtures/corpora`), judged by real verifiers and by\n\
         the models here. `equal/run`: cases in which everything in the column \"compared\" is equal, of those that the verifier was asked.\n\n\
         | verifier | model | compared |\n|---|---|---|\n",
    );
    for verifier in VERIFIERS {
        writeln!(out, "| {} | {} | {} |", verifier.name, verifier.model, verifier.depth).expect("a string");
    }
    out.push_str("\n| suite |");
    VERIFIERS.iter().for_each(|v| write!(out, " {} |", v.name).expect("a string"));
    out.push_str("\n|---|");
    VERIFIERS.iter().for_each(|_| out.push_str("---|"));
    out.push('\n');
    for (row, name) in SUITES.iter().enumerate() {
        write!(out, "| {name} |").expect("a string");
        for column in 0..VERIFIERS.len() {
            let count = &counts[&(row, column)];
            match count.run {
                0 => out.push_str(" – |"),
                run => write!(out, " {}/{run} |", count.equal).expect("a string"),
            }
        }
        out.push('\n');
    }
    out.push_str("| all |");
    for column in 0..VERIFIERS.len() {
        let of = |pick: fn(&Count) -> usize| counts.iter().filter(|(at, _)| at.1 == column).map(|(_, c)| pick(c)).sum::<usize>();
        write!(out, " {}/{} |", of(|c| c.equal), of(|c| c.run)).expect("a string");
    }
    out.push_str("\n\n## Not compared\n\n");
    for (column, verifier) in VERIFIERS.iter().enumerate() {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for ((_, at), count) in counts {
            if *at == column {
                count.not_run.iter().for_each(|(why, n)| *reasons.entry(why).or_default() += n);
            }
        }
        for (why, n) in reasons {
            writeln!(out, "* {}: {n}: {why}.", verifier.name).expect("a string");
        }
    }
    out.push_str("\n## Disagreements\n\n");
    if EXCEPTIONS.is_empty() {
        out.push_str("None.\n\n");
    }
    for exception in EXCEPTIONS {
        writeln!(out, "### {} ({})\n\n{}\n", exception.verifier, exception.cases.len(), exception.reason).expect("a string");
        for case in exception.cases {
            writeln!(out, "* `{case}`").expect("a string");
        }
        out.push('\n');
    }
    out.push_str(
        "## Files\n\n\
         3,356 files from test suites and linters (`parse.jsonl.zst`) and 53 odd bundles (`oddpem.jsonl.zst`): what OpenSSL 3.0.19\n\
         reads of each is read, a block that can't be read says why, and a CAfile that OpenSSL refuses is known to be refused. But for:\n\n",
    );
    for odd in ODD {
        writeln!(out, "* `{}`: {}", odd.file, odd.reason).expect("a string");
    }
    out
}
