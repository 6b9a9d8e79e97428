//! CD501.

use crate::{
    edit::Applicability,
    facts::Anchor,
    finding::{Finding, Intent, Remedy},
    path::Attempt,
    x509::Certificate,
};

use super::{Case, ClientVerdict, expired_cross_sign_presented::CrossSigns, support};

rule! {
    /// **What it means.** The cause of the night of 30 May 2020: a client refuses the target because the path that it built ends
    /// at an anchor that has expired (or goes through a cross-certificate that has), while a valid path exists that it does not
    /// try — or the dead anchor is the only way left. Which clients choose it, and which find the other way, is told by name.
    ///
    /// **How it is found.** Every client's own algorithm is run over what was presented and what it trusts; every path that
    /// exists is listed beside it.
    ///
    /// **What to do.** Depending on the client: take the dead anchor out of the store (then OpenSSL 1.0.2 and old GnuTLS find the
    /// other path), have the server stop sending the cross-certificate (where a client must follow what is sent), or upgrade the
    /// client. Each remedy says which clients it helps.
    ///
    /// **Sources.** OpenSSL's X509_V_FLAG_TRUSTED_FIRST (default from 1.1.0); GnuTLS 3.6.14, commit cdf075e7f; RFC 4158; measured
    /// with 80 client configurations.
    "CD501" "dead-anchor-chosen" Error "a client chose an expired anchor or cross-certificate"
}

/// The first version of a family that finds the other path.
const CURED: [(&str, &str); 4] =
    [("openssl", "OpenSSL 1.1.0"), ("gnutls", "GnuTLS 3.6.14"), ("libressl", "LibreSSL 3.2.0"), ("node", "Node.js 10")];

/// One dead certificate and who stumbles over it.
struct Dead<'v> {
    /// The anchor, or the cross-certificate where no anchor is behind it.
    certificate: Certificate,
    is_anchor: bool,
    refusing: Vec<&'v ClientVerdict>,
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let trusted = support::trusted(case);
    let cross_signs = CrossSigns::new(case);
    for (index, endpoint, presented) in support::presented(case) {
        let mut groups: Vec<Dead<'_>> = Vec::new();
        for verdict in support::verdicts(case, index) {
            let Some((certificate, anchor)) = support::dead(case, verdict, trusted) else { continue };
            let cross = cross_signs.dead(certificate, &presented.certificates).is_some();
            let is_anchor = anchor.is_some();
            if !is_anchor && !cross {
                continue;
            }
            let certificate = anchor.unwrap_or_else(|| certificate.clone());
            match groups.iter_mut().find(|g| g.certificate == certificate) {
                Some(group) => group.refusing.push(verdict),
                None => groups.push(Dead { certificate, is_anchor, refusing: vec![verdict] }),
            }
        }
        for dead in groups {
            let valid = case.paths.get(index).and_then(|paths| paths.iter().find(|p| p.anchored && p.rejections.is_empty()));
            let mut finding = describe(case, index, &dead, valid);
            let places = support::places(case, |c| *c == dead.certificate);
            let held: Vec<_> = places.iter().flat_map(|p| p.anchors.iter().map(move |a| (p, a))).collect();
            finding.evidence = held.iter().flat_map(|(_, a): &(_, &Anchor)| support::evidence(a)).collect();
            // What is sent and leads to it: the cross-certificate itself, or what the anchor signed.
            let leads_there = |c: &&(usize, &Certificate)| {
                c.1 == &dead.certificate
                    || dead.is_anchor && c.1.is_ca() && !support::is_self_signed(c.1) && support::issued(&dead.certificate, c.1)
            };
            let certificates = &presented.certificates;
            let sent: Vec<(usize, &Certificate)> = certificates.iter().enumerate().skip(1).collect();
            let sent: Vec<_> = sent.iter().filter(leads_there).collect();
            finding.evidence.extend(sent.iter().map(|(at, _)| support::sent(endpoint, presented, *at)));
            for (place, anchor) in &held {
                finding.remedies.push(support::distrust(place.store, &anchor.certificate, &finding.evidence));
            }
            let target = &endpoint.target;
            for (_, cross) in &sent {
                let text = format!(
                    "have {target} stop sending the cross-certificate of {} under {}",
                    cross.label(),
                    cross.issuer().label()
                );
                let command = format!("certdoctor inspect --showcerts {}", support::shell(&target.text));
                let intent = Intent::StopServing((*cross).clone());
                finding.remedies.push(Remedy::new(intent, Applicability::Manual, text, Some(command)));
            }
            finding.remedies.extend(valid.into_iter().flat_map(|_| upgrades(&dead.refusing)));
            if valid.is_none() {
                let text = "bring the root that replaced it into the store: no other path leads to an anchor of this host";
                let command = case.facts.stores.iter().find_map(support::upgrade).map(|(_, command)| command.to_owned());
                finding.remedies.push(Remedy::new(Intent::Trust(None), Applicability::Manual, text, command));
            }
            out.push(finding);
        }
    }
}

