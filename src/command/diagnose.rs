//! `inspect` and `diagnose`: the same look at a target, once for what is presented, once for why it fails.

use super::{Failure, Outcome, Session, session::status};
use crate::{cli::Format, judge, path::Verdict, render};

/// Days ahead in which an expiry is worth a word beside a target.
const WITHIN: i64 = 30;

/// What one of the two commands shows besides.
#[derive(Clone, Copy, Default)]
pub(super) struct Besides {
    /// Each certificate in PEM.
    pub(super) showcerts: bool,
    /// Two targets side by side.
    pub(super) compare: bool,
    /// The refusals to come within this many days.
    pub(super) horizon: Option<i64>,
}

pub(super) fn run(session: &Session<'_>, command: &'static str, typed: &[String], besides: Besides) -> Result<Outcome, Failure> {
    let Besides { showcerts, compare, horizon } = besides;
    let targets = session.targets_or_policy(typed)?;
    if compare && targets.len() != 2 {
        return Err(Failure(format!("--compare wants two targets, and here are {}", targets.len())));
    }
    let facts = session.gather(&targets)?;
    let mut inquiry = session.inquiry(WITHIN)?;
    inquiry.horizon = horizon.map(|days| session.at.plus_days(days));
    let judgement = judge::judge(&facts, &inquiry);
    let mut report = session.report(command, facts, judgement);
    report.compare = compare;
    if command == "inspect" {
        // What lies in the stores is scan's business; here only what concerns a target counts.
        keep_what_concerns_targets(&mut report);
    }
    if session.global.format == Format::SClient {
        let out = render::s_client::report(&report, showcerts);
        let openssl = report.verdicts.iter().filter(|v| v.profile.family == "openssl" || v.profile.family == "s_client");
        let refused = openssl.clone().any(|v| matches!(v.verdict, Verdict::Untrusted { .. })) || openssl.clone().next().is_none();
        let status = if report.facts.endpoints.iter().all(|e| e.outcome.is_err()) { 2 } else { u8::from(refused) };
        let unnamed = session.connection.verify_hostname.is_none();
        let err = if unnamed {
            "note: as in s_client, the name in the certificate is not checked; --verify-hostname NAME checks it\n"
        } else {
            ""
        };
        return Ok(Outcome { out: out.into_bytes(), err: err.to_owned(), status });
    }
    let status = status(&report);
    let mut outcome = session.finish(&report, status);
    if showcerts && session.global.format == Format::Human {
        let pem = report.facts.endpoints.iter().filter_map(|e| e.outcome.as_ref().ok()).flat_map(|p| &p.certificates);
        outcome.out.extend(pem.flat_map(|c| render::pem(c).into_bytes()));
    }
    Ok(outcome)
}

pub(super) fn keep_what_concerns_targets(report: &mut crate::report::Report) {
    // Where each finding will stand.
    let mut kept = 0;
    let places: Vec<Option<usize>> = report
        .findings
        .iter()
        .map(|finding| {
            let place = (!finding.targets.is_empty()).then_some(kept);
            kept += usize::from(place.is_some());
            place
        })
        .collect();
    report.findings.retain(|f| !f.targets.is_empty());
    for cause in &mut report.causes {
        *cause = cause.and_then(|index| places.get(index).copied().flatten());
    }
}
