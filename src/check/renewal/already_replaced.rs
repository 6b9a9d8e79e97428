//! CD745.

use crate::{
    check::Case,
    edit::{Applicability, Change},
    facts::{
        Renewal,
        renewal::certmagic::{LogEvent, LogLine, Site},
    },
    finding::{Evidence, Finding, Intent, Remedy, Severity},
    x509::Certificate,
};

rule! {
    /// **What it means.** A renewal says which certificate it replaces (RFC 9773, `replaces`), and a CA lets each be replaced once: a
    /// second order is refused with 409, `alreadyReplaced` (`conflict` until 2025). When the refused certificate is the one in this storage, another instance with a
    /// copy of the storage replaced it, or a run whose result was lost. CertMagic 0.21 to 0.25.1 asks again in the same way for ever. (Caddy itself
    /// says of no order what it replaces, measured with 2.8.4 to 2.11.7; other programs that keep certificates with CertMagic do.)
    ///
    /// **How it is found.** The serial number in the refusal, in the logs, is that of the leaf in the storage. (After a renewal it is
    /// another, and there is no finding.)
    ///
    /// **What to do.** The patch takes `"ca"` out of the certificate's `.json`; without it CertMagic leaves `replaces` out of the order, and the renewal works; what it
    /// stores then has a `"ca"` again. Upgrade to CertMagic 0.25.2 or later, which asks again without `replaces`. Where instances share a domain, let them share
    /// the storage.
    ///
    /// **Sources.** caddyserver/certmagic #334 and #361; mholt/acmez 3.1.6; the deadlock and its cure were reproduced with CertMagic 0.25.2 and pebble.
    "CD745" "already-replaced" Warning "the CA refuses to renew, since the certificate has been replaced already"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = &case.facts.renewal else { return };
    // Most logs tell of none.
    let refusals: Vec<&LogLine> =
        renewal.certmagic.log.iter().filter(|line| matches!(line.event, LogEvent::AlreadyReplaced(Some(_)))).collect();
    if refusals.is_empty() {
        return;
    }
    for site in renewal.certmagic.storages.iter().flat_map(|s| &s.sites) {
        let Some(leaf) = site.certificate.content.as_ref().ok().and_then(|chain| chain.first()) else { continue };
        let lines: Vec<&LogLine> = refusals.iter().copied().filter(|line| is_about(line, leaf)).collect();
        if let (Some(last), Ok(metadata)) = (lines.last(), &site.metadata.content)
            && metadata.ca.is_some()
        {
            out.push(finding(case, renewal, site, leaf, last, lines.len()));
        }
    }
}

/// The refusal names this certificate.
fn is_about(line: &LogLine, leaf: &Certificate) -> bool {
    let serial: String = leaf.serial().iter().map(|b| format!("{b:02x}")).collect();
    let plain = |serial: &str| serial.trim_start_matches('0').to_owned();
    matches!(&line.event, LogEvent::AlreadyReplaced(Some(refused)) if plain(refused) == plain(&serial))
}

fn finding(case: &Case<'_>, renewal: &Renewal, site: &Site, leaf: &Certificate, last: &LogLine, n: usize) -> Finding {
    let domain = site.domain();
    let message =
        format!("the CA refuses to renew {domain}: the certificate in this storage has been replaced by another order already");
    let mut finding = Finding::new(&CHECK, site.path.to_string(), message);
    if leaf.is_expired(case.at) {
        finding.severity = Severity::Error;
    }
    let serial: String = leaf.serial().iter().map(|b| format!("{b:02x}")).collect();
    finding.facts = vec![("serial", serial), ("refusals in the log", n.to_string()), ("last refusal", last.at.to_string())];
    let metadata = site.metadata.content.as_ref().ok();
    if let Some(selected) = metadata.and_then(|m| m.selected) {
        finding.facts.push(("was to be renewed", selected.to_string()));
    }
    finding.evidence.push(Evidence::file(&last.path, last.line, "refusal"));
    finding.lineages = renewal.lineage_at(&site.certificate.path).map(|l| (l.manager, l.name.clone())).into_iter().collect();
    if let Some(metadata) = metadata
        && let (Some(read), Some(at)) = (metadata.read, metadata.ca_span.clone())
    {
        finding.evidence.push(Evidence::file(
            &site.metadata.path,
            metadata.ca_line,
            "`ca`, which makes it ask for a replacement",
        ));
        let change = Change::Splice { path: site.metadata.path.clone(), read, at, with: Vec::new() };
        let text = format!("take \"ca\" out of the metadata of {domain}, so that the next order replaces nothing");
        finding.remedies.push(Remedy::new(Intent::Patch(vec![change]), Applicability::Auto, text, None));
    }
    let text = "then restart the server, which renews it";
    finding.remedies.push(Remedy::new(Intent::Manual, Applicability::Manual, text, Some("systemctl restart caddy".to_owned())));
    let text =
        "upgrade what uses CertMagic to 0.25.2 or later (Caddy 2.11), and let instances that serve one domain share one storage";
    finding.remedies.push(Remedy::new(Intent::Manual, Applicability::Manual, text, None));
    finding
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::At, check::testing::*, facts::renewal::certmagic::Metadata};

    fn world(serial: Option<&str>, ca: Option<&str>) -> World {
        let mut site = site("a.test");
        let leaf = site.certificate.content.as_ref().expect("a chain")[0].clone();
        let own: String = leaf.serial().iter().map(|b| format!("{b:02x}")).collect();
        site.metadata.content = Ok(Metadata { ca: ca.map(str::to_owned), ..Metadata::default() });
        let event = LogEvent::AlreadyReplaced(Some(serial.unwrap_or(&own).to_owned()));
        let line = LogLine { path: "/var/log/caddy/x.log".into(), line: Some(7), at: At(1), name: Some("a.test".into()), event };
        World::at("2026-11-22").storage(|storage| storage.sites.push(site)).renewal(|r| r.certmagic.log.push(line))
    }

    #[test]
    fn a_refusal_of_the_stored_certificate_is_found() {
        let found = world(None, Some("https://ca.test/dir")).one(&CHECK);
        assert_eq!(found.severity, Severity::Warning);
        assert_eq!(found.evidence[0].line, Some(7));
    }

    #[test]
    fn an_old_refusal_and_a_cured_one_are_silent() {
        world(Some("1234"), Some("https://ca.test/dir")).silent(&CHECK);
        world(None, None).silent(&CHECK);
    }
}
