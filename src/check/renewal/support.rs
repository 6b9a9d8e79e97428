//! What several checks of the server side share.

pub(super) mod certbot;
mod nginx;
pub(super) mod njet;
pub(super) mod public;
mod served;
#[cfg(test)]
pub(super) mod testing;

pub(super) use nginx::*;
pub(super) use served::*;

use crate::{
    base::At,
    facts::{
        Renewal,
        renewal::{Lineage, nginx::Instance},
    },
    finding::Remedy,
    x509::Certificate,
};

use super::super::Case;
pub(super) use super::super::support::{by_hand, issued, list, shell};

/// What `renewal` gathered, where it did.
pub(super) fn renewal<'a>(case: &Case<'a>) -> Option<&'a Renewal> {
    case.facts.renewal.as_ref()
}

/// How a lineage is named in findings.
pub(super) fn key(lineage: &Lineage) -> (&'static str, String) {
    (lineage.manager, lineage.name.clone())
}

/// Whether a name is one of those that a certificate is for (RFC 6125: a wildcard stands for one label).
pub(super) fn covers(names: &[String], name: &str) -> bool {
    let fits = |pattern: &String| match pattern.strip_prefix("*.") {
        Some(suffix) => name.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(suffix)),
        None => pattern.eq_ignore_ascii_case(name),
    };
    names.iter().any(fits)
}

/// Let's Encrypt dates certificates back by an hour (`backdate` in Boulder's configuration): what was logged in that hour is older than the certificate.
const BACKDATED: i64 = 3600;

/// Whether something happened after a certificate was issued; always where there is none.
pub(super) fn is_since(leaf: Option<&Certificate>, at: At) -> bool {
    leaf.and_then(|leaf| leaf.validity().not_before).is_none_or(|begin| at.0 > begin.0.saturating_add(BACKDATED))
}

/// The DNS names of a certificate.
pub(super) fn names(certificate: &Certificate) -> Vec<String> {
    let lineage = Lineage { manager: "", name: String::new(), path: "/".into(), chain: vec![certificate.clone()] };
    lineage.names()
}

/// The serial number and the end of a certificate, for people.
pub(super) fn told(certificate: &Certificate) -> String {
    let serial: String = certificate.serial().iter().take(20).map(|b| format!("{b:02X}")).collect();
    match certificate.validity().not_after {
        Some(at) => format!("serial {serial}, expires {at}"),
        None => format!("serial {serial}"),
    }
}

/// The command that asks a server of nginx's family whether it accepts its configuration, for a shell.
pub(super) fn test_command(instance: &Instance) -> String {
    instance.test_command().iter().map(|word| shell(word)).collect::<Vec<_>>().join(" ")
}

/// The command that starts a server of nginx's family that is installed and does not run.
pub(super) fn start(renewal: &Renewal, instance: &Instance) -> String {
    let test = test_command(instance);
    match renewal.schedule.systemd {
        true => format!("{test} && systemctl start {}", shell(&instance.program)),
        false => format!(
            "{test} && {}",
            instance.test_command().iter().filter(|w| *w != "-t").map(|w| shell(w)).collect::<Vec<_>>().join(" ")
        ),
    }
}

/// Checks and loads the configuration again.
pub(super) fn reload(instance: &Instance) -> Remedy {
    let test = instance.test_command().iter().map(|w| shell(w)).collect::<Vec<_>>();
    let reload: Vec<String> = test.iter().map(|w| if w == "-t" { "-s reload".to_owned() } else { w.clone() }).collect();
    let text = "have nginx load its files again; a deploy hook does it after each renewal";
    by_hand(text, Some(format!("{} && {}", test.join(" "), reload.join(" "))))
}
