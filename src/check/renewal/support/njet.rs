//! NJet: which servers its certificate manager keeps certificates for, and changes of its TOML file.

use std::ops::Range;

use crate::{
    edit::Change,
    facts::{
        Renewal,
        renewal::{
            Lineage,
            nginx::Instance,
            njet::{Copilot, Installed, Setting},
        },
    },
    finding::{Evidence, Finding, Remedy, Severity},
    format::toml_table,
    nginx::server::Server,
};

use super::{
    super::super::{Case, Check},
    by_hand, covers, in_force, key, test_command,
};

/// An NJet that is in force, with servers whose certificates it is to keep.
pub(in crate::check::renewal) struct Managing<'a> {
    pub(in crate::check::renewal) instance: &'a Instance,
    pub(in crate::check::renewal) njet: &'a Installed,
    /// Never empty.
    pub(in crate::check::renewal) servers: Vec<Server<'a>>,
}

/// Every such NJet; one whose configuration can't be read to its end is left out.
pub(in crate::check::renewal) fn managing(renewal: &Renewal) -> impl Iterator<Item = Managing<'_>> {
    in_force(renewal).filter(|i| i.is_whole()).filter_map(|instance| {
        let njet = renewal.njet.installed.iter().find(|n| n.conf == instance.conf)?;
        let servers: Vec<Server<'_>> = instance.servers().into_iter().filter(Server::is_managed).collect();
        (!servers.is_empty()).then_some(Managing { instance, njet, servers })
    })
}

impl<'a> Managing<'a> {
    /// The certificate manager, if it is told this kind of challenge: `tls` or `http`.
    pub(in crate::check::renewal) fn challenges_by(&self, kind: &str) -> Option<&'a Copilot> {
        let copilot = self.njet.cert_manager()?;
        copilot.setting("acme", "challengeType").is_some_and(|s| s.text == kind).then_some(copilot)
    }

    /// The names that are managed, each once.
    pub(in crate::check::renewal) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.servers.iter().flat_map(Server::plain_names).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Has it and its certificate manager load their files again.
    pub(in crate::check::renewal) fn restart(&self) -> Remedy {
        let text = "afterwards restart NJet, and do not only reload it: cert-manager reads its file when it is started";
        by_hand(text, Some(test_command(self.instance)))
    }

    /// A finding about these names: what the certificate manager keeps for them already is what it concerns, and an expired one makes
    /// it an error.
    pub(in crate::check::renewal) fn finding(
        &self,
        case: &Case<'_>,
        check: &Check,
        names: &[String],
        message: impl Into<String>,
    ) -> Finding {
        let own = |l: &&Lineage| l.manager == "njet" && l.path.starts_with(&self.njet.prefix);
        let all = case.facts.renewal.iter().flat_map(|r| &r.lineages).filter(own);
        let lineages: Vec<&Lineage> = all.filter(|l| names.iter().any(|n| covers(&l.names(), n))).collect();
        let subject = lineages.first().map(|l| l.name.clone()).or_else(|| names.first().cloned());
        let mut finding = Finding::new(check, subject.unwrap_or_else(|| self.instance.conf.to_string()), message);
        if lineages.iter().any(|l| l.leaf().is_none_or(|leaf| leaf.is_expired(case.at))) {
            finding.severity = Severity::Error;
        }
        finding.lineages = lineages.into_iter().map(key).collect();
        finding
    }
}

/// A line of a TOML file as evidence.
pub(in crate::check::renewal) fn said(copilot: &Copilot, setting: &Setting) -> Evidence {
    Evidence::file(&copilot.path, Some(setting.line), format!("`{} = {}`", setting.key, toml_table::quoted(&setting.text)))
}

/// Another string in the place of a value.
pub(in crate::check::renewal) fn reset(copilot: &Copilot, setting: &Setting, with: &str) -> Option<Change> {
    splice(copilot, setting.span.clone(), toml_table::quoted(with))
}

/// Other bytes in the place of some of a TOML file.
pub(in crate::check::renewal) fn splice(copilot: &Copilot, at: Range<usize>, with: String) -> Option<Change> {
    Some(Change::Splice { path: copilot.real.clone(), read: copilot.read?, at, with: with.into_bytes() })
}
