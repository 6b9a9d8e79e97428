//! `fuzz_seeds DIR`: a seed corpus for each target in `fuzz/`, made from `fixtures/`: one folder a target, one file a seed.
#![expect(clippy::disallowed_methods, reason = "a program of its own: reads fixtures and writes seeds")]
#![expect(clippy::print_stdout, reason = "a program of its own")]

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use certdoctor::{
    base::Fingerprint,
    format::{pem, pkcs7},
    x509::Certificate,
};
use serde_json::Value;

/// Bytes of the largest seed: mutating more than that is slow, and finds little.
const LARGEST: usize = 16 << 10;
/// Files of one suite; they lie in an order that mixes the kinds.
const MOST: usize = 400;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err("usage: fuzz_seeds DIR".into());
    };
    let mut seeds = Seeds { folder, written: BTreeMap::new() };
    odd_files(&mut seeds)?;
    pools(&mut seeds)?;
    names(&mut seeds)?;
    chains(&mut seeds)?;
    images(&mut seeds)?;
    policies(&mut seeds)?;
    servers(&mut seeds)?;
    for path in files("dockerfiles")? {
        if path.extension().is_some_and(|e| e == "Dockerfile") {
            seeds.put("dockerfile", &fs::read(path)?)?;
        }
    }
    server_side(&mut seeds)?;
    for (target, count) in &seeds.written {
        println!("{target}: {count} seeds");
    }
    Ok(())
}

struct Seeds {
    folder: PathBuf,
    written: BTreeMap<&'static str, usize>,
}

impl Seeds {
    /// Writes one seed under the digest of its content; too large a one is left out.
    fn put(&mut self, target: &'static str, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() || bytes.len() > LARGEST {
            return Ok(());
        }
        let folder = self.folder.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(Fingerprint::of(bytes).short()), bytes)?;
        *self.written.entry(target).or_default() += 1;
        Ok(())
    }

    /// Writes one certificate to everyone who reads such.
    fn certificate(&mut self, der: &[u8]) -> Result<()> {
        self.put("certificate", der)?;
        self.put("pkcs7", &signed_data(&[der]))
    }
}

/// `parse.jsonl` and `oddpem.jsonl`: what tripped other readers.
fn odd_files(seeds: &mut Seeds) -> Result<()> {
    for line in decompressed("oddpem.jsonl.zst")?.lines().chain(decompressed("parse.jsonl.zst")?.lines().take(MOST)) {
        let json: Value = serde_json::from_str(line)?;
        let bytes = base64_simd::STANDARD.decode_to_vec(json["b64"].as_str().unwrap_or_default())?;
        if bytes.first() == Some(&0x30) {
            seeds.certificate(&bytes)?;
            continue;
        }
        seeds.put("pem", &bytes)?;
        seeds.put("store", &bytes)?;
    }
    Ok(())
}

/// Certificates and revocation lists of the suites.
fn pools(seeds: &mut Seeds) -> Result<()> {
    for suite in ["limbo", "openssl", "pkits", "botan"] {
        let pool = decompressed(&format!("{suite}.pool.pem.zst"))?;
        let mut der = Vec::new();
        for block in pem::blocks(pool.as_bytes()).take(MOST) {
            let Ok(body) = block.body else { continue };
            if pem::decode(body, &mut der).is_err() {
                continue;
            }
            match block.label {
                b"CERTIFICATE" => seeds.certificate(&der)?,
                b"X509 CRL" => seeds.put("crl", &der)?,
                _ => {}
            }
        }
    }
    Ok(())
}

