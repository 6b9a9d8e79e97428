//! `--image`: archives as `docker save` and OCI tools write them, with whiteouts, opaque directories, links across layers, and every
//! compression; and archives that are broken or hostile.

mod common;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use certdoctor::host::{ImageTree, Tree as _, image::ImageError};
use common::{certdoctor, fixture, tree};
use peak_alloc::PeakAlloc;
use serde_json::{Value, json};
use tempfile::TempDir;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// One entry of a layer.
enum Put<'a> {
    File(&'a str, &'a [u8]),
    Link(&'a str, &'a str),
    Hard(&'a str, &'a str),
    Directory(&'a str),
}

fn layer(entries: &[Put<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        match entry {
            Put::File(path, bytes) => {
                header.set_size(bytes.len() as u64);
                builder.append_data(&mut header, path, *bytes).expect("appended");
            }
            Put::Link(path, target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                builder.append_link(&mut header, path, target).expect("appended");
            }
            Put::Hard(path, target) => {
                header.set_entry_type(tar::EntryType::Link);
                header.set_size(0);
                builder.append_link(&mut header, path, target).expect("appended");
            }
            Put::Directory(path) => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_size(0);
                builder.append_data(&mut header, path, &[][..]).expect("appended");
            }
        }
    }
    builder.into_inner().expect("a tar")
}

