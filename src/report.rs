//! Everything that one run has to say: the only thing that [`crate::render`] sees.

use std::collections::BTreeSet;

use crate::{
    base::At,
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

    /// Whether something stands at or above `--fail-on`.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        self.findings.iter().any(|f| f.severity >= self.fail_on)
    }
}
