//! CD503.

use std::collections::BTreeSet;

use crate::{
    base::Fingerprint,
    edit::Applicability,
    facts::{CertFile, FileState, Override, Redirect},
    finding::{Evidence, Finding, Intent, Remedy, Severity},
};

use super::{Case, support};

rule! {
    /// **What it means.** An environment variable makes programs read another list of anchors than the system's. An error when it
    /// points to nothing usable: the programs that follow it refuse every server (a variable that only adds makes a warning). A
    /// warning when anchors of the system are missing there: a repaired system store does not reach those programs. A note when
    /// it holds the same.
    ///
    /// **How it is found.** The variables of the process that looks, and the sets of SHA-256 fingerprints behind them. A service
    /// may run with other variables.
    ///
    /// **What to do.** Unset it where it was set (shell profile, unit file, Dockerfile, CI settings), or point it to the system's
    /// bundle.
    ///
    /// **Sources.** SSL_CTX_set_default_verify_paths(3); curl(1), `CURL_CA_BUNDLE`; Go's crypto/x509 root_unix.go; Node.js
    /// documentation, `NODE_EXTRA_CA_CERTS`; requests' documentation.
    "CD503" "environment-redirect" Note "an environment variable redirects trust"
}

/// Who reads a variable.
fn readers(variable: &str) -> &'static str {
    match variable {
        "SSL_CERT_FILE" | "SSL_CERT_DIR" => "OpenSSL's programs, curl, Python, Ruby, Go and rustls-native-certs",
        "CURL_CA_BUNDLE" => "curl and Python requests",
        "REQUESTS_CA_BUNDLE" => "Python requests and pip",
        "GIT_SSL_CAINFO" | "GIT_SSL_CAPATH" => "git",
        "AWS_CA_BUNDLE" => "AWS CLI and SDKs",
        "PIP_CERT" => "pip",
        "NODE_EXTRA_CA_CERTS" => "Node.js",
        "NIX_SSL_CERT_FILE" => "programs from Nix",
        "HTTPLIB2_CA_CERTS" => "Python httplib2",
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH" => "gRPC",
        "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE" => "gcloud",
        _ => "programs that read it",
    }
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    if case.facts.environment.overrides.is_empty() {
        return;
    }
    let system: BTreeSet<Fingerprint> =
        case.facts.stores.iter().flat_map(|s| s.anchors()).map(|a| a.certificate.fingerprint()).collect();
    for set in &case.facts.environment.overrides {
        let adds = set.variable == "NODE_EXTRA_CA_CERTS";
        let held = held(&set.redirect);
        let who = readers(set.variable);
        let shown = support::text(set.value.as_bytes());
        let missing = system.difference(&held).count();
        let (message, severity) = match fault(set, &held) {
            Some(why) if adds => (format!("{} points to {shown}, {why}: nothing is added", set.variable), Severity::Warning),
            Some(why) => (format!("{} points to {shown}, {why}: {who} trust nothing", set.variable), Severity::Error),
            None if adds => (format!("{} adds {} for {who}", set.variable, support::count(held.len(), "anchor")), Severity::Note),
            None if missing > 0 => {
                let missing = support::count(missing, "anchor");
                (format!("{} makes {who} read {shown}, which lacks {missing} of the system's", set.variable), Severity::Warning)
            }
            None => (format!("{} makes {who} read {shown}", set.variable), Severity::Note),
        };
        let mut finding = Finding::new(&CHECK, set.variable, message);
        finding.severity = severity;
        finding.facts = vec![("value", shown), ("read by", who.to_owned()), ("anchors there", held.len().to_string())];
        if !adds && !system.is_empty() {
            finding.facts.push(("only there", held.difference(&system).count().to_string()));
            finding.facts.push(("only in the system's store", missing.to_string()));
        }
        let files = set.redirect.file.iter().map(|f| Evidence::file(&f.path, None, format!("named by {}", set.variable)));
        let directories =
            set.redirect.directories.iter().map(|d| Evidence::file(&d.path, None, format!("named by {}", set.variable)));
        finding.evidence = files.chain(directories).collect();
        let text = format!("unset {} where it was set, or point it to the system's store", set.variable);
        let command = format!("unset {}", set.variable);
        finding.remedies.push(Remedy::new(Intent::UnsetVariable(set.variable), Applicability::Manual, text, Some(command)));
        out.push(finding);
    }
}

fn held(redirect: &Redirect) -> BTreeSet<Fingerprint> {
    let linked = redirect.directories.iter().flat_map(|d| &d.entries).map(|e| &e.file);
    redirect.file.iter().chain(linked).flat_map(CertFile::certificates).map(|(_, c)| c.fingerprint()).collect()
}

/// Why nothing can be read where the variable points to.
fn fault(set: &Override, held: &BTreeSet<Fingerprint>) -> Option<String> {
    let file = set.redirect.file.as_ref().map(|f| match &f.state {
        FileState::Missing => "which is not there".to_owned(),
        FileState::NotAFile(what) => format!("which is a {what}"),
        FileState::TooLarge(size) => format!("which has {size} bytes"),
        FileState::Unreadable(why) => format!("which can't be read ({why})"),
        FileState::Read { .. } => "which holds no certificate".to_owned(),
    });
    let directory = || match set.redirect.directories.iter().find_map(|d| d.state.as_ref().err()) {
        Some(why) => format!("which can't be listed ({why})"),
        None => "which holds no certificate".to_owned(),
    };
    held.is_empty().then(|| file.unwrap_or_else(directory))
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    fn with(variable: &'static str, file: CertFile) -> World {
        let mut world = World::at(LAB).store(debian(&[("mozilla/U.crt", STORE_U), ("mozilla/A.crt", STORE_A)]));
        let value = file.path.to_string();
        let redirect = Redirect { file: Some(file), directories: Vec::new() };
        world.facts.environment.overrides.push(Override { variable, value, redirect });
        world
    }

    #[test]
    fn catches_what_is_not_there() {
        let finding = with("SSL_CERT_FILE", missing("/opt/ca.pem")).one(&CHECK);
        assert_eq!(finding.severity, Severity::Error);
        assert!(finding.message.starts_with("SSL_CERT_FILE points to /opt/ca.pem, which is not there: "), "{}", finding.message);
        assert_eq!(with("NODE_EXTRA_CA_CERTS", missing("/opt/ca.pem")).one(&CHECK).severity, Severity::Warning);
    }

    #[test]
    fn grades_by_what_is_missing() {
        let finding = with("CURL_CA_BUNDLE", cert_file("/opt/ca.pem", STORE_U)).one(&CHECK);
        assert!(finding.message.ends_with("which lacks 1 anchor of the system's"), "{}", finding.message);
        assert_eq!(finding.severity, Severity::Warning);
        assert_eq!(with("CURL_CA_BUNDLE", cert_file("/opt/ca.pem", STORE_A_U)).one(&CHECK).severity, Severity::Note);
        assert_eq!(with("NODE_EXTRA_CA_CERTS", cert_file("/opt/ca.pem", STORE_A)).one(&CHECK).severity, Severity::Note);
    }

    #[test]
    fn is_silent_without_variables() {
        World::at(LAB).store(debian(&[("mozilla/U.crt", STORE_U)])).silent(&CHECK);
    }
}
