//! Standard input.

use std::{
    io::{self, BufRead},
    os::fd::AsFd,
    time::Duration,
};

use rustix::{
    event::{self, PollFd, PollFlags, Timespec},
    io::Errno,
};

use super::interrupt;

/// How long a wait may be deaf to a signal that asks for an end.
const SLICE: Duration = Duration::from_millis(200);

/// Everything, up to `limit` bytes.
///
/// # Errors
/// What reading says; that an end was asked for while nothing came.
pub fn read(limit: u64) -> io::Result<Vec<u8>> {
    let mut input = io::stdin().lock();
    let mut bytes = Vec::new();
    let timeout = Timespec::try_from(SLICE).map_err(io::Error::other)?;
    loop {
        let left = usize::try_from(limit).unwrap_or(usize::MAX) - bytes.len();
        if left == 0 {
            return Ok(bytes);
        }
        if interrupt::asked() {
            return Err(io::Error::other("interrupted before it ended"));
        }
        // Nothing is held back by the buffer here: it was taken as a whole.
        match event::poll(&mut [PollFd::new(&input.as_fd(), PollFlags::IN)], Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(e) => return Err(e.into()),
        }
        let come = input.fill_buf()?;
        if come.is_empty() {
            return Ok(bytes);
        }
        bytes.extend_from_slice(&come[..come.len().min(left)]);
        let taken = come.len();
        input.consume(taken);
    }
}
