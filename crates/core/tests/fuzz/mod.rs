//! The body of the fuzz target, which the fuzzer and `replay_corpus.rs` both run.

use stillpoint_core::{ErrorKind, ResourceRef};

/// What is accepted is read and written alike, by each of its ways; what is not is told why.
pub(crate) fn resource_ref(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match text.parse::<ResourceRef>() {
        Ok(resource) => {
            assert_eq!(resource.to_string(), text);
            assert!(resource.provider().len() <= ResourceRef::MAX_PROVIDER);
            assert!((1..=ResourceRef::MAX_ID).contains(&resource.id().len()));
            let made = ResourceRef::new(resource.provider(), resource.kind(), resource.id());
            assert_eq!(made.unwrap(), resource);
            let json = serde_json::to_string(&resource).unwrap();
            assert_eq!(
                serde_json::from_str::<ResourceRef>(&json).unwrap(),
                resource
            );
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Invalid);
            // It goes to terminals and logs.
            assert!(
                !error.to_string().chars().any(char::is_control),
                "{error:?}"
            );
        }
    }
}
