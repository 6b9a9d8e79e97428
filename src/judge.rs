//! From facts to verdicts and findings: every client for every endpoint, then every check, then every remedy by judging again.
//!
//! Absent on purpose: I/O. The same facts, clients and instant give the same judgement.

mod horizon;
mod lineage;
mod trials;

use std::collections::{BTreeMap, BTreeSet};

pub use self::lineage::{Headline, is_of_validation, waits_for_renewal};
use trials::{Change, Variants};

use crate::{
    base::At,
    check::{self, Case, ClientVerdict},
    client::{Client, Reading},
    facts::{Endpoint, Facts},
    finding::{Finding, Intent, Severity},
    path::{self, Anchors, Attempt, Extra, Question, Verdict},
    x509::{Certificate, CertificateSet, Purpose, SignatureCache},
};

/// What is asked of the facts.
pub struct Inquiry {
    /// The instant of judgement.
    pub at: At,
    /// Days ahead in which an expiry is worth a word.
    pub within: i64,
    /// Until when to look for refusals to come; `None` to look at the instant of judgement only.
    pub horizon: Option<At>,
    /// The purpose that leaves must serve.
    pub purpose: Purpose,
    /// The clients to ask.
    pub clients: Vec<Client>,
    /// Findings that get another severity than their own; the last that fits decides.
    pub regrade: Vec<Grade>,
}

/// Another severity for a finding.
#[derive(Clone, Debug)]
pub struct Grade {
    /// Code or slug.
    pub name: String,
    /// The severity.
    pub severity: Severity,
    /// Who says so and why, to stand beside the finding.
    pub why: Option<String>,
}

/// What came of it.
pub struct Judgement {
    /// What each client says about each endpoint, endpoints first.
    pub verdicts: Vec<ClientVerdict>,
    /// For each endpoint, every path.
    pub paths: Vec<Vec<Attempt>>,
    /// The findings, worst first.
    pub findings: Vec<Finding>,
    /// For each endpoint, the index of the finding that is its one cause.
    pub causes: Vec<Option<usize>>,
    /// For each lineage of the server side, its one cause.
    pub headlines: Vec<Headline>,
    /// Checks that broke, and how: reported as not checked.
    pub broken: Vec<check::Broken>,
}

impl Judgement {
    /// Keeps the findings that `wanted` takes. For the server side, where no cause of an endpoint points to them.
    pub fn keep(&mut self, facts: &Facts, at: At, wanted: impl Fn(&Finding) -> bool) {
        self.findings.retain(wanted);
        self.headlines = facts.renewal.iter().flat_map(|r| lineage::headlines(r, &self.findings, at)).collect();
    }
}

/// Codes that can be the cause of a refusal, the most telling first: what redirects or distorts everything comes before what it
/// makes visible, and a single certificate's fault before the absence of an issuer.
const CAUSES: &[&str] = &[
    "CD503", "CD601", "CD501", "CD201", "CD202", "CD203", "CD209", "CD504", "CD204", "CD210", "CD502", "CD505", "CD213", "CD506",
    "CD211", "CD205",
];

/// Judges.
#[must_use]
pub fn judge(facts: &Facts, inquiry: &Inquiry) -> Judgement {
    let court = Court::new(facts, inquiry, readings(facts, inquiry));
    let mut verdicts = court.verdicts();
    let paths = court.paths();
    court.would_help(&mut verdicts, &paths);
    let lapses = inquiry.horizon.map(|until| horizon::lapses(&court, &verdicts, &paths, until)).unwrap_or_default();
    let case = Case {
        facts,
        at: inquiry.at,
        within: inquiry.within,
        verdicts: &verdicts,
        paths: &paths,
        lapses: &lapses,
        union: check::Union::default(),
    };
    let (mut findings, broken) = check::run_all(&case);
    lineage::leave_out_explained(&mut findings);
    for finding in &mut findings {
        let fits = |g: &&Grade| g.name.eq_ignore_ascii_case(finding.code) || g.name == finding.slug;
        if let Some(grade) = inquiry.regrade.iter().rev().find(fits) {
            finding.severity = grade.severity;
            finding.facts.extend(grade.why.iter().map(|why| ("graded", why.clone())));
        }
        court.weigh_remedies(finding, &verdicts);
    }
    check::sort(&mut findings);
    let causes = court.causes(&findings, &verdicts);
    let headlines = facts.renewal.iter().flat_map(|r| lineage::headlines(r, &findings, inquiry.at)).collect();
    Judgement { verdicts, paths, findings, causes, headlines, broken }
}

