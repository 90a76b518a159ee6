//! Local headers and data descriptors, held against the central directory.

use super::entry::check_flags;
use super::extra::{self, Forgivable, Forgiven};
use super::wire::{FLAG_DESCRIPTOR, LOCAL, LocalHeader, Signature};
use super::{Entry, Method};
use crate::Refusal;

/// Bytes of a data descriptor, with 32-bit and with 64-bit sizes.
pub(crate) const DESCRIPTOR: [u64; 2] = [16, 24];

/// Where an entry's data lies, once its local header agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Local {
    /// Bytes of the header.
    pub(crate) header: u64,
    /// Bytes of the descriptor after the data.
    pub(crate) descriptor: u64,
}

impl Local {
    /// Checks `header` against its central record in every field.
    pub(crate) fn check(
        entry: &Entry,
        header: &LocalHeader<'_>,
        mut forgiven: Option<&mut Forgiven>,
    ) -> Result<Self, Refusal> {
        let same = |what, equal: bool| {
            if equal {
                Ok(())
            } else {
                Err(Refusal::HeaderMismatch(what))
            }
        };
        same("the name", header.name == entry.name.as_bytes())?;
        same("the flags", header.flags == entry.flags)?;
        same("the method", header.method == entry.method.id())?;
        same("the time", header.modified == entry.modified)?;
        let extra = header.extra;
        let wide = extra::local(header.size, header.stored, extra, forgiven.as_deref_mut())?;
        // ZIP64 in one header only raises the version of that one.
        let versions = header.version == entry.version || wide.zip64 && header.version == 45;
        match forgiven.as_deref_mut() {
            // Python and others look at each header for itself.
            Some(forgiven) if !versions && header.version <= 63 => {
                *forgiven.entry(Forgivable::LocalVersion).or_default() += 1;
            }
            _ => same("the version", versions)?,
        }
        if header.flags & FLAG_DESCRIPTOR != 0 {
            let zero = (header.crc, wide.stored, wide.size) == (0, 0, 0);
            if let Some(forgiven) = forgiven
                && !zero
            {
                // Info-ZIP says what it knows already; what it says must be so.
                let known = |said: u64, is: u64| said == 0 || said == is;
                same("the CRC-32", known(header.crc.into(), entry.crc.into()))?;
                same("the stored size", known(wide.stored, entry.stored))?;
                same("the size", known(wide.size, entry.size))?;
                *forgiven.entry(Forgivable::SizesTwice).or_default() += 1;
            } else {
                same("the size", zero)?;
            }
        } else {
            same("the CRC-32", header.crc == entry.crc)?;
            same("the stored size", wide.stored == entry.stored)?;
            same("the size", wide.size == entry.size)?;
        }
        let descriptor = match entry.has_descriptor() {
            false => 0,
            true => DESCRIPTOR[usize::from(wide.zip64)],
        };
        let header = (LOCAL + header.name.len() + header.extra.len()) as u64;
        Ok(Local { header, descriptor })
    }
}

/// What a local header alone says of the data that follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) method: Method,
    /// Bytes of the data; `None` where a descriptor will tell.
    pub(crate) stored: Option<u64>,
    /// Bytes of the descriptor, if there is one.
    pub(crate) descriptor: Option<u64>,
}

impl LocalHeader<'_> {
    /// For a reader that has not seen the central directory yet.
    pub(crate) fn shape(&self, lenient: bool) -> Result<Shape, Refusal> {
        // What is forgiven here is counted when the central directory comes.
        let mut ignored = Forgiven::new();
        let mut forgiven = lenient.then_some(&mut ignored);
        check_flags(self.flags, forgiven.as_deref_mut())?;
        let wide = extra::local(self.size, self.stored, self.extra, forgiven)?;
        let method = Method::from_id(self.method)?;
        let descriptor = self.flags & FLAG_DESCRIPTOR != 0;
        // Such an entry may be forgiven if it is empty, and then its descriptor follows at once.
        if descriptor && method == Method::Store && !lenient {
            return Err(Refusal::EndUnmarked);
        }
        let known = (!descriptor).then_some(wide.stored);
        Ok(Shape {
            method,
            stored: known.or((method == Method::Store).then_some(0)),
            descriptor: descriptor.then(|| DESCRIPTOR[usize::from(wide.zip64)]),
        })
    }
}

/// Checks a descriptor, whose length tells the width of its sizes.
pub(crate) fn check_descriptor(
    bytes: &[u8],
    crc: u32,
    stored: u64,
    size: u64,
) -> Result<(), Refusal> {
    let mut expected = Vec::with_capacity(bytes.len());
    encode_descriptor(
        &mut expected,
        bytes.len() as u64 == DESCRIPTOR[1],
        crc,
        stored,
        size,
    );
    if bytes == expected {
        Ok(())
    } else {
        Err(Refusal::DescriptorMismatch)
    }
}

pub(crate) fn encode_descriptor(out: &mut Vec<u8>, wide: bool, crc: u32, stored: u64, size: u64) {
    out.extend(Signature::DESCRIPTOR.to_le_bytes());
    out.extend(crc.to_le_bytes());
    for value in [stored, size] {
        if wide {
            out.extend(value.to_le_bytes());
        } else {
            out.extend((value as u32).to_le_bytes());
        }
    }
}
