//! The talk before TLS, for each protocol that has one.

use std::{
    io::{self, Write},
    net::IpAddr,
};

use super::{classify, wire::Wire};
use crate::facts::{ConnectFailure, StartTls};

/// The longest line, and the longest packet, that a server may send. RFC 5321 wants 512, but banners are what they are.
const LINE: usize = 8 << 10;

/// The most lines in one answer.
const LINES: usize = 200;

/// Speaks `protocol` up to the point where the ClientHello is due. `domain` is whom XMPP asks for.
///
/// # Errors
/// [`ConnectFailure::StartTls`] with what the server said, or the class of the failure.
pub(super) fn negotiate(wire: &mut Wire, protocol: StartTls, domain: &str) -> Result<(), ConnectFailure> {
    let result = match protocol {
        StartTls::Ftp => ftp(wire),
        StartTls::Imap => imap(wire),
        StartTls::Ldap => ldap(wire),
        StartTls::Lmtp => smtp(wire, "LHLO"),
        StartTls::Mysql => mysql(wire),
        StartTls::Nntp => nntp(wire),
        StartTls::Pop3 => pop3(wire),
        StartTls::Postgres => postgres(wire),
        StartTls::Sieve => sieve(wire),
        StartTls::Smtp => smtp(wire, "EHLO"),
        StartTls::Xmpp => xmpp(wire, "jabber:client", domain),
        StartTls::XmppServer => xmpp(wire, "jabber:server", domain),
    };
    let said = |text: &str| ConnectFailure::StartTls { protocol, said: classify::printable(text.as_bytes()) };
    result.map_err(|stop| match stop {
        Stop::Said(text) => said(&text),
        Stop::Io(e) => match e.kind() {
            io::ErrorKind::TimedOut if wire.first().is_empty() => ConnectFailure::TimedOut(ConnectFailure::SILENT),
            io::ErrorKind::TimedOut => ConnectFailure::TimedOut("talking before STARTTLS"),
            // A TLS server that takes our words for a bad record answers with an alert: the usual wrong port.
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData if wire.first().starts_with(&[21, 3]) => {
                said("the server speaks TLS already, without STARTTLS")
            }
            io::ErrorKind::UnexpectedEof if wire.first().is_empty() => said("the server closed the connection without a word"),
            io::ErrorKind::UnexpectedEof => {
                said(&format!("the server closed the connection after `{}`", classify::printable(wire.first())))
            }
            io::ErrorKind::InvalidData => said(&e.to_string()),
            _ => classify::io_failure(&e, "the server", "talking before STARTTLS"),
        },
    })
}

/// Why the talk ended.
enum Stop {
    Said(String),
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(e: io::Error) -> Self {
        Stop::Io(e)
    }
}

/// RFC 3207, and RFC 2033 for LMTP, which greets with LHLO.
fn smtp(wire: &mut Wire, hello: &str) -> Result<(), Stop> {
    reply(wire, "220")?;
    // We have no name that the server could look up: an address literal (RFC 5321, section 4.1.3).
    let us = match wire.local() {
        Some(IpAddr::V6(ip)) => format!("[IPv6:{ip}]"),
        Some(ip) => format!("[{ip}]"),
        None => "[127.0.0.1]".to_owned(),
    };
    say(wire, &format!("{hello} {us}"))?;
    reply(wire, "250")?;
    // Whether STARTTLS is offered doesn't matter: some servers do it without saying so, as s_client assumes too.
    say(wire, "STARTTLS")?;
    reply(wire, "220")
}

/// RFC 4217.
fn ftp(wire: &mut Wire) -> Result<(), Stop> {
    reply(wire, "220")?;
    say(wire, "AUTH TLS")?;
    reply(wire, "234")
}

/// RFC 4642.
fn nntp(wire: &mut Wire) -> Result<(), Stop> {
    let greeting = wire.line(LINE)?;
    if !greeting.starts_with("200") && !greeting.starts_with("201") {
        return Err(Stop::Said(greeting));
    }
    say(wire, "STARTTLS")?;
    reply(wire, "382")
}

/// RFC 2595, section 4.
fn pop3(wire: &mut Wire) -> Result<(), Stop> {
    line(wire, "+OK")?;
    say(wire, "STLS")?;
    line(wire, "+OK")
}

