//! Facts by hand, for the checks' own tests.

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
    time::Duration,
};

use crate::{
    base::{At, ContentDigest, Fingerprint, TreePath},
    client::Profile,
    edit::Change,
    facts::{
        CertFile, Clock, ConfLine, ConfLineKind, Configuration, ConnectFailure, Content, DirectoryEntry, Endpoint, Entry, Facts,
        FileState, HashDirectory, Presented, Renewal, Selection, Source, SourceOwner, Store, Target, TargetSource, Upkeep,
        renewal::{
            HttpChallenge, Lineage,
            certmagic::{File, Metadata, Site, Storage},
            nginx::{ConfFile, Instance},
        },
    },
    finding::{Finding, Intent, Severity},
    path::{Attempt, ClientError, Rejection, Verdict},
    x509::Certificate,
};

mod certbot;
mod njet;

pub(super) use certbot::*;
pub(super) use njet::*;

use super::{Case, Check, ClientVerdict, Lapse};

macro_rules! fixtures {
    ($($name:ident $path:literal)*) => {
        $(pub(super) const $name: &str = include_str!(concat!("../../fixtures/", $path));)*
    };
}

fixtures! {
    ADDTRUST "bundles/single/AddTrust_External_Root.crt"
    BALTIMORE "bundles/single/Baltimore_CyberTrust_Root.crt"
    DST_X3 "bundles/single/DST_Root_CA_X3.crt"
    GLOBALSIGN "bundles/single/GlobalSign_Root_CA.crt"
    ISRG_X1 "bundles/single/ISRG_Root_X1.crt"
    USERTRUST "bundles/single/USERTrust_RSA_Certification_Authority.crt"
    CHAIN_ADDTRUST "clients/chains/addtrust.pem"
    CHAIN_DST "clients/chains/dst.pem"
    CHAIN_PLAIN "clients/chains/nocross.pem"
    STORE_A "clients/stores/A.pem"
    STORE_A_U "clients/stores/A_U.pem"
    STORE_A2 "clients/stores/A2.pem"
    STORE_U "clients/stores/U.pem"
    LEAF "clients/stores/leaf.pem"
}

/// A finding of this check about one lineage of certbot.
pub(crate) fn of_lineage(code: &str, severity: Severity, name: &str) -> Finding {
    let check = super::find(code).expect("a check");
    let mut finding = Finding::new(check, name, "x");
    (finding.severity, finding.lineages) = (severity, vec![("certbot", name.to_owned())]);
    finding
}

/// The instant for which `fixtures/clients` was made.
pub(super) const LAB: &str = "2026-11-22T01:00:00Z";

/// A real profile under another name: only the verdicts that a test writes down count.
fn profile(id: &'static str, family: &'static str, ignores_anchor_dates: bool) -> Profile {
    Profile { id, family, ignores_anchor_dates, ..*crate::client::ALL[0] }
}

pub(super) static OLD_OPENSSL: LazyLock<Profile> = LazyLock::new(|| profile("openssl-1.0.2", "openssl", false));
pub(super) static OPENSSL: LazyLock<Profile> = LazyLock::new(|| profile("openssl-3", "openssl", false));
pub(super) static JAVA: LazyLock<Profile> = LazyLock::new(|| profile("java-17", "java", true));

/// Everything that a [`Case`] borrows.
pub(super) struct World {
    pub(super) facts: Facts,
    pub(super) at: At,
    pub(super) verdicts: Vec<ClientVerdict>,
    pub(super) paths: Vec<Vec<Attempt>>,
    pub(super) lapses: Vec<Lapse>,
}

impl World {
    /// An empty host at this instant.
    pub(super) fn at(time: &str) -> World {
        let at = At::parse(time).expect("a time");
        let facts = Facts::new(Clock { at, injected: false, built: None, newest_file: None, server_dates: Vec::new() });
        World { facts, at, verdicts: Vec::new(), paths: Vec::new(), lapses: Vec::new() }
    }

    /// Changes what `renewal` gathered.
    pub(super) fn renewal(mut self, change: impl FnOnce(&mut Renewal)) -> World {
        change(self.facts.renewal.get_or_insert_default());
        self
    }

