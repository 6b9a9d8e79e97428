//! Everything that one run has to say: the only thing that [`crate::render`] sees.

use std::collections::BTreeSet;

use crate::{
    base::{At, TreePath, shell},
    check::ClientVerdict,
    edit::Step,
    facts::Facts,
    finding::{Finding, Severity},
    judge::Headline,
    path::Attempt,
};

/// The report of one run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The command's name: `scan`.
    pub command: &'static str,
    /// The instant of judgement.
    pub at: At,
    /// What was asked for: option names and values, as typed.
    pub request: Vec<(&'static str, Vec<String>)>,
    /// The root that was looked at, when it was not this host's.
    pub root: Option<String>,
    /// Options of this run that a command about the same target needs to mean the same, with a blank before each.
    pub options: String,
    /// What was gathered.
    pub facts: Facts,
    /// What each client says about each endpoint.
    pub verdicts: Vec<ClientVerdict>,
    /// For each endpoint, every path.
    pub paths: Vec<Vec<Attempt>>,
    /// What was found, worst first.
    pub findings: Vec<Finding>,
    /// For each endpoint, the index of the finding that is its one cause.
    pub causes: Vec<Option<usize>>,
    /// For each lineage, its one cause, for `renewal`.
    pub headlines: Vec<Headline>,
    /// The plan, for `fix` and `renewal`.
    pub plan: Option<PlanReport>,
    /// What was applied, for `fix --apply` and `undo`.
    pub applied: Option<AppliedReport>,
    /// The handshakes that were made, for `verify` and `fix --apply`.
    pub verified: Vec<Verification>,
    /// Processes that hold the old store, for `--restart-list`.
    pub restart: Option<Vec<Holder>>,
    /// Whether two targets are to be shown side by side.
    pub compare: bool,
    /// The lowest severity that makes the exit status 1.
    pub fail_on: Severity,
    /// How much a person wants to read: -1 the last line, 0 the answer, 1 and more everything.
    pub verbosity: i8,
}

/// The plan as it is shown.
#[derive(Clone, Debug, Default)]
pub struct PlanReport {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The unified diff of each step, where it has one.
    pub step_diffs: Vec<Option<Vec<u8>>>,
    /// The unified diff of the steps that people decide about.
    pub diff: Vec<u8>,
    /// What would be better than an edit, best first: a package upgrade.
    pub advice: Vec<String>,
    /// What can't be done, and what to do instead: subject, why, instead.
    pub refusals: Vec<(String, String, String)>,
    /// The anchors that need `--yes`, by name.
    pub needs_yes: Vec<String>,
    /// Notes that belong to the steps.
    pub notes: Vec<String>,
    /// What to do with the plan where nothing can be written: an image is built anew.
    pub instead: Option<String>,
}

/// What was applied.
#[derive(Clone, Debug, Default)]
pub struct AppliedReport {
    /// The identifier for `undo`.
    pub backup: Option<String>,
    /// What was changed, one line each.
    pub changed: Vec<String>,
    /// What the refresh tool printed, and its exit status.
    pub refresh: Option<String>,
    /// Why the change was taken back; `None` when it holds.
    pub rolled_back: Option<String>,
    /// Whether bundle and links follow the sources already; false after `--no-refresh`.
    pub refreshed: bool,
    /// Options that `undo` needs to find the backup, with a blank before each.
    pub undo: String,
    /// Whether something that this run was asked to cure is still there.
    pub unwell: bool,
}

/// Something that went wrong in a run and is no finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// `not done`, `not verified`, `rolled back`.
    pub what: &'static str,
    /// A target, an anchor, the command.
    pub subject: String,
    /// Why, and what to do where something can be done.
    pub why: String,
}

/// Who made a verifying handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verifier {
    /// A client profile's model, on a fresh look at the server.
    Model,
    /// A program of this host.
    Program,
    /// Rustls, in this process, with exactly the store on disk.
    Rustls,
}

/// What one fresh handshake gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// The target, as typed.
    pub target: String,
    /// Who.
    pub verifier: Verifier,
    /// The profile, or the program with its version.
    pub client: String,
    /// Whether it verified; `None` when it could not be asked.
    pub trusted: Option<bool>,
    /// Its words.
    pub text: String,
    /// Whether the answer counts for the exit status: a client that reads none of the stores looked at says nothing about them.
    pub decides: bool,
}

