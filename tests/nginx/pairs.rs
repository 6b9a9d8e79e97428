//! Certificates and keys that nginx refuses, and what certdoctor says of the same files: the cases of
//! `fixtures/renewal/nginx/nginx-1.22-errors.txt`.

use rcgen::{CertificateParams, KeyPair};

use crate::site::{self, Site};

struct Made {
    certificate: String,
    key: String,
}

fn made(name: &str) -> Made {
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new([name.to_owned()]).expect("a name").self_signed(&key).expect("signed");
    Made { certificate: certificate.pem(), key: key.serialize_pem() }
}

/// What nginx's message and ours have in common: the function, the path and OpenSSL's reason.
fn reason(said: &str) -> Option<&'static str> {
    // OpenSSL 3 has one text for whatever is wrong with the PEM of a key.
    if said.contains("No supported data to decode") || said.contains("no key that can be read") {
        return Some("no key");
    }
    ["key values mismatch", "no start line", "bad end line", "no such file", "bad password read", "bad base64 decode"]
        .into_iter()
        .find(|r| said.to_ascii_lowercase().contains(r))
}

#[test]
fn pairs_are_judged_as_nginx_judges_them() {
    let Some(nginx) = site::program() else { return };
    let (a, b) = (made("a.test"), made("b.test"));
    let one_line = a.certificate.replace('\n', "");
    let cases: Vec<(&str, Option<String>, Option<String>)> = vec![
        ("good", Some(a.certificate.clone()), Some(a.key.clone())),
        ("missing-cert", None, Some(a.key.clone())),
        ("missing-key", Some(a.certificate.clone()), None),
        ("empty", Some(String::new()), Some(a.key.clone())),
        ("mismatch", Some(a.certificate.clone()), Some(b.key.clone())),
        ("wrong-order", Some(b.certificate.clone() + &a.certificate), Some(a.key.clone())),
        ("key-only-as-cert", Some(a.key.clone()), Some(a.key.clone())),
        ("key-before-cert", Some(a.key.clone() + &a.certificate), Some(a.key.clone())),
        ("bom", Some(format!("\u{feff}{}", a.certificate)), Some(a.key.clone())),
        ("crlf", Some(a.certificate.replace('\n', "\r\n")), Some(a.key.replace('\n', "\r\n"))),
        ("truncated", Some(a.certificate[..a.certificate.len() - 30].to_owned()), Some(a.key.clone())),
        ("joined", Some(a.certificate.trim_end().to_owned() + &b.certificate), Some(a.key.clone())),
        ("one-line", Some(one_line), Some(a.key.clone())),
        ("text-before", Some(format!("subject=CN = a\n{}", a.certificate)), Some(a.key.clone())),
        ("chain", Some(a.certificate.clone() + &b.certificate), Some(a.key.clone())),
        ("second-truncated", Some(a.certificate.clone() + &b.certificate[..200]), Some(a.key.clone())),
        ("key-is-cert", Some(a.certificate.clone()), Some(a.certificate.clone())),
        ("key-after-cert", Some(a.certificate.clone()), Some(a.certificate.clone() + &a.key)),
        ("key-truncated", Some(a.certificate.clone()), Some(a.key[..a.key.len() - 20].to_owned())),
    ];
    let mut wrong = Vec::new();
    for (name, certificate, key) in cases {
        let site = Site::new();
        if let Some(text) = certificate {
            site.write("etc/nginx/ssl/c.pem", text);
        }
        if let Some(text) = key {
            site.write("etc/nginx/ssl/k.pem", text);
        }
        site.configure(
            "server { listen 127.0.0.1:1 ssl; server_name a; ssl_certificate ssl/c.pem; ssl_certificate_key ssl/k.pem; }",
        );
        let (accepted, said) = site.test(&nginx);
        let instance = site.instance();
        assert_eq!(instance.pairs.len(), 1, "{name}");
        let ours = instance.pairs[0].refused();
        let same = accepted == ours.is_none() && (accepted || reason(&said) == reason(ours.as_deref().unwrap_or_default()));
        if !same {
            wrong.push(format!("{name}: nginx {accepted} {said}\n    ours {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn variables_are_no_files() {
    let site = Site::new();
    site.configure(
        "server { listen 127.0.0.1:1 ssl; server_name a; ssl_certificate $acme_certificate; ssl_certificate_key $acme_certificate_key; }\n\
         server { listen 127.0.0.1:1 ssl; server_name b; ssl_certificate data:$x; ssl_certificate_key engine:a:b; }",
    );
    assert!(site.instance().pairs.is_empty());
}
