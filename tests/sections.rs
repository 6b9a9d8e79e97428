//! Cutting one certificate from a bundle: what is left is what the bundle's own generator would have written without it.

mod support;

use std::io::Write;

use certdoctor::{
    facts::Content,
    format::{Interner, pem, section},
    x509::Certificate,
};
use support::read_fixture;

/// A bundle taken apart by the rules of its style.
struct Parts {
    head: String,
    /// Text and PEM of each certificate, by its group.
    groups: Vec<(String, Vec<String>)>,
    between: &'static str,
    tail: String,
}

impl Parts {
    /// As the generator writes it, without the certificate number `skip`.
    fn write(&self, skip: Option<usize>) -> String {
        let mut number = 0;
        let mut written = Vec::new();
        for (heading, sections) in &self.groups {
            let mut kept = Vec::new();
            for section in sections {
                if skip != Some(number) {
                    kept.push(section.as_str());
                }
                number += 1;
            }
            if !kept.is_empty() {
                written.push(format!("{heading}{}", kept.concat()));
            }
        }
        format!("{}{}{}", self.head, written.join(self.between), self.tail)
    }
}

/// Cuts `text` behind every END line.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for line in text.split_inclusive('\n') {
        pieces.last_mut().expect("one").push_str(line);
        if line.starts_with("-----END ") {
            pieces.push(String::new());
        }
    }
    pieces
}

fn flat(head: &str, sections: Vec<String>, tail: &str) -> Parts {
    let groups = sections.into_iter().map(|s| (String::new(), vec![s])).collect();
    Parts { head: head.to_owned(), groups, between: "", tail: tail.to_owned() }
}

/// No text at all, behind a heading.
fn bare(text: &str) -> Parts {
    let start = text.find("-----BEGIN").expect("a block");
    let mut sections = pieces(&text[start..]);
    let tail = sections.pop().expect("a tail");
    flat(&text[..start], sections, &tail)
}

/// A blank line after each.
fn blank_after(text: &str) -> Parts {
    let start = text.find("-----BEGIN").expect("a block");
    let sections = text[start..].split_inclusive("-----END CERTIFICATE-----\n\n").map(str::to_owned).collect();
    flat(&text[..start], sections, "")
}

/// A blank line and a label before each; the heading ends where the first blank line that a label follows begins.
fn blank_before(text: &str, heading_ends: &str) -> Parts {
    let start = text.find(heading_ends).expect("the heading's end");
    let mut sections = pieces(&text[start..]);
    let tail = sections.pop().expect("a tail");
    flat(&text[..start], sections, &tail)
}

/// LibreSSL's `###` groups with `===` sections.
fn grouped(text: &str) -> Parts {
    let start = text.find("### ").expect("a group");
    let blank_at_the_end = text.ends_with("-----\n\n");
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for piece in pieces(&text[start..]) {
        let piece = piece.strip_prefix('\n').unwrap_or(&piece);
        if piece.is_empty() {
            continue;
        }
        let subject = piece.find("=== ").expect("a section");
        if subject > 0 {
            groups.push((piece[..subject].to_owned(), Vec::new()));
        }
        groups.last_mut().expect("a group").1.push(piece[subject..].to_owned());
    }
    let tail = if blank_at_the_end { "\n" } else { "" };
    Parts { head: text[..start].to_owned(), groups, between: "\n", tail: tail.to_owned() }
}

fn certificates(bytes: &[u8]) -> Vec<Certificate> {
    let content = |e: certdoctor::facts::Entry| match e.content {
        Content::Certificate(c) => Some(c),
        _ => None,
    };
    pem::scan(bytes, &Interner::default()).entries.into_iter().filter_map(content).collect()
}

fn styles() -> Vec<(&'static str, Parts)> {
    let text = |name: &str| String::from_utf8(read_fixture(&format!("bundles/mini/{name}"))).expect("text");
    vec![
        ("alpine-bundle.crt", blank_after(&text("alpine-bundle.crt"))),
        ("certifi.pem", blank_before(&text("certifi.pem"), "\n# Issuer")),
        ("curl.pem", blank_before(&text("curl.pem"), "\nGlobalSign Root CA\n=")),
        ("debian-bundle.crt", bare(&text("debian-bundle.crt"))),
        ("libressl-cert.pem", grouped(&text("libressl-cert.pem"))),
        ("rhel-ca-bundle.trust.crt", blank_before(&text("rhel-ca-bundle.trust.crt"), "\n# AddTrust")),
        ("rhel-tls-ca-bundle.pem", blank_before(&text("rhel-tls-ca-bundle.pem"), "\n# AddTrust")),
        ("suse-ca-bundle.pem", bare(&text("suse-ca-bundle.pem"))),
    ]
}

