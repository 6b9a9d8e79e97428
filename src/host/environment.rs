//! The one look at the environment: the variables that redirect trust or the way to a server, taken once as values.
#![expect(clippy::disallowed_methods, reason = "the one look at the environment")]

use std::collections::BTreeMap;

/// Variables by which a client is told to trust something else than the system's store.
///
/// Sources: the clients' documentation; `JAVA_TOOL_OPTIONS` and `NODE_OPTIONS` carry such an option among others.
pub const TRUST_VARIABLES: &[&str] = &[
    "AWS_CA_BUNDLE",
    "BUNDLE_SSL_CA_CERT",
    "CARGO_HTTP_CAINFO",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    "CURL_CA_BUNDLE",
    "DENO_CERT",
    "GIT_SSL_CAINFO",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "HEX_CACERTS_PATH",
    "HTTPLIB2_CA_CERTS",
    "JAVA_TOOL_OPTIONS",
    "NIX_SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "NODE_OPTIONS",
    "PERL_LWP_SSL_CA_FILE",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "UV_SYSTEM_CERTS",
    "npm_config_cafile",
];

/// Variables that name a proxy or an exception from it. Upper and lower case both count, as in curl.
pub const PROXY_VARIABLES: &[&str] = &["ALL_PROXY", "HTTPS_PROXY", "NO_PROXY", "all_proxy", "https_proxy", "no_proxy"];

/// The variables of the two lists that are set and not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Env {
    /// By name. A value that is no UTF-8 has U+FFFD in place of what can't be read.
    pub variables: BTreeMap<String, String>,
}

impl Env {
    /// The environment of this process, now.
    #[must_use]
    pub fn snapshot() -> Self {
        let variables = TRUST_VARIABLES
            .iter()
            .chain(PROXY_VARIABLES)
            .filter_map(|name| Some(((*name).to_owned(), std::env::var_os(name)?.to_string_lossy().into_owned())))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        Env { variables }
    }

    /// The value of `name`, if it is set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_and_apart() {
        assert!(TRUST_VARIABLES.is_sorted() && PROXY_VARIABLES.is_sorted());
        assert!(!TRUST_VARIABLES.iter().any(|v| PROXY_VARIABLES.contains(v)));
    }

    #[test]
    fn a_snapshot_holds_what_is_set() {
        let env = Env::snapshot();
        for name in TRUST_VARIABLES.iter().chain(PROXY_VARIABLES) {
            let real = std::env::var(name).ok().filter(|v| !v.is_empty());
            assert_eq!(env.get(name), real.as_deref(), "{name}");
        }
    }
}
