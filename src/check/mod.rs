//! Checks: one file is one finding, a pure function over the facts and verdicts.

use crate::{
    base::At,
    facts::Facts,
    finding::{Finding, Severity},
    path::{Attempt, Verdict},
};

/// One check.
pub struct Check {
    /// `CDnnn`.
    pub code: &'static str,
    /// The code in words.
    pub slug: &'static str,
    /// One line: what is wrong.
    pub title: &'static str,
    /// The severity of its findings unless a finding says otherwise.
    pub severity: Severity,
    /// What it means, how it was found, what to do, sources: Markdown; also the text of `explain`.
    pub doc: &'static str,
    /// Looks, and appends what it finds.
    pub run: fn(&Case<'_>, &mut Vec<Finding>),
}

/// What a check looks at.
pub struct Case<'a> {
    /// Everything gathered.
    pub facts: &'a Facts,
    /// The instant of judgement.
    pub at: At,
    /// Days ahead in which an expiry is worth a word (`--within`).
    pub within: i64,
    /// What each client says about each endpoint.
    pub verdicts: &'a [ClientVerdict],
    /// For each endpoint, every path that exists (against the union of the stores).
    pub paths: &'a [Vec<Attempt>],
}

/// What one client says about one endpoint.
#[derive(Clone, Debug)]
pub struct ClientVerdict {
    /// The identifier that was asked for.
    pub client: String,
    /// The profile that answers.
    pub profile: &'static crate::client::Profile,
    /// Index into [`Facts::endpoints`].
    pub endpoint: usize,
    /// The places where it reads its anchors.
    pub store: Vec<String>,
    /// Its answer.
    pub verdict: Verdict,
    /// For a refusal: each remedy that was tried by judging again, in words, and whether the client then trusts.
    pub would_help: Vec<(String, bool)>,
}
