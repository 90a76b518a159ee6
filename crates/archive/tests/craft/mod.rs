//! A ZIP put together field by field, so that any of them can be made wrong.

// Each test that has this module uses a part of it, for itself.
#![allow(dead_code, unreachable_pub)]

/// One entry, stored; what its two headers say can be told apart.
#[derive(Clone, Debug)]
pub struct Entry {
    pub local: Header,
    pub central: Header,
    pub made_by: u16,
    pub disk: u16,
    pub internal: u16,
    pub attributes: u32,
    pub comment: &'static str,
    /// Added to the offset in the central record.
    pub shift: i64,
    pub data: Vec<u8>,
    pub descriptor: Vec<u8>,
}

#[derive(Clone, Debug)]
pub struct Header {
    pub version: u16,
    pub flags: u16,
    pub method: u16,
    pub time: u16,
    pub crc: u32,
    pub stored: u32,
    pub size: u32,
    pub name: Vec<u8>,
    pub extra: Vec<u8>,
}

impl Entry {
    pub fn new(name: &str, content: &[u8]) -> Self {
        let header = Header {
            version: 20,
            flags: 0,
            method: 0,
            time: 0,
            crc: crc32fast::hash(content),
            stored: content.len() as u32,
            size: content.len() as u32,
            name: name.into(),
            extra: Vec::new(),
        };
        let attributes = match name.ends_with('/') {
            true => 0o040_755 << 16 | 0x10,
            false => 0o100_644 << 16,
        };
        Entry {
            local: header.clone(),
            central: header,
            made_by: 0x032d,
            disk: 0,
            internal: 0,
            attributes,
            comment: "",
            shift: 0,
            data: content.to_vec(),
            descriptor: Vec::new(),
        }
    }

    /// Changes both headers.
    pub fn both(mut self, change: impl Fn(&mut Header)) -> Self {
        change(&mut self.local);
        change(&mut self.central);
        self
    }
}

/// What the end record says, from what is right.
#[derive(Clone, Debug)]
pub struct End {
    pub disk: u16,
    pub directory_disk: u16,
    pub here: u16,
    pub entries: u16,
    pub size: u32,
    pub offset: u32,
    pub comment: &'static str,
}

/// The archive, its end changed by `end`, with these bytes between data and directory.
pub fn zip_with(entries: &[Entry], between: &[u8], end: impl FnOnce(&mut End)) -> Vec<u8> {
    let (mut zip, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let offset = zip.len() as i64 + entry.shift;
        zip.extend(b"PK\x03\x04");
        zip.extend(header(&entry.local));
        zip.extend([&entry.local.name[..], &entry.local.extra].concat());
        zip.extend([&entry.data[..], &entry.descriptor].concat());
        directory.extend(b"PK\x01\x02");
        directory.extend(entry.made_by.to_le_bytes());
        directory.extend(header(&entry.central));
        for value in [entry.comment.len() as u16, entry.disk, entry.internal] {
            directory.extend(value.to_le_bytes());
        }
        directory.extend(entry.attributes.to_le_bytes());
        directory.extend((offset as u32).to_le_bytes());
        directory.extend([&entry.central.name[..], &entry.central.extra].concat());
        directory.extend(entry.comment.as_bytes());
    }
    zip.extend(between);
    let count = entries.len() as u16;
    let mut said = End {
        disk: 0,
        directory_disk: 0,
        here: count,
        entries: count,
        size: directory.len() as u32,
        offset: zip.len() as u32,
        comment: "",
    };
    end(&mut said);
    zip.extend(directory);
    zip.extend(b"PK\x05\x06");
    for value in [said.disk, said.directory_disk, said.here, said.entries] {
        zip.extend(value.to_le_bytes());
    }
    zip.extend([said.size.to_le_bytes(), said.offset.to_le_bytes()].concat());
    zip.extend((said.comment.len() as u16).to_le_bytes());
    zip.extend(said.comment.as_bytes());
    zip
}

pub fn zip(entries: &[Entry]) -> Vec<u8> {
    zip_with(entries, b"", |_| {})
}

fn header(header: &Header) -> Vec<u8> {
    let date = 0x21;
    let mut bytes = Vec::new();
    for value in [
        header.version,
        header.flags,
        header.method,
        header.time,
        date,
    ] {
        bytes.extend(value.to_le_bytes());
    }
    for value in [header.crc, header.stored, header.size] {
        bytes.extend(value.to_le_bytes());
    }
    for length in [header.name.len() as u16, header.extra.len() as u16] {
        bytes.extend(length.to_le_bytes());
    }
    bytes
}

/// An archive of these entries with this manifest, all else in order.
pub fn with_manifest(mut entries: Vec<Entry>, text: &[u8]) -> Vec<u8> {
    entries.push(Entry::new("META-INF/", b""));
    covered(entries, Entry::new("META-INF/MANIFEST.jsonl", text), |_| {})
}

/// As [`with_manifest`], with the manifest's entry as given and the end changed.
pub fn covered(
    mut entries: Vec<Entry>,
    mut manifest: Entry,
    end: impl FnOnce(&mut End),
) -> Vec<u8> {
    entries.push(manifest.clone());
    let bare = zip(&entries);
    let at = u32::from_le_bytes(bare[bare.len() - 6..bare.len() - 2].try_into().unwrap());
    let crc = crc32fast::hash(&bare[..at as usize]);
    manifest.central.extra.extend([0x53, 0x50, 4, 0]);
    manifest.central.extra.extend(crc.to_le_bytes());
    *entries.last_mut().unwrap() = manifest;
    zip_with(&entries, b"", end)
}
