//! A TCP connection under one deadline, which counts what goes through it and remembers how the other side's answer began.
#![expect(clippy::disallowed_types, reason = "the sockets, with one deadline")]

use std::{
    io::{self, BufRead, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use super::classify;
use crate::{facts::ConnectFailure, host::interrupt};

/// Seconds that everything may take when [`crate::host::Hello::timeout`] is 0.
const DEFAULT_SECONDS: u64 = 10;

/// How long a wait may be deaf to Ctrl-C.
const SLICE: Duration = Duration::from_millis(200);

/// How much of an answer is kept to tell what protocol it is.
const FIRST: usize = 64;

/// The end of everything that one look may do: one for name, address, proxy, STARTTLS and handshake together, so that a server that
/// sends a byte now and then can't hold us longer than one that is silent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    start: Instant,
    limit: Duration,
}

impl Deadline {
    /// `seconds` from now; 0 means ten.
    pub(super) fn after(seconds: u64) -> Self {
        let seconds = if seconds == 0 { DEFAULT_SECONDS } else { seconds };
        Deadline { start: Instant::now(), limit: Duration::from_secs(seconds) }
    }

    /// What is left; `None` when nothing is, or when an end was asked for.
    pub(super) fn left(&self) -> Option<Duration> {
        if interrupt::asked() {
            return None;
        }
        self.limit.checked_sub(self.elapsed()).filter(|left| !left.is_zero())
    }

    /// What is left, but no more than one slice: a wait in slices notices that an end was asked for.
    pub(super) fn slice(&self) -> Option<Duration> {
        self.left().map(|left| left.min(SLICE))
    }

    /// What has passed.
    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// This deadline, or `most` from now if that is sooner.
    pub(super) fn at_most(&self, most: Duration) -> Self {
        Deadline { start: self.start, limit: self.limit.min(self.elapsed() + most) }
    }
}

/// The connection.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    deadline: Deadline,
    /// How long the socket waits for a read and for a write; nearly always a whole slice, so that it is told once.
    waits: [Option<Duration>; 2],
    /// Bytes that were read and not yet taken: from `taken` on.
    buffer: Vec<u8>,
    taken: usize,
    first: Vec<u8>,
    read: u64,
    written: u64,
    step_start: u64,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, deadline: Deadline) -> io::Result<Self> {
        // A handshake is a ping-pong of small messages.
        stream.set_nodelay(true)?;
        Ok(Wire {
            stream,
            deadline,
            waits: [None; 2],
            buffer: Vec::new(),
            taken: 0,
            first: Vec::new(),
            read: 0,
            written: 0,
            step_start: 0,
        })
    }

    /// The plain talk is over: what comes from now on is remembered as the beginning of an answer to the ClientHello.
    pub(super) fn begin_hello(&mut self) {
        self.first = self.buffer[self.taken..].iter().copied().take(FIRST).collect();
        self.step_start = self.read - (self.buffer.len() - self.taken) as u64;
    }

    /// The first bytes since [`Self::begin_hello`], at most 64.
    pub(super) fn first(&self) -> &[u8] {
        &self.first
    }

    /// Bytes read and written so far, on the socket: what s_client counts, STARTTLS and proxy included.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.read, self.written)
    }

    /// Bytes read since [`Self::begin_hello`].
    pub(super) fn read_since_hello(&self) -> u64 {
        self.read - self.step_start
    }

    pub(super) fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Ends sooner than before.
    pub(super) fn hurry(&mut self, most: Duration) {
        self.deadline = self.deadline.at_most(most);
    }

    /// The address of the other side, as `address:port`.
    pub(super) fn peer(&self) -> Option<String> {
        self.stream.peer_addr().ok().map(|a| a.to_string())
    }

    /// Our own address.
    pub(super) fn local(&self) -> Option<std::net::IpAddr> {
        self.stream.local_addr().ok().map(|a| a.ip())
    }

    /// One line, without its end, at most `limit` bytes.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] before a newline, [`io::ErrorKind::InvalidData`] beyond the limit.
    pub(super) fn line(&mut self, limit: usize) -> io::Result<String> {
        let mut line = self.until(limit, |bytes| bytes.ends_with(b"\n"))?;
        while line.ends_with(['\n', '\r']) {
            line.pop();
        }
        Ok(line)
    }

    /// Text up to the byte with which `enough` becomes true.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub(super) fn until(&mut self, limit: usize, enough: impl Fn(&[u8]) -> bool) -> io::Result<String> {
        let mut out = Vec::new();
        while !enough(&out) {
            if out.len() == limit {
                return Err(io::Error::new(io::ErrorKind::InvalidData, classify::printable(&out)));
            }
            let Some(byte) = self.fill_buf()?.first().copied() else {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, classify::printable(&out)));
            };
            self.consume(1);
            out.push(byte);
        }
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    /// Exactly `N` bytes.
    pub(super) fn exactly<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut out = [0; N];
        self.read_exact(&mut out)?;
        Ok(out)
    }

    /// Does something to the socket, again and again while it has to wait.
    fn patiently<T>(&mut self, side: Side, mut act: impl FnMut(&mut TcpStream) -> io::Result<T>) -> io::Result<T> {
        loop {
            let slice = Some(self.deadline.slice().ok_or(io::ErrorKind::TimedOut)?);
            if self.waits[side as usize] != slice {
                match side {
                    Side::Read => self.stream.set_read_timeout(slice)?,
                    Side::Write => self.stream.set_write_timeout(slice)?,
                }
                self.waits[side as usize] = slice;
            }
            match act(&mut self.stream) {
                // What runs into SO_RCVTIMEO or SO_SNDTIMEO says EAGAIN: the next slice, if one is left.
                Err(e) if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
                done => return done,
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Side {
    Read,
    Write,
}

impl BufRead for Wire {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken == self.buffer.len() {
            let mut chunk = [0; 4096];
            let n = self.patiently(Side::Read, |stream| stream.read(&mut chunk))?;
            self.read += n as u64;
            let room = FIRST.saturating_sub(self.first.len());
            self.first.extend(chunk[..n].iter().take(room));
            self.buffer.clear();
            self.buffer.extend_from_slice(&chunk[..n]);
            self.taken = 0;
        }
        Ok(&self.buffer[self.taken..])
    }

    fn consume(&mut self, n: usize) {
        self.taken = (self.taken + n).min(self.buffer.len());
    }
}

impl Read for Wire {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let n = available.len().min(out.len());
        out[..n].copy_from_slice(&available[..n]);
        self.consume(n);
        Ok(n)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.patiently(Side::Write, |stream| stream.write(bytes))?;
        self.written += n as u64;
        Ok(n)
    }

    /// Records that are ready together go in one segment.
    fn write_vectored(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let n = self.patiently(Side::Write, |stream| stream.write_vectored(bufs))?;
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why a handshake did not go on.
#[derive(Debug)]
pub(super) enum Broken {
    /// A fatal alert.
    Alert(u8),
    /// The connection was closed.
    Eof,
    /// The operating system's.
    Io(io::Error),
    /// More bytes than [`crate::base::Limits::handshake`].
    TooMuch,
    /// What came is not what we speak: in words.
    Unspeakable(String),
}

impl Broken {
    /// The class of failure, given what the server said first.
    pub(super) fn class(self, first: &[u8]) -> ConnectFailure {
        classify::broken(self, first)
    }
}

impl From<io::Error> for Broken {
    fn from(e: io::Error) -> Self {
        if e.kind() == io::ErrorKind::UnexpectedEof { Broken::Eof } else { Broken::Io(e) }
    }
}
