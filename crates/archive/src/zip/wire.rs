//! The records of APPNOTE.TXT 6.3, encoded and decoded; what they mean is decided elsewhere.

/// Signatures (APPNOTE 4.3).
#[derive(Debug)]
pub(crate) struct Signature;

impl Signature {
    pub(crate) const CENTRAL: u32 = 0x0201_4b50;
    pub(crate) const DESCRIPTOR: u32 = 0x0807_4b50;
    pub(crate) const END: u32 = 0x0605_4b50;
    pub(crate) const END64: u32 = 0x0606_4b50;
    pub(crate) const LOCAL: u32 = 0x0403_4b50;
    pub(crate) const LOCATOR: u32 = 0x0706_4b50;
}

/// Sizes follow the data (APPNOTE 4.4.4, bit 3).
pub(crate) const FLAG_DESCRIPTOR: u16 = 1 << 3;
/// The name is UTF-8 (APPNOTE 4.4.4, bit 11).
pub(crate) const FLAG_UTF8: u16 = 1 << 11;

/// Bytes of a local header before its name.
pub(crate) const LOCAL: usize = 30;
/// Bytes of a central record before its name.
pub(crate) const CENTRAL: usize = 46;
/// Bytes of the end record without a comment.
pub(crate) const END: usize = 22;
/// Bytes of the ZIP64 end record without extensions.
pub(crate) const END64: usize = 56;
/// Bytes of the ZIP64 end locator.
pub(crate) const LOCATOR: usize = 20;
/// The 32-bit value that sends the reader to the ZIP64 field.
pub(crate) const MAX32: u32 = u32::MAX;
/// Made by: UNIX, ZIP 4.5.
pub(crate) const MADE_BY: u16 = (3 << 8) | 45;

/// A point in time as DOS keeps it: two-second steps, no zone (we write UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dos {
    pub(crate) time: u16,
    pub(crate) date: u16,
}

impl Dos {
    /// 1980-01-01 00:00, the first there is.
    pub(crate) const EPOCH: Dos = Dos {
        time: 0,
        date: (1 << 5) | 1,
    };

    /// From seconds since 1970-01-01, held inside what DOS can express.
    pub(crate) fn from_unix(seconds: i64) -> Dos {
        let days = seconds.div_euclid(86_400);
        let second = seconds.rem_euclid(86_400);
        // Civil date from days, Howard Hinnant's algorithm.
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = doy - (153 * mp + 2) / 5 + 1;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        let year = yoe + era * 400 + i64::from(month <= 2);
        if year < 1980 {
            return Dos::EPOCH;
        }
        let year = year.min(2107);
        Dos {
            time: (((second / 3600) << 11) | ((second / 60 % 60) << 5) | (second % 60 / 2)) as u16,
            date: (((year - 1980) << 9) | (month << 5) | day) as u16,
        }
    }
}

/// What a local header says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalHeader<'a> {
    pub(crate) version: u16,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) modified: Dos,
    pub(crate) crc: u32,
    pub(crate) stored: u32,
    pub(crate) size: u32,
    pub(crate) name: &'a [u8],
    pub(crate) extra: &'a [u8],
}

/// Takes little-endian integers off the front.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn u16(&mut self) -> u16 {
        let (head, rest) = self.0.split_at(2);
        self.0 = rest;
        u16::from_le_bytes(head.try_into().expect("two bytes"))
    }

    fn u32(&mut self) -> u32 {
        let (head, rest) = self.0.split_at(4);
        self.0 = rest;
        u32::from_le_bytes(head.try_into().expect("four bytes"))
    }

    fn u64(&mut self) -> u64 {
        let (head, rest) = self.0.split_at(8);
        self.0 = rest;
        u64::from_le_bytes(head.try_into().expect("eight bytes"))
    }
}

impl<'a> LocalHeader<'a> {
    /// Bytes of name and extra field that follow these 30, if they are a local header.
    pub(crate) fn variable_part(fixed: &[u8; LOCAL]) -> Option<(usize, usize)> {
        let mut c = Cursor(fixed);
        if c.u32() != Signature::LOCAL {
            return None;
        }
        let mut lengths = Cursor(&fixed[26..]);
        Some((usize::from(lengths.u16()), usize::from(lengths.u16())))
    }