/// Recorded files of the server side, and forms that the recorded hosts have not, each for its place in `fuzz_targets/renewal.rs`.
fn server_side(seeds: &mut Seeds) -> Result<()> {
    for entry in walkdir::WalkDir::new(fixtures().join("renewal")).sort_by_file_name() {
        let path = entry?.into_path();
        let text = path.to_string_lossy().into_owned();
        let place = match path.extension().and_then(|e| e.to_str()) {
            Some("conf") if text.contains("letsencrypt/renewal/") => 0,
            Some("conf") => 7,
            Some("log") => 1,
            Some("ini") => 2,
            _ => continue,
        };
        let bytes = fs::read(&path)?;
        seeds.put("renewal", &[&[place], &bytes[..bytes.len().min(LARGEST - 1)]].concat())?;
    }
    for (place, text) in [
        (0, "a = \"x\", 'y' # z\n[s]\n[[t]]\nb = \'\'\'one\ntwo\'\'\'\n"),
        (2, "deploy-hook systemctl reload nginx\nemail: \"a\" # b\nquiet\n"),
        (3, "[Timer]\nOnCalendar=Mon..Fri *-*-1,15 03:00:00\nOnCalendar=\\\n  weekly\n[Install]\nWantedBy=timers.target\n"),
        (
            4,
            "[Service]\nProtectSystem=strict\nReadWritePaths=-/etc/letsencrypt/ \"/var/log\"\nExecStart=@/usr/bin/certbot -q renew\n",
        ),
        (5, "MAILTO=x\n17 */12 1-7/2 jan,feb mon root certbot renew\n@monthly root certbot renew\n"),
        (6, "#!/bin/sh\n[ -x /usr/bin/certbot ] || exit 0\ncertbot -q renew\n"),
        (
            7,
            "events{} http { include /etc/nginx/*.conf; server { listen [::]:80 default_server; location ~ /\\. { deny all; } } }\n",
        ),
    ] {
        seeds.put("renewal", &[&[place], text.as_bytes()].concat())?;
    }
    Ok(())
}

/// Each name of a certificate against a name that it might cover.
fn names(seeds: &mut Seeds) -> Result<()> {
    for pattern in
        ["www.example.com", "*.example.com", "*", "*.com", "w*.example.com", "*.xn--bcher-kva.example", "[::1]", "a.*.b", "."]
    {
        for asked in ["www.example.com", "example.com", "xn--bcher-kva.example", "192.0.2.1", "WWW.EXAMPLE.COM."] {
            seeds.put("host_name", format!("{pattern}\n{asked}").as_bytes())?;
        }
    }
    Ok(())
}

/// Chains with the stores that they were judged with; the same on the wire and as PKCS #7.
fn chains(seeds: &mut Seeds) -> Result<()> {
    let stores = files("clients/stores")?;
    for chain in files("clients/chains")? {
        let text = fs::read(&chain)?;
        for store in stores.iter().take(6) {
            seeds.put("verdicts", &[text.as_slice(), &fs::read(store)?].concat())?;
        }
        let certificates: Vec<Certificate> = certdoctor::format::sniff::certificates(&text).certificates;
        let ders: Vec<&[u8]> = certificates.iter().map(Certificate::der).collect();
        seeds.put("flight", &flight(&ders))?;
        let bag = signed_data(&ders);
        if pkcs7::certificates(&bag).map(|found| found.len()) != Some(ders.len()) {
            return Err(format!("{}: the seed is no PKCS #7", chain.display()).into());
        }
        seeds.put("pkcs7", &bag)?;
        seeds.put("jks", &keystore(&ders))?;
    }
    Ok(())
}

