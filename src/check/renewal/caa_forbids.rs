//! CD742.

use super::support::certbot as support;
use crate::{check::Case, facts::renewal::EventKind, finding::Finding};

rule! {
    /// **What it means.** A CAA record of the zone does not allow this CA to issue, or its servers do not answer the question for it.
    ///
    /// **How it is found.** The CA's error `caa` in the log, with no success and no other answer since, but for a rate limit. The record
    /// itself is not asked for here.
    ///
    /// **What to do.** Add the CA to the CAA records of the name or of a parent of it, or take the record away. For `*.` names the tag
    /// `issuewild` comes first.
    ///
    /// **Sources.** RFC 8659; RFC 8555, section 6.7; letsencrypt.org/docs/caa.
    "CD742" "caa-forbids" Warning "a CAA record forbids the CA to issue"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    out.extend(support::lineages(case).iter().filter_map(about));
}

/// What is to be said about one lineage.
pub(super) fn about(subject: &support::Subject<'_>) -> Option<Finding> {
    let event = subject.refused(|e| matches!(e, EventKind::Acme(kind, _) if kind == "caa"))?;
    let EventKind::Acme(_, detail) = &event.kind else { return None };
    let mut finding = subject.finding(&CHECK, None, format!("a CAA record forbids the CA to issue for {}", subject.name()));
    finding.facts.push(("the CA said", detail.clone()));
    finding.evidence.insert(0, support::logged(event));
    let names = subject.lineage.names();
    let name = names.first().map_or(subject.name(), |n| n.trim_start_matches("*."));
    let command = format!("dig +short CAA {}", crate::base::shell(name));
    let text = "add the CA to the records (for Let's Encrypt: 0 issue \"letsencrypt.org\"), or take them away";
    finding.remedies.push(support::by_hand(text, command));
    finding.facts.push(("verify", subject.dry_run()));
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    const WHY: &str = "urn:ietf:params:acme:error:caa :: Certification Authority Authorization (CAA) records forbid the CA from issuing a certificate :: CAA record for a.test prevents issuance";

    #[test]
    fn catches_the_cas_word() {
        let finding = World::renewing(|tree| tree.file(LOG, failed("2026-11-22 00:30:00", WHY))).one(&CHECK);
        assert_eq!(finding.facts[1], ("the CA said", "CAA record for a.test prevents issuance".into()));
    }

    #[test]
    fn is_silent_after_a_success_and_once_something_else_is_refused() {
        let limit = "urn:ietf:params:acme:error:rateLimited :: There were too many requests of a given type :: too many failed authorizations recently";
        let then = |why: &str| failed("2026-11-21 00:30:00", WHY) + &failed("2026-11-22 00:30:00", why);
        World::renewing(|tree| tree.file(LOG, then(limit))).one(&CHECK);
        let other = "urn:ietf:params:acme:error:badCSR :: The CSR is unacceptable :: Error finalizing order :: key size not supported: 8192";
        World::renewing(|tree| tree.file(LOG, then(other))).silent(&CHECK);
        World::renewing(|tree| tree.file(LOG, failed("2026-11-21 00:30:00", WHY) + &issued("2026-11-21 12:30:00")))
            .silent(&CHECK);
    }
}
