//! The models beside real clients: OpenSSL 3 and the `openssl verify` of this machine over the recorded chains and random PKIs, and every
//! client that judges lists in bulk over random PKIs.
//!
//! `CERTDOCTOR_RANDOM_PKIS=from:count` asks for other seeds, and `CERTDOCTOR_RANDOM_CLIENTS=a,b` for some of the clients.

mod common;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use certdoctor::{
    base::At,
    client::{self, Client},
    path::{Anchors, Extra, Question, Verdict},
    x509::{Certificate, Purpose, SignatureCache},
};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

/// Variables that lead OpenSSL elsewhere.
const VARIABLES: &[&str] = &["SSL_CERT_FILE", "SSL_CERT_DIR", "OPENSSL_CONF", "OPENSSL_MODULES"];

/// `openssl` 3.0 to 3.5 on this machine, or a visible skip; a failure in CI.
fn openssl_is_there() -> bool {
    let version = Command::new("openssl").arg("version").output().map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
    let usable = version.as_ref().is_ok_and(|v| (0..=5).any(|minor| v.starts_with(&format!("OpenSSL 3.{minor}."))));
    if !usable {
        assert!(std::env::var_os("CI").is_none_or(|v| v != "true"), "CI needs openssl 3.0 to 3.5, found {version:?}");
        eprintln!("skipped: no openssl 3.0 to 3.5 here ({version:?})");
    }
    usable
}

/// What was asked and what the tool said, in comparable form.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    accepted: bool,
    /// Code and depth of every error shown; the tool stops at the first one that it does not pass over.
    errors: Vec<(u32, usize)>,
    /// Common names, leaf first; only of accepted paths.
    path: Vec<String>,
}

struct Puzzle {
    presented: Vec<Certificate>,
    anchors: Anchors,
    at: At,
    options: Vec<&'static str>,
}

impl Puzzle {
    fn ask_openssl(&self, directory: &Path) -> Answer {
        let write = |name: &str, list: &[Certificate]| -> PathBuf {
            let path = directory.join(name);
            fs::write(&path, pem(list)).expect("writes");
            path
        };
        let leaf = write("leaf.pem", &self.presented[..1]);
        let mut command = Command::new("openssl");
        command.args(["verify", "-show_chain", "-purpose", "sslserver", "-no-CAstore", "-auth_level", "1"]);
        command.args(["-attime", &self.at.0.to_string()]).args(&self.options);
        if self.anchors.file.is_empty() {
            command.arg("-no-CAfile");
        } else {
            command.arg("-CAfile").arg(write("store.pem", &self.anchors.file));
        }
        if self.anchors.directory.is_empty() {
            command.arg("-no-CApath");
        } else {
            let hashed = directory.join("hashed");
            fs::remove_dir_all(&hashed).ok();
            fs::create_dir(&hashed).expect("makes a directory");
            for certificate in &self.anchors.directory {
                let hash = certificate.subject().openssl_hash();
                let free = (0..).map(|n| hashed.join(format!("{hash:08x}.{n}"))).find(|p| !p.exists()).expect("a number");
                fs::write(free, pem(std::slice::from_ref(certificate))).expect("writes");
            }
            command.arg("-CApath").arg(hashed);
        }
        if self.presented.len() > 1 {
            command.arg("-untrusted").arg(write("sent.pem", &self.presented[1..]));
        }
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        let output = command.arg(leaf).output().expect("openssl runs");
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let error = |line: &str| {
            let (code, depth) = line.strip_prefix("error ")?.split_once(" at ")?;
            Some((code.parse().ok()?, depth.split_once(" depth lookup")?.0.parse().ok()?))
        };
        let errors: Vec<(u32, usize)> = stderr.lines().filter_map(error).collect();
        let accepted = output.status.success();
        assert_eq!(accepted, errors.is_empty(), "an exit status without its error: {stdout}{stderr}");
        let name = |line: &str| {
            let subject = line.strip_prefix("depth=")?.split_once(": ")?.1;
            let subject = subject.strip_suffix(" (untrusted)").unwrap_or(subject);
            Some(subject.rsplit_once("CN = ")?.1.to_owned())
        };
        Answer { accepted, errors, path: stdout.lines().filter(|_| accepted).filter_map(name).collect() }
    }

