//! The agents that a manager reaches, and how they find the restored one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stillpoint_archive::Class;
use stillpoint_core::{Error, ErrorKind, Result, World};

use crate::component::Component;
use crate::dump::Dump;
use crate::site::Site;
use crate::stage::Stage;

/// The member with all of them.
const AGENTS: &str = "agents.json";

/// The file with those that were told, or are being told, of the new endpoint.
const TOLD: &str = "told.json";

/// Bytes of the largest list that is read.
const LONGEST: u64 = 256 << 20;

/// An agent, and how it reaches its manager.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Agent {
    /// What it is called.
    pub id: String,
    /// How it reaches its manager: the addresses, and what is needed to be let in. It is sealed in
    /// archives.
    pub endpoint: Value,
}

/// How an embedder reaches its agents. All of it may block, and may be called again.
pub trait Link: fmt::Debug + Send + Sync + 'static {
    /// All agents, with the endpoints that they use now.
    ///
    /// # Errors
    /// Where they cannot be told.
    fn agents(&self) -> Result<Vec<Agent>>;

    /// Checks that an agent answers on this endpoint.
    ///
    /// # Errors
    /// Where it does not.
    fn verify(&self, agent: &Agent) -> Result<()>;

    /// Tells an agent, through the endpoint that it uses, to use that of this manager from now on;
    /// gives it with that endpoint.
    ///
    /// # Errors
    /// Where it cannot be told.
    fn switch(&self, agent: &Agent) -> Result<Agent>;

    /// Tells an agent to use the endpoint that it used before.
    ///
    /// # Errors
    /// Where it cannot be told.
    fn switch_back(&self, agent: &Agent) -> Result<()>;
}

/// The agents as a component.
///
/// Agents know the endpoint of the manager that they were installed by. After a restore each is
/// reached through that old endpoint, is checked to answer, told of the new one, and checked to
/// answer there; where it does not, it is told the old one again. An undo of the restore tells all that
/// were switched the old one again, for as long as that restore is not accepted.
#[derive(Debug)]
pub struct Agents {
    link: Arc<dyn Link>,
    depends_on: Vec<String>,
}

impl Agents {
    /// Those that are reached by this link.
    pub fn new(link: impl Link) -> Self {
        Self {
            link: Arc::new(link),
            depends_on: Vec::new(),
        }
    }

    /// They are locked and restored after these components.
    #[must_use]
    pub fn after<N: Into<String>>(mut self, components: impl IntoIterator<Item = N>) -> Self {
        self.depends_on
            .extend(components.into_iter().map(Into::into));
        self
    }

    /// Switches one: through the old endpoint, which is checked first, and back where the new one
    /// does not answer.
    fn switch(&self, agent: &Agent) -> Result<()> {
        self.link.verify(agent)?;
        let switched = self.link.switch(agent)?;
        self.link
            .verify(&switched)
            .map_err(|error| match self.link.switch_back(agent) {
                Ok(()) => error,
                Err(lost) => error.reason(lost.message()).leaving(World::Unknown),
            })
    }
}

impl Component for Agents {
    fn dump(&self, dump: &mut Dump<'_, '_>) -> Result<()> {
        let path = dump.site().folder()?.join(AGENTS);
        let agents = fs::read(&path).map_err(|source| Error::io("reading the agents", &source))?;
        dump.bytes(AGENTS, Class::Secret, agents)
    }

    fn stage(&self, stage: &Stage<'_>) -> Result<()> {
        let bytes = stage.bytes(AGENTS, LONGEST)?;
        let mut ids = BTreeSet::new();
        if let Some(twin) = read(&bytes)?
            .into_iter()
            .find(|it| !ids.insert(it.id.clone()))
        {
            let message = format!("there are two agents {}", twin.id.escape_debug());
            return Err(
                Error::new(ErrorKind::Corrupt, message).advise("Use another copy of the archive")
            );
        }
        write(stage.site(), AGENTS, &bytes)
    }

    /// Nothing of theirs is here: they are switched once everything else is in place.
    fn cut_over(&self, _site: &Site) -> Result<()> {
        Ok(())
    }

