//! Certificates as they are found, not as they ought to be (RFC 5280, read leniently).
//!
//! Our own reader finds the fields of RFC 5280, section 4.1, in anything that is roughly DER, and what lies inside names and
//! extensions. What a strict parser would refuse becomes a [`Defect`] and the certificate lives on, because a TLS client somewhere
//! will judge it.
//!
//! Absent on purpose: any verdict. Whether a certificate is good is the business of [`crate::path`].

mod certificate;
mod crl;
mod der;
mod extension;
mod key;
mod legacy;
mod name;
mod signature;

pub use certificate::{Certificate, CertificateMap, CertificateSet, Defect, NotACertificate, Trust, Validity};
pub use crl::{ALL_REASONS, Crl, DistributionPoint, PointName, Revoked, Scope, distribution_points};
pub use der::{Tlv, elements, elements_exactly, oid_text, read_tlv};
pub use extension::{
    AuthorityKeyId, BasicConstraints, Extension, GeneralName, KeyUsage, Purpose, extension_name, general_name, general_names,
};
pub use key::{Hash, KeyAlgorithm, PublicKey, SignatureAlgorithm, key_identifier};
pub use name::{Ending, Name, directory_string};
pub use signature::{SignatureCache, SignatureError, Signed, verify};
