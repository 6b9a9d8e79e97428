//! What several checks share: the union of what is trusted, who issued whom, and words.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    base::same,
    edit::Applicability,
    facts::{
        Anchor, CertFile, ConnectFailure, Endpoint, HashDirectory, Origin, Presented, Redirect, Role, Selection, SourceOwner,
        Store, Target, TargetSource, Upkeep,
    },
    finding::{Evidence, Finding, Intent, Remedy},
    path::{Rejection, Verdict},
    x509::{Certificate, CertificateSet},
};

use super::{Case, ClientVerdict};
pub(super) use crate::base::shell;

mod refresh;

pub(super) use refresh::*;

/// Some anchors and where they are kept.
pub(super) struct Place<'a> {
    /// The store, unless a variable or an option names the place.
    pub(super) store: Option<&'a Store>,
    /// A name for people.
    pub(super) title: String,
    /// The anchors.
    pub(super) anchors: Vec<Anchor>,
}

/// Every place that holds anchors (stores, what `--CAfile` names, what variables name), with the anchors that `wanted` picks.
/// Places without such an anchor are left out.
pub(super) fn places<'a>(case: &Case<'a>, wanted: impl Fn(&Certificate) -> bool) -> Vec<Place<'a>> {
    let pick = |anchors: &[Anchor]| anchors.iter().filter(|a| wanted(&a.certificate)).cloned().collect::<Vec<Anchor>>();
    let stores = case.facts.stores.iter();
    let stores = stores.map(|s| Place { store: Some(s), title: s.title.clone(), anchors: pick(s.anchors()) });
    let given = case.facts.given.iter().map(|g| redirected("given", "the given CA file".into(), g, &wanted));
    let overrides = case.facts.environment.overrides.iter();
    let overrides =
        overrides.map(|o| redirected("environment", format!("the store that {} names", o.variable), &o.redirect, &wanted));
    stores.chain(given).chain(overrides).filter(|place| !place.anchors.is_empty()).collect()
}

fn redirected<'a>(kind: &'static str, title: String, redirect: &Redirect, wanted: &impl Fn(&Certificate) -> bool) -> Place<'a> {
    let mut anchors: Vec<Anchor> = Vec::new();
    let mut known: BTreeMap<Certificate, usize> = BTreeMap::new();
    let mut see = |role: Role, file: &CertFile| {
        for (entry, certificate) in file.certificates().filter(|(_, c)| wanted(c)) {
            let at = *known.entry(certificate.clone()).or_insert_with(|| {
                anchors.push(Anchor { certificate: certificate.clone(), origins: Vec::new() });
                anchors.len() - 1
            });
            anchors[at].origins.push(Origin {
                store: kind,
                role,
                path: file.path.clone(),
                line: Some(entry.line),
                span: Some(entry.section.clone()),
                real: file.real.clone(),
            });
        }
    };
    redirect.file.iter().for_each(|f| see(Role::Bundle, f));
    for entry in redirect.directories.iter().flat_map(|d| &d.entries) {
        see(if entry.hash.is_some() { Role::HashLink } else { Role::Directory }, &entry.file);
    }
    Place { store: None, title, anchors }
}

/// Everything that some client of this host may trust; with `--CAfile` or `--CApath` only what they name.
pub(super) fn trusted<'c>(case: &'c Case<'_>) -> &'c [Certificate] {
    case.union.0.get_or_init(|| union(case))
}

fn union(case: &Case<'_>) -> Vec<Certificate> {
    fn held(redirect: &Redirect) -> impl Iterator<Item = &Certificate> {
        let linked = redirect.directories.iter().flat_map(|d| &d.entries).map(|e| &e.file);
        redirect.file.iter().chain(linked).flat_map(CertFile::certificates).map(|(_, c)| c)
    }
    let facts = case.facts;
    let all: Vec<&Certificate> = match &facts.given {
        Some(given) => held(given).collect(),
        None => {
            let overrides = facts.environment.overrides.iter().flat_map(|o| held(&o.redirect));
            facts.stores.iter().flat_map(Store::anchors).map(|a| &a.certificate).chain(overrides).collect()
        }
    };
    let mut seen = CertificateSet::with_capacity_and_hasher(all.len(), Default::default());
    all.into_iter().filter(|c| seen.insert(c)).cloned().collect()
}

