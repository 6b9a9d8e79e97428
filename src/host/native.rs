//! The stores as applications see them: the two crates by which Rust programs find their trust, asked as they are.
//!
//! Absent on purpose: any use as our own loader. They drop where a certificate came from, which is what this tool is about.

/// What an application of this host would load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Native {
    /// DER of each certificate that `rustls-native-certs` loads, honouring `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    pub anchors: Vec<Vec<u8>>,
    /// Its words about what it could not load.
    pub errors: Vec<String>,
    /// The file and directories that `openssl-probe` finds for programs with an OpenSSL of their own.
    pub places: Vec<String>,
}

/// Asks both, now; nothing is cached.
#[must_use]
pub fn native() -> Native {
    let loaded = rustls_native_certs::load_native_certs();
    let probed = openssl_probe::probe();
    Native {
        anchors: loaded.certs.iter().map(|c| c.to_vec()).collect(),
        errors: loaded.errors.iter().map(ToString::to_string).collect(),
        places: probed.cert_file.iter().chain(&probed.cert_dir).map(|p| p.display().to_string()).collect(),
    }
}
