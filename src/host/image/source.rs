//! The bytes of an archive, read anywhere: a file of this host, or memory.
#![expect(clippy::disallowed_types, reason = "reading an archive of this host")]

use std::{
    fmt::Debug,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    sync::Arc,
};

/// Bytes that can be read from any place, without a place of their own where one was last.
pub(super) trait Source: Debug + Send + Sync {
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize>;
    fn size(&self) -> io::Result<u64>;
}

impl Source for File {
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, out, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

impl Source for Vec<u8> {
    fn read_at(&self, mut out: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|from| self.get(from..)).unwrap_or_default();
        io::Write::write(&mut out, rest)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

/// A part of a source, as a file.
#[derive(Debug)]
pub(super) struct Part {
    source: Arc<dyn Source>,
    start: u64,
    at: u64,
    length: u64,
}

impl Part {
    pub(super) fn new(source: Arc<dyn Source>, start: u64, length: u64) -> Self {
        Part { source, start, at: 0, length }
    }

    pub(super) fn whole(source: Arc<dyn Source>) -> io::Result<Self> {
        let length = source.size()?;
        Ok(Part::new(source, 0, length))
    }

    /// The bytes that it begins with, fewer where it has no more.
    pub(super) fn beginning(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        Part::new(self.source.clone(), self.start, self.length.min(4)).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Read for Part {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(self.at)).unwrap_or(usize::MAX).min(out.len());
        let Some(from) = self.start.checked_add(self.at) else { return Ok(0) };
        let n = self.source.read_at(&mut out[..left], from)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Part {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