    /// From the whole header, whose length [`Self::variable_part`] told.
    pub(crate) fn decode(bytes: &'a [u8]) -> Self {
        let mut c = Cursor(&bytes[4..]);
        let version = c.u16();
        let flags = c.u16();
        let method = c.u16();
        let modified = Dos {
            time: c.u16(),
            date: c.u16(),
        };
        let (crc, stored, size) = (c.u32(), c.u32(), c.u32());
        let name_len = usize::from(c.u16());
        let (name, extra) = bytes[LOCAL..].split_at(name_len);
        LocalHeader {
            version,
            flags,
            method,
            modified,
            crc,
            stored,
            size,
            name,
            extra,
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(Signature::LOCAL.to_le_bytes());
        for v in [
            self.version,
            self.flags,
            self.method,
            self.modified.time,
            self.modified.date,
        ] {
            out.extend(v.to_le_bytes());
        }
        for v in [self.crc, self.stored, self.size] {
            out.extend(v.to_le_bytes());
        }
        out.extend((self.name.len() as u16).to_le_bytes());
        out.extend((self.extra.len() as u16).to_le_bytes());
        out.extend(self.name);
        out.extend(self.extra);
    }
}

/// What a central record says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Central<'a> {
    pub(crate) made_by: u16,
    pub(crate) version: u16,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    pub(crate) modified: Dos,
    pub(crate) crc: u32,
    pub(crate) stored: u32,
    pub(crate) size: u32,
    pub(crate) disk: u16,
    pub(crate) internal: u16,
    pub(crate) attributes: u32,
    pub(crate) offset: u32,
    pub(crate) name: &'a [u8],
    pub(crate) extra: &'a [u8],
}

impl<'a> Central<'a> {
    /// Bytes of name, extra field and comment after these 46, if they are a central record.
    pub(crate) fn variable_part(fixed: &[u8]) -> Option<(usize, usize, usize)> {
        if Cursor(fixed).u32() != Signature::CENTRAL {
            return None;
        }
        let mut lengths = Cursor(&fixed[28..]);
        let mut next = || usize::from(lengths.u16());
        Some((next(), next(), next()))
    }

    /// From the whole record, whose length [`Self::variable_part`] told.
    pub(crate) fn decode(bytes: &'a [u8]) -> Self {
        let mut c = Cursor(&bytes[4..]);
        let made_by = c.u16();
        let version = c.u16();
        let flags = c.u16();
        let method = c.u16();
        let modified = Dos {
            time: c.u16(),
            date: c.u16(),
        };
        let (crc, stored, size) = (c.u32(), c.u32(), c.u32());
        let name_len = usize::from(c.u16());
        let extra_len = usize::from(c.u16());
        let _comment = c.u16();
        let disk = c.u16();
        let internal = c.u16();
        let attributes = c.u32();
        let offset = c.u32();
        let name = &bytes[CENTRAL..CENTRAL + name_len];
        let extra = &bytes[CENTRAL + name_len..CENTRAL + name_len + extra_len];
        Central {
            made_by,
            version,
            flags,
            method,
            modified,
            crc,
            stored,
            size,
            disk,
            internal,
            attributes,
            offset,
            name,
            extra,
        }
    }

    /// Writes the record; made-by, disk, internal attributes and comment are always ours.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(Signature::CENTRAL.to_le_bytes());
        for v in [MADE_BY, self.version, self.flags, self.method] {
            out.extend(v.to_le_bytes());
        }
        out.extend(self.modified.time.to_le_bytes());
        out.extend(self.modified.date.to_le_bytes());
        for v in [self.crc, self.stored, self.size] {
            out.extend(v.to_le_bytes());
        }
        let (comment, disk, internal) = (0, 0, 0);
        for v in [
            self.name.len() as u16,
            self.extra.len() as u16,
            comment,
            disk,
            internal,
        ] {
            out.extend(v.to_le_bytes());
        }
        out.extend(self.attributes.to_le_bytes());
        out.extend(self.offset.to_le_bytes());
        out.extend(self.name);
        out.extend(self.extra);
    }
}

