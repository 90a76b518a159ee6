use std::collections::BTreeMap;

use proptest::prelude::*;
use stillpoint_archive::{
    Class, EntryOptions, Level, Metadata, OpenOptions, Packing, SecretKey, VerifyLevel, Watch,
    WriteOptions, Writer, create, verify, verify_stream,
};

use crate::tree::noise;
use crate::{MIB, content, stream};

/// Content by its description, so that a failure can be read.
#[derive(Clone, Debug)]
enum Make {
    Bytes(Vec<u8>),
    Noise(usize),
    Text(String, usize),
    Zeros(usize),
}

impl Make {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Make::Bytes(bytes) => bytes.clone(),
            Make::Noise(size) => noise(*size, 3),
            Make::Text(text, times) => text.repeat(*times).into_bytes(),
            Make::Zeros(size) => vec![0; *size],
        }
    }
}

fn entries() -> impl Strategy<Value = BTreeMap<String, Make>> {
    let name = "[a-c]{1,2}(/[d-f]{1,2}){0,2}/[g-jö]{1,3}";
    let content = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..100).prop_map(Make::Bytes),
        ("[a-z ]{0,40}", 0usize..200).prop_map(|(text, times)| Make::Text(text, times)),
        (0usize..3 * MIB).prop_map(Make::Zeros),
        (0usize..3, 0usize..3).prop_map(|(n, more)| Make::Noise(n * MIB + more)),
    ];
    prop::collection::btree_map(name, content, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn anything_comes_back(
        entries in entries(),
        level in 1u8..=9,
        seekable: bool,
        sealed: bool,
    ) {
        let key = SecretKey::generate();
        let class = if sealed { Class::Secret } else { Class::Public };
        let options = WriteOptions::new()
            .packing(Packing::Deflate(Level::new(level)))
            .seal_for(key.public())
            .metadata(Metadata::Verbatim(b"{\"snapshot_version\": \"7.1.0\"}".to_vec()));
        let about = EntryOptions::new().class(class);
        let fill = |writer: &mut Writer<'_>| {
            entries.iter().try_for_each(|(name, bytes)| writer.bytes(name, bytes.bytes(), &about))
        };
        let bytes = if seekable {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.zip");
            create(&path, &options, fill).unwrap();
            std::fs::read(path).unwrap()
        } else {
            stream(&options, |writer| fill(writer).unwrap())
        };
        let streamed = verify_stream(&bytes[..], &OpenOptions::new(), &Watch::none()).unwrap();
        let remote = OpenOptions::new().headers_on_read().identity(key.clone());
        let remote = remote.open_source(bytes.clone()).unwrap();
        let archive = OpenOptions::new().identity(key).open_source(bytes).unwrap();
        let report = verify(&archive, VerifyLevel::Deep, &Watch::none()).unwrap();
        prop_assert_eq!(report.files, streamed.files);
        prop_assert_eq!(report.files as usize, entries.len() + 3);
        for (name, bytes) in &entries {
            prop_assert!(content(&archive, name) == bytes.bytes());
            prop_assert!(content(&remote, name) == bytes.bytes());
        }
    }
}