/// RFC 9051, section 6.2.1.
fn imap(wire: &mut Wire) -> Result<(), Stop> {
    line(wire, "* OK")?;
    say(wire, "a STARTTLS")?;
    for _ in 0..LINES {
        let answer = wire.line(LINE)?;
        // Untagged lines may come at any time.
        if answer.starts_with("* ") && !begins(&answer, "* BYE") {
            continue;
        }
        return if begins(&answer, "a OK") { Ok(()) } else { Err(Stop::Said(answer)) };
    }
    Err(Stop::Said("no end of untagged answers".into()))
}

/// RFC 5804, section 2.2: the greeting is a list of capabilities that ends with OK.
fn sieve(wire: &mut Wire) -> Result<(), Stop> {
    let mut greeting = || -> Result<(), Stop> {
        for _ in 0..LINES {
            let answer = wire.line(LINE)?;
            if begins(&answer, "OK") {
                return Ok(());
            }
            if !answer.starts_with('"') {
                return Err(Stop::Said(answer));
            }
        }
        Err(Stop::Said("no end of capabilities".into()))
    };
    greeting()?;
    say(wire, "STARTTLS")?;
    line(wire, "OK")
}

/// RFC 6120, section 5.
fn xmpp(wire: &mut Wire, namespace: &str, domain: &str) -> Result<(), Stop> {
    let domain: String = domain.chars().filter(|c| !matches!(c, '\'' | '"' | '<' | '>' | '&')).collect();
    write!(
        wire,
        "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='{namespace}' to='{domain}' \
         version='1.0'>"
    )?;
    let ends = |bytes: &[u8], ends: &[&str]| ends.iter().any(|e| bytes.ends_with(e.as_bytes()));
    let features =
        wire.until(LINE, |b| ends(b, &["</stream:features>", "</features>", "</stream:stream>", "</stream:error>"]))?;
    if !features.contains("urn:ietf:params:xml:ns:xmpp-tls") {
        return Err(Stop::Said(features));
    }
    wire.write_all(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")?;
    let answer = wire.until(LINE, |b| b.ends_with(b">") && (b.contains(&b'p') || b.contains(&b'f')))?;
    if !answer.contains("<proceed") {
        return Err(Stop::Said(answer));
    }
    if !answer.trim_end().ends_with("/>") {
        wire.until(LINE, |b| b.ends_with(b"</proceed>"))?;
    }
    Ok(())
}

/// RFC 4511, section 4.14: an ExtendedRequest with the OID of StartTLS.
fn ldap(wire: &mut Wire) -> Result<(), Stop> {
    const OID: &[u8] = b"1.3.6.1.4.1.1466.20037";
    let mut request = vec![0x30, 5 + OID.len() as u8 + 2, 0x02, 1, 1, 0x77, 2 + OID.len() as u8, 0x80, OID.len() as u8];
    request.extend_from_slice(OID);
    wire.write_all(&request)?;
    let message = ber(wire, 0x30)?;
    // messageID, then protocolOp: ExtendedResponse [APPLICATION 24] with resultCode, matchedDN, diagnosticMessage.
    let garbled = || Stop::Said(format!("an LDAP answer that can't be read: {message:02x?}"));
    let (_, operation) = crate::x509::read_tlv(&message).ok_or_else(garbled)?;
    let (operation, _) = crate::x509::read_tlv(operation).filter(|(o, _)| o.tag == 0x78).ok_or_else(garbled)?;
    let (code, rest) = crate::x509::read_tlv(operation.value).filter(|(c, _)| c.tag == 0x0a).ok_or_else(garbled)?;
    if code.value == [0] {
        return Ok(());
    }
    let text = crate::x509::read_tlv(rest)
        .and_then(|(_, rest)| crate::x509::read_tlv(rest))
        .map(|(text, _)| String::from_utf8_lossy(text.value).into_owned())
        .unwrap_or_default();
    Err(Stop::Said(format!("LDAP result {}: {text}", code.value.first().copied().unwrap_or_default())))
}

/// The contents of one BER element with this tag.
fn ber(wire: &mut Wire, tag: u8) -> Result<Vec<u8>, Stop> {
    let [found, first] = wire.exactly()?;
    if found != tag {
        return Err(Stop::Said(format!("not LDAP: begins with {found:#04x}")));
    }
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        length = 0;
        for _ in 0..first & 0x7f {
            let [octet] = wire.exactly()?;
            length = length << 8 | usize::from(octet);
            if length > LINE {
                break;
            }
        }
    }
    if length > LINE {
        return Err(Stop::Said("an LDAP answer without end".into()));
    }
    let mut out = vec![0; length];
    io::Read::read_exact(wire, &mut out)?;
    Ok(out)
}

