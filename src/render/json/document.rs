//! The shape of the document: its keys are an interface, and the schema is made of them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// The document.
#[derive(Serialize, JsonSchema)]
pub struct Document {
    pub(super) schema_version: u32,
    /// The instant of judgement, RFC 3339, UTC.
    pub(super) at: String,
    pub(super) tool: Tool,
    pub(super) request: RequestDto,
    pub(super) stores: Vec<StoreDto>,
    pub(super) presented: Vec<PresentedDto>,
    pub(super) verdicts: Vec<VerdictDto>,
    /// The certificates that managers of this host keep, for `renewal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lineages: Option<Vec<LineageDto>>,
    pub(super) findings: Vec<FindingDto>,
    /// For each target in order: the code of the one cause, or null.
    pub(super) causes: Vec<Option<String>>,
    /// Of `inspect --compare`; absent where one of both presented nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) comparison: Option<ComparisonDto>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) plan: Option<PlanDto>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) applied: Option<AppliedDto>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) verified: Option<VerifiedDto>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) restart: Option<Vec<RestartDto>>,
    /// What could not be looked at, and why.
    pub(super) not_checked: Vec<NotChecked>,
    pub(super) summary: Summary,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct RequestDto {
    pub(super) command: &'static str,
    /// The root that was looked at; null for this host.
    pub(super) root: Option<String>,
    /// Options as typed.
    pub(super) options: BTreeMap<&'static str, Vec<String>>,
}

/// Where two targets part.
#[derive(Serialize, JsonSchema)]
pub(super) struct ComparisonDto {
    pub(super) targets: [String; 2],
    /// The position in `presented` of the first certificate above the leaf (0) that is not the same in both chains, or that one of them
    /// does not send; null when above the leaf both send the same.
    pub(super) parts_at: Option<usize>,
    /// The clients that trust one of them only.
    pub(super) clients: Vec<ApartDto>,
}

/// A client that does not say the same about both.
#[derive(Serialize, JsonSchema)]
pub(super) struct ApartDto {
    pub(super) client: String,
    /// `trusted`, `untrusted` or `unknown`, in the order of the targets.
    pub(super) verdicts: [&'static str; 2],
}

#[derive(Serialize, JsonSchema)]
pub(super) struct NotChecked {
    pub(super) what: String,
    pub(super) why: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Summary {
    pub(super) errors: usize,
    pub(super) warnings: usize,
    pub(super) notes: usize,
    /// Whether a client refuses a target, or a target did not answer.
    pub(super) refused: bool,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct StoreDto {
    pub(super) kind: &'static str,
    pub(super) title: String,
    pub(super) location: String,
    /// `by-hand`, `generated` or `owned`.
    pub(super) upkeep: &'static str,
    /// The refresh command or the owner.
    pub(super) upkeep_by: Option<String>,
    pub(super) anchors: Vec<AnchorDto>,
    pub(super) bundle: Option<FileDto>,
    pub(super) directory: Option<String>,
    pub(super) leftovers: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct FileDto {
    pub(super) path: String,
    pub(super) real_path: String,
    /// `read`, or why not.
    pub(super) state: String,
    pub(super) sha256: Option<String>,
    pub(super) certificates: usize,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct AnchorDto {
    #[serde(flatten)]
    pub(super) certificate: CertificateDto,
    pub(super) expired: bool,
    pub(super) origins: Vec<OriginDto>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct OriginDto {
    /// `source`, `bundle`, `directory`, `hash-link` or `derived`.
    pub(super) role: &'static str,
    pub(super) path: String,
    pub(super) real_path: String,
    pub(super) line: Option<u32>,
    pub(super) span: Option<[usize; 2]>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct CertificateDto {
    pub(super) fingerprint_sha256: String,
    pub(super) label: String,
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) serial: String,
    pub(super) not_before: Option<String>,
    pub(super) not_after: Option<String>,
    pub(super) key: String,
    pub(super) signature: String,
    pub(super) is_ca: bool,
    pub(super) self_issued: bool,
    pub(super) defects: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct PresentedDto {
    pub(super) target: String,
    /// `server`, `file` or `stdin`.
    pub(super) source: &'static str,
    pub(super) host: Option<String>,
    pub(super) peer: Option<String>,
    pub(super) protocol: Option<&'static str>,
    pub(super) cipher: Option<String>,
    pub(super) alpn: Option<String>,
    pub(super) sni: Option<String>,
    pub(super) ocsp_stapled: bool,
    pub(super) handshake_completed: bool,
    pub(super) certificates: Vec<CertificateDto>,
    pub(super) opaque: Vec<OpaqueDto>,
    pub(super) paths: Vec<AttemptDto>,
    /// Why nothing was presented; null when something was.
    pub(super) failure: Option<FailureDto>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct OpaqueDto {
    pub(super) index: usize,
    pub(super) why: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct FailureDto {
    pub(super) class: &'static str,
    pub(super) text: String,
    pub(super) alert: Option<u8>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct AttemptDto {
    /// SHA-256 of each certificate, leaf first.
    pub(super) path: Vec<String>,
    pub(super) labels: Vec<String>,
    pub(super) anchored: bool,
    pub(super) rejections: Vec<RejectionDto>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct RejectionDto {
    pub(super) depth: usize,
    pub(super) reason: &'static str,
    pub(super) text: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct VerdictDto {
    pub(super) client: String,
    pub(super) family: &'static str,
    pub(super) versions: &'static str,
    pub(super) target: String,
    /// Where the client reads its anchors.
    pub(super) store: Vec<String>,
    /// `trusted`, `untrusted` or `unknown`.
    pub(super) verdict: &'static str,
    /// The first error's text, or why nothing can be said.
    pub(super) reason: Option<String>,
    pub(super) errors: Vec<ErrorDto>,
    /// SHA-256 of each certificate of the path that the client took, leaf first.
    pub(super) path: Vec<String>,
    pub(super) attempts: Vec<AttemptDto>,
    /// What was tried by judging again; what works stands first, the smallest remedy first among them.
    pub(super) would_help: Vec<WouldHelpDto>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ErrorDto {
    /// The client's own code, a number where it has numbers.
    pub(super) code: Value,
    pub(super) name: String,
    pub(super) depth: Option<usize>,
    pub(super) text: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct WouldHelpDto {
    pub(super) remedy: String,
    /// `clock`, `remove-anchor`, `variable`, `reorder`, `stop-serving`, `serve`, `add-anchor` or `upgrade`.
    pub(super) kind: &'static str,
    pub(super) verdict: &'static str,
    /// The clients that trust this target now, and would refuse it then.
    pub(super) harms: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct FindingDto {
    pub(super) code: &'static str,
    pub(super) slug: &'static str,
    /// `error`, `warning` or `note`.
    pub(super) severity: String,
    /// `breaks-chain`, `trusted-despite-expiry`, `clutter` or null.
    pub(super) harm: Option<String>,
    pub(super) subject: String,
    pub(super) message: String,
    pub(super) facts: Vec<FactDto>,
    pub(super) evidence: Vec<EvidenceDto>,
    pub(super) remedies: Vec<RemedyDto>,
    pub(super) targets: Vec<String>,
    /// The lineages of the server side that it concerns.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(super) lineages: Vec<LineageName>,
    /// When it will come true; null when it is true already.
    pub(super) due: Option<String>,
}

/// A manager's identifier, and a name that it keeps a certificate under.
#[derive(Serialize, JsonSchema)]
pub(super) struct LineageName {
    pub(super) manager: &'static str,
    pub(super) name: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct LineageDto {
    pub(super) manager: &'static str,
    pub(super) name: String,
    /// The names that its certificate carries.
    pub(super) names: Vec<String>,
    /// Where its newest certificate lies.
    pub(super) path: String,
    /// The leaf on disk; null when none can be read.
    pub(super) leaf: Option<CertificateDto>,
    pub(super) expired: bool,
    /// The code of the one cause, or null when nothing is wrong.
    pub(super) cause: Option<&'static str>,
    /// The codes of what else was seen.
    pub(super) also_seen: Vec<&'static str>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct FactDto {
    pub(super) name: &'static str,
    pub(super) value: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct EvidenceDto {
    pub(super) path: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) span: Option<[usize; 2]>,
    pub(super) fingerprint_sha256: Option<String>,
    pub(super) what: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct RemedyDto {
    pub(super) text: String,
    pub(super) command: Option<String>,
    /// `auto`, `ask` or `manual`.
    pub(super) applicability: &'static str,
    pub(super) helps: Vec<String>,
    pub(super) does_not_help: Vec<String>,
    pub(super) harms: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct PlanDto {
    /// Whether `--apply` would change anything.
    pub(super) would_change: bool,
    pub(super) steps: Vec<StepDto>,
    pub(super) diff: String,
    pub(super) advice: Vec<String>,
    pub(super) notes: Vec<String>,
    pub(super) refused: Vec<RefusedDto>,
    pub(super) needs_yes: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct StepDto {
    pub(super) edit: EditDto,
    /// The unified diff of this step; null for links, commands and generated files.
    pub(super) diff: Option<String>,
    pub(super) because: Vec<&'static str>,
    pub(super) applicability: &'static str,
    pub(super) summary: String,
    pub(super) generated: bool,
    pub(super) precondition: Value,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct EditDto {
    /// `write`, `remove`, `move`, `link` or `run`.
    pub(super) kind: &'static str,
    pub(super) path: Option<String>,
    pub(super) target: Option<String>,
    pub(super) argv: Option<Vec<String>>,
    /// SHA-256 of the file's new content.
    pub(super) sha256: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct RefusedDto {
    pub(super) subject: String,
    pub(super) why: String,
    pub(super) instead: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct AppliedDto {
    pub(super) changed: bool,
    pub(super) changes: Vec<String>,
    pub(super) backup: Option<String>,
    pub(super) refresh: Option<String>,
    pub(super) rolled_back: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct VerifiedDto {
    /// Whether every handshake that could be made verified, and at least one was made.
    pub(super) ok: bool,
    pub(super) handshakes: Vec<HandshakeDto>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct HandshakeDto {
    pub(super) target: String,
    /// `model`, `program` or `rustls`.
    pub(super) by: &'static str,
    pub(super) client: String,
    pub(super) trusted: Option<bool>,
    pub(super) text: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct RestartDto {
    pub(super) pid: u32,
    pub(super) command: String,
    pub(super) why: String,
    pub(super) unit: Option<String>,
}
