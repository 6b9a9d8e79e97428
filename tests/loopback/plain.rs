//! The plain part of each protocol that upgrades to TLS, as a server speaks it, up to the point where the ClientHello is due.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use certdoctor::facts::StartTls;

/// Speaks as a server that is willing; true when the client asked for TLS.
pub fn willing(protocol: StartTls, stream: &mut TcpStream) -> bool {
    match protocol {
        StartTls::Smtp | StartTls::Lmtp => lines(stream, "220-hello\r\n220 mail.test ESMTP ready\r\n", |line| {
            let greeting = if protocol == StartTls::Smtp { "EHLO " } else { "LHLO " };
            if line.starts_with(greeting) {
                return Answer::Say("250-mail.test\r\n250-PIPELINING\r\n250 STARTTLS\r\n");
            }
            if line == "STARTTLS" { Answer::Tls("220 2.0.0 go ahead\r\n") } else { Answer::Say("500 what?\r\n") }
        }),
        StartTls::Imap => lines(stream, "* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n", |line| match line.split_once(' ') {
            Some((".", "CAPABILITY")) => Answer::Say("* CAPABILITY IMAP4rev1 STARTTLS\r\n. OK done\r\n"),
            Some((".", "STARTTLS")) => Answer::Tls(". OK begin TLS now\r\n"),
            Some(("a", "STARTTLS")) => Answer::Tls("* CAPABILITY IMAP4rev1\r\na OK begin TLS now\r\n"),
            _ => Answer::Say("* BAD what?\r\n"),
        }),
        StartTls::Pop3 => lines(stream, "+OK POP3 ready\r\n", |line| {
            if line == "STLS" { Answer::Tls("+OK begin TLS\r\n") } else { Answer::Say("-ERR what?\r\n") }
        }),
        StartTls::Ftp => lines(stream, "220-Welcome\r\nto this server\r\n220 ready\r\n", |line| match line {
            "FEAT" => Answer::Say("211-Features:\r\n AUTH TLS\r\n211 End\r\n"),
            "AUTH TLS" => Answer::Tls("234 AUTH TLS OK\r\n"),
            _ => Answer::Say("500 what?\r\n"),
        }),
        StartTls::Nntp => lines(stream, "201 news ready\r\n", |line| match line {
            "CAPABILITIES" => Answer::Say("101 list:\r\nVERSION 2\r\nSTARTTLS\r\n.\r\n"),
            "STARTTLS" => Answer::Tls("382 continue\r\n"),
            _ => Answer::Say("500 what?\r\n"),
        }),
        StartTls::Sieve => {
            let greeting = "\"IMPLEMENTATION\" \"test\"\r\n\"SIEVE\" \"fileinto\"\r\n\"STARTTLS\"\r\nOK \"ready\"\r\n";
            lines(stream, greeting, |line| {
                if line == "STARTTLS" { Answer::Tls("OK \"begin TLS\"\r\n") } else { Answer::Say("NO \"what?\"\r\n") }
            })
        }
        StartTls::Xmpp | StartTls::XmppServer => {
            let namespace = if protocol == StartTls::Xmpp { "jabber:client" } else { "jabber:server" };
            let opening = element(stream, "version='1.0'>");
            if !opening.contains(namespace) || !opening.contains("to='") {
                return false;
            }
            let _ = stream.write_all(
                b"<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' id='1'>\
                  <stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>",
            );
            let asked = element(stream, "/>").contains("<starttls");
            let _ = stream.write_all(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
            asked
        }
        StartTls::Ldap => ldap(stream, 0),
        StartTls::Postgres => {
            let mut request = [0; 8];
            let asked = stream.read_exact(&mut request).is_ok() && request == [0, 0, 0, 8, 4, 210, 22, 47];
            let _ = stream.write_all(if asked { b"S" } else { b"E" });
            asked
        }
        StartTls::Mysql => mysql(stream, 0x0800),
    }
}

/// Speaks as a server that is not willing; what a client should report of its words.
pub fn unwilling(protocol: StartTls, stream: &mut TcpStream) {
    match protocol {
        StartTls::Smtp | StartTls::Lmtp => {
            lines(stream, "220 mail.test\r\n", |line| match line {
                "STARTTLS" => Answer::Say("454 4.7.0 TLS not available\r\n"),
                _ => Answer::Say("250 mail.test\r\n"),
            });
        }
        StartTls::Imap => {
            lines(stream, "* OK ready\r\n", |_| Answer::Say("a BAD TLS not available\r\n"));
        }
        StartTls::Pop3 => {
            lines(stream, "+OK ready\r\n", |_| Answer::Say("-ERR TLS not available\r\n"));
        }
        StartTls::Ftp => {
            lines(stream, "220 ready\r\n", |_| Answer::Say("534 TLS not available\r\n"));
        }
        StartTls::Nntp => {
            lines(stream, "200 ready\r\n", |_| Answer::Say("580 TLS not available\r\n"));
        }
        StartTls::Sieve => {
            lines(stream, "OK \"ready\"\r\n", |_| Answer::Say("NO \"TLS not available\"\r\n"));
        }
        StartTls::Xmpp | StartTls::XmppServer => {
            element(stream, "version='1.0'>");
            let _ = stream.write_all(b"<stream:stream id='1'><stream:features><tls-not-available/></stream:features>");
        }
        StartTls::Ldap => {
            ldap(stream, 53);
        }
        StartTls::Postgres => {
            let _ = stream.read_exact(&mut [0; 8]);
            let _ = stream.write_all(b"N");
        }
        StartTls::Mysql => {
            mysql(stream, 0);
        }
    }
}

enum Answer {
    Say(&'static str),
    Tls(&'static str),
}

fn lines(stream: &mut TcpStream, greeting: &str, answer: impl Fn(&str) -> Answer) -> bool {
    let _ = stream.write_all(greeting.as_bytes());
    loop {
        let line = element(stream, "\n");
        if line.is_empty() {
            return false;
        }
        match answer(line.trim_end()) {
            Answer::Say(text) => {
                let _ = stream.write_all(text.as_bytes());
            }
            Answer::Tls(text) => {
                let _ = stream.write_all(text.as_bytes());
                return true;
            }
        }
    }
}

/// Everything up to `end`, and not a byte more: the ClientHello may follow. Empty at the end of the connection.
fn element(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(end.as_bytes()) {
        match stream.read(&mut byte) {
            Ok(1) => text.push(byte[0]),
            _ => return String::new(),
        }
    }
    String::from_utf8(text).expect("text")
}

fn ldap(stream: &mut TcpStream, code: u8) -> bool {
    let mut header = [0; 2];
    let _ = stream.read_exact(&mut header);
    let mut request = vec![0; usize::from(header[1])];
    let _ = stream.read_exact(&mut request);
    let asked = request.windows(22).any(|w| w == b"1.3.6.1.4.1.1466.20037");
    let text = if code == 0 { &b""[..] } else { b"TLS not available" };
    let mut operation = vec![0x0a, 1, if asked { code } else { 2 }, 0x04, 0, 0x04, text.len() as u8];
    operation.extend_from_slice(text);
    let mut message = vec![0x02, 1, 1, 0x78, operation.len() as u8];
    message.extend_from_slice(&operation);
    let mut answer = vec![0x30, message.len() as u8];
    answer.extend_from_slice(&message);
    let _ = stream.write_all(&answer);
    asked && code == 0
}

fn mysql(stream: &mut TcpStream, capabilities: u16) -> bool {
    let mut packet = vec![10];
    packet.extend_from_slice(b"8.0.36\0");
    packet.extend_from_slice(&[7, 0, 0, 0]);
    packet.extend_from_slice(b"12345678\0");
    packet.extend_from_slice(&(0xf7ff | capabilities).to_le_bytes());
    packet.extend_from_slice(&[45, 2, 0, 0xff, 0xdf, 21]);
    packet.extend_from_slice(&[0; 10]);
    packet.extend_from_slice(b"123456789012\0mysql_native_password\0");
    let mut greeting = vec![packet.len() as u8, 0, 0, 0];
    greeting.extend_from_slice(&packet);
    let _ = stream.write_all(&greeting);
    let mut request = [0; 36];
    stream.read_exact(&mut request).is_ok() && request[..4] == [32, 0, 0, 1] && request[5] & 8 != 0
}
