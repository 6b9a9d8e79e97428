//! CD738.

use crate::{
    check::Case,
    edit::Applicability,
    facts::{
        Renewal,
        renewal::certmagic::{LogEvent, LogLine, Storage},
    },
    finding::{Evidence, Finding, Intent, Remedy, Severity},
};

rule! {
    /// **What it means.** Several servers stand behind one balancer, and each has its own CertMagic storage. One of them asks for a certificate; the CA's
    /// validation reaches another, which knows of no challenge, refuses the handshake with alert 80 (`tls: internal error`), and the
    /// certificate is not issued.
    ///
    /// **How it is found.** This server's log says `no information found to solve challenge` three times or more within two seconds
    /// for one name, newer than the certificate: a CA validates from several places at once. (A single such line may come from
    /// a scanner, or from the handshake that this program makes.)
    ///
    /// **What to do.** Let all servers use one storage (a shared file system, or one of CertMagic's storage modules); or let one server alone
    /// obtain certificates, and pass the challenges on to it; or use dns-01.
    ///
    /// **Sources.** Reproduced with two instances of Caddy 2.11; caddyserver.com/docs/automatic-https#storage.
    "CD738" "unshared-storage" Warning "challenges of another server's order come here: the storage is not shared"
}

/// So many lines in so few seconds are a CA.
const LINES: usize = 3;
const SECONDS: i64 = 2;

/// Days for which the log counts where no certificate tells that it is history.
const RECENT: i64 = 14;

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = &case.facts.renewal else { return };
    let unknown: Vec<&LogLine> = renewal.certmagic.log.iter().filter(|line| line.event == LogEvent::UnknownChallenge).collect();
    let mut names: Vec<&String> = unknown.iter().filter_map(|line| line.name.as_ref()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let lines: Vec<&LogLine> = unknown.iter().filter(|line| line.name.as_ref() == Some(name)).copied().collect();
        out.extend(finding(case, renewal, name, &lines));
    }
}

fn finding(case: &Case<'_>, renewal: &Renewal, name: &str, lines: &[&LogLine]) -> Option<Finding> {
    // They are in the order of time.
    let burst = lines.windows(LINES).rev().find(|w| w[LINES - 1].at.0 - w[0].at.0 <= SECONDS)?;
    let last = burst[LINES - 1];
    let lineages: Vec<_> = renewal
        .lineages
        .iter()
        .filter(|l| l.manager == "certmagic" && (l.name == name || l.names().iter().any(|n| n == name)))
        .collect();
    let is_newer = |begin| last.at > begin;
    if lineages.is_empty() && last.at.days_until(case.at) >= RECENT {
        return None;
    }
    let leaf = lineages.iter().filter_map(|l| l.leaf()).max_by_key(|leaf| leaf.validity().not_before);
    if !leaf.and_then(|leaf| leaf.validity().not_before).is_none_or(is_newer) {
        return None;
    }
    let message = format!("the CA validated {name} here, but another server ordered the certificate: their storages are not one");
    let mut finding = Finding::new(&CHECK, name, message);
    if leaf.is_none_or(|leaf| leaf.is_expired(case.at)) {
        finding.severity = Severity::Error;
    }
    finding.facts = vec![("validations without a challenge", lines.len().to_string()), ("last", last.at.to_string())];
    let storages: &[Storage] = &renewal.certmagic.storages;
    finding.facts.extend(storages.iter().map(|s| {
        let instance = s.instance.as_deref().map_or_else(String::new, |id| format!(", cleaned last by instance {id}"));
        ("storage", format!("{} ({}){instance}", s.path, s.found_by))
    }));
    finding.evidence = burst.iter().map(|line| Evidence::file(&line.path, line.line, "challenge that is not known")).collect();
    finding.lineages = lineages.iter().map(|l| (l.manager, l.name.clone())).collect();
    let text = "let every server behind the balancer use one storage (Caddyfile: `storage file_system` on a shared mount, or a storage module), \
                or use dns-01";
    finding.remedies.push(Remedy::new(Intent::Manual, Applicability::Manual, text, None));
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::At, check::testing::*};

    fn world(times: &[i64]) -> World {
        let at = At::parse("2026-11-20").expect("a time");
        World::at("2026-11-22").storage(|storage| storage.sites.push(site("a.test"))).renewal(|renewal| {
            renewal.certmagic.log.extend(times.iter().map(|seconds| LogLine {
                path: "/var/log/caddy/caddy.log".into(),
                line: None,
                at: At(at.0 + seconds),
                name: Some("a.test".into()),
                event: LogEvent::UnknownChallenge,
            }));
        })
    }

    #[test]
    fn a_ca_that_comes_from_several_places_is_told() {
        let found = world(&[0, 0, 1]).one(&CHECK);
        assert_eq!((found.severity, found.lineages.len()), (Severity::Warning, 1));
    }

    #[test]
    fn single_lines_and_old_ones_are_silent() {
        world(&[0, 60, 120, 180]).silent(&CHECK);
        world(&[0, 1]).silent(&CHECK);
        let year = -360 * 86_400;
        world(&[year, year, year]).silent(&CHECK);
    }
}
