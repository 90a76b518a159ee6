use stillpoint_archive::{
    Archive, Error, ExtractOptions, Refusal, TreeOptions, Watch, WriteOptions, create, extract,
};

use crate::tree::{mixed, tree};

#[test]
fn a_tree_comes_back_as_it_was() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    std::fs::create_dir_all(source.join("a/empty")).unwrap();
    std::fs::create_dir_all(source.join("ä/deep/er")).unwrap();
    std::fs::write(source.join("a/one"), "1").unwrap();
    std::fs::write(source.join("ä/deep/er/two"), "2".repeat(5000)).unwrap();
    std::fs::write(source.join("none"), "").unwrap();
    std::fs::write(source.join("large"), mixed()).unwrap();
    std::fs::set_permissions(source.join("a"), PermissionsExt::from_mode(0o500)).unwrap();
    let path = folder.path().join("a.zip");
    create(&path, &WriteOptions::new(), |w| {
        w.tree("", &source, TreeOptions::new())
    })
    .unwrap();
    let target = folder.path().join("target");
    std::fs::create_dir(&target).unwrap();
    let archive = Archive::open(&path).unwrap();
    extract(
        &archive,
        &target,
        &ExtractOptions::new().durable(),
        &Watch::none(),
    )
    .unwrap();
    assert_eq!(tree(&source), tree(&target));
    assert_eq!(
        target.join("a").metadata().unwrap().permissions().mode() & 0o777,
        0o500
    );
    let again = extract(&archive, &target, &ExtractOptions::new(), &Watch::none());
    assert!(matches!(again, Err(Error::Exists(_))));
    let only = folder.path().join("only");
    let options = ExtractOptions::new().only(|path| path.ends_with("two"));
    assert_eq!(
        extract(&archive, &only, &options, &Watch::none())
            .unwrap()
            .files,
        1
    );
    assert!(only.join("ä/deep/er/two").exists());

    std::os::unix::fs::symlink("/etc/passwd", source.join("link")).unwrap();
    let result = create(folder.path().join("b.zip"), &WriteOptions::new(), |w| {
        w.tree("", &source, TreeOptions::new())
    });
    assert!(matches!(
        result.unwrap_err().refusal(),
        Some(Refusal::FileType(_))
    ));
}
