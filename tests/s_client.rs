//! Our rendering of a look beside the real `openssl s_client`, over the same servers and stores.

mod loopback;

use std::{
    collections::BTreeMap,
    path::Path,
    process::Stdio,
    time::{SystemTime, UNIX_EPOCH},
};

use certdoctor::{
    base::At,
    facts::{Presented, Target, TargetSource},
    host::{
        Dial, Hello,
        dial::{LiveDial, in_order},
    },
    path::{Anchors, Extra, Question, Verdict, openssl},
    render::s_client::{SClient, VerifyError, render, verification},
    x509::{Certificate, Purpose, SignatureCache},
};
use loopback::{
    openssl::{command, file, have_openssl, s_server},
    pki::{Issued, ca_params, issue, issue_with, leaf_params, made_by_openssl, name, rsa_key},
};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, DnValue, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
};

/// One server, one store, and how s_client is called.
#[derive(Default)]
struct Case {
    name: &'static str,
    /// Leaf first.
    sent: Vec<String>,
    /// The leaf's key.
    key: String,
    /// The CAfile.
    store: Vec<String>,
    /// More for s_server.
    server: &'static [&'static str],
    /// More for s_client.
    client: &'static [&'static str],
    /// `-attime`.
    at: Option<i64>,
    /// The number that must stand in `Verify return code`.
    code: u32,
}

fn case(name: &'static str, code: u32, leaf: &Issued, above: &[&Issued], store: &[&Issued]) -> Case {
    let pems = |list: &[&Issued]| list.iter().map(|i| i.pem.clone()).collect::<Vec<_>>();
    let sent = [vec![leaf.pem.clone()], pems(above)].concat();
    Case { name, sent, key: leaf.key.serialize_pem(), store: pems(store), code, ..Case::default() }
}

/// Another certificate with the same subject and key, signed by somebody else.
fn cross_sign(of: &Issued, issuer: &Issued, change: impl FnOnce(&mut CertificateParams)) -> Issued {
    let mut params = of.params.clone();
    change(&mut params);
    let key = KeyPair::from_pem(&of.key.serialize_pem()).expect("a key");
    issue_with(params, key, Some(issuer))
}

fn expired(mut params: CertificateParams) -> CertificateParams {
    params.not_after = date_time_ymd(2020, 5, 30);
    params
}

fn changed(mut params: CertificateParams, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    change(&mut params);
    params
}

