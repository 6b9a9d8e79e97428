//! The classes of failure, and that nothing takes longer than it may.

use super::*;

#[test]
fn classes_what_is_not_tls() {
    for (bytes, protocol) in [
        (&b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n"[..], Some("HTTP")),
        (b"220 mail.test ESMTP\r\n", Some("SMTP")),
        (b"nothing that anybody knows\r\n", None),
    ] {
        match observe(says(bytes)) {
            Err(ConnectFailure::NotTls { first, looks_like }) => {
                assert_eq!(looks_like, protocol);
                assert_eq!(first, &bytes[..bytes.len().min(64)]);
            }
            other => panic!("{other:?}"),
        }
    }
    // A server that speaks first, and waits.
    let ssh = stub(|mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
        hold(&stream, 3);
    });
    assert!(matches!(observe(ssh), Err(ConnectFailure::NotTls { looks_like: Some("SSH"), .. })));
    // Too short for a record's header.
    assert!(matches!(observe(says(b"no")), Err(ConnectFailure::NotTls { first, .. }) if first == b"no"));
}

#[test]
fn classes_ends_of_connections() {
    let port = closed_port();
    assert_eq!(observe(port).err(), Some(ConnectFailure::Refused(format!("127.0.0.1:{port}"))));
    assert_eq!(observe(says(b"")).err(), Some(ConnectFailure::EofAfterHello));
    // Closing with unread bytes resets.
    let resets = stub(|stream| {
        let _ = stream.peek(&mut [0]);
    });
    assert_eq!(observe(resets).err(), Some(ConnectFailure::Reset));
    // TCP knows no broadcast (ENETUNREACH).
    let failure = LiveDial::new().observe(&target("255.255.255.255", 443, None), &hello()).err();
    assert!(
        matches!(&failure, Some(ConnectFailure::NoRoute(words)) if words.starts_with("255.255.255.255:443: ")),
        "{failure:?}"
    );
    let half = observe(says(&[22, 3, 3, 0, 90, 2, 0, 0]));
    assert!(matches!(&half, Err(ConnectFailure::Io(words)) if words.contains("in the middle")), "{half:?}");
}

#[test]
fn classes_names_that_do_not_resolve() {
    let dial = LiveDial::new();
    let failure = dial.observe(&target("no-such-host.invalid", 443, None), &hello()).expect_err("a chain");
    match &failure {
        ConnectFailure::NameDoesNotResolve(words) => assert!(words.starts_with("no-such-host.invalid: "), "{words}"),
        // Where the name server itself can't be reached.
        other => assert_eq!(*other, ConnectFailure::TimedOut("resolving the name")),
    }
    let failure = dial.observe(&target("", 443, None), &hello()).expect_err("a chain");
    assert!(matches!(failure, ConnectFailure::NameDoesNotResolve(_)), "{failure:?}");
    for hostile in ["a b", "localhost\r\nX: y"] {
        let failure = dial.observe(&target(hostile, 443, None), &hello()).expect_err("a chain");
        assert!(matches!(failure, ConnectFailure::NameDoesNotResolve(_)), "{failure:?}");
        let connect = Hello { connect: Some((hostile.into(), 443)), ..hello() };
        let failure = dial.observe(&server(443), &connect).expect_err("a chain");
        assert!(matches!(failure, ConnectFailure::NameDoesNotResolve(_)), "{failure:?}");
    }
    let file = Target { text: "x.pem".into(), source: TargetSource::Stdin, host: None };
    assert!(matches!(dial.observe(&file, &hello()), Err(ConnectFailure::Unreadable(_))));
}

#[test]
fn names_every_alert() {
    let alerts: &[(u8, &str)] = &[
        (10, "unexpected_message"),
        (20, "bad_record_mac"),
        (22, "record_overflow"),
        (40, "handshake_failure"),
        (42, "bad_certificate"),
        (43, "unsupported_certificate"),
        (44, "certificate_revoked"),
        (45, "certificate_expired"),
        (46, "certificate_unknown"),
        (47, "illegal_parameter"),
        (48, "unknown_ca"),
        (49, "access_denied"),
        (50, "decode_error"),
        (51, "decrypt_error"),
        (70, "protocol_version"),
        (71, "insufficient_security"),
        (80, "internal_error"),
        (86, "inappropriate_fallback"),
        (90, "user_canceled"),
        (109, "missing_extension"),
        (110, "unsupported_extension"),
        (112, "unrecognized_name"),
        (113, "bad_certificate_status_response"),
        (115, "unknown_psk_identity"),
        (116, "certificate_required"),
        (120, "no_application_protocol"),
        (200, "unassigned"),
    ];
    let failures = in_order(alerts, 8, |(number, _)| observe(says(&[21, 3, 3, 0, 2, 2, *number])).err());
    for ((number, name), failure) in alerts.iter().zip(failures) {
        assert_eq!(failure, Some(ConnectFailure::Alert { number: *number, name }));
    }
}

#[test]
fn never_hangs() {
    let short = Hello { timeout: 1, ..hello() };
    let silent = stub(|stream| hold(&stream, 5));
    let drips = stub(|mut stream| {
        for byte in [22, 3, 3, 0x40, 0].into_iter().chain(std::iter::repeat_n(2, 50)) {
            if stream.write_all(&[byte]).is_err() {
                break;
            }
            thread::sleep(Duration::from_millis(100));
        }
    });
    let greets_slowly = stub(|mut stream| {
        for _ in 0..50 {
            if stream.write_all(b"2").is_err() {
                break;
            }
            thread::sleep(Duration::from_millis(100));
        }
    });
    let full = TcpListener::bind("127.0.0.1:0").expect("a port");
    let cases = [
        (target("localhost", silent, None), "in the TLS handshake"),
        (target("localhost", drips, None), "in the TLS handshake"),
        (target("localhost", greets_slowly, Some(StartTls::Smtp)), "talking before STARTTLS"),
        (target("localhost", silent, Some(StartTls::Postgres)), ConnectFailure::SILENT),
        (target("localhost", full.local_addr().expect("an address").port(), None), "in the TLS handshake"),
    ];
    let dial = LiveDial::new();
    let outcomes = in_order(&cases, cases.len(), |(target, _)| {
        let start = Instant::now();
        let failure = dial.observe(target, &short).expect_err("a chain");
        let verified = dial.verify(target, &short, &[&Pki::new().root.der], NOW);
        (failure, verified, start.elapsed())
    });
    for ((_, step), (failure, verified, elapsed)) in cases.iter().zip(outcomes) {
        assert_eq!(failure, ConnectFailure::TimedOut(step));
        assert_eq!(verified, Err(VerifyFailure::Connect(ConnectFailure::TimedOut(step))));
        assert!(elapsed < Duration::from_millis(2600), "{step}: {elapsed:?}");
    }
}
