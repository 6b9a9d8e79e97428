//! CD743.

use super::support::certbot::{self as support, rate_limit};
use crate::{
    check::Case,
    facts::renewal::{Event, EventKind},
    finding::{Finding, Severity},
};

rule! {
    /// **What it means.** The CA refused the last try because of a rate limit. Limits of Let's Encrypt are buckets that fill up steadily:
    /// "wait a week" mixes two of them up, most open again within minutes or hours.
    ///
    /// After many failures in a row the CA pauses an account for a name, until a person lifts it on the CA's page.
    ///
    /// **How it is found.** The CA's error `rateLimited` in the log, with no success and no other answer since. The next try is possible when the CA says so
    /// (`retry after`); an older text does not, and then the refill of that limit is counted from the error on.
    ///
    /// **What to do.** Mend what made the failures first (it is in the log before this error), try with `--dry-run`, which counts on
    /// another server, and only then try again, after the time told here.
    ///
    /// **Sources.** letsencrypt.org/docs/rate-limits, as of June 2025; boulder `ratelimits/limiter.go` and `wfe2/wfe.go` (the texts).
    "CD743" "rate-limited" Warning "the CA refuses because of a rate limit"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    out.extend(support::lineages(case).iter().filter_map(about));
}

/// What Let's Encrypt says to an account that it no longer serves for a name, after many failures in a row (boulder `wfe2/wfe.go`).
const PAUSED: &str = "temporarily prevented from requesting certificates";

/// No time lifts this, but a person on the CA's page. Its address carries a token of the account, and is told where it stands.
fn paused(subject: &support::Subject<'_>, event: &Event, detail: &str) -> Finding {
    let message = format!("the CA has paused {} after many failures, until the pause is lifted on its page", subject.name());
    let mut finding = subject.finding(&CHECK, None, message);
    finding.evidence.insert(0, support::logged(event));
    let said = detail.split_once("?jwt=").map_or(detail.to_owned(), |(said, _)| format!("{said}?jwt=..."));
    finding.facts.push(("the CA said", said));
    finding.remedies.push(support::by_hand("mend what fails, and prove it, which counts nowhere", subject.dry_run()));
    let log = crate::base::shell(&event.path.to_string());
    let command = format!("zgrep -o 'https://[^ ]*unpause?jwt=[^ \"]*' {log} | tail -n 1");
    finding.remedies.push(support::by_hand("then open the address that the CA named, which the log has in full", command));
    finding
}

/// What is to be said about one lineage.
pub(super) fn about(subject: &support::Subject<'_>) -> Option<Finding> {
    let event = subject.refused(|e| matches!(e, EventKind::Acme(kind, _) if kind == "rateLimited"))?;
    let EventKind::Acme(_, detail) = &event.kind else { return None };
    if detail.contains(PAUSED) {
        return Some(paused(subject, event, detail));
    }
    let next = rate_limit::next_try(detail, event.at);
    let is_over = next.is_some_and(|next| next <= subject.at);
    let message = match next {
        Some(next) if is_over => {
            format!("the CA refused {} because of a rate limit until {next}, which is over", subject.name())
        }
        Some(next) => format!("the CA refuses {} because of a rate limit until {next}", subject.name()),
        None => format!("the CA refused {} because of a rate limit", subject.name()),
    };
    let mut finding = subject.finding(&CHECK, None, message);
    if is_over {
        finding.severity = Severity::Note;
    }
    finding.evidence.insert(0, support::logged(event));
    finding.facts.push(("the CA said", detail.clone()));
    finding.facts.extend(rate_limit::limit(detail).map(|limit| ("limit", limit.what.to_owned())));
    finding.facts.extend(next.map(|next| ("next try", next.to_string())));
    finding.remedies.push(support::by_hand("mend what fails, prove it without counting, then try again", subject.dry_run()));
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::{super::super::testing::*, *};

    const WHY: &str = "urn:ietf:params:acme:error:rateLimited :: There were too many requests of a given type :: too many failed authorizations (5) for \"a.test\" in the last 1h0m0s, retry after 2026-11-22 01:12:00 UTC: see https://letsencrypt.org/docs/rate-limits/";

    #[test]
    fn catches_a_limit_and_tells_when_it_is_over() {
        let finding = World::renewing(|tree| tree.file(LOG, failed("2026-11-22 00:59:00", WHY))).one(&CHECK);
        assert_eq!(finding.message, "the CA refuses a.test because of a rate limit until 2026-11-22T01:12:00Z");
        assert!(finding.facts.contains(&("limit", "failed validations of one name: 5 an hour".into())), "{:?}", finding.facts);
        let old = WHY.replace("(5) for \"a.test\" in the last 1h0m0s, retry after 2026-11-22 01:12:00 UTC", "recently");
        let finding = World::renewing(|tree| tree.file(LOG, failed("2026-11-21 00:59:00", &old))).one(&CHECK);
        assert_eq!(finding.message, "the CA refused a.test because of a rate limit until 2026-11-21T01:11:00Z, which is over");
        assert_eq!(finding.severity, Severity::Note);
    }

    #[test]
    fn a_pause_is_not_over_by_itself_and_its_token_is_not_told() {
        let why = "urn:ietf:params:acme:error:rateLimited :: There were too many requests of a given type :: Your account is temporarily prevented from requesting certificates for a.test and possibly others. Please visit: https://portal.test/sfe/v1/unpause?jwt=eyJh.eyJp.c2ln";
        let finding = World::renewing(|tree| tree.file(LOG, failed("2026-11-12 00:59:00", why))).one(&CHECK);
        assert_eq!(finding.severity, Severity::Warning);
        assert!(finding.facts.iter().all(|(_, fact)| !fact.contains("eyJ")), "{:?}", finding.facts);
    }

    #[test]
    fn is_silent_after_a_success() {
        World::renewing(|tree| tree.file(LOG, failed("2026-11-21 00:59:00", WHY) + &issued("2026-11-21 02:00:00")))
            .silent(&CHECK);
    }
}
