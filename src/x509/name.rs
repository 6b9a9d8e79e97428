//! Distinguished names: as bytes, for people, and in the form that OpenSSL compares and hashes.

use std::{borrow::Cow, fmt};

use ring::digest;

use super::der::{Tlv, elements, oid_text, read_tlv};

/// A distinguished name, kept as its DER.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

impl Name {
    /// Keeps the DER of a `Name` (tag and length included).
    #[must_use]
    pub fn new(der: &[u8]) -> Self {
        Name(der.into())
    }

    /// A name of one RDN, from the contents of its SET.
    #[must_use]
    pub fn of_rdn(contents: &[u8]) -> Self {
        let (mut set, mut name) = (Vec::new(), Vec::new());
        push_tlv(&mut set, 0x31, contents);
        push_tlv(&mut name, 0x30, &set);
        Name(name.into())
    }

    /// The DER.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.0
    }

    /// Whether it has no attribute at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.attributes().next().is_none()
    }

    /// The common name, if any; the last one if there are several, as OpenSSL's host check and people see it.
    #[must_use]
    pub fn common_name(&self) -> Option<String> {
        self.attributes().filter(|(_, oid, _)| *oid == [0x55, 0x04, 0x03]).last().map(|(_, _, value)| text(&value))
    }

    /// Every common name.
    #[must_use]
    pub fn common_names(&self) -> Vec<String> {
        self.attributes().filter(|(_, oid, _)| *oid == [0x55, 0x04, 0x03]).map(|(_, _, value)| text(&value)).collect()
    }

    /// The e-mail addresses among the attributes (PKCS #9).
    #[must_use]
    pub fn email_addresses(&self) -> Vec<String> {
        let of_kind = self.attributes().filter(|(_, oid, _)| *oid == [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01]);
        of_kind.map(|(_, _, value)| text(&value)).collect()
    }

    /// A name for people: common name, else organisational unit, else organisation, else everything.
    #[must_use]
    pub fn label(&self) -> String {
        let find = |last: u8| {
            self.attributes().filter(|(_, oid, _)| *oid == [0x55, 0x04, last]).last().map(|(_, _, value)| printable(text(&value)))
        };
        find(3).or_else(|| find(11)).or_else(|| find(10)).unwrap_or_else(|| self.to_string())
    }

    /// The form of `openssl x509 -subject` and `s_client` 3.x: `C = US, O = Example, CN = example.com`; attributes of one
    /// RDN are joined by ` + ` (`XN_FLAG_ONELINE`, with its escapes).
    #[must_use]
    pub fn openssl_oneline(&self) -> String {
        let mut out = String::new();
        let mut last_rdn = usize::MAX;
        for (rdn, oid, value) in self.attributes() {
            if !out.is_empty() {
                out.push_str(if rdn == last_rdn { " + " } else { ", " });
            }
            last_rdn = rdn;
            out.push_str(&attribute_name(oid));
            out.push_str(" = ");
            push_rfc2253_quoted(&mut out, &value);
        }
        out
    }

    /// OpenSSL's canonical form (`x509_name_canon`, crypto/x509/x_name.c): every string as UTF8String, leading and trailing
    /// blanks dropped, runs of blanks folded to one, ASCII lower-cased; the outer SEQUENCE header is left out.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len());
        // Of one attribute; kept from one to the next, so that a name costs three allocations and not three for each attribute.
        let (mut content, mut element) = (Vec::with_capacity(64), Vec::with_capacity(64));
        let body = read_tlv(&self.0).map(|(t, _)| t.value).unwrap_or_default();
        for rdn in elements(body) {
            let mut attributes = elements(rdn.value);
            if let (Some(only), None) = (attributes.next(), attributes.next()) {
                element.clear();
                push_canonical(&mut element, &only, &mut content);
                push_tlv(&mut out, 0x31, &element);
                continue;
            }
            let mut set: Vec<Vec<u8>> = Vec::new();
            for attribute in elements(rdn.value) {
                element.clear();
                push_canonical(&mut element, &attribute, &mut content);
                set.push(element.clone());
            }
            // DER orders the elements of a SET OF.
            set.sort();
            push_tlv(&mut out, 0x31, &set.concat());
        }
        out
    }

    /// The hash in the names of a CApath directory: the first four octets, little-endian, of SHA-1 over the canonical form
    /// (`X509_NAME_hash_ex`, OpenSSL 1.0.0 and later).
    #[must_use]
    pub fn openssl_hash(&self) -> u32 {
        let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.canonical());
        let first: [u8; 4] = digest.as_ref()[..4].try_into().unwrap_or_default();
        u32::from_le_bytes(first)
    }

    /// Each attribute: the index of its RDN, the contents of its OID, its value.
    pub fn attributes(&self) -> impl Iterator<Item = (usize, &[u8], Tlv<'_>)> {
        let body = read_tlv(&self.0).map(|(t, _)| t.value).unwrap_or_default();
        elements(body).enumerate().flat_map(|(rdn, set)| {
            elements(set.value).filter_map(move |attribute| {
                let mut parts = elements(attribute.value);
                let (oid, value) = (parts.next()?, parts.next()?);
                Some((rdn, oid.value, value))
            })
        })
    }
}

