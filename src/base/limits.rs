//! How much of anything is read before it is called hostile.

/// Upper bounds; each is generous for real data and small against a machine's memory.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one store file. The largest real bundle (EL's `ca-bundle.trust.p11-kit`) has 2.3 MB.
    pub file: u64,
    /// Names in one directory. A full hash directory has about 300.
    pub names: usize,
    /// Links followed for one path, as in Linux (`path_resolution(7)`).
    pub links: usize,
    /// Bytes of one TLS handshake's certificate message. OpenSSL's default `max_cert_list` is 100 KiB.
    pub handshake: usize,
    /// Certificates of one endpoint. The longest chain of an honest server that is known has ten; checks compare them in pairs.
    pub presented: usize,
}

impl Limits {
    /// The limits in force.
    pub const DEFAULT: Limits = Limits { file: 16 << 20, names: 100_000, links: 40, handshake: 1 << 20, presented: 1_000 };
}
