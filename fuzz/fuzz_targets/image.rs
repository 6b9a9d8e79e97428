//! An archive of an image: its manifest, its layers, whiteouts and links. The result is a tree in which everything leads somewhere.
#![no_main]

use certdoctor::{
    base::TreePath,
    host::{ImageTree, NodeKind, Tree as _, TreeMut as _},
};
use libfuzzer_sys::fuzz_target;

/// Bytes of one block of a tar archive.
const BLOCK: usize = 512;

fuzz_target!(|bytes: &[u8]| {
    // Whole archives are decompressed to a file, by what decompresses layers: nothing new is to be seen there.
    if bytes.starts_with(b"\x1f\x8b") || bytes.get(1..4).is_some_and(|magic| magic == b"\xb5\x2f\xfd" || magic == b"\x2a\x4d\x18")
    {
        return;
    }
    let mut bytes = bytes.to_vec();
    mend(&mut bytes, 2);
    let Ok(image) = ImageTree::of(bytes) else { return };
    let mut pending = vec![TreePath::root()];
    while let Some(directory) = pending.pop() {
        for name in image.names_nofollow(&directory).expect("a directory has names") {
            assert!(!name.is_empty() && !name.contains(&b'/') && name != b"." && name != b"..");
            let path = directory.join(&name);
            assert!(image.layer(&path).is_some_and(|layer| (1..=image.layers().len()).contains(&layer.number)));
            assert!(image.remove(&path).is_err(), "an image can't be written");
            match image.node_nofollow(&path).expect("can be read").expect("is there").kind {
                NodeKind::Directory => pending.push(path),
                NodeKind::File(size) => {
                    assert!(image.names_nofollow(&path).is_err());
                    if let Ok((content, _)) = image.read_nofollow(&path, 1 << 20) {
                        assert_eq!(content.len() as u64, size);
                    }
                }
                NodeKind::Link(_) => drop(image.resolve(&path)),
                NodeKind::Other(_) => assert!(image.read_nofollow(&path, 1 << 20).is_err()),
            }
        }
    }
});

/// Puts the checksums of headers right, of archives within archives too: no mutation would get past them.
fn mend(bytes: &mut [u8], depth: usize) {
    let mut at = 0;
    while let Some(header) = bytes.get_mut(at..at + BLOCK) {
        if header.iter().all(|b| *b == 0) {
            return;
        }
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let size = std::str::from_utf8(&header[124..135]).ok().and_then(|digits| usize::from_str_radix(digits, 8).ok());
        let Some(size) = size.filter(|size| *size <= bytes.len()) else { return };
        let content = at + BLOCK..(at + BLOCK + size).min(bytes.len());
        let inner = bytes.get_mut(content).unwrap_or_default();
        if depth > 0 && inner.get(257..262) == Some(b"ustar") {
            mend(inner, depth - 1);
        }
        at += BLOCK + size.next_multiple_of(BLOCK);
    }
}
