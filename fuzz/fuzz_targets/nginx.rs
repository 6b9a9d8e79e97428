//! A configuration in nginx's grammar: taken apart, and then asked who answers a challenge, over which maps and patterns.
#![no_main]

use certdoctor::{
    facts::renewal::{
        HttpChallenge,
        nginx::{ConfFile, Directive, Instance},
    },
    format::nginx,
    nginx::Model,
};
use libfuzzer_sys::fuzz_target;

fn look(bytes: &[u8], directives: &[Directive]) {
    for directive in directives {
        assert!(bytes.get(directive.span.clone()).is_some());
        for word in &directive.words {
            let written = bytes.get(word.span.clone()).expect("a word of the file");
            assert!(!written.is_empty());
        }
        if let Some(block) = &directive.block {
            assert!(bytes.get(block.inner.clone()).is_some());
        }
        let _ = (nginx::indentation(bytes, directive.span.start), nginx::whole_lines(bytes, &directive.span));
        look(bytes, directive.children());
    }
}

fuzz_target!(|bytes: &[u8]| {
    let parsed = nginx::parse(bytes, 0);
    look(bytes, &parsed.directives);
    let path = "/etc/nginx/nginx.conf";
    let mut instance = Instance::new("nginx", path.into(), Some("/usr/share/nginx".into()));
    instance.directives = parsed.directives;
    let read = certdoctor::base::Fingerprint::of(bytes);
    instance.files = vec![ConfFile { path: path.into(), real: path.into(), read, bytes: bytes.to_vec() }];
    let model = Model::new(&instance);
    for name in ["a.test", "www.a.test"] {
        let challenge = HttpChallenge {
            lineage: ("certbot", name.to_owned()),
            name: name.to_owned(),
            port: 80,
            webroot: "/var/www/le".into(),
            said: (path.into(), None),
        };
        for address in model.addresses(80) {
            assert!(!model.challenge(&challenge, address).answers.is_empty());
        }
        for server in instance.stream_servers() {
            let _ = instance.passes(server, "acme-tls/1", true);
        }
    }
    // What is written is read back as one word.
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
    let line = format!("root {};", nginx::quoted(&text));
    let again = nginx::parse(line.as_bytes(), 0);
    assert_eq!(again.directives.first().and_then(|d| d.argument(0)), Some(&*text));
});
