//! An instance taken whole: by Nova's `createImage`, since Nova alone freezes it and holds it so
//! until Cinder has all of its volumes; or by Cinder, as the group that its volumes are.
//!
//! The snapshots of a group are named as it is, and get our marks then. Nova makes the Cinder
//! snapshots before anything of ours is on them, and an image that lists them. So the image's name
//! has our key, and theirs has the image's name; then they get our marks, and the image goes: it was
//! only the list.

use std::collections::BTreeMap;

use jiff::Timestamp;
use stillpoint_core::{
    CopyKind, Error, ErrorKind, Labels, ResourceKind, ResourceRef, Result, World,
};
use stillpoint_iaas::{DiskOf, Observation, Output, TakeSnapshot, TakenPart, Ticket};

use super::snapshot::{FROZEN, check_limits, mark_of, output, stage};
use super::{Ask, root_of};
use crate::api::cinder::Snapshot;
use crate::api::nova::Server;
use crate::cloud::{GIB, running, time};
use crate::leases::busy;
use crate::made::{Stage, failed};
use crate::marks;
use crate::outlook::lacks;

/// Longest name of an image that leaves room for what Nova writes before it.
const LONGEST: usize = 200;

/// Whether Nova is to take it whole: several volumes of an instance, or one that is to be frozen.
pub(super) fn is_whole(take: &TakeSnapshot) -> bool {
    let in_cinder = |part: &DiskOf| root_of(&part.volume).is_none();
    take.source.kind() == ResourceKind::Instance
        && take.parts.iter().all(in_cinder)
        && (take.parts.len() > 1 || take.quiesce.is_some())
}