/// Archives as `docker save` and OCI tools write them: two layers, with everything in the second that changes the first.
fn images(seeds: &mut Seeds) -> Result<()> {
    let pem = fs::read(fixtures().join("clients/stores/U.pem"))?;
    let lower = tar(&[
        ("etc/os-release", Put::File(b"ID=debian\n")),
        ("etc/ssl/certs", Put::Directory),
        ("etc/ssl/certs/ca-certificates.crt", Put::File(&pem)),
        ("etc/ssl/cert.pem", Put::Link("certs/ca-certificates.crt")),
        ("usr/lib/a/b", Put::File(b"")),
    ])?;
    let changes: [&[(&str, Put<'_>)]; 5] = [
        &[("etc/ssl/.wh.certs", Put::File(b"")), ("etc/ssl/certs/x.pem", Put::File(&pem))],
        &[("etc/ssl-x/a", Put::File(b"1")), ("etc/ssl/certs/x.pem", Put::File(&pem)), ("etc/.wh..wh..opq", Put::File(b""))],
        &[("etc/ssl", Put::Link("../usr/lib")), ("etc/ssl/x.pem", Put::Hard("usr/lib/a/b"))],
        &[("usr/lib/a", Put::File(b"x")), ("etc/ssl/certs/ca-certificates.crt/y", Put::File(b"y"))],
        &[("etc/key.pem", Put::File(b"PRIVATE KEY-----\n")), ("etc/hard.pem", Put::Hard("etc/key.pem"))],
    ];
    for change in changes {
        let upper = tar(change)?;
        let zstd = ruzstd::encoding::compress_to_vec(&upper[..], ruzstd::encoding::CompressionLevel::Fastest);
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0][..], b"hi", &zstd].concat();
        for upper in [upper, skippable] {
            let history = br#"{"history":[{"created_by":"ADD"},{"created_by":"CMD","empty_layer":true},{"created_by":"RUN"}]}"#;
            let docker = [
                ("manifest.json", Put::File(br#"[{"Config":"c.json","Layers":["1/layer.tar","2/layer.tar"]}]"#)),
                ("c.json", Put::File(history)),
                ("1/layer.tar", Put::File(&lower)),
                ("2/layer.tar", Put::File(&upper)),
            ];
            seeds.put("image", &tar(&docker)?)?;
            let inner = br#"{"layers":[{"digest":"sha256:1"},{"digest":"sha256:2"}],"config":{"digest":"sha256:3"}}"#;
            let oci = [
                ("index.json", Put::File(br#"{"manifests":[{"digest":"sha256:0"}]}"#)),
                ("blobs/sha256/0", Put::File(inner)),
                ("blobs/sha256/1", Put::File(&lower)),
                ("blobs/sha256/2", Put::File(&upper)),
                ("blobs/sha256/3", Put::File(history)),
            ];
            seeds.put("image", &tar(&oci)?)?;
        }
    }
    Ok(())
}

/// One entry of a tar archive.
enum Put<'a> {
    Directory,
    File(&'a [u8]),
    Hard(&'a str),
    Link(&'a str),
}

fn tar(entries: &[(&str, Put<'_>)]) -> Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, entry) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_size(0);
        let (kind, bytes, target) = match entry {
            Put::Directory => (tar::EntryType::Directory, &[][..], None),
            Put::File(bytes) => (tar::EntryType::Regular, *bytes, None),
            Put::Hard(target) => (tar::EntryType::Link, &[][..], Some(target)),
            Put::Link(target) => (tar::EntryType::Symlink, &[][..], Some(target)),
        };
        header.set_entry_type(kind);
        header.set_size(bytes.len() as u64);
        match target {
            Some(target) => builder.append_link(&mut header, path, target)?,
            None => builder.append_data(&mut header, path, bytes)?,
        }
    }
    Ok(builder.into_inner()?)
}

/// The policy of README.md, and mistakes in one.
fn policies(seeds: &mut Seeds) -> Result<()> {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"))?;
    let (_, policy) = readme.split_once("```toml").ok_or("README.md shows no policy")?;
    let (policy, _) = policy.split_once("```").ok_or("README.md shows no end of the policy")?;
    seeds.put("policy", policy.as_bytes())?;
    for text in [
        "targts = []\n",
        "targets = [\"a\", \"\"]\n",
        "clients = \"go\"\n",
        "[regrade]\ncode = \"CD301\"\n",
        "[[regrade]]\ncode = \"CD301\"\nseverity = \"fatal\"\n",
        "[[regrade]]\ncode = \"CD301\"\nseverity = \"note\"\nreason = '''\nlong\n'''\nuntil = 2027-05-01T00:00:00+02:00\n",
        "regrade = [{ code = \"x\", severity = \"note\", reason = \"y\", until = \"2027-05-01\" }]\n",
        "a.b.c = [[[[{ x = 1979-05-27 }]]]]\n",
    ] {
        seeds.put("policy", text.as_bytes())?;
    }
    Ok(())
}

/// What web servers are told, and what CertMagic keeps.
fn servers(seeds: &mut Seeds) -> Result<()> {
    for path in files("renewal/nginx/corpus")? {
        seeds.put("nginx", &fs::read(path)?)?;
    }
    let maps = "http { map $uri $a { default $b; ~^/(?<x>.)(.*)$ $x$2; hostnames; } map $host $b { a.test 1; *.test \"\"; } server { listen 80; \
                server_name *.a.test ~^(w+)\\.a; if ($a) { return 301 https://$host$request_uri; } location ~ \\.php$ { fastcgi_pass x; } \
                location / { try_files $uri $uri/ @x; } location @x { rewrite ^(.*)$ /y$1 last; alias /z/; } } }";
    seeds.put("nginx", maps.as_bytes())?;
    for text in [
        "{\n\tstorage file_system {\n\t\troot \"/srv/a b\"\n\t}\n}\na.test, b.test {\n\trespond `x` \\\n 200 # c\n}\n",
        "a.test\nrespond hi\n",
    ] {
        seeds.put("caddyfile", text.as_bytes())?;
    }
    for entry in walkdir::WalkDir::new(fixtures().join("renewal/certmagic")).sort_by_file_name() {
        let path = entry?.into_path();
        if path.is_file() && path.extension().is_some_and(|e| e != "crt") {
            seeds.put("certmagic", &fs::read(path)?)?;
        }
    }
    Ok(())
}

/// ServerHello, Certificate and ServerHelloDone of TLS 1.2, one record each (RFC 5246, sections 7.4.1.3, 7.4.2 and 7.4.5).
fn flight(certificates: &[&[u8]]) -> Vec<u8> {
    let hello = [&[3, 3][..], &[0; 32], &[0, 0xc0, 0x2f, 0, 0, 0]].concat();
    let list: Vec<u8> = certificates.iter().flat_map(|der| [&length(der.len(), 3)[..], der].concat()).collect();
    let mut out = Vec::new();
    for (kind, body) in [(2, hello), (11, [&length(list.len(), 3)[..], &list].concat()), (14, Vec::new())] {
        let message = [&[kind][..], &length(body.len(), 3), &body].concat();
        out.extend([&[22, 3, 3][..], &length(message.len(), 2), &message].concat());
    }
    out
}

/// A degenerate SignedData (RFC 2315, section 9): certificates, nothing signed.
fn signed_data(certificates: &[&[u8]]) -> Vec<u8> {
    const SIGNED_DATA: &[u8] = &[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
    const DATA: &[u8] = &[0x30, 11, 0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
    let bag = tlv(0xa0, &certificates.concat());
    let signed = tlv(0x30, &[&[0x02, 1, 1, 0x31, 0][..], DATA, &bag, &[0x31, 0]].concat());
    tlv(0x30, &[SIGNED_DATA, &tlv(0xa0, &signed)].concat())
}

/// A keystore of version 2, as `sun.security.provider.JavaKeyStore` writes it; the digest at its end is none, for nobody here checks it.
fn keystore(certificates: &[&[u8]]) -> Vec<u8> {
    let mut out = [&[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2][..], &length(certificates.len(), 4)].concat();
    for (number, der) in certificates.iter().enumerate() {
        let alias = format!("root{number}");
        out.extend([&[0, 0, 0, 2][..], &length(alias.len(), 2), alias.as_bytes(), &[0; 8], &[0, 5], b"X.509"].concat());
        out.extend([&length(der.len(), 4)[..], der].concat());
    }
    out.extend([0; 20]);
    out
}

/// DER with the length in three octets, which every reader takes.
fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    [&[tag, 0x83][..], &length(value.len(), 3), value].concat()
}

/// A length in `octets` octets.
fn length(n: usize, octets: usize) -> Vec<u8> {
    n.to_be_bytes()[size_of::<usize>() - octets..].to_vec()
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The files of one folder, sorted.
fn files(folder: &str) -> Result<Vec<PathBuf>> {
    let listed = fs::read_dir(fixtures().join(folder))?;
    let mut paths = listed.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    paths.sort();
    Ok(paths)
}

/// One file of `fixtures/corpora`, decompressed.
fn decompressed(name: &str) -> Result<String> {
    let bytes = fs::read(fixtures().join("corpora").join(name))?;
    let mut text = String::new();
    ruzstd::decoding::StreamingDecoder::new(&bytes[..])?.read_to_string(&mut text)?;
    Ok(text)
}
