/// How much an archive may ask of its reader. What passes a limit is refused before it costs anything.
///
/// ```
/// use stillpoint_archive::Limits;
///
/// let tight = Limits { total: 10 << 30, ..Limits::default() };
/// assert_eq!(tight.entries, 1_000_000);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Folders a name may go down. Default 64.
    pub depth: u32,
    /// Entries, directories included. Default 1,000,000.
    pub entries: u64,
    /// Bytes of one entry once unpacked. Default 16 TiB.
    pub entry: u64,
    /// Bytes of a document that is read whole (`metadata.json`, a key file). Default 1 MiB.
    pub document: u64,
    /// Bytes of one name. Default 1,024.
    pub name: u32,
    /// Bytes out for each byte stored, past an entry's first MiB, where no manifest declares the
    /// entry. Real archives reach 82:1. Default 200.
    pub ratio: u64,
    /// Bytes of all entries once unpacked. Default 64 TiB.
    pub total: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            depth: 64,
            entries: 1_000_000,
            entry: 16 << 40,
            document: 1 << 20,
            name: 1024,
            ratio: 200,
            total: 64 << 40,
        }
    }
}
