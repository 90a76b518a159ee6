//! Who has a file open for writing: an advisory lock would tell only of those who take it.

use std::fs;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, Stat, openat, readlinkat, stat, statat};
use rustix::fs::{major, minor};

use crate::lock::process;

/// A file that nobody is to write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched<'a> {
    pub(crate) stat: Stat,
    /// Its name in its folder.
    pub(crate) name: &'a str,
}

/// Everything that could write to each of the files, named for a person: processes with a
/// descriptor or a shared mapping, and loop devices. All files in one go, since most of it is the
/// way through the processes.
///
/// Processes of other users show this to root only; against those, and whoever opens the file
/// later, its change time is compared before and after.
pub(crate) fn writers(files: &[Watched<'_>]) -> Vec<Vec<String>> {
    let mut found = vec![Vec::new(); files.len()];
    for process in Process::all() {
        let mut writing = process.descriptors(files);
        process.mappings(files, &mut writing);
        for (found, writes) in found.iter_mut().zip(writing) {
            if writes {
                found.push(self::process(process.pid));
            }
        }
    }
    loop_devices(files, &mut found);
    found
}

/// A process that has a program and is ours to look into.
struct Process {
    pid: u32,
    folder: OwnedFd,
}

impl Process {
    fn all() -> impl Iterator<Item = Self> {
        names("/proc").into_iter().filter_map(|name| {
            let pid = name.parse().ok()?;
            let folder = open(CWD, &format!("/proc/{pid}"), OFlags::DIRECTORY)?;
            // Threads of the kernel have none: they are most, and open no files.
            if has_program(&folder) {
                return Some(Self { pid, folder });
            }
            // A first thread that has ended shows nothing of what the others have.
            let links = statat(&folder, "task", AtFlags::empty()).ok()?.st_nlink;
            // Two of each folder, and one of each thread.
            (links > 3).then(|| Self::other_thread(pid)).flatten()
        })
    }

    fn other_thread(pid: u32) -> Option<Self> {
        let threads = names(format!("/proc/{pid}/task"));
        threads.iter().find_map(|thread| {
            let folder = open(
                CWD,
                &format!("/proc/{pid}/task/{thread}"),
                OFlags::DIRECTORY,
            )?;
            has_program(&folder).then_some(Self { pid, folder })
        })
    }

    /// Which of the files it has open for writing.
    fn descriptors(&self, files: &[Watched<'_>]) -> Vec<bool> {
        let mut writing = vec![false; files.len()];
        let numbers = open(&self.folder, "fd", OFlags::DIRECTORY);
        let Some((folder, numbers)) = numbers.and_then(|fd| Some((Dir::read_from(&fd).ok()?, fd)))
        else {
            return writing;
        };
        for number in folder.filter_map(Result::ok) {
            let number = number.file_name();
            let Ok(open) = statat(&numbers, number, AtFlags::empty()) else {
                continue;
            };
            for (file, writing) in files.iter().zip(&mut writing) {
                if is(&open, file) && !*writing {
                    let info = format!("fdinfo/{}", number.to_string_lossy());
                    *writing = self.read(&info).is_some_and(|info| is_writing(&info));
                }
            }
        }
        writing
    }

    /// Adds which of the files it has mapped so that what it writes there gets to the file.
    fn mappings(&self, files: &[Watched<'_>], writing: &mut [bool]) {
        let maps = self.read("maps").unwrap_or_default();
        for (file, writing) in files.iter().zip(writing) {
            *writing = *writing || is_mapped(&maps, file);
        }
    }

    /// A text of the kernel's about it; none where it ended meanwhile.
    fn read(&self, name: &str) -> Option<String> {
        let mut text = String::new();
        fs::File::from(open(&self.folder, name, OFlags::empty())?)
            .read_to_string(&mut text)
            .ok()?;
        Some(text)
    }
}

fn has_program(process: &OwnedFd) -> bool {
    readlinkat(process, "exe", Vec::new()).is_ok()
}

fn open(at: impl rustix::fd::AsFd, name: &str, flags: OFlags) -> Option<OwnedFd> {
    openat(
        at,
        name,
        flags | OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .ok()
}

/// Reads `flags:` of proc_pid_fdinfo(5): octal, with the access mode in the lowest two bits.
fn is_writing(info: &str) -> bool {
    info.lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok())
        .is_some_and(|flags| flags & 0b11 != 0)
}

/// Reads proc_pid_maps(5). btrfs shows another device there than stat(2), so that the file's
/// name counts as well.
fn is_mapped(maps: &str, file: &Watched<'_>) -> bool {
    let device = format!(
        "{:02x}:{:02x}",
        major(file.stat.st_dev),
        minor(file.stat.st_dev)
    );
    let inode = file.stat.st_ino.to_string();
    // Nearly no line has the number, and splitting each would be most of what a take costs.
    maps.lines()
        .filter(|line| line.contains(&inode))
        .any(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let [_, rights, _, of_device, of_inode, path @ ..] = words.as_slice() else {
                return false;
            };
            rights.contains('w')
                && rights.contains('s')
                && *of_inode == inode
                && (*of_device == device || path.join(" ").ends_with(&format!("/{}", file.name)))
        })
}

/// Loop devices hold their file inside the kernel, where no process shows it.
fn loop_devices(files: &[Watched<'_>], found: &mut [Vec<String>]) {
    for name in names("/sys/block") {
        if !name.starts_with("loop") {
            continue;
        }
        let of_device = |what: &str| fs::read_to_string(format!("/sys/block/{name}/{what}"));
        let Ok(path) = of_device("loop/backing_file") else {
            continue;
        };
        let Ok(backing) = stat(path.trim_end_matches('\n')) else {
            continue;
        };
        for (file, found) in files.iter().zip(&mut *found) {
            if is(&backing, file) && of_device("ro").is_ok_and(|ro| ro.trim() == "0") {
                found.push(format!("/dev/{name}"));
            }
        }
    }
}

fn is(open: &Stat, file: &Watched<'_>) -> bool {
    open.st_ino == file.stat.st_ino && open.st_dev == file.stat.st_dev
}

fn names(folder: impl AsRef<Path>) -> Vec<String> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_access_mode_is_read_from_the_flags() {
        assert!(!is_writing("pos:\t0\nflags:\t0100000\nmnt_id:\t30\n"));
        assert!(is_writing("pos:\t0\nflags:\t0100001\nmnt_id:\t30\n"));
        assert!(is_writing("pos:\t0\nflags:\t02100002\n"));
        assert!(!is_writing("flags:\tnone\n"));
        assert!(!is_writing(""));
    }
}
