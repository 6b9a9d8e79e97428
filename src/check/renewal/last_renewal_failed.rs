//! CD765.

use super::{
    account_missing, ca_unreachable, caa_forbids, order_refused, rate_limited, standalone_hooks, standalone_port_held,
    support::certbot::{self as support, Subject},
};
use crate::{
    check::Case,
    facts::renewal::EventKind,
    finding::{Finding, Severity},
};

rule! {
    /// **What it means.** Certbot tried to renew, failed, and has not succeeded since. Where another finding tells why, this one is beside
    /// it; where none does, the words of certbot and of the CA are all that this host knows.
    ///
    /// **How it is found.** The last failure in the log with no success since, and what the CA answered about it in the same run. It is
    /// left out where a code of its own tells the reason (the port: CD708, CD709; credentials that are not there: CD719; the CA not reached:
    /// CD720; refusals: CD716, CD742, CD743, CD750), and where what was refused has been taken out since.
    ///
    /// **What to do.** Read the words, mend what they name, then try it without issuing.
    ///
    /// **Sources.** Logs of certbot 2.1.0 and 5.8.0; RFC 8555, section 6.7.
    "CD765" "last-renewal-failed" Warning "the last renewal failed"
}

/// A check that tells of some failures, and what it says about a lineage.
type Teller = fn(&Subject<'_>) -> Option<Finding>;

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for subject in support::lineages(case) {
        let Some((failed, why)) = subject.failed() else { continue };
        let of_port: &[Teller] = if subject.port_refused().is_some() { PORT } else { &[] };
        // Another authenticator has been chosen since, which needs no port.
        if !of_port.is_empty() && subject.conf.parameter("authenticator") != Some("standalone") {
            continue;
        }
        // What the CA refused has been taken out since; or it is the credentials, of which CD719 tells unless they are back.
        let is_of_credentials = why
            .strip_prefix("File not found: ")
            .is_some_and(|path| subject.conf.credentials.iter().any(|c| c.path.to_string() == path));
        if is_of_credentials || subject.with(failed).any(|e| order_refused::is_mended(&subject, e)) {
            continue;
        }
        let mut tellers = subject.with(failed).filter_map(|e| teller(&e.kind)).chain(of_port.iter().copied());
        // A note is no reason: a rate limit that is over stops nobody.
        if tellers.any(|tells| tells(&subject).is_some_and(|f| f.severity >= Severity::Warning)) {
            continue;
        }
        let message = format!("the last renewal of {}, {}, failed: {}", subject.name(), failed.at, why.trim_end_matches('.'));
        let mut finding = subject.finding(&CHECK, None, message);
        finding.evidence.insert(0, support::logged(failed));
        for event in subject.with(failed) {
            if let EventKind::Acme(kind, detail) = &event.kind {
                finding.evidence.push(support::logged(event));
                finding.facts.push(("the CA said", format!("{kind}: {detail}")));
            }
        }
        finding.remedies.push(support::by_hand("try it without issuing, once what is named there is mended", subject.dry_run()));
        out.push(finding);
    }
}

/// Those that tell that the port was not to be had.
const PORT: &[Teller] = &[standalone_port_held::about, standalone_hooks::about];

/// The check that has a code for this.
fn teller(kind: &EventKind) -> Option<Teller> {
    Some(match kind {
        EventKind::Unreachable(_) => ca_unreachable::about,
        kind if order_refused::tells(kind) => order_refused::about,
        EventKind::Acme(kind, _) => match kind.as_str() {
            "accountDoesNotExist" => account_missing::about,
            "caa" => caa_forbids::about,
            "rateLimited" => rate_limited::about,
            _ => return None,
        },
        _ => return None,
    })
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

    /// What another code would tell is left out only where that code speaks.
    #[test]
    fn the_words_of_another_lineage_and_what_is_over_are_no_reason() {
        let why = "urn:ietf:params:acme:error:caa :: Records forbid it :: CAA record for b.test prevents issuance";
        let other = failed("2026-11-22 01:00:00", why).replace("a.test", "b.test");
        let own = failed("2026-11-22 01:00:00", "Some challenges have failed.");
        // One run tries both.
        let text = other + own.split_once('\n').expect("a line").1;
        let finding = World::renewing(|tree| tree.file(LOG, text)).one(&CHECK);
        assert!(finding.message.ends_with("Some challenges have failed"), "{}", finding.message);
        let limit = "urn:ietf:params:acme:error:rateLimited :: There were too many requests of a given type :: too many failed authorizations (5) for \"a.test\" in the last 1h0m0s, retry after 2026-11-21 01:12:00 UTC: see https://letsencrypt.org/docs/rate-limits/";
        World::renewing(|tree| tree.file(LOG, failed("2026-11-21 00:59:00", limit))).one(&CHECK);
        World::renewing(|tree| tree.file(LOG, failed("2026-11-22 00:59:00", &limit.replace("21 01", "22 01")))).silent(&CHECK);
    }

    #[test]
    fn is_silent_after_a_success_and_where_another_check_tells() {
        World::renewing(|_| {}).silent(&CHECK);
        let credentials = |path: &str| {
            let log = failed("2026-11-22 01:00:00", &format!("File not found: {path}"));
            World::renewing(|tree| {
                edit(tree, CONF, |text| {
                    text.replace(
                        "authenticator = webroot",
                        "authenticator = dns-cloudflare\ndns_cloudflare_credentials = /etc/cf.ini",
                    )
                });
                tree.file(LOG, log);
            })
        };
        credentials("/etc/cf.ini").silent(&CHECK);
        credentials("/etc/other").one(&CHECK);
        let success = failed("2026-11-21 01:00:00", "Some challenges have failed.") + &issued("2026-11-21 13:00:00");
        World::renewing(|tree| tree.file(LOG, success)).silent(&CHECK);
        let port = failed("2026-11-22 01:00:00", "Could not bind TCP port 80 because it is already in use");
        World::renewing(|tree| {
            edit(tree, CONF, |text| standalone(&text));
            tree.file(LOG, port.clone());
        })
        .silent(&CHECK);
        World::renewing(|tree| tree.file(LOG, port)).silent(&CHECK);
    }
}
