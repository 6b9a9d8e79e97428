//! CD208.

use std::{cell::OnceCell, collections::HashMap};

use crate::{
    base::At,
    edit::Applicability,
    finding::{Finding, Intent, Remedy},
    x509::Certificate,
};

use super::{Case, support};

rule! {
    /// **What it means.** The server still sends a cross-certificate — the key of a root that is trusted by itself, signed by an
    /// older root — that has expired, or whose signer has. Clients that follow what is sent before what they trust end at the
    /// dead root: OpenSSL up to 1.0.2, GnuTLS before 3.6.14, LibreSSL up to 3.1.2 (3.1.5 when the cross-certificate itself is
    /// still valid). Where the dead root is gone from the store, most of them recover; some (OpenSSL 1.0.1, wolfSSL 4) need the
    /// server to stop.
    ///
    /// **How it is found.** A presented CA certificate shares name and key with another certificate (a root in a store or beside
    /// it), and it or its issuer has expired.
    ///
    /// **What to do.** Take it out of the server's chain file; ask the CA's client for the other chain (certbot
    /// `--preferred-chain`).
    ///
    /// **Sources.** RFC 5280, section 3.2 (cross-certificates); measured with 80 client configurations; Let's Encrypt's and
    /// Sectigo's notices of 2021 and 2020.
    "CD208" "expired-cross-sign-presented" Warning "the server still sends an expired cross-certificate"
}

/// Roots of history that signed cross-certificates; a store that dropped them can't tell that they have expired.
const DEAD_SIGNERS: [(&str, i64); 2] = [
    // 2020-05-30T10:48:38Z and 2021-09-30T14:01:15Z.
    ("CN=AddTrust External CA Root, OU=AddTrust External TTP Network, O=AddTrust AB, C=SE", 1_590_835_718),
    ("CN=DST Root CA X3, O=Digital Signature Trust Co.", 1_633_010_475),
];

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    let cross_signs = CrossSigns::new(case);
    for (index, endpoint, presented) in support::presented(case) {
        for (at, cross) in presented.certificates.iter().enumerate().skip(1) {
            let Some((why, heir)) = cross_signs.dead(cross, &presented.certificates) else { continue };
            let target = &endpoint.target;
            let label = cross.label();
            let message =
                format!("{target} still sends the cross-certificate of {label} under {}, {why}", cross.issuer().label());
            let mut finding = support::about(&CHECK, target, message);
            let (refusing, _) = support::refusing_and_accepting(case, index);
            finding.facts = vec![("sha256", cross.fingerprint().to_string())];
            finding.facts.extend(heir.map(|h| ("stands by itself as", format!("{} ({})", h.label(), h.fingerprint().short()))));
            if !refusing.is_empty() {
                finding.facts.push(("refused by", support::list(&refusing, 8)));
            }
            finding.evidence = vec![support::sent(endpoint, presented, at)];
            let text = format!("have the server stop sending the cross-certificate of {label}");
            let command = format!("certdoctor inspect --showcerts {}", support::shell(&target.text));
            finding.remedies.push(Remedy::new(Intent::StopServing(cross.clone()), Applicability::Manual, text, Some(command)));
            out.push(finding);
        }
    }
}

/// What tells dead cross-certificates: what is trusted, looked through once for all endpoints, and only when one presents a candidate.
pub(super) struct CrossSigns<'c> {
    case: &'c Case<'c>,
    trusted: OnceCell<Trusted<'c>>,
}

struct Trusted<'c> {
    /// The self-signed certificates, by subject and key.
    roots: HashMap<(&'c [u8], &'c [u8]), &'c Certificate, foldhash::fast::RandomState>,
    expired: Vec<&'c Certificate>,
}

impl<'c> CrossSigns<'c> {
    /// With what this case trusts.
    pub(super) fn new(case: &'c Case<'c>) -> Self {
        CrossSigns { case, trusted: OnceCell::new() }
    }

    fn trusted(&self) -> &Trusted<'c> {
        self.trusted.get_or_init(|| {
            let trusted = support::trusted(self.case);
            let mut roots = HashMap::default();
            for root in trusted.iter().filter(|c| support::is_self_signed(c)) {
                roots.entry((root.subject().raw(), root.spki())).or_insert(root);
            }
            Trusted { roots, expired: trusted.iter().filter(|c| c.is_expired(self.case.at)).collect() }
        })
    }

    /// Why a presented certificate is a dead cross-certificate, and the certificate by which the same key stands by itself, trusted or
    /// presented too.
    pub(super) fn dead(&self, cross: &Certificate, presented: &'c [Certificate]) -> Option<(String, Option<&'c Certificate>)> {
        if support::is_self_signed(cross) || !cross.is_ca() {
            return None;
        }
        let at = self.case.at;
        let Trusted { roots, expired } = self.trusted();
        let heir = roots.get(&(cross.subject().raw(), cross.spki())).copied();
        let heir = heir.or_else(|| presented.iter().find(|c| c.is_same_entity(cross) && support::is_self_signed(c)));
        let issuer = cross.issuer().to_string();
        let historic = DEAD_SIGNERS.iter().find(|(name, end)| *name == issuer && at.0 > *end);
        // Without the other certificate, an expired intermediate is just that.
        if heir.is_none() && historic.is_none() {
            return None;
        }
        if let Some(end) = cross.validity().not_after.filter(|_| cross.is_expired(at)) {
            return Some((format!("which expired {}", at.relative(end)), heir));
        }
        let mut expired = expired.iter().copied().chain(presented.iter().filter(|c| c.is_expired(at)));
        let signer = expired.find(|c| support::issued(c, cross));
        let end = signer.and_then(|s| s.validity().not_after).or(historic.map(|(_, end)| At(*end)))?;
        Some((format!("which itself expired {}", at.relative(end)), heir))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches_an_expired_one() {
        let finding =
            World::at(LAB).store(debian(&[("mozilla/U.crt", STORE_U)])).presenting("localhost", CHAIN_ADDTRUST).one(&CHECK);
        assert_eq!(
            finding.message,
            "localhost still sends the cross-certificate of Lab USERTrust RSA CA under Lab AddTrust External CA Root, \
             which expired 6 years ago"
        );
        assert!(matches!(&finding.remedies[0].intent, Intent::StopServing(c) if c.is_expired(At::parse(LAB).expect("a time"))));
    }

    #[test]
    fn catches_one_that_outlives_its_signer() {
        let both = include_str!("../../fixtures/clients/stores/A2_X1.pem");
        let finding = World::at(LAB).store(cert_pem(both)).presenting("localhost", CHAIN_DST).one(&CHECK);
        assert!(finding.message.ends_with("under Lab DST Root CA X3, which itself expired 5 years ago"), "{}", finding.message);
    }

    #[test]
    fn is_silent_while_all_live_and_about_plain_intermediates() {
        World::at("2020-05-01").store(cert_pem(STORE_A_U)).presenting("localhost", CHAIN_ADDTRUST).silent(&CHECK);
        let chain = include_str!("../../fixtures/clients/chains/expired-int.pem");
        World::at(LAB).store(cert_pem(STORE_U)).presenting("localhost", chain).silent(&CHECK);
    }
}