fn readings(facts: &Facts, inquiry: &Inquiry) -> Vec<Reading> {
    // Without an endpoint there is nobody to judge.
    let clients = if facts.endpoints.is_empty() { &[] } else { &inquiry.clients[..] };
    clients.iter().map(|client| client.reads(facts)).collect()
}

/// One sitting: the facts, the clients and what they read, and the signatures already checked.
struct Court<'a> {
    facts: &'a Facts,
    inquiry: &'a Inquiry,
    signatures: SignatureCache,
    readings: Vec<Reading>,
    variants: Variants,
    /// For each endpoint the first one that is the same to every client: what it presents, and the name asked for.
    alike: Vec<usize>,
    /// The endpoints of each target, as typed: findings tell of targets.
    of_target: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> Court<'a> {
    fn new(facts: &'a Facts, inquiry: &'a Inquiry, readings: Vec<Reading>) -> Self {
        let mut first: BTreeMap<(Option<&str>, &[Certificate]), usize> = BTreeMap::new();
        let seen = |(index, endpoint): (usize, &'a Endpoint)| {
            let presented = endpoint.outcome.as_ref().map(|p| p.certificates.as_slice()).unwrap_or_default();
            *first.entry((endpoint.target.host.as_deref(), presented)).or_insert(index)
        };
        let alike = facts.endpoints.iter().enumerate().map(seen).collect();
        let mut of_target: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, endpoint) in facts.endpoints.iter().enumerate() {
            of_target.entry(&endpoint.target.text).or_default().push(index);
        }
        let variants = Variants::of(inquiry.clients.len());
        Court { facts, inquiry, signatures: SignatureCache::default(), readings, variants, alike, of_target }
    }

    fn verdicts(&self) -> Vec<ClientVerdict> {
        let mut verdicts: Vec<ClientVerdict> = Vec::new();
        for endpoint in 0..self.facts.endpoints.len() {
            if self.presented(endpoint).is_empty() {
                continue;
            }
            if self.alike[endpoint] != endpoint {
                let again = check::of_endpoint(&verdicts, self.alike[endpoint]).iter();
                let again: Vec<ClientVerdict> = again.map(|v| ClientVerdict { endpoint, ..v.clone() }).collect();
                verdicts.extend(again);
                continue;
            }
            for (client, reading) in self.inquiry.clients.iter().zip(&self.readings) {
                verdicts.push(ClientVerdict {
                    client: client.id.clone(),
                    profile: client.profile,
                    endpoint,
                    store: reading.from.clone(),
                    verdict: self.ask(client, reading, &reading.anchors, endpoint, self.presented(endpoint), self.inquiry.at),
                    would_help: Vec::new(),
                });
            }
        }
        verdicts
    }

    fn presented(&self, endpoint: usize) -> &[Certificate] {
        self.facts.endpoints[endpoint].outcome.as_ref().map(|p| p.certificates.as_slice()).unwrap_or_default()
    }

    fn ask(
        &self,
        client: &Client,
        reading: &Reading,
        anchors: &Anchors,
        endpoint: usize,
        presented: &[Certificate],
        at: At,
    ) -> Verdict {
        let question = Question {
            presented,
            anchors,
            at,
            host: self.facts.endpoints[endpoint].target.host.as_deref(),
            purpose: &self.inquiry.purpose,
            signatures: &self.signatures,
            extra: Extra::default(),
        };
        match (client.judge(&question), &reading.unknown) {
            // A refusal means nothing when part of what the client trusts is not known.
            (verdict, Some(why)) if !verdict.is_trusted() => Verdict::Unknown(why.clone()),
            (verdict, _) => verdict,
        }
    }

    fn paths(&self) -> Vec<Vec<Attempt>> {
        if self.facts.endpoints.is_empty() {
            return Vec::new();
        }
        let anchors = self.union();
        let mut paths: Vec<Vec<Attempt>> = Vec::new();
        for (index, endpoint) in self.facts.endpoints.iter().enumerate() {
            let presented = self.presented(index);
            paths.push(match self.alike[index] {
                first if first != index => paths[first].clone(),
                _ if presented.is_empty() => Vec::new(),
                _ => path::explore(presented, &anchors.file, self.inquiry.at, endpoint.target.host.as_deref(), &self.signatures),
            });
        }
        paths
    }

    /// Every anchor of every store that is in force, once.
    fn union(&self) -> Anchors {
        let mut seen = CertificateSet::default();
        let mut anchors = Anchors::default();
        let mut add = |certificate: &'a Certificate| {
            if seen.insert(certificate) {
                anchors.file.push(certificate.clone());
            }
        };
        if let Some(given) = &self.facts.given {
            given.file.iter().flat_map(|f| f.certificates()).for_each(|(_, c)| add(c));
            given.directories.iter().flat_map(|d| d.reachable()).for_each(|(_, c)| add(c));
        } else {
            self.facts.stores.iter().flat_map(|s| s.anchors()).for_each(|a| add(&a.certificate));
            for one in &self.facts.environment.overrides {
                one.redirect.file.iter().flat_map(|f| f.certificates()).for_each(|(_, c)| add(c));
                one.redirect.directories.iter().flat_map(|d| d.reachable()).for_each(|(_, c)| add(c));
            }
        }
        anchors
    }

    /// The endpoints of the targets that a finding names, in their order.
    fn concerned(&self, finding: &Finding) -> BTreeSet<usize> {
        let of_target = |text: &String| self.of_target.get(text.as_str()).map(Vec::as_slice).unwrap_or_default();
        finding.targets.iter().flat_map(of_target).copied().collect()
    }

    /// Fills in for whom each remedy of a finding helps, by judging again.
    fn weigh_remedies(&self, finding: &mut Finding, verdicts: &[ClientVerdict]) {
        let concerned = self.concerned(finding);
        for remedy in &mut finding.remedies {
            let change = match &remedy.intent {
                Intent::Distrust(anchor, _) => Change::WithoutAnchors(std::slice::from_ref(anchor)),
                Intent::StopServing(certificate) => Change::WithoutSent(certificate),
                Intent::Serve(Some(certificate)) => Change::WithSent(certificate),
                Intent::Trust(Some(anchor)) => Change::WithAnchor(anchor),
                Intent::UpgradeClient(..) => Change::Upgrade,
                Intent::Order(certificates) => Change::Sending(certificates),
                Intent::UnsetVariable(variable) => Change::Unset(variable),
                Intent::FixClock => match trials::better_time(&self.facts.clock, self.inquiry.at) {
                    Some(at) => Change::Clock(at),
                    None => continue,
                },
                Intent::Manual
                | Intent::Patch(_)
                | Intent::Renew
                | Intent::Repair(_)
                | Intent::Serve(None)
                | Intent::Trust(None)
                | Intent::UpgradePackage(_) => continue,
            };
            // A wrong clock or variable of the host concerns every target; an anchor of its stores only those that a finding names, or a
            // store with forty dead roots would be judged forty times for each of a thousand targets.
            let of_the_host = finding.targets.is_empty() && matches!(change, Change::Clock(_) | Change::Unset(_));
            let all = if of_the_host { 0..self.facts.endpoints.len() } else { 0..0 };
            let endpoints = all.chain(concerned.iter().copied()).filter(|endpoint| !self.is_maze(*endpoint));
            let family = if let Intent::UpgradeClient(family, _) = &remedy.intent { Some(*family) } else { None };
            let judged = endpoints.flat_map(|endpoint| check::of_endpoint(verdicts, endpoint));
            for verdict in judged.filter(|v| family.is_none_or(|f| f == v.profile.family)) {
                let list = match (trusted(&verdict.verdict), self.under(verdict, &change)) {
                    (Some(false), Some(true)) => &mut remedy.helps,
                    (Some(false), _) => &mut remedy.does_not_help,
                    (Some(true), Some(false)) => &mut remedy.harms,
                    _ => continue,
                };
                if !list.contains(&verdict.client) {
                    list.push(verdict.client.clone());
                }
            }
        }
        // What was tried and helps nobody is no remedy of a refusal; what was seen to help stands before what can't be tried.
        finding.remedies.retain(|r| finding.targets.is_empty() || !r.helps.is_empty() || r.does_not_help.is_empty());
        finding.remedies.sort_by_key(|r| r.helps.is_empty());
    }

    /// For each endpoint the one finding that explains why it fails; `None` when nothing fails.
    fn causes(&self, findings: &[Finding], verdicts: &[ClientVerdict]) -> Vec<Option<usize>> {
        let mut concerning = vec![Vec::new(); self.facts.endpoints.len()];
        for (index, finding) in findings.iter().enumerate().filter(|(_, f)| f.severity >= Severity::Warning) {
            self.concerned(finding).into_iter().for_each(|endpoint| concerning[endpoint].push(index));
        }
        let cause = |(endpoint, concerning): (usize, &Vec<usize>)| {
            let first = |is: &dyn Fn(&str) -> bool| concerning.iter().copied().find(|index| is(findings[*index].code));
            if self.facts.endpoints[endpoint].outcome.is_err() {
                return first(&|code| code.starts_with("CD1"));
            }
            if check::of_endpoint(verdicts, endpoint).iter().all(|v| trusted(&v.verdict) != Some(false)) {
                return None;
            }
            CAUSES.iter().find_map(|cause| first(&|code| code == *cause))
        };
        concerning.iter().enumerate().map(cause).collect()
    }
}

