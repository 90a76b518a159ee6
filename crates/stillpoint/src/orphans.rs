//! What a provider has that nobody here knows of.

use stillpoint_core::{Error, ResourceRef, Result};
use stillpoint_engine::{Engine, Job, Orphans, Request};

use crate::ask::{Ask, Wish, sealed};
use crate::stillpoint::Stillpoint;

/// Something of ours that nobody knows of, to be removed.
#[derive(Clone, Debug)]
pub struct Remove {
    resource: ResourceRef,
}

impl Stillpoint {
    /// Sorts all that a provider has by whose it is: what is tracked, what a journal says that we
    /// made and nobody knows of, and what is foreign. Changes nothing.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::orphans`].
    pub async fn orphans(&self, provider: &str) -> Result<Orphans> {
        self.engine().orphans(provider).await
    }

    /// Asks for something [untracked](Orphans::untracked) to be removed. What is tracked or foreign
    /// is refused.
    pub fn remove<R>(&self, resource: R) -> Ask<Remove>
    where
        R: TryInto<ResourceRef>,
        R::Error: Into<Error>,
    {
        let resource = resource.try_into().map_err(Into::into);
        let wish = resource.map(|resource| Remove { resource });
        Ask::new(self.engine().clone(), wish)
    }
}

impl sealed::Sealed for Remove {}

impl Wish for Remove {
    type Output = ();

    fn request(&self) -> Request {
        Request::Remove {
            resource: self.resource.clone(),
        }
    }

    async fn output(_: &Engine, _: Job) -> Result<()> {
        Ok(())
    }
}
