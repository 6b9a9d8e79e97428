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

use super::support;

rule! {
    /// **What it means.** Several servers stand behind one balancer, and each has its own CertMagic storage. One of them asks for a certificate; the CA's
    /// validation reaches another, which knows of no challenge, refuses the handshake with alert 80 (`tls: internal error`), and the
    /// certificate is not issued.
    ///
    /// **How it is found.** By this server's log, in lines newer than the certificate. Either the CA refused this server's own order because it met the
    /// challenge of another order (`Invalid acmeValidation extension value`), or alert 80; or `no information found to solve challenge` stands there three
    /// times or more within two seconds for one name, since a CA validates from several places at once, or once beside a failed order of this
    /// server's own. (A single such line alone may come from a scanner, or from the handshake that this program makes.)
    ///
    /// **What to do.** Let all servers use one storage (a shared file system, or one of CertMagic's storage modules); or let one server alone
    /// obtain certificates, and pass the challenges on to it; or use dns-01.
    ///
    /// **Sources.** Reproduced with two Caddys behind haproxy (`tests/caddy/balancer.rs`); `va/tlsalpn.go` of Boulder, which asks from its first place
    /// alone and, if that fails, from no other; caddyserver.com/docs/automatic-https#storage.
    "CD738" "unshared-storage" Warning "challenges of another server's order come here: the storage is not shared"
}

/// So many lines in so few seconds are a CA.
const LINES: usize = 3;
const SECONDS: i64 = 2;

/// Seconds between a failed order of this server's own and a validation that it knows nothing of: orders are tried again after a minute at first.
const TOGETHER: i64 = 60;

/// Days for which the log counts where no certificate tells that it is history.
const RECENT: i64 = 14;

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = &case.facts.renewal else { return };
    let tells = |line: &&LogLine| matches!(line.event, LogEvent::UnknownChallenge | LogEvent::AlpnRefused(_));
    let telling: Vec<&LogLine> = renewal.certmagic.log.iter().filter(tells).collect();
    let mut names: Vec<&String> = telling.iter().filter_map(|line| line.name.as_ref()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let lines: Vec<&LogLine> = telling.iter().filter(|line| line.name.as_ref() == Some(name)).copied().collect();
        out.extend(finding(case, renewal, name, &lines));
    }
}

/// What the lines about one name tell, and those that tell it; the newest last.
fn sign<'a>(name: &str, lines: &[&'a LogLine]) -> Option<(String, Vec<&'a LogLine>)> {
    let (unknown, refused): (Vec<&LogLine>, Vec<&LogLine>) = lines.iter().partition(|l| l.event == LogEvent::UnknownChallenge);
    let burst = unknown.windows(LINES).rev().find(|w| w[LINES - 1].at.0 - w[0].at.0 <= SECONDS);
    if let Some(burst) = burst {
        let message =
            format!("the CA validated {name} here, but another server ordered the certificate: their storages are not one");
        return Some((message, burst.to_vec()));
    }
    let message =
        format!("this server ordered a certificate for {name}, and another answered the CA: their storages are not one");
    if let Some(line) = refused.iter().rev().find(|line| line.event.tells_of_another_instance()) {
        return Some((message, vec![line]));
    }
    // pebble says only that it could not connect, whatever the alert was.
    let hidden = |l: &&&LogLine| matches!(&l.event, LogEvent::AlpnRefused(words) if words.starts_with("Failed to connect to "));
    refused.iter().rev().filter(hidden).find_map(|order| {
        let other = unknown.iter().rev().find(|line| (line.at.0 - order.at.0).abs() <= TOGETHER)?;
        let mut both = vec![*order, *other];
        both.sort_by_key(|line| line.at);
        Some((message.clone(), both))
    })
}

fn finding(case: &Case<'_>, renewal: &Renewal, name: &str, lines: &[&LogLine]) -> Option<Finding> {
    let lineages: Vec<_> = renewal
        .lineages
        .iter()
        .filter(|l| l.manager == "certmagic" && (l.name == name || l.names().iter().any(|n| n == name)))
        .collect();
    let leaf = lineages.iter().filter_map(|l| l.leaf()).max_by_key(|leaf| leaf.validity().not_before);
    let counts = |line: &&&LogLine| match lineages.is_empty() {
        true => line.at.days_until(case.at) < RECENT,
        false => support::is_since(leaf, line.at),
    };
    // They are in the order of time.
    let lines: Vec<&LogLine> = lines.iter().filter(counts).copied().collect();
    let (message, telling) = sign(name, &lines)?;
    let last = telling.last()?;
    let mut finding = Finding::new(&CHECK, name, message);
    if leaf.is_none_or(|leaf| leaf.is_expired(case.at)) {
        finding.severity = Severity::Error;
    }
    let unknown = lines.iter().filter(|line| line.event == LogEvent::UnknownChallenge).count();
    finding.facts = vec![("validations without a challenge", unknown.to_string()), ("last", last.at.to_string())];
    let storages: &[Storage] = &renewal.certmagic.storages;
    finding.facts.extend(storages.iter().map(|s| {
        let instance = s.instance.as_deref().map_or_else(String::new, |id| format!(", cleaned last by instance {id}"));
        ("storage", format!("{} ({}){instance}", s.path, s.found_by))
    }));
    let evidence = |line: &&LogLine| match &line.event {
        LogEvent::AlpnRefused(words) => Evidence::file(&line.path, line.line, format!("the CA says: {words}")),
        _ => Evidence::file(&line.path, line.line, "challenge that is not known"),
    };
    finding.evidence = telling.iter().map(evidence).collect();
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

    fn logged(lines: &[(i64, LogEvent)]) -> World {
        let at = At::parse("2026-11-20").expect("a time");
        World::at("2026-11-22").storage(|storage| storage.sites.push(site("a.test"))).renewal(|renewal| {
            renewal.certmagic.log.extend(lines.iter().map(|(seconds, event)| LogLine {
                path: "/var/log/caddy/caddy.log".into(),
                line: None,
                at: At(at.0 + seconds),
                name: Some("a.test".into()),
                event: event.clone(),
            }));
        })
    }

    fn world(times: &[i64]) -> World {
        logged(&times.iter().map(|seconds| (*seconds, LogEvent::UnknownChallenge)).collect::<Vec<_>>())
    }

    fn refused(words: &str) -> LogEvent {
        LogEvent::AlpnRefused(words.into())
    }

    #[test]
    fn an_order_whose_challenge_another_answered_is_told() {
        for words in [
            "Incorrect validation certificate for tls-alpn-01 challenge. Invalid acmeValidation extension value.",
            "Incorrect validation certificate for tls-alpn-01 challenge. Requested a.test from 203.0.113.7:443. Received certificate with \
             acmeValidationV1 extension value aa but expected bb.",
            "203.0.113.7: remote error: tls: internal error",
        ] {
            let found = logged(&[(0, refused(words))]).one(&CHECK);
            assert!(found.message.contains("another answered the CA"), "{}", found.message);
        }
        let hidden = || refused("Failed to connect to 203.0.113.7:443 for the tls-alpn-01 challenge");
        logged(&[(0, hidden()), (3, LogEvent::UnknownChallenge)]).one(&CHECK);
        logged(&[(0, hidden()), (100, LogEvent::UnknownChallenge)]).silent(&CHECK);
        logged(&[(0, hidden())]).silent(&CHECK);
        logged(&[(0, refused("Cannot negotiate ALPN protocol \"acme-tls/1\" for tls-alpn-01 challenge"))]).silent(&CHECK);
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
