//! OpenSSL's verification errors: numbers, names (`x509_vfy.h`) and texts (`X509_verify_cert_error_string`).

/// Which texts and numbers a version uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Texts {
    /// 1.0.1 to 1.1.1.
    Before3,
    /// 3.0 to 3.5.
    From3,
    /// 3.6 and later.
    From36,
}

/// Name and 3.0's text of every number, from 0.
const ERRORS: &[(&str, &str)] = &[
    ("X509_V_OK", "ok"),
    ("X509_V_ERR_UNSPECIFIED", "unspecified certificate verification error"),
    ("X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT", "unable to get issuer certificate"),
    ("X509_V_ERR_UNABLE_TO_GET_CRL", "unable to get certificate CRL"),
    ("X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE", "unable to decrypt certificate's signature"),
    ("X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE", "unable to decrypt CRL's signature"),
    ("X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY", "unable to decode issuer public key"),
    ("X509_V_ERR_CERT_SIGNATURE_FAILURE", "certificate signature failure"),
    ("X509_V_ERR_CRL_SIGNATURE_FAILURE", "CRL signature failure"),
    ("X509_V_ERR_CERT_NOT_YET_VALID", "certificate is not yet valid"),
    ("X509_V_ERR_CERT_HAS_EXPIRED", "certificate has expired"),
    ("X509_V_ERR_CRL_NOT_YET_VALID", "CRL is not yet valid"),
    ("X509_V_ERR_CRL_HAS_EXPIRED", "CRL has expired"),
    ("X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD", "format error in certificate's notBefore field"),
    ("X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD", "format error in certificate's notAfter field"),
    ("X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD", "format error in CRL's lastUpdate field"),
    ("X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD", "format error in CRL's nextUpdate field"),
    ("X509_V_ERR_OUT_OF_MEM", "out of memory"),
    ("X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT", "self-signed certificate"),
    ("X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN", "self-signed certificate in certificate chain"),
    ("X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "unable to get local issuer certificate"),
    ("X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE", "unable to verify the first certificate"),
    ("X509_V_ERR_CERT_CHAIN_TOO_LONG", "certificate chain too long"),
    ("X509_V_ERR_CERT_REVOKED", "certificate revoked"),
    ("X509_V_ERR_NO_ISSUER_PUBLIC_KEY", "issuer certificate doesn't have a public key"),
    ("X509_V_ERR_PATH_LENGTH_EXCEEDED", "path length constraint exceeded"),
    ("X509_V_ERR_INVALID_PURPOSE", "unsuitable certificate purpose"),
    ("X509_V_ERR_CERT_UNTRUSTED", "certificate not trusted"),
    ("X509_V_ERR_CERT_REJECTED", "certificate rejected"),
    ("X509_V_ERR_SUBJECT_ISSUER_MISMATCH", "subject issuer mismatch"),
    ("X509_V_ERR_AKID_SKID_MISMATCH", "authority and subject key identifier mismatch"),
    ("X509_V_ERR_AKID_ISSUER_SERIAL_MISMATCH", "authority and issuer serial number mismatch"),
    ("X509_V_ERR_KEYUSAGE_NO_CERTSIGN", "key usage does not include certificate signing"),
    ("X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER", "unable to get CRL issuer certificate"),
    ("X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION", "unhandled critical extension"),
    ("X509_V_ERR_KEYUSAGE_NO_CRL_SIGN", "key usage does not include CRL signing"),
    ("X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION", "unhandled critical CRL extension"),
    ("X509_V_ERR_INVALID_NON_CA", "invalid non-CA certificate (has CA markings)"),
    ("X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED", "proxy path length constraint exceeded"),
    ("X509_V_ERR_KEYUSAGE_NO_DIGITAL_SIGNATURE", "key usage does not include digital signature"),
    ("X509_V_ERR_PROXY_CERTIFICATES_NOT_ALLOWED", "proxy certificates not allowed, please set the appropriate flag"),
    ("X509_V_ERR_INVALID_EXTENSION", "invalid or inconsistent certificate extension"),
    ("X509_V_ERR_INVALID_POLICY_EXTENSION", "invalid or inconsistent certificate policy extension"),
    ("X509_V_ERR_NO_EXPLICIT_POLICY", "no explicit policy"),
    ("X509_V_ERR_DIFFERENT_CRL_SCOPE", "different CRL scope"),
    ("X509_V_ERR_UNSUPPORTED_EXTENSION_FEATURE", "unsupported extension feature"),
    ("X509_V_ERR_UNNESTED_RESOURCE", "RFC 3779 resource not subset of parent's resources"),
    ("X509_V_ERR_PERMITTED_VIOLATION", "permitted subtree violation"),
    ("X509_V_ERR_EXCLUDED_VIOLATION", "excluded subtree violation"),
    ("X509_V_ERR_SUBTREE_MINMAX", "name constraints minimum and maximum not supported"),
    ("X509_V_ERR_APPLICATION_VERIFICATION", "application verification failure"),
    ("X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE", "unsupported name constraint type"),
    ("X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX", "unsupported or invalid name constraint syntax"),
    ("X509_V_ERR_UNSUPPORTED_NAME_SYNTAX", "unsupported or invalid name syntax"),
    ("X509_V_ERR_CRL_PATH_VALIDATION_ERROR", "CRL path validation error"),
    ("X509_V_ERR_PATH_LOOP", "path loop"),
    ("X509_V_ERR_SUITE_B_INVALID_VERSION", "Suite B: certificate version invalid"),
    ("X509_V_ERR_SUITE_B_INVALID_ALGORITHM", "Suite B: invalid public key algorithm"),
    ("X509_V_ERR_SUITE_B_INVALID_CURVE", "Suite B: invalid ECC curve"),
    ("X509_V_ERR_SUITE_B_INVALID_SIGNATURE_ALGORITHM", "Suite B: invalid signature algorithm"),
    ("X509_V_ERR_SUITE_B_LOS_NOT_ALLOWED", "Suite B: curve not allowed for this LOS"),
    ("X509_V_ERR_SUITE_B_CANNOT_SIGN_P_384_WITH_P_256", "Suite B: cannot sign P-384 with P-256"),
    ("X509_V_ERR_HOSTNAME_MISMATCH", "hostname mismatch"),
    ("X509_V_ERR_EMAIL_MISMATCH", "email address mismatch"),
    ("X509_V_ERR_IP_ADDRESS_MISMATCH", "IP address mismatch"),
    ("X509_V_ERR_DANE_NO_MATCH", "no matching DANE TLSA records"),
    ("X509_V_ERR_EE_KEY_TOO_SMALL", "EE certificate key too weak"),
    ("X509_V_ERR_CA_KEY_TOO_SMALL", "CA certificate key too weak"),
    ("X509_V_ERR_CA_MD_TOO_WEAK", "CA signature digest algorithm too weak"),
    ("X509_V_ERR_INVALID_CALL", "invalid certificate verification context"),
    ("X509_V_ERR_STORE_LOOKUP", "issuer certificate lookup error"),
    ("X509_V_ERR_NO_VALID_SCTS", "Certificate Transparency required, but no valid SCTs found"),
    ("X509_V_ERR_PROXY_SUBJECT_NAME_VIOLATION", "proxy subject name violation"),
    ("X509_V_ERR_OCSP_VERIFY_NEEDED", "OCSP verification needed"),
    ("X509_V_ERR_OCSP_VERIFY_FAILED", "OCSP verification failed"),
    ("X509_V_ERR_OCSP_CERT_UNKNOWN", "OCSP unknown cert"),
    ("X509_V_ERR_UNSUPPORTED_SIGNATURE_ALGORITHM", "Cannot find certificate signature algorithm"),
    ("X509_V_ERR_SIGNATURE_ALGORITHM_MISMATCH", "subject signature algorithm and issuer public key algorithm mismatch"),
    ("X509_V_ERR_SIGNATURE_ALGORITHM_INCONSISTENCY", "cert info signature and signature algorithm mismatch"),
    ("X509_V_ERR_INVALID_CA", "invalid CA certificate"),
    ("X509_V_ERR_PATHLEN_INVALID_FOR_NON_CA", "Path length invalid for non-CA cert"),
    ("X509_V_ERR_PATHLEN_WITHOUT_KU_KEY_CERT_SIGN", "Path length given without key usage keyCertSign"),
    ("X509_V_ERR_KU_KEY_CERT_SIGN_INVALID_FOR_NON_CA", "Key usage keyCertSign invalid for non-CA cert"),
    ("X509_V_ERR_ISSUER_NAME_EMPTY", "Issuer name empty"),
    ("X509_V_ERR_SUBJECT_NAME_EMPTY", "Subject name empty"),
    ("X509_V_ERR_MISSING_AUTHORITY_KEY_IDENTIFIER", "Missing Authority Key Identifier"),
    ("X509_V_ERR_MISSING_SUBJECT_KEY_IDENTIFIER", "Missing Subject Key Identifier"),
    ("X509_V_ERR_EMPTY_SUBJECT_ALT_NAME", "Empty Subject Alternative Name extension"),
    ("X509_V_ERR_EMPTY_SUBJECT_SAN_NOT_CRITICAL", "Subject empty and Subject Alt Name extension not critical"),
    ("X509_V_ERR_CA_BCONS_NOT_CRITICAL", "Basic Constraints of CA cert not marked critical"),
    ("X509_V_ERR_AUTHORITY_KEY_IDENTIFIER_CRITICAL", "Authority Key Identifier marked critical"),
    ("X509_V_ERR_SUBJECT_KEY_IDENTIFIER_CRITICAL", "Subject Key Identifier marked critical"),
    ("X509_V_ERR_CA_CERT_MISSING_KEY_USAGE", "CA cert does not include key usage extension"),
    ("X509_V_ERR_EXTENSIONS_REQUIRE_VERSION_3", "Using cert extension requires at least X509v3"),
    ("X509_V_ERR_EC_KEY_EXPLICIT_PARAMS", "Certificate public key has explicit ECC parameters"),
];

/// Where the texts before 3.0 differ, in 1.1.1 (crypto/x509/x509_txt.c).
const BEFORE_3: &[(u32, &str)] = &[
    (18, "self signed certificate"),
    (19, "self signed certificate in certificate chain"),
    (24, "invalid CA certificate"),
    (26, "unsupported certificate purpose"),
    (44, "Different CRL scope"),
    (45, "Unsupported extension feature"),
    (62, "Hostname mismatch"),
    (63, "Email address mismatch"),
    (64, "IP address mismatch"),
    (65, "No matching DANE TLSA records"),
    (69, "Invalid certificate verification context"),
    (70, "Issuer certificate lookup error"),
    (73, "OCSP verification needed"),
];

/// The name of `code`: `X509_V_ERR_CERT_HAS_EXPIRED`. 24 meant an invalid CA before 3.0.
#[must_use]
pub fn name(code: u32, texts: Texts) -> &'static str {
    if code == 24 && texts == Texts::Before3 {
        return "X509_V_ERR_INVALID_CA";
    }
    entry(code).0
}