    fn ask_model(&self, client: &Client, signatures: &SignatureCache) -> Answer {
        let question = Question {
            presented: &self.presented,
            anchors: &self.anchors,
            at: self.at,
            host: None,
            purpose: &Purpose::ServerAuth,
            signatures,
            extra: Extra::default(),
        };
        match client.judge(&question) {
            Verdict::Trusted { path } => {
                let path = path.iter().map(Certificate::label).collect();
                Answer { accepted: true, errors: Vec::new(), path }
            }
            Verdict::Untrusted { errors, .. } => {
                let error = |e: &certdoctor::path::ClientError| {
                    (e.code.parse().expect("a number"), e.depth.expect("OpenSSL tells depths"))
                };
                Answer { accepted: false, errors: errors.iter().map(error).collect(), path: Vec::new() }
            }
            Verdict::Unknown(why) => panic!("the model can't say: {why}"),
        }
    }

    /// `None` when both agree; `openssl verify` shows errors up to the first that ends it, so its list is a beginning of the model's.
    fn disagreement(&self, directory: &Path, signatures: &SignatureCache) -> Option<String> {
        let id = self.options.iter().fold("openssl-3.0".to_owned(), |id, option| match *option {
            "-partial_chain" => id + "+partial",
            "-x509_strict" => id + "+strict",
            other => panic!("no model for {other}"),
        });
        let real = self.ask_openssl(directory);
        let mut model = self.ask_model(&client::resolve(&id).expect("is known"), signatures);
        model.errors.truncate(real.errors.len().max(1));
        (real != model).then(|| format!("{id}: real {real:?}, model {model:?}\n{self}"))
    }
}

impl std::fmt::Display for Puzzle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let line = |c: &Certificate| {
            let end = c.validity().not_after.map(|a| a.to_string()).unwrap_or_default();
            format!("{:?} <- {} until {end}", c, c.issuer().label())
        };
        let mut text = String::new();
        for (what, list) in [("sent", &self.presented), ("file", &self.anchors.file), ("directory", &self.anchors.directory)] {
            for certificate in list {
                writeln!(text, "  {what}: {}", line(certificate))?;
            }
        }
        f.write_str(&text)
    }
}

