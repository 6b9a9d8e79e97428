//! PKCS #7 (RFC 2315) and CMS (RFC 5652): the certificates of a SignedData, signed or not.

use crate::x509::{Tlv, read_tlv};

/// 1.2.840.113549.1.7.2, signedData.
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];

/// The certificates in the order of the file, as DER; `None` when this is no SignedData.
#[must_use]
pub fn certificates(der: &[u8]) -> Option<Vec<&[u8]>> {
    // ContentInfo ::= SEQUENCE { contentType, [0] EXPLICIT content }
    let (info, _) = read_tlv(der).filter(|(t, _)| t.tag == 0x30)?;
    let (_, rest) = read_tlv(info.value).filter(|(t, _)| t.tag == 0x06 && t.value == SIGNED_DATA)?;
    let (content, _) = read_tlv(rest).filter(|(t, _)| t.tag == 0xa0)?;
    // SignedData ::= SEQUENCE { version, digestAlgorithms, contentInfo, [0] certificates OPTIONAL, … }
    let (signed, _) = read_tlv(content.value).filter(|(t, _)| t.tag == 0x30)?;
    let Some(set) = elements(signed.value).skip(3).find(|t| t.tag == 0xa0) else { return Some(Vec::new()) };
    Some(elements(set.value).filter(|t| t.tag == 0x30).map(|t| t.whole).collect())
}

fn elements(mut input: &[u8]) -> impl Iterator<Item = Tlv<'_>> {
    std::iter::from_fn(move || {
        let (tlv, rest) = read_tlv(input)?;
        input = rest;
        Some(tlv)
    })
}