/// The text that a client shows for `code`.
#[must_use]
pub fn text(code: u32, texts: Texts) -> &'static str {
    if code == 9 && texts == Texts::From36 {
        return "certificate is not yet valid or the system clock is incorrect";
    }
    if texts == Texts::Before3
        && let Some((_, text)) = BEFORE_3.iter().find(|(c, _)| *c == code)
    {
        return text;
    }
    entry(code).1
}

fn entry(code: u32) -> (&'static str, &'static str) {
    usize::try_from(code).ok().and_then(|i| ERRORS.get(i)).copied().unwrap_or(ERRORS[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_openssl_3_0() {
        let recorded = include_str!("../../fixtures/clients/openssl-3.0-errors.tsv");
        let mut count = 0;
        for line in recorded.lines() {
            let Some((code, expected)) = line.split_once('\t') else { continue };
            let code = code.parse().expect("a number");
            assert_eq!(text(code, Texts::From3), expected, "{code}");
            count += 1;
        }
        assert_eq!(count, ERRORS.len());
    }

    #[test]
    fn older_versions_say_it_in_their_own_words() {
        assert_eq!(text(18, Texts::Before3), "self signed certificate");
        assert_eq!(text(26, Texts::Before3), "unsupported certificate purpose");
        assert_eq!(name(24, Texts::Before3), "X509_V_ERR_INVALID_CA");
        assert_eq!(name(24, Texts::From3), "X509_V_ERR_NO_ISSUER_PUBLIC_KEY");
        assert_eq!(name(10, Texts::From3), "X509_V_ERR_CERT_HAS_EXPIRED");
        assert_eq!(text(9999, Texts::From3), "unspecified certificate verification error");
    }
}
