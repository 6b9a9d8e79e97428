//! How much may be read: a few kilobytes can hold terabytes of zeros.

use std::{
    cell::Cell,
    io::{self, Read, Seek, SeekFrom},
};

/// Bytes of all that is written between two entries: long names, PAX records, the map of a sparse file. The `tar` crate keeps these in
/// memory, however long they are. A name has at most 4,096 bytes (`PATH_MAX`), extended attributes 64 KiB each.
pub(super) const HEADERS: u64 = 1 << 20;

/// What may still be read, and whether the end was met.
pub(super) struct Meter {
    most: u64,
    left: Cell<u64>,
    until_next: Cell<u64>,
    ended: Cell<bool>,
}

impl Meter {
    /// `most`: bytes in all.
    pub(super) fn new(most: u64) -> Self {
        Meter { most, left: Cell::new(most), until_next: Cell::new(HEADERS), ended: Cell::new(false) }
    }

    /// From the beginning of an archive, or of an entry with this much content.
    pub(super) fn allow(&self, content: u64) {
        self.until_next.set(content.saturating_add(HEADERS));
        self.ended.set(false);
    }

    /// Whether nothing more came when something was asked for.
    pub(super) fn ended(&self) -> bool {
        self.ended.get()
    }

    pub(super) fn of<R>(&self, reader: R) -> Metered<'_, R> {
        Metered { reader, meter: self }
    }

    fn count(&self, bytes: usize) -> io::Result<()> {
        let bytes = bytes as u64;
        let too_much = || io::Error::other(format!("more than {} GiB once decompressed", self.most >> 30));
        self.left.set(self.left.get().checked_sub(bytes).ok_or_else(too_much)?);
        let too_long = || io::Error::other(format!("more than {} KiB of headers before an entry", HEADERS >> 10));
        self.until_next.set(self.until_next.get().checked_sub(bytes).ok_or_else(too_long)?);
        Ok(())
    }
}

/// A reader that ends with an error when too much has come.
pub(super) struct Metered<'a, R> {
    reader: R,
    meter: &'a Meter,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(out)?;
        if n == 0 && !out.is_empty() {
            self.meter.ended.set(true);
        }
        self.meter.count(n)?;
        Ok(n)
    }
}

impl<R: Seek> Seek for Metered<'_, R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.reader.seek(to)
    }
}