fn cases() -> Vec<Case> {
    let root = issue(ca_params("Root"), None);
    let intermediate = issue(ca_params("Intermediate"), Some(&root));
    let leaf = issue(leaf_params(), Some(&intermediate));
    let stranger = issue(ca_params("Stranger"), None);
    let mut cases = vec![
        case("good", 0, &leaf, &[&intermediate], &[&root]),
        case("good, root sent", 0, &leaf, &[&intermediate, &root], &[&root]),
        case("unknown root", 20, &leaf, &[&intermediate], &[&stranger]),
        case("missing intermediate", 21, &leaf, &[], &[&root]),
        case("untrusted root sent", 19, &leaf, &[&intermediate, &root], &[&stranger]),
        case("wrong order", 0, &leaf, &[&root, &intermediate], &[&root]),
        case("wrong order, unknown", 19, &leaf, &[&root, &intermediate], &[&stranger]),
        case("sent twice", 0, &leaf, &[&leaf, &intermediate, &intermediate], &[&root]),
        case("stranger sent too", 0, &leaf, &[&stranger, &intermediate], &[&root]),
        case("only the intermediate is trusted", 2, &leaf, &[&intermediate], &[&intermediate]),
        Case {
            client: &["-partial_chain"],
            ..case("only the intermediate is trusted, partial", 0, &leaf, &[&intermediate], &[&intermediate])
        },
        Case { client: &["-partial_chain"], ..case("only the leaf is trusted, partial", 0, &leaf, &[], &[&leaf]) },
        Case { client: &["-partial_chain"], ..case("unknown, partial", 20, &leaf, &[], &[&stranger]) },
        Case { client: &["-verify_hostname", "localhost"], ..case("right name", 0, &leaf, &[&intermediate], &[&root]) },
        Case { client: &["-verify_hostname", "elsewhere.test"], ..case("wrong name", 62, &leaf, &[&intermediate], &[&root]) },
        Case { client: &["-verify_hostname", "elsewhere.test"], ..case("wrong name, unknown", 21, &leaf, &[], &[&root]) },
        Case { client: &["-showcerts"], ..case("showcerts", 0, &leaf, &[&intermediate], &[&root]) },
        Case { at: Some(1_000_000_000), ..case("before everything", 9, &leaf, &[&intermediate], &[&root]) },
        Case { at: Some(3_000_000_000), ..case("after everything", 10, &leaf, &[&intermediate], &[&root]) },
        Case { server: &["-tls1_2"], ..case("TLS 1.2", 0, &leaf, &[&intermediate], &[&root]) },
        Case {
            server: &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA384"],
            ..case("suite that rustls lacks", 0, &leaf, &[&intermediate], &[&root])
        },
        Case { server: &["-alpn", "h2"], client: &["-alpn", "h2"], ..case("ALPN", 0, &leaf, &[&intermediate], &[&root]) },
        Case { server: &["-alpn", "h2"], ..case("no ALPN", 0, &leaf, &[&intermediate], &[&root]) },
        Case { server: &["-verify", "1", "-CAfile", "sent.pem"], ..case("asks", 0, &leaf, &[&intermediate], &[&root]) },
    ];

    let wild = changed(CertificateParams::new(vec!["*.wild.test".into()]).expect("names"), |p| *p = with_dates(p.clone()));
    let wild = issue(wild, Some(&root));
    cases.push(Case { client: &["-verify_hostname", "a.wild.test"], ..case("wildcard", 0, &wild, &[], &[&root]) });

    // Dates.
    let old_leaf = issue(expired(leaf_params()), Some(&intermediate));
    let future_leaf = issue(changed(leaf_params(), |p| p.not_before = date_time_ymd(2039, 2, 3)), Some(&intermediate));
    let old_intermediate = issue(expired(ca_params("Old Intermediate")), Some(&root));
    let under_old = issue(leaf_params(), Some(&old_intermediate));
    let old_root = issue(expired(ca_params("Old Root")), None);
    let under_old_root = issue(leaf_params(), Some(&old_root));
    let all_old = issue(expired(leaf_params()), Some(&old_root));
    cases.extend([
        case("expired leaf", 10, &old_leaf, &[&intermediate], &[&root]),
        case("expired leaf, unknown issuer", 10, &old_leaf, &[], &[&root]),
        case("leaf of the future", 9, &future_leaf, &[&intermediate], &[&root]),
        case("expired intermediate", 10, &under_old, &[&old_intermediate], &[&root]),
        case("expired root in the store", 10, &under_old_root, &[], &[&old_root]),
        case("expired root sent and in the store", 10, &under_old_root, &[&old_root], &[&old_root]),
        case("expired root sent, unknown", 10, &under_old_root, &[&old_root], &[&root]),
        case("everything expired", 10, &all_old, &[], &[&old_root]),
    ]);

    // AddTrust, and DST Root CA X3: a cross-certificate, or only its root, has expired.
    let usertrust = issue(ca_params("USERTrust"), None);
    let under = issue(ca_params("Sectigo"), Some(&usertrust));
    let victim = issue(leaf_params(), Some(&under));
    let addtrust_cross = cross_sign(&usertrust, &old_root, |p| *p = expired(p.clone()));
    let dst_cross = cross_sign(&usertrust, &old_root, |_| {});
    for (which, cross) in [("addtrust", &addtrust_cross), ("dst", &dst_cross)] {
        let mut both = case(which, 0, &victim, &[&under, cross], &[&old_root, &usertrust]);
        both.client = &["-showcerts"];
        cases.push(both);
        cases.push(case(which, 0, &victim, &[&under, cross], &[&usertrust, &old_root]));
        cases.push(case(which, 0, &victim, &[&under, cross], &[&usertrust]));
        cases.push(case(which, 10, &victim, &[&under, cross], &[&old_root]));
        cases.push(case(which, 10, &victim, &[&under, cross, &old_root], &[&old_root]));
        cases.push(case(which, 20, &victim, &[&under, cross], &[&stranger]));
        cases.push(Case { at: Some(1_590_000_000), ..case(which, 0, &victim, &[&under, cross], &[&old_root]) });
    }

    // Self-signed leaves.
    let lone = issue(leaf_params(), None);
    let old_lone = issue(expired(leaf_params()), None);
    cases.extend([
        case("self-signed leaf", 18, &lone, &[], &[&root]),
        case("self-signed leaf, trusted", 0, &lone, &[], &[&lone]),
        case("self-signed leaf, expired", 10, &old_lone, &[], &[&root]),
    ]);

    // Keys.
    let rsa_root = issue_with(ca_params("RSA Root"), rsa_key(), None);
    let rsa_leaf = issue_with(leaf_params(), rsa_key(), Some(&rsa_root));
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("a key");
    let p384 = issue_with(leaf_params(), p384, Some(&rsa_root));
    let ed25519_key = || made_by_openssl(&["-algorithm", "ED25519"], &rcgen::PKCS_ED25519);
    let ed25519_root = issue_with(ca_params("Ed25519 Root"), ed25519_key(), None);
    let ed25519 = issue_with(leaf_params(), ed25519_key(), Some(&ed25519_root));
    cases.extend([
        case("RSA", 0, &rsa_leaf, &[], &[&rsa_root]),
        Case {
            server: &["-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"],
            ..case("RSA key exchange", 0, &rsa_leaf, &[], &[&rsa_root])
        },
        Case {
            server: &["-tls1", "-cipher", "ALL:@SECLEVEL=0"],
            client: &["-tls1", "-cipher", "ALL:@SECLEVEL=0"],
            ..case("TLS 1.0", 0, &rsa_leaf, &[], &[&rsa_root])
        },
        case("P-384 under RSA", 0, &p384, &[], &[&rsa_root]),
        case("Ed25519", 0, &ed25519, &[], &[&ed25519_root]),
    ]);

    // Names.
    let mut odd = name(&[
        (DnType::CountryName, "DE"),
        (DnType::OrganizationName, "Müller, Söhne + Töchter GmbH & Co. KG; \"Sicherheit\" <x> = \\"),
        (DnType::OrganizationalUnitName, " leading and trailing "),
        (DnType::LocalityName, "#hash"),
        (DnType::StateOrProvinceName, "日本 🔒"),
        (DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]), "ca@example.com"),
        (DnType::CustomDnType(vec![2, 5, 4, 97]), "VATDE-123"),
        (DnType::CustomDnType(vec![1, 3, 6, 1, 4, 1, 311, 60, 2, 1, 3]), "DE"),
        (DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 25]), "example"),
        (DnType::CustomDnType(vec![1, 2, 3, 4, 5]), "unknown"),
    ]);
    odd.push(DnType::CommonName, DnValue::BmpString("Größe".try_into().expect("BMP")));
    let odd_root = issue(changed(ca_params(""), |p| p.distinguished_name = odd), None);
    let odd_leaf = issue(leaf_params(), Some(&odd_root));
    let mut other_strings = name(&[]);
    other_strings.push(DnType::OrganizationName, DnValue::TeletexString("Teletex".try_into().expect("T61")));
    other_strings.push(DnType::CommonName, DnValue::UniversalString("Universal ä".try_into().expect("UCS-4")));
    other_strings.push(DnType::LocalityName, DnValue::PrintableString("Printable".try_into().expect("Printable")));
    other_strings.push(DnType::OrganizationalUnitName, DnValue::Ia5String("a\tb\u{7f}".try_into().expect("IA5")));
    let strings_root = issue(changed(ca_params(""), |p| p.distinguished_name = other_strings), None);
    let strings_leaf = issue(leaf_params(), Some(&strings_root));
    let multi = multi_valued();
    cases.extend([
        Case { code: 18, store: vec![root.pem.clone()], ..multi },
        case("odd names", 0, &odd_leaf, &[&odd_root], &[&odd_root]),
        case("odd names, unknown", 19, &odd_leaf, &[&odd_root], &[&root]),
        Case {
            server: &["-verify", "1", "-CAfile", "sent.pem"],
            ..case("asks by odd names", 0, &odd_leaf, &[&odd_root], &[&odd_root])
        },
        case("odd strings", 0, &strings_leaf, &[&strings_root], &[&strings_root]),
    ]);

    // Constraints.
    let shallow = issue(changed(ca_params("Shallow"), |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))), None);
    let below = issue(ca_params("Below"), Some(&shallow));
    let too_deep = issue(leaf_params(), Some(&below));
    let no_ca = issue(changed(ca_params("No CA"), |p| p.is_ca = IsCa::ExplicitNoCa), Some(&root));
    let under_no_ca = issue(leaf_params(), Some(&no_ca));
    let no_signer = issue(changed(ca_params("No Signer"), |p| p.key_usages = vec![KeyUsagePurpose::CrlSign]), Some(&root));
    let under_no_signer = issue(leaf_params(), Some(&no_signer));
    let client_only = changed(leaf_params(), |p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    let client_only = issue(client_only, Some(&root));
    let narrow = issue(
        changed(ca_params("Narrow"), |p| {
            let elsewhere = vec![GeneralSubtree::DnsName("elsewhere.test".into())];
            p.name_constraints = Some(NameConstraints { permitted_subtrees: elsewhere, excluded_subtrees: vec![] });
        }),
        Some(&root),
    );
    let dns_only = changed(CertificateParams::new(vec!["localhost".into()]).expect("names"), |p| *p = with_dates(p.clone()));
    let outside = issue(dns_only, Some(&narrow));
    let outside_and_old = issue(expired(leaf_params()), Some(&narrow));
    let mut critical = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    critical.set_criticality(true);
    let critical = issue(changed(leaf_params(), |p| p.custom_extensions = vec![critical]), Some(&root));
    // Signed by another key under the same name.
    let impostor = issue(ca_params("Root"), None);
    let forged = issue(leaf_params(), Some(&impostor));
    let old_forged = issue(expired(leaf_params()), Some(&impostor));
    cases.extend([
        case("too deep", 25, &too_deep, &[&below], &[&shallow]),
        case("too deep, unknown", 20, &too_deep, &[&below], &[&root]),
        case("issuer is no CA", 26, &under_no_ca, &[&no_ca], &[&root]),
        case("issuer may not sign", 32, &under_no_signer, &[&no_signer], &[&root]),
        case("for clients only", 26, &client_only, &[], &[&root]),
        case("outside the name constraints", 47, &outside, &[&narrow], &[&root]),
        case("outside the name constraints and expired", 47, &outside_and_old, &[&narrow], &[&root]),
        case("unknown critical extension", 34, &critical, &[], &[&root]),
        case("signed by another key", 7, &forged, &[], &[&root]),
        case("signed by another key, expired", 10, &old_forged, &[], &[&root]),
        case("signed by another key, its issuer sent", 7, &forged, &[&impostor], &[&root]),
    ]);
    cases
}

