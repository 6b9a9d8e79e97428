//! One JSON document. Its keys are an interface: they are spelled here, in types of their own, so that a change inside can't
//! change them unseen. `generate schema` publishes their schema.

mod document;

use document::*;
use serde_json::{Value, json};

use crate::{
    check::{ClientVerdict, RemedyKind},
    edit::{Applicability, Edit, Precondition, Step},
    facts::{ConnectFailure, Endpoint, FileState, Presented, Role, Store, TargetSource, Upkeep, renewal::Lineage},
    finding::{Finding, Remedy},
    path::{Attempt, Rejection, Verdict},
    report::{Report, Verification, Verifier},
    x509::Certificate,
};

/// The version of this document's shape; raised when a key changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// The report as JSON, pretty-printed, with a final newline.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut text =
        serde_json::to_string_pretty(&Document::new(report)).unwrap_or_else(|e| json!({ "error": e.to_string() }).to_string());
    text.push('\n');
    text
}

/// The document as a value, for formats that carry parts of it.
#[must_use]
pub(super) fn value(report: &Report) -> Value {
    serde_json::to_value(Document::new(report)).unwrap_or_default()
}

/// The JSON schema (draft 2020-12) of what [`render`] writes.
#[must_use]
pub fn schema() -> String {
    let schema = schemars::schema_for!(Document);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// A small document of a command that judges nothing: the common keys, and its own answer under `key`.
#[must_use]
pub fn envelope(command: &str, key: &str, answer: Value) -> String {
    let document = json!({
        "schema_version": SCHEMA_VERSION,
        "tool": { "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") },
        "request": { "command": command },
        key: answer,
    });
    format!("{document:#}\n")
}