fn pem(list: &[Certificate]) -> String {
    let mut text = String::new();
    for certificate in list {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let body = base64_simd::STANDARD.encode_to_string(certificate.der());
        for line in body.as_bytes().chunks(64) {
            text.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

fn certificates(path: &Path) -> Vec<Certificate> {
    let text = fs::read_to_string(path).expect("the fixture exists");
    let der = |block: &str| {
        let body: String = block.split("-----END").next().expect("an END").split_whitespace().collect();
        base64_simd::STANDARD.decode_to_vec(body).expect("base64")
    };
    text.split("-----BEGIN CERTIFICATE-----").skip(1).map(|b| Certificate::parse(&der(b)).expect("parses")).collect()
}

#[test]
fn the_recorded_chains() {
    if !openssl_is_there() {
        return;
    }
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/clients");
    let scenarios: serde_json::Value =
        serde_json::from_slice(&fs::read(fixtures.join("scenarios.json")).expect("exists")).expect("JSON");
    let (directory, signatures) = (tempfile::tempdir().expect("a directory"), SignatureCache::new());
    let (mut asked, mut wrong) = (0, Vec::new());
    for scenario in scenarios["scenarios"].as_array().expect("scenarios") {
        let file = |value: &serde_json::Value| certificates(&fixtures.join(value.as_str().expect("a file")));
        let presented = file(&scenario["chain_file"]);
        for store in scenario["stores"].as_object().expect("stores").values() {
            let anchors = Anchors { file: file(&store["file"]), directory: Vec::new() };
            for options in [vec![], vec!["-partial_chain"], vec!["-partial_chain", "-x509_strict"]] {
                let puzzle = Puzzle { presented: presented.clone(), anchors: anchors.clone(), at: At(1_795_309_200), options };
                asked += 1;
                wrong.extend(puzzle.disagreement(directory.path(), &signatures));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// A small generator (xorshift64*), so that a seed means the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.roll(n) == 0
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.roll(i + 1));
        }
    }
}

/// 2026-11-22T01:00:00Z.
const NOW: i64 = 1_795_309_200;
const YEAR: i64 = 31_536_000;

/// `[1] { [4] { CN=x } }, [2] 7`: authorityCertIssuer and authorityCertSerialNumber.
const ODD_ISSUER: [u8; 21] =
    [0xa1, 16, 0xa4, 14, 0x30, 12, 0x31, 10, 0x30, 8, 0x06, 3, 0x55, 0x04, 0x03, 0x0c, 1, b'x', 0x82, 1, 7];

struct Entity {
    name: String,
    issuer: Issuer<'static, KeyPair>,
}

fn params(dice: &mut Dice, name: &str, leaf: bool) -> CertificateParams {
    let mut params = CertificateParams::new(if leaf { vec!["localhost".to_owned()] } else { Vec::new() }).expect("a name");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Random Lab");
    params.distinguished_name.push(DnType::CommonName, name);
    // Mostly valid now; else expired some time ago, about to be valid, or ending this very second.
    let (start, end) = match dice.roll(10) {
        0 | 1 => (NOW - 9 * YEAR, NOW - (1 + dice.roll(5) as i64) * YEAR),
        2 => (NOW + YEAR, NOW + 3 * YEAR),
        3 if dice.one_in(3) => (NOW - YEAR, NOW),
        4 if dice.one_in(3) => (NOW, NOW + YEAR),
        _ => (NOW - YEAR, NOW + (1 + dice.roll(9) as i64) * YEAR),
    };
    let time = |seconds| time::OffsetDateTime::from_unix_timestamp(seconds).expect("a time");
    (params.not_before, params.not_after) = (time(start), time(end));
    params.use_authority_key_identifier_extension = !dice.one_in(3);
    if dice.one_in(12) {
        // An identifier that fits nothing, alone or with an issuer and a serial that fit nothing.
        let mut aki = vec![0x80, 4, 1, 2, 3, 4];
        if dice.one_in(2) {
            aki.extend(ODD_ISSUER);
        }
        aki.splice(0..0, [0x30, aki.len() as u8]);
        params.use_authority_key_identifier_extension = false;
        params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 35], aki)];
    }
    if !leaf {
        params.is_ca = match dice.roll(12) {
            0 => IsCa::ExplicitNoCa,
            1 => IsCa::NoCa,
            2 => IsCa::Ca(BasicConstraints::Constrained(0)),
            3 => IsCa::Ca(BasicConstraints::Constrained(1)),
            _ => IsCa::Ca(BasicConstraints::Unconstrained),
        };
        params.key_usages = match dice.roll(8) {
            0 => vec![],
            1 => vec![KeyUsagePurpose::DigitalSignature],
            _ => vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign],
        };
    }
    if dice.one_in(8) {
        let purpose = if dice.one_in(2) { ExtendedKeyUsagePurpose::ServerAuth } else { ExtendedKeyUsagePurpose::ClientAuth };
        params.extended_key_usages = vec![purpose];
    }
    params
}

