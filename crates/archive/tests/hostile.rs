//! Every attack is refused, by every way in; what is benign opens.

use std::fs::{self, File};
use std::path::PathBuf;

use stillpoint_archive::{
    Archive, OpenOptions, Strictness, VerifyLevel, Watch, verify, verify_stream,
};

fn corpus() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/hostile");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn name(path: &std::path::Path) -> &str {
    path.file_stem().unwrap().to_str().unwrap()
}

const BENIGN: [&str; 2] = ["deflate_trailing", "ok"];

#[test]
fn attacks_are_refused_strictly_and_leniently() {
    let mut refused = 0;
    for path in corpus() {
        for strictness in [Strictness::Strict, Strictness::Lenient] {
            let options = OpenOptions::new().strictness(strictness);
            let result = options
                .open(&path)
                .and_then(|archive| verify(&archive, VerifyLevel::Full, &Watch::none()));
            let stream = File::open(&path).unwrap();
            let streamed = verify_stream(stream, &options, &Watch::none());
            if BENIGN.contains(&name(&path)) {
                result.unwrap();
                streamed.unwrap();
                continue;
            }
            let error = result.expect_err(name(&path));
            assert!(error.refusal().is_some(), "{}: {error}", name(&path));
            let error = streamed.expect_err(name(&path));
            assert!(error.refusal().is_some(), "{}: {error}", name(&path));
            refused += 1;
        }
    }
    assert_eq!(refused, 55 * 2);
}

/// The reasons, so that no attack is refused by luck.
#[test]
fn attacks_are_refused_for_what_they_are() {
    let expected = [
        ("abs", "AbsoluteName"),
        ("ads", "DeviceName"),
        ("backslash", "BackslashInName"),
        ("bad_utf8", "BadUtf8"),
        ("case", "CaseTwin"),
        ("cd_crc_mismatch", "HeaderMismatch"),
        ("cd_size_lie", "SizeMismatch"),
        ("chardev", "FileType"),
        ("ctrl", "ControlInName"),
        ("deep", "Limit"),
        ("dev_con", "DeviceName"),
        ("dir_file", "FileAsFolder"),
        ("dir_with_data", "FileType"),
        ("dot", "BadComponent"),
        ("dotdot", "BadComponent"),
        ("dotdot_mid", "BadComponent"),
        ("drive2", "DriveName"),
        ("dup", "Duplicate"),
        ("empty_name", "BadComponent"),
        ("enc_flag", "Encrypted"),
        ("eocd64_vs_eocd32", "WrongCounts"),
        ("eocd_count_high", "WrongCounts"),
        ("eocd_count_low", "WrongCounts"),
        ("fifield_overlap", "Overlap"),
        ("fifo", "FileType"),
        ("gap_before_cd", "Gap"),
        ("junk_end", "NoEndRecord"),
        ("lfh_dd_flag_only", "HeaderMismatch"),
        ("lfh_method_mismatch", "HeaderMismatch"),
        ("lfh_name_mismatch", "HeaderMismatch"),
        ("long_name", "Limit"),
        ("multidisk", "MultiDisk"),
        ("nfc", "CaseTwin"),
        ("overlap_same_local", "Overlap"),
        ("ratio", "Ratio"),
        ("setuid", "Mode"),
        ("sym_abs", "FileType"),
        ("trunc", "NoEndRecord"),
        ("unicode_path_extra", "ExtraField"),
        ("zip64_extra_unneeded", "Zip64"),
    ];
    for (name, reason) in expected {
        let path = format!("{}/testdata/hostile/{name}.zip", env!("CARGO_MANIFEST_DIR"));
        let error = Archive::open(path).expect_err(name);
        let found = format!("{:?}", error.refusal().expect(name));
        assert!(found.starts_with(reason), "{name}: {found}");
    }
}
