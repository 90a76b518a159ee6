//! Who has a file open for writing: an advisory lock would tell only of those who take it.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Stat, major, minor};

use crate::lock::process;

/// Everything that could write to the file, named for a person: processes with a descriptor or a
/// shared mapping, and loop devices.
///
/// Processes of other users show this to root only; against those, and whoever opens the file
/// later, its change time is compared before and after.
pub(crate) fn writers(of: &Stat, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    for pid in pids() {
        if has_descriptor(pid, of) || has_mapping(pid, of, name) {
            found.push(process(pid));
        }
    }
    found.extend(loop_devices(of));
    found
}

fn pids() -> Vec<u32> {
    names("/proc")
        .iter()
        .filter_map(|name| name.parse().ok())
        .collect()
}

fn has_descriptor(pid: u32, of: &Stat) -> bool {
    names(format!("/proc/{pid}/fd")).iter().any(|number| {
        fs::metadata(format!("/proc/{pid}/fd/{number}")).is_ok_and(|file| is(&file, of))
            && fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}"))
                .is_ok_and(|info| is_writing(&info))
    })
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
fn has_mapping(pid: u32, of: &Stat, name: &str) -> bool {
    let device = format!("{:02x}:{:02x}", major(of.st_dev), minor(of.st_dev));
    let inode = of.st_ino.to_string();
    fs::read_to_string(format!("/proc/{pid}/maps")).is_ok_and(|maps| {
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
                    && (*of_device == device || path.join(" ").ends_with(&format!("/{name}")))
            })
    })
}

/// Loop devices hold their file inside the kernel, where no process shows it.
fn loop_devices(of: &Stat) -> Vec<String> {
    names("/sys/block")
        .into_iter()
        .filter(|name| name.starts_with("loop"))
        .filter(|name| {
            let of_device = |what: &str| fs::read_to_string(format!("/sys/block/{name}/{what}"));
            of_device("ro").is_ok_and(|ro| ro.trim() == "0")
                && of_device("loop/backing_file")
                    .and_then(|path| fs::metadata(path.trim_end_matches('\n')))
                    .is_ok_and(|file| is(&file, of))
        })
        .map(|name| format!("/dev/{name}"))
        .collect()
}

fn is(file: &Metadata, of: &Stat) -> bool {
    file.ino() == of.st_ino && file.dev() == of.st_dev
}

fn names(folder: impl AsRef<Path>) -> Vec<String> {
    // A process that ended meanwhile, or is not ours to see, has no names.
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
