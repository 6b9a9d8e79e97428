//! CD756.

use super::{
    super::Case,
    support::{self, certbot::has_mixed_links},
};
use crate::{
    edit::Applicability,
    finding::{Evidence, Finding, Intent, Remedy},
};

rule! {
    /// **What it means.** nginx refuses a certificate and its key: a file is missing or no PEM, or the key belongs to another certificate. It
    /// does not start with it; one that runs goes on with the certificate before, until it is restarted.
    ///
    /// **How it is found.** Each `ssl_certificate` and `ssl_certificate_key` is read as OpenSSL reads it, and the public half of the key is compared
    /// with the certificate's. Paths with variables, `data:` and `engine:` are no files. What this user may not read is not judged.
    ///
    /// **What to do.** Name the right files. A key that "does not match" often means that the chain is in the wrong order: the leaf must be first.
    ///
    /// **Sources.** ngx_ssl_certificate in src/event/ngx_event_openssl.c; compared with `nginx -t` of nginx 1.22.1 case by case in `tests/nginx`.
    "CD756" "pair-refused" Error "nginx refuses a certificate or its key"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    for (instance, server, pair, directive, key) in support::all_pairs(renewal) {
        let Some(refused) = pair.refused() else { continue };
        // They are loaded for a server without a socket for TLS too (measured with 1.22.1).
        let names = server.plain_names();
        let lineage = support::lineage_of(renewal, pair);
        // Links of `live` that lead to different versions are CD714's, which tells of the server too.
        if lineage.is_some_and(|l| renewal.certbot.conf(&l.name).is_some_and(has_mixed_links) && l.manager == "certbot") {
            continue;
        }
        let lineage = lineage.or_else(|| renewal.lineages.iter().find(|l| names.iter().any(|n| support::covers(&l.names(), n))));
        let mut finding = Finding::new(&CHECK, pair.certificate.path.to_string(), format!("nginx refuses it: {refused}"));
        finding.lineages = lineage.map(support::key).into_iter().collect();
        finding.evidence.push(support::place(instance, directive));
        finding.evidence.extend(key.map(|d| support::place(instance, d)));
        finding
            .evidence
            .extend(instance.emergencies.last().map(|line| Evidence::file(&line.path, Some(line.line), line.text.clone())));
        let test = support::test_command(instance);
        let own = lineage.filter(|l| l.leaf().is_some_and(|c| !c.is_expired(case.at)) && l.path.name() == b"fullchain.pem");
        let changes = own.and_then(|l| {
            let wanted = [(directive, l.path.clone()), (key?, l.path.parent().join("privkey.pem"))];
            let wrong = wanted.iter().filter(|(d, path)| d.argument(0) != Some(path.to_string().as_str()));
            wrong.map(|(d, path)| support::reword(instance, d, d.words.get(1)?, &path.to_string())).collect::<Option<Vec<_>>>()
        });
        // Where nginx reads the lineage's own files already, they are what is wrong.
        if let (Some(changes), Some(lineage)) = (changes.filter(|c| !c.is_empty()), own) {
            let text = format!("read {} and its key, which {} keeps for these names", lineage.path, lineage.manager);
            finding.remedies.push(Remedy::new(Intent::Patch(changes), Applicability::Ask, text, Some(test.clone())));
        }
        finding.remedies.push(support::by_hand("put the right files there, or name them, and ask nginx", Some(test)));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{super::testing::*, support::testing::*},
        *,
    };
    use crate::facts::renewal::nginx::{Key, KeyState, PemState};

    const CONF: &str =
        "server {\n listen 443 ssl; server_name a.test;\n ssl_certificate /old/c.pem; ssl_certificate_key /old/k.pem;\n}";

    #[test]
    fn catches_a_missing_file_and_names_the_lineages() {
        let chain = issue(&["a.test"], "2026-11-01", "2027-01-30");
        let mut instance = with_pairs(nginx(CONF), &[&chain]);
        instance.pairs[0].certificate.state = PemState::Missing;
        let finding = World::at(LAB).lineage("a.test", chain).renewal(|r| r.nginx.instances.push(instance.clone())).one(&CHECK);
        assert_eq!(
            finding.message,
            "nginx refuses it: cannot load certificate \"/old/c.pem\": BIO_new_file() failed (no such file)"
        );
        let after = String::from_utf8(nginx_patched(&instance, &finding).files[0].bytes.clone()).expect("text");
        assert!(after.contains("ssl_certificate /etc/letsencrypt/live/a.test/fullchain.pem; ssl_certificate_key /etc/letsencrypt/live/a.test/privkey.pem;"));
    }

    #[test]
    fn catches_a_key_of_another_certificate() {
        let chain = issue(&["a.test"], "2026-11-01", "2027-01-30");
        let mut instance = with_pairs(nginx(CONF), &[&chain]);
        instance.pairs[0].key = Some(Key { path: "/old/k.pem".into(), state: KeyState::Public(vec![4, 1, 2]) });
        let finding = World::at(LAB).renewal(|r| r.nginx.instances.push(instance)).one(&CHECK);
        assert!(
            finding.message.ends_with("SSL_CTX_use_PrivateKey(\"/old/k.pem\") failed (key values mismatch)"),
            "{}",
            finding.message
        );
    }

    #[test]
    fn is_silent_about_a_good_pair() {
        let chain = issue(&["a.test"], "2026-11-01", "2027-01-30");
        let half = chain[0].public_key_octets().to_vec();
        let mut instance = with_pairs(nginx(CONF), &[&chain]);
        instance.pairs[0].key = Some(Key { path: "/old/k.pem".into(), state: KeyState::Public(half) });
        World::at(LAB).renewal(|r| r.nginx.instances.push(instance)).silent(&CHECK);
    }
}
