//! A folder with every kind of file an archive treats in its own way, and what a folder holds.

// Each test that has this module uses a part of it, for itself.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;

const MIB: usize = 1 << 20;

/// What stands at a path: permission bits, and the content where it is a file.
pub type Tree = BTreeMap<String, (u32, Option<Vec<u8>>)>;

/// All that is below `folder`.
pub fn tree(folder: &Path) -> Tree {
    let mut found = Tree::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for child in fs::read_dir(next).unwrap() {
            let path = child.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
            let mode = path.symlink_metadata().unwrap().permissions().mode() & 0o7777;
            if path.is_dir() {
                found.insert(name.to_owned(), (mode, None));
                folders.push(path);
            } else {
                found.insert(name.to_owned(), (mode, Some(fs::read(&path).unwrap())));
            }
        }
    }
    found
}

/// Paths and contents alone.
pub fn contents(tree: &Tree) -> BTreeMap<&str, Option<&[u8]>> {
    let content = |(_, content): &'_ (u32, Option<Vec<u8>>)| content.is_some();
    tree.iter()
        .map(|(path, found)| (&**path, content(found).then(|| found.1.as_deref().unwrap())))
        .collect()
}

/// Bytes that do not pack.
pub fn noise(size: usize, mut seed: u64) -> Vec<u8> {
    let next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as u8
    };
    std::iter::repeat_with(next).take(size).collect()
}

/// Text, noise, zeros and a short end: chunks of all kinds.
pub fn mixed() -> Vec<u8> {
    let mut bytes = b"INSERT INTO logs VALUES (17, 'started');\n".repeat(MIB / 40);
    bytes.extend(noise(MIB, 7));
    bytes.resize(bytes.len() + 3 * MIB, 0);
    bytes.extend(b"the end");
    bytes
}

/// Fills an empty folder.
pub fn fill(folder: &Path) {
    let gzip = [b"\x1f\x8b\x08".to_vec(), noise(2 * MIB, 9)].concat();
    let text = b"name: node\n".repeat(MIB / 11 + 1);
    for (path, mode, content) in [
        ("empty", 0o644, &b""[..]),
        ("one", 0o600, b"1"),
        ("a/text.yaml", 0o644, &text[..5000]),
        ("a/run.sh", 0o755, b"#!/bin/sh\n"),
        ("a/b/c/deep", 0o640, b"deep"),
        ("\u{e4}/\u{65e5}\u{672c}.txt", 0o644, b"name in UTF-8"),
        ("large/mixed", 0o644, &mixed()),
        ("large/packed.gz", 0o644, &gzip),
        ("large/one-chunk", 0o644, &text[..MIB]),
        ("large/one-chunk-and-a-byte", 0o644, &text[..MIB + 1]),
    ] {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }
    let sparse = File::create(folder.join("large/sparse")).unwrap();
    sparse.set_len(8 << 20).unwrap();
    sparse.write_all_at(b"data", 5 << 20).unwrap();
    fs::create_dir(folder.join("a/no files")).unwrap();
    fs::set_permissions(folder.join("a/no files"), Permissions::from_mode(0o700)).unwrap();
}
