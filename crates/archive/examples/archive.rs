//! Snapshot archives from the command line: create, list, verify, extract, diff, convert.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use stillpoint_archive::cloudify::{
    CompatOptions, Era, Files, Snapshot, class_of, compat_warnings, write_compat,
};
use stillpoint_archive::{
    Archive, Assurance, Digest, Error, ExtractOptions, Kind, Level, Metadata, OpenOptions, Packing,
    SecretKey, Strictness, TreeOptions, VerifyLevel, Watch, WriteOptions, create, extract, verify,
};

const USAGE: &str = "\
usage: archive create [--level N] [--deterministic] OUT DIR
       archive list FILE --json
       archive verify [--lenient] [--level quick|full|deep] [--identity KEYFILE] --json FILE
       archive extract [--lenient] [--identity KEYFILE] FILE DIR
       archive diff A B
       archive convert --to E|native [--mend] [--identity KEYFILE] IN OUT

convert --to native seals secrets for a new key, which it writes to OUT.key. FILE.key is also where
a key is looked for when no --identity is given.
diff prints - and + for files of one alone, ~ for those that differ, and ? for sealed ones that
nobody can compare without their keys.
exit status: 0 done, 1 the archive is refused or something failed, 2 wrong usage";

/// What a command may end with.
enum Failure {
    Archive(Error),
    Usage(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Archive(error)
    }
}

type Outcome = Result<(), Failure>;

