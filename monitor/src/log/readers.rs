//! Makes readers: one for each log or shard, with one pace and one pool of connections for each host.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use outbound::{Client, ClientConfig, OutboundError, Room};

use super::LogReader;
use super::ct::Ct;
use super::directory::Directory;
use super::error::ReadError;
use super::exchange::Exchange;
use super::pace::{Pace, PaceReading};
use super::rekor_v1::{self, RekorV1, Shard};
use super::rekor_v2::REKOR_V2;
use super::source::Source;
use super::static_ct::STATIC_CT;
use super::tile_log::TileLog;
use super::tiles::Tiles;
use crate::config::{Limits, LogKind, LogSpec};

/// What a Rekor v1 server is asked per second where nothing else is configured: the limits of the public one are not
/// published, and each request is ten entries.
const V1_REQUESTS_PER_SECOND: u32 = 20;

/// Makes readers. Those of one host share its pace, and those with one private CA their connections.
#[derive(Debug)]
pub struct Readers {
    limits: Limits,
    clients: Mutex<BTreeMap<Route, Clients>>,
    paces: Mutex<BTreeMap<String, Arc<Pace>>>,
}

/// How a server is reached; logs that are reached alike share their clients.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Route {
    ca_pem: Option<Vec<u8>>,
    proxy: Option<String>,
}

#[derive(Clone, Debug)]
struct Clients {
    reused: Client,
    fresh: Client,
}

/// Why a log cannot be read with what the configuration says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReaderError {
    /// Only tiles can lie in a directory.
    #[error("log {origin}: only tiles (rekor_v2, ct_static) can be read from a directory; give read_url as https://…")]
    NoTiles {
        /// Which log.
        origin: String,
    },
    /// A file URL without a path of this machine.
    #[error("log {origin}: read_url names no directory of this machine; write it as file:///path/of/the/log")]
    NoDirectory {
        /// Which log.
        origin: String,
    },
    /// Neither http, https nor file.
    #[error("log {origin}: read_url is neither https://…, http://… nor file:///…")]
    Scheme {
        /// Which log.
        origin: String,
    },
    /// A Rekor v1 server has shards, and each is read by itself.
    #[error("log {origin}: a shard of Rekor v1 has the origin \"<host> - <tree id>\"")]
    NoShard {
        /// Which log.
        origin: String,
    },
    /// No HTTP client could be made: the private CA is not one.
    #[error("log {origin}: {source}")]
    Client {
        /// Which log.
        origin: String,
        /// Why not.
        source: OutboundError,
    },
}

impl Readers {
    /// Readers within these limits.
    pub fn new(limits: Limits) -> Self {
        Self { limits, clients: Mutex::default(), paces: Mutex::default() }
    }

    /// The reader of a log; of Rekor v1, of the shard that the origin names.
    pub fn reader(&self, spec: &LogSpec) -> Result<Arc<dyn LogReader>, ReaderError> {
        let (origin, key) = (spec.origin.clone(), spec.key.clone());
        Ok(match spec.kind {
            LogKind::RekorV2 => Arc::new(TileLog { origin, key, tiles: self.tiles(spec)?, layout: REKOR_V2 }),
            LogKind::StaticCt => Arc::new(TileLog { origin, key, tiles: self.tiles(spec)?, layout: STATIC_CT }),
            LogKind::Rfc6962 => Arc::new(Ct::new(self.exchange(spec)?, origin, key)),
            LogKind::RekorV1 => {
                let tree_id = rekor_v1::tree_id_of(&origin);
                let tree_id = tree_id.ok_or_else(|| ReaderError::NoShard { origin: origin.clone() })?;
                Arc::new(RekorV1::new(self.exchange(spec)?, origin, key, tree_id))
            }
        })
    }

    /// Asks a Rekor v1 server for its shards, from the oldest to the active one. `spec` is that of the server, and its
    /// origin the name on the signature lines of its checkpoints; where that is only taken from its URL, the name is what
    /// the pinned key signs.
    pub async fn shards(&self, spec: &LogSpec) -> Result<Result<Vec<Shard>, ReadError>, ReaderError> {
        let mut listed = rekor_v1::shards(&self.exchange(spec)?, &spec.origin).await;
        if let Ok(shards) = &mut listed
            && spec.is_named_by_url()
        {
            for shard in shards {
                if let Some(origin) = shard.signed_origin(&spec.key) {
                    shard.origin = origin;
                }
            }
        }
        Ok(listed)
    }

    /// What the paces of all hosts have counted.
    pub fn paces(&self) -> Vec<PaceReading> {
        let paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        paces.values().map(|pace| pace.reading()).collect()
    }

    fn tiles(&self, spec: &LogSpec) -> Result<Tiles, ReaderError> {
        let source = if spec.read_url.scheme() == "file" {
            let root = spec.read_url.to_file_path();
            let root = root.map_err(|()| ReaderError::NoDirectory { origin: spec.origin.clone() })?;
            Source::Directory(Directory { root })
        } else {
            Source::Http(self.exchange(spec)?)
        };
        Ok(Tiles::new(source, self.limits.partial_bytes_per_hour))
    }

    fn exchange(&self, spec: &LogSpec) -> Result<Exchange, ReaderError> {
        let origin = || spec.origin.clone();
        match spec.read_url.scheme() {
            "https" | "http" => {}
            "file" => return Err(ReaderError::NoTiles { origin: origin() }),
            _ => return Err(ReaderError::Scheme { origin: origin() }),
        }
        let Clients { reused, fresh } =
            self.clients(spec).map_err(|source| ReaderError::Client { origin: origin(), source })?;
        let room = Room::new(self.limits.received_bytes);
        Ok(Exchange { client: reused, fresh, base: spec.read_url.clone(), pace: self.pace(spec), room })
    }

    fn clients(&self, spec: &LogSpec) -> Result<Clients, OutboundError> {
        let mut known = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let route = Route { ca_pem: spec.ca_pem.clone(), proxy: spec.proxy.as_ref().map(ToString::to_string) };
        if let Some(clients) = known.get(&route) {
            return Ok(clients.clone());
        }
        let client = |new_connections| {
            Client::new(ClientConfig {
                extra_ca_files_pem: spec.ca_pem.iter().cloned().collect(),
                proxy: spec.proxy.clone(),
                new_connections,
                ..ClientConfig::default()
            })
        };
        let clients = Clients { reused: client(false)?, fresh: client(true)? };
        known.insert(route, clients.clone());
        Ok(clients)
    }

    /// The first log of a host sets its pace.
    fn pace(&self, spec: &LogSpec) -> Arc<Pace> {
        let host = spec.read_url.host_str().unwrap_or_default();
        let host = format!("{host}:{}", spec.read_url.port_or_known_default().unwrap_or_default());
        let per_second = spec.requests_per_second.or(match spec.kind {
            LogKind::RekorV1 => Some(V1_REQUESTS_PER_SECOND),
            LogKind::RekorV2 | LogKind::Rfc6962 | LogKind::StaticCt => None,
        });
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Pace::new(host.clone(), self.limits.in_flight, per_second));
        Arc::clone(paces.entry(host.clone()).or_insert_with(new))
    }
}
