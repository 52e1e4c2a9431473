//! The steps of a push, as a person reads them.

use watcher::{PushStep, StepSeen};

use super::Clock;

/// One line for a step.
pub(crate) fn tell(clock: &Clock, seen: &StepSeen) {
    let (word, text) = words(&seen.step);
    let about = match (&seen.tag, &seen.digest) {
        _ if matches!(seen.step, PushStep::Accepted { .. }) => {
            format!(" ({}{})", seen.name.repository, seen.tag.as_ref().map_or_else(String::new, |t| format!(":{t}")))
        }
        _ => String::new(),
    };
    clock.tell(word, format_args!("{text}{about}"));
}

/// A step as one sentence.
pub(crate) fn sentence(step: &PushStep) -> String {
    let (word, text) = words(step);
    format!("{word:9} {text}")
}

fn words(step: &PushStep) -> (&'static str, String) {
    match step {
        PushStep::Accepted { source } => {
            ("event", format!("the webhook {source} tells of a push; it is stored before the answer"))
        }
        PushStep::Resolved => ("resolved", "the registry was asked what the tag points to".to_owned()),
        PushStep::Decided { rule, identities } => {
            ("decided", format!("rule {rule} wants it signed by {}", identities.join(", ")))
        }
        PushStep::Intended { identity, format } => {
            ("intended", format!("the ledger notes that {identity} is about to sign ({format})"))
        }
        PushStep::Signed { identity, format } => {
            ("signed", format!("by {identity} ({format}); the ledger keeps the signature"))
        }
        PushStep::Logged { format, origin, index } => {
            ("logged", format!("in {origin} at index {index} ({format}); its proof was checked"))
        }
        PushStep::Verified { format } => ("checked", format!("offline, before it is published ({format})")),
        PushStep::Attached { format, manifest } => ("attached", format!("{format} to the image, as {manifest}")),
        PushStep::AlreadySigned { identity, format, adopted } => (
            "already",
            format!("signed by {identity} ({format}){}", if *adopted { ", made elsewhere with this key" } else { "" }),
        ),
        PushStep::Skipped { reason: "own_artifact" | "signature_tag" } => {
            ("skipped", "the push of a signature: nothing to sign".to_owned())
        }
        PushStep::Skipped { reason } => ("skipped", format!("nothing to sign: {}", reason.replace('_', " "))),
        PushStep::Delayed { error } => ("delayed", format!("{error}; it will be tried again")),
        PushStep::Parked { error } => ("parked", error.clone()),
        PushStep::Acknowledged => ("done", "the job is finished".to_owned()),
        other => ("step", format!("{other:?}")),
    }
}
