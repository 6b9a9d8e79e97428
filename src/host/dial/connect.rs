//! From a name to a connection.
#![expect(clippy::disallowed_types, reason = "opening connections")]

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket},
    os::fd::OwnedFd,
    sync::mpsc,
    thread,
};

use rustix::{
    event::{self, PollFd, PollFlags, Timespec},
    io::{Errno, FdFlags, fcntl_setfd, ioctl_fionbio},
    net::{self, AddressFamily, SocketType, sockopt},
};

use super::{
    classify,
    wire::{Deadline, Wire},
};
use crate::facts::ConnectFailure;

/// Stack of the thread that asks the resolver: NSS modules and musl's resolver are no great eaters, but not ours to know.
const RESOLVER_STACK: usize = 1 << 20;

/// Whether an address is this host's own: only such a one can be bound to.
pub(super) fn is_here(ip: IpAddr) -> bool {
    ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
}

/// Connects to `host`, trying each of its addresses; all together share the deadline.
///
/// # Errors
/// That of the most telling address: one that refuses says more than one that there is no way to.
pub(super) fn open(host: &str, port: u16, deadline: Deadline) -> Result<Wire, ConnectFailure> {
    let addresses = addresses(host, port, deadline)?;
    let mut worst: Option<ConnectFailure> = None;
    for (index, address) in addresses.iter().enumerate() {
        let Some(left) = deadline.left() else { break };
        // A silent address must leave time for the next ones.
        let waiting = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let wire = connect(*address, deadline.at_most(left / waiting)).and_then(|s| Wire::new(s, deadline));
        let failure = match wire {
            Ok(wire) => return Ok(wire),
            Err(e) => classify::io_failure(&e, &address.to_string(), "connecting"),
        };
        if worst.as_ref().is_none_or(|w| telling(&failure) > telling(w)) {
            worst = Some(failure);
        }
    }
    Err(worst.unwrap_or(ConnectFailure::TimedOut("connecting")))
}

/// Connects in slices, so that Ctrl-C is noticed although an address is silent.
fn connect(address: SocketAddr, deadline: Deadline) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    // Not by flags of the call: macOS has none.
    let socket = net::socket(family, SocketType::STREAM, None)?;
    fcntl_setfd(&socket, FdFlags::CLOEXEC)?;
    ioctl_fionbio(&socket, true)?;
    match net::connect(&socket, &address) {
        Ok(()) => {}
        Err(Errno::INPROGRESS) => wait(&socket, deadline)?,
        Err(e) => return Err(e.into()),
    }
    ioctl_fionbio(&socket, false)?;
    Ok(TcpStream::from(socket))
}

/// Waits until the connection stands, or knows why not.
fn wait(socket: &OwnedFd, deadline: Deadline) -> io::Result<()> {
    loop {
        let slice = deadline.slice().ok_or(io::ErrorKind::TimedOut)?;
        let timeout = Timespec::try_from(slice).map_err(io::Error::other)?;
        match event::poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return sockopt::socket_error(socket)?.map_err(io::Error::from),
            Err(e) => return Err(e.into()),
        }
    }
}

fn telling(failure: &ConnectFailure) -> u8 {
    match failure {
        ConnectFailure::Refused(_) | ConnectFailure::Reset => 3,
        ConnectFailure::TimedOut(_) => 2,
        ConnectFailure::NoRoute(_) => 0,
        _ => 1,
    }
}

/// The addresses of a name. `localhost` and names below it are the loopback addresses (RFC 6761, section 6.3) whatever `/etc/hosts`
/// says, because a scratch image has none.
pub(super) fn addresses(host: &str, port: u16, deadline: Deadline) -> Result<Vec<SocketAddr>, ConnectFailure> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let name = bare.trim_end_matches('.').to_ascii_lowercase();
    if name == "localhost" || name.ends_with(".localhost") {
        let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
        return Ok(loopback.map(|ip| SocketAddr::new(ip, port)).to_vec());
    }
    let fail = |why: &str| ConnectFailure::NameDoesNotResolve(format!("{bare}: {why}"));
    if name.is_empty() {
        return Err(fail("no name"));
    }
    // getaddrinfo has no deadline, so it gets a thread; one that never answers is left behind.
    let (sender, receiver) = mpsc::channel();
    let question = (bare.to_owned(), port);
    thread::Builder::new()
        .name("resolver".into())
        .stack_size(RESOLVER_STACK)
        .spawn(move || {
            let answer = question.to_socket_addrs().map(Iterator::collect::<Vec<_>>);
            // Nobody waits any more: the deadline has passed.
            let _ = sender.send(answer);
        })
        .map_err(|e| ConnectFailure::Io(format!("no thread for the resolver: {}", classify::words(&e))))?;
    let answer = loop {
        match receiver.recv_timeout(deadline.slice().unwrap_or_default()) {
            Err(mpsc::RecvTimeoutError::Timeout) if deadline.left().is_some() => {}
            answer => break answer,
        }
    };
    match answer {
        Ok(Ok(found)) if found.is_empty() => Err(fail("no address")),
        Ok(Ok(mut found)) => {
            // Repeated for each socket type by some resolvers.
            let mut seen = Vec::new();
            found.retain(|a| {
                !seen.contains(a) && {
                    seen.push(*a);
                    true
                }
            });
            Ok(found)
        }
        Ok(Err(e)) => Err(fail(resolver_words(&e).trim())),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(ConnectFailure::TimedOut("resolving the name")),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(fail("the resolver failed")),
    }
}

/// What getaddrinfo says, without Rust's preamble.
fn resolver_words(e: &io::Error) -> String {
    let text = classify::words(e);
    text.strip_prefix("failed to lookup address information: ").map_or(text.clone(), str::to_owned)
}