/// Why a local anchor is not taken out without a word, and the word.
#[must_use]
pub fn needs_yes(name: &str) -> String {
    format!("it is a local anchor and may be your organisation's: add --yes {}", shell(name))
}

impl PlanReport {
    /// What was wanted and is not among the steps: subject and why.
    pub fn undone(&self) -> impl Iterator<Item = (&str, String)> {
        let refused = self.refusals.iter().map(|(subject, why, instead)| (subject.as_str(), format!("{why}; {instead}")));
        refused.chain(self.needs_yes.iter().map(|name| (name.as_str(), needs_yes(name))))
    }

    /// Whether something that was wanted is not among the steps.
    #[must_use]
    pub fn leaves_undone(&self) -> bool {
        !self.refusals.is_empty() || !self.needs_yes.is_empty()
    }
}

impl Verification {
    /// Whether a client whose answer counts refused.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.decides && self.trusted == Some(false)
    }

    /// Whether a handshake was made and verified; a model makes none.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.trusted == Some(true) && self.verifier != Verifier::Model
    }
}

/// A process that read the store before it changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Process id.
    pub pid: u32,
    /// Its command.
    pub command: String,
    /// The library or runtime that caches roots.
    pub why: String,
    /// Its systemd unit, if it has one.
    pub unit: Option<String>,
}

impl Report {
    /// Whether a client refuses a target.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.verdicts.iter().any(|v| matches!(v.verdict, crate::path::Verdict::Untrusted { .. }))
            || self.facts.endpoints.iter().any(|e| e.outcome.is_err())
    }

    /// Whether a client refuses the target of this index, or it did not answer.
    #[must_use]
    pub fn refuses(&self, endpoint: usize) -> bool {
        let untrusted = |v: &ClientVerdict| matches!(v.verdict, crate::path::Verdict::Untrusted { .. });
        self.facts.endpoints.get(endpoint).is_some_and(|e| e.outcome.is_err())
            || crate::check::of_endpoint(&self.verdicts, endpoint).iter().any(untrusted)
    }

    /// Whether a cause speaks of the same certificate at the same targets already: the expired anchor as such, beside the refusal that
    /// it leads to.
    #[must_use]
    pub fn tells_already(&self, finding: &Finding) -> bool {
        let certificates = |f: &Finding| f.evidence.iter().filter_map(|e| e.fingerprint).collect::<BTreeSet<_>>();
        let mut causes = self.causes.iter().flatten().filter_map(|i| self.findings.get(*i));
        finding.harm.is_some()
            && causes.any(|cause| cause.targets == finding.targets && certificates(finding).is_subset(&certificates(cause)))
    }

    /// A path of this report as a person writes it: what counts from the working directory has no leading slash.
    #[must_use]
    pub fn place(&self, path: &TreePath) -> String {
        let path = path.to_string();
        match self.root.as_deref() {
            Some(".") => path.trim_start_matches('/').to_owned(),
            _ => path,
        }
    }

    /// What went wrong beside the findings: a change that was taken back or could not be made, a fresh handshake that failed.
    #[must_use]
    pub fn troubles(&self) -> Vec<Trouble> {
        let mut out = Vec::new();
        if let Some(why) = self.applied.as_ref().and_then(|a| a.rolled_back.clone()) {
            out.push(Trouble { what: "rolled back", subject: self.command.to_owned(), why });
        }
        if let Some(plan) = &self.plan {
            out.extend(plan.undone().map(|(subject, why)| Trouble { what: "not done", subject: subject.to_owned(), why }));
        }
        let failed = self.verified.iter().filter(|v| v.is_refused());
        out.extend(failed.map(|v| Trouble {
            what: "not verified",
            subject: v.target.clone(),
            why: format!("{}: {}", v.client, v.text),
        }));
        if self.command == "verify" {
            for endpoint in self.facts.endpoints.iter().filter(|e| e.outcome.is_ok()) {
                let target = &endpoint.target.text;
                let of_target = || self.verified.iter().filter(|v| v.target == *target);
                if !of_target().any(|v| v.is_refused() || v.is_accepted()) {
                    let why = "no client that could be asked shook hands with it".to_owned();
                    out.push(Trouble { what: "not verified", subject: target.clone(), why });
                }
            }
        }
        out
    }

    /// Whether the run went wrong, whatever was found: a target is refused or does not answer, or there is trouble.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.is_refused() || !self.troubles().is_empty()
    }

    /// Whether something stands at or above `--fail-on`.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        self.findings.iter().any(|f| f.severity >= self.fail_on)
    }
}