    /// A storage of CertMagic at `/s`, and a lineage for each of its sites.
    pub(super) fn storage(self, fill: impl FnOnce(&mut Storage)) -> World {
        let mut storage = Storage::new("/s".into(), "the home of caddy".into(), None);
        fill(&mut storage);
        self.renewal(|renewal| {
            for site in &storage.sites {
                let chain = site.certificate.content.clone().unwrap_or_default();
                let path = site.certificate.path.clone();
                renewal.lineages.push(Lineage { manager: "certmagic", name: site.name.clone(), path, chain });
            }
            renewal.certmagic.storages.push(storage);
        })
    }

    /// An nginx with this in its `http` block; lines count from 2.
    pub(super) fn nginx(self, http: &str) -> World {
        let instance = nginx(http);
        self.renewal(|r| r.nginx.instances.push(instance))
    }

    /// A certificate that certbot keeps.
    pub(super) fn lineage(self, name: &str, chain: Vec<Certificate>) -> World {
        let path = format!("/etc/letsencrypt/live/{name}/fullchain.pem");
        let lineage = Lineage { manager: "certbot", name: name.to_owned(), path: path.as_str().into(), chain };
        self.renewal(|r| r.lineages.push(lineage))
    }

    /// Certbot puts the challenges of this name below this directory.
    pub(super) fn webroot(self, name: &str, webroot: &str) -> World {
        let said = (TreePath::from(format!("/etc/letsencrypt/renewal/{name}.conf").as_str()), Some(12));
        let lineage = ("certbot", name.to_owned());
        let challenge = HttpChallenge { lineage, name: name.to_owned(), port: 80, webroot: webroot.into(), said };
        self.renewal(|r| r.challenges.push(challenge))
    }

    pub(super) fn store(mut self, store: Store) -> World {
        self.facts.stores.push(store);
        self
    }

    pub(super) fn failing(mut self, failure: ConnectFailure) -> World {
        self.facts.endpoints.push(Endpoint { target: target("example.com"), only: None, outcome: Err(failure) });
        self.paths.push(Vec::new());
        self
    }

    pub(super) fn presented(mut self, host: &str, presented: Presented) -> World {
        self.facts.endpoints.push(Endpoint { target: target(host), only: None, outcome: Ok(presented) });
        self.paths.push(Vec::new());
        self
    }

    /// A server that completes the handshake with these certificates.
    pub(super) fn presenting(self, host: &str, pem: &str) -> World {
        self.presented(host, presented(pem))
    }

    /// The last endpoint is refused by this client over this path: the error at this depth.
    pub(super) fn refused(
        mut self,
        profile: &'static Profile,
        path: Vec<Certificate>,
        depth: usize,
        rejection: Rejection,
    ) -> World {
        let error = ClientError {
            code: "10".into(),
            name: "X509_V_ERR_CERT_HAS_EXPIRED".into(),
            depth: Some(depth),
            text: "certificate has expired".into(),
            rejection,
        };
        self.judged(profile, Verdict::Untrusted { path, errors: vec![error] });
        self
    }

    /// The last endpoint is refused because the certificate at `depth` of this path has expired.
    pub(super) fn expired(self, profile: &'static Profile, path: Vec<Certificate>, depth: usize) -> World {
        let (at, not_after) = (self.at, path[depth].validity().not_after.expect("a date"));
        self.refused(profile, path, depth, Rejection::Expired { not_after, at })
    }

    /// The last endpoint is accepted by this client over this path.
    pub(super) fn accepted(mut self, profile: &'static Profile, path: Vec<Certificate>) -> World {
        self.judged(profile, Verdict::Trusted { path });
        self
    }

    fn judged(&mut self, profile: &'static Profile, verdict: Verdict) {
        self.verdicts.push(ClientVerdict {
            client: profile.id.to_owned(),
            profile,
            endpoint: self.facts.endpoints.len() - 1,
            store: vec!["/etc/ssl/certs/ca-certificates.crt".into(), "/etc/ssl/certs".into()],
            verdict,
            would_help: Vec::new(),
        });
    }

