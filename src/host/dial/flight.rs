//! The server's first flight up to TLS 1.2, which is plaintext (RFC 5246, section 7.3): records into messages, messages into what they say.
//!
//! Bound: [`Limits::handshake`] bytes in all.

use super::wire::Broken;
use crate::base::Limits;

/// The largest record: 2^14 bytes and what compression and encryption may add (RFC 5246, section 6.2.3).
const RECORD: usize = (1 << 14) + 2048;

/// The certificates in a recorded flight, as DER in the order sent: as many as can be read before it ends or breaks.
#[must_use]
pub fn plaintext_certificates(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut flight = Flight::default();
    while let Some((header, rest)) = bytes.split_first_chunk() {
        let Ok((kind, length)) = record_header(*header) else { break };
        let Some((record, rest)) = rest.split_at_checked(length) else { break };
        if flight.record(kind, record).unwrap_or(true) {
            break;
        }
        bytes = rest;
    }
    flight.seen.certificates
}

/// The type and the length of a record.
///
/// # Errors
/// When this is no record of SSL 3.0 to TLS 1.2.
pub(super) fn record_header([kind, major, _minor, high, low]: [u8; 5]) -> Result<(u8, usize), Broken> {
    let length = usize::from(u16::from_be_bytes([high, low]));
    if (20..=24).contains(&kind) && major == 3 && length <= RECORD {
        return Ok((kind, length));
    }
    Err(Broken::Unspeakable("a record that is not TLS".into()))
}

/// What came so far.
#[derive(Debug, Default)]
pub(super) struct Flight {
    pub(super) seen: Seen,
    /// Of the handshake messages, as far as they came; those before `taken` are read.
    messages: Vec<u8>,
    taken: usize,
    /// Of all records, headers included.
    bytes: usize,
}

impl Flight {
    /// Takes one record; true when the server is done. Messages may span records, and a record may hold several (RFC 5246, section 6.2.1).
    ///
    /// # Errors
    /// An alert, a malformed message, or too much of it.
    pub(super) fn record(&mut self, kind: u8, record: &[u8]) -> Result<bool, Broken> {
        let limit = Limits::DEFAULT.handshake;
        self.bytes += 5 + record.len();
        if self.bytes > limit {
            return Err(Broken::TooMuch);
        }
        match (kind, record) {
            // unrecognized_name comes as a warning and the handshake goes on (RFC 6066, section 3).
            (21, [1, alert]) if *alert != 0 => {}
            (21, [_, alert]) => return Err(Broken::Alert(*alert)),
            (22, fragment) => self.messages.extend_from_slice(fragment),
            _ => return Err(Broken::Unspeakable(format!("a record of type {kind} in the middle of the handshake"))),
        }
        while let Some(&[kind, a, b, c]) = self.messages.get(self.taken..self.taken + 4) {
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            if length > limit {
                return Err(Broken::TooMuch);
            }
            let Some(body) = self.messages.get(self.taken + 4..self.taken + 4 + length) else { break };
            let done = self.seen.message(kind, body);
            if done.ok_or_else(|| Broken::Unspeakable(format!("a malformed handshake message of type {kind}")))? {
                return Ok(true);
            }
            self.taken += 4 + length;
        }
        Ok(false)
    }
}

/// What the server's messages said.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) version: Option<u16>,
    pub(super) suite: Option<u16>,
    pub(super) alpn: Option<String>,
    pub(super) certificates: Vec<Vec<u8>>,
    pub(super) staple: Option<Vec<u8>>,
    pub(super) client_ca_names: Option<Vec<Vec<u8>>>,
}

impl Seen {
    /// Takes one message; true when the server is done. `None` when it can't be read.
    fn message(&mut self, kind: u8, body: &[u8]) -> Option<bool> {
        let mut body = Reader(body);
        match kind {
            // HelloRequest; ServerKeyExchange: nothing to learn.
            0 | 12 => {}
            2 => {
                self.version = Some(body.u16()?);
                body.take(32)?;
                body.vector(1)?;
                self.suite = Some(body.u16()?);
                body.take(1)?;
                let mut extensions = Reader(body.vector(2).unwrap_or_default());
                while let Some(number) = extensions.u16() {
                    let content = extensions.vector(2)?;
                    if number == 16 {
                        let name = Reader(Reader(content).vector(2)?).vector(1)?;
                        self.alpn = Some(String::from_utf8_lossy(name).into_owned());
                    }
                }
            }
            11 => {
                let mut list = Reader(body.vector(3)?);
                while !list.0.is_empty() {
                    self.certificates.push(list.vector(3)?.to_vec());
                }
            }
            13 => {
                body.vector(1)?;
                if self.version == Some(0x0303) {
                    body.vector(2)?;
                }
                let mut list = Reader(body.vector(2)?);
                let mut names = Vec::new();
                while !list.0.is_empty() {
                    names.push(list.vector(2)?.to_vec());
                }
                self.client_ca_names = Some(names);
            }
            14 => return Some(true),
            22 => {
                if body.take(1)? == [1] {
                    self.staple = Some(body.vector(3)?.to_vec());
                }
            }
            // A message that has no place here: what was read so far is what there is.
            _ => return Some(true),
        }
        Some(false)
    }
}

/// TLS's presentation language, read.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|b| b.iter().fold(0, |n, b| n << 8 | u16::from(*b)))
    }

    /// A vector whose length has `octets` octets.
    pub(super) fn vector(&mut self, octets: usize) -> Option<&'a [u8]> {
        let length = self.take(octets)?.iter().fold(0usize, |n, b| n << 8 | usize::from(*b));
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn no_message_breaks_the_reader(kind: u8, body: Vec<u8>, version in proptest::option::of(0x0300u16..0x0305)) {
            let mut seen = Seen { version, ..Seen::default() };
            seen.message(kind, &body);
            let shown = seen.certificates.iter().map(Vec::len).sum::<usize>();
            proptest::prop_assert!(shown <= body.len());
        }
    }

    #[test]
    fn malformed_messages_are_refused() {
        let mut seen = Seen::default();
        assert_eq!(seen.message(2, &[3]), None);
        assert_eq!(seen.message(11, &[0, 0, 9, 0, 0, 1]), None);
        assert_eq!(seen.message(13, &[1]), None);
        assert_eq!(seen.message(11, &[0, 0, 4, 0, 0, 1, 7]), Some(false));
        assert_eq!(seen.certificates, [vec![7]]);
    }

    #[test]
    fn a_flight_is_read_over_the_borders_of_records() {
        // One Certificate message with one certificate of one octet, an octet a record.
        let message = [11, 0, 0, 7, 0, 0, 4, 0, 0, 1, 7];
        let mut flight: Vec<u8> = message.iter().flat_map(|octet| [22, 3, 1, 0, 1, *octet]).collect();
        assert_eq!(plaintext_certificates(&flight), [vec![7]]);
        flight.truncate(flight.len() - 6);
        assert!(plaintext_certificates(&flight).is_empty());
        let endless = [22, 3, 3, 0, 4, 0, 0, 0, 0].repeat(200_000);
        assert!(plaintext_certificates(&endless).is_empty());
    }
}
