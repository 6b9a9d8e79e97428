//! Cipher suites: their numbers (IANA) and OpenSSL's names for them.

/// Suites of TLS 1.2 and before in which the server sends a certificate, in the order in which a raw hello offers them: OpenSSL's
/// order for what 3.0 still has (`openssl ciphers -V ALL:COMPLEMENTOFALL:@SECLEVEL=0`), then what older servers were left with, by its
/// names in OpenSSL 1.0.2 and 1.1: RC4, 3DES, SEED, IDEA, static ECDH, DES, export, GOST and no encryption at all.
pub(super) const OFFERED: &[(u16, &str)] = &[
    (0xc02c, "ECDHE-ECDSA-AES256-GCM-SHA384"),
    (0xc030, "ECDHE-RSA-AES256-GCM-SHA384"),
    (0x00a3, "DHE-DSS-AES256-GCM-SHA384"),
    (0x009f, "DHE-RSA-AES256-GCM-SHA384"),
    (0xcca9, "ECDHE-ECDSA-CHACHA20-POLY1305"),
    (0xcca8, "ECDHE-RSA-CHACHA20-POLY1305"),
    (0xccaa, "DHE-RSA-CHACHA20-POLY1305"),
    (0xc0af, "ECDHE-ECDSA-AES256-CCM8"),
    (0xc0ad, "ECDHE-ECDSA-AES256-CCM"),
    (0xc0a3, "DHE-RSA-AES256-CCM8"),
    (0xc09f, "DHE-RSA-AES256-CCM"),
    (0xc05d, "ECDHE-ECDSA-ARIA256-GCM-SHA384"),
    (0xc061, "ECDHE-ARIA256-GCM-SHA384"),
    (0xc057, "DHE-DSS-ARIA256-GCM-SHA384"),
    (0xc053, "DHE-RSA-ARIA256-GCM-SHA384"),
    (0xc02b, "ECDHE-ECDSA-AES128-GCM-SHA256"),
    (0xc02f, "ECDHE-RSA-AES128-GCM-SHA256"),
    (0x00a2, "DHE-DSS-AES128-GCM-SHA256"),
    (0x009e, "DHE-RSA-AES128-GCM-SHA256"),
    (0xc0ae, "ECDHE-ECDSA-AES128-CCM8"),
    (0xc0ac, "ECDHE-ECDSA-AES128-CCM"),
    (0xc0a2, "DHE-RSA-AES128-CCM8"),
    (0xc09e, "DHE-RSA-AES128-CCM"),
    (0xc05c, "ECDHE-ECDSA-ARIA128-GCM-SHA256"),
    (0xc060, "ECDHE-ARIA128-GCM-SHA256"),
    (0xc056, "DHE-DSS-ARIA128-GCM-SHA256"),
    (0xc052, "DHE-RSA-ARIA128-GCM-SHA256"),
    (0xc024, "ECDHE-ECDSA-AES256-SHA384"),
    (0xc028, "ECDHE-RSA-AES256-SHA384"),
    (0x006b, "DHE-RSA-AES256-SHA256"),
    (0x006a, "DHE-DSS-AES256-SHA256"),
    (0xc073, "ECDHE-ECDSA-CAMELLIA256-SHA384"),
    (0xc077, "ECDHE-RSA-CAMELLIA256-SHA384"),
    (0x00c4, "DHE-RSA-CAMELLIA256-SHA256"),
    (0x00c3, "DHE-DSS-CAMELLIA256-SHA256"),
    (0xc023, "ECDHE-ECDSA-AES128-SHA256"),
    (0xc027, "ECDHE-RSA-AES128-SHA256"),
    (0x0067, "DHE-RSA-AES128-SHA256"),
    (0x0040, "DHE-DSS-AES128-SHA256"),
    (0xc072, "ECDHE-ECDSA-CAMELLIA128-SHA256"),
    (0xc076, "ECDHE-RSA-CAMELLIA128-SHA256"),
    (0x00be, "DHE-RSA-CAMELLIA128-SHA256"),
    (0x00bd, "DHE-DSS-CAMELLIA128-SHA256"),
    (0xc00a, "ECDHE-ECDSA-AES256-SHA"),
    (0xc014, "ECDHE-RSA-AES256-SHA"),
    (0x0039, "DHE-RSA-AES256-SHA"),
    (0x0038, "DHE-DSS-AES256-SHA"),
    (0x0088, "DHE-RSA-CAMELLIA256-SHA"),
    (0x0087, "DHE-DSS-CAMELLIA256-SHA"),
    (0xc009, "ECDHE-ECDSA-AES128-SHA"),
    (0xc013, "ECDHE-RSA-AES128-SHA"),
    (0x0033, "DHE-RSA-AES128-SHA"),
    (0x0032, "DHE-DSS-AES128-SHA"),
    (0x0045, "DHE-RSA-CAMELLIA128-SHA"),
    (0x0044, "DHE-DSS-CAMELLIA128-SHA"),
    (0x009d, "AES256-GCM-SHA384"),
    (0xc0a1, "AES256-CCM8"),
    (0xc09d, "AES256-CCM"),
    (0xc051, "ARIA256-GCM-SHA384"),
    (0x009c, "AES128-GCM-SHA256"),
    (0xc0a0, "AES128-CCM8"),
    (0xc09c, "AES128-CCM"),
    (0xc050, "ARIA128-GCM-SHA256"),
    (0x003d, "AES256-SHA256"),
    (0x00c0, "CAMELLIA256-SHA256"),
    (0x003c, "AES128-SHA256"),
    (0x00ba, "CAMELLIA128-SHA256"),
    (0x0035, "AES256-SHA"),
    (0x0084, "CAMELLIA256-SHA"),
    (0x002f, "AES128-SHA"),
    (0x0041, "CAMELLIA128-SHA"),
    (0xc011, "ECDHE-RSA-RC4-SHA"),
    (0xc007, "ECDHE-ECDSA-RC4-SHA"),
    (0x0005, "RC4-SHA"),
    (0x0004, "RC4-MD5"),
    (0xc012, "ECDHE-RSA-DES-CBC3-SHA"),
    (0xc008, "ECDHE-ECDSA-DES-CBC3-SHA"),
    (0x0016, "DHE-RSA-DES-CBC3-SHA"),
    (0x0013, "DHE-DSS-DES-CBC3-SHA"),
    (0x000a, "DES-CBC3-SHA"),
    (0x009a, "DHE-RSA-SEED-SHA"),
    (0x0099, "DHE-DSS-SEED-SHA"),
    (0x0096, "SEED-SHA"),
    (0x0007, "IDEA-CBC-SHA"),
    (0xc004, "ECDH-ECDSA-AES128-SHA"),
    (0xc005, "ECDH-ECDSA-AES256-SHA"),
    (0xc003, "ECDH-ECDSA-DES-CBC3-SHA"),
    (0xc002, "ECDH-ECDSA-RC4-SHA"),
    (0xc00e, "ECDH-RSA-AES128-SHA"),
    (0xc00f, "ECDH-RSA-AES256-SHA"),
    (0xc00d, "ECDH-RSA-DES-CBC3-SHA"),
    (0xc00c, "ECDH-RSA-RC4-SHA"),
    (0x0015, "EDH-RSA-DES-CBC-SHA"),
    (0x0012, "EDH-DSS-DES-CBC-SHA"),
    (0x0009, "DES-CBC-SHA"),
    (0x0014, "EXP-EDH-RSA-DES-CBC-SHA"),
    (0x0011, "EXP-EDH-DSS-DES-CBC-SHA"),
    (0x0008, "EXP-DES-CBC-SHA"),
    (0x0006, "EXP-RC2-CBC-MD5"),
    (0x0003, "EXP-RC4-MD5"),
    (0xff85, "GOST2012-GOST8912-GOST8912"),
    (0x0081, "GOST2001-GOST89-GOST89"),
    (0xc006, "ECDHE-ECDSA-NULL-SHA"),
    (0xc010, "ECDHE-RSA-NULL-SHA"),
    (0x003b, "NULL-SHA256"),
    (0x0002, "NULL-SHA"),
    (0x0001, "NULL-MD5"),
];