fn random_puzzle(seed: u64) -> Puzzle {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    // Few names and often several keys of one name: renewed, re-keyed and cross-signed CAs.
    let entities: Vec<Entity> = (0..3 + dice.roll(5))
        .map(|_| {
            let name = format!("CA {}", dice.roll(4));
            let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
            let issuer = Issuer::new(params(&mut Dice(1), &name, false), key);
            Entity { name, issuer }
        })
        .collect();
    let sign = |dice: &mut Dice, name: &str, leaf: bool, key: &KeyPair, issuer: &Issuer<'static, KeyPair>| {
        let signed = params(dice, name, leaf).signed_by(key, issuer).expect("signs");
        Certificate::parse(signed.der()).expect("parses")
    };
    let mut pool = Vec::new();
    for entity in &entities {
        for _ in 0..1 + dice.roll(3) {
            let issuer = if dice.one_in(2) { entity } else { &entities[dice.roll(entities.len())] };
            pool.push(sign(&mut dice, &entity.name, false, entity.issuer.key(), &issuer.issuer));
        }
    }
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
    let leaf = if dice.one_in(12) {
        pool[dice.roll(pool.len())].clone()
    } else {
        let issuer = &entities[dice.roll(entities.len())].issuer;
        sign(&mut dice, "localhost", true, &key, issuer)
    };
    let mut pick = |one_in: usize| -> Vec<Certificate> {
        let mut picked: Vec<Certificate> = pool.iter().filter(|_| !dice.one_in(one_in)).cloned().collect();
        dice.shuffle(&mut picked);
        picked
    };
    let (sent, mut file, mut directory) = (pick(3), pick(2), Vec::new());
    if dice.one_in(4) {
        directory = file.split_off(file.len() / 2);
    }
    if dice.one_in(10) {
        file.push(leaf.clone());
    }
    let options = match dice.roll(6) {
        0 => vec!["-partial_chain"],
        1 => vec!["-partial_chain", "-x509_strict"],
        _ => vec![],
    };
    let presented = std::iter::once(leaf).chain(sent).collect();
    Puzzle { presented, anchors: Anchors { file, directory }, at: At(NOW), options }
}

#[test]
fn random_pkis() {
    if !openssl_is_there() {
        return;
    }
    // CERTDOCTOR_RANDOM_PKIS=from:count asks for others than the default.
    let asked = std::env::var("CERTDOCTOR_RANDOM_PKIS").unwrap_or_else(|_| "1:150".to_owned());
    let (from, count) = asked.split_once(':').expect("from:count");
    let (from, count): (u64, u64) = (from.parse().expect("a number"), count.parse().expect("a number"));
    let (directory, signatures) = (tempfile::tempdir().expect("a directory"), SignatureCache::new());
    let (mut accepted, mut wrong) = (0, Vec::new());
    for seed in from..from + count {
        let puzzle = random_puzzle(seed);
        accepted += usize::from(puzzle.ask_openssl(directory.path()).accepted);
        wrong.extend(puzzle.disagreement(directory.path(), &signatures).map(|d| format!("seed {seed}: {d}")));
    }
    eprintln!("{count} random PKIs, openssl accepted {accepted}");
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(accepted > 0, "a test in which nothing is accepted tests little");
}

/// A question for clients in bulk: what was sent and one store.
#[derive(Clone)]
struct Case {
    sent: Vec<Certificate>,
    store: Vec<Certificate>,
}

/// A client as `scripts/oracles/ask` names it.
struct Oracle<'a> {
    name: &'a str,
    folder: &'a Path,
}

/// Clients that can be asked about thousands of lists, and whether they are asked for a host. NSS needs a database made for each store, a
/// second each, and wolfSSL here is a program that connects: both answer the scenarios of the matrix only.
const BULK: &[(&str, bool)] = &[
    ("openssl-1.0.2n", true),
    ("openssl-1.0.2n+trusted_first", true),
    ("openssl-1.0.2n+no_alt_chains", true),
    ("openssl-1.1.1g", true),
    ("openssl-3", true),
    ("openssl-3+seclevel2", true),
    ("openssl-3+partial", true),
    ("openssl-3+partial+strict", true),
    ("gnutls", true),
    ("go", true),
    ("mbedtls", true),
    ("rustls-webpki-0.103", true),
    ("rustls-webpki-0.101", true),
    ("webpki-0.22", true),
    ("java-api", false),
    ("pyca", true),
];

/// Verdict and first code, as the matrix has them.
type Said = (bool, String);

