//! What a check found: a value with a stable code, places and remedies.

use std::ops::Range;

use serde::Serialize;

use crate::{
    base::{At, Fingerprint, TreePath},
    edit::{Applicability, Change},
    facts::{Origin, renewal::Lineage},
    x509::Certificate,
};

/// How bad it is. The order is that of `--fail-on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing fails because of it.
    Note,
    /// Something will fail, or fails for some client.
    Warning,
    /// Something fails now.
    Error,
}

/// What an anchor that should not be there does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Harm {
    /// Nobody is hurt by it.
    Clutter,
    /// A client that ignores the dates of anchors (Java, rustls) still trusts it.
    TrustedDespiteExpiry,
    /// A client refuses a chain of a target because of it, now.
    BreaksChain,
}

/// One finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// `CDnnn`; never used again for another meaning.
    pub code: &'static str,
    /// The code in words: `anchor-expired`.
    pub slug: &'static str,
    /// How bad.
    pub severity: Severity,
    /// For anchors: the harm that it does.
    pub harm: Option<Harm>,
    /// What it is about: a certificate's label, a path, a target.
    pub subject: String,
    /// One line that stands alone: lower case, no full stop.
    pub message: String,
    /// Facts in order, as `name`, `value`: shown below the message.
    pub facts: Vec<(&'static str, String)>,
    /// Where it is seen; the first place is the headline's.
    pub evidence: Vec<Evidence>,
    /// What can be done, best first.
    pub remedies: Vec<Remedy>,
    /// The targets that it concerns, as typed.
    pub targets: Vec<String>,
    /// The lineages that it concerns: manager and name.
    pub lineages: Vec<(&'static str, String)>,
    /// When it will come true; `None` when it is true already.
    pub due: Option<At>,
}

/// One place where something is seen.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Evidence {
    /// The file or link; `None` when it was seen on the wire.
    pub path: Option<TreePath>,
    /// Line, from 1.
    pub line: Option<u32>,
    /// Bytes in the file.
    pub span: Option<Range<usize>>,
    /// The certificate that it is about.
    pub fingerprint: Option<Fingerprint>,
    /// A word on what this place is: `bundle`, `hash link → X.pem`, `sent as certificate 2`.
    pub what: String,
}

/// What a remedy wants to achieve: a closed set, so that plan and render know each.
#[derive(Clone, Debug, PartialEq)]
pub enum Intent {
    /// Take this anchor out of the store of this kind.
    Distrust(Certificate, &'static str),
    /// Put the clock right.
    FixClock,
    /// Change files of the server side so; the summary of the steps is the remedy's text.
    Patch(Vec<Change>),
    /// Repair a store file or configuration line (what, in words, and where).
    Repair(TreePath),
    /// Issue or obtain a new certificate for the server.
    Renew,
    /// The server must send exactly these, in this order.
    Order(Vec<Certificate>),
    /// The server must send this certificate too.
    Serve(Option<Certificate>),
    /// The server must stop sending this certificate.
    StopServing(Certificate),
    /// Put this anchor (or one yet unknown) into the store.
    Trust(Option<Certificate>),
    /// Unset or change an environment variable.
    UnsetVariable(&'static str),
    /// Upgrade a client library: its family, and the version from which on it is well.
    UpgradeClient(&'static str, String),
    /// Upgrade the distribution's package that owns the store.
    UpgradePackage(&'static str),
    /// Anything that only a person can do.
    Manual,
}

/// One way out.
#[derive(Clone, Debug, PartialEq)]
pub struct Remedy {
    /// What it achieves.
    pub intent: Intent,
    /// One line for people.
    pub text: String,
    /// A command to copy, if there is one.
    pub command: Option<String>,
    /// Whether `fix` can do it.
    pub applicability: Applicability,
    /// The client profiles for which it turns a refusal into trust (after judging again with the remedy applied).
    pub helps: Vec<String>,
    /// The client profiles that still refuse with it.
    pub does_not_help: Vec<String>,
    /// The client profiles that trust now and would refuse with it.
    pub harms: Vec<String>,
}

impl Finding {
    /// A finding with code, slug and severity of its check; the rest is to be filled in.
    #[must_use]
    pub fn new(check: &crate::check::Check, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Finding {
            code: check.code,
            slug: check.slug,
            severity: check.severity,
            harm: None,
            subject: subject.into(),
            message: message.into(),
            facts: Vec::new(),
            evidence: Vec::new(),
            remedies: Vec::new(),
            targets: Vec::new(),
            lineages: Vec::new(),
            due: None,
        }
    }

    /// Whether it concerns this lineage.
    #[must_use]
    pub fn is_about(&self, lineage: &Lineage) -> bool {
        self.lineages.iter().any(|(manager, name)| *manager == lineage.manager && *name == lineage.name)
    }
}

impl Evidence {
    /// The place of an anchor.
    #[must_use]
    pub fn at(origin: &Origin, certificate: &Certificate) -> Self {
        let what = match origin.role {
            crate::facts::Role::Source => "source",
            crate::facts::Role::Bundle => "bundle",
            crate::facts::Role::Directory => "hash directory",
            crate::facts::Role::HashLink => "hash link",
            crate::facts::Role::Derived => "derived store",
        };
        Evidence {
            path: Some(origin.path.clone()),
            line: origin.line,
            span: origin.span.clone(),
            fingerprint: Some(certificate.fingerprint()),
            what: what.to_owned(),
        }
    }

    /// A file as a whole.
    #[must_use]
    pub fn file(path: &TreePath, line: Option<u32>, what: impl Into<String>) -> Self {
        Evidence { path: Some(path.clone()), line, what: what.into(), ..Evidence::default() }
    }
}

impl Remedy {
    /// A remedy with nothing said yet about clients.
    #[must_use]
    pub fn new(intent: Intent, applicability: Applicability, text: impl Into<String>, command: Option<String>) -> Self {
        Remedy {
            intent,
            text: text.into(),
            command,
            applicability,
            helps: Vec::new(),
            does_not_help: Vec::new(),
            harms: Vec::new(),
        }
    }
}
