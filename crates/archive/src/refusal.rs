/// What is wrong with an archive that was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The name starts with `/` or `\`.
    #[error("its name is absolute; extracting it could write outside the folder")]
    AbsoluteName,
    /// The name holds `\`, which some systems read as a folder separator.
    #[error("its name holds a backslash")]
    BackslashInName,
    /// A name component that is empty, `.` or `..`.
    #[error("its name holds an empty, `.` or `..` component")]
    BadComponent,
    /// The manifest or metadata is not what FORMAT.md says.
    #[error("{what}: {why}")]
    BadDocument {
        /// The document.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The name is not UTF-8, or not marked as such.
    #[error(
        "its name is not ASCII, and not marked as UTF-8 or not valid: tools read it differently; \
         rename it, or pack it with a tool that marks names"
    )]
    BadUtf8,
    /// Two entries that one folder cannot hold on every system.
    #[error("its name differs from {other:?} only in case or Unicode form")]
    CaseTwin {
        /// The other entry.
        other: String,
    },
    /// The archive comment is not empty.
    #[error("it carries a comment of {0} bytes, which could hide a second archive")]
    Comment(u16),
    /// The name holds a control character.
    #[error("its name holds a control character")]
    ControlInName,
    /// A byte changed that no content depends on.
    #[error("the archive's CRC-32 is {found:08x}, recorded is {recorded:08x}: it was damaged")]
    Coverage {
        /// What its bytes hash to.
        found: u32,
        /// What the archive records.
        recorded: u32,
    },
    /// The CRC-32 of the content is not the one recorded.
    #[error("the content's CRC-32 is {found:08x}, recorded is {recorded:08x}: it was damaged")]
    CrcMismatch {
        /// What the content hashes to.
        found: u32,
        /// What the archive records.
        recorded: u32,
    },
    /// The compressed data is damaged.
    #[error("the compressed data is damaged: {0}")]
    DamagedData(String),
    /// The data descriptor disagrees with the central directory.
    #[error("its data descriptor disagrees with the central directory")]
    DescriptorMismatch,
    /// The name is a device, a stream or otherwise special on Windows.
    #[error("its name is special on Windows (a device, a stream, or a trailing dot or space)")]
    DeviceName,
    /// A directory with content.
    #[error("it is a directory and has content")]
    DirectoryWithData,
    /// The name starts with a drive letter.
    #[error("its name starts with a drive letter")]
    DriveName,
    /// The same name twice.
    #[error("the name stands twice")]
    Duplicate,
    /// Traditional ZIP encryption.
    #[error("it is encrypted the ZIP way, which is not supported; pack it again without")]
    Encrypted,
    /// Data that does not show its own end, with its size only after it.
    #[error(
        "it is stored as it is with its size only after it, so that its end is a guess; pack it \
         to a file and not to a pipe"
    )]
    EndUnmarked,
    /// An extra field that is not allowed here.
    #[error(
        "extra field {0:#06x} is not allowed; open it leniently if it comes from an old writer"
    )]
    ExtraField(u16),
    /// A name that is both a file and a folder.
    #[error("{other:?} needs it to be a folder and it is a file")]
    FileAsFolder {
        /// The entry inside.
        other: String,
    },
    /// A file system entry that is not a regular file or directory.
    #[error("it is neither a regular file nor a directory ({0}); archives hold nothing else")]
    FileType(&'static str),
    /// Bytes that belong to no entry.
    #[error("{0} bytes belong to no entry")]
    Gap(u64),
    /// The SHA-256 of the content is not the one in the manifest.
    #[error("the content's SHA-256 is not the one in the manifest: it was changed or damaged")]
    HashMismatch,
    /// The local header disagrees with the central directory.
    #[error("{0} differs between its local header and the central directory")]
    HeaderMismatch(&'static str),
    /// A limit was passed.
    #[error("{what} is {found}, the limit is {limit}; raise the limit if you trust the source")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// What was found.
        found: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The archive and its manifest disagree.
    #[error("the manifest says otherwise: {0}")]
    ManifestMismatch(String),
    /// A set-uid, set-gid or sticky bit.
    #[error("its mode {0:o} is not a plain permission")]
    Mode(u32),
    /// The archive says it is one of several.
    #[error("it is part of a multi-disk set")]
    MultiDisk,
    /// It needs a newer reader.
    #[error("it needs a reader of format {needed}, this one reads {ours}; use a newer release")]
    NewerFormat {
        /// `min_reader` of the archive.
        needed: String,
        /// What this crate reads.
        ours: &'static str,
    },
    /// There is no end record where the file ends.
    #[error(
        "there is no ZIP end record where it ends: it is no ZIP, cut short, or followed by junk"
    )]
    NoEndRecord,
    /// Two entries share bytes.
    #[error("it shares bytes with another entry")]
    Overlap,
    /// It expands too much and no manifest declares it.
    #[error("{size} bytes from {stored} stored, declared by no manifest: more than {limit}:1")]
    Ratio {
        /// Bytes after unpacking.
        size: u64,
        /// Bytes in the archive.
        stored: u64,
        /// The allowed ratio past the first MiB.
        limit: u64,
    },
    /// A sealed entry that is damaged, swapped, reordered or cut.
    #[error("the sealed content does not authenticate: it was changed, moved or cut short")]
    Seal,
    /// The content is longer or shorter than recorded.
    #[error("it unpacks to {found} bytes, recorded are {recorded}")]
    SizeMismatch {
        /// Bytes found (at least).
        found: u64,
        /// Bytes recorded.
        recorded: u64,
    },
    /// Bytes after the end of the compressed data.
    #[error("{0} bytes follow the end of its compressed data")]
    TrailingData(u64),
    /// The archive ends too early.
    #[error("it ends in the middle of {0}: it was cut short")]
    Truncated(&'static str),
    /// No known manager writes this.
    #[error("no known kind of snapshot: {0}")]
    UnknownEra(String),
    /// A flag bit that is not allowed.
    #[error("flags {0:#06x} are not allowed")]
    UnsupportedFlags(u16),
    /// A compression method this build does not read.
    #[error("compression method {0} is not supported by this build")]
    UnsupportedMethod(u16),
    /// A ZIP version this crate does not read.
    #[error("it needs ZIP version {0}")]
    UnsupportedVersion(u16),
    /// The end records contradict each other or the directory.
    #[error("the end records contradict the central directory: {0}")]
    WrongCounts(&'static str),
    /// ZIP64 fields that are missing, needless or contradictory.
    #[error("its ZIP64 fields are missing, needless or contradictory")]
    Zip64,
}
