//! From what went wrong to its class.

use std::io;

use super::wire::Broken;
use crate::{base::Limits, facts::ConnectFailure};

/// The class of an operating system's error at `step`; `to` is whom we talked to.
pub(super) fn io_failure(e: &io::Error, to: &str, step: &'static str) -> ConnectFailure {
    match e.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => ConnectFailure::TimedOut(step),
        io::ErrorKind::ConnectionRefused => ConnectFailure::Refused(to.to_owned()),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => ConnectFailure::Reset,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            ConnectFailure::NoRoute(format!("{to}: {}", words(e)))
        }
        // No interface of this host has an address of that family: a network without IPv6, usually.
        io::ErrorKind::AddrNotAvailable => ConnectFailure::NoRoute(format!("{to}: {}", words(e))),
        _ => ConnectFailure::Io(format!("{to}: {}", words(e))),
    }
}

/// An error's text without Rust's `(os error N)`.
pub(super) fn words(e: &io::Error) -> String {
    let text = e.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    let mut text = text[..end].to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    text
}

/// The class of a broken handshake, given how the server's answer began.
pub(super) fn broken(broken: Broken, first: &[u8]) -> ConnectFailure {
    if let Broken::Alert(number) = broken {
        return ConnectFailure::Alert { number, name: alert_name(number) };
    }
    if !first.is_empty() && !looks_like_tls(first) {
        return ConnectFailure::NotTls { first: first.to_vec(), looks_like: looks_like(first) };
    }
    match broken {
        Broken::Eof if first.is_empty() => ConnectFailure::EofAfterHello,
        Broken::Eof => ConnectFailure::Io("the server closed the connection in the middle of the handshake".into()),
        Broken::Io(e) => io_failure(&e, "the handshake", "in the TLS handshake"),
        Broken::TooMuch => {
            ConnectFailure::Io(format!("the server's handshake is longer than {} bytes", Limits::DEFAULT.handshake))
        }
        Broken::Unspeakable(words) => ConnectFailure::Io(words),
        Broken::Alert(number) => ConnectFailure::Alert { number, name: alert_name(number) },
    }
}

/// Whether bytes can begin a TLS record (RFC 8446, section 5.1): a content type, then major version 3.
pub(super) fn looks_like_tls(first: &[u8]) -> bool {
    matches!(first, [20..=24] | [20..=24, 3, ..])
}

/// The protocol that a server speaks, by its first bytes.
pub(super) fn looks_like(first: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(first);
    let upper = text.trim_start().to_ascii_uppercase();
    let begins = |prefixes: &[&str]| prefixes.iter().any(|p| upper.starts_with(p));
    if begins(&["HTTP/", "<!DOCTYPE HTML", "<HTML"]) {
        return Some("HTTP");
    }
    if begins(&["SSH-"]) {
        return Some("SSH");
    }
    if begins(&["220 ", "220-", "421 ", "500 ", "554 "]) {
        return Some(if upper.contains("FTP") && !upper.contains("SMTP") { "FTP" } else { "SMTP" });
    }
    if begins(&["200 ", "201 "]) {
        return Some("NNTP");
    }
    if begins(&["+OK", "-ERR "]) {
        return Some(if begins(&["-ERR UNKNOWN COMMAND", "-ERR WRONG"]) { "Redis" } else { "POP3" });
    }
    if begins(&["* OK", "* BYE", "* PREAUTH"]) {
        return Some("IMAP");
    }
    if begins(&["<?XML", "<STREAM:"]) {
        return Some("XMPP");
    }
    if begins(&["\"IMPLEMENTATION\""]) {
        return Some("ManageSieve");
    }
    if begins(&["RFB 0"]) {
        return Some("VNC");
    }
    if begins(&["@RSYNCD:"]) {
        return Some("rsync");
    }
    match first {
        // Initial handshake packet: three octets of length, sequence number 0, protocol version 10; an error packet has 0xff there.
        [_, _, 0, 0, 10 | 0xff, ..] => Some("MySQL"),
        // ErrorResponse: the severity field follows the length.
        [b'E', 0, 0, _, _, b'S', ..] => Some("PostgreSQL"),
        // IAC DO/DONT/WILL/WONT.
        [0xff, 0xfb..=0xfe, ..] => Some("Telnet"),
        // TPKT header.
        [3, 0, 0, _, ..] => Some("RDP"),
        _ => None,
    }
}

/// The names of RFC 8446, section 6, and of the older versions' alerts (RFC 5246, section 7.2; RFC 6101).
pub(super) fn alert_name(number: u8) -> &'static str {
    match number {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        52 => "too_many_cids_requested",
        60 => "export_restriction",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        111 => "certificate_unobtainable",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        114 => "bad_certificate_hash_value",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        117 => "general_error",
        120 => "no_application_protocol",
        121 => "ech_required",
        _ => "unassigned",
    }
}

/// A server's words, fit for a terminal: one line, no control characters, at most 200 characters.
pub(super) fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .trim()
        .chars()
        .take(200)
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_protocols_by_their_first_bytes() {
        assert_eq!(looks_like(b"HTTP/1.1 400 Bad Request\r\n"), Some("HTTP"));
        assert_eq!(looks_like(b"SSH-2.0-OpenSSH_9.2p1"), Some("SSH"));
        assert_eq!(looks_like(b"220 mail.example.com ESMTP Postfix"), Some("SMTP"));
        assert_eq!(looks_like(b"220 (vsFTPd 3.0.3)"), Some("FTP"));
        assert_eq!(looks_like(b"* OK [CAPABILITY IMAP4rev1] ready"), Some("IMAP"));
        assert_eq!(looks_like(b"\x4a\x00\x00\x00\x0a8.0.36"), Some("MySQL"));
        assert_eq!(looks_like(b"E\x00\x00\x00\x85SFATAL"), Some("PostgreSQL"));
        assert_eq!(looks_like(b"\x00\x01\x02"), None);
    }

    #[test]
    fn a_record_header_is_tls() {
        assert!(looks_like_tls(&[22, 3, 1]));
        assert!(looks_like_tls(&[21]));
        assert!(!looks_like_tls(b"HTTP"));
        assert!(!looks_like_tls(&[22, 9]));
    }
}
