//! Who has a file open for writing: an advisory lock would tell only of those who take it.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fd::AsFd;
use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, Stat, openat, readlinkat, stat, statat};
use rustix::fs::{major, minor};
use rustix::io::{Errno, read, retry_on_intr};

use crate::lock::process;

/// A file that nobody is to write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched<'a> {
    pub(crate) stat: Stat,
    /// Its name in its folder.
    pub(crate) name: &'a str,
}

const PAGE: usize = 4096;

/// Everything that could write to each of the files, named for a person: processes with a
/// descriptor or a shared mapping, and loop devices. All files in one go, since most of it is the
/// way through the processes.
///
/// Processes of other users show this to root only, and those of another PID namespace to nobody
/// here; nor do the kernel's own servers, descriptors on their way through a socket or in a ring,
/// or a thread that shares none with its process. Against all these, and whoever opens the file
/// later, its change time is compared before and after.
///
/// An error where nobody can tell, for a lack of `/proc`, descriptors or memory.
pub(crate) fn writers(files: &[Watched<'_>]) -> io::Result<Vec<Vec<String>>> {
    let mut found = vec![Vec::new(); files.len()];
    let proc = open(CWD, "/proc", OFlags::DIRECTORY)?;
    for pid in names("/proc")?.iter().filter_map(|name| name.parse().ok()) {
        let Some(process) = Process::of(&proc, pid)? else {
            continue;
        };
        let mut writing = process.descriptors(files)?;
        process.mappings(files, &mut writing)?;
        for (found, writes) in found.iter_mut().zip(writing) {
            if writes {
                found.push(self::process(pid));
            }
        }
    }
    loop_devices(files, &mut found)?;
    Ok(found)
}

/// What there is to see; none of what ended meanwhile, or is not ours to see. An error where it is
/// this process that lacks something.
fn seen<T>(looked: Result<T, impl Into<io::Error>>) -> io::Result<Option<T>> {
    let lacking =
        [Errno::MFILE, Errno::NFILE, Errno::NOMEM].map(|errno| Some(errno.raw_os_error()));
    match looked.map_err(Into::into) {
        Ok(what) => Ok(Some(what)),
        Err(error) if lacking.contains(&error.raw_os_error()) => Err(error),
        Err(_) => Ok(None),
    }
}

/// A process's folder in `/proc`, or that of one of its threads.
struct Process(OwnedFd);

impl Process {
    /// None where there is nothing of it to see.
    fn of(proc: &OwnedFd, pid: u32) -> io::Result<Option<Self>> {
        match Program::of(proc, &format!("{pid}"))? {
            Program::Shown => return Self::open(proc, &format!("{pid}")),
            Program::Hidden => return Ok(None),
            Program::None => {}
        }
        // Threads of the kernel have none: they are most, and have no descriptors. But a first
        // thread that has ended shows nothing of what the others have. A folder has two links, and
        // one of each folder in it.
        let threads = seen(statat(proc, format!("{pid}/task"), AtFlags::empty()))?;
        if threads.is_none_or(|threads| threads.st_nlink <= 3) {
            return Ok(None);
        }
        for thread in seen(names(format!("/proc/{pid}/task")))?.unwrap_or_default() {
            let thread = format!("{pid}/task/{thread}");
            if Program::of(proc, &thread)? == Program::Shown {
                return Self::open(proc, &thread);
            }
        }
        Ok(None)
    }

    fn open(proc: &OwnedFd, path: &str) -> io::Result<Option<Self>> {
        Ok(seen(open(proc, path, OFlags::DIRECTORY))?.map(Self))
    }

    /// Which of the files it has open for writing.
    fn descriptors(&self, files: &[Watched<'_>]) -> io::Result<Vec<bool>> {
        let mut writing = vec![false; files.len()];
        let Some(numbers) = seen(open(&self.0, "fd", OFlags::DIRECTORY))? else {
            return Ok(writing);
        };
        let mut numbers = Dir::new(numbers)?;
        while let Some(number) = numbers.read() {
            let Some(number) = seen(number)? else { break };
            let number = number.file_name();
            let Some(open) = seen(statat(numbers.fd()?, number, AtFlags::empty()))? else {
                continue;
            };
            for (file, writing) in files.iter().zip(&mut writing) {
                if is(&open, file) && !*writing {
                    *writing = self.is_writing(number)?;
                }
            }
        }
        Ok(writing)
    }

    fn is_writing(&self, number: &CStr) -> io::Result<bool> {
        let info = self.read(&format!("fdinfo/{}", number.to_string_lossy()))?;
        Ok(info.is_some_and(|info| is_writing(&String::from_utf8_lossy(&info))))
    }

    /// Adds which of the files it has mapped so that what it writes there gets to the file.
    fn mappings(&self, files: &[Watched<'_>], writing: &mut [bool]) -> io::Result<()> {
        let maps = self.read("maps")?.unwrap_or_default();
        let maps = String::from_utf8_lossy(&maps);
        for (file, writing) in files.iter().zip(writing) {
            *writing = *writing || is_mapped(&maps, file);
        }
        Ok(())
    }

    /// A text of the kernel's about it, in which names need not be UTF-8.
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = seen(open(&self.0, name, OFlags::empty()))? else {
            return Ok(None);
        };
        let mut text = Vec::new();
        loop {
            // The kernel gives a page at a time, and it has no size that could be asked first.
            text.reserve(PAGE);
            match seen(retry_on_intr(|| read(&file, spare_capacity(&mut text))))? {
                Some(0) => return Ok(Some(text)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }
}

/// What a process, or a thread, shows of the program it runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Program {
    /// There is none.
    None,
    /// Who may not see it may not see what is open either: the kernel asks the same of both.
    Hidden,
    Shown,
}

impl Program {
    fn of(proc: &OwnedFd, path: &str) -> io::Result<Self> {
        match readlinkat(proc, format!("{path}/exe"), Vec::new()) {
            Err(Errno::NOENT | Errno::SRCH) => Ok(Self::None),
            Err(Errno::ACCESS) => Ok(Self::Hidden),
            // Other errors are those of programs that cannot be named, as by a path that is too
            // long.
            _ => Ok(Self::Shown),
        }
    }
}

fn open(at: impl AsFd, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC;
    openat(at, name, flags, Mode::empty())
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
fn loop_devices(files: &[Watched<'_>], found: &mut [Vec<String>]) -> io::Result<()> {
    for name in seen(names("/sys/block"))?.unwrap_or_default() {
        if !name.starts_with("loop") {
            continue;
        }
        let of_device = |what: &str| seen(fs::read_to_string(format!("/sys/block/{name}/{what}")));
        let Some(path) = of_device("loop/backing_file")? else {
            continue;
        };
        let Some(backing) = seen(stat(path.trim_end_matches('\n')))? else {
            continue;
        };
        for (file, found) in files.iter().zip(&mut *found) {
            if is(&backing, file) && of_device("ro")?.is_some_and(|ro| ro.trim() == "0") {
                found.push(format!("/dev/{name}"));
            }
        }
    }
    Ok(())
}

fn is(open: &Stat, file: &Watched<'_>) -> bool {
    open.st_ino == file.stat.st_ino && open.st_dev == file.stat.st_dev
}

fn names(folder: impl AsRef<Path>) -> io::Result<Vec<String>> {
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
    names.filter_map(io::Result::transpose).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_nothing_and_what_we_lack_is_an_error() {
        for gone in [Errno::NOENT, Errno::SRCH, Errno::ACCESS, Errno::NOTCONN] {
            assert_eq!(seen(Err::<(), _>(gone)).unwrap(), None);
        }
        for lacking in [Errno::MFILE, Errno::NFILE, Errno::NOMEM] {
            assert!(seen(Err::<(), _>(lacking)).is_err());
        }
        assert_eq!(seen(Ok::<_, Errno>(7)).unwrap(), Some(7));
    }

    /// Who has too few descriptors to look learns that, and not that nobody writes. A limit is a
    /// whole process's: this is in one of its own, which also is the writer.
    #[test]
    fn a_writer_is_found_or_the_look_fails() {
        const ALONE: &str = "STILLPOINT_LOCAL_FEW_DESCRIPTORS";
        if std::env::var_os(ALONE).is_none() {
            let name = "writers::tests::a_writer_is_found_or_the_look_fails";
            let status = std::process::Command::new("sh")
                .args(["-c", "ulimit -n 64; exec \"$0\" --exact \"$1\""])
                .arg(std::env::current_exe().unwrap())
                .arg(name)
                .env(ALONE, "1")
                .status();
            assert!(status.unwrap().success());
            return;
        }
        let file = tempfile::tempfile().unwrap();
        let watched = Watched {
            stat: rustix::fs::fstat(&file).unwrap(),
            name: "disk.raw",
        };
        let mut taken: Vec<_> = std::iter::from_fn(|| fs::File::open("/dev/null").ok()).collect();
        let mut failed = 0;
        for free in 0..9 {
            match writers(&[watched]) {
                Ok(found) => assert_eq!(found[0].len(), 1, "{free} left"),
                Err(error) => {
                    assert_eq!(error.raw_os_error(), Some(Errno::MFILE.raw_os_error()));
                    failed += 1;
                }
            }
            taken.pop();
        }
        assert!((1..9).contains(&failed), "{failed}");
    }

    #[test]
    fn what_is_told_of_a_process_is_read_to_its_end() {
        let proc = open(CWD, "/proc", OFlags::DIRECTORY).unwrap();
        let own = Process::of(&proc, std::process::id()).unwrap().unwrap();
        let told = own.read("smaps").unwrap().unwrap();
        assert!(told.len() > 2 * PAGE);
        // Mapped above nearly all else.
        assert!(String::from_utf8_lossy(&told).contains("[stack]"));
        assert!(own.read("nothing").unwrap().is_none());
    }

    #[test]
    fn the_access_mode_is_read_from_the_flags() {
        assert!(!is_writing("pos:\t0\nflags:\t0100000\nmnt_id:\t30\n"));
        assert!(is_writing("pos:\t0\nflags:\t0100001\nmnt_id:\t30\n"));
        assert!(is_writing("pos:\t0\nflags:\t02100002\n"));
        assert!(!is_writing("flags:\tnone\n"));
        assert!(!is_writing(""));
    }
}
