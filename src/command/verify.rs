//! `verify`: fresh handshakes against the stores as they are on disk now — by rustls with exactly that store, by the model of each
//! client, and by the real clients that this host has — and what each says.

use std::net::IpAddr;

use super::{Failure, Outcome, Session};
use crate::{
    check::{self, ClientVerdict},
    client::{self, Client},
    facts::{ConnectFailure, Facts, Target, TargetSource},
    finding::Finding,
    host::{VerifyFailure, in_order, native::native},
    path::Verdict,
    program::{self, Ask, StoreChoice},
    report::{Verification, Verifier},
};

/// Days ahead in which an expiry is worth a word beside a verification.
const WITHIN: i64 = 30;

pub(super) fn run(session: &Session<'_>, typed: &[String]) -> Result<Outcome, Failure> {
    if session.global.at.is_some() {
        return Err(Failure("verify is about now: --at can't be used; diagnose judges at another instant".into()));
    }
    let targets = session.targets_or_policy(typed)?;
    if let Some(file) = targets.iter().find(|t| !matches!(t.source, TargetSource::Server { .. })) {
        return Err(Failure(format!("verify needs a server, and {file} is a file; certdoctor inspect {file} judges files")));
    }
    let facts = session.gather(&targets)?;
    let judgement = session.judge(&facts, WITHIN)?;
    let mut verified = by_rustls(session, &facts, &targets)?;
    if session.is_live() && facts.given.is_none() {
        verified.extend(by_application(session, &targets)?);
    }
    verified.extend(judgement.verdicts.iter().map(|v| by_model(v, &facts)));
    let (asked, disagreements) = by_programs(session, &facts, &targets)?;
    verified.extend(asked);
    // Each target's handshakes together, in the order of the targets.
    verified.sort_by_key(|v| targets.iter().position(|t| t.text == v.target));

    let mut report = session.report("verify", facts, judgement);
    super::diagnose::keep_what_concerns_targets(&mut report);
    report.findings.extend(disagreements);
    report.verified = verified;
    let unreached = report.facts.endpoints.iter().all(|e| e.outcome.is_err());
    let status = if unreached { 2 } else { u8::from(report.is_failed()) };
    Ok(session.finish(&report, status))
}

/// A handshake by rustls with each server, with exactly the anchors that were gathered.
///
/// # Errors
/// Options that can't be used.
pub(super) fn by_rustls(session: &Session<'_>, facts: &Facts, targets: &[Target]) -> Result<Vec<Verification>, Failure> {
    let client = client::resolve("rustls-webpki").map_err(|e| Failure(e.to_string()))?;
    let reading = client.reads(facts);
    let anchors: Vec<&[u8]> = reading.anchors.file.iter().chain(&reading.anchors.directory).map(|c| c.der()).collect();
    handshakes(session, targets, "rustls", &anchors, &reading.from.join(" and "))
}

/// The same with what an application that uses rustls-native-certs loads on this host: a check of our own reading.
fn by_application(session: &Session<'_>, targets: &[Target]) -> Result<Vec<Verification>, Failure> {
    let native = native();
    let anchors: Vec<&[u8]> = native.anchors.iter().map(Vec::as_slice).collect();
    let mut from = format!("what rustls-native-certs loads; openssl-probe finds {}", native.places.join(" and "));
    if let Some(first) = native.errors.first() {
        from.push_str(&format!("; not loaded: {first}"));
    }
    handshakes(session, targets, "rustls-native-certs", &anchors, &from)
}

fn handshakes(
    session: &Session<'_>,
    targets: &[Target],
    client: &str,
    anchors: &[&[u8]],
    from: &str,
) -> Result<Vec<Verification>, Failure> {
    let hello = session.hello()?;
    let jobs = usize::from(session.global.jobs);
    Ok(in_order(targets, jobs, |target| {
        let hello = crate::gather::for_target(&hello, target, session.no_proxy());
        let (trusted, text) = match session.machine.dial.verify(target, &hello, anchors, session.at) {
            Ok(()) => (Some(true), format!("verified with {} roots from {from}", anchors.len())),
            Err(VerifyFailure::Refused(words)) => (Some(false), words),
            Err(VerifyFailure::Connect(failure)) => (unreached(&failure), failure.to_string()),
        };
        Verification {
            target: target.text.clone(),
            verifier: Verifier::Rustls,
            client: client.to_owned(),
            trusted,
            text,
            decides: true,
        }
    }))
}

/// A server that rustls can't talk to says nothing about trust; one that does not answer is a failure.
fn unreached(failure: &ConnectFailure) -> Option<bool> {
    match failure {
        ConnectFailure::Alert { .. } | ConnectFailure::Interrupted => None,
        _ => Some(false),
    }
}

