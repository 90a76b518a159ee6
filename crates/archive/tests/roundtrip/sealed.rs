use stillpoint_archive::{
    Assurance, Class, EntryOptions, Error, ExtractOptions, Limits, OpenOptions, Passphrase,
    Refusal, SecretKey, VerifyLevel, Watch, WriteOptions, Writer, extract, verify,
};

use crate::tree::mixed;
use crate::{content, stream};

#[test]
fn sealed_entries_open_with_the_key_and_only_with_it() {
    let (mine, other) = (SecretKey::generate(), SecretKey::generate());
    let secret = mixed();
    let options = WriteOptions::new()
        .seal_for(mine.public())
        .seal_for(Passphrase::new("correct horse").danger_work_factor(4));
    let bytes = stream(&options, |writer| {
        let about = EntryOptions::new().class(Class::Secret);
        writer
            .bytes("ssl/key.pem", "-----BEGIN PRIVATE KEY-----", &about)
            .unwrap();
        writer.bytes("ssl/empty", "", &about).unwrap();
        writer.bytes("disk.img", secret.clone(), &about).unwrap();
        writer
            .bytes("public.txt", "hello", &EntryOptions::new())
            .unwrap();
    });
    assert!(!bytes.windows(11).any(|window| window == b"PRIVATE KEY"));

    let locked = OpenOptions::new().open_source(bytes.clone()).unwrap();
    let report = verify(&locked, VerifyLevel::Full, &Watch::none()).unwrap();
    assert_eq!(
        (report.assurance, report.sealed, report.opened),
        (Assurance::Verified, 3, false)
    );
    assert_eq!(report.content_digest, None);
    assert!(matches!(
        locked.read("ssl/key.pem"),
        Err(Error::KeyMissing { sealed: 3, .. })
    ));
    assert_eq!(locked.read("public.txt").unwrap(), b"hello");
    assert!(locked.entry("ssl/key.pem.sealed").is_some());
    // As deep a name as one likes asks for no more stack.
    assert!(locked.entry(&".sealed".repeat(100_000)).is_none());
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("t");
    let refused = extract(&locked, &target, &ExtractOptions::new(), &Watch::none());
    assert!(matches!(refused, Err(Error::KeyMissing { .. })));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    let wrong = OpenOptions::new()
        .identity(other)
        .open_source(bytes.clone());
    assert!(matches!(wrong, Err(Error::KeyMismatch { .. })));
    let wrong = Passphrase::new("incorrect horse");
    let wrong = OpenOptions::new()
        .identity(wrong)
        .open_source(bytes.clone());
    assert!(matches!(wrong, Err(Error::KeyMismatch { .. })));

    let mut digests = Vec::new();
    let by_key = OpenOptions::new().identity(mine);
    let by_phrase = OpenOptions::new().identity(Passphrase::new("correct horse"));
    for (n, options) in [by_key, by_phrase].into_iter().enumerate() {
        let open = options.open_source(bytes.clone()).unwrap();
        assert_eq!(
            open.read("ssl/key.pem").unwrap(),
            b"-----BEGIN PRIVATE KEY-----"
        );
        assert_eq!(open.read("ssl/empty").unwrap(), b"");
        assert!(content(&open, "disk.img") == secret);
        let report = verify(&open, VerifyLevel::Deep, &Watch::none()).unwrap();
        assert!(report.opened);
        digests.push(report.content_digest.unwrap());
        let target = folder.path().join(n.to_string());
        extract(&open, &target, &ExtractOptions::new(), &Watch::none()).unwrap();
        assert!(std::fs::read(target.join("disk.img")).unwrap() == secret);
        assert!(!target.join("META-INF").exists());
    }
    let clear = stream(&WriteOptions::new().danger_secrets_in_clear(), |writer| {
        let about = EntryOptions::new().class(Class::Secret);
        writer.bytes("disk.img", secret.clone(), &about).unwrap();
        writer
            .bytes("public.txt", "hello", &EntryOptions::new())
            .unwrap();
        writer
            .bytes("ssl/key.pem", "-----BEGIN PRIVATE KEY-----", &about)
            .unwrap();
        writer.bytes("ssl/empty", "", &about).unwrap();
    });
    let clear = OpenOptions::new().open_source(clear).unwrap();
    let clear = verify(&clear, VerifyLevel::Full, &Watch::none())
        .unwrap()
        .content_digest;
    assert_eq!(digests, [clear.unwrap(); 2]);
}

#[test]
fn secrets_without_anyone_to_seal_for_are_an_error() {
    let mut bytes = Vec::new();
    let mut writer = Writer::stream(&mut bytes, &WriteOptions::new()).unwrap();
    let about = EntryOptions::new().class(Class::Secret);
    let error = writer.bytes("key", "secret", &about).unwrap_err();
    assert!(
        error.to_string().contains("nobody to seal it for"),
        "{error}"
    );
}

#[test]
fn what_is_sealed_is_within_the_limits_too() {
    let key = SecretKey::generate();
    let bytes = stream(&WriteOptions::new().seal_for(key.public()), |writer| {
        let about = EntryOptions::new().class(Class::Secret);
        writer.bytes("zeros", vec![0; 4 << 20], &about).unwrap();
    });
    let within = |limits| OpenOptions::new().limits(limits).open_source(bytes.clone());
    for limits in [
        Limits {
            entry: 1 << 20,
            ..Limits::default()
        },
        Limits {
            total: 1 << 20,
            ..Limits::default()
        },
    ] {
        let error = within(limits).unwrap_err();
        let refusal = error.refusal();
        assert!(matches!(refusal, Some(Refusal::Limit { .. })), "{error}");
    }
    within(Limits::default()).unwrap();
}

#[test]
fn only_so_many_passphrases_are_tried() {
    let open = |count: usize| {
        let phrase = |_| Passphrase::new("right").danger_work_factor(2);
        let options = (0..count).map(phrase);
        let options = options.fold(WriteOptions::new(), WriteOptions::seal_for);
        let bytes = stream(&options, |_| {});
        let identity = Passphrase::new("wrong");
        OpenOptions::new().identity(identity).open_source(bytes)
    };
    assert!(matches!(open(8), Err(Error::KeyMismatch { .. })));
    let error = open(9).unwrap_err();
    let refusal = error.refusal();
    assert!(
        matches!(refusal, Some(Refusal::Limit { limit: 8, .. })),
        "{error}"
    );
}
