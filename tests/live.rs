//! `fix --apply` on a running system: the real binary, the distribution's real refresh tool, as root, in places where that harms nobody.

#[path = "live/alone.rs"]
mod alone;
mod common;
#[path = "live/debian.rs"]
mod debian;
#[path = "live/host.rs"]
mod host;
#[path = "live/odd.rs"]
mod odd;
#[path = "live/pki.rs"]
mod pki;
#[path = "live/target.rs"]
mod target;
