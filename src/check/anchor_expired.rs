//! CD301.

use crate::{
    base::{Fingerprint, same},
    edit::Applicability,
    facts::{Anchor, Role, Store},
    finding::{Finding, Harm, Intent, Remedy, Severity},
    path::Verdict,
    x509::Certificate,
};

use super::{
    Case, ClientVerdict,
    support::{self, Place},
};

rule! {
    /// **What it means.** A trust anchor is past its notAfter. By itself that hurts nobody: lists keep such roots for years. It
    /// breaks connections when a client builds its path to this anchor although another would be valid — OpenSSL up to 1.0.2 and
    /// GnuTLS before 3.6.14 did so with AddTrust External CA Root on 30 May 2020 and with DST Root CA X3 on 30 September 2021 —
    /// and it is a risk where a client ignores the dates of anchors (Java, rustls). So each is graded by harm: `breaks-chain`
    /// (error) when a client refuses one of the targets because of it, `trusted-despite-expiry` (warning) when a client that
    /// ignores the date reads it here, else `clutter` (note). Where no target was named, no chain was looked at; AddTrust and DST
    /// Root CA X3, which are known to break old clients with servers that still send a cross-certificate, are a warning then.
    ///
    /// **How it is found.** notAfter of every certificate that a store's sources, bundle, hash directory or Java keystore hold;
    /// matched by SHA-256 of the DER, with file, line, links and hash aliases. The harm comes from judging the targets as each
    /// client would.
    ///
    /// **What to do.** Ask about the servers that matter: `certdoctor diagnose HOST`. Clutter: nothing, or upgrade the
    /// distribution's package. Else take the anchor out in the way that survives
    /// upgrades (`certdoctor fix --diff`); deleting its line or its file does not. If a client must follow a cross-certificate
    /// that the server sends, see CD208.
    ///
    /// **Sources.** RFC 5280, section 6.1.1 (an anchor is a name and a key); Debian bugs 961907 (AddTrust) and 995432 (DST Root
    /// CA X3); GnuTLS 3.6.14 release notes; RFC 4158.
    "CD301" "anchor-expired" Note "a trust anchor has expired"
}

/// Roots whose end made history, with the old clients that still stumble over servers which send the cross-certificate.
const HISTORIC: [(&str, &str); 2] = [
    (
        "687fa451382278fff0c8b11f8d43d576671c6eb2bceab413fb83d965d06d2ff2",
        "OpenSSL up to 1.0.2, GnuTLS before 3.6.14 and LibreSSL up to 3.1.2 refuse servers that still send USERTrust's or COMODO's \
         cross-certificate under it",
    ),
    (
        "0687260331a72403d909f105e69bcf0d32e1bd2493ffc6d9206d11bcd6770739",
        "OpenSSL up to 1.0.2, GnuTLS before 3.6.14 and LibreSSL up to 3.1.5 refuse servers that still send ISRG Root X1's \
         cross-certificate under it",
    ),
];

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let dead: Vec<_> = case
        .verdicts
        .iter()
        .filter_map(|v| support::dead(case, v, support::trusted(case)).and_then(|(_, anchor)| anchor).map(|anchor| (v, anchor)))
        .collect();
    for place in support::places(case, |c| c.is_expired(case.at)) {
        for anchor in &place.anchors {
            let refusals: Vec<&ClientVerdict> =
                dead.iter().filter(|(v, dead)| *dead == anchor.certificate && reads(v, anchor)).map(|(v, _)| *v).collect();
            out.push(finding(case, &place, anchor, &refusals));
        }
    }
}

