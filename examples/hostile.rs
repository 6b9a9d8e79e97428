//! Every client's model over every hostile chain, alone and with no signature known yet: a line each with the shape, the client, the
//! microseconds of processor time that its verdict took, the KiB that the heap grew meanwhile, and the budget that ended it (`-` where none did).
//!
//! `paths` is the list of every path, which `inspect` shows.
#![expect(clippy::disallowed_methods, reason = "measures: reads the clock")]
#![expect(clippy::disallowed_types, reason = "measures: reads the clock")]
#![expect(clippy::print_stdout, reason = "a program of its own")]

#[path = "../tests/hostile/mod.rs"]
mod hostile;

use std::{hint::black_box, time::Instant};

use certdoctor::{
    client,
    path::{self, Anchors, Extra, Question, Verdict},
    x509::{Purpose, SignatureCache},
};
use hostile::{AT, Shape, budget, shapes};
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

fn main() {
    for shape in shapes() {
        let anchors = Anchors { file: shape.anchors.clone(), directory: Vec::new() };
        // Once before it counts: what certificates compute about themselves they keep, and clients share it.
        for profile in client::ALL {
            black_box(profile.judge(&question(&shape, &anchors, &SignatureCache::new())));
        }
        for profile in client::ALL {
            measure(&shape, profile.id, |signatures| {
                budget(&profile.judge(&question(&shape, &anchors, signatures))).unwrap_or_else(|| "-".to_owned())
            });
        }
        measure(&shape, "paths", |signatures| {
            let attempts = path::explore(&shape.presented, &anchors.file, AT, Some("localhost"), signatures);
            let rejections = attempts.into_iter().flat_map(|a| a.rejections).map(|(_, rejection)| rejection);
            let spent = |rejection| budget(&Verdict::Untrusted { path: Vec::new(), errors: vec![error(rejection)] });
            rejections.into_iter().find_map(spent).unwrap_or_else(|| "-".to_owned())
        });
    }
}

fn error(rejection: path::Rejection) -> path::ClientError {
    path::ClientError { code: String::new(), name: String::new(), depth: None, text: String::new(), rejection }
}

fn question<'a>(shape: &'a Shape, anchors: &'a Anchors, signatures: &'a SignatureCache) -> Question<'a> {
    Question {
        presented: &shape.presented,
        anchors,
        at: AT,
        host: Some("localhost"),
        purpose: &Purpose::ServerAuth,
        signatures,
        extra: Extra::default(),
    }
}

fn measure(shape: &Shape, who: &str, work: impl FnOnce(&SignatureCache) -> String) {
    let signatures = SignatureCache::new();
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    let (start, start_on_cpu) = (Instant::now(), on_cpu());
    let ended = work(&signatures);
    // Where the system does not tell, the time on the wall.
    let took = match (start_on_cpu, on_cpu()) {
        (Some(start), Some(end)) => end.saturating_sub(start) / 1000,
        _ => start.elapsed().as_micros(),
    };
    let grown = HEAP.peak_usage().saturating_sub(before) / 1024;
    println!("{} {who} {took} {grown} {ended}", shape.name);
}

/// Nanoseconds that this process has run, which does not depend on what else the machine does (proc_pid_schedstat, Linux).
fn on_cpu() -> Option<u128> {
    std::fs::read_to_string("/proc/self/schedstat").ok()?.split_whitespace().next()?.parse().ok()
}
