//! How people name an anchor, on the command line and in the policy.

use super::Session;
use crate::{
    base::Fingerprint,
    facts::{Anchor, Facts},
};

/// How alike a name and a label must be for one to be the other misspelt.
const ALIKE: f64 = 0.85;

/// Whether a person who says `name` means this anchor: SHA-256 or its beginning (8 digits or more), its label, or its file's name.
pub(super) fn is_called(anchor: &Anchor, name: &str) -> bool {
    match digits(name) {
        Some(hex) => anchor.certificate.fingerprint().to_string().starts_with(&hex),
        None => {
            anchor.certificate.label().eq_ignore_ascii_case(name)
                || anchor.origins.iter().any(|origin| file_is_called(&origin.path.to_string(), name))
        }
    }
}

/// The same for an anchor that is known by these three and may lie in no store.
pub(super) fn known_as(print: Fingerprint, label: &str, file: Option<&str>, name: &str) -> bool {
    match digits(name) {
        Some(hex) => print.to_string().starts_with(&hex),
        None => label.eq_ignore_ascii_case(name) || file.is_some_and(|file| file_is_called(file, name)),
    }
}

/// The hexadecimal digits of a fingerprint or its beginning, however written.
fn digits(name: &str) -> Option<String> {
    let hex: String = name.chars().filter(|c| *c != ':').collect::<String>().to_ascii_lowercase();
    (hex.len() >= 8 && hex.bytes().all(|b| b.is_ascii_hexdigit())).then_some(hex)
}

/// Whether a person who says `name` means the file at `path`: the path's end, or the file's name with or without its ending.
pub(super) fn file_is_called(path: &str, name: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    path == name || path.ends_with(&format!("/{name}")) || stem == name || stem.strip_prefix("ca-cert-") == Some(name)
}

/// Why the policy keeps an anchor, and what to do instead; `is_called` says whether the anchor goes by a name.
pub(super) fn protection(session: &Session<'_>, is_called: &dyn Fn(&str) -> bool) -> Option<(String, String)> {
    let (file, policy) = session.policy.as_ref()?;
    let is_protected = policy.protected.iter().any(|name| is_called(name));
    is_protected.then(|| (format!("{file} protects it"), "take it off that list first, or say --policy none".to_owned()))
}

/// What the policy protects and no store holds: a slip of the pen there must not pass for protection.
pub(super) fn protects_nothing(session: &Session<'_>, facts: &Facts) -> Vec<String> {
    let Some((file, policy)) = &session.policy else { return Vec::new() };
    let anchors: Vec<&Anchor> = facts.stores.iter().flat_map(|s| s.anchors()).collect();
    let absent = policy.protected.iter().filter(|name| !anchors.iter().any(|anchor| is_called(anchor, name)));
    absent
        .map(|name| {
            let labels = anchors.iter().map(|anchor| anchor.certificate.label());
            let near = labels
                .map(|label| (strsim::jaro_winkler(&name.to_lowercase(), &label.to_lowercase()), label))
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .filter(|(alike, _)| *alike > ALIKE)
                .map(|(_, label)| format!("; did you mean `{label}`?"))
                .unwrap_or_default();
            format!("{file} protects `{name}`, and no store here holds such an anchor{near}")
        })
        .collect()
}