    pub(super) fn case(&self) -> Case<'_> {
        Case {
            facts: &self.facts,
            at: self.at,
            within: 90,
            verdicts: &self.verdicts,
            paths: &self.paths,
            lapses: &self.lapses,
            union: Default::default(),
        }
    }

    /// What one check finds; each finding is held to the house's style.
    pub(super) fn find(&self, check: &'static Check) -> Vec<Finding> {
        let mut found = Vec::new();
        (check.run)(&self.case(), &mut found);
        for finding in &found {
            assert_eq!((finding.code, finding.slug), (check.code, check.slug));
            assert!(!finding.message.ends_with('.') && !finding.message.is_empty(), "{}", finding.message);
            assert!(!finding.subject.is_empty(), "{} has no subject", finding.message);
            assert!(!finding.remedies.is_empty(), "{} has no remedy", finding.message);
        }
        found
    }

    /// The only finding of one check.
    pub(super) fn one(&self, check: &'static Check) -> Finding {
        let mut found = self.find(check);
        assert_eq!(found.len(), 1, "{found:#?}");
        found.remove(0)
    }

    /// One check finds nothing.
    pub(super) fn silent(&self, check: &'static Check) {
        let found = self.find(check);
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// An nginx of one file with this in its `http` block.
pub(super) fn nginx(http: &str) -> Instance {
    let text = format!("events {{}} http {{\n{http}\n}}\n");
    let path = TreePath::from("/etc/nginx/nginx.conf");
    let parsed = crate::format::nginx::parse(text.as_bytes(), 0);
    assert_eq!(parsed.defects, []);
    let mut instance = Instance::new("nginx", path.clone(), Some("/usr/share/nginx".into()));
    instance.directives = parsed.directives;
    instance.files =
        vec![ConfFile { path: path.clone(), real: path, read: Fingerprint::of(text.as_bytes()), bytes: text.into() }];
    instance
}

/// The file of an nginx after the changes that a finding proposes.
pub(super) fn nginx_patched(instance: &Instance, finding: &Finding) -> Instance {
    let changes = finding.remedies.iter().find_map(|r| if let Intent::Patch(changes) = &r.intent { Some(changes) } else { None });
    let mut bytes = instance.files[0].bytes.clone();
    let mut splices: Vec<_> = changes
        .expect("a patch")
        .iter()
        .map(|c| if let Change::Splice { at, with, .. } = c { (at.clone(), with.clone()) } else { panic!("{c:?}") })
        .collect();
    splices.sort_by_key(|(at, _)| std::cmp::Reverse((at.start, at.end)));
    for (at, with) in splices {
        bytes.splice(at, with);
    }
    let text = String::from_utf8(bytes).expect("text");
    let http = text.strip_prefix("events {} http {\n").and_then(|t| t.strip_suffix("\n}\n")).expect("the frame");
    nginx(http)
}

/// A leaf for these names with an ECDSA key, and its issuer.
pub(super) fn issue(names: &[&str], from: &str, to: &str) -> Vec<Certificate> {
    issue_for(&rcgen::PKCS_ECDSA_P256_SHA256, names, from, to)
}

/// A leaf for these names with a key of this kind, and its issuer.
pub(super) fn issue_for(kind: &'static rcgen::SignatureAlgorithm, names: &[&str], from: &str, to: &str) -> Vec<Certificate> {
    let time = |text: &str| {
        let at = At::parse(text).expect("a time");
        time::OffsetDateTime::from_unix_timestamp(at.0).expect("a time")
    };
    let ca_key = rcgen::KeyPair::generate().expect("a key");
    let mut ca = rcgen::CertificateParams::default();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    ca.distinguished_name.push(rcgen::DnType::CommonName, "Test CA");
    (ca.not_before, ca.not_after) = (time("2020-01-01"), time("2040-01-01"));
    let root = ca.self_signed(&ca_key).expect("signed");
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let mut leaf = rcgen::CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).expect("names");
    (leaf.not_before, leaf.not_after) = (time(from), time(to));
    let leaf = leaf.signed_by(&rcgen::KeyPair::generate_for(kind).expect("a key"), &issuer).expect("signed");
    [leaf.der(), root.der()].into_iter().map(|der| Certificate::parse(der).expect("a certificate")).collect()
}

pub(super) fn target(host: &str) -> Target {
    let source = TargetSource::Server { host: host.to_owned(), port: 443, starttls: None };
    Target { text: host.to_owned(), source, host: Some(host.to_owned()) }
}

pub(super) fn presented(pem: &str) -> Presented {
    Presented {
        certificates: certificates(pem),
        protocol: Some(crate::facts::Protocol::Tls13),
        handshake_completed: true,
        elapsed: Duration::from_millis(1),
        ..Presented::default()
    }
}