/// Whether `issuer` may have issued `child`, by name and key identifier as OpenSSL's `check_issued` compares them; the signature
/// is not looked at.
pub(super) fn issued(issuer: &Certificate, child: &Certificate) -> bool {
    if !same(issuer.subject().raw(), child.issuer().raw()) && issuer.canonical_subject() != child.canonical_issuer() {
        return false;
    }
    match (child.authority_key_id().and_then(|a| a.key_id.as_deref()), issuer.subject_key_id()) {
        (Some(wanted), Some(has)) => wanted == has,
        _ => true,
    }
}

/// Whether a certificate names itself as issuer and its key identifiers agree.
pub(super) fn is_self_signed(certificate: &Certificate) -> bool {
    certificate.is_self_issued() && issued(certificate, certificate)
}

/// The indices of the presented certificates on the way up from the leaf, as far as the presented ones lead.
pub(super) fn climb(presented: &[Certificate]) -> Vec<usize> {
    let mut path = Vec::new();
    let mut next = (!presented.is_empty()).then_some(0);
    while let Some(at) = next {
        path.push(at);
        let child = &presented[at];
        next = (0..presented.len())
            .find(|i| !path.contains(i) && !is_self_signed(child) && presented[*i] != *child && issued(&presented[*i], child));
    }
    path
}

/// Every endpoint that presented something, with its index.
pub(super) fn presented<'a>(case: &Case<'a>) -> impl Iterator<Item = (usize, &'a Endpoint, &'a Presented)> {
    let facts = case.facts;
    facts.endpoints.iter().enumerate().filter_map(|(i, e)| e.outcome.as_ref().ok().map(|p| (i, e, p)))
}

/// Every target that presented nothing, and why.
pub(super) fn failures<'a>(case: &Case<'a>) -> impl Iterator<Item = (&'a Target, &'a ConnectFailure)> {
    let facts = case.facts;
    facts.endpoints.iter().filter_map(|e| e.outcome.as_ref().err().map(|f| (&e.target, f)))
}

/// What the clients say about one endpoint.
pub(super) fn verdicts<'a>(case: &Case<'a>, endpoint: usize) -> impl Iterator<Item = &'a ClientVerdict> + use<'a> {
    crate::check::of_endpoint(case.verdicts, endpoint).iter()
}

/// The clients that refuse an endpoint, and those that accept it, by name.
pub(super) fn refusing_and_accepting(case: &Case<'_>, endpoint: usize) -> (Vec<String>, Vec<String>) {
    let names = |wanted: fn(&Verdict) -> bool| {
        verdicts(case, endpoint).filter(|v| wanted(&v.verdict)).map(|v| v.client.clone()).collect()
    };
    (names(|v| matches!(v, Verdict::Untrusted { .. })), names(|v| matches!(v, Verdict::Trusted { .. })))
}

/// Whether a client refuses an endpoint, or none was asked.
pub(super) fn refused_or_unjudged(case: &Case<'_>, endpoint: usize) -> bool {
    let (refusing, accepting) = refusing_and_accepting(case, endpoint);
    !refusing.is_empty() || accepting.is_empty()
}

/// The certificate above the leaf for whose expiry a client refuses, and the expired anchor behind it: the same certificate, or
/// the one that issued it.
pub(super) fn dead<'v>(
    case: &Case<'_>,
    verdict: &'v ClientVerdict,
    trusted: &[Certificate],
) -> Option<(&'v Certificate, Option<Certificate>)> {
    let Verdict::Untrusted { path, errors } = &verdict.verdict else { return None };
    let expiry = |r: &Rejection| matches!(r, Rejection::Expired { .. });
    let depth = errors.iter().filter(|e| expiry(&e.rejection)).map(|e| e.depth).find(|d| *d != Some(0))?;
    let above = path.get(1..).unwrap_or_default();
    let told = depth.and_then(|d| path.get(d)).filter(|c| c.is_expired(case.at));
    let certificate = told.or_else(|| above.iter().rev().find(|c| c.is_expired(case.at)))?;
    let anchor = trusted.iter().find(|t| *t == certificate);
    let anchor = anchor.or_else(|| trusted.iter().find(|t| t.is_expired(case.at) && issued(t, certificate)));
    Some((certificate, anchor.cloned()))
}