impl Document {
    fn new(report: &Report) -> Self {
        let count = |s| report.findings.iter().filter(|f| f.severity == s).count();
        let targets = |i: usize| report.facts.endpoints.get(i).map(|e| e.target.text.clone()).unwrap_or_default();
        Document {
            schema_version: SCHEMA_VERSION,
            at: report.at.to_string(),
            tool: Tool { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") },
            request: RequestDto {
                command: report.command,
                root: report.root.clone(),
                options: report.request.iter().cloned().collect(),
            },
            stores: report.facts.stores.iter().map(|s| store(s, report)).collect(),
            presented: report
                .facts
                .endpoints
                .iter()
                .enumerate()
                .map(|(i, e)| presented(e, report.paths.get(i).map(Vec::as_slice).unwrap_or_default()))
                .collect(),
            verdicts: report.verdicts.iter().map(|v| verdict(v, targets(v.endpoint), report.paths.get(v.endpoint))).collect(),
            lineages: report
                .facts
                .renewal
                .as_ref()
                .map(|r| r.lineages.iter().enumerate().map(|(i, l)| lineage(i, l, report)).collect()),
            findings: report.findings.iter().map(finding).collect(),
            causes: report.causes.iter().map(|c| c.and_then(|i| report.findings.get(i)).map(|f| f.code.to_owned())).collect(),
            comparison: report.compare.then(|| comparison(report)).flatten(),
            plan: report.plan.as_ref().map(|plan| PlanDto {
                would_change: !plan.steps.is_empty(),
                steps: plan.steps.iter().zip(&plan.step_diffs).map(|(s, d)| step(s, d.as_deref())).collect(),
                diff: String::from_utf8_lossy(&plan.diff).into_owned(),
                advice: plan.advice.clone(),
                notes: plan.notes.clone(),
                refused: plan
                    .refusals
                    .iter()
                    .map(|(subject, why, instead)| RefusedDto {
                        subject: subject.clone(),
                        why: why.clone(),
                        instead: instead.clone(),
                    })
                    .collect(),
                needs_yes: plan.needs_yes.clone(),
            }),
            applied: report.applied.as_ref().map(|a| AppliedDto {
                changed: !a.changed.is_empty() && a.rolled_back.is_none(),
                changes: a.changed.clone(),
                backup: a.backup.clone(),
                refresh: a.refresh.clone(),
                rolled_back: a.rolled_back.clone(),
            }),
            verified: (!report.verified.is_empty()).then(|| VerifiedDto {
                ok: !report.verified.iter().any(Verification::is_refused)
                    && report.verified.iter().any(|v| v.trusted == Some(true)),
                handshakes: report
                    .verified
                    .iter()
                    .map(|v| HandshakeDto {
                        target: v.target.clone(),
                        by: match v.verifier {
                            Verifier::Model => "model",
                            Verifier::Program => "program",
                            Verifier::Rustls => "rustls",
                        },
                        client: v.client.clone(),
                        trusted: v.trusted,
                        text: v.text.clone(),
                    })
                    .collect(),
            }),
            restart: report.restart.as_ref().map(|list| {
                list.iter()
                    .map(|h| RestartDto { pid: h.pid, command: h.command.clone(), why: h.why.clone(), unit: h.unit.clone() })
                    .collect()
            }),
            not_checked: report
                .facts
                .not_checked
                .iter()
                .map(|(what, why)| NotChecked { what: what.clone(), why: why.clone() })
                .collect(),
            summary: Summary {
                errors: count(crate::finding::Severity::Error),
                warnings: count(crate::finding::Severity::Warning),
                notes: count(crate::finding::Severity::Note),
                refused: report.is_refused(),
            },
        }
    }
}

fn store(store: &Store, report: &Report) -> StoreDto {
    let (upkeep, upkeep_by) = match &store.upkeep {
        Upkeep::ByHand => ("by-hand", None),
        Upkeep::Generated { by } => ("generated", Some((*by).to_owned())),
        Upkeep::Owned { by } => ("owned", Some(by.clone())),
    };
    let anchors = store.anchors();
    StoreDto {
        kind: store.kind,
        title: store.title.clone(),
        location: store.location.to_string(),
        upkeep,
        upkeep_by,
        anchors: anchors
            .iter()
            .map(|a| AnchorDto {
                certificate: certificate(&a.certificate),
                expired: a.certificate.is_expired(report.at),
                origins: a
                    .origins
                    .iter()
                    .map(|o| OriginDto {
                        role: match o.role {
                            Role::Source => "source",
                            Role::Bundle => "bundle",
                            Role::Directory => "directory",
                            Role::HashLink => "hash-link",
                            Role::Derived => "derived",
                        },
                        path: o.path.to_string(),
                        real_path: o.real.to_string(),
                        line: o.line,
                        span: o.span.as_ref().map(|s| [s.start, s.end]),
                    })
                    .collect(),
            })
            .collect(),
        bundle: store.bundle.as_ref().map(|b| FileDto {
            path: b.path.to_string(),
            real_path: b.real.to_string(),
            state: match &b.state {
                FileState::Read { .. } => "read".into(),
                FileState::Missing => "missing".into(),
                FileState::NotAFile(what) => format!("is a {what}"),
                FileState::TooLarge(len) => format!("too large: {len} bytes"),
                FileState::Unreadable(why) => why.clone(),
            },
            sha256: if let FileState::Read { digest: Some(digest), .. } = &b.state {
                Some(digest.get().to_string())
            } else {
                None
            },
            certificates: b.certificates().count(),
        }),
        directory: store.directory.as_ref().map(|d| d.path.to_string()),
        leftovers: store.leftovers.iter().map(ToString::to_string).collect(),
    }
}

fn certificate(certificate: &Certificate) -> CertificateDto {
    CertificateDto {
        fingerprint_sha256: certificate.fingerprint().to_string(),
        label: certificate.label(),
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        serial: certificate.serial().iter().map(|b| format!("{b:02x}")).collect(),
        not_before: certificate.validity().not_before.map(|t| t.to_string()),
        not_after: certificate.validity().not_after.map(|t| t.to_string()),
        key: certificate.public_key().to_string(),
        signature: certificate.signature_algorithm().to_string(),
        is_ca: certificate.is_ca(),
        self_issued: certificate.is_self_issued(),
        defects: certificate.defects().iter().map(|d| format!("{d:?}")).collect(),
    }
}

fn presented(endpoint: &Endpoint, paths: &[Attempt]) -> PresentedDto {
    let nothing = Presented::default();
    let (shown, failure) = match &endpoint.outcome {
        Ok(presented) => (presented, None),
        Err(failure) => (&nothing, Some(failed(failure))),
    };
    PresentedDto {
        target: endpoint.target.text.clone(),
        source: match endpoint.target.source {
            TargetSource::File(_) => "file",
            TargetSource::Server { .. } => "server",
            TargetSource::Stdin => "stdin",
        },
        host: endpoint.target.host.clone(),
        peer: shown.peer.clone(),
        protocol: shown.protocol.map(|p| p.name()),
        cipher: shown.cipher.clone(),
        alpn: shown.alpn.clone(),
        sni: shown.sni.clone(),
        ocsp_stapled: shown.staple.is_some(),
        handshake_completed: shown.handshake_completed,
        certificates: shown.certificates.iter().map(certificate).collect(),
        opaque: shown.opaque.iter().map(|(index, why)| OpaqueDto { index: *index, why: why.clone() }).collect(),
        paths: paths.iter().map(attempt).collect(),
        failure,
    }
}

fn failed(failure: &ConnectFailure) -> FailureDto {
    let class = match failure {
        ConnectFailure::Alert { .. } => "alert",
        ConnectFailure::EofAfterHello => "eof-after-hello",
        ConnectFailure::Interrupted => "interrupted",
        ConnectFailure::Io(_) => "io",
        ConnectFailure::NameDoesNotResolve(_) => "name-does-not-resolve",
        ConnectFailure::NoRoute(_) => "no-route",
        ConnectFailure::NotTls { .. } => "not-tls",
        ConnectFailure::Proxy(_) => "proxy",
        ConnectFailure::Refused(_) => "refused",
        ConnectFailure::Reset => "reset",
        ConnectFailure::StartTls { .. } => "starttls",
        ConnectFailure::TimedOut(_) => "timed-out",
        ConnectFailure::Unreadable(_) => "unreadable",
    };
    FailureDto {
        class,
        text: failure.to_string(),
        alert: if let ConnectFailure::Alert { number, .. } = failure { Some(*number) } else { None },
    }
}

fn comparison(report: &Report) -> Option<ComparisonDto> {
    let [first, second] = report.facts.endpoints.as_slice() else { return None };
    let (Ok(a), Ok(b)) = (&first.outcome, &second.outcome) else { return None };
    let apart = super::comparison::clients(report).into_iter();
    Some(ComparisonDto {
        targets: [first.target.text.clone(), second.target.text.clone()],
        parts_at: super::comparison::part(a, b),
        clients: apart.map(|(client, sides)| ApartDto { client: client.to_owned(), verdicts: sides.map(word) }).collect(),
    })
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Trusted { .. } => "trusted",
        Verdict::Untrusted { .. } => "untrusted",
        Verdict::Unknown(_) => "unknown",
    }
}

