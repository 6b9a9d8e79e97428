//! Client profiles: one file is one family; a profile says which anchors a client reads, and how it judges.
//!
//! The algorithms are in [`crate::path`]; here they meet the versions, the flags that applications set, and the words in which each
//! reports. Version boundaries are data with their source.

mod apple;
mod apt;
mod boringssl;
mod chrome;
mod curl;
mod curl_cffi;
mod doc;
mod firefox;
mod git;
mod gnutls;
mod go;
mod grpc;
mod java;
mod libressl;
mod mbedtls;
mod nassl;
mod node;
mod nss;
mod openssl;
mod pyca;
mod python;
mod reading;
mod resolve;
mod s_client;
mod setting;
mod webpki;
mod windows;
mod wolfssl;

pub use doc::markdown;
pub use reading::Reading;
pub use resolve::{UnknownClient, newer, resolve};
pub use setting::{Effect, Setting, Variant};

use crate::{
    facts::Facts,
    path::{self, Question, Verdict},
};

/// One client (a range of versions that behave alike).
pub struct Profile {
    /// The identifier for `--client`: `openssl-1.0.2`, `gnutls-3.6.13`, `java-17`.
    pub id: &'static str,
    /// The family, which is the first part of every identifier of its versions: `openssl`, `gnutls`, `go`.
    pub family: &'static str,
    /// The first and the last version that the profile covers; the last one covers everything that begins like it (`3.6`: 3.6.15).
    pub range: (&'static str, &'static str),
    /// The versions in words: `1.0.2b to 1.0.2u`.
    pub versions: &'static str,
    /// A name for people: `OpenSSL 1.0.2`.
    pub title: &'static str,
    /// Where the model comes from: source files, measurements.
    pub source: &'static str,
    /// Whether real binaries were asked and agreed (`fixtures/clients/matrix.json`).
    pub measured: bool,
    /// Whether the client accepts an anchor whose validity has passed.
    pub ignores_anchor_dates: bool,
    /// The algorithm with its knobs.
    pub engine: Engine,
    /// Which anchors it reads on this host.
    pub reads: fn(&Facts) -> Reading,
    /// The variables that it documents, by which other anchors or other rules are had.
    pub settings: &'static [Setting],
    /// How the client calls the algorithm and words the answer.
    pub asks: fn(&Engine, &Question<'_>) -> Verdict,
}

/// A path building algorithm with the knobs of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// BoringSSL's X509 code.
    Boringssl(path::boringssl::Policy),
    /// GnuTLS.
    Gnutls(path::gnutls::Policy),
    /// Go's crypto/x509.
    Go(path::go::Policy),
    /// Java's SunJSSE.
    Java,
    /// libpki.
    Libpki(path::libpki::Policy),
    /// LibreSSL.
    Libressl(path::libressl::Policy),
    /// Mbed TLS.
    Mbedtls(path::mbedtls::Policy),
    /// mozilla::pkix.
    MozillaPkix,
    /// NSS's old verifier.
    Nss,
    /// NSS's libpkix.
    NssPkix,
    /// OpenSSL from 1.1.0.
    Openssl(path::openssl::Policy),
    /// OpenSSL up to 1.0.2.
    OpensslLegacy(path::openssl_legacy::Policy),
    /// The verifier of an operating system.
    Platform(path::platform::Policy),
    /// pyca/cryptography.
    Pyca(path::pyca::Policy),
    /// webpki and rustls-webpki.
    Webpki(path::webpki::Policy),
    /// wolfSSL.
    Wolfssl(path::wolfssl::Policy),
}

impl Engine {
    /// The library's own verdict.
    #[must_use]
    pub fn judge(&self, question: &Question<'_>) -> Verdict {
        match self {
            Engine::Boringssl(policy) => path::boringssl::judge(question, policy),
            Engine::Gnutls(policy) => path::gnutls::judge(question, policy),
            Engine::Go(policy) => path::go::judge(question, policy),
            Engine::Java => path::java::judge(question),
            Engine::Libpki(policy) => path::libpki::judge(question, policy),
            Engine::Libressl(policy) => path::libressl::judge(question, policy),
            Engine::Mbedtls(policy) => path::mbedtls::judge(question, policy),
            Engine::MozillaPkix => path::mozilla_pkix::judge(question),
            Engine::Nss => path::nss::judge(question),
            Engine::NssPkix => path::nss_pkix::judge(question),
            Engine::Openssl(policy) => path::openssl::judge(question, policy),
            Engine::OpensslLegacy(policy) => path::openssl_legacy::judge(question, policy),
            Engine::Platform(policy) => path::platform::judge(question, policy),
            Engine::Pyca(policy) => path::pyca::judge(question, policy),
            Engine::Webpki(policy) => path::webpki::judge(question, policy),
            Engine::Wolfssl(policy) => path::wolfssl::judge(question, policy),
        }
    }
}