fn finding(case: &Case<'_>, place: &Place<'_>, anchor: &Anchor, refusals: &[&ClientVerdict]) -> Finding {
    let certificate = &anchor.certificate;
    let label = certificate.label();
    let not_after = certificate.validity().not_after.unwrap_or(case.at);
    let since = case.at.relative(not_after);
    let despite = trusted_despite_expiry(case, anchor);
    let (harm, severity, message) = if !refusals.is_empty() {
        let mut clients: Vec<&str> = refusals.iter().map(|v| v.client.as_str()).collect();
        clients.dedup();
        let mut targets: Vec<&str> = refusals.iter().map(|v| case.facts.endpoints[v.endpoint].target.text.as_str()).collect();
        targets.dedup();
        let because = format!("{} refuse {} because of it", support::list(&clients, 3), support::list(&targets, 3));
        (Harm::BreaksChain, Severity::Error, format!("{label} expired {since}, and {because}"))
    } else if let Some(by) = &despite {
        (Harm::TrustedDespiteExpiry, Severity::Warning, format!("{label} expired {since}, and {by} still trusts it"))
    } else {
        (Harm::Clutter, Severity::Note, format!("{label} expired {since}; no client is hurt by it"))
    };
    // Nobody asked a server: what it would send is not known.
    let unasked = harm == Harm::Clutter && case.verdicts.is_empty();
    let message = if unasked { format!("{label} expired {since}; no chain was looked at") } else { message };
    let historic = HISTORIC.iter().find(|(sha256, _)| Fingerprint::parse(sha256) == Some(certificate.fingerprint()));
    let (severity, message) = match historic {
        Some(_) if unasked => {
            let effect = "old clients refuse servers that still send a cross-certificate under it";
            (Severity::Warning, format!("{label} expired {since}; {effect}"))
        }
        _ => (severity, message),
    };
    let mut finding = Finding::new(&CHECK, &label, message);
    finding.severity = severity;
    finding.harm = Some(harm);
    finding.facts = vec![
        ("subject", certificate.subject().to_string()),
        ("expired", not_after.to_string()),
        ("sha256", certificate.fingerprint().to_string()),
        ("store", place.title.clone()),
    ];
    if let Some(heir) = heir(case, place, certificate) {
        finding.facts.push(("replaced by", heir));
    }
    finding.facts.extend(historic.map(|(_, clients)| ("history", (*clients).to_owned())));
    finding.evidence = support::evidence(anchor);
    let mut targets: Vec<String> = refusals.iter().map(|v| case.facts.endpoints[v.endpoint].target.text.clone()).collect();
    targets.dedup();
    finding.targets = targets;
    // A package's own upgrade comes first; it does not touch what an administrator added.
    let packaged = place.store.filter(|s| !support::is_local(s, certificate));
    if let Some((package, command)) = packaged.and_then(support::upgrade) {
        let text = format!("upgrade {package}: newer lists leave expired roots out");
        let command = Some(command.to_owned());
        finding.remedies.push(Remedy::new(Intent::UpgradePackage(package), Applicability::Manual, text, command));
    }
    finding.remedies.push(support::distrust(place.store, certificate, &finding.evidence));
    finding
}

/// Whether the places that a client reads include one where this anchor is seen.
fn reads(verdict: &ClientVerdict, anchor: &Anchor) -> bool {
    let mut places = verdict.store.iter().filter(|s| s.starts_with('/')).peekable();
    if places.peek().is_none() {
        return true;
    }
    let seen = |place: &str| {
        anchor
            .origins
            .iter()
            .any(|o| [&o.path, &o.real].into_iter().any(|path| path.to_string() == place || path.parent().to_string() == place))
    };
    places.any(|place| seen(place))
}

/// Who trusts an expired anchor on this host without looking at its date.
fn trusted_despite_expiry(case: &Case<'_>, anchor: &Anchor) -> Option<String> {
    let ends_here = |v: &&ClientVerdict| {
        v.profile.ignores_anchor_dates
            && matches!(&v.verdict, Verdict::Trusted { path } if path.last() == Some(&anchor.certificate))
            && reads(v, anchor)
    };
    if let Some(verdict) = case.verdicts.iter().find(ends_here) {
        return Some(verdict.client.clone());
    }
    let derived = anchor.origins.iter().find(|o| o.role == Role::Derived)?;
    Some(format!("Java (by {})", derived.path))
}