/// Which certificates a lookup by subject hash really finds. A local file may have got another content under its name: then its
/// link has the hash of the old subject.
pub(super) fn by_hash<'s>(store: &'s Store, directory: &'s HashDirectory) -> Vec<&'s Certificate> {
    let local: BTreeSet<&[u8]> =
        store.sources.iter().filter(|s| s.owner == SourceOwner::Local).map(|s| s.file.real.as_bytes()).collect();
    let fits = |entry: &crate::facts::DirectoryEntry, c: &Certificate| {
        !local.contains(entry.file.real.as_bytes()) || entry.hash.is_some_and(|(hash, _)| hash == c.subject().openssl_hash())
    };
    directory.reachable().into_iter().filter(|(entry, c)| fits(entry, c)).map(|(_, c)| c).collect()
}

/// The sources that the refresh tool takes.
pub(super) fn enabled(store: &Store) -> impl Iterator<Item = &crate::facts::Source> {
    store.sources.iter().filter(|s| s.selection == Selection::Enabled)
}

/// Every file of a store that clients or the refresh tool read: enabled sources, bundle, derived outputs, directory entries other
/// than hash links.
pub(super) fn files(store: &Store) -> impl Iterator<Item = (&'static str, &CertFile)> {
    let plain = store.directory.iter().flat_map(|d| &d.entries).filter(|e| e.hash.is_none() && e.link.is_none());
    let bundle = store.bundle.as_ref().map(|b| &b.real);
    enabled(store)
        .map(|s| ("source", &s.file))
        .chain(store.bundle.iter().map(|b| ("bundle", b)))
        .chain(store.derived.iter().map(|d| ("derived store", d)))
        .chain(store.unread.iter().map(|f| ("configuration", f)))
        .chain(plain.filter(move |e| Some(&e.file.real) != bundle).map(|e| ("file in the hash directory", &e.file)))
}

/// The refresh command of a store, if it is generated; `fresh` makes every link again where the tool must be told to.
pub(super) fn refresh(store: &Store, fresh: bool) -> Option<String> {
    match &store.upkeep {
        // Alpine's tool has no options and always makes every link again.
        Upkeep::Generated { by } => {
            Some(if fresh && store.kind == "debian" { format!("{by} --fresh") } else { (*by).to_owned() })
        }
        Upkeep::ByHand | Upkeep::Owned { .. } => None,
    }
}

/// The package that brings a store's list, and the command that upgrades it.
pub(super) fn upgrade(store: &Store) -> Option<(&'static str, &'static str)> {
    match (store.kind, &store.upkeep) {
        ("bundle-only", Upkeep::Owned { by }) if by == "ca-certificates-bundle" => {
            Some(("ca-certificates-bundle", "apk upgrade ca-certificates-bundle"))
        }
        ("homebrew", _) => Some(("ca-certificates", "brew upgrade ca-certificates")),
        ("alpine", _) => Some(("ca-certificates", "apk upgrade ca-certificates")),
        ("debian", _) => Some(("ca-certificates", "apt-get update && apt-get install --only-upgrade ca-certificates")),
        _ => None,
    }
}

/// Whether an administrator put this anchor there: then it may be a corporate CA.
pub(super) fn is_local(store: &Store, certificate: &Certificate) -> bool {
    enabled(store).any(|s| s.owner == SourceOwner::Local && s.file.certificates().any(|(_, c)| c == certificate))
}