fn attempt(attempt: &Attempt) -> AttemptDto {
    AttemptDto {
        path: attempt.path.iter().map(|c| c.fingerprint().to_string()).collect(),
        labels: attempt.path.iter().map(Certificate::label).collect(),
        anchored: attempt.anchored,
        rejections: attempt
            .rejections
            .iter()
            .map(|(depth, r)| RejectionDto { depth: *depth, reason: slug(r), text: super::words::rejection(r) })
            .collect(),
    }
}

/// A stable word for each reason.
fn slug(rejection: &Rejection) -> &'static str {
    match rejection {
        Rejection::BudgetExceeded(..) => "budget-exceeded",
        Rejection::DateUnreadable => "date-unreadable",
        Rejection::ExtensionUnreadable(_) => "extension-unreadable",
        Rejection::Expired { .. } => "expired",
        Rejection::HostMismatch { .. } => "host-mismatch",
        Rejection::InvalidSignature => "invalid-signature",
        Rejection::IssuerMissing(_) => "issuer-missing",
        Rejection::KeyUsageLacksCertSign => "key-usage-lacks-cert-sign",
        Rejection::NameConstraintViolated(_) => "name-constraint-violated",
        Rejection::NotCa => "not-ca",
        Rejection::NotYetValid { .. } => "not-yet-valid",
        Rejection::Other(_) => "other",
        Rejection::PathTooLong { .. } => "path-too-long",
        Rejection::PurposeMismatch(_) => "purpose-mismatch",
        Rejection::SelfSignedLeaf => "self-signed-leaf",
        Rejection::SelfSignedRootUntrusted => "self-signed-root-untrusted",
        Rejection::UnsupportedSignature(_) => "unsupported-signature",
        Rejection::WeakKey { .. } => "weak-key",
        Rejection::WeakSignature(_) => "weak-signature",
    }
}

fn verdict(verdict: &ClientVerdict, target: String, attempts: Option<&Vec<Attempt>>) -> VerdictDto {
    let (reason, errors, path) = match &verdict.verdict {
        Verdict::Trusted { path } => (None, &[][..], path.as_slice()),
        Verdict::Untrusted { path, errors } => (errors.first().map(|e| e.text.clone()), errors.as_slice(), path.as_slice()),
        Verdict::Unknown(why) => (Some(why.clone()), &[][..], &[][..]),
    };
    VerdictDto {
        client: verdict.client.clone(),
        family: verdict.profile.family,
        versions: verdict.profile.versions,
        target,
        store: verdict.store.clone(),
        verdict: word(&verdict.verdict),
        reason,
        errors: errors
            .iter()
            .map(|e| ErrorDto {
                code: e.code.parse::<i64>().map_or_else(|_| Value::from(e.code.clone()), Value::from),
                name: e.name.clone(),
                depth: e.depth,
                text: e.text.clone(),
            })
            .collect(),
        path: path.iter().map(|c| c.fingerprint().to_string()).collect(),
        attempts: attempts.into_iter().flatten().map(attempt).collect(),
        would_help: verdict
            .would_help
            .iter()
            .map(|trial| WouldHelpDto {
                remedy: trial.words.clone(),
                kind: remedy_kind(trial.kind),
                verdict: if trial.trusts { "trusted" } else { "untrusted" },
                harms: trial.harms.clone(),
            })
            .collect(),
    }
}

