//! Other tools read what we write, and we read what they write: unzip, zip, 7z, Python's zipfile.

mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use stillpoint_archive::{
    Assurance, EntryOptions, ExtractOptions, Limits, OpenOptions, Refusal, Strictness, TreeOptions,
    VerifyLevel, Watch, WriteOptions, Writer, create, extract, verify, verify_stream,
};
use tree::{Tree, contents, tree};

/// Runs a command line in `folder`; `$1` and so on are the arguments.
fn sh(folder: &Path, script: &str, arguments: &[&Path]) {
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script, "bash"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let (out, err) = (&output.stdout, &output.stderr);
    let said = [&out[..], &err[..]].concat();
    assert!(
        output.status.success(),
        "{script}\n{}",
        String::from_utf8_lossy(&said)
    );
}

/// Archives of one tree by every way we have to write one.
fn ours(folder: &Path, source: &Path) -> Vec<PathBuf> {
    let file = folder.join("file.zip");
    create(&file, &WriteOptions::new(), |w| {
        w.tree("", source, TreeOptions::new())
    })
    .unwrap();
    let stream = folder.join("stream.zip");
    let sink = fs::File::create(&stream).unwrap();
    let mut writer = Writer::stream(sink, &WriteOptions::new()).unwrap();
    writer.tree("", source, TreeOptions::new()).unwrap();
    writer.finish().unwrap();
    vec![file, stream]
}

/// What was archived, of all that a tool extracted.
fn without_own(mut tree: Tree) -> Tree {
    assert!(tree.remove("metadata.json").is_some());
    let before = tree.len();
    tree.retain(|path, _| !path.starts_with("META-INF"));
    assert_eq!(before - tree.len(), 2);
    tree
}

fn ours_come_out_of(test_and_extract: &str, modes: bool) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    tree::fill(&source);
    let before = tree(&source);
    for archive in ours(folder.path(), &source) {
        let target = archive.with_extension("out");
        fs::create_dir(&target).unwrap();
        sh(folder.path(), test_and_extract, &[&archive, &target]);
        let after = without_own(tree(&target));
        assert!(
            contents(&after) == contents(&before),
            "{}",
            archive.display()
        );
        if modes {
            let bits = |tree: &Tree| -> Vec<u32> { tree.values().map(|found| found.0).collect() };
            assert_eq!(bits(&after), bits(&before), "{}", archive.display());
        }
    }
}

#[test]
#[ignore = "needs unzip; .ci/run runs it"]
fn unzip_reads_ours() {
    ours_come_out_of("unzip -tqq $1; unzip -qq $1 -d $2", true);
}

#[test]
#[ignore = "needs 7z; .ci/run runs it"]
fn seven_zip_reads_ours() {
    ours_come_out_of("7z t $1; 7z x -o$2 $1", true);
}

#[test]
#[ignore = "needs python3; .ci/run runs it"]
fn zipfile_reads_ours() {
    let script = r#"python3 - $1 $2 <<'END'
import sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
assert archive.testzip() is None
archive.extractall(sys.argv[2])
END"#;
    ours_come_out_of(script, false);
}

/// `pack` writes the folder it runs in to `$1`; what it does not want there it removes.
fn theirs_come_out(pack: &str, strictness: Strictness, modes: bool) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    tree::fill(&source);
    let archive = folder.path().join("theirs.zip");
    sh(&source, pack, &[&archive]);
    let before = tree(&source);
    // The sparse file packs better than what no manifest declares may.
    let limits = Limits {
        ratio: 1032,
        ..Limits::default()
    };
    let options = OpenOptions::new().strictness(strictness).limits(limits);
    let opened = options.open(&archive).unwrap();
    let report = verify(&opened, VerifyLevel::Full, &Watch::none()).unwrap();
    assert_eq!(report.assurance, Assurance::CrcOnly);
    let stream = fs::File::open(&archive).unwrap();
    let streamed = verify_stream(stream, &options, &Watch::none()).unwrap();
    assert_eq!(streamed.content_digest, report.content_digest);
    let target = folder.path().join("target");
    extract(&opened, &target, &ExtractOptions::new(), &Watch::none()).unwrap();
    let after = tree(&target);
    assert!(contents(&after) == contents(&before), "{pack}");
    if modes {
        assert!(after == before, "{pack}");
    }
}

