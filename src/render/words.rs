//! Rejections and failures in words, for every format.

use crate::{facts::ConnectFailure, path::Rejection, x509::extension_name};

/// A rejection in words.
#[must_use]
pub(crate) fn rejection(rejection: &Rejection) -> String {
    match rejection {
        Rejection::BudgetExceeded(what, limit) => format!("gave up after {limit} {what}"),
        Rejection::DateUnreadable => "a date that can't be read".into(),
        Rejection::ExtensionUnreadable(oid) => format!("{} can't be read", extension_name(oid)),
        Rejection::Expired { not_after, at } => format!("expired {not_after} ({})", at.relative(*not_after)),
        Rejection::HostMismatch { asked, names } => format!("is for {}, not for {asked}", names.join(", ")),
        Rejection::InvalidSignature => "the issuer's key did not make this signature".into(),
        Rejection::IssuerMissing(name) => format!("issuer {name} is neither presented nor trusted"),
        Rejection::KeyUsageLacksCertSign => "keyUsage lacks keyCertSign".into(),
        Rejection::NameConstraintViolated(what) => format!("forbidden by a name constraint: {what}"),
        Rejection::NotCa => "is no CA".into(),
        Rejection::NotYetValid { not_before, at } => format!("not valid before {not_before} ({})", at.relative(*not_before)),
        Rejection::Other(words) => words.clone(),
        Rejection::PathTooLong { limit, found } => format!("{found} CA certificates below it, {limit} allowed"),
        Rejection::PurposeMismatch(purpose) => format!("extendedKeyUsage lacks {purpose}"),
        Rejection::SelfSignedLeaf => "self-signed and not trusted".into(),
        Rejection::SelfSignedRootUntrusted => "a root that is not trusted here".into(),
        Rejection::UnsupportedSignature(what) => format!("signed with {what}, which can't be checked"),
        Rejection::WeakKey { bits, wanted } => format!("key of {bits} bits, {wanted} wanted"),
        Rejection::WeakSignature(what) => format!("signed with {what}"),
    }
}

/// The class of a failed connection, without what differs from target to target.
#[must_use]
pub(crate) fn class(failure: &ConnectFailure) -> &'static str {
    match failure {
        ConnectFailure::Alert { .. } => "answered with an alert",
        ConnectFailure::EofAfterHello => "closed the connection after the ClientHello",
        ConnectFailure::Interrupted => "were not looked at before the interrupt",
        ConnectFailure::Io(_) => "failed in another way",
        ConnectFailure::NameDoesNotResolve(_) => "have names that do not resolve",
        ConnectFailure::NoRoute(_) => "have no route",
        ConnectFailure::NotTls { .. } => "do not speak TLS",
        ConnectFailure::Proxy(_) => "were refused by the proxy",
        ConnectFailure::Refused(_) => "refused the connection",
        ConnectFailure::Reset => "reset the connection",
        ConnectFailure::StartTls { .. } => "did not start TLS",
        ConnectFailure::TimedOut(_) => "did not answer in time",
        ConnectFailure::Unreadable(_) => "could not be read",
    }
}