fn remedy_kind(kind: RemedyKind) -> &'static str {
    match kind {
        RemedyKind::AddAnchor => "add-anchor",
        RemedyKind::Clock => "clock",
        RemedyKind::RemoveAnchor => "remove-anchor",
        RemedyKind::Reorder => "reorder",
        RemedyKind::Serve => "serve",
        RemedyKind::StopServing => "stop-serving",
        RemedyKind::Upgrade => "upgrade",
        RemedyKind::Variable => "variable",
    }
}

fn finding(finding: &Finding) -> FindingDto {
    let word = |value: Value| value.as_str().map(str::to_owned).unwrap_or_default();
    FindingDto {
        code: finding.code,
        slug: finding.slug,
        severity: word(json!(finding.severity)),
        harm: finding.harm.map(|h| word(json!(h))),
        subject: finding.subject.clone(),
        message: finding.message.clone(),
        facts: finding.facts.iter().map(|(name, value)| FactDto { name, value: value.clone() }).collect(),
        evidence: finding
            .evidence
            .iter()
            .map(|e| EvidenceDto {
                path: e.path.as_ref().map(ToString::to_string),
                line: e.line,
                span: e.span.as_ref().map(|s| [s.start, s.end]),
                fingerprint_sha256: e.fingerprint.map(|f| f.to_string()),
                what: e.what.clone(),
            })
            .collect(),
        remedies: finding.remedies.iter().map(remedy).collect(),
        targets: finding.targets.clone(),
        lineages: finding.lineages.iter().map(|(manager, name)| LineageName { manager, name: name.clone() }).collect(),
        due: finding.due.map(|at| at.to_string()),
    }
}

fn lineage(index: usize, lineage: &Lineage, report: &Report) -> LineageDto {
    let code = |i: usize| report.findings.get(i).map(|f| f.code);
    let headline = report.headlines.iter().find(|h| h.lineage == index);
    LineageDto {
        manager: lineage.manager,
        name: lineage.name.clone(),
        names: lineage.names(),
        path: lineage.path.to_string(),
        leaf: lineage.leaf().map(certificate),
        expired: lineage.leaf().is_some_and(|leaf| leaf.is_expired(report.at)),
        cause: headline.and_then(|h| h.cause).and_then(code),
        also_seen: headline.iter().flat_map(|h| &h.also_seen).filter_map(|i| code(*i)).collect(),
    }
}

fn remedy(remedy: &Remedy) -> RemedyDto {
    RemedyDto {
        text: remedy.text.clone(),
        command: remedy.command.clone(),
        applicability: applicability(remedy.applicability),
        helps: remedy.helps.clone(),
        does_not_help: remedy.does_not_help.clone(),
        harms: remedy.harms.clone(),
    }
}

fn applicability(applicability: Applicability) -> &'static str {
    match applicability {
        Applicability::Auto => "auto",
        Applicability::Ask => "ask",
        Applicability::Manual => "manual",
    }
}

fn step(step: &Step, diff: Option<&[u8]>) -> StepDto {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut edit = EditDto { kind: "", path: step.edit.path().map(ToString::to_string), target: None, argv: None, sha256: None };
    match &step.edit {
        Edit::Link { target, .. } => {
            edit.kind = "link";
            edit.target = Some(text(target));
        }
        Edit::Move { to, .. } => {
            edit.kind = "move";
            edit.target = Some(to.to_string());
        }
        Edit::Remove { .. } => edit.kind = "remove",
        Edit::Run { argv } => {
            edit.kind = "run";
            edit.argv = Some(argv.clone());
        }
        Edit::Write { bytes, .. } => {
            edit.kind = "write";
            edit.sha256 = Some(crate::base::Fingerprint::of(bytes).to_string());
        }
    }
    StepDto {
        edit,
        diff: diff.filter(|d| !d.is_empty()).map(text),
        because: step.because.clone(),
        applicability: applicability(step.applicability),
        summary: step.summary.clone(),
        generated: step.generated,
        precondition: match &step.precondition {
            Precondition::Absent => json!({ "absent": true }),
            Precondition::Link(target) => json!({ "link": text(target) }),
            Precondition::Content(digest) => json!({ "sha256": digest.to_string() }),
            Precondition::Shape(digest) => json!({ "shape": digest.to_string() }),
            Precondition::None => Value::Null,
        },
    }
}