#[test]
#[ignore = "needs zip; .ci/run runs it"]
fn we_read_zip() {
    // It does not mark names as UTF-8.
    theirs_come_out("rm -r \u{e4}; zip -qr $1 .", Strictness::Lenient, true);
    theirs_come_out("rm -r \u{e4}; zip -qrX1 $1 .", Strictness::Lenient, true);
    // To a pipe it writes data descriptors, also for what is empty.
    let pack = "rm -r \u{e4}; zip -qrX - . | cat >$1";
    theirs_come_out(pack, Strictness::Lenient, true);
}

#[test]
#[ignore = "needs zip; .ci/run runs it"]
fn names_zip_does_not_mark_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    tree::fill(&source);
    let refusal = |pack: &str| {
        let archive = tempfile::tempdir().unwrap().path().with_extension("zip");
        sh(&source, pack, &[&archive]);
        let lenient = OpenOptions::new().strictness(Strictness::Lenient);
        let error = lenient.open(&archive).unwrap_err();
        fs::remove_file(&archive).unwrap();
        error.refusal().cloned()
    };
    let unmarked = refusal("zip -qr $1 \u{e4}");
    assert_eq!(unmarked, Some(Refusal::BadUtf8));
}

#[test]
#[ignore = "needs 7z; .ci/run runs it"]
fn we_read_seven_zip() {
    theirs_come_out("7z a -tzip $1 .", Strictness::Lenient, true);
    theirs_come_out("7z a -tzip -mx=0 $1 .", Strictness::Lenient, true);
}

#[test]
#[ignore = "needs python3; .ci/run runs it"]
fn we_read_zipfile_strictly() {
    let pack = |sink: &str| {
        format!(
            r#"python3 - $1 <<'END'
import os, sys, zipfile
sink = {sink}
archive = zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED)
for folder, folders, files in os.walk("."):
    for name in sorted(folders + files):
        archive.write(os.path.join(folder, name))
archive.close()
sink.close()
END"#
        )
    };
    theirs_come_out(&pack("open(sys.argv[1], 'wb')"), Strictness::Strict, true);
    // Without seeking it writes data descriptors.
    let pipe = "os.popen('cat >' + sys.argv[1], 'w').buffer";
    theirs_come_out(&pack(pipe), Strictness::Strict, true);
}

#[test]
#[ignore = "needs unzip, 7z and python3, and three minutes: by hand"]
fn more_than_four_gib_go_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    let ours = folder.path().join("ours.zip");
    let size = (4 << 30) + 12_345;
    create(&ours, &WriteOptions::new(), |writer| {
        let mut disk = writer.entry("disk.img", &EntryOptions::new())?;
        disk.hole(size - 5)?;
        std::io::Write::write_all(&mut disk, b"after").unwrap();
        disk.finish()
    })
    .unwrap();
    let script = r#"unzip -tqq $1; 7z t $1
test "$(unzip -p $1 disk.img | tail -c 5)" = after
python3 - $1 $2 <<'END'
import sys, zipfile
size = zipfile.ZipFile(sys.argv[1]).getinfo("disk.img").file_size
with zipfile.ZipFile(sys.argv[2], "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
    with archive.open("disk.img", "w", force_zip64=True) as disk:
        zeros = bytes(1 << 20)
        for _ in range(size >> 20):
            disk.write(zeros)
        disk.write(bytes(size % (1 << 20) - 5) + b"after")
END"#;
    let theirs = folder.path().join("theirs.zip");
    sh(folder.path(), script, &[&ours, &theirs]);
    let limits = Limits {
        ratio: 1032,
        ..Limits::default()
    };
    let theirs = OpenOptions::new().limits(limits).open(&theirs).unwrap();
    let ours = OpenOptions::new().open(&ours).unwrap();
    let of = |archive| {
        let report = verify(archive, VerifyLevel::Full, &Watch::none()).unwrap();
        report.content_digest
    };
    assert_eq!(theirs.entry("disk.img").unwrap().size(), size);
    assert_eq!(of(&ours), of(&theirs));
}