fn main() -> ExitCode {
    match run(Arguments::new(std::env::args_os().skip(1))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Archive(error)) => {
            eprintln!("archive: {error}");
            ExitCode::from(1)
        }
        Err(Failure::Usage(why)) => {
            eprintln!("archive: {why}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run(mut arguments: Arguments) -> Outcome {
    match arguments.command.as_str() {
        "create" => create_archive(&mut arguments),
        "list" => list(&mut arguments),
        "verify" => verify_archive(&mut arguments),
        "extract" => extract_archive(&mut arguments),
        "diff" => diff(&mut arguments),
        "convert" => convert(&mut arguments),
        other => Err(Failure::Usage(format!("no such command: {other:?}"))),
    }
}

fn create_archive(arguments: &mut Arguments) -> Outcome {
    let level = arguments.value("--level")?;
    let deterministic = arguments.flag("--deterministic");
    let [out, folder] = arguments.paths()?;
    let level = match level {
        None => Level::default(),
        Some(text) => match text.parse() {
            Ok(level @ 1..=9) => Level::new(level),
            _ => return Err(Failure::Usage(format!("{text:?} is no level from 1 to 9"))),
        },
    };
    let bar = Bar::new();
    let mut options = WriteOptions::new()
        .packing(Packing::Deflate(level))
        .watch(bar.watch(), None);
    if deterministic {
        options = options.deterministic();
    }
    let metadata = folder.join("metadata.json");
    if metadata.is_file() {
        let bytes = std::fs::read(&metadata).map_err(failed(&metadata))?;
        options = options.metadata(Metadata::Verbatim(bytes));
    }
    let skip = |name: &str| name == "metadata.json";
    let tree = TreeOptions::new().skip(&skip);
    let created = create(&out, &options, |writer| writer.tree("", &folder, tree))?;
    bar.finish();
    let (files, size) = (created.report.files, created.archive.size);
    eprintln!("{}: {files} files, {size} bytes, verified", out.display());
    eprintln!("root {}", created.archive.root);
    Ok(())
}

fn list(arguments: &mut Arguments) -> Outcome {
    let as_json = arguments.flag("--json");
    let [file] = arguments.paths()?;
    let archive = open(&file, Strictness::Lenient, None)?;
    print_list(&archive, as_json).map_err(failed("standard output"))?;
    // The system takes memory back at once, and not entry by entry.
    std::mem::forget(archive);
    Ok(())
}

fn print_list(archive: &Archive, as_json: bool) -> io::Result<()> {
    // Past `Stdout`, which looks for the ends of lines in all that it is given.
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut out = io::BufWriter::with_capacity(64 << 10, stdout);
    for entry in archive.entries() {
        if !as_json {
            writeln!(out, "{:>12} {}", entry.size(), entry.name())?;
            continue;
        }
        // Nothing in a number or a digest needs the care that a name does.
        out.write_all(b"{\"path\":")?;
        serde_json::to_writer(&mut out, entry.name())?;
        write!(out, ",\"size\":{}", entry.size())?;
        if let Some(sha256) = entry.sha256() {
            write!(out, ",\"sha256\":\"{sha256}\"")?;
        }
        out.write_all(b"}\n")?;
    }
    out.flush()
}

fn verify_archive(arguments: &mut Arguments) -> Outcome {
    let strictness = arguments.strictness();
    let level = match arguments.value("--level")?.as_deref() {
        None | Some("full") => VerifyLevel::Full,
        Some("quick") => VerifyLevel::Quick,
        Some("deep") => VerifyLevel::Deep,
        Some(other) => return Err(Failure::Usage(format!("no such level: {other:?}"))),
    };
    let identity = arguments.value("--identity")?;
    let as_json = arguments.flag("--json");
    let [file] = arguments.paths()?;
    let archive = open(&file, strictness, identity.map(PathBuf::from))?;
    let bar = Bar::new();
    let report = verify(&archive, level, &bar.watch())?;
    bar.finish();
    let (era, version) = era_and_version(&archive)?;
    let forgiven: BTreeMap<String, u64> = report
        .forgiven
        .iter()
        .map(|(what, n)| (what.to_string(), *n))
        .collect();
    if as_json {
        let object = json!({
            "assurance": format!("{:?}", report.assurance),
            "entries": report.entries,
            "files": report.files,
            "bytes": report.bytes,
            "era": era,
            "version": version,
            "content_digest": report.content_digest,
            "root": report.root,
            "profile": report.profile,
            "sealed": report.sealed,
            "opened": report.opened,
            "forgiven": forgiven,
            "findings": report.findings,
        });
        println!("{object}");
    } else {
        println!(
            "{}: {:?}, {} files",
            file.display(),
            report.assurance,
            report.files
        );
    }
    if report.assurance == Assurance::CrcOnly {
        eprintln!("archive: there is no manifest: nothing shows that it is whole or untouched");
    }
    Ok(())
}

/// The manager's era and version; for others `own` and the format's, or nothing at all.
fn era_and_version(archive: &Archive) -> Result<(Option<String>, Option<String>), Error> {
    match Snapshot::of(archive) {
        Ok(snapshot) => {
            let version = snapshot.metadata().snapshot_version.clone();
            Ok((Some(snapshot.era().to_string()), Some(version)))
        }
        Err(Error::Refused { .. } | Error::KeyMissing { .. } | Error::NoSuchEntry(_)) => {
            let version = archive.format_version().map(str::to_owned);
            Ok((version.as_ref().map(|_| "own".to_owned()), version))
        }
        Err(error) => Err(error),
    }
}

fn extract_archive(arguments: &mut Arguments) -> Outcome {
    let strictness = arguments.strictness();
    let identity = arguments.value("--identity")?;
    let [file, folder] = arguments.paths()?;
    let archive = open(&file, strictness, identity.map(PathBuf::from))?;
    say_forgiven(&archive);
    let bar = Bar::new();
    let extracted = extract(&archive, &folder, &ExtractOptions::new(), &bar.watch())?;
    bar.finish();
    let (files, bytes) = (extracted.files, extracted.bytes);
    eprintln!(
        "{}: {files} files, {bytes} bytes, {:?}",
        folder.display(),
        extracted.assurance
    );
    Ok(())
}

fn diff(arguments: &mut Arguments) -> Outcome {
    let [a, b] = arguments.paths()?;
    let (a, b) = (contents(&a)?, contents(&b)?);
    for path in a
        .keys()
        .chain(b.keys().filter(|path| !a.contains_key(*path)))
    {
        match (a.get(path), b.get(path)) {
            (Some(_), None) => println!("- {path}"),
            (None, Some(_)) => println!("+ {path}"),
            (Some(left), Some(right)) => match left.same(right) {
                Some(true) => {}
                Some(false) => println!("~ {path}"),
                None => println!("? {path}"),
            },
            (None, None) => unreachable!("the path is of one of them"),
        }
    }
    Ok(())
}

/// What is known of a file's content without trusting its ciphertext, which is never twice the same.
struct Content {
    size: u64,
    sha256: Option<Digest>,
    crc32: Option<u32>,
}

impl Content {
    /// `None` where that needs a key.
    fn same(&self, other: &Self) -> Option<bool> {
        if self.size != other.size {
            return Some(false);
        }
        let by_hash = self.sha256.zip(other.sha256).map(|(a, b)| a == b);
        by_hash.or_else(|| self.crc32.zip(other.crc32).map(|(a, b)| a == b))
    }
}

/// Files by path. Those that are sealed are hashed as they open, if there is a key.
fn contents(path: &Path) -> Result<BTreeMap<String, Content>, Failure> {
    let archive = open(path, Strictness::Lenient, None)?;
    let mut contents = BTreeMap::new();
    for entry in archive.entries() {
        if entry.kind() != Kind::File || entry.is_own() {
            continue;
        }
        let sealed = entry.is_sealed();
        let sha256 = match sealed && archive.is_unlocked() {
            true => Some(hash(&archive, entry.name())?),
            false => entry.sha256(),
        };
        let content = Content {
            size: entry.size(),
            sha256,
            crc32: (!sealed).then(|| entry.crc32()),
        };
        contents.insert(entry.path().to_owned(), content);
    }
    Ok(contents)
}

fn hash(archive: &Archive, name: &str) -> Result<Digest, Failure> {
    Digest::of_reader(archive.reader(name)?).map_err(failed(name))
}

fn convert(arguments: &mut Arguments) -> Outcome {
    let to = arguments.value("--to")?;
    let identity = arguments.value("--identity")?;
    let mend = arguments.flag("--mend");
    let [from, out] = arguments.paths()?;
    let archive = open(&from, Strictness::Lenient, identity.map(PathBuf::from))?;
    say_forgiven(&archive);
    // What is converted must be whole first.
    verify(&archive, VerifyLevel::Full, &Watch::none())?;
    match to.as_deref() {
        Some("E") => {
            let snapshot = Snapshot::of(&archive)?.migrated(Era::E)?;
            let options = WriteOptions::new().danger_secrets_in_clear();
            let compat = match mend {
                true => CompatOptions::new().mend_secrets_providers(),
                false => CompatOptions::new(),
            };
            write_compat(&out, &snapshot, &options, &compat)?;
            if !mend {
                for warning in compat_warnings(&snapshot)? {
                    eprintln!("archive: {warning} (--mend)");
                }
            }
        }
        Some("native") => convert_to_native(&archive, &out)?,
        other => {
            return Err(Failure::Usage(format!("--to E or native, not {other:?}")));
        }
    }
    Ok(())
}

fn convert_to_native(archive: &Archive, out: &Path) -> Outcome {
    let key = SecretKey::generate();
    let key_path = beside(out);
    let options = WriteOptions::new().seal_for(key.public());
    let (options, files) = match Snapshot::of(archive) {
        Ok(snapshot) => {
            let metadata = snapshot.files().read("metadata.json")?;
            (
                options.metadata(Metadata::Verbatim(metadata)),
                snapshot.files().clone(),
            )
        }
        Err(Error::Refused { .. }) => (options, Files::of(archive)),
        Err(error) => return Err(error.into()),
    };
    write_secret(&key_path, &key)?;
    let created = create(out, &options, |writer| files.write(writer, &class_of));
    if created.is_err() {
        // A key to nothing.
        let _ = std::fs::remove_file(&key_path);
    }
    created?;
    eprintln!(
        "{}: opens it; keep it apart from the archive",
        key_path.display()
    );
    Ok(())
}

fn write_secret(path: &Path, key: &SecretKey) -> Outcome {
    use std::os::unix::fs::OpenOptionsExt as _;

    use secrecy::ExposeSecret as _;

    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed(path))?;
    writeln!(file, "{}", key.danger_to_text().expose_secret()).map_err(failed(path))?;
    file.sync_all().map_err(failed(path))?;
    Ok(())
}

/// Where the key to an archive is, if nobody says.
fn beside(archive: &Path) -> PathBuf {
    let mut name = OsString::from(archive);
    name.push(".key");
    PathBuf::from(name)
}

fn open(
    path: &Path,
    strictness: Strictness,
    identity: Option<PathBuf>,
) -> Result<Archive, Failure> {
    let mut options = OpenOptions::new().strictness(strictness);
    let identity = identity.or_else(|| Some(beside(path)).filter(|key| key.is_file()));
    if let Some(key) = identity {
        let text = std::fs::read_to_string(&key).map_err(failed(&key))?;
        let secret = text
            .lines()
            .find(|line| !line.starts_with('#'))
            .unwrap_or_default();
        options = options.identity(secret.parse::<SecretKey>()?);
    }
    Ok(options.open(path)?)
}

fn say_forgiven(archive: &Archive) {
    for (what, times) in archive.forgiven() {
        eprintln!("archive: forgave {what} ({times})");
    }
}

fn failed(what: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Failure {
    let what = what.as_ref().display().to_string();
    move |source| Failure::Archive(Error::Io { what, source })
}

/// A progress bar, where somebody looks.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        if !io::stderr().is_terminal() {
            return Bar(ProgressBar::hidden());
        }
        let style = "{elapsed_precise} {bar:40} {bytes}/{total_bytes} {binary_bytes_per_sec}";
        let style = ProgressStyle::with_template(style).expect("a constant");
        Bar(ProgressBar::new(0).with_style(style))
    }

    fn watch(&self) -> Watch {
        let bar = self.0.clone();
        Watch::none().progress(move |progress| {
            if let Some(total) = progress.total {
                bar.set_length(total);
            }
            bar.set_position(progress.bytes);
        })
    }

    fn finish(self) {
        self.0.finish_and_clear();
    }
}