/// The certificates of a PEM text, in its order.
pub(super) fn certificates(pem: &str) -> Vec<Certificate> {
    cert_file("/x", pem).certificates().map(|(_, c)| c.clone()).collect()
}

/// The only certificate of a PEM text.
pub(super) fn certificate(pem: &str) -> Certificate {
    certificates(pem).remove(0)
}

/// A file with this content; blocks are read well enough for tests.
pub(super) fn cert_file(path: &str, pem: &str) -> CertFile {
    let mut entries = Vec::new();
    let mut from = 0;
    while let Some(start) = pem[from..].find("-----BEGIN ").map(|i| from + i) {
        let end = pem[start..]
            .find("-----END ")
            .and_then(|i| pem[start + i..].find('\n').map(|n| start + i + n + 1))
            .unwrap_or(pem.len());
        let block = &pem[start..end];
        let body: String = block.lines().filter(|l| !l.starts_with("-----")).collect();
        let content = if block.contains("PRIVATE KEY") {
            Content::PrivateKey
        } else {
            let der = base64_simd::STANDARD.decode_to_vec(body.trim()).unwrap_or_default();
            Certificate::parse(&der).map_or_else(|e| Content::Opaque(e.to_string()), Content::Certificate)
        };
        let line = u32::try_from(pem[..start].matches('\n').count() + 1).expect("few lines");
        entries.push(Entry { line, block: start..end, section: start..end, label: None, content });
        from = end;
    }
    let path = TreePath::from(path);
    CertFile {
        real: path.clone(),
        path,
        links: Default::default(),
        state: FileState::Read {
            digest: Some(ContentDigest::of(pem.as_bytes().to_vec())),
            len: pem.len() as u64,
            mode: 0o644,
            modified: At(1_600_000_000),
        },
        entries: entries.into(),
        quirks: BTreeSet::new(),
    }
}

/// A file that is not there.
pub(super) fn missing(path: &str) -> CertFile {
    CertFile { state: FileState::Missing, entries: Arc::new([]), ..cert_file(path, "") }
}

/// A whole Debian store of package certificates (`mozilla/X.crt`), consistent in all its parts.
pub(super) fn debian(sources: &[(&str, &str)]) -> Store {
    let mut store = Store {
        kind: "debian",
        title: "Debian system store".into(),
        location: "/etc/ssl/certs".into(),
        upkeep: Upkeep::Generated { by: "update-ca-certificates" },
        configuration: None,
        sources: Vec::new(),
        bundle: None,
        directory: None,
        derived: Vec::new(),
        unread: None,
        leftovers: Vec::new(),
        seen: Default::default(),
    };
    for (name, pem) in sources {
        store.sources.push(source(name, pem, Selection::Enabled));
    }
    configure(&mut store, &sources.iter().map(|(name, _)| format!("{name}\n")).collect::<String>());
    refresh(&mut store);
    store
}

/// A source of the package, or (without a folder in its name) a local one.
pub(super) fn source(name: &str, pem: &str, selection: Selection) -> Source {
    let local = !name.contains('/');
    let folder = if local { "/usr/local/share/ca-certificates" } else { "/usr/share/ca-certificates" };
    Source {
        name: name.as_bytes().to_vec(),
        owner: if local { SourceOwner::Local } else { SourceOwner::Package },
        selection,
        line: None,
        file: cert_file(&format!("{folder}/{name}"), pem),
    }
}

/// Gives a store this configuration.
pub(super) fn configure(store: &mut Store, text: &str) {
    let mut at = 0;
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let bare = line.trim_end_matches('\n');
        let kind = match bare.as_bytes() {
            b"" => ConfLineKind::Blank,
            [b'#', ..] => ConfLineKind::Comment,
            _ if !line.ends_with('\n') => ConfLineKind::Unseen(bare.into()),
            [b'!', name @ ..] => ConfLineKind::Deselected(name.into()),
            name => ConfLineKind::Enabled(name.into()),
        };
        lines.push(ConfLine { number, span: at..at + bare.len(), kind });
        at += line.len();
    }
    let path = TreePath::from("/etc/ca-certificates.conf");
    store.configuration = Some(Configuration { path, bytes: text.into(), lines, parked: None });
}

