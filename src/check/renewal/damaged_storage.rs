//! CD747.

use crate::{
    base::TreePath,
    check::Case,
    edit::{Applicability, Change, Precondition},
    facts::{
        Renewal,
        renewal::certmagic::{Account, Defect, Site, aside},
    },
    finding::{Evidence, Finding, Intent, Remedy, Severity},
};

rule! {
    /// **What it means.** CertMagic keeps each certificate as three files (`.crt`, `.key`, `.json`) in a folder of its own. When one is
    /// missing it obtains the certificate anew. When one is there and damaged (empty, cut off, a key of another certificate), it does
    /// not: Caddy 2.6 to 2.11.4 refuses to start, with all its sites; 2.11.7 starts and has no certificate for this one. A running server fails to renew it. An account key that is damaged
    /// makes every renewal with that CA fail.
    ///
    /// **How it is found.** The three files of each folder are read as CertMagic reads them, and the public half of the key is
    /// compared with the certificate's. Files that can't be read for want of permission are CD748's.
    ///
    /// **What to do.** The patch gives the damaged folder (or the account's key) another name beside it, so that the next start
    /// obtains it anew; nothing is copied or deleted. Then restart the server. A folder whose domain the server no longer manages harms nobody: the
    /// same patch is right for it.
    ///
    /// **Sources.** CertMagic's `crypto.go` and `account.go`; each damage is injected into the storages of Caddy 2.6.2 and 2.11.7 by
    /// `tests/caddy`.
    "CD747" "damaged-storage" Error "a damaged file in CertMagic's storage keeps a certificate from being loaded or renewed"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = &case.facts.renewal else { return };
    for storage in &renewal.certmagic.storages {
        out.extend(storage.sites.iter().filter(|s| s.is_whole()).filter_map(|site| of_site(case, renewal, site)));
        out.extend(storage.accounts.iter().filter_map(|account| of_account(case, renewal, account)));
    }
}

/// A file's damage as evidence, and what CertMagic says about it.
fn damage(path: &TreePath, defect: &Defect, what: &'static str) -> Option<(Evidence, &'static str)> {
    let says = match what {
        "certificate" => "tls: failed to find any PEM data in certificate input",
        "key" => "tls: failed to find any PEM data in key input",
        _ => "decoding certificate metadata",
    };
    match defect {
        Defect::Missing | Defect::Unreadable(_) => None,
        Defect::Empty => Some((Evidence::file(path, None, format!("{what}, which is empty")), says)),
        Defect::Malformed(why, line) => Some((Evidence::file(path, *line, format!("{what}, which {why}")), says)),
    }
}

fn of_site(case: &Case<'_>, renewal: &Renewal, site: &Site) -> Option<Finding> {
    let mut damages = Vec::new();
    damages.extend(site.certificate.content.as_ref().err().and_then(|d| damage(&site.certificate.path, d, "certificate")));
    damages.extend(site.key.content.as_ref().err().and_then(|d| damage(&site.key.path, d, "key")));
    damages.extend(site.metadata.content.as_ref().err().and_then(|d| damage(&site.metadata.path, d, "metadata")));
    if site.key.content == Ok(Some(false)) {
        let what = "key, which is not the certificate's";
        damages.push((Evidence::file(&site.key.path, None, what), "tls: private key does not match public key"));
    }
    let (first, says) = damages.first()?;
    let domain = site.domain();
    // The reader's own words stand with the place.
    let what = first.what.replacen(", which", "", 1);
    let what = what.split(" (").next().unwrap_or_default();
    let message = format!("a server that starts can't load the certificate of {domain}: the {what} ({})", file_name(first));
    let mut finding = Finding::new(&CHECK, site.path.to_string(), message);
    finding.facts = vec![("domain", domain.clone()), ("CA", site.ca.clone()), ("what the server says", (*says).to_owned())];
    finding.evidence = damages.iter().map(|(evidence, _)| evidence.clone()).collect();
    finding.lineages = renewal.lineage_at(&site.certificate.path).map(|l| (l.manager, l.name.clone())).into_iter().collect();
    let text = format!("set the folder of {domain} aside, so that it is obtained anew");
    finding.remedies.push(set_aside(case, &site.path, site.shape, text));
    finding.remedies.push(restart());
    Some(finding)
}

