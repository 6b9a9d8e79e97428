//! The archive around an image's layers: where each blob lies in the file, and which layers make the image.
#![expect(clippy::disallowed_types, reason = "reading an archive of this host")]

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Read, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
};

use serde::Deserialize;

use super::{
    ImageError, PATH_MAX,
    compression::{Compression, decompressed},
    meter::Meter,
    source::{Part, Source},
};

/// Bytes of one JSON document in the archive. A configuration with a long history has 50 kB.
const JSON: u64 = 16 << 20;

/// Entries of the outer archive.
const BLOBS: usize = 100_000;

/// Bytes of the outer archive, where it is compressed and must be written out to be read in pieces.
const UNPACKED: u64 = 32 << 30;

/// An opened archive.
#[derive(Debug)]
pub(super) struct Archive {
    source: Arc<dyn Source>,
    /// Offset and length of each regular file in it, by its name.
    blobs: BTreeMap<String, (u64, u64)>,
}

/// Docker's `manifest.json`: one element an image.
#[derive(Deserialize)]
struct DockerManifest {
    #[serde(rename = "Config")]
    config: String,
    #[serde(rename = "Layers")]
    layers: Vec<String>,
}

/// OCI's `index.json`, an image index within it, or a manifest.
#[derive(Deserialize)]
struct OciDocument {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    config: Option<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    history: Vec<History>,
}

