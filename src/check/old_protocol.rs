//! CD108.

use crate::{
    edit::Applicability,
    facts::Protocol,
    finding::{Finding, Intent, Remedy},
};

use super::{Case, support};

rule! {
    /// **What it means.** The server has a certificate, but offers only a protocol or cipher suites that clients of today refuse:
    /// TLS 1.0 and 1.1 were retired in 2021, and suites with 3DES, RC4 or plain RSA key exchange are off in most builds. The
    /// chain that is shown was read by a hand-written hello; nobody modern gets that far.
    ///
    /// **How it is found.** Our own handshake was not possible, and a raw ClientHello read the certificates.
    ///
    /// **What to do.** Enable TLS 1.2 or 1.3 with ECDHE suites on the server. Lowering the client's level (`openssl s_client
    /// -cipher DEFAULT@SECLEVEL=0 -tls1`) is a means to look, not a remedy.
    ///
    /// **Sources.** RFC 8996 (TLS 1.0 and 1.1); RFC 9325, section 4; Go 1.18 release notes (crypto/tls);
    /// SSL_CTX_set_security_level(3) of OpenSSL 3.
    "CD108" "old-protocol" Error "the server offers only an outdated protocol or cipher suites"
}

fn run(case: &Case<'_>, out: &mut Vec<Finding>) {
    for (_, endpoint, presented) in support::presented(case) {
        let Some(protocol) = presented.protocol.filter(|_| !presented.handshake_completed) else { continue };
        if protocol > Protocol::Tls11 && presented.cipher.as_deref().is_none_or(is_of_today) {
            continue;
        }
        let target = &endpoint.target;
        let suite = presented.cipher.clone().unwrap_or_else(|| "an unknown suite".into());
        let (message, refusing) = if protocol <= Protocol::Tls11 {
            let refusing = "OpenSSL 3, rustls, Go from 1.18, Java from 11.0.11, browsers";
            (format!("{target} speaks at most {}, which clients of today refuse", protocol.name()), refusing)
        } else {
            let refusing = "rustls and other clients without plain RSA key exchange, CBC or 3DES suites";
            (format!("{target} chose {suite} in {}, which clients of today refuse", protocol.name()), refusing)
        };
        let mut finding = support::about(&CHECK, target, message);
        finding.facts = vec![("protocol", protocol.name().to_owned()), ("cipher", suite), ("refused by", refusing.to_owned())];
        let text = "enable TLS 1.2 and 1.3 with ECDHE suites on the server";
        let command = format!("certdoctor inspect --tls1_2 {}", support::shell(&target.text));
        finding.remedies.push(Remedy::new(Intent::Manual, Applicability::Manual, text, Some(command)));
        out.push(finding);
    }
}

/// Whether clients of today have this suite: then a handshake that was not completed broke off for another reason, such as a client
/// certificate that the server demands.
fn is_of_today(suite: &str) -> bool {
    suite.starts_with("TLS_") || suite.starts_with("ECDHE-") && (suite.contains("-GCM-") || suite.contains("-CHACHA20-"))
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    #[test]
    fn catches() {
        let mut presented = presented(CHAIN_PLAIN);
        (presented.handshake_completed, presented.protocol) = (false, Some(Protocol::Tls10));
        let finding = World::at(LAB).presented("localhost", presented).one(&CHECK);
        assert_eq!(finding.message, "localhost speaks at most TLSv1, which clients of today refuse");
    }

    #[test]
    fn is_silent_after_a_handshake_and_for_files() {
        World::at(LAB).presenting("localhost", CHAIN_PLAIN).silent(&CHECK);
        let mut file = presented(CHAIN_PLAIN);
        (file.handshake_completed, file.protocol) = (false, None);
        World::at(LAB).presented("localhost", file).silent(&CHECK);
        let mut demanding = presented(CHAIN_PLAIN);
        (demanding.handshake_completed, demanding.protocol) = (false, Some(Protocol::Tls13));
        demanding.cipher = Some("TLS_AES_256_GCM_SHA384".into());
        World::at(LAB).presented("localhost", demanding).silent(&CHECK);
    }
}