/// What the end record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndRecord {
    pub(crate) disk: u16,
    pub(crate) directory_disk: u16,
    pub(crate) entries_here: u16,
    pub(crate) entries: u16,
    pub(crate) size: u32,
    pub(crate) offset: u32,
    pub(crate) comment: u16,
}

impl EndRecord {
    pub(crate) fn decode(bytes: &[u8; END]) -> Option<Self> {
        let mut c = Cursor(bytes);
        (c.u32() == Signature::END).then(|| EndRecord {
            disk: c.u16(),
            directory_disk: c.u16(),
            entries_here: c.u16(),
            entries: c.u16(),
            size: c.u32(),
            offset: c.u32(),
            comment: c.u16(),
        })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(Signature::END.to_le_bytes());
        for v in [
            self.disk,
            self.directory_disk,
            self.entries_here,
            self.entries,
        ] {
            out.extend(v.to_le_bytes());
        }
        out.extend(self.size.to_le_bytes());
        out.extend(self.offset.to_le_bytes());
        out.extend(self.comment.to_le_bytes());
    }
}

/// What the ZIP64 end record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndRecord64 {
    pub(crate) length: u64,
    pub(crate) version: u16,
    pub(crate) disk: u32,
    pub(crate) directory_disk: u32,
    pub(crate) entries_here: u64,
    pub(crate) entries: u64,
    pub(crate) size: u64,
    pub(crate) offset: u64,
}

impl EndRecord64 {
    /// `length` of a record without extensions.
    pub(crate) const LENGTH: u64 = END64 as u64 - 12;

    pub(crate) fn decode(bytes: &[u8; END64]) -> Option<Self> {
        let mut c = Cursor(bytes);
        if c.u32() != Signature::END64 {
            return None;
        }
        let length = c.u64();
        let _made_by = c.u16();
        Some(EndRecord64 {
            length,
            version: c.u16(),
            disk: c.u32(),
            directory_disk: c.u32(),
            entries_here: c.u64(),
            entries: c.u64(),
            size: c.u64(),
            offset: c.u64(),
        })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(Signature::END64.to_le_bytes());
        out.extend(self.length.to_le_bytes());
        out.extend(MADE_BY.to_le_bytes());
        out.extend(self.version.to_le_bytes());
        out.extend(self.disk.to_le_bytes());
        out.extend(self.directory_disk.to_le_bytes());
        for v in [self.entries_here, self.entries, self.size, self.offset] {
            out.extend(v.to_le_bytes());
        }
    }
}

/// What the ZIP64 end locator says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Locator {
    pub(crate) disk: u32,
    pub(crate) offset: u64,
    pub(crate) disks: u32,
}

impl Locator {
    pub(crate) fn decode(bytes: &[u8; LOCATOR]) -> Option<Self> {
        let mut c = Cursor(bytes);
        (c.u32() == Signature::LOCATOR).then(|| Locator {
            disk: c.u32(),
            offset: c.u64(),
            disks: c.u32(),
        })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(Signature::LOCATOR.to_le_bytes());
        out.extend(self.disk.to_le_bytes());
        out.extend(self.offset.to_le_bytes());
        out.extend(self.disks.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dos_time_is_held_inside_its_range() {
        assert_eq!(Dos::from_unix(-1), Dos::EPOCH);
        assert_eq!(Dos::from_unix(315_532_800), Dos::EPOCH);
        // 2026-11-21 02:44:46 UTC.
        let dos = Dos::from_unix(1_795_229_086);
        assert_eq!(dos.date, (46 << 9) | (11 << 5) | 21);
        assert_eq!(dos.time, (2 << 11) | (44 << 5) | 23);
        assert_eq!(Dos::from_unix(i64::from(u32::MAX) * 9).date >> 9, 127);
    }
}
