//! CD765.

use super::support::certbot as support;
use crate::{
    check::Case,
    facts::renewal::{Event, EventKind},
    finding::Finding,
};

rule! {
    /// **What it means.** Certbot tried to renew, failed, and has not succeeded since. Where another finding tells why, this one is beside
    /// it; where none does, the words of certbot and of the CA are all that this host knows.
    ///
    /// **How it is found.** The last failure in the log with no success since, and what the CA answered in the same run. Failures whose
    /// words have a code of their own (the port: CD708, CD709; the CA not reached: CD720; refusals: CD716, CD742, CD743, CD750) are
    /// told there.
    ///
    /// **What to do.** Read the words, mend what they name, then try it without issuing.
    ///
    /// **Sources.** Logs of certbot 2.1.0 and 5.8.0; RFC 8555, section 6.7.
    "CD765" "last-renewal-failed" Warning "the last renewal failed"
}

/// Errors of the CA that have checks of their own.
const TOLD: [&str; 6] = ["accountDoesNotExist", "badCSR", "badPublicKey", "caa", "invalidProfile", "rateLimited"];

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for subject in support::lineages(case) {
        let Some(failed) = subject.last_event(|e| matches!(e.kind, EventKind::Failed(_))) else { continue };
        let EventKind::Failed(why) = &failed.kind else { continue };
        let same_run = || subject.renewal.log.events.iter().filter(|e| e.run == failed.run);
        let has_its_code = |e: &Event| match &e.kind {
            EventKind::Acme(kind, _) => TOLD.contains(&kind.as_str()),
            EventKind::Unreachable(_) => true,
            _ => false,
        };
        if why.contains("Could not bind TCP port") || same_run().any(has_its_code) {
            continue;
        }
        let message = format!("the last renewal of {}, {}, failed: {}", subject.name(), failed.at, why.trim_end_matches('.'));
        let mut finding = subject.finding(&CHECK, None, message);
        finding.evidence.insert(0, support::logged(failed));
        let of_it = |e: &&Event| e.lineage.is_none() || e.lineage.as_deref() == Some(subject.name());
        for event in same_run().filter(of_it) {
            if let EventKind::Acme(kind, detail) = &event.kind {
                finding.evidence.push(support::logged(event));
                finding.facts.push(("the CA said", format!("{kind}: {detail}")));
            }
        }
        finding.remedies.push(support::by_hand("try it without issuing, once what is named there is mended", subject.dry_run()));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    #[test]
    fn catches_a_failure_without_a_code_of_its_own() {
        let finding =
            World::renewing(|tree| tree.file(LOG, failed("2026-11-22 01:00:00", "Some challenges have failed."))).one(&CHECK);
        assert!(finding.message.ends_with("failed: Some challenges have failed"), "{}", finding.message);
        assert!(finding.evidence[0].line.is_some(), "{:?}", finding.evidence);
    }

    #[test]
    fn is_silent_after_a_success_and_where_another_check_tells() {
        World::renewing(|_| {}).silent(&CHECK);
        let success = failed("2026-11-21 01:00:00", "Some challenges have failed.") + &issued("2026-11-21 13:00:00");
        World::renewing(|tree| tree.file(LOG, success)).silent(&CHECK);
        let port = failed("2026-11-22 01:00:00", "Could not bind TCP port 80 because it is already in use");
        World::renewing(|tree| tree.file(LOG, port)).silent(&CHECK);
    }
}
