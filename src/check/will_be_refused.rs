//! CD507.

use std::collections::BTreeMap;

use crate::{
    base::At,
    edit::Applicability,
    finding::{Finding, Intent, Remedy},
    x509::Certificate,
};

use super::{Case, Lapse, support};

rule! {
    /// **What it means.** Clients that accept the chain now will refuse it from this day on, because a certificate on their path ends
    /// (or another begins and is preferred). Clients end on different days: one path may outlive another, and some clients never look
    /// at an anchor's dates.
    ///
    /// **How it is found.** `diagnose --horizon 400d` judges again at every instant up to then at which a presented certificate or an
    /// anchor above it begins or ends, with nothing else changed. For each client the first refusal counts.
    ///
    /// **What to do.** A leaf: see that it is renewed before that day (a certificate for 90 days always ends within the horizon; what
    /// matters then is the automation). An intermediate: serve its successor. An anchor: bring its successor into the store, and have
    /// the server send the chain to it.
    ///
    /// **Sources.** RFC 5280, section 4.1.2.5; `docs/clients.md` for each client's reading of the last second and of an anchor's dates.
    "CD507" "will-be-refused" Warning "clients will refuse the chain from a day within the horizon on"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    // Clients differ by a second about notAfter itself: one finding for the day.
    let mut groups: BTreeMap<(usize, i64, Option<&Certificate>), Vec<&Lapse>> = BTreeMap::new();
    for lapse in case.lapses {
        groups.entry((lapse.endpoint, lapse.at.0.div_euclid(86_400), lapse.certificate.as_ref())).or_default().push(lapse);
    }
    for ((endpoint, _, certificate), mut lapses) in groups {
        lapses.sort_by_key(|l| l.at);
        out.extend(lapses.first().map(|first| finding(case, endpoint, certificate, first.at, &lapses)));
    }
}

fn finding(case: &Case<'_>, index: usize, certificate: Option<&Certificate>, at: At, lapses: &[&Lapse]) -> Finding {
    let endpoint = &case.facts.endpoints[index];
    let clients: Vec<&str> = lapses.iter().map(|l| l.client.as_str()).collect();
    let trusting = support::verdicts(case, index).filter(|v| v.verdict.is_trusted()).count();
    let who = match clients.len() {
        1 => format!("{} will refuse", clients[0]),
        n if n == trusting => format!("all {n} clients that accept it now will refuse"),
        n => format!("{n} of the {trusting} clients that accept it now will refuse"),
    };
    let leaf = endpoint.outcome.as_ref().ok().and_then(|p| p.certificates.first());
    let because = match certificate {
        Some(c) if Some(c) == leaf => "its certificate ends".to_owned(),
        Some(c) => format!("{} ends", c.label()),
        None => "a path ends".to_owned(),
    };
    let message = format!("from {at} on ({}), {who} {}: {because}", case.at.relative(at), endpoint.target);
    let mut finding = support::about(&CHECK, &endpoint.target, message);
    finding.due = Some(at);
    finding.facts = vec![("clients", clients.join(", ")), ("in their words", lapses[0].text.clone())];
    let presented = endpoint.outcome.as_ref().map(|p| p.certificates.as_slice()).unwrap_or_default();
    if let Some(c) = certificate {
        finding.facts.push(("sha256", c.fingerprint().to_string()));
        match (endpoint.outcome.as_ref().ok(), presented.iter().position(|p| p == c)) {
            (Some(whole), Some(at)) => finding.evidence.push(support::sent(endpoint, whole, at)),
            _ => {
                let places = support::places(case, |anchor| anchor == c);
                finding.evidence.extend(places.iter().flat_map(|p| &p.anchors).flat_map(support::evidence));
            }
        }
    }
    let manual = |intent, text: String| Remedy::new(intent, Applicability::Manual, text, None);
    // Whoever goes on accepting has another path: then it is not the successor that is missing.
    let others_go_on = super::lapses_of(case.lapses, index).iter().filter(|l| l.at <= at.plus_days(1)).count() < trusting;
    finding.remedies.push(match certificate {
        Some(c) if Some(c) == leaf => {
            manual(Intent::Renew, format!("see that the certificate of {} is renewed and served before then", endpoint.target))
        }
        Some(_) if others_go_on => {
            let text = "the others have another path: see which remedy brings these to it, by asking as of that day";
            let command =
                format!("certdoctor diagnose --at {} {}", At(at.0.saturating_add(1)), support::shell(&endpoint.target.text));
            support::by_hand(text, Some(command))
        }
        Some(c) if presented.contains(c) => manual(Intent::Manual, format!("serve the successor of {} before then", c.label())),
        Some(c) => manual(Intent::Trust(None), format!("bring the successor of {} into the store before then", c.label())),
        None => manual(Intent::Manual, "look at the paths: certdoctor inspect -v shows each with its end".to_owned()),
    });
    finding
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    fn lapse(client: &str, at: &str, certificate: &str) -> Lapse {
        Lapse {
            at: At::parse(at).expect("a time"),
            endpoint: 0,
            client: client.into(),
            certificate: Some(self::certificate(certificate)),
            text: "certificate has expired".into(),
        }
    }

    #[test]
    fn catches_by_day_and_certificate() {
        let mut world = World::at("2020-05-01").presenting("localhost", CHAIN_ADDTRUST);
        world = world.accepted(&OLD_OPENSSL, vec![certificate(STORE_A)]);
        world = world.accepted(&OPENSSL, vec![certificate(STORE_A)]).accepted(&JAVA, vec![certificate(STORE_A)]);
        world.lapses =
            vec![lapse("openssl-1.0.2", "2020-05-30T10:48:38Z", STORE_A), lapse("openssl-3", "2020-05-30T10:48:39Z", STORE_A)];
        let finding = world.one(&CHECK);
        assert!(finding.message.starts_with("from 2020-05-30T10:48:38Z on (in 29 days), 2 of the 3"), "{}", finding.message);
        assert!(finding.message.ends_with("Lab AddTrust External CA Root ends"), "{}", finding.message);
        assert_eq!(finding.due, At::parse("2020-05-30T10:48:38Z").ok());
        // Java goes on, so the successor is there.
        let command = finding.remedies[0].command.as_deref();
        assert_eq!(command, Some("certdoctor diagnose --at 2020-05-30T10:48:39Z localhost"));

        world.lapses.push(lapse("java-17", "2020-05-30T10:48:39Z", STORE_A));
        let finding = world.one(&CHECK);
        assert!(finding.message.contains("all 3 clients"), "{}", finding.message);
        assert!(finding.remedies[0].text.starts_with("bring the successor of Lab AddTrust"), "{}", finding.remedies[0].text);
    }

    #[test]
    fn is_silent_without_a_horizon() {
        World::at("2020-05-01").presenting("localhost", CHAIN_ADDTRUST).silent(&CHECK);
    }
}