fn by_model(verdict: &ClientVerdict, facts: &Facts) -> Verification {
    let (trusted, text) = match &verdict.verdict {
        Verdict::Trusted { path } => (Some(true), format!("accepts, by {}", path.last().map(|c| c.label()).unwrap_or_default())),
        Verdict::Untrusted { errors, .. } => {
            (Some(false), errors.first().map_or("refuses".into(), |e| format!("refuses: {}", e.text)))
        }
        Verdict::Unknown(why) => (None, format!("can't say: {why}")),
    };
    let target = facts.endpoints[verdict.endpoint].target.text.clone();
    Verification { target, verifier: Verifier::Model, client: verdict.client.clone(), trusted, text, decides: true }
}

/// Asks the real clients of this host, and compares each with the model of its version.
fn by_programs(session: &Session<'_>, facts: &Facts, targets: &[Target]) -> Result<(Vec<Verification>, Vec<Finding>), Failure> {
    let wanted = |model: &Option<Client>| {
        session.global.client.is_empty()
            || model.as_ref().is_some_and(|m| session.clients.iter().any(|c| c.profile.family == m.profile.family))
    };
    // No program can read a store inside an archive.
    let installed = if session.global.image.is_some() { Vec::new() } else { program::installed(session.machine.exec) };
    let found: Vec<_> = installed
        .into_iter()
        .map(|(program, one)| {
            let model = one.profile_id.as_deref().and_then(|id| client::resolve(id).ok());
            (program, one, model)
        })
        .filter(|(_, _, model)| wanted(model))
        .collect();
    let store = store_choice(session);
    let (mut verified, mut findings) = (Vec::new(), Vec::new());
    for target in targets {
        let TargetSource::Server { host, port, starttls } = &target.source else { continue };
        let hello = session.hello()?;
        let connect = hello.connect.clone().unwrap_or_else(|| (host.clone(), *port));
        let ask = Ask {
            host: target.host.clone().unwrap_or_else(|| host.clone()),
            connect,
            // No client sends an address in SNI (RFC 6066, section 3).
            servername: hello.servername.clone().unwrap_or_else(|| host.parse::<IpAddr>().is_err().then(|| host.clone())),
            starttls: *starttls,
            store: store.clone(),
            seconds: session.global.timeout,
        };
        let answers = in_order(&found, 4, |(program, one, _)| program.ask(session.machine.exec, one, &ask));
        for ((program, one, model), answer) in found.iter().zip(answers) {
            let client = format!("{} {}", program.title, one.version);
            if let (Some(real), Some(model)) = (answer.trusted, model) {
                findings.extend(compare(session, facts, target, model, &client, real, &answer.text));
            }
            // A list compiled into the client: what it says is true of it, and says nothing about this host's stores.
            let endpoint = facts.endpoints.iter().position(|e| e.target == *target);
            let verdict = model.as_ref().zip(endpoint).and_then(|(m, e)| session.ask_one(facts, m, e).ok());
            let decides = store != StoreChoice::System || !matches!(verdict, Some(Verdict::Unknown(_)));
            verified.push(Verification {
                target: target.text.clone(),
                verifier: Verifier::Program,
                client,
                trusted: answer.trusted,
                text: answer.text,
                decides,
            });
        }
    }
    Ok((verified, findings))
}

/// A finding when the model of a client and the client itself differ.
fn compare(
    session: &Session<'_>,
    facts: &Facts,
    target: &Target,
    model: &Client,
    client: &str,
    real: bool,
    words: &str,
) -> Option<Finding> {
    let endpoint = facts.endpoints.iter().position(|e| e.target == *target)?;
    let verdict = session.ask_one(facts, model, endpoint).ok()?;
    let said = match verdict {
        Verdict::Trusted { .. } => true,
        Verdict::Untrusted { .. } => false,
        Verdict::Unknown(_) => return None,
    };
    let word = |trusts| if trusts { "accepts" } else { "refuses" };
    (said != real).then(|| check::disagreement(&model.id, client, &target.text, &format!("{} ({words})", word(real)), word(said)))
}

/// Where the real clients are to read: this host's stores, or the files of `--root` or `--CAfile`.
fn store_choice(session: &Session<'_>) -> StoreChoice {
    let path = |p: &std::path::Path| Some(p.display().to_string());
    let (file, directory) = (&session.connection.ca_file, &session.connection.ca_path);
    if file.is_some() || directory.is_some() {
        return StoreChoice::Files { file: file.as_deref().and_then(path), directory: directory.as_deref().and_then(path) };
    }
    match &session.global.root {
        None => StoreChoice::System,
        Some(root) => {
            let inside = |p: &str| Some(root.join(p.trim_start_matches('/')).display().to_string());
            StoreChoice::Files { file: inside("/etc/ssl/certs/ca-certificates.crt"), directory: None }
        }
    }
}
