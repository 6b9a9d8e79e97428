//! What was presented, and every path from it.

use super::{Style, plural};
use crate::{base::At, facts::Presented, path::Attempt, render::words, report::Report, x509::Certificate};

/// Writes each endpoint: the connection, the certificates as sent, the paths.
pub(super) fn endpoints(out: &mut String, report: &Report, style: Style) {
    for (index, endpoint) in report.facts.endpoints.iter().enumerate() {
        out.push_str(&format!("{}\n", style.bold(&endpoint.target.text)));
        match &endpoint.outcome {
            Err(failure) => out.push_str(&format!("  {}\n", style.bad(&failure.to_string()))),
            Ok(presented) => {
                connection(out, presented);
                certificates(out, presented, report.at, style);
                paths(out, report.paths.get(index).map(Vec::as_slice).unwrap_or_default(), report, style);
            }
        }
        out.push('\n');
    }
}

fn connection(out: &mut String, presented: &Presented) {
    let mut parts = Vec::new();
    parts.extend(presented.peer.as_ref().map(|peer| format!("peer {peer}")));
    parts.extend(presented.protocol.map(|p| p.name().to_owned()));
    parts.extend(presented.cipher.clone());
    parts.extend(presented.alpn.as_ref().map(|alpn| format!("ALPN {alpn}")));
    if presented.peer.is_some() {
        parts.push(presented.sni.as_ref().map_or("no SNI sent".into(), |sni| format!("SNI {sni}")));
        parts.push(if presented.staple.is_some() { "OCSP response stapled".into() } else { "no OCSP staple".into() });
        if !presented.handshake_completed {
            parts.push("handshake not completed: certificates read from a plain ClientHello".into());
        }
    }
    parts.extend(presented.alert.map(|(number, name)| format!("alert {number} ({name})")));
    if !parts.is_empty() {
        out.push_str(&format!("  {}\n", parts.join(", ")));
    }
}

fn certificates(out: &mut String, presented: &Presented, at: At, style: Style) {
    out.push_str(&format!(
        "  {}, in the order sent\n",
        plural(presented.certificates.len() + presented.opaque.len(), "certificate")
    ));
    for (index, certificate) in presented.certificates.iter().enumerate() {
        out.push_str(&format!("  {index} {}\n", style.bold(&certificate.subject().to_string())));
        out.push_str(&format!("    issued by {}\n", certificate.issuer()));
        let validity = validity(certificate, at, style);
        out.push_str(&format!(
            "    {}, signed with {}; {validity}\n",
            certificate.public_key(),
            certificate.signature_algorithm()
        ));
        out.push_str(&format!("    SHA-256 {}\n", certificate.fingerprint()));
        let remarks = remarks(index, certificate, &presented.certificates);
        if !remarks.is_empty() {
            out.push_str(&format!("    {}\n", remarks.join("; ")));
        }
    }
    for (index, why) in &presented.opaque {
        out.push_str(&format!("  {index} {}\n", style.bad(&format!("unreadable: {why}"))));
    }
}

fn validity(certificate: &Certificate, at: At, style: Style) -> String {
    let validity = certificate.validity();
    let show = |date: Option<At>| date.map_or("unreadable".to_owned(), |d| d.to_string());
    let text = format!("valid {} to {}", show(validity.not_before), show(validity.not_after));
    match (validity.not_before, validity.not_after) {
        (Some(start), _) if at < start => format!("{text}, {}", style.bad(&format!("begins {}", at.relative(start)))),
        (_, Some(end)) if at > end => format!("{text}, {}", style.bad(&format!("expired {}", at.relative(end)))),
        (_, Some(end)) => format!("{text}, ends {}", at.relative(end)),
        _ => text,
    }
}

/// What is special about the place of a certificate in the list.
fn remarks(index: usize, certificate: &Certificate, all: &[Certificate]) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(first) = all[..index].iter().position(|c| c == certificate) {
        remarks.push(format!("the same as certificate {first}"));
    } else if certificate.is_self_issued() {
        remarks.push(if index == 0 { "self-signed" } else { "a root: clients don't need it" }.to_owned());
    } else if index > 0 && certificate.is_ca() && is_cross_sign(certificate, all) {
        remarks.push("a cross-sign: this name and key exist under another issuer too".to_owned());
    }
    if index > 0 && all.get(index - 1).is_some_and(|child| child.issuer().raw() != certificate.subject().raw()) {
        remarks.push(format!("not the issuer of certificate {}", index - 1));
    }
    remarks.extend(certificate.defects().iter().map(|d| format!("defect: {d:?}")));
    remarks
}

fn is_cross_sign(certificate: &Certificate, all: &[Certificate]) -> bool {
    all.iter().any(|other| other.is_same_entity(certificate))
}

fn paths(out: &mut String, attempts: &[Attempt], report: &Report, style: Style) {
    let shown = if report.verbosity > 0 { attempts.len() } else { attempts.len().min(8) };
    out.push_str(&format!("  {}\n", plural(attempts.len(), "path")));
    for attempt in &attempts[..shown] {
        let good = attempt.anchored && attempt.rejections.is_empty();
        let mark = if good { style.good("[ok]") } else { style.bad("[x] ") };
        let names: Vec<String> = attempt.path.iter().map(Certificate::label).collect();
        let end = if attempt.anchored { " (anchor)" } else { "" };
        out.push_str(&format!("  {mark} {}{end}\n", names.join(" <- ")));
        for (depth, rejection) in &attempt.rejections {
            let who = attempt.path.get(*depth).map(Certificate::label).unwrap_or_default();
            out.push_str(&format!("       depth {depth}, {who}: {}\n", words::rejection(rejection)));
        }
    }
    if attempts.len() > shown {
        out.push_str(&format!("       {} more: -v shows them\n", attempts.len() - shown));
    }
}