/// Makes bundle and hash directory of a store from its enabled sources.
pub(super) fn refresh(store: &mut Store) {
    let enabled: Vec<Source> = store.sources.iter().filter(|s| s.selection == Selection::Enabled).cloned().collect();
    let pem: String = enabled.iter().flat_map(|s| s.file.certificates()).map(|(_, c)| pem(c)).collect();
    store.bundle = Some(cert_file("/etc/ssl/certs/ca-certificates.crt", &pem));
    let mut entries: Vec<DirectoryEntry> = Vec::new();
    for source in enabled {
        let base = String::from_utf8_lossy(source.name.rsplit(|b| *b == b'/').next().unwrap_or_default()).replace(".crt", ".pem");
        let linked = |name: &str| CertFile { path: format!("/etc/ssl/certs/{name}").as_str().into(), ..source.file.clone() };
        let whole = source.file.real.as_bytes().to_vec();
        entries.push(DirectoryEntry { name: base.clone().into(), hash: None, link: Some(whole), file: linked(&base) });
        if let [certificate] = source.file.certificates().map(|(_, c)| c).collect::<Vec<_>>()[..] {
            let hash = certificate.subject().openssl_hash();
            let n = u32::try_from(entries.iter().filter(|e| e.hash.is_some_and(|(h, _)| h == hash)).count()).expect("few");
            let name = format!("{hash:08x}.{n}");
            entries.push(DirectoryEntry {
                name: name.clone().into(),
                hash: Some((hash, n)),
                link: Some(base.into_bytes()),
                file: linked(&name),
            });
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let path = TreePath::from("/etc/ssl/certs");
    store.directory = Some(HashDirectory { real: path.clone(), path, state: Ok(()), entries });
}

/// A site of CertMagic in good order, from 2026-10-01 on for a year.
pub(super) fn site(domain: &str) -> Site {
    let folder = TreePath::from(format!("/s/certificates/ca/{domain}").as_str());
    let path = |extension: &str| folder.join(format!("{domain}.{extension}"));
    let leaf = certificates(&issued_by("Test CA", domain, (2026, 10, 1), None)).remove(0);
    Site {
        shape: Some(Fingerprint([0; 32])),
        ca: "ca".into(),
        name: domain.to_owned(),
        certificate: File { path: path("crt"), content: Ok(vec![leaf]) },
        key: File { path: path("key"), content: Ok(Some(true)) },
        metadata: File { path: path("json"), content: Ok(Metadata::default()) },
        path: folder,
    }
}

/// A hand-kept store of one file.
pub(super) fn cert_pem(pem: &str) -> Store {
    Store {
        kind: "cert-pem",
        title: "cert.pem".into(),
        location: "/etc/ssl/cert.pem".into(),
        upkeep: Upkeep::ByHand,
        configuration: None,
        bundle: Some(cert_file("/etc/ssl/cert.pem", pem)),
        directory: None,
        ..debian(&[])
    }
}

pub(super) fn pem(certificate: &Certificate) -> String {
    let body = base64_simd::STANDARD.encode_to_string(certificate.der());
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

/// A certificate for `host`, issued by a new CA of this name at the beginning of this day for a year, with one more extension.
pub(super) fn issued_by(issuer: &str, host: &str, day: (i32, u8, u8), extension: Option<(&[u64], &[u8])>) -> String {
    use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, issuer);
    let ca = Issuer::new(ca, KeyPair::generate().expect("a key"));
    let mut leaf = CertificateParams::new(vec![host.to_owned()]).expect("a name");
    leaf.distinguished_name.push(DnType::CommonName, host);
    (leaf.not_before, leaf.not_after) = (date_time_ymd(day.0, day.1, day.2), date_time_ymd(day.0 + 1, day.1, day.2));
    leaf.use_authority_key_identifier_extension = true;
    leaf.custom_extensions.extend(extension.map(|(oid, content)| CustomExtension::from_oid_content(oid, content.to_vec())));
    leaf.signed_by(&KeyPair::generate().expect("a key"), &ca).expect("a certificate").pem()
}

/// A server certificate without its issuer, which says where the issuer can be had.
pub(super) fn leaf_with_aia() -> String {
    let uri = b"http://ca.example/issuing.der";
    let mut access = vec![0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02, 0x86, uri.len() as u8];
    access.extend_from_slice(uri);
    let mut list = vec![0x30, access.len() as u8 + 2, 0x30, access.len() as u8];
    list.extend(access);
    issued_by("Test Issuing CA", "localhost", (2026, 11, 1), Some((&[1, 3, 6, 1, 5, 5, 7, 1, 1], &list)))
}