#[derive(Deserialize)]
struct History {
    created_by: Option<String>,
    #[serde(default)]
    empty_layer: bool,
}

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Self, ImageError> {
        // A FIFO without a writer would never open.
        let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let kind = file.metadata()?.file_type();
        if kind.is_dir() {
            return Err(ImageError::NotAnImage("it is a directory".to_owned()));
        }
        if !kind.is_file() {
            return Err(ImageError::NotAnImage(
                "it is no regular file, and its parts are read in an order of their own".to_owned(),
            ));
        }
        Archive::new(Arc::new(file))
    }

    pub(super) fn new(mut source: Arc<dyn Source>) -> Result<Self, ImageError> {
        let whole = Part::whole(source.clone())?;
        if Compression::of(&whole)? != Compression::None {
            // Its parts are read in an order of their own, so that it must lie somewhere.
            let mut plain = tempfile::tempfile()?;
            let copied = io::copy(&mut decompressed(whole)?.take(UNPACKED), &mut plain)
                .map_err(|e| ImageError::NotAnImage(format!("it can't be decompressed: {e}")))?;
            if copied == UNPACKED {
                return Err(ImageError::NotAnImage(format!("it has more than {} GiB once decompressed", UNPACKED >> 30)));
            }
            plain.flush()?;
            source = Arc::<File>::new(plain);
        }
        let mut blobs = BTreeMap::new();
        let not_tar = |e: io::Error| ImageError::NotAnImage(format!("it is no tar archive: {e}"));
        let meter = Meter::new(UNPACKED);
        let mut archive = tar::Archive::new(meter.of(Part::whole(source.clone())?));
        for entry in archive.entries_with_seek().map_err(not_tar)?.take(BLOBS) {
            let entry = entry.map_err(not_tar)?;
            // Contents are skipped, not read.
            meter.allow(0);
            let name = entry.path_bytes();
            if name.len() > PATH_MAX {
                return Err(ImageError::NotAnImage(format!("it holds a file with a name of {} bytes", name.len())));
            }
            let name = String::from_utf8_lossy(&name).trim_start_matches("./").to_owned();
            if entry.header().entry_type().is_file() {
                blobs.insert(name, (entry.raw_file_position(), entry.size()));
            } else if let (tar::EntryType::Symlink | tar::EntryType::Link, Some(target)) =
                (entry.header().entry_type(), entry.link_name_bytes())
            {
                // Docker writes a layer that occurs twice as a link: `../ID/layer.tar`.
                let target = String::from_utf8_lossy(&target).trim_start_matches("../").trim_start_matches("./").to_owned();
                if let Some(place) = blobs.get(&target).copied() {
                    blobs.insert(name, place);
                }
            }
        }
        Ok(Archive { source, blobs })
    }

    /// The layers of the image, the base first, each with what made it.
    pub(super) fn layers(&self) -> Result<Vec<(String, Option<String>)>, ImageError> {
        if self.blobs.contains_key("manifest.json") {
            let manifests: Vec<DockerManifest> = self.json("manifest.json")?;
            let count = manifests.len();
            let Some(manifest) = manifests.into_iter().next().filter(|_| count == 1) else {
                return Err(ImageError::NotAnImage(format!("it holds {count} images, and one is wanted")));
            };
            let history = self.history(&manifest.config, manifest.layers.len());
            return Ok(manifest.layers.into_iter().zip(history).collect());
        }
        if !self.blobs.contains_key("index.json") {
            return Err(ImageError::NotAnImage("there is neither manifest.json nor index.json in it".to_owned()));
        }
        let mut document: OciDocument = self.json("index.json")?;
        // An index may lead to another, for several platforms.
        for _ in 0..4 {
            if document.manifests.is_empty() {
                break;
            }
            let chosen = choose(&document.manifests)?;
            document = self.json(&blob(&chosen)?)?;
        }
        let layers: Vec<String> = document.layers.iter().map(|l| blob(&l.digest)).collect::<Result<_, _>>()?;
        if layers.is_empty() {
            return Err(ImageError::NotAnImage("its manifest names no layers".to_owned()));
        }
        let history = match &document.config {
            Some(config) => self.history(&blob(&config.digest)?, layers.len()),
            None => vec![None; layers.len()],
        };
        Ok(layers.into_iter().zip(history).collect())
    }

    /// The layer's tar, decompressed.
    pub(super) fn layer(&self, name: &str) -> Result<Box<dyn Read>, ImageError> {
        decompressed(self.part(name)?).map_err(|e| ImageError::NotAnImage(format!("layer {name} can't be read: {e}")))
    }

    /// What made each layer: the steps of the history that made one. A history that does not fit is none.
    fn history(&self, config: &str, layers: usize) -> Vec<Option<String>> {
        let configuration: Option<Configuration> = self.json(config).ok();
        let steps = configuration.into_iter().flat_map(|c| c.history).filter(|h| !h.empty_layer);
        let steps: Vec<Option<String>> = steps.map(|h| h.created_by).collect();
        if steps.len() == layers { steps } else { vec![None; layers] }
    }

    fn json<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Result<T, ImageError> {
        let mut bytes = Vec::new();
        self.part(name)?.take(JSON).read_to_end(&mut bytes)?;
        serde_json::from_slice(&bytes).map_err(|e| ImageError::NotAnImage(format!("{name} in it can't be read: {e}")))
    }

    fn part(&self, name: &str) -> Result<Part, ImageError> {
        let missing = || ImageError::NotAnImage(format!("{name} is missing in it"));
        let (offset, length) = *self.blobs.get(name).ok_or_else(missing)?;
        Ok(Part::new(self.source.clone(), offset, length))
    }
}

/// The manifest for this machine's kind, else the first that is for Linux: attestations have the platform `unknown`.
fn choose(manifests: &[Descriptor]) -> Result<String, ImageError> {
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let is_for = |d: &&Descriptor, architecture: Option<&str>| match &d.platform {
        Some(p) => p.os == "linux" && architecture.is_none_or(|a| a == p.architecture),
        None => true,
    };
    let chosen = manifests.iter().find(|d| is_for(d, Some(machine))).or_else(|| manifests.iter().find(|d| is_for(d, None)));
    chosen.map(|d| d.digest.clone()).ok_or_else(|| ImageError::NotAnImage("no image in it is for Linux".to_owned()))
}

/// Where the blob of a digest lies: `sha256:…` in `blobs/sha256/…`.
fn blob(digest: &str) -> Result<String, ImageError> {
    let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_alphanumeric());
    match digest.split_once(':') {
        Some((algorithm, value)) if word(algorithm) && word(value) => Ok(format!("blobs/{algorithm}/{value}")),
        _ => Err(ImageError::NotAnImage(format!("`{digest}` is no digest"))),
    }
}