/// Every profile, sorted by id.
pub static ALL: &[&Profile] = &[
    &apple::SEC_TRUST,
    &apt::GNUTLS,
    &boringssl::LIBPKI,
    &boringssl::X509,
    &chrome::V114,
    &curl::BEFORE_PARTIAL,
    &curl::PARTIAL,
    &curl_cffi::PYTHON,
    &gnutls::FFMPEG_3_5,
    &gnutls::FFMPEG_3_6,
    &firefox::V115,
    &git::GNUTLS,
    &git::OPENSSL,
    &gnutls::V3_5,
    &gnutls::V3_6_13,
    &gnutls::V3_6_14,
    &gnutls::V3_7,
    &gnutls::CLI,
    &go::V1_15,
    &go::V1_16,
    &go::V1_18,
    &go::V1_23,
    &grpc::CORE,
    &java::V11,
    &libressl::V2_5,
    &libressl::V3_1_3,
    &libressl::V3_2_2,
    &libressl::V3_2_4,
    &libressl::V3_2_7,
    &libressl::V3_3_0,
    &libressl::V3_3_2,
    &libressl::V3_3_5,
    &libressl::V3_4,
    &mbedtls::V2,
    &mbedtls::V3,
    &mbedtls::V3_6,
    &nassl::V1_0_2,
    &nassl::V1_1_1,
    &node::V0_12,
    &node::V10,
    &node::V12,
    &node::V14,
    &node::V18,
    &node::V22,
    &node::V24,
    &node::V4,
    &nss::CLASSIC_3_110,
    &nss::CLASSIC_3_61,
    &nss::PKIX,
    &openssl::V1_0_1,
    &openssl::V1_0_1M,
    &openssl::V1_0_2,
    &openssl::V1_0_2A,
    &openssl::V1_1_0,
    &openssl::V1_1_1,
    &openssl::V1_1_1G,
    &openssl::V3,
    &openssl::V3_6,
    &pyca::V45,
    &pyca::V46_0_6,
    &pyca::V49,
    &python::V2_7,
    &python::V3_10,
    &python::V3_13,
    &python::V3_7,
    &webpki::V0_101,
    &webpki::V0_102,
    &s_client::V1_0_2,
    &s_client::V1_1_1,
    &s_client::V3,
    &s_client::V3_6,
    &webpki::V0_22,
    &gnutls::WGET,
    &windows::CRYPTO_API,
    &wolfssl::V4,
    &wolfssl::V5,
    &wolfssl::V5_7,
];

/// The clients that are shown when nobody asks for others: both sides of each outage, and what people use today.
pub const DEFAULT: &[&str] = &[
    "openssl-1.0.2",
    "openssl-1.1.1",
    "openssl-3.0+seclevel2",
    "gnutls-3.6.13",
    "gnutls-3.7",
    "go",
    "java",
    "rustls-webpki",
    "python-3.11",
    "python-3.13",
    "curl",
    "node-8",
    "node-18",
    "node-22",
];

/// One client as it was asked for.
#[derive(Clone, Debug)]
pub struct Client {
    /// The identifier as it was typed.
    pub id: String,
    /// The profile that covers it.
    pub profile: &'static Profile,
    /// The profile's algorithm with the options after `+` applied.
    pub engine: Engine,
    /// Why the model has nothing to say: the version lies outside every range of its family.
    pub outside: Option<String>,
}

impl Client {
    /// Which anchors it reads on the gathered host.
    #[must_use]
    pub fn reads(&self, facts: &Facts) -> Reading {
        (self.profile.reads)(facts)
    }

    /// The same client with one more option after `+`; `None` when its algorithm has no such option.
    #[must_use]
    pub fn with_option(&self, option: &str) -> Option<Client> {
        resolve::with_option(self.engine, option).map(|engine| Client { engine, ..self.clone() })
    }

    /// Its verdict.
    #[must_use]
    pub fn judge(&self, question: &Question<'_>) -> Verdict {
        match &self.outside {
            Some(why) => Verdict::Unknown(why.clone()),
            None => (self.profile.asks)(&self.engine, question),
        }
    }

    /// Its verdict with the anchors that it reads: a refusal means nothing when part of what it trusts is not known.
    #[must_use]
    pub fn judge_reading(&self, reading: &Reading, question: &Question<'_>) -> Verdict {
        let verdict = self.judge(&Question { anchors: &reading.anchors, ..*question });
        match &reading.unknown {
            Some(why) if !verdict.is_trusted() => Verdict::Unknown(why.clone()),
            _ => verdict,
        }
    }
}

impl Profile {
    /// The client that this profile stands for, by its own name.
    #[must_use]
    pub fn client(&'static self) -> Client {
        Client { id: self.id.to_owned(), profile: self, engine: self.engine, outside: None }
    }

    /// Its verdict.
    #[must_use]
    pub fn judge(&self, question: &Question<'_>) -> Verdict {
        (self.asks)(&self.engine, question)
    }
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

/// The clients of [`DEFAULT`].
///
/// # Errors
/// [`UnknownClient`] if an identifier in the list is wrong, which a test excludes.
pub fn default_clients() -> Result<Vec<Client>, UnknownClient> {
    DEFAULT.iter().map(|id| resolve(id)).collect()
}

/// The client that says what its library says.
fn library(engine: &Engine, question: &Question<'_>) -> Verdict {
    engine.judge(question)
}
