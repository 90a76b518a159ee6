//! The `zip` crate's parallel side as a command, for `archive/run.py`: `create OUT DIR`,
//! `verify FILE`, `extract FILE DIR`, `list FILE`. Without arguments it does nothing.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["create", out, folder] => create(Path::new(out), Path::new(folder)),
        ["verify", file] => verify(Path::new(file)),
        ["extract", file, folder] => {
            ZipArchive::new(File::open(file)?)?.par_extract_from_path(file, folder)?;
            Ok(())
        }
        ["list", file] => {
            let archive = ZipArchive::new(File::open(file)?)?;
            println!("{} entries", archive.len());
            Ok(())
        }
        // As `cargo bench` runs it.
        [] | ["--bench"] => Ok(()),
        other => Err(format!("not understood: {other:?}").into()),
    }
}

/// Level 6, as the others; it has a thread for each entry and none inside one.
fn create(out: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut entries = Vec::new();
    gather(folder, "", &mut entries)?;
    let mut writer = ZipWriter::new(BufWriter::new(File::create(out)?));
    writer.par_append_from_paths(entries)?;
    writer.finish()?;
    Ok(())
}

type Found = (String, PathBuf, SimpleFileOptions);

fn gather(folder: &Path, prefix: &str, entries: &mut Vec<Found>) -> io::Result<()> {
    for child in fs::read_dir(folder)? {
        let child = child?;
        let name = format!("{prefix}{}", child.file_name().display());
        if child.file_type()?.is_dir() {
            gather(&child.path(), &format!("{name}/"), entries)?;
        } else {
            let options = SimpleFileOptions::default().compression_level(Some(6));
            entries.push((name, child.path(), options));
        }
    }
    Ok(())
}

/// Reads every entry, which checks its CRC-32.
fn verify(file: &Path) -> Result<(), Box<dyn Error>> {
    let mut archive = ZipArchive::new(File::open(file)?)?;
    for index in 0..archive.len() {
        io::copy(&mut archive.by_index(index)?, &mut io::sink())?;
    }
    Ok(())
}