impl Oracle<'_> {
    /// What the client says to each case, and the column of the matrix that it stands for.
    fn ask(&self, cases: &[Case]) -> (String, BTreeMap<usize, Said>) {
        let work = tempfile::tempdir().expect("a directory");
        let mut scenarios = Vec::new();
        for (number, case) in cases.iter().enumerate() {
            let (chain, store) = (format!("{number}.chain"), format!("{number}.store"));
            fs::write(work.path().join(&chain), pem(&case.sent)).expect("writes");
            fs::write(work.path().join(&store), pem(&case.store)).expect("writes");
            scenarios.push(serde_json::json!({
                "id": number.to_string(), "chain_file": chain, "host": "localhost", "stores": {"S": {"file": store}}
            }));
        }
        let file = work.path().join("scenarios.json");
        let text = serde_json::json!({"judged_at": {"instant": At(NOW).to_string()}, "scenarios": scenarios});
        fs::write(&file, text.to_string()).expect("writes");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/oracles/ask");
        let mut command = common::command(&script);
        command.arg("--dir").arg(self.folder).args(["--client", self.name, "--scenarios"]).arg(&file);
        let output = command.output().expect("ask runs");
        assert!(output.status.success(), "{}: {}", self.name, String::from_utf8_lossy(&output.stderr));
        let mut column = String::new();
        let said = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(|line| {
                let row: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
                let number = row["case"].as_str().and_then(|c| c.split_once('|')?.0.parse().ok()).expect("a number");
                column = row["expect"].as_str().expect("a column").to_owned();
                let accepted = row["verdict"] == "accept";
                let code = match &row["code"] {
                    serde_json::Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                (number, (accepted, if accepted { String::new() } else { code }))
            })
            .collect();
        (column, said)
    }
}

impl Case {
    fn predict(&self, client: &Client, host: bool, signatures: &SignatureCache) -> Verdict {
        let anchors = Anchors { file: self.store.clone(), directory: Vec::new() };
        client.judge(&Question {
            presented: &self.sent,
            anchors: &anchors,
            at: At(NOW),
            host: host.then_some("localhost"),
            purpose: &Purpose::ServerAuth,
            signatures,
            extra: Extra::default(),
        })
    }

    /// Every case that has one certificate or anchor less.
    fn smaller(&self) -> Vec<Case> {
        let without = |list: &[Certificate], i: usize| [&list[..i], &list[i + 1..]].concat();
        let sent = (1..self.sent.len()).map(|i| Case { sent: without(&self.sent, i), ..self.clone() });
        // An empty store is a fault of its own.
        let anchors = if self.store.len() > 1 { self.store.len() } else { 0 };
        let store = (0..anchors).map(|i| Case { store: without(&self.store, i), ..self.clone() });
        sent.chain(store).collect()
    }
}

/// `None` when the model agrees or can't say.
fn differs(said: &Said, verdict: &Verdict) -> Option<String> {
    let model: Said = match verdict {
        Verdict::Trusted { .. } => (true, String::new()),
        // Java's is any of several, where a hash set decides.
        Verdict::Untrusted { errors, .. }
            if !said.0 && said.1.ends_with("Exception") && errors.iter().any(|e| e.code == said.1) =>
        {
            return None;
        }
        Verdict::Untrusted { errors, .. } => (false, errors[0].code.clone()),
        Verdict::Unknown(_) => return None,
    };
    (*said != model).then(|| format!("real {said:?}, model {model:?}"))
}

/// Drops certificates and anchors one at a time while the disagreement stays.
fn minimised(oracle: &Oracle<'_>, client: &Client, host: bool, case: &Case, signatures: &SignatureCache) -> String {
    let mut case = case.clone();
    loop {
        let smaller = case.smaller();
        let (_, said) = oracle.ask(&smaller);
        let next =
            said.iter().find(|(number, said)| differs(said, &smaller[**number].predict(client, host, signatures)).is_some());
        match next {
            Some((number, _)) => case = smaller[*number].clone(),
            None => break,
        }
    }
    let (_, said) = oracle.ask(std::slice::from_ref(&case));
    let verdict = case.predict(client, host, signatures);
    let line = |c: &Certificate| {
        let (validity, key_id) =
            (c.validity(), |id: Option<&[u8]>| id.map_or("-".to_owned(), |id| format!("{:02x}{:02x}", id[0], id[1])));
        let state = match (c.is_expired(At(NOW)), c.is_not_yet_valid(At(NOW))) {
            (true, _) => "expired",
            (_, true) => "not yet",
            _ => "valid",
        };
        let authority = c.authority_key_id().and_then(|a| a.key_id.as_deref());
        let usage = c.key_usage().map_or("-".to_owned(), |u| format!("{:x}", u.0));
        format!(
            "{c:?} key {} <- {} ski {} aki {} {state} to {:?}, ca {:?}, usage {usage}, purposes {:?}",
            c.key_fingerprint().short(),
            c.issuer().label(),
            key_id(c.subject_key_id()),
            key_id(authority),
            validity.not_after.map(|a| a.to_string()),
            c.basic_constraints().map(|b| (b.ca, b.path_len)),
            c.extended_key_usage(),
        )
    };
    let mut text = format!("{:?}: {}\n", said.get(&0), differs(&said[&0], &verdict).unwrap_or_default());
    for (what, list) in [("sent", &case.sent), ("store", &case.store)] {
        for certificate in list {
            writeln!(text, "  {what}: {}", line(certificate)).expect("writes");
        }
    }
    if let Some(folder) = std::env::var_os("CERTDOCTOR_KEEP_CASES") {
        let file = Path::new(&folder).join(format!("{}-{:?}", oracle.name, case.sent[0].fingerprint().short()));
        fs::write(file.with_extension("chain"), pem(&case.sent)).expect("writes");
        fs::write(file.with_extension("store"), pem(&case.store)).expect("writes");
    }
    text
}