fn of_account(case: &Case<'_>, renewal: &Renewal, account: &Account) -> Option<Finding> {
    let why = match account.key.content.as_ref().err()? {
        Defect::Missing | Defect::Unreadable(_) => return None,
        defect => defect.to_string(),
    };
    let message = format!("no certificate is renewed with the ACME account {}: its key {why}", account.email);
    let mut finding = Finding::new(&CHECK, account.key.path.to_string(), message);
    let of_ca = |site: &&Site| site.ca == account.ca;
    let sites = renewal.certmagic.storages.iter().flat_map(|s| &s.sites).filter(of_ca);
    let lineages: Vec<_> = sites.filter_map(|s| renewal.lineage_at(&s.certificate.path)).collect();
    // Served still, and to fail at the next renewal.
    let has_lapsed = lineages.is_empty() || lineages.iter().any(|l| l.leaf().is_none_or(|leaf| leaf.is_expired(case.at)));
    finding.severity = if has_lapsed { Severity::Error } else { Severity::Warning };
    let says = "could not decode account's private key: failed to decode PEM block";
    finding.facts = vec![("CA", account.ca.clone()), ("what the server says", says.to_owned())];
    finding.evidence = vec![Evidence::file(&account.key.path, None, "account key")];
    finding.lineages = lineages.iter().map(|l| (l.manager, l.name.clone())).collect();
    let text = format!("set the key of the account {} aside, so that it is registered anew", account.email);
    finding.remedies.push(set_aside(case, &account.key.path, account.shape, text));
    finding.remedies.push(restart());
    Some(finding)
}

fn file_name(evidence: &Evidence) -> String {
    evidence.path.as_ref().map(|path| String::from_utf8_lossy(path.name()).into_owned()).unwrap_or_default()
}

fn set_aside(case: &Case<'_>, path: &TreePath, shape: Option<crate::base::Fingerprint>, text: String) -> Remedy {
    let to = aside(path, case.at);
    match shape {
        Some(shape) => {
            let change = Change::Move { path: path.clone(), was: Precondition::Shape(shape), to };
            Remedy::new(Intent::Patch(vec![change]), Applicability::Auto, text, None)
        }
        None => {
            let command = format!("mv {} {}", crate::base::shell(&path.to_string()), crate::base::shell(&to.to_string()));
            Remedy::new(Intent::Manual, Applicability::Manual, text, Some(command))
        }
    }
}

fn restart() -> Remedy {
    let text = "then restart the server, which obtains what is missing, and look again";
    Remedy::new(Intent::Manual, Applicability::Manual, text, Some("systemctl restart caddy && certdoctor renewal".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{check::testing::*, facts::renewal::certmagic::File};

    fn world(change: impl FnOnce(&mut Site)) -> World {
        World::at("2026-11-22").storage(|storage| {
            let mut site = site("a.test");
            change(&mut site);
            storage.sites.push(site);
        })
    }

    #[test]
    fn each_damage_is_named() {
        let found = world(|s| s.metadata.content = Err(Defect::Malformed("is cut off".into(), Some(1)))).one(&CHECK);
        assert_eq!(
            found.message,
            "a server that starts can't load the certificate of a.test: the metadata is cut off (a.test.json)"
        );
        assert!(matches!(&found.remedies[0].intent, Intent::Patch(changes) if matches!(&changes[..], [Change::Move { .. }])));
        assert_eq!(
            world(|s| s.key.content = Ok(Some(false))).one(&CHECK).evidence[0].what,
            "key, which is not the certificate's"
        );
        assert_eq!(world(|s| s.certificate.content = Err(Defect::Empty)).one(&CHECK).severity, Severity::Error);
    }

    #[test]
    fn an_empty_account_key_is_named() {
        let key = File { path: "/s/acme/ca/users/a@b/a.key".into(), content: Err(Defect::Empty) };
        let registration = File { path: "/s/acme/ca/users/a@b/a.json".into(), content: Ok(()) };
        let account =
            Account { path: "/s/acme/ca/users/a@b".into(), shape: None, ca: "ca".into(), email: "a@b".into(), key, registration };
        let world = World::at("2026-11-22").storage(|storage| storage.accounts.push(account));
        assert_eq!(world.one(&CHECK).severity, Severity::Error);
    }

    #[test]
    fn what_is_missing_heals_and_what_may_not_be_read_is_not_judged() {
        world(|_| {}).silent(&CHECK);
        world(|s| s.key.content = Err(Defect::Missing)).silent(&CHECK);
        world(|s| s.key.content = Err(Defect::Unreadable("permission denied".into()))).silent(&CHECK);
        world(|s| {
            s.metadata.content = Err(Defect::Empty);
            s.key.content = Err(Defect::Missing);
        })
        .silent(&CHECK);
        world(|s| s.key.content = Ok(None)).silent(&CHECK);
    }
}
