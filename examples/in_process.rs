//! What certdoctor does, timed inside one process: medians in nanoseconds, a line each.
//!
//! `in_process scan BUNDLE`: `floor` (PEM, base64 and the two dates of each certificate: the least that any reader must do), `read` (every
//! certificate parsed, with its place in the file) and `scan` (the bundle as the store of a host: gathered, every check run).
//!
//! `in_process judge CHAIN STORE...`: `all` (every profile once, signatures checked once for all of them) and `openssl-3.0` (that profile
//! alone, signatures and all); and `profiles`, how many there are.
#![expect(clippy::disallowed_methods, reason = "measures: reads a file and the clock")]
#![expect(clippy::disallowed_types, reason = "measures: reads the clock")]
#![expect(clippy::print_stdout, reason = "a program of its own")]

use std::{error::Error, ffi::OsString, hint::black_box, time::Instant};

use certdoctor::{
    base::At,
    client::{self, Client},
    facts::{Clock, Facts},
    format::{Interner, sniff},
    host::memory::MemoryTree,
    judge::{Inquiry, judge},
    path::{Anchors, Extra, Question},
    store,
    x509::{Certificate, Purpose, SignatureCache, read_tlv},
};
use memchr::memmem;

const RUNS: usize = 200;
/// 22 November 2026.
const AT: At = At(1_795_305_600);

/// As in the program itself.
#[path = "../src/runtime/mod.rs"]
mod runtime;

fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: in_process scan BUNDLE | judge CHAIN STORE...";
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    match args.split_first() {
        Some((what, [bundle])) if what == "scan" => scan(&std::fs::read(bundle)?),
        Some((what, [chain, stores @ ..])) if what == "judge" && !stores.is_empty() => judge_chain(chain, stores),
        _ => Err(usage.into()),
    }
}

fn scan(bundle: &[u8]) -> Result<(), Box<dyn Error>> {
    let tree = MemoryTree::new();
    tree.file("/etc/ssl/certs/ca-certificates.crt", bundle);
    let inquiry =
        Inquiry { at: AT, within: 90, horizon: None, purpose: Purpose::ServerAuth, clients: Vec::new(), regrade: Vec::new() };
    let scan = || {
        let clock = Clock { at: AT, injected: true, built: None, newest_file: None, server_dates: Vec::new() };
        let facts = Facts { stores: store::load_all(&tree), ..Facts::new(clock) };
        judge(&facts, &inquiry).findings.len()
    };

    let certificates = dates(bundle);
    let read = sniff::scan(bundle, &Interner::default()).entries.len();
    if certificates == 0 || certificates != read || scan() == 0 {
        return Err(format!("saw {certificates} dates and {read} certificates").into());
    }
    println!("floor {}", median(|| dates(bundle)));
    println!("read {}", median(|| sniff::scan(bundle, &Interner::default()).entries.len()));
    println!("scan {}", median(scan));
    Ok(())
}

fn judge_chain(chain: &OsString, stores: &[OsString]) -> Result<(), Box<dyn Error>> {
    let presented = sniff::certificates(&std::fs::read(chain)?).certificates;
    let mut anchors = Anchors::default();
    for file in stores {
        anchors.file.extend(sniff::certificates(&std::fs::read(file)?).certificates);
    }
    if presented.is_empty() || anchors.file.is_empty() {
        return Err("a chain or a store is empty".into());
    }
    let everyone: Vec<Client> = client::ALL.iter().map(|profile| profile.client()).collect();
    let openssl = [client::resolve("openssl-3.0")?];
    println!("all {}", median(|| accepts(&everyone, &presented, &anchors)));
    println!("openssl-3.0 {}", median(|| accepts(&openssl, &presented, &anchors)));
    println!("profiles {}", everyone.len());
    Ok(())
}

/// How many of the clients accept.
fn accepts(clients: &[Client], presented: &[Certificate], anchors: &Anchors) -> usize {
    let signatures = SignatureCache::default();
    let question = Question {
        presented,
        anchors,
        at: AT,
        host: Some("localhost"),
        purpose: &Purpose::ServerAuth,
        signatures: &signatures,
        extra: Extra::default(),
    };
    clients.iter().filter(|client| client.judge(&question).is_trusted()).count()
}

fn median(mut work: impl FnMut() -> usize) -> u128 {
    let mut times: Vec<u128> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            black_box(work());
            start.elapsed().as_nanos()
        })
        .collect();
    times.sort_unstable();
    times[RUNS / 2]
}

/// The floor: how many certificates have both dates.
fn dates(bundle: &[u8]) -> usize {
    let (begin, end) = (memmem::Finder::new(b"-----BEGIN CERTIFICATE-----\n"), memmem::Finder::new(b"-----END"));
    let (mut at, mut count, mut der) = (0, 0, Vec::new());
    while let Some(start) = begin.find(&bundle[at..]).map(|n| at + n + 28) {
        let Some(stop) = end.find(&bundle[start..]).map(|n| start + n) else { break };
        at = stop;
        der.clear();
        bundle[start..stop].split(|b| *b == b'\n').for_each(|line| der.extend_from_slice(line));
        let Ok(decoded) = base64_simd::STANDARD.decode_inplace(&mut der) else { continue };
        count += usize::from(black_box(validity(decoded)).is_some());
    }
    count
}

/// notBefore and notAfter, as numbers.
fn validity(der: &[u8]) -> Option<(u64, u64)> {
    let mut rest = read_tlv(read_tlv(der)?.0.value)?.0.value;
    // An explicit version, if there is one; then serial, algorithm and issuer.
    let skipped = if rest.first() == Some(&0xa0) { 4 } else { 3 };
    for _ in 0..skipped {
        rest = read_tlv(rest)?.1;
    }
    let (not_before, rest) = read_tlv(read_tlv(rest)?.0.value)?;
    let (not_after, _) = read_tlv(rest)?;
    let number = |digits: &[u8]| digits.iter().filter(|b| b.is_ascii_digit()).fold(0, |n, b| n * 10 + u64::from(b - b'0'));
    Some((number(not_before.value), number(not_after.value)))
}