/// The targets that some client reaches now and would refuse without the anchors `gone`: their only valid path would go.
#[must_use]
pub fn endangered(facts: &Facts, inquiry: &Inquiry, gone: &[Certificate]) -> Vec<String> {
    let court = Court::new(facts, inquiry, readings(facts, inquiry));
    let mut targets: Vec<String> = Vec::new();
    for verdict in court.verdicts().iter().filter(|v| v.verdict.is_trusted()) {
        let target = &facts.endpoints[verdict.endpoint].target.text;
        if !targets.contains(target) && court.under(verdict, &Change::WithoutAnchors(gone)) == Some(false) {
            targets.push(target.clone());
        }
    }
    targets
}

/// What one client says about one endpoint.
#[must_use]
pub fn one(facts: &Facts, inquiry: &Inquiry, client: &Client, endpoint: usize) -> Verdict {
    let court = Court::new(facts, inquiry, Vec::new());
    let presented = court.presented(endpoint);
    if presented.is_empty() {
        return Verdict::Unknown("no certificate was presented".into());
    }
    let reading = client.reads(facts);
    court.ask(client, &reading, &reading.anchors, endpoint, presented, inquiry.at)
}

fn trusted(verdict: &Verdict) -> Option<bool> {
    match verdict {
        Verdict::Trusted { .. } => Some(true),
        Verdict::Untrusted { .. } => Some(false),
        Verdict::Unknown(_) => None,
    }
}