/// The last letters of a name in canonical form: what tells nearly every other name from it without making its canonical form.
pub struct Ending {
    letters: [u8; 4],
    count: usize,
}

impl Ending {
    /// Of a canonical form. Looked at are ASCII letters and signs that stand side by side at the very end, so that they are all of the
    /// last value. There are none where the last RDN has several values, for their order may be another elsewhere.
    #[must_use]
    pub fn of(canonical: &[u8]) -> Self {
        let mut ending = Ending { letters: [0; 4], count: 0 };
        if elements(canonical).last().is_some_and(|rdn| elements(rdn.value).count() == 1) {
            for letter in canonical.iter().rev().take(4).take_while(|b| b.is_ascii_graphic()) {
                ending.letters[ending.count] = letter.to_ascii_lowercase();
                ending.count += 1;
            }
        }
        ending
    }

    /// Whether they tell that the canonical form of `name` is another. What is not ASCII there, or a blank, tells nothing.
    #[must_use]
    pub fn differs_from(&self, name: &Name) -> bool {
        let mut pairs = self.letters[..self.count].iter().zip(name.raw().iter().rev()).take_while(|(_, b)| b.is_ascii_graphic());
        pairs.any(|(a, b)| *a != b.to_ascii_lowercase())
    }
}

impl fmt::Display for Name {
    /// `CN=…, O=…, C=…`: most specific first, as RFC 4514 writes names, with a blank after the comma.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> =
            self.attributes().map(|(_, oid, value)| format!("{}={}", attribute_name(oid), printable(text(&value)))).collect();
        parts.reverse();
        f.write_str(&parts.join(", "))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The short names that OpenSSL prints.
fn attribute_name(oid: &[u8]) -> Cow<'static, str> {
    let dotted = oid_text(oid);
    Cow::Borrowed(match &*dotted {
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "street",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "title",
        "2.5.4.13" => "description",
        "2.5.4.15" => "businessCategory",
        "2.5.4.17" => "postalCode",
        "2.5.4.42" => "GN",
        "2.5.4.43" => "initials",
        "2.5.4.46" => "dnQualifier",
        "2.5.4.65" => "pseudonym",
        "2.5.4.97" => "organizationIdentifier",
        "1.2.840.113549.1.9.1" => "emailAddress",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.3.6.1.4.1.311.60.2.1.1" => "jurisdictionL",
        "1.3.6.1.4.1.311.60.2.1.2" => "jurisdictionST",
        "1.3.6.1.4.1.311.60.2.1.3" => "jurisdictionC",
        _ => return dotted,
    })
}

/// A directory string as text; what is no string is shown in hexadecimal.
pub fn directory_string(value: &Tlv<'_>) -> String {
    text(value)
}

fn text(value: &Tlv<'_>) -> String {
    match value.tag {
        0x1e => String::from_utf16_lossy(
            &value.value.chunks(2).map(|c| c.iter().fold(0u16, |acc, b| acc << 8 | u16::from(*b))).collect::<Vec<_>>(),
        ),
        0x1c => value
            .value
            .chunks(4)
            .map(|c| char::from_u32(c.iter().fold(0u32, |acc, b| acc << 8 | u32::from(*b))).unwrap_or('\u{fffd}'))
            .collect(),
        // TeletexString is read as Latin-1, as OpenSSL does.
        0x14 => value.value.iter().map(|b| char::from(*b)).collect(),
        0x0c | 0x12 | 0x13 | 0x16 | 0x1a => String::from_utf8_lossy(value.value).into_owned(),
        _ => value.whole.iter().fold("#".to_owned(), |acc, b| format!("{acc}{b:02X}")),
    }
}

/// Control characters in a hostile name must not reach a terminal.
fn printable(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    text.chars().fold(String::new(), |mut out, c| {
        if c.is_control() {
            out.extend(c.escape_default())
        } else {
            out.push(c)
        }
        out
    })
}

