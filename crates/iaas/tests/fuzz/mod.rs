//! The body of the fuzz target, which the fuzzer and `replay_corpus.rs` both run.

use stillpoint_core::ErrorKind;
use stillpoint_iaas::OperationKey;

/// What is accepted can stand in a label, an object's name and a file's name, and is read and
/// written alike; what is not is told why.
pub(crate) fn operation_key(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match text.parse::<OperationKey>() {
        Ok(key) => {
            assert_eq!(key.to_string(), text);
            assert!((1..=OperationKey::MAX).contains(&text.len()));
            assert!(!text.contains(['/', '\\', '\0']) && !text.starts_with('.'));
            let json = serde_json::to_string(&key).unwrap();
            assert_eq!(serde_json::from_str::<OperationKey>(&json).unwrap(), key);
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Invalid);
            // It goes to terminals and logs.
            let told = error.to_string();
            assert!(
                told.len() < 2048 && !told.chars().any(char::is_control),
                "{error:?}"
            );
        }
    }
}
