//! CD757.

use super::{super::Case, support};
use crate::{
    edit::Applicability,
    finding::{Evidence, Finding, Intent, Remedy},
};

rule! {
    /// **What it means.** The server is told to read `cert.pem`, the leaf alone, where `fullchain.pem` lies beside it. Browsers that know the
    /// intermediate from elsewhere are content; curl, Java, Python and phones refuse. `nginx -t` has nothing against it.
    ///
    /// **How it is found.** The configured file holds one certificate that is not self-signed, and the lineage's `fullchain.pem` in the same
    /// directory begins with the same one and holds its issuer.
    ///
    /// **What to do.** One word: `certdoctor renewal --apply` writes it.
    ///
    /// **Sources.** RFC 8446, section 4.4.2; certbot's documentation of `fullchain.pem`; measured with nginx 1.22.1.
    "CD757" "leaf-only-served" Error "the server is told to read the leaf without its intermediates"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let Some(renewal) = support::renewal(case) else { return };
    for (instance, _, pair, directive, _) in support::all_pairs(renewal) {
        let Some([leaf]) = pair.certificate.leaves().map(|l| l.chain.as_slice()) else { continue };
        let whole = renewal.lineages.iter().find(|l| {
            l.path.parent() == pair.certificate.path.parent()
                && l.path != pair.certificate.path
                && matches!(l.chain.as_slice(), [first, issuer, ..] if first == leaf && support::issued(issuer, leaf))
        });
        let Some(lineage) = whole else { continue };
        let message = format!("{} holds the leaf alone; {} holds its intermediates too", pair.certificate.path, lineage.path);
        let mut finding = Finding::new(&CHECK, &lineage.name, message);
        finding.lineages = vec![support::key(lineage)];
        finding.evidence =
            vec![support::place(instance, directive), Evidence::file(&lineage.path, None, "leaf and intermediates")];
        let change =
            directive.words.get(1).and_then(|word| support::reword(instance, directive, word, &lineage.path.to_string()));
        let test = Some(support::test_command(instance));
        let text = format!("read {}", lineage.path);
        finding.remedies.push(Remedy::new(Intent::Patch(change.into_iter().collect()), Applicability::Auto, text, test));
        finding.remedies.push(support::reload(instance));
        out.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{super::testing::*, support::testing::*},
        *,
    };

    fn conf(file: &str) -> String {
        format!("server {{\n listen 443 ssl; server_name a.test; ssl_certificate /etc/letsencrypt/live/a.test/{file};\n}}")
    }

    #[test]
    fn catches_cert_pem() {
        let chain = issue(&["a.test"], "2026-11-01", "2027-01-30");
        let instance = with_pairs(nginx(&conf("cert.pem")), &[&chain[..1]]);
        let finding = World::at(LAB).lineage("a.test", chain).renewal(|r| r.nginx.instances.push(instance.clone())).one(&CHECK);
        let after = String::from_utf8(nginx_patched(&instance, &finding).files[0].bytes.clone()).expect("text");
        assert!(after.contains("ssl_certificate /etc/letsencrypt/live/a.test/fullchain.pem;"), "{after}");
    }

    #[test]
    fn is_silent_about_the_whole_chain() {
        let chain = issue(&["a.test"], "2026-11-01", "2027-01-30");
        let instance = with_pairs(nginx(&conf("fullchain.pem")), &[&chain]);
        World::at(LAB).lineage("a.test", chain).renewal(|r| r.nginx.instances.push(instance)).silent(&CHECK);
    }
}