/// The command line, taken apart.
struct Arguments {
    command: String,
    rest: Vec<OsString>,
}

impl Arguments {
    fn new(mut all: impl Iterator<Item = OsString>) -> Self {
        let command = all
            .next()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Arguments {
            command,
            rest: all.collect(),
        }
    }

    fn flag(&mut self, name: &str) -> bool {
        let before = self.rest.len();
        self.rest.retain(|argument| argument != name);
        self.rest.len() < before
    }

    fn value(&mut self, name: &str) -> Result<Option<String>, Failure> {
        let Some(at) = self.rest.iter().position(|argument| argument == name) else {
            return Ok(None);
        };
        if at + 1 == self.rest.len() {
            return Err(Failure::Usage(format!("{name} needs a value")));
        }
        self.rest.remove(at);
        Ok(Some(self.rest.remove(at).to_string_lossy().into_owned()))
    }

    fn strictness(&mut self) -> Strictness {
        if self.flag("--lenient") {
            Strictness::Lenient
        } else {
            Strictness::Strict
        }
    }

    fn paths<const N: usize>(&mut self) -> Result<[PathBuf; N], Failure> {
        let option = self
            .rest
            .iter()
            .find(|argument| argument.to_string_lossy().starts_with('-'));
        if let Some(option) = option {
            return Err(Failure::Usage(format!(
                "no such option: {}",
                option.to_string_lossy()
            )));
        }
        let given = self.rest.len();
        let paths: Vec<PathBuf> = self.rest.drain(..).map(PathBuf::from).collect();
        paths.try_into().map_err(|_| {
            Failure::Usage(format!(
                "{} takes {N} paths, {given} were given",
                self.command
            ))
        })
    }
}
