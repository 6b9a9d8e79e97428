//! Bytes to entries: PEM bundles, DER, PKCS #7, Java keystores.

pub mod dockerfile;
