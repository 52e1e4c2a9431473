//! The read side: the checkpoint, tiles and entry bundles at the paths of C2SP tlog-tiles.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State as FromState};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};

use super::State;

pub(crate) fn router() -> Router<Arc<State>> {
    // The plain paths are where static storage has them, the others where the API does.
    Router::new()
        .route("/checkpoint", get(checkpoint))
        .route("/api/v2/checkpoint", get(checkpoint))
        .route("/tile/{*path}", get(tile))
        .route("/api/v2/tile/{*path}", get(tile))
}

async fn checkpoint(FromState(state): FromState<Arc<State>>) -> Response {
    (
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")],
        state.read_side().integrator.checkpoint(),
    )
        .into_response()
}

async fn tile(FromState(state): FromState<Arc<State>>, Path(path): Path<String>) -> Response {
    let state = state.read_side();
    let bytes = parse(&path).and_then(|wanted| match wanted.level {
        Some(level) => state.integrator.tile(level, wanted.index, wanted.width),
        None => state.integrator.entry_bundle(wanted.index, wanted.width),
    });
    match bytes {
        Some(bytes) => (
            [
                (header::CONTENT_TYPE, "application/octet-stream"),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ],
            bytes,
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// What a path under `tile/` names; entry bundles have no level.
#[derive(Debug, Eq, PartialEq)]
struct Wanted {
    level: Option<usize>,
    index: u64,
    width: usize,
}

/// `0/x001/234.p/5`, `entries/000`: only the one spelling of each number.
fn parse(path: &str) -> Option<Wanted> {
    let (level, rest) = path.split_once('/')?;
    let level = match level {
        "entries" => None,
        digits => Some(canonical(digits).filter(|level| *level < 64)? as usize),
    };
    let (index, width) = match rest.split_once(".p/") {
        Some((index, width)) => (index, canonical(width).filter(|width| (1..256).contains(width))? as usize),
        None => (rest, 256),
    };
    let mut groups = index.split('/').peekable();
    let mut value: u64 = 0;
    while let Some(group) = groups.next() {
        let digits = match groups.peek() {
            Some(_) => group.strip_prefix('x')?,
            None => group,
        };
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        value = value.checked_mul(1000)?.checked_add(digits.parse::<u64>().ok()?)?;
    }
    Some(Wanted { level, index: value, width })
}

fn canonical(digits: &str) -> Option<u64> {
    let value: u64 = digits.parse().ok()?;
    (value.to_string() == digits).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_path_has_one_spelling() {
        assert_eq!(parse("0/x001/x234/067.p/44"), Some(Wanted { level: Some(0), index: 1_234_067, width: 44 }));
        assert_eq!(parse("entries/000"), Some(Wanted { level: None, index: 0, width: 256 }));
        for wrong in ["0/1", "00/001", "0/x001", "0/001/x234", "0/001.p/0", "0/001.p/256", "0/001.p/", "x/001", "0/+01"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