/// The remedy of taking an anchor out of its store, or of the file that an option or a variable names.
pub(super) fn distrust(store: Option<&Store>, certificate: &Certificate, evidence: &[Evidence]) -> Remedy {
    let label = certificate.label();
    match store {
        Some(store) => {
            let local = is_local(store, certificate);
            let applicability = if local { Applicability::Ask } else { Applicability::Auto };
            let text = format!("take {label} out of the {} in the way that survives upgrades", store.title);
            let command = format!("certdoctor fix --anchor {} --diff", certificate.fingerprint().short());
            Remedy::new(Intent::Distrust(certificate.clone(), store.kind), applicability, text, Some(command))
        }
        None => {
            let path = evidence.iter().find_map(|e| e.path.as_ref()).map_or_else(String::new, |p| format!(" from {p}"));
            // No kind of store: nothing that `fix` edits, yet the judge can try it.
            let intent = Intent::Distrust(certificate.clone(), "given");
            Remedy::new(intent, Applicability::Manual, format!("remove {label}{path}"), None)
        }
    }
}

/// A remedy that a person carries out.
pub(super) fn by_hand(text: impl Into<String>, command: Option<String>) -> Remedy {
    Remedy::new(Intent::Manual, Applicability::Manual, text, command)
}

/// Every place of an anchor; a link says where it leads.
pub(super) fn evidence(anchor: &Anchor) -> Vec<Evidence> {
    let place = |origin: &Origin| {
        let mut evidence = Evidence::at(origin, &anchor.certificate);
        if origin.path != origin.real {
            evidence.what = format!("{}, a link to {}", evidence.what, origin.real);
            // Line and bytes are those of the file behind the link.
            (evidence.line, evidence.span) = (None, None);
        }
        evidence
    };
    let mut places: Vec<Evidence> = anchor.origins.iter().map(place).collect();
    places.dedup();
    places
}

/// A presented certificate as evidence.
pub(super) fn sent(endpoint: &Endpoint, presented: &Presented, index: usize) -> Evidence {
    let path = if let TargetSource::File(path) = &endpoint.target.source { Some(path.clone()) } else { None };
    Evidence {
        path,
        fingerprint: presented.certificates.get(index).map(Certificate::fingerprint),
        what: format!("certificate {} of {} from {}", index + 1, presented.certificates.len(), endpoint.target),
        ..Evidence::default()
    }
}

/// A finding about a target.
pub(super) fn about(check: &super::Check, target: &Target, message: impl Into<String>) -> Finding {
    Finding { targets: vec![target.text.clone()], ..Finding::new(check, &target.text, message) }
}

/// Host and port for a command line of another tool.
pub(super) fn host_port(target: &Target) -> (String, String) {
    match &target.source {
        TargetSource::Server { host, port, .. } => (shell(host), port.to_string()),
        TargetSource::File(_) | TargetSource::Stdin => (shell(&target.text), String::new()),
    }
}

/// `1 certificate`, `2 certificates`.
pub(super) fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// `a, b, c and 4 more`.
pub(super) fn list<T: AsRef<str>>(items: &[T], most: usize) -> String {
    let shown: Vec<&str> = items.iter().take(most).map(AsRef::as_ref).collect();
    match items.len().saturating_sub(most) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A file name for people; control bytes are escaped.
pub(super) fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name)
        .chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn climbs_in_any_order() {
        let chain = certificates(include_str!("../../fixtures/clients/chains/wrong-order.pem"));
        assert_eq!(climb(&chain), [0, 2, 1]);
        assert_eq!(climb(&certificates(include_str!("../../fixtures/clients/chains/addtrust_A.pem"))), [0, 1, 2, 3]);
        assert!(climb(&[]).is_empty());
    }

    #[test]
    fn quotes_for_the_shell() {
        assert_eq!(shell("mozilla/X.crt"), "mozilla/X.crt");
        assert_eq!(shell("My Root's.crt"), r"'My Root'\''s.crt'");
        assert_eq!(shell(""), "''");
    }

    #[test]
    fn lists_and_counts() {
        assert_eq!(list(&["a", "b", "c"], 2), "a, b and 1 more");
        assert_eq!(list(&["a"], 2), "a");
        assert_eq!((count(1, "link"), count(2, "link")), ("1 link".into(), "2 links".into()));
    }
}
