//! Tag, length, value: the least that is needed to find the fields of a certificate.

use std::borrow::Cow;

/// One DER element.
#[derive(Clone, Copy, Debug)]
pub struct Tlv<'a> {
    /// The identifier octet (high tag numbers are not used by RFC 5280 and are refused).
    pub tag: u8,
    /// The contents octets.
    pub value: &'a [u8],
    /// Identifier, length and contents.
    pub whole: &'a [u8],
}

/// Reads the first element of `input`; returns it and what follows. `None` for truncated, indefinite or oversized lengths.
///
/// Lengths need not be minimal: OpenSSL reads such certificates too.
#[must_use]
pub fn read_tlv(input: &[u8]) -> Option<(Tlv<'_>, &[u8])> {
    let (&tag, rest) = input.split_first()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (&first, mut rest) = rest.split_first()?;
    let length = if first < 0x80 {
        usize::from(first)
    } else {
        let octets = usize::from(first & 0x7f);
        if octets == 0 || octets > 4 {
            return None;
        }
        let (length, after) = rest.split_at_checked(octets)?;
        rest = after;
        length.iter().fold(0usize, |acc, b| acc << 8 | usize::from(*b))
    };
    let (value, after) = rest.split_at_checked(length)?;
    Some((Tlv { tag, value, whole: &input[..input.len() - after.len()] }, after))
}

/// The elements of a constructed value, up to the first that can't be read.
pub fn elements(mut input: &[u8]) -> impl Iterator<Item = Tlv<'_>> {
    std::iter::from_fn(move || {
        let (tlv, rest) = read_tlv(input)?;
        input = rest;
        Some(tlv)
    })
}

/// The elements of a constructed value; `None` if they don't fill it.
#[must_use]
pub fn elements_exactly(mut input: &[u8]) -> Option<Vec<Tlv<'_>>> {
    let mut found = Vec::new();
    while !input.is_empty() {
        let (tlv, rest) = read_tlv(input)?;
        found.push(tlv);
        input = rest;
    }
    Some(found)
}

/// The dotted form of an object identifier's contents.
#[must_use]
pub fn oid_text(value: &[u8]) -> Cow<'static, str> {
    match usual(value) {
        Some(text) => Cow::Borrowed(text),
        None => Cow::Owned(dotted(value)),
    }
}

/// Those that nearly every certificate of a store has: most of the work of reading one was writing them out.
fn usual(value: &[u8]) -> Option<&'static str> {
    Some(match value {
        [0x55, 0x1d, last] => match last {
            0x0e => "2.5.29.14",
            0x0f => "2.5.29.15",
            0x11 => "2.5.29.17",
            0x13 => "2.5.29.19",
            0x1f => "2.5.29.31",
            0x20 => "2.5.29.32",
            0x23 => "2.5.29.35",
            0x25 => "2.5.29.37",
            _ => return None,
        },
        [0x55, 0x04, last] => match last {
            0x03 => "2.5.4.3",
            0x06 => "2.5.4.6",
            0x0a => "2.5.4.10",
            0x0b => "2.5.4.11",
            _ => return None,
        },
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last] => match last {
            0x01 => "1.2.840.113549.1.1.1",
            0x05 => "1.2.840.113549.1.1.5",
            0x0b => "1.2.840.113549.1.1.11",
            0x0c => "1.2.840.113549.1.1.12",
            _ => return None,
        },
        [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x01] => "1.3.6.1.5.5.7.1.1",
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01] => "1.2.840.10045.2.1",
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07] => "1.2.840.10045.3.1.7",
        [0x2b, 0x81, 0x04, 0x00, 0x22] => "1.3.132.0.34",
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02] => "1.2.840.10045.4.3.2",
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03] => "1.2.840.10045.4.3.3",
        _ => return None,
    })
}

fn dotted(value: &[u8]) -> String {
    let mut arcs: Vec<u64> = Vec::new();
    let mut arc = 0u64;
    for byte in value {
        arc = arc.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if arcs.is_empty() {
                let first = (arc / 40).min(2);
                arcs.push(first);
                arc -= first * 40;
            }
            arcs.push(arc);
            arc = 0;
        }
    }
    arcs.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lengths_of_every_form() {
        let (tlv, rest) = read_tlv(&[0x04, 0x01, 0xaa, 0xbb]).expect("short form");
        assert_eq!((tlv.value, rest), (&[0xaa][..], &[0xbb][..]));
        let (tlv, _) = read_tlv(&[0x04, 0x82, 0x00, 0x01, 0xaa]).expect("long form, not minimal");
        assert_eq!(tlv.value, [0xaa]);
        assert!(read_tlv(&[0x30, 0x80, 0, 0]).is_none());
        assert!(read_tlv(&[0x30, 0x05, 0]).is_none());
        assert!(read_tlv(&[]).is_none());
    }

    #[test]
    fn usual_oids_are_what_they_would_be_written_as() {
        let families: [&[u8]; 4] = [
            &[0x55, 0x1d],
            &[0x55, 0x04],
            &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01],
            &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03],
        ];
        let others: [&[u8]; 2] = [&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x01], &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]];
        let members = families.iter().flat_map(|family| (0..=255).map(move |last| [family, &[last][..]].concat()));
        let all: Vec<Vec<u8>> = members.chain(others.iter().map(|o| o.to_vec())).collect();
        assert!(all.iter().filter(|oid| usual(oid).is_some()).count() > 15);
        for oid in &all {
            assert_eq!(oid_text(oid), dotted(oid));
        }
    }

    #[test]
    fn writes_oids() {
        assert_eq!(oid_text(&[0x55, 0x1d, 0x0f]), "2.5.29.15");
        assert_eq!(oid_text(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b]), "1.2.840.113549.1.1.11");
    }
}
