//! `--image`: archives as `docker save` and OCI tools write them, with whiteouts, opaque directories, links across layers, and every
//! compression; and archives that are broken or hostile.

mod common;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use common::{certdoctor, fixture, tree};
use serde_json::{Value, json};
use tempfile::TempDir;

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
    let mixed: Vec<Vec<u8>> = vec![zstd(&layers()[0]), gzip(&layers()[1]), layers()[2].clone()];
    for (name, bytes) in [
        ("docker save", docker(&layers(), STEPS)),
        ("docker save | gzip", gzip(&docker(&layers(), STEPS))),
        ("docker save | zstd", zstd(&docker(&layers(), STEPS))),
        ("OCI", oci(&compressed, STEPS)),
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