/// Suites that a raw hello doesn't offer, for their names only: TLS 1.3.
const OTHER: &[(u16, &str)] = &[
    (0x1302, "TLS_AES_256_GCM_SHA384"),
    (0x1303, "TLS_CHACHA20_POLY1305_SHA256"),
    (0x1301, "TLS_AES_128_GCM_SHA256"),
    (0x1304, "TLS_AES_128_CCM_SHA256"),
    (0x1305, "TLS_AES_128_CCM_8_SHA256"),
];

/// OpenSSL's name of a suite; the number where it has none.
pub(super) fn name(suite: u16) -> String {
    OFFERED
        .iter()
        .chain(OTHER)
        .find(|(number, _)| *number == suite)
        .map_or_else(|| format!("0x{suite:04X}"), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_are_unique() {
        let numbers: BTreeSet<u16> = OFFERED.iter().chain(OTHER).map(|(number, _)| *number).collect();
        assert_eq!(numbers.len(), OFFERED.len() + OTHER.len());
    }

    #[test]
    fn names_are_openssls() {
        assert_eq!(name(0x1302), "TLS_AES_256_GCM_SHA384");
        assert_eq!(name(0xc02f), "ECDHE-RSA-AES128-GCM-SHA256");
        assert_eq!(name(0x0005), "RC4-SHA");
        assert_eq!(name(0x5600), "0x5600");
    }
}
