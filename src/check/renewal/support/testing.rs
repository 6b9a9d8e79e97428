//! Pairs by hand, for tests.

use crate::{
    base::{At, Fingerprint},
    facts::renewal::nginx::{Instance, Leaves, Pair, PemFile, PemState},
    x509::Certificate,
};

/// The instance with these chains loaded for its `ssl_certificate` directives, in their order.
pub(in crate::check::renewal) fn with_pairs(mut instance: Instance, chains: &[&[Certificate]]) -> Instance {
    let mut found = Vec::new();
    for server in instance.servers() {
        for directive in server.inherited("ssl_certificate") {
            found.push((directive.file, directive.span.start, directive.argument(0).unwrap_or_default().to_owned()));
        }
    }
    found.dedup();
    for ((file, start, path), chain) in found.into_iter().zip(chains) {
        let leaves = Leaves { chain: chain.to_vec(), refused: None, read: Fingerprint::of(b""), modified: At(0) };
        let path = instance.from_conf(&path);
        let certificate = PemFile { path: path.clone(), real: path, state: PemState::Read(leaves) };
        instance.pairs.push(Pair { file, start, certificate, key: None });
    }
    instance
}
