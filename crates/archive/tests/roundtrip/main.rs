//! What goes in comes out, by every way out.

mod any;
mod entries;
mod sealed;
#[path = "../tree/mod.rs"]
mod tree;
mod trees;
mod writer;

use std::io::Read as _;

use stillpoint_archive::{Archive, WriteOptions, Writer};

const MIB: usize = 1 << 20;

fn stream(options: &WriteOptions, fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::stream(&mut bytes, options).unwrap();
    fill(&mut writer);
    writer.finish().unwrap();
    bytes
}

fn content(archive: &Archive, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    archive
        .reader(name)
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}