/// `XN_FLAG_ONELINE`: RFC 2253 escapes for quotes and control characters, quotes around values with separators, and every
/// byte above 127 as `\XX` of its UTF-8 form (`ASN1_STRFLGS_ESC_MSB`).
fn push_rfc2253_quoted(out: &mut String, value: &Tlv<'_>) {
    let text = text(value);
    let needs_quotes = text.starts_with(['#', ' ']) || text.ends_with(' ') || text.contains([',', '+', '<', '>', ';']);
    if needs_quotes {
        out.push('"');
    }
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_ascii() && !c.is_ascii_control() => out.push(c),
            c => {
                let mut buffer = [0; 4];
                for byte in c.encode_utf8(&mut buffer).bytes() {
                    out.push_str(&format!("\\{byte:02X}"));
                }
            }
        }
    }
    if needs_quotes {
        out.push('"');
    }
}

/// The canonical form of an attribute; nothing for what is none. `content` is a place to put it together.
fn push_canonical(out: &mut Vec<u8>, attribute: &Tlv<'_>, content: &mut Vec<u8>) {
    let mut parts = elements(attribute.value);
    let (Some(oid), Some(value)) = (parts.next(), parts.next()) else { return };
    content.clear();
    content.extend_from_slice(oid.whole);
    match value.tag {
        0x0c | 0x13 | 0x14 | 0x16 | 0x1a if value.value.is_ascii() => push_folded(content, value.value),
        0x0c | 0x13 | 0x14 | 0x16 | 0x1a | 0x1c | 0x1e => push_folded(content, text(&value).as_bytes()),
        // Types that OpenSSL leaves alone (`ASN1_MASK_CANON`).
        _ => content.extend_from_slice(value.whole),
    }
    push_tlv(out, 0x30, content);
}

/// Appends a UTF8String of this text: in lower case, without blanks at its ends, and with one in the place of several.
fn push_folded(out: &mut Vec<u8>, text: &[u8]) {
    let words = || text.split(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)).filter(|word| !word.is_empty());
    push_header(out, 0x0c, words().map(|word| word.len() + 1).sum::<usize>().saturating_sub(1));
    for (at, word) in words().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        out.extend(word.iter().map(u8::to_ascii_lowercase));
    }
}

fn push_tlv(out: &mut Vec<u8>, tag: u8, value: &[u8]) {
    push_header(out, tag, value.len());
    out.extend_from_slice(value);
}

fn push_header(out: &mut Vec<u8>, tag: u8, length: usize) {
    out.push(tag);
    if length < 0x80 {
        out.push(length as u8);
        return;
    }
    let length = length.to_be_bytes();
    let length = &length[length.iter().take_while(|b| **b == 0).count()..];
    out.push(0x80 | length.len() as u8);
    out.extend_from_slice(length);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name of RDNs, each of strings with their tags; all are common names.
    fn name(rdns: &[&[(u8, &[u8])]]) -> Name {
        let mut body = Vec::new();
        for rdn in rdns {
            let mut set = Vec::new();
            for (tag, text) in *rdn {
                let mut attribute = vec![0x06, 0x03, 0x55, 0x04, 0x03];
                push_tlv(&mut attribute, *tag, text);
                push_tlv(&mut set, 0x30, &attribute);
            }
            push_tlv(&mut body, 0x31, &set);
        }
        let mut whole = Vec::new();
        push_tlv(&mut whole, 0x30, &body);
        Name::new(&whole)
    }

    #[test]
    fn an_ending_tells_only_what_the_canonical_form_tells() {
        const UTF8: u8 = 0x0c;
        const PRINTABLE: u8 = 0x13;
        let texts: [&[u8]; 12] = [
            b"",
            b"A",
            b"a ",
            b"CA",
            b"Root CA",
            b"root  ca",
            b"Root CA ",
            b"Root CB",
            b"Root-CA",
            b"ca\xc3\xa9",
            b"xx",
            b"  Root CA",
        ];
        let mut names = Vec::new();
        for text in texts {
            names.push(name(&[&[(UTF8, text)]]));
            names.push(name(&[&[(PRINTABLE, b"first")], &[(PRINTABLE, text)]]));
            // One RDN of two values, in either order.
            names.push(name(&[&[(UTF8, text), (PRINTABLE, b"Zebra")]]));
            names.push(name(&[&[(PRINTABLE, b"zebra"), (UTF8, text)]]));
        }
        let mut told = 0;
        for one in &names {
            let ending = Ending::of(&one.canonical());
            for other in &names {
                let differs = ending.differs_from(other);
                assert!(!differs || one.canonical() != other.canonical(), "{one} and {other}");
                told += usize::from(differs);
            }
        }
        assert!(told > names.len(), "it tells nothing");
    }
}
