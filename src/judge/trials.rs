//! What would help a client that refuses: every remedy that one person can carry out alone, tried by judging again with it.
//!
//! Nothing is reported that was not tried, and for each that was, whom it would hurt.

use std::{cell::OnceCell, collections::BTreeSet};

use super::{Court, trusted};
use crate::{
    base::At,
    check::{self, ClientVerdict, RemedyKind, Trial},
    client::{self, Client, Variant},
    facts::Clock,
    path::{Attempt, Rejection, Verdict},
    x509::Certificate,
};

/// Anchors and intermediates of the host that are tried; more than a handful that fit one chain is a maze, not a remedy.
const CANDIDATES: usize = 4;
/// Certificates beyond which nothing is tried: each trial costs as much as a verdict, and one server must not hold up a whole run. The
/// longest chain of an honest server that is known has ten.
const MAZE: usize = 24;
/// Seconds by which a server's clock may differ before it speaks against ours.
const TOLERATED: u64 = 300;

/// A world that differs in one thing.
pub(super) enum Change<'a> {
    /// Anchors are gone, wherever the client reads them.
    WithoutAnchors(&'a [Certificate]),
    /// An anchor is added.
    WithAnchor(&'a Certificate),
    /// The server no longer sends a certificate.
    WithoutSent(&'a Certificate),
    /// The server sends one more, at the end.
    WithSent(&'a Certificate),
    /// The server sends exactly this.
    Sending(&'a [Certificate]),
    /// Another time.
    Clock(At),
    /// A variable is unset; clients that do not read it are not concerned.
    Unset(&'static str),
    /// The next version of the client's family that accepts.
    Upgrade,
}

/// One remedy that may be tried for every client of an endpoint.
struct Remedy {
    kind: RemedyKind,
    words: String,
    change: Owned,
}

/// [`Change`] with its certificates.
enum Owned {
    WithoutAnchor(Certificate),
    WithAnchor(Certificate),
    WithoutSent(Certificate),
    WithSent(Certificate),
    Sending(Vec<Certificate>),
    Clock(At),
}

impl Owned {
    fn borrow(&self) -> Change<'_> {
        match self {
            Owned::WithoutAnchor(certificate) => Change::WithoutAnchors(std::slice::from_ref(certificate)),
            Owned::WithAnchor(certificate) => Change::WithAnchor(certificate),
            Owned::WithoutSent(certificate) => Change::WithoutSent(certificate),
            Owned::WithSent(certificate) => Change::WithSent(certificate),
            Owned::Sending(certificates) => Change::Sending(certificates),
            Owned::Clock(at) => Change::Clock(*at),
        }
    }
}

/// What each client reads under other variables; found when it is first asked for, since most clients of most hosts accept.
#[derive(Default)]
pub(super) struct Variants(Vec<OnceCell<Vec<Variant>>>);

impl Variants {
    pub(super) fn of(clients: usize) -> Variants {
        Variants((0..clients).map(|_| OnceCell::new()).collect())
    }
}

impl Court<'_> {
    /// Fills in, for each refusal, what was tried: what works first, the smallest first among those.
    pub(super) fn would_help(&self, verdicts: &mut [ClientVerdict], paths: &[Vec<Attempt>]) {
        for endpoint in 0..self.facts.endpoints.len() {
            let first = self.alike[endpoint];
            let place = check::place_of_endpoint(verdicts, endpoint);
            if first != endpoint {
                // The same clients in the same order, with nothing filled in yet.
                let known: Vec<Vec<Trial>> = check::of_endpoint(verdicts, first).iter().map(|v| v.would_help.clone()).collect();
                verdicts[place].iter_mut().zip(known).for_each(|(verdict, trials)| verdict.would_help = trials);
                continue;
            }
            let here = &verdicts[place.clone()];
            if self.is_maze(endpoint) || !here.iter().any(|v| matches!(v.verdict, Verdict::Untrusted { .. })) {
                continue;
            }
            let tried = self.try_all(here, paths.get(endpoint).map(Vec::as_slice).unwrap_or_default());
            for (at, trials) in tried {
                verdicts[place.start + at].would_help = trials;
            }
        }
    }

    /// For each refusal among the verdicts about one endpoint (by its place among them) what was tried.
    fn try_all(&self, here: &[ClientVerdict], paths: &[Attempt]) -> Vec<(usize, Vec<Trial>)> {
        // Who gave up at a budget would do so again.
        let gave_up = |v: &ClientVerdict| v.verdict.errors().iter().any(|e| matches!(e.rejection, Rejection::BudgetExceeded(..)));
        let refusing: Vec<usize> =
            (0..here.len()).filter(|i| trusted(&here[*i].verdict) == Some(false) && !gave_up(&here[*i])).collect();
        let mut tried: Vec<(usize, Vec<Trial>)> = refusing.iter().map(|i| (*i, Vec::new())).collect();
        for remedy in self.remedies(here, paths) {
            let answers: Vec<(usize, bool)> = refusing
                .iter()
                .enumerate()
                .filter_map(|(slot, i)| Some((slot, self.under(&here[*i], &remedy.change.borrow())?)))
                .collect();
            let harms: Vec<String> = if answers.iter().any(|(_, trusts)| *trusts) {
                let accepting = here.iter().filter(|v| v.verdict.is_trusted());
                accepting.filter(|v| self.under(v, &remedy.change.borrow()) == Some(false)).map(|v| v.client.clone()).collect()
            } else {
                Vec::new()
            };
            for (slot, trusts) in answers {
                let harms = if trusts { harms.clone() } else { Vec::new() };
                tried[slot].1.push(Trial { kind: remedy.kind, words: remedy.words.clone(), trusts, harms });
            }
        }
        for (at, trials) in &mut tried {
            self.try_alone(&here[*at], trials);
            // What works, and hurts nobody, and is small, first.
            trials.sort_by_key(|t| (!t.trusts, !t.harms.is_empty(), t.kind));
        }
        tried
    }

    /// The remedies that concern one client only: its variables and its version.
    fn try_alone(&self, verdict: &ClientVerdict, out: &mut Vec<Trial>) {
        let Some(position) = self.position(verdict) else { return };
        let mut alone = |kind, words: String, trusts| out.push(Trial { kind, words, trusts, harms: Vec::new() });
        for variant in self.variants(position) {
            let judged = self.ask_variant(variant, verdict);
            if let Some(trusts) = trusted(&judged) {
                alone(RemedyKind::Variable, variant.words.clone(), trusts);
            }
        }
        let client = &self.inquiry.clients[position];
        match self.cured_by(client, verdict) {
            Some(newer) => alone(RemedyKind::Upgrade, format!("upgrade to {}", newer.profile.title), true),
            None => {
                if let Some(newest) = client::newer(client).last() {
                    alone(RemedyKind::Upgrade, format!("upgrade to {}", newest.profile.title), false);
                }
            }
        }
    }

    /// What may be tried for every client of an endpoint.
    fn remedies(&self, here: &[ClientVerdict], paths: &[Attempt]) -> Vec<Remedy> {
        let Some(endpoint) = here.first().map(|v| v.endpoint) else { return Vec::new() };
        let sent = self.presented(endpoint);
        let mut remedies: Vec<Remedy> = Vec::new();
        let mut offer = |kind, words: String, change| remedies.push(Remedy { kind, words, change });
        if let Some(at) = better_time(&self.facts.clock, self.inquiry.at) {
            offer(RemedyKind::Clock, format!("put the clock right: it is {at} or later"), Owned::Clock(at));
        }
        let mut seen = BTreeSet::new();
        let taken = here.iter().filter_map(|v| match &v.verdict {
            Verdict::Untrusted { path, .. } => Some(path),
            Verdict::Trusted { .. } | Verdict::Unknown(_) => None,
        });
        for anchor in taken.flatten().filter(|c| self.is_anchor(c) && seen.insert((*c).clone())) {
            offer(
                RemedyKind::RemoveAnchor,
                format!("remove the anchor {}", anchor.label()),
                Owned::WithoutAnchor(anchor.clone()),
            );
        }
        // The best path first; what it lacks of the order, or has too little or too much, is what the server would mend.
        let best = paths.iter().find(|attempt| attempt.anchored);
        let right: Vec<Certificate> =
            best.map(|b| b.path.iter().filter(|c| sent.contains(c)).cloned().collect()).unwrap_or_default();
        let mut ordered = right.clone();
        ordered.extend(sent.iter().filter(|c| !right.contains(c)).cloned());
        if !right.is_empty() && ordered != sent {
            offer(RemedyKind::Reorder, format!("the server sends in the order {}", labels(&ordered)), Owned::Sending(ordered));
        }
        // Those on a path that was refused first.
        let on_a_path =
            |c: &&Certificate| here.iter().any(|v| matches!(&v.verdict, Verdict::Untrusted { path, .. } if path.contains(c)));
        let (first, rest): (Vec<&Certificate>, Vec<&Certificate>) = sent.iter().skip(1).partition(on_a_path);
        for certificate in first.into_iter().chain(rest).take(CANDIDATES) {
            let words = format!("the server stops sending {} issued by {}", certificate.label(), certificate.issuer().label());
            offer(RemedyKind::StopServing, words, Owned::WithoutSent(certificate.clone()));
        }
        if right.len() + 1 < sent.len() && !right.is_empty() {
            offer(RemedyKind::StopServing, format!("the server sends only {}", labels(&right)), Owned::Sending(right));
        }
        let anchored = || paths.iter().filter(|attempt| attempt.anchored);
        let inner = anchored().flat_map(|attempt| attempt.path.split_last().map(|(_, below)| below).unwrap_or_default());
        let elsewhere = self.facts.endpoints.iter().filter_map(|e| e.outcome.as_ref().ok()).flat_map(|p| &p.certificates);
        let issuers = elsewhere.filter(|c| c.is_ca() && sent.iter().any(|s| s.canonical_issuer() == c.canonical_subject()));
        let mut seen = BTreeSet::new();
        let missing = inner.chain(issuers).filter(|c| !sent.contains(c) && seen.insert((*c).clone()));
        for certificate in missing.take(CANDIDATES) {
            let words = format!("the server sends {} too", certificate.label());
            offer(RemedyKind::Serve, words, Owned::WithSent(certificate.clone()));
        }
        let presented = sent.last().filter(|c| c.is_self_issued());
        let mut seen = BTreeSet::new();
        let roots = presented.into_iter().chain(anchored().filter_map(|attempt| attempt.path.last()));
        for root in roots.filter(|c| seen.insert((*c).clone())).take(CANDIDATES) {
            offer(RemedyKind::AddAnchor, format!("add the anchor {}", root.label()), Owned::WithAnchor(root.clone()));
        }
        remedies
    }

    /// Whether this endpoint sends so much that no remedy is tried.
    pub(super) fn is_maze(&self, endpoint: usize) -> bool {
        self.presented(endpoint).len() > MAZE
    }

    fn is_anchor(&self, certificate: &Certificate) -> bool {
        self.readings.iter().any(|reading| reading.anchors.iter().any(|a| a == certificate))
    }

    fn position(&self, verdict: &ClientVerdict) -> Option<usize> {
        self.inquiry.clients.iter().position(|c| c.id == verdict.client)
    }

    fn variants(&self, position: usize) -> &[Variant] {
        self.variants.0[position].get_or_init(|| self.inquiry.clients[position].variants(self.facts))
    }

    fn ask_variant(&self, variant: &Variant, verdict: &ClientVerdict) -> Verdict {
        let presented = self.presented(verdict.endpoint);
        self.ask(&variant.client, &variant.reading, &variant.reading.anchors, verdict.endpoint, presented, self.inquiry.at)
    }

    /// The first later version of the family that accepts with what the client reads now.
    fn cured_by(&self, client: &Client, verdict: &ClientVerdict) -> Option<Client> {
        let reading = &self.readings[self.position(verdict)?];
        let presented = self.presented(verdict.endpoint);
        let accepts = |newer: &Client| {
            self.ask(newer, reading, &reading.anchors, verdict.endpoint, presented, self.inquiry.at).is_trusted()
        };
        client::newer(client).into_iter().find(accepts)
    }

    /// Whether the client trusts in the changed world; `None` when the change does not concern it.
    pub(super) fn under(&self, verdict: &ClientVerdict, change: &Change<'_>) -> Option<bool> {
        let position = self.position(verdict)?;
        let (client, reading) = (&self.inquiry.clients[position], &self.readings[position]);
        let presented = self.presented(verdict.endpoint);
        let mut anchors = reading.anchors.clone();
        let mut sent = presented.to_vec();
        let mut at = self.inquiry.at;
        match change {
            Change::WithoutAnchors(gone) => {
                anchors.file.retain(|c| !gone.contains(c));
                anchors.directory.retain(|c| !gone.contains(c));
                if anchors == reading.anchors {
                    return None;
                }
            }
            Change::WithAnchor(new) => {
                if anchors.iter().any(|a| a == *new) {
                    return None;
                }
                anchors.file.push((*new).clone());
            }
            Change::WithoutSent(gone) => sent.retain(|c| c != *gone),
            Change::WithSent(new) => sent.push((*new).clone()),
            Change::Sending(exactly) => sent = exactly.to_vec(),
            Change::Clock(right) => at = *right,
            Change::Unset(variable) => {
                let variant = self.variants(position).iter().find(|v| v.variable == *variable)?;
                return trusted(&self.ask_variant(variant, verdict));
            }
            Change::Upgrade => {
                if client::newer(client).is_empty() {
                    return None;
                }
                return Some(self.cured_by(client, verdict).is_some());
            }
        }
        if sent.is_empty() {
            return None;
        }
        trusted(&self.ask(client, reading, &anchors, verdict.endpoint, &sent, at))
    }
}

/// The time that speaks against the clock: what was made after the time that it shows, or what most servers say. `None` when nothing
/// does, or when `--at` gave the instant.
pub(super) fn better_time(clock: &Clock, at: At) -> Option<At> {
    if clock.injected {
        return None;
    }
    let made = clock.built.into_iter().chain(clock.newest_file.as_ref().map(|(modified, _)| *modified)).max();
    if let Some(made) = made.filter(|made| at.plus_days(1) < *made) {
        return Some(made);
    }
    let mut dates: Vec<At> = clock.server_dates.iter().map(|(_, date)| *date).collect();
    dates.sort_unstable();
    dates.get(dates.len() / 2).copied().filter(|date| date.0.abs_diff(at.0) > TOLERATED)
}

fn labels(certificates: &[Certificate]) -> String {
    certificates.iter().map(|c| c.label()).collect::<Vec<_>>().join(" / ")
}