/// A name with several attributes in one RDN, which rcgen can't make.
fn multi_valued() -> Case {
    let key = rsa_key().serialize_pem();
    let directory = tempfile::tempdir().expect("a directory");
    file(directory.path(), "leaf.key", &key);
    let made = command("openssl")
        .args(["req", "-x509", "-key", "leaf.key", "-days", "30", "-subj", "/C=DE+O=A, B/OU=x+OU=y+OU=z/CN=localhost"])
        .current_dir(directory.path())
        .output()
        .expect("openssl");
    let pem = String::from_utf8(made.stdout).expect("PEM");
    Case { name: "multi-valued name", sent: vec![pem], key, ..Case::default() }
}

fn with_dates(mut params: CertificateParams) -> CertificateParams {
    params.distinguished_name = name(&[(DnType::CommonName, "localhost")]);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params
}

#[test]
fn says_what_s_client_says() {
    if !have_openssl() {
        return;
    }
    let cases = cases();
    let failures: Vec<String> = in_order(&cases, 4, compare).into_iter().flatten().collect();
    assert!(failures.is_empty(), "{} of {} cases differ\n{}", failures.len(), cases.len(), failures.join("\n"));
}

fn compare(case: &Case) -> Option<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |file_name: &str, pems: &[String]| file(directory.path(), file_name, pems.concat());
    at("leaf.pem", &case.sent[..1]);
    at("chain.pem", &case.sent[1..]);
    at("sent.pem", &case.sent);
    at("store.pem", &case.store);
    file(directory.path(), "leaf.key", &case.key);
    let mut arguments = vec!["-cert", "leaf.pem", "-key", "leaf.key"];
    if case.sent.len() > 1 {
        arguments.extend(["-cert_chain", "chain.pem"]);
    }
    let server = s_server(directory.path(), &[&arguments[..], case.server].concat());

    let real = ask_s_client(case, server.port, directory.path());
    let ours = ask_ourselves(case, server.port);
    let mut failures = Vec::new();
    let code = format!("Verify return code: {} (", case.code);
    for (what, real, ours) in [("verification", &real.0, &ours.0), ("report", &real.1, &ours.1)] {
        if real != ours {
            failures.push(format!("--- {what}, s_client:\n{real}--- {what}, ours:\n{ours}"));
        }
    }
    if !real.1.contains(&code) {
        failures.push(format!("s_client does not say `{code}…)`:\n{}", real.1));
    }
    (!failures.is_empty()).then(|| format!("=== {} (store of {})\n{}", case.name, case.store.len(), failures.join("\n")))
}