#[test]
fn random_pkis_in_bulk() {
    let Some(folder) = common::oracles() else {
        return common::skip("random PKIs in bulk: CERTDOCTOR_ORACLES is not set");
    };
    let asked = std::env::var("CERTDOCTOR_RANDOM_PKIS").unwrap_or_else(|_| "1:60".to_owned());
    let (from, count) = asked.split_once(':').expect("from:count");
    let (from, count): (u64, u64) = (from.parse().expect("a number"), count.parse().expect("a number"));
    let wanted = std::env::var("CERTDOCTOR_RANDOM_CLIENTS").ok();
    let list = common::command(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/oracles/ask"))
        .arg("--list")
        .arg("--dir")
        .arg(&folder)
        .output();
    let list = String::from_utf8(list.expect("ask --list runs").stdout).expect("UTF-8");
    let ready = |name: &str| list.lines().any(|l| l.split_whitespace().next() == Some(name) && l.ends_with(" ready"));
    // Two stores for each graph: as it is, and half of it in the other order.
    let cases: Vec<Case> = (from..from + count)
        .flat_map(|seed| {
            let puzzle = random_puzzle(seed);
            let mut sent = puzzle.presented;
            // More than these a handshake would not bring to every client.
            sent.truncate(9);
            let mut store: Vec<Certificate> = puzzle.anchors.iter().cloned().collect();
            if store.is_empty() {
                store.extend(sent.last().cloned());
            }
            let half = store.iter().rev().step_by(2).cloned().collect();
            [Case { sent: sent.clone(), store }, Case { sent, store: half }]
        })
        .collect();
    let signatures = SignatureCache::new();
    let mut wrong = Vec::new();
    for (name, host) in BULK.iter().filter(|(name, _)| wanted.as_ref().is_none_or(|w| w.split(',').any(|w| w == *name))) {
        if !ready(name) {
            common::skip(&format!("random PKIs in bulk: {name} is not installed"));
            continue;
        }
        let oracle = Oracle { name, folder: &folder };
        let (column, said) = oracle.ask(&cases);
        let client = client::resolve(&column).expect("is known");
        let (mut accepted, mut unknown, mut shown, mut different) = (0, 0, 0, 0);
        for (number, said) in &said {
            let verdict = cases[*number].predict(&client, *host, &signatures);
            accepted += usize::from(said.0);
            unknown += usize::from(matches!(verdict, Verdict::Unknown(_)));
            let Some(difference) = differs(said, &verdict) else { continue };
            different += 1;
            // Minimising asks the client again and again: a few cases of each client tell what is wrong.
            if shown < 3 {
                shown += 1;
                let seed = from + *number as u64 / 2;
                let least = minimised(&oracle, &client, *host, &cases[*number], &signatures);
                wrong.push(format!("{name}, seed {seed}: {difference}; least case: {least}"));
            }
        }
        eprintln!("{name}: {} asked, {accepted} accepted, {different} different, {unknown} unknown to the model", said.len());
        assert_eq!(said.len(), cases.len(), "{name} did not answer all");
        if different > shown {
            wrong.push(format!("{name}: {different} in all"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