impl Ask<'_> {
    pub(super) async fn take_whole(self, take: &TakeSnapshot) -> Result<Ticket> {
        let on = |error: Error| error.on(take.source.clone());
        let id = self.cloud.id(&take.source, ResourceKind::Instance)?;
        let session = &self.cloud.session;
        let mut metadata = marks::metadata(self.key, &take.labels)?;
        let server = session.server(id).await.map_err(on)?;
        let group = self.check_whole(&server, take).await.map_err(on)?;
        metadata.extend(self.server_marks(&server).await.map_err(on)?);
        let name = self.image_name(take);
        if let Some(group) = group {
            metadata.insert(marks::CAPTURE.into(), mark_of(server.is_off()).into());
            let taken = session.take_group(&group, &name).await.map_err(on)?;
            let ids: Vec<_> = taken.into_iter().map(|it| it.id).collect();
            self.mark_all(&ids, take, &metadata)
                .await
                .map_err(|error| on(error.leaving(World::Unknown)))?;
            return Ok(self.ticket(id));
        }
        // It is only a list: among its properties the labels could be some that Nova reads.
        let own = marks::metadata(self.key, &Labels::new())?;
        let image = match session.create_image(id, &name, &own).await {
            Ok(image) => image,
            Err(error) => return Err(on(self.not_frozen(error, &name).await)),
        };
        let marked = async {
            let image = image.unwrap_or_default();
            let seen = session.image(&image).await?;
            // What is said of the instance's own image was copied to this one by Nova.
            let frozen = server.status == "ACTIVE" && lacks(|name| seen.property(name)).is_none();
            let capture = if frozen {
                FROZEN
            } else {
                mark_of(server.is_off())
            };
            metadata.insert(marks::CAPTURE.into(), capture.into());
            let mapped = seen.mapping().into_iter();
            let ids: Vec<_> = mapped.filter_map(|it| it.snapshot_id).collect();
            self.mark_all(&ids, take, &metadata).await?;
            session.delete_image(&image).await
        };
        // Whatever is lost from here on is found by the key.
        marked
            .await
            .map_err(|error| on(error.leaving(World::Unknown)))?;
        Ok(self.ticket(id))
    }

    /// Gives each what tells that it is ours, and then the name that was asked for.
    async fn mark_all(
        &self,
        snapshots: &[String],
        take: &TakeSnapshot,
        metadata: &BTreeMap<String, String>,
    ) -> Result<()> {
        let session = &self.cloud.session;
        for snapshot in snapshots {
            session
                .add_metadata("snapshots", snapshot, metadata)
                .await?;
            session.rename_snapshot(snapshot, &take.name).await?;
        }
        Ok(())
    }

    /// Whether it can be taken; and the group, where Cinder is to do it.
    async fn check_whole(&self, server: &Server, take: &TakeSnapshot) -> Result<Option<String>> {
        let session = &self.cloud.session;
        if server.image_id().is_some() {
            let what = "it was launched from an image, so Nova takes its root disk alone";
            return Err(Error::new(ErrorKind::Unsupported, what)
                .advise("Ask for each volume by itself, without freezing"));
        }
        let attached = session.attached(&server.id).await?;
        let asked = |id: &str| take.parts.iter().any(|part| part.volume.id() == id);
        if attached.len() != take.parts.len() || !attached.iter().all(|it| asked(&it.volume)) {
            let what = "Nova takes all volumes of an instance, and other ones are asked for";
            return Err(Error::new(ErrorKind::Unsupported, what).advise("Ask for all of them"));
        }
        if let Some(task) = &server.task {
            return Err(busy(&format!("it is in task `{task}`")));
        }
        let mut volumes = Vec::new();
        for one in &attached {
            volumes.push(session.volume(&one.volume).await?);
        }
        let sizes: Vec<_> = volumes.iter().map(|it| it.size).collect();
        check_limits(&session.volume_limits().await?, &sizes)?;
        let first = attached.iter().min_by_key(|it| it.order());
        let boots = volumes
            .iter()
            .find(|it| first.is_some_and(|first| first.volume == it.id));
        let Some(why) = boots.and_then(|it| lacks(|name| it.image_property(name))) else {
            return Ok(None);
        };
        if take.quiesce.is_none()
            && let Some(group) = session.consistent_group(&volumes).await?
        {
            return Ok(Some(group));
        }
        let what = format!("it cannot be taken whole, nor frozen: {why}");
        Err(Error::new(ErrorKind::Unsupported, what)
            .advise("Ask for each volume by itself, power it off before, or mend its image"))
    }

    /// Nova's own fault, and nothing made: then it was the freezing, which comes first.
    async fn not_frozen(&self, error: Error, image: &str) -> Error {
        let theirs = error.message().contains("answered 500");
        let nothing = async { Ok::<_, Error>(self.unmarked(image).await?.is_empty()) };
        if !theirs || !matches!(nothing.await, Ok(true)) {
            return error;
        }
        Error::new(ErrorKind::Precondition, "Nova could not freeze it")
            .advise(
                "See that the guest agent runs in it, power it off before, or ask at_least(Crash)",
            )
            .because(error)
    }

    pub(super) async fn observe_whole(self, take: &TakeSnapshot) -> Result<Observation> {
        let session = &self.cloud.session;
        let images = session.images_marked(marks::KEY, self.key.as_str()).await?;
        let mut marked = session
            .snapshots_marked(marks::KEY, self.key.as_str())
            .await?;
        marked.retain(|it| !it.is_going());
        let unmarked = self.unmarked(&self.image_name(take)).await?;
        let mut left = Vec::new();
        for image in &images {
            left.push(self.cloud.reference(ResourceKind::Image, &image.id)?);
        }
        for snapshot in marked.iter().chain(&unmarked) {
            left.push(self.cloud.reference(ResourceKind::Snapshot, &snapshot.id)?);
        }
        if left.is_empty() {
            return Ok(Observation::Absent);
        }
        let failure = |why: &str, left| {
            Ok(Observation::Failed {
                error: failed(why.to_owned()).on(take.source.clone()),
                left,
            })
        };
        let lists = images.iter().filter_map(|it| it.created_at.as_deref());
        let made = unmarked.iter().filter_map(|it| it.created_at.as_deref());
        if let Some(last) = lists.chain(made).filter_map(|at| time(Some(at))).max()
            && self.may_go_on(last)
        {
            return Ok(running());
        }
        if !images.is_empty() || !unmarked.is_empty() {
            return failure("it was cut off before all of it had its marks", left);
        }
        let mut parts = Vec::new();
        for part in &take.parts {
            let of = |it: &&Snapshot| it.volume_id == part.volume.id();
            match marked.iter().find(of) {
                Some(snapshot) => parts.push(snapshot),
                None => return failure("a volume of it was not taken", left),
            }
        }
        let mut moves = false;
        for snapshot in &parts {
            match stage(snapshot) {
                Stage::Failed(why) => return failure(&why, left),
                Stage::Running(_) => moves = true,
                Stage::Ready => {}
            }
        }
        if moves {
            return Ok(running());
        }
        self.whole(take, &parts, left)
    }

    /// Whether Nova may still be at it: it goes on when whoever asked is gone, volume by volume,
    /// and makes the image last.
    fn may_go_on(&self, last: Timestamp) -> bool {
        let since = Timestamp::now().duration_since(last);
        since.unsigned_abs() < self.cloud.settle
    }

    fn whole(
        &self,
        take: &TakeSnapshot,
        parts: &[&Snapshot],
        all: Vec<ResourceRef>,
    ) -> Result<Observation> {
        let mut taken = Vec::new();
        for (asked, snapshot) in take.parts.iter().zip(parts) {
            taken.push(TakenPart {
                volume: asked.volume.clone(),
                snapshot: self.cloud.reference(ResourceKind::Snapshot, &snapshot.id)?,
                size: snapshot.size.saturating_mul(GIB),
                copy: CopyKind::Shallow,
                content_stamp: None,
            });
        }
        let twin = |it: &ResourceRef| taken.iter().all(|part| part.snapshot != *it);
        let twins = all.into_iter().filter(twin).collect();
        let at = parts.iter().filter_map(|it| time(it.created_at.as_deref()));
        let capture = parts[0].metadata.get(marks::CAPTURE);
        let output: Output = output(taken, at.max(), capture);
        Ok(Observation::Done { output, twins })
    }

    /// The Cinder snapshots that are made for an image or a group snapshot of that name, and that
    /// nobody renamed.
    async fn unmarked(&self, image: &str) -> Result<Vec<Snapshot>> {
        let by_nova = format!("snapshot for {image}");
        let ours = |name: &str| name == by_nova || name == image;
        let mut all = self.cloud.session.snapshots().await?;
        all.retain(|it| it.name.as_deref().is_some_and(ours));
        Ok(all)
    }

    /// A name that nothing else has, since the key is in it.
    fn image_name(&self, take: &TakeSnapshot) -> String {
        let both = format!("{} {}", take.name, self.key);
        if both.chars().count() <= LONGEST {
            both
        } else {
            self.key.to_string()
        }
    }
}
