//! What is done with each check of the server side in the live tests. [`super::Score`] holds each of them to it, and
//! `docs/renewal-scorecard.md` is made of it.

use Step::{Healthy, Injected, Named, Patched, Silent};

/// What is done with a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// It is made on a host with the real programs.
    Injected,
    /// `renewal` names it by its code.
    Named,
    /// `renewal --apply` writes its patch, and does not take it back.
    Patched,
    /// Afterwards, by the patch, the printed command or what the finding tells a person to do, the real program does what it should, and the
    /// finding is gone.
    Healthy,
    /// On the healthy host of the same test it is not named.
    Silent,
}

const BY_PATCH: &[Step] = &[Injected, Named, Patched, Healthy, Silent];
const BY_HAND: &[Step] = &[Injected, Named, Healthy, Silent];
const NAMED: &[Step] = &[Injected, Named, Silent];

/// The test, the code, and what is done.
pub const DONE: &[(&str, &str, &[Step])] = &[
    ("certbot", "CD701", BY_PATCH),
    ("certbot", "CD702", NAMED),
    ("certbot", "CD703", NAMED),
    ("certbot", "CD704", BY_PATCH),
    ("certbot", "CD705", NAMED),
    ("certbot", "CD706", NAMED),
    ("certbot", "CD707", NAMED),
    ("certbot", "CD708", BY_PATCH),
    ("certbot", "CD710", BY_PATCH),
    ("certbot", "CD711", BY_PATCH),
    ("certbot", "CD712", BY_PATCH),
    ("certbot", "CD713", BY_PATCH),
    ("certbot", "CD714", BY_PATCH),
    ("certbot", "CD715", BY_HAND),
    ("certbot", "CD716", BY_PATCH),
    ("certbot", "CD718", NAMED),
    ("certbot", "CD720", NAMED),
    ("certbot", "CD753", NAMED),
    ("founding", "CD708", BY_PATCH),
    ("founding", "CD751", BY_HAND),
    ("founding", "CD753", BY_PATCH),
    ("nginx", "CD726", BY_PATCH),
    ("nginx", "CD727", BY_PATCH),
    ("nginx", "CD728", BY_PATCH),
    ("nginx", "CD729", BY_PATCH),
    ("nginx", "CD730", BY_PATCH),
    ("nginx", "CD733", BY_PATCH),
    ("caddy", "CD746", BY_PATCH),
    ("caddy", "CD747", BY_PATCH),
    ("balancer", "CD737", BY_HAND),
    ("balancer", "CD738", BY_HAND),
    ("owner", "CD748", BY_HAND),
    ("public", "CD734", BY_PATCH),
    ("public", "CD735", BY_HAND),
    ("public", "CD761", BY_PATCH),
    ("public", "CD763", NAMED),
    ("public", "CD764", BY_HAND),
    ("clock", "CD721", BY_HAND),
    ("clock", "CD722", BY_HAND),
    ("clock", "CD723", BY_PATCH),
    ("dns", "CD719", BY_HAND),
    ("refused", "CD742", BY_HAND),
    ("refused", "CD743", BY_HAND),
    ("refused", "CD744", BY_HAND),
    ("refused", "CD750", BY_PATCH),
    ("replaced", "CD745", &[Injected, Named, Patched, Silent]),
    ("server", "CD706", BY_HAND),
    ("server", "CD709", BY_HAND),
    ("server", "CD717", BY_HAND),
    ("server", "CD725", BY_HAND),
    ("server", "CD731", BY_HAND),
    ("server", "CD732", BY_PATCH),
    ("server", "CD736", BY_HAND),
    ("server", "CD749", BY_HAND),
    ("server", "CD752", BY_HAND),
    ("server", "CD754", BY_HAND),
    ("server", "CD755", BY_PATCH),
    ("server", "CD756", BY_PATCH),
    ("server", "CD757", BY_PATCH),
    ("server", "CD758", BY_HAND),
    ("server", "CD759", BY_HAND),
    ("server", "CD760", BY_HAND),
    ("server", "CD762", BY_HAND),
    ("server", "CD765", BY_HAND),
    ("server", "CD766", BY_HAND),
    ("terminator", "CD737", NAMED),
    ("njet", "CD739", BY_PATCH),
];
