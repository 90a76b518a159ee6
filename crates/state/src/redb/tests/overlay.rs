use proptest::prelude::*;
use redb::StorageBackend;

use crate::redb::overlay::Overlay;
use crate::redb::tests::disk::Disk;

#[derive(Clone, Debug)]
enum Step {
    Length(u64),
    Read(u64, usize),
    Write(u64, Vec<u8>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let offset = 0_u64..20_000;
    let step = prop_oneof![
        offset.clone().prop_map(Step::Length),
        (offset.clone(), 0_usize..9000).prop_map(|(at, length)| Step::Read(at, length)),
        (offset, 0_usize..9000, any::<u8>()).prop_map(|(at, n, b)| Step::Write(at, vec![b; n])),
    ];
    prop::collection::vec(step, 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_overlay_is_a_file_and_leaves_the_one_below(length in 0_usize..20_000, steps in steps()) {
        let below: Vec<u8> = (0..length).map(|at| at as u8).collect();
        let disk = Disk::holding(below.clone());
        let overlay = Overlay::new(Box::new(disk.clone())).unwrap();
        let mut model = below.clone();
        for step in steps {
            match step {
                Step::Length(length) => {
                    overlay.set_len(length).unwrap();
                    model.resize(length as usize, 0);
                }
                Step::Read(at, length) => {
                    let mut out = vec![0; length];
                    let found = overlay.read(at, &mut out);
                    let due = model.get(at as usize..at as usize + length);
                    prop_assert_eq!(found.is_ok(), due.is_some());
                    prop_assert!(due.is_none_or(|due| due == out));
                }
                Step::Write(at, data) => {
                    let room = model.get_mut(at as usize..at as usize + data.len());
                    let outcome = overlay.write(at, &data);
                    prop_assert_eq!(outcome.is_ok(), room.is_some());
                    if let Some(room) = room {
                        room.copy_from_slice(&data);
                    }
                }
            }
            prop_assert_eq!(overlay.len().unwrap(), model.len() as u64);
        }
        let mut whole = vec![0; model.len()];
        overlay.read(0, &mut whole).unwrap();
        prop_assert_eq!(whole, model);
        let mut left = vec![0; length];
        disk.read(0, &mut left).unwrap();
        prop_assert_eq!(left, below);
    }
}
