//! What must hold of every world at its end.
//!
//! It reads the durable keys themselves, not through the code that wrote them.

mod clouds;
mod durable;
mod jobs;

use stillpoint_core::Result;

use crate::world::World;

pub(crate) use self::jobs::Jobs;

/// All that is violated.
pub(crate) async fn all(world: &World) -> Vec<String> {
    match try_all(world).await {
        Ok(violations) => violations,
        Err(error) => vec![format!("what is durable cannot be read: {error}")],
    }
}

async fn try_all(world: &World) -> Result<Vec<String>> {
    let jobs = Jobs::of(world);
    let known = jobs.known().await?;
    let mut violations = Vec::new();
    clouds::inventory(world, &known, &mut violations);
    clouds::guests(world, &mut violations);
    clouds::foreign(world, &mut violations);
    jobs::ends(world, &known, &mut violations);
    durable::locks(world, &known, &mut violations).await?;
    durable::holds(world, &known, &mut violations).await?;
    durable::audit(world, &known, &mut violations).await?;
    durable::once(world, &known, &mut violations).await?;
    Ok(violations)
}