/// What s_client writes to standard error and to standard output, without what a look does not learn.
fn ask_s_client(case: &Case, port: u16, directory: &Path) -> (String, String) {
    let mut s_client = command("openssl");
    s_client.args(["s_client", "-connect", &format!("localhost:{port}"), "-servername", "localhost", "-CAfile", "store.pem"]);
    s_client.args(case.client);
    if let Some(at) = case.at {
        s_client.args(["-attime", &at.to_string()]);
    }
    let output = s_client.current_dir(directory).stdin(Stdio::null()).output().expect("openssl");
    let stderr = String::from_utf8_lossy(&output.stderr).replace("DONE\n", "");
    (stderr, comparable(&String::from_utf8_lossy(&output.stdout)))
}

/// Leaves out what depends on the two handshakes being two, and what only a whole TLS library knows.
fn comparable(text: &str) -> String {
    const SKIPPED: &[&str] = &[
        "Client Certificate Types:",
        "Requested Signature Algorithms:",
        "Shared Requested Signature Algorithms:",
        "Peer signing digest:",
        "Peer signature type:",
        "Server Temp Key:",
        "SSL handshake has read",
        "Secure Renegotiation IS supported",
        "    Session-ID",
        "    Master-Key:",
        "    PSK identity",
        "    SRP username:",
        "    TLS session ticket",
        "    00",
        "    Start Time:",
        "    Timeout   :",
        "    Extended master secret:",
        "DONE",
    ];
    // A ticket ends with an empty line; after TLS 1.3's report come the tickets that arrived later.
    let report = text.split("---\nPost-Handshake").next().unwrap_or_default();
    let kept = report.lines().filter(|line| !line.is_empty() && !SKIPPED.iter().any(|s| line.starts_with(s)));
    let mut lines: Vec<&str> = kept.collect();
    while lines.last() == Some(&"---") {
        lines.pop();
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn ask_ourselves(case: &Case, port: u16) -> (String, String) {
    let options: BTreeMap<&str, &str> = case.client.windows(2).map(|w| (w[0], w[1])).collect();
    let source = TargetSource::Server { host: "localhost".into(), port, starttls: None };
    let target = Target { text: String::new(), source, host: Some("localhost".into()) };
    let alpn = options.get("-alpn").map(|p| (*p).to_owned()).into_iter().collect();
    let presented = LiveDial::new().observe(&target, &Hello { alpn, timeout: 10, ..Hello::default() }).expect("a chain");

    let now = || SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    let at = At(case.at.unwrap_or_else(|| now().try_into().expect("a time")));
    let anchors = Anchors { file: certificates(&case.store), directory: Vec::new() };
    let partial_chain = case.client.contains(&"-partial_chain");
    let policy = openssl::Policy { partial_chain, ..openssl::Policy::V3.level(2) };
    let verdict = openssl::judge(
        &Question {
            presented: &presented.certificates,
            anchors: &anchors,
            at,
            host: options.get("-verify_hostname").copied(),
            purpose: &Purpose::ServerAuth,
            signatures: &SignatureCache::default(),
            extra: Extra::default(),
        },
        &policy,
    );
    let (path, errors) = match &verdict {
        Verdict::Trusted { path } => (path, &[][..]),
        Verdict::Untrusted { path, errors } => (path, &errors[..]),
        Verdict::Unknown(why) => panic!("{}: {why}", case.name),
    };
    let errors: Vec<VerifyError<'_>> = errors
        .iter()
        .map(|e| VerifyError { number: e.code.parse().expect("a number"), depth: e.depth.expect("a depth"), text: &e.text })
        .collect();
    let showcerts = case.client.contains(&"-showcerts");
    let peername = options.get("-verify_hostname").map(|asked| if *asked == "a.wild.test" { "*.wild.test" } else { asked });
    let input = SClient { presented: &presented, path, errors: &errors, peername, partial_chain, showcerts };
    let verification = verification(&input);
    (verification.clone(), comparable(&render(&input).replacen(&verification, "", 1)))
}

fn certificates(pems: &[String]) -> Vec<Certificate> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let parse = |pem: &String| {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
        Certificate::parse(&der).expect("a certificate")
    };
    pems.iter().map(parse).collect()
}

#[test]
fn a_file_has_no_connection() {
    let leaf = issue(leaf_params(), None);
    let presented =
        Presented { certificates: vec![Certificate::parse(&leaf.der).expect("a certificate")], ..Presented::default() };
    let errors = [VerifyError { number: 18, depth: 0, text: "self-signed certificate" }];
    let input = SClient {
        presented: &presented,
        path: &presented.certificates,
        errors: &errors,
        peername: None,
        partial_chain: false,
        showcerts: false,
    };
    let text = render(&input);
    assert!(text.starts_with("depth=0 CN = localhost\nverify error:num=18:self-signed certificate\nverify return:1\ndepth=0"));
    assert!(text.ends_with("---\nVerify return code: 18 (self-signed certificate)\n---\n"));
    for words in ["CONNECTED", "handshake", "Cipher", "CA names"] {
        assert!(!text.contains(words), "{words}");
    }
}
