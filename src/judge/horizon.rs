//! What will break: the same judgement at every later instant at which a certificate begins or ends.
//!
//! Nothing but time is changed. Whoever renews a certificate before its day makes the forecast wrong, which is its purpose.

use std::collections::BTreeSet;

use super::Court;
use crate::{
    base::At,
    check::{self, ClientVerdict, Lapse},
    path::{Attempt, Verdict},
    x509::Certificate,
};

/// For each client that trusts an endpoint now, the first instant up to `until` at which it will refuse; by endpoint, then by date.
pub(super) fn lapses(court: &Court<'_>, verdicts: &[ClientVerdict], paths: &[Vec<Attempt>], until: At) -> Vec<Lapse> {
    let mut lapses: Vec<Lapse> = Vec::new();
    for endpoint in 0..court.facts.endpoints.len() {
        let first = court.alike[endpoint];
        if first != endpoint {
            let again: Vec<Lapse> = check::lapses_of(&lapses, first).iter().map(|l| Lapse { endpoint, ..l.clone() }).collect();
            lapses.extend(again);
            continue;
        }
        let involved = involved(court.presented(endpoint), paths.get(endpoint).map(Vec::as_slice).unwrap_or_default());
        let instants = instants(&involved, court.inquiry.at, until);
        let mut found: Vec<Lapse> = check::of_endpoint(verdicts, endpoint)
            .iter()
            .filter(|v| v.verdict.is_trusted())
            .filter_map(|v| first_refusal(court, v, &instants, &involved))
            .collect();
        found.sort_by_key(|lapse| lapse.at);
        lapses.extend(found);
    }
    lapses
}

/// The certificates on any path: what is presented, and the anchors above it.
fn involved(presented: &[Certificate], paths: &[Attempt]) -> BTreeSet<Certificate> {
    presented.iter().chain(paths.iter().flat_map(|attempt| &attempt.path)).cloned().collect()
}

/// The instants at which a verdict can change. Whether the last second of a certificate still counts differs from client to client, so
/// that one is asked too.
fn instants(involved: &BTreeSet<Certificate>, at: At, until: At) -> BTreeSet<At> {
    let of = |certificate: &Certificate| {
        let validity = certificate.validity();
        [validity.not_before, validity.not_after, validity.not_after.map(|end| At(end.0.saturating_add(1)))]
    };
    involved.iter().flat_map(of).flatten().filter(|instant| *instant > at && *instant <= until).collect()
}

fn first_refusal(
    court: &Court<'_>,
    verdict: &ClientVerdict,
    instants: &BTreeSet<At>,
    involved: &BTreeSet<Certificate>,
) -> Option<Lapse> {
    let position = court.inquiry.clients.iter().position(|c| c.id == verdict.client)?;
    let (client, reading) = (&court.inquiry.clients[position], &court.readings[position]);
    for at in instants {
        let then = court.ask(client, reading, &reading.anchors, verdict.endpoint, court.presented(verdict.endpoint), *at);
        let Verdict::Untrusted { errors, .. } = then else { continue };
        return Some(Lapse {
            at: *at,
            endpoint: verdict.endpoint,
            client: verdict.client.clone(),
            certificate: turning(court.presented(verdict.endpoint), involved, *at).cloned(),
            text: errors.first().map(|e| e.text.clone()).unwrap_or_default(),
        });
    }
    None
}

/// The certificate that ends or begins at this instant. Of several the leaf, since nothing else matters then; else the anchor, since that
/// one lies here: a cross-certificate mostly ends with the root that signed it.
fn turning<'c>(presented: &'c [Certificate], involved: &'c BTreeSet<Certificate>, at: At) -> Option<&'c Certificate> {
    let turns = |c: &&Certificate| {
        let validity = c.validity();
        validity.not_after.is_some_and(|end| end == at || end.0.saturating_add(1) == at.0) || validity.not_before == Some(at)
    };
    let leaf = presented.first().filter(turns);
    leaf.or_else(|| involved.iter().filter(turns).find(|c| !presented.contains(c))).or_else(|| presented.iter().find(turns))
}