fn describe(case: &Case<'_>, index: usize, dead: &Dead<'_>, valid: Option<&Attempt>) -> Finding {
    let target = &case.facts.endpoints[index].target;
    let label = dead.certificate.label();
    let (_, accepting) = support::refusing_and_accepting(case, index);
    let mut refusing: Vec<&str> = dead.refusing.iter().map(|v| v.client.as_str()).collect();
    refusing.dedup();
    let what =
        if dead.is_anchor { label.clone() } else { format!("the cross-certificate under {}", dead.certificate.issuer().label()) };
    let since = dead.certificate.validity().not_after.map_or_else(String::new, |end| format!(" (expired {end})"));
    let way_out = match valid.and_then(|v| v.path.last()) {
        Some(root) => format!("a valid path to {} exists", root.label()),
        None => "there is no other path".to_owned(),
    };
    let clients = support::list(&refusing, 3);
    let verb = if refusing.len() == 1 { "refuses" } else { "refuse" };
    let message = format!("{clients} {verb} {target} over {what}{since}; {way_out}");
    let mut finding = support::about(&CHECK, target, message);
    finding.facts = vec![("dead certificate", format!("{label} ({})", dead.certificate.fingerprint()))];
    if let Some(path) = dead
        .refusing
        .first()
        .and_then(|v| if let crate::path::Verdict::Untrusted { path, .. } = &v.verdict { Some(path) } else { None })
    {
        finding.facts.push(("path chosen", way(path)));
    }
    finding.facts.extend(valid.map(|v| ("valid path", way(&v.path))));
    finding.facts.push(("refused by", support::list(&refusing, 12)));
    if !accepting.is_empty() {
        finding.facts.push(("accepted by", support::list(&accepting, 12)));
    }
    finding
}

/// A path in words, leaf first.
fn way(path: &[Certificate]) -> String {
    path.iter().map(Certificate::label).collect::<Vec<_>>().join(" ← ")
}

/// The upgrades that cure the families that refuse.
fn upgrades(refusing: &[&ClientVerdict]) -> Vec<Remedy> {
    let cured = CURED.iter().filter(|(family, _)| refusing.iter().any(|v| v.profile.family == *family));
    cured
        .map(|(family, version)| {
            let text = format!("upgrade to {version} or later, which finds the valid path");
            Remedy::new(Intent::UpgradeClient(family, (*version).to_owned()), Applicability::Manual, text, None)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    fn addtrust() -> (World, Vec<Certificate>) {
        let path: Vec<_> = certificates(CHAIN_ADDTRUST).into_iter().chain([certificate(STORE_A)]).collect();
        let store = debian(&[("mozilla/A.crt", STORE_A), ("mozilla/U.crt", STORE_U)]);
        (World::at(LAB).store(store).presenting("localhost", CHAIN_ADDTRUST), path)
    }

    #[test]
    fn catches_the_night_of_30_may_2020() {
        let (world, path) = addtrust();
        let valid: Vec<_> = path[..2].iter().cloned().chain([certificate(STORE_U)]).collect();
        let mut world = world.expired(&OLD_OPENSSL, path, 3).accepted(&OPENSSL, valid.clone());
        world.paths[0].push(Attempt { path: valid, anchored: true, rejections: Vec::new() });
        let finding = world.one(&CHECK);
        assert_eq!(
            finding.message,
            "openssl-1.0.2 refuses localhost over Lab AddTrust External CA Root (expired 2020-05-30T10:48:38Z); \
             a valid path to Lab USERTrust RSA CA exists"
        );
        assert!(finding.evidence.iter().any(|e| e.path.as_ref().is_some_and(|p| p.name().ends_with(b".0"))), "no hash alias");
        assert!(finding.evidence.iter().any(|e| e.what == "certificate 3 of 3 from localhost"));
        let intents: Vec<_> = finding.remedies.iter().map(|r| std::mem::discriminant(&r.intent)).collect();
        let a = certificate(STORE_A);
        let wanted = [
            Intent::Distrust(a.clone(), "debian"),
            Intent::StopServing(a),
            Intent::UpgradeClient("openssl", "OpenSSL 1.1.0".into()),
        ];
        assert_eq!(intents, wanted.each_ref().map(std::mem::discriminant));
        assert!(finding.facts.contains(&("accepted by", "openssl-3".into())));
    }

    #[test]
    fn says_when_there_is_no_other_path() {
        let (world, path) = addtrust();
        let finding = world.expired(&OLD_OPENSSL, path, 3).one(&CHECK);
        assert!(finding.message.ends_with("there is no other path"), "{}", finding.message);
        assert!(finding.remedies.iter().any(|r| matches!(r.intent, Intent::Trust(None))));
    }

    #[test]
    fn is_silent_about_plain_expiry() {
        let chain = include_str!("../../fixtures/clients/chains/expired-int.pem");
        let world = World::at(LAB).store(cert_pem(STORE_U)).presenting("localhost", chain);
        world.expired(&OPENSSL, certificates(chain), 1).silent(&CHECK);
        let (world, path) = addtrust();
        world.accepted(&OPENSSL, path).silent(&CHECK);
    }
}