/// PostgreSQL's protocol, SSLRequest: length 8, code 80877103; the answer is one byte.
fn postgres(wire: &mut Wire) -> Result<(), Stop> {
    wire.write_all(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])?;
    match wire.exactly::<1>()?[0] {
        b'S' => Ok(()),
        b'N' => Err(Stop::Said("N: the server was set up without TLS".into())),
        b'E' => Err(Stop::Said(wire.until(LINE, |b| b.ends_with(&[0, 0])).unwrap_or_else(|e| e.to_string()))),
        other => Err(Stop::Said(format!("not PostgreSQL: answers {other:#04x}"))),
    }
}

/// MySQL's protocol: the server's initial handshake packet (version 10), then our SSLRequest.
fn mysql(wire: &mut Wire) -> Result<(), Stop> {
    /// CLIENT_PROTOCOL_41, CLIENT_SSL, CLIENT_SECURE_CONNECTION.
    const CAPABILITIES: u32 = 0x200 | CLIENT_SSL | 0x8000;
    const CLIENT_SSL: u32 = 0x800;
    let [a, b, c, sequence] = wire.exactly()?;
    let length = u32::from_le_bytes([a, b, c, 0]) as usize;
    if length > LINE {
        return Err(Stop::Said(classify::printable(wire.first())));
    }
    let mut packet = vec![0; length];
    io::Read::read_exact(wire, &mut packet)?;
    match packet.first() {
        Some(10) => {}
        // ERR packet: code and text (`Host … is not allowed to connect`).
        Some(0xff) => return Err(Stop::Said(String::from_utf8_lossy(packet.get(3..).unwrap_or_default()).into_owned())),
        _ => return Err(Stop::Said(classify::printable(wire.first()))),
    }
    // Server version (NUL-terminated), thread id (4), auth data (8), filler (1), capabilities, lower half (2).
    let after_version = packet.iter().position(|b| *b == 0).map(|end| end + 1);
    let capabilities = after_version.and_then(|at| packet.get(at + 13..at + 15));
    match capabilities {
        Some([low, high]) if u32::from(u16::from_le_bytes([*low, *high])) & CLIENT_SSL != 0 => {}
        _ => return Err(Stop::Said("the MySQL server was set up without TLS".into())),
    }
    let mut request = vec![32, 0, 0, sequence.wrapping_add(1)];
    request.extend_from_slice(&CAPABILITIES.to_le_bytes());
    request.extend_from_slice(&(1u32 << 24).to_le_bytes());
    // utf8mb4_general_ci, then a filler of 23 octets.
    request.push(45);
    request.extend_from_slice(&[0; 23]);
    wire.write_all(&request)?;
    Ok(())
}

fn say(wire: &mut Wire, command: &str) -> io::Result<()> {
    wire.write_all(format!("{command}\r\n").as_bytes())
}

/// One line that must begin so.
fn line(wire: &mut Wire, wanted: &str) -> Result<(), Stop> {
    let answer = wire.line(LINE)?;
    if begins(&answer, wanted) { Ok(()) } else { Err(Stop::Said(answer)) }
}

/// A reply of one or more lines (`250-…`, `250 …`) that must have this code.
fn reply(wire: &mut Wire, wanted: &str) -> Result<(), Stop> {
    for _ in 0..LINES {
        let answer = wire.line(LINE)?;
        let end =
            answer.get(..3).is_some_and(|c| c.bytes().all(|b| b.is_ascii_digit())) && answer.as_bytes().get(3) != Some(&b'-');
        // Lines between the first and the last of an FTP reply may hold anything (RFC 959, section 4.2).
        if end || answer.as_bytes().get(3) == Some(&b'-') {
            if !answer.starts_with(wanted) {
                return Err(Stop::Said(answer));
            }
            if end {
                return Ok(());
            }
        } else if !answer.starts_with(' ') && wanted != "220" {
            return Err(Stop::Said(answer));
        }
    }
    Err(Stop::Said("no end of lines".into()))
}

fn begins(answer: &str, wanted: &str) -> bool {
    answer.get(..wanted.len()).is_some_and(|a| a.eq_ignore_ascii_case(wanted))
}