/// A valid anchor of the same store with the same name or key: the renewed root.
fn heir(case: &Case<'_>, place: &Place<'_>, dead: &Certificate) -> Option<String> {
    let mut all = place.store.into_iter().flat_map(Store::anchors).map(|a| &a.certificate);
    let is_heir = |c: &Certificate| same(c.spki(), dead.spki()) || same(c.subject().raw(), dead.subject().raw());
    let heir = all.find(|c| !c.is_expired(case.at) && is_heir(c))?;
    let until = heir.validity().not_after?;
    Some(format!("{} ({}), in this store and valid to {until}", heir.label(), heir.fingerprint().short()))
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn is_clutter_when_nobody_is_hurt() {
        let world =
            World::at("2026-11-22").store(debian(&[("mozilla/AddTrust.crt", ADDTRUST), ("mozilla/USERTrust.crt", USERTRUST)]));
        let finding = world.one(&CHECK);
        // No server was asked, and this root has a history.
        assert_eq!((finding.severity, finding.harm), (Severity::Warning, Some(Harm::Clutter)));
        assert_eq!(
            finding.message,
            "AddTrust External CA Root expired 6 years ago; old clients refuse servers that still send a cross-certificate under it"
        );
        let other = World::at("2026-11-22").store(debian(&[("mozilla/Baltimore.crt", BALTIMORE)])).one(&CHECK);
        assert_eq!(other.severity, Severity::Note);
        assert!(other.message.ends_with("; no chain was looked at"), "{}", other.message);
        // A server was, and nobody is hurt.
        let asked = World::at("2026-11-22").store(debian(&[("mozilla/AddTrust.crt", ADDTRUST)]));
        let asked = asked.presenting("localhost", CHAIN_PLAIN).accepted(&OPENSSL, certificates(CHAIN_PLAIN)).one(&CHECK);
        assert_eq!(asked.severity, Severity::Note);
        assert!(asked.message.ends_with("; no client is hurt by it"), "{}", asked.message);
        let places: Vec<String> = finding.evidence.iter().map(|e| e.path.as_ref().expect("a path").to_string()).collect();
        assert_eq!(
            places,
            [
                "/usr/share/ca-certificates/mozilla/AddTrust.crt",
                "/etc/ssl/certs/ca-certificates.crt",
                "/etc/ssl/certs/157753a5.0",
                "/etc/ssl/certs/AddTrust.pem",
            ]
        );
        assert!(finding.facts.iter().any(|(name, _)| *name == "history"));
        assert!(matches!(finding.remedies[0].intent, Intent::UpgradePackage("ca-certificates")));
        assert_eq!(finding.remedies[1].command.as_deref(), Some("certdoctor fix --anchor 687fa451382278ff --diff"));
    }

    #[test]
    fn is_an_error_when_a_client_refuses_because_of_it() {
        let (a, chain) = (certificate(STORE_A), certificates(CHAIN_ADDTRUST));
        let path: Vec<_> = chain.into_iter().chain([a]).collect();
        let store = debian(&[("mozilla/A.crt", STORE_A), ("mozilla/U.crt", STORE_U)]);
        let world = World::at(LAB).store(store).presenting("localhost", CHAIN_ADDTRUST).expired(&OLD_OPENSSL, path.clone(), 3);
        let finding = world.one(&CHECK);
        assert_eq!((finding.severity, finding.harm), (Severity::Error, Some(Harm::BreaksChain)));
        assert_eq!(finding.targets, ["localhost"]);
        // The expired cross-certificate was reported: its issuer is the anchor.
        let store = debian(&[("mozilla/A.crt", STORE_A), ("mozilla/U.crt", STORE_U)]);
        let world =
            World::at(LAB).store(store).presenting("localhost", CHAIN_ADDTRUST).expired(&OLD_OPENSSL, path[..3].to_vec(), 2);
        assert_eq!(world.one(&CHECK).harm, Some(Harm::BreaksChain));
    }

    #[test]
    fn is_a_warning_when_java_still_trusts_it() {
        let mut store = debian(&[("mozilla/A.crt", STORE_A)]);
        store.derived.push(cert_file("/etc/ssl/certs/java/cacerts", STORE_A));
        let finding = World::at(LAB).store(store).one(&CHECK);
        assert_eq!((finding.severity, finding.harm), (Severity::Warning, Some(Harm::TrustedDespiteExpiry)));

        let path = vec![certificates(CHAIN_DST).remove(0), certificate(STORE_A2)];
        let world = World::at(LAB).store(debian(&[("mozilla/A2.crt", STORE_A2)])).presenting("localhost", CHAIN_DST);
        assert_eq!(world.accepted(&JAVA, path).one(&CHECK).harm, Some(Harm::TrustedDespiteExpiry));
    }

    #[test]
    fn asks_before_a_local_anchor_goes() {
        let finding = World::at(LAB).store(debian(&[("corp.crt", STORE_A)])).one(&CHECK);
        assert_eq!(finding.remedies.len(), 1);
        assert_eq!(finding.remedies[0].applicability, Applicability::Ask);
    }

    #[test]
    fn is_silent_the_second_before() {
        let world = World::at("2020-05-30T10:48:38Z").store(debian(&[("mozilla/AddTrust.crt", ADDTRUST)]));
        world.silent(&CHECK);
    }
}
