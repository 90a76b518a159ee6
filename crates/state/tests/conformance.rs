//! Both implementations keep every rule.

use std::sync::Arc;

use async_trait::async_trait;
use stillpoint_state::conformance::TestBed;
use stillpoint_state::{Memory, State};

struct InMemory;

#[async_trait]
impl TestBed for InMemory {
    async fn fresh(&self) -> Arc<dyn State> {
        Arc::new(Memory::new())
    }

    async fn reopen(&self, _: Arc<dyn State>) -> Option<Arc<dyn State>> {
        None
    }
}

mod memory {
    stillpoint_state::conformance_tests!(super::InMemory);
}

#[cfg(feature = "redb")]
mod redb {
    use super::*;
    use stillpoint_state::Redb;
    use tempfile::TempDir;

    struct InFile(TempDir);

    impl InFile {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }
    }

    #[async_trait]
    impl TestBed for InFile {
        async fn fresh(&self) -> Arc<dyn State> {
            Arc::new(Redb::create(self.0.path().join("state.redb")).unwrap())
        }

        async fn reopen(&self, state: Arc<dyn State>) -> Option<Arc<dyn State>> {
            drop(state);
            Some(Arc::new(
                Redb::open(self.0.path().join("state.redb")).unwrap(),
            ))
        }
    }

    stillpoint_state::conformance_tests!(InFile::new());
}