    fn depends_on(&self) -> &[String] {
        &self.depends_on
    }

    fn describe(&self, _site: &Site) -> Value {
        json!({ "kind": "agents", "format": 1 })
    }

    fn preflight(&self, about: &Value) -> Result<Vec<String>> {
        Ok(match about["kind"] == "agents" {
            true => Vec::new(),
            false => vec!["the archive has something else under this name".to_owned()],
        })
    }

    fn fix(&self, site: &Site) -> Result<()> {
        let agents = serde_json::to_vec(&self.link.agents()?).expect("plain data");
        write(site, AGENTS, &agents)
    }

    fn release(&self, site: &Site) {
        if let Ok(folder) = site.folder() {
            let _ = fs::remove_file(folder.join(AGENTS));
        }
    }

    fn reconnect(&self, site: &Site) -> Result<()> {
        let mut told = told(site)?;
        let mut failed = Vec::new();
        for agent in staged(site)? {
            site.check()?;
            if told.get(&agent.id) == Some(&true) {
                continue;
            }
            // Before it is told: an undo has to know of it whatever happens meanwhile.
            told.insert(agent.id.clone(), false);
            write(site, TOLD, &encode(&told))?;
            match self.switch(&agent) {
                Ok(()) => {
                    told.insert(agent.id, true);
                }
                // One that is lost keeps no other from being found.
                Err(error) => {
                    failed.push(format!("agent {}: {}", agent.id, error.message()));
                    if error.world() != World::Unknown {
                        told.remove(&agent.id);
                    }
                }
            }
            write(site, TOLD, &encode(&told))?;
        }
        account(&failed)
    }

    /// Those that were told are told the old endpoint again.
    fn fail_back(&self, site: &Site) -> Result<()> {
        let mut told = told(site)?;
        if told.is_empty() {
            return Ok(());
        }
        let mut failed = Vec::new();
        for agent in staged(site)? {
            site.check()?;
            if told.contains_key(&agent.id) {
                match self.link.switch_back(&agent) {
                    Ok(()) => {
                        told.remove(&agent.id);
                        write(site, TOLD, &encode(&told))?;
                    }
                    Err(error) => failed.push(format!("agent {}: {}", agent.id, error.message())),
                }
            }
        }
        account(&failed)
    }
}

/// An error where there are some that do not answer.
fn account(failed: &[String]) -> Result<()> {
    if failed.is_empty() {
        return Ok(());
    }
    let message = format!("{} agents do not answer", failed.len());
    let error = Error::new(ErrorKind::Unavailable, message).leaving(World::Changed);
    Err(failed
        .iter()
        .fold(error, Error::reason)
        .advise("Look at those, and have them told by hand"))
}

/// The agents of the archive that is restored.
fn staged(site: &Site) -> Result<Vec<Agent>> {
    let bytes = fs::read(site.folder()?.join(AGENTS));
    read(&bytes.map_err(|source| Error::io("reading the agents", &source))?)
}

/// Those that were told, by their ids, and whether they are known to have heard it.
fn told(site: &Site) -> Result<BTreeMap<String, bool>> {
    match fs::read(site.folder()?.join(TOLD)) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|source| {
            let message = "the list of agents that were told cannot be read";
            Error::new(ErrorKind::Corrupt, message)
                .advise("Look which of them answer")
                .because(source)
        }),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(source) => Err(Error::io("reading the agents that were told", &source)),
    }
}

fn encode(told: &BTreeMap<String, bool>) -> Vec<u8> {
    serde_json::to_vec(told).expect("plain text")
}

fn read(bytes: &[u8]) -> Result<Vec<Agent>> {
    serde_json::from_slice(bytes).map_err(|source| {
        Error::new(ErrorKind::Corrupt, "the list of agents cannot be read")
            .advise("Use another copy of the archive")
            .because(source)
    })
}

/// Writes a file that only its owner may read.
fn write(site: &Site, name: &str, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;
    let folder = site.folder()?;
    let failed = |source| Error::io(format_args!("writing {name}"), &source);
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(folder.join(name))
        .map(drop)
        .map_err(|error| failed(error.error))
}