fn base(name: &str) -> Vec<u8> {
    let compressed = fs::read(fixture(format!("roots/trees/{name}.tar.gz"))).expect("a fixture");
    let mut plain = Vec::new();
    std::io::copy(&mut flate2::read::GzDecoder::new(&compressed[..]), &mut plain).expect("gzip");
    plain
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("gzip")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// Frames of zstd as podman's zstd:chunked has them: several, one that only readers of the format's own understand before, one after.
fn frames(bytes: &[u8]) -> Vec<u8> {
    let skippable = |magic: u8| [&[magic, 0x2a, 0x4d, 0x18, 8, 0, 0, 0][..], b"whatever"].concat();
    let (first, second) = bytes.split_at(bytes.len() / 2 / 512 * 512);
    [skippable(0x50), zstd(first), skippable(0x5f), zstd(second), skippable(0x51)].concat()
}

fn archive(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let entries: Vec<Put<'_>> = entries.iter().map(|(name, bytes)| Put::File(name, bytes)).collect();
    layer(&entries)
}

/// What made the layers; one step made none.
fn configuration(steps: &[&str]) -> Vec<u8> {
    let mut history: Vec<Value> = steps.iter().map(|step| json!({ "created_by": format!("/bin/sh -c {step}") })).collect();
    history.insert(history.len().min(1), json!({ "created_by": "/bin/sh -c #(nop)  CMD [\"sh\"]", "empty_layer": true }));
    json!({ "history": history }).to_string().into_bytes()
}

fn docker(layers: &[Vec<u8>], steps: &[&str]) -> Vec<u8> {
    let names: Vec<String> = (0..layers.len()).map(|i| format!("{i:064}/layer.tar")).collect();
    let manifest = json!([{ "Config": "config.json", "RepoTags": ["app:1"], "Layers": names }]);
    let mut entries =
        vec![("config.json".to_owned(), configuration(steps)), ("manifest.json".to_owned(), manifest.to_string().into_bytes())];
    entries.extend(names.into_iter().zip(layers.iter().cloned()));
    archive(&entries)
}

fn oci(layers: &[Vec<u8>], steps: &[&str]) -> Vec<u8> {
    let mut entries: Vec<(String, Vec<u8>)> = Vec::new();
    let mut blob = |bytes: Vec<u8>| {
        let digest = common_sha256(&bytes);
        entries.push((format!("blobs/sha256/{digest}"), bytes));
        json!({ "digest": format!("sha256:{digest}"), "size": 0 })
    };
    let layers: Vec<Value> = layers.iter().cloned().map(&mut blob).collect();
    let config = blob(configuration(steps));
    let mut manifest = blob(json!({ "schemaVersion": 2, "config": config, "layers": layers }).to_string().into_bytes());
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    manifest["platform"] = json!({ "os": "linux", "architecture": architecture });
    let mut attestation = blob(json!({ "layers": [] }).to_string().into_bytes());
    attestation["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
    let inner = blob(json!({ "manifests": [attestation, manifest] }).to_string().into_bytes());
    entries.push(("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
    entries.push(("index.json".to_owned(), json!({ "manifests": [inner] }).to_string().into_bytes()));
    archive(&entries)
}

fn common_sha256(bytes: &[u8]) -> String {
    certdoctor::base::Fingerprint::of(bytes).to_string()
}

struct Image {
    _dir: TempDir,
    path: PathBuf,
}

fn saved(bytes: &[u8]) -> Image {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("image.tar");
    fs::write(&path, bytes).expect("written");
    Image { _dir: dir, path }
}

fn scan(option: &str, path: &Path) -> Value {
    let output = certdoctor()
        .args(["scan", option])
        .arg(path)
        .args(["--at", "2022-01-01", "--format", "json"])
        .output()
        .expect("the binary runs");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn corp() -> Vec<u8> {
    fs::read(fixture("bundles/single/DST_Root_CA_X3.crt")).expect("a fixture")
}

/// A base, a layer with an anchor of its own, a layer that takes it away again and another in.
fn layers() -> Vec<Vec<u8>> {
    let corp = corp();
    vec![
        base("alpine-2019"),
        layer(&[
            Put::Directory("usr/local/share/ca-certificates"),
            Put::File("usr/local/share/ca-certificates/gone.crt", &corp),
            Put::File("usr/local/share/ca-certificates/corp.crt", &corp),
        ]),
        layer(&[Put::File("usr/local/share/ca-certificates/.wh.gone.crt", b"")]),
    ]
}

const STEPS: &[&str] =
    &["#(nop) ADD file:alpine in / ", "COPY corp.crt gone.crt /usr/local/share/ca-certificates/", "rm gone.crt"];

#[test]
fn every_form_of_archive_gives_the_same_root() {
    let flat = tree("alpine-2019");
    let local = flat.path().join("usr/local/share/ca-certificates");
    fs::create_dir_all(&local).expect("a directory");
    fs::write(local.join("corp.crt"), corp()).expect("written");
    let wanted = scan("--root", flat.path());
    let compressed: Vec<Vec<u8>> = layers().iter().map(|l| gzip(l)).collect();
    let chunked: Vec<Vec<u8>> = layers().iter().map(|l| frames(l)).collect();
    let mixed: Vec<Vec<u8>> = vec![zstd(&layers()[0]), gzip(&layers()[1]), layers()[2].clone()];
    for (name, bytes) in [
        ("docker save", docker(&layers(), STEPS)),
        ("docker save | gzip", gzip(&docker(&layers(), STEPS))),
        ("docker save | zstd", zstd(&docker(&layers(), STEPS))),
        ("docker save, in frames of zstd", frames(&docker(&layers(), STEPS))),
        ("OCI", oci(&compressed, STEPS)),
        ("OCI, zstd:chunked", oci(&chunked, STEPS)),
        ("OCI, mixed", oci(&mixed, STEPS)),
    ] {
        let image = saved(&bytes);
        let seen = scan("--image", &image.path);
        assert_eq!(seen["stores"], wanted["stores"], "{name}");
        let codes = |document: &Value| -> Vec<Value> {
            document["findings"].as_array().expect("findings").iter().map(|f| f["code"].clone()).collect()
        };
        assert_eq!(codes(&seen), codes(&wanted), "{name}");
        let places: Vec<&str> = seen["findings"]
            .as_array()
            .expect("findings")
            .iter()
            .flat_map(|f| f["evidence"].as_array().expect("evidence"))
            .filter(|e| e["path"] == "/usr/local/share/ca-certificates/corp.crt")
            .map(|e| e["what"].as_str().expect("words"))
            .collect();
        let layer = "layer 2 of 3: COPY corp.crt gone.crt /usr/local/share/ca-certificates/";
        assert!(!places.is_empty() && places.iter().all(|what| what.contains(layer)), "{name}: {places:?}");
    }
}

fn store_of(layers: &[Vec<u8>]) -> Vec<String> {
    let image = saved(&docker(layers, &[]));
    let document = scan("--image", &image.path);
    let anchors = document["stores"].as_array().expect("stores").iter().flat_map(|s| s["anchors"].as_array().expect("anchors"));
    let mut labels: Vec<String> = anchors.map(|a| a["label"].as_str().expect("a label").to_owned()).collect();
    labels.sort();
    labels
}

#[test]
fn whiteouts_opaque_directories_and_links_across_layers_are_followed() {
    let (u, a) = (
        fs::read(fixture("clients/stores/U.pem")).expect("a fixture"),
        fs::read(fixture("clients/stores/A.pem")).expect("a fixture"),
    );
    let names = |pem: &[u8]| store_of(&[layer(&[Put::File("etc/ssl/cert.pem", pem)])]);
    let (only_u, only_a) = (names(&u), names(&a));
    assert!(only_u.len() == 1 && only_a.len() == 1 && only_u != only_a, "{only_u:?} {only_a:?}");

    let lower = layer(&[Put::File("etc/ssl/cert.pem", &u)]);
    // Replaced.
    assert_eq!(store_of(&[lower.clone(), layer(&[Put::File("etc/ssl/cert.pem", &a)])]), only_a);
    // Taken away, by its name, by its directory's.
    assert!(store_of(&[lower.clone(), layer(&[Put::File("etc/ssl/.wh.cert.pem", b"")])]).is_empty());
    assert!(store_of(&[lower.clone(), layer(&[Put::File("etc/.wh.ssl", b"")])]).is_empty());
    // Hidden by an opaque directory, whichever comes first in the layer.
    let file = || Put::File("etc/ssl/other.txt", b"x");
    let opaque = || Put::File("etc/ssl/.wh..wh..opq", b"");
    assert!(store_of(&[lower.clone(), layer(&[file(), opaque()])]).is_empty());
    assert!(store_of(&[lower.clone(), layer(&[opaque(), file()])]).is_empty());
    assert_eq!(store_of(&[lower.clone(), layer(&[Put::File("etc/ssl/cert.pem", &a), opaque()])]), only_a);
    // A directory that a lower layer made a link: the new file lies where it leads, and the link stays.
    let linked = layer(&[Put::Directory("data"), Put::Link("etc/ssl", "../data")]);
    assert_eq!(store_of(&[linked, layer(&[Put::File("etc/ssl/cert.pem", &a)])]), only_a);
    // A hard link to a file of a lower layer.
    let kept = layer(&[Put::File("etc/kept.pem", &u)]);
    assert_eq!(store_of(&[kept, layer(&[Put::Hard("etc/ssl/cert.pem", "etc/kept.pem")])]), only_u);
    // A link out of the root stays in it.
    assert!(
        store_of(&[layer(&[Put::Link("etc/ssl/cert.pem", "../../../../../../etc/ssl/certs/ca-certificates.crt")])]).is_empty()
    );
}

#[test]
fn a_layer_keeps_what_it_brings() {
    let u = fs::read(fixture("clients/stores/U.pem")).expect("a fixture");
    let a = fs::read(fixture("clients/stores/A.pem")).expect("a fixture");
    let bundle = "etc/ssl/certs/ca-certificates.crt";
    let lower = || layer(&[Put::File("etc/ssl/cert.pem", &u), Put::File("etc/ssl/certs/old.pem", &u), Put::File("etc/x/y", b"")]);
    let seen = |upper: &[Put<'_>]| {
        let image = ImageTree::of(docker(&[lower(), layer(upper)], &[])).expect("an image");
        ["/etc/ssl/cert.pem", "/etc/ssl/certs/old.pem", "/etc/ssl/certs/ca-certificates.crt", "/etc/x/y"]
            .map(|path| image.exists(&path.into()))
    };
    // A whiteout hides what lies below, wherever it stands in its layer (OCI image specification, layer.md).
    let file = || Put::File(bundle, &a);
    let hidden = || Put::File("etc/ssl/.wh.certs", b"");
    assert_eq!(seen(&[Put::Directory("etc/ssl/certs"), file(), hidden()]), [true, false, true, true]);
    assert_eq!(seen(&[file(), hidden()]), [true, false, true, true]);
    assert_eq!(seen(&[hidden(), file()]), [true, false, true, true]);
    assert_eq!(seen(&[file(), hidden(), hidden(), Put::File("etc/.wh.ssl", b"")]), [false, false, true, true]);
    // A sibling that sorts between a directory and what lies in it.
    let opaque = || Put::File("etc/.wh..wh..opq", b"");
    assert_eq!(seen(&[Put::File("etc/ssl-x/a", b"1"), file(), opaque()]), [false, false, true, false]);
    // Inner ones first, then outer ones, then the inner ones again.
    let inner = || Put::File("etc/ssl/.wh..wh..opq", b"");
    assert_eq!(seen(&[inner(), file(), opaque(), inner()]), [false, false, true, false]);
    // Names that would lead out of the directory hide nothing.
    assert_eq!(seen(&[Put::File("etc/ssl/.wh..", b""), Put::File("etc/ssl/.wh...", b"")]), [true, true, false, true]);
    // Thousands at once.
    let names: Vec<String> = (0..3000).map(|i| format!("srv/d{i}/x")).collect();
    let gone: Vec<String> = (0..2999).map(|i| format!("srv/.wh.d{i}")).collect();
    let lower = layer(&names.iter().map(|name| Put::File(name, b"")).collect::<Vec<_>>());
    let upper = layer(&gone.iter().map(|name| Put::File(name, b"")).collect::<Vec<_>>());
    let image = ImageTree::of(docker(&[lower, upper], &[])).expect("an image");
    assert_eq!(image.names_nofollow(&"/srv".into()).expect("a directory"), [b"d2999".to_vec()]);
    assert!(image.exists(&"/srv/d2999/x".into()) && !image.exists(&"/srv/d1/x".into()));
}

fn refused(bytes: Vec<u8>) -> String {
    match ImageTree::of(bytes) {
        Err(e @ ImageError::NotAnImage(_)) => e.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_layer_that_ends_early_is_told_so() {
    let plain = layer(&[Put::File("etc/a", b"a"), Put::File("etc/ssl/cert.pem", &corp())]);
    let end = plain.len() - 1024;
    // In the second header, and in its content.
    for cut in [1100, 2000] {
        let said = refused(docker(&[plain[..cut].to_vec()], &[]));
        assert!(said.contains("layer 1 can't be read"), "{cut}: {said}");
    }
    // Between two files: Go's reader takes that for the end, and so do those who wrote no other.
    for cut in [plain[..1024].to_vec(), zstd(&plain[..1024]), plain[..end].to_vec()] {
        let image = ImageTree::of(docker(&[cut, plain.clone()], &[])).expect("an image");
        assert_eq!(image.layers().iter().map(|l| l.ended).collect::<Vec<_>>(), [false, true]);
    }
    let mut broken = frames(&plain);
    let last = broken.len() - 17;
    broken[last] ^= 1;
    assert!(refused(docker(&[broken], &[])).contains("checksum"));
    // One block of zeros is the end too, and so is nothing but the end.
    for whole in [&plain[..end + 512], &[0; 1024]] {
        ImageTree::of(docker(&[whole.to_vec()], &[])).expect("an image");
    }
}

/// A header of GNU tar that holds so much of a name, and as much.
fn long_name(length: usize) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path("././@LongLink").expect("a name");
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(length as u64);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.resize(512 + length, b'a');
    bytes
}

#[test]
fn a_hostile_image_takes_little_memory() {
    const MOST: usize = 64 << 20;
    let grown = |bytes: Vec<u8>| {
        HEAP.reset_peak_usage();
        let before = HEAP.current_usage();
        let answer = ImageTree::of(bytes);
        (HEAP.peak_usage().saturating_sub(before), answer)
    };
    // Many names for one file that is kept.
    let mut big = vec![b'x'; 4 << 20];
    big[0] = b'\n';
    let names: Vec<String> = (0..400).map(|i| format!("etc/b{i}")).collect();
    let mut entries = vec![Put::File("etc/big.pem", &big)];
    entries.extend(names.iter().map(|name| Put::Hard(name, "etc/big.pem")));
    let (bytes, answer) = grown(docker(&[layer(&entries)], &[]));
    let image = answer.expect("an image");
    assert!(bytes < MOST, "{bytes}");
    assert_eq!(image.read_nofollow(&"/etc/b399".into(), 16 << 20).expect("a file").0, big);

    // A path of 60,000 directories; a name of 32 MiB; the same in the archive around the layers.
    let deep = format!("etc/{}x", "a/".repeat(60_000));
    let long = [long_name(32 << 20), layer(&[Put::File("a", b"")])].concat();
    let outer = [long.clone(), docker(&[layer(&[])], &[])].concat();
    for (bytes, words) in [
        (docker(&[layer(&[Put::File(&deep, b"")])], &[]), "layer 1 can't be read: a path in it has 120005 bytes"),
        (docker(&[gzip(&long)], &[]), "headers before an entry"),
        (outer, "headers before an entry"),
    ] {
        let (bytes, answer) = grown(bytes);
        let said = answer.expect_err("refused").to_string();
        assert!(said.contains(words), "{said}");
        assert!(bytes < MOST, "{words}: {bytes}");
    }
    // Paths that are just not too long, each of which needs thousands of directories.
    let paths: Vec<String> = (0..200).map(|i| format!("{i:03}/{}x", "a/".repeat(2040))).collect();
    let said = refused(docker(&[layer(&paths.iter().map(|path| Put::File(path, b"")).collect::<Vec<_>>())], &[]));
    assert!(said.contains("brings more names than any image has"), "{said}");
}

#[test]
fn secrets_are_read_again_and_not_kept() {
    let pem = [&b"-----BEGIN "[..], b"PRIVATE KEY-----\nMAA=\n-----END ", b"PRIVATE KEY-----\n"].concat();
    let (kept, path) = (b"kept".repeat(2048), "etc/letsencrypt/archive/a/privkey1.pem");
    let mut entries = vec![Put::File("etc/hosts", &kept)];
    for (path, bytes) in [(path, &pem), ("etc/ssl/private/a.key", &kept), ("etc/shadow", &kept), ("srv/far", &kept)] {
        entries.push(Put::File(path, bytes));
    }
    entries.push(Put::Hard("etc/linked.pem", path));
    for (name, bytes) in [("plain", layer(&entries)), ("gzip", gzip(&layer(&entries))), ("zstd", frames(&layer(&entries)))] {
        let image = ImageTree::of(docker(&[layer(&[]), bytes], &[])).expect("an image");
        for (path, bytes) in [
            ("/etc/hosts", &kept),
            ("/etc/letsencrypt/archive/a/privkey1.pem", &pem),
            ("/etc/linked.pem", &pem),
            ("/etc/ssl/private/a.key", &kept),
            ("/etc/shadow", &kept),
            ("/srv/far", &kept),
        ] {
            assert_eq!(image.read_nofollow(&path.into(), 1 << 20).expect("a file").0, *bytes, "{name}: {path}");
        }
        // What is kept shows up where the values of the tree are written down.
        let held = format!("{image:?}");
        let holds = |bytes: &[u8]| held.matches(&format!("{bytes:?}")[1..]).count();
        assert_eq!((holds(&kept), holds(&pem)), (1, 0), "{name}");
    }
}

#[test]
fn what_is_no_image_is_told_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let whole = docker(&layers(), STEPS);
    let missing = archive(&[("manifest.json".into(), br#"[{"Config":"c","Layers":["x/layer.tar"]}]"#.to_vec())]);
    let two = archive(&[("manifest.json".into(), br#"[{"Config":"c","Layers":[]},{"Config":"d","Layers":[]}]"#.to_vec())]);
    for (name, bytes, words) in [
        ("text", b"hello".repeat(400), "no tar archive"),
        ("a tar of something else", layer(&[Put::File("a", b"b")]), "neither manifest.json nor index.json"),
        ("cut", whole[..whole.len() / 2].to_vec(), "can't read the image"),
        ("a layer is missing", missing, "x/layer.tar is missing"),
        ("two images", two, "holds 2 images"),
        (
            "a path for a digest",
            archive(&[("index.json".into(), br#"{"manifests":[{"digest":"sha256:../../x"}]}"#.to_vec())]),
            "is no digest",
        ),
        (
            "broken gzip",
            {
                let mut g = gzip(&whole);
                g.truncate(g.len() / 2);
                g
            },
            "can't be decompressed",
        ),
    ] {
        let path = dir.path().join("image.tar");
        fs::write(&path, bytes).expect("written");
        let output = certdoctor().args(["scan", "--image"]).arg(&path).output().expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(said.contains("can't read the image") && said.contains(words), "{name}: {said}");
    }
    let output = certdoctor().args(["fix", "--apply", "--image", "x.tar"]).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("certdoctor dockerfile"));
}

/// A manager's files in an image: nothing is written there, and what is to be run is run in the image.
#[test]
fn what_renews_certificates_in_an_image_is_told_for_its_build() {
    let conf = "version = 2.1.0\narchive_dir = /etc/letsencrypt/archive/a.test\ncert = /etc/letsencrypt/live/a.test/cert.pem\n\
                privkey = /etc/letsencrypt/live/a.test/privkey.pem\nchain = /etc/letsencrypt/live/a.test/chain.pem\n\
                fullchain = /etc/letsencrypt/live/a.test/fullchain.pem\n[renewalparams]\naccount = abc\nauthenticator = webroot\n\
                server = https://acme-v02.api.letsencrypt.org/directory\nwebroot_path = /var/www,\n";
    let chain = fs::read(fixture("clients/chains/nocross.pem")).expect("a fixture");
    let paths: Vec<String> = ["cert", "chain", "fullchain", "privkey"]
        .iter()
        .flat_map(|name| {
            let archived = format!("etc/letsencrypt/archive/a.test/{name}1.pem");
            [archived, format!("etc/letsencrypt/live/a.test/{name}.pem")]
        })
        .collect();
    let mut entries =
        vec![Put::File("etc/letsencrypt/renewal/a.test.conf", conf.as_bytes()), Put::File("usr/bin/certbot", b"#!")];
    entries.extend(paths.iter().map(|path| Put::File(path, &chain)));
    let image = saved(&docker(&[layer(&entries)], &[]));
    let run = |more: &[&str]| {
        let mut command = certdoctor();
        command.args(["renewal", "--at", "2026-12-20", "--image"]).arg(&image.path).args(more);
        let output = command.output().expect("the binary runs");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (_, said) = run(&[]);
    assert!(said.contains("; in a container of the image: sh -c 'while :; do certbot -q renew; "), "{said}");
    assert!(said.contains("Next: have the build of the image make these changes") && !said.contains("--apply"), "{said}");
    let (_, said) = run(&["--diff"]);
    assert!(said.contains("etc/letsencrypt/live/a.test/cert.pem"), "{said}");
    let (status, said) = run(&["--apply"]);
    assert!(status == Some(2) && said.contains("renewal --diff prints what its build is to change"), "{said}");
}

/// What is shown as the next thing to type can be typed.
#[test]
fn the_next_step_can_be_taken() {
    let image = saved(&docker(&layers(), STEPS));
    let run = |arguments: &[&str]| {
        let output = certdoctor().args(arguments).arg("--image").arg(&image.path).args(["--at", "2022-01-01"]).output();
        let output = output.expect("the binary runs");
        (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for first in [&["scan"][..], &["fix", "--anchor", "AddTrust External CA Root"]] {
        let (out, err) = run(first);
        let next = out.lines().last().and_then(|line| line.split_once("Next: ")).unwrap_or_else(|| panic!("{out}{err}")).1;
        let words = next.strip_prefix("certdoctor dockerfile --image ").unwrap_or_else(|| panic!("{next}"));
        assert!(words.starts_with(image.path.to_str().expect("UTF-8")) && words.contains(" --anchor "), "{next}");
        let shell = format!("{} {}", assert_cmd::cargo::cargo_bin!("certdoctor").display(), &next["certdoctor ".len()..]);
        let output = common::command("sh").args(["-c", &shell]).output().expect("a shell");
        let out = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && out.contains("RUN "), "{shell}: {out}{}", String::from_utf8_lossy(&output.stderr));
    }
    // What mends a store of the image is no command for this host.
    let (out, _) = run(&["scan", "-v"]);
    let commands: Vec<&str> = out.lines().filter_map(|line| line.trim_start().strip_prefix("$ ")).collect();
    assert!(!commands.is_empty() && commands.iter().all(|c| c.starts_with("certdoctor dockerfile --image ")), "{commands:?}");
    assert!(out.contains("as a RUN instruction of its Dockerfile: apk upgrade ca-certificates"), "{out}");
    let (_, err) = run(&["fix", "--diff", "--anchor", "AddTrust External CA Root"]);
    assert!(!err.contains("chroot") && err.contains("as a RUN instruction of its Dockerfile"), "{err}");
}

#[test]
fn a_snippet_is_made_for_the_image() {
    let image = saved(&docker(&layers(), STEPS));
    let output = certdoctor().args(["dockerfile", "--anchor", "AddTrust External CA Root", "--image"]).arg(&image.path).output();
    let output = output.expect("the binary runs");
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && out.contains("AddTrust_External_Root.crt"),
        "{out}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