#[test]
fn every_certificate_of_every_style_leaves_no_trace() {
    for (name, parts) in styles() {
        let whole = read_fixture(&format!("bundles/mini/{name}"));
        assert_eq!(parts.write(None).as_bytes(), whole, "{name}: the test's generator is wrong");
        let all = certificates(&whole);
        assert!(all.len() >= 6, "{name}");
        for (i, certificate) in all.iter().enumerate() {
            let left = section::cut(&whole, |c| c == certificate).unwrap_or_else(|| panic!("{name} {i}"));
            assert!(left == parts.write(Some(i)).as_bytes(), "{name} without {i}");
            let others: Vec<_> = all.iter().filter(|c| *c != certificate).cloned().collect();
            assert_eq!(certificates(&left), others, "{name} without {i}");
        }
    }
}

/// p11-kit ends each certificate with a blank line when it writes with labels; the mini files lack the last one.
#[test]
fn blank_lines_after_are_kept_after() {
    let mini = read_fixture("bundles/mini/rhel-tls-ca-bundle.pem");
    let real = [&mini[1..], b"\n"].concat();
    let text = String::from_utf8(real.clone()).expect("text");
    let sections: Vec<&str> = text.split_inclusive("-----END CERTIFICATE-----\n\n").collect();
    for (i, certificate) in certificates(&real).iter().enumerate() {
        let left = section::cut(&real, |c| c == certificate).expect("cut");
        let expected: String = sections.iter().enumerate().filter(|(n, _)| *n != i).map(|(_, s)| *s).collect();
        assert_eq!(String::from_utf8_lossy(&left), expected, "{i}");
    }
}

#[test]
fn every_certificate_of_libressl_leaves_no_trace() {
    let whole = read_fixture("bundles/libressl/cert-ba24ec6303.pem");
    let parts = grouped(std::str::from_utf8(&whole).expect("text"));
    assert_eq!(parts.write(None).as_bytes(), whole, "the test's generator is wrong");
    let all = certificates(&whole);
    assert_eq!(all.len(), 123);
    for (i, certificate) in all.iter().enumerate() {
        let left = section::cut(&whole, |c| c == certificate).expect("cut");
        assert!(left == parts.write(Some(i)).as_bytes(), "without {i}");
    }
}

#[test]
fn labels_are_read_in_every_style_that_has_them() {
    let labels = |name: &str| -> Vec<String> {
        let scan = pem::scan(&read_fixture(&format!("bundles/mini/{name}")), &Interner::default());
        scan.entries.into_iter().filter_map(|e| e.label).collect()
    };
    let has = |labels: &[String], label: &str| labels.iter().any(|l| l == label);
    for name in ["certifi.pem", "curl.pem", "rhel-tls-ca-bundle.pem", "rhel-ca-bundle.trust.crt"] {
        let labels = labels(name);
        assert!(has(&labels, "AddTrust External Root") && has(&labels, "DST Root CA X3"), "{name}: {labels:?}");
        assert!(labels.len() >= 6, "{name}: {labels:?}");
    }
    assert!(has(&labels("libressl-cert.pem"), "AddTrust External CA Root"));
    for name in ["alpine-bundle.crt", "debian-bundle.crt", "suse-ca-bundle.pem"] {
        assert_eq!(labels(name), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn p11_kit_objects_are_left_alone() {
    let bytes = read_fixture("bundles/mini/mini.trust.p11-kit");
    assert!(!certificates(&bytes).is_empty());
    assert_eq!(section::cut(&bytes, |_| true), None);
}

const ADDTRUST: &str = "687fa451382278fff0c8b11f8d43d576671c6eb2bceab413fb83d965d06d2ff2";
const DST_X3: &str = "0687260331a72403d909f105e69bcf0d32e1bd2493ffc6d9206d11bcd6770739";

/// The hunks of a unified diff, each as its head and its lines.
fn hunks(diff: &str) -> Vec<(String, Vec<String>)> {
    let mut hunks: Vec<(String, Vec<String>)> = Vec::new();
    for line in diff.lines() {
        if let Some(rest) = line.strip_prefix("@@ ") {
            // Git writes the line above a hunk behind its ranges.
            let ranges = rest.split(" @@").next().expect("ranges");
            hunks.push((ranges.to_owned(), Vec::new()));
        } else if let Some((_, lines)) = hunks.last_mut() {
            lines.push(line.to_owned());
        }
    }
    hunks
}

/// The commits with which LibreSSL removed the two roots.
#[test]
fn libressl_removed_the_same_lines() {
    for (before, after, upstream, fingerprint) in [
        ("cert-678710fe8b.pem", "cert-09a2b91baf.pem", "upstream-addtrust-removal-09a2b91baf.diff", ADDTRUST),
        ("cert-71e70856d8.pem", "cert-ba24ec6303.pem", "upstream-dstx3-removal-ba24ec6303.diff", DST_X3),
    ] {
        let read = |name: &str| String::from_utf8(read_fixture(&format!("bundles/libressl/{name}"))).expect("text");
        let old = read(before);
        let new = section::cut(old.as_bytes(), |c| c.fingerprint().to_string() == fingerprint).expect("cut");
        let new = String::from_utf8(new).expect("text");
        let diff = similar::TextDiff::from_lines(&old, &new).unified_diff().context_radius(3).to_string();
        let ours = hunks(&diff);
        // The other hunk of upstream's is line 1, `$OpenBSD$`.
        let theirs = hunks(&read(upstream));
        assert_eq!(ours.len(), 1, "{before}");
        assert_eq!(theirs.len(), 2, "{upstream}");
        assert_eq!(ours[0], theirs[1], "{before}");
        // And the whole file, apart from that line.
        let upstream = read(after);
        let from_line_2 = |text: &str| text.split_once('\n').expect("lines").1.to_owned();
        assert_eq!(from_line_2(&new), from_line_2(&upstream), "{after}");
    }
}

#[test]
fn commented_sections_are_seen_by_nobody() {
    for (name, _) in styles() {
        let whole = read_fixture(&format!("bundles/mini/{name}"));
        let all = certificates(&whole);
        for certificate in &all {
            let left = section::comment_out(&whole, |c| c == certificate).expect("commented out");
            let others: Vec<_> = all.iter().filter(|c| *c != certificate).cloned().collect();
            assert_eq!(certificates(&left), others, "{name}");
            assert_eq!(section::comment_out(&left, |c| c == certificate), None);
            // What stands next to it can still be cut, and the comment stays.
            for other in &others {
                let less = section::cut(&left, |c| c == other).expect("cut");
                assert!(less.windows(12).any(|w| w == b"# =====BEGIN"), "{name}");
                assert_eq!(certificates(&less).len(), others.len() - 1, "{name}");
            }
        }
    }
}

/// `END` and the next `BEGIN` in one line, as `cat` leaves them when a file lacks its last newline.
#[test]
fn the_neighbour_of_a_joined_block_stays() {
    let whole = String::from_utf8(read_fixture("bundles/mini/debian-bundle.crt")).expect("text");
    let joined = whole.replace("-----END CERTIFICATE-----\n-----BEGIN", "-----END CERTIFICATE----------BEGIN");
    assert_ne!(joined, whole);
    let all = certificates(joined.as_bytes());
    assert_eq!(all, certificates(whole.as_bytes()));
    for certificate in &all {
        let others: Vec<_> = all.iter().filter(|c| *c != certificate).cloned().collect();
        for rewrite in
            [section::cut(joined.as_bytes(), |c| c == certificate), section::comment_out(joined.as_bytes(), |c| c == certificate)]
        {
            assert_eq!(certificates(&rewrite.expect("changed")), others);
        }
    }
}

/// The number of certificates that a tool reads from standard input.
fn counted_by(tool: &str, arguments: &[&str], input: &[u8], word: &str) -> Option<usize> {
    let mut child = std::process::Command::new(tool);
    child.args(arguments).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = match child.stderr(std::process::Stdio::null()).spawn() {
        Ok(child) => child,
        Err(e) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{tool} is missing: {e}");
            eprintln!("skipped: no {tool}");
            return None;
        }
    };
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("finished");
    drop(writer.join());
    assert!(output.status.success(), "{tool}: {}", output.status);
    Some(String::from_utf8_lossy(&output.stdout).lines().filter(|l| l.contains(word)).count())
}

#[test]
fn openssl_and_gnutls_read_what_is_left() {
    for (name, _) in styles() {
        let whole = read_fixture(&format!("bundles/mini/{name}"));
        let all = certificates(&whole);
        let first = &all[0];
        for left in [section::cut(&whole, |c| c == first), section::comment_out(&whole, |c| c == first)] {
            let left = left.expect("changed");
            let file = tempfile::NamedTempFile::new().expect("a file");
            std::fs::write(file.path(), &left).expect("written");
            let path = file.path().to_str().expect("text");
            let arguments = ["storeutl", "-noout", "-certs", path];
            if let Some(n) = counted_by("openssl", &arguments, b"", ": Certificate") {
                assert_eq!(n, all.len() - 1, "openssl: {name}");
            }
            // certtool knows no TRUSTED CERTIFICATE.
            if !name.contains("trust")
                && let Some(n) = counted_by("certtool", &["-i"], &left, "BEGIN CERTIFICATE")
            {
                assert_eq!(n, all.len() - 1, "certtool: {name}");
            }
        }
    }
}
