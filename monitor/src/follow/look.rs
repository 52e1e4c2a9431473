//! The head: fetched, opened, kept, and considered against what is known.

use store::{Advance, NoteSeen};
use tlog::{Checkpoint, CheckpointError, Hash, verify_consistency};

use super::doubt::{Doubt, Patience};
use super::head::{Meaning, TreeHead, grew_after_close, meaning};
use super::lease::Held;
use super::position::Position;
use super::{FollowError, Follower, Round, now_ms};
use crate::config::LogKind;
use crate::finding::{self, Growth};
use crate::log::{Fresh, ReadError};

/// Whether a larger tree continues a smaller one, by the log's proof.
pub(super) enum Continues {
    Yes,
    /// The proof, as served, proves nothing.
    No(Vec<Hash>),
}

impl Follower {
    /// Fetches the newest head, opens it and keeps its note. The inner error: the log's key has not signed it, or for
    /// another log, and how the round ends.
    pub(super) async fn look(
        &mut self,
        held: &Held,
        position: &Position,
        at: i64,
    ) -> Result<Result<Checkpoint, Round>, FollowError> {
        let served = self.reader.head().await?;
        let problem = match self.reader.open(&served) {
            Ok(head) => {
                self.dispel(Doubt::Head);
                let tree = TreeHead::of(&head);
                if position.head.as_ref().map(TreeHead::of) != Some(tree) {
                    self.keep_note(&head, at).await?;
                }
                return Ok(Ok(head));
            }
            // Not even the form of a head: somebody else answered, or cut it off.
            Err(problem) if problem.is_malformed() => return Err(FollowError::Head(problem)),
            Err(problem) => problem,
        };
        // Asked for twice, so that one garbled answer is not an alarm.
        if self.kept.doubts.raise(Doubt::Head, at, self.shared.timing.interval / 2) == Patience::Wait {
            return Ok(Err(Round::InDoubt));
        }
        let found = match &problem {
            CheckpointError::WrongOrigin { found, .. } => finding::wrong_origin(&self.log, &served, found, "log", at),
            _ => finding::bad_signature(&self.log, &served, &problem, "log", at),
        };
        self.say(held, vec![found]).await?;
        Ok(Err(Round::Held))
    }

    /// Keeps a note whose size and root are new.
    async fn keep_note(&self, head: &Checkpoint, at: i64) -> Result<(), FollowError> {
        let note = NoteSeen {
            origin: self.log.origin.clone(),
            source: "log".to_owned(),
            note: head.note().as_bytes().to_vec(),
            size: head.size(),
            root: *head.root().as_bytes(),
            seen_at: at,
        };
        self.shared.store.record_note(&note).await?;
        Ok(())
    }

    /// What the head comes to. `None`: the known head is consistent, and leaves are read up to it.
    pub(super) async fn consider(
        &mut self,
        held: &Held,
        position: &mut Position,
        head: Checkpoint,
        at: i64,
    ) -> Result<Option<Round>, FollowError> {
        let (known, new) = (position.known(), TreeHead::of(&head));
        let mut signed = Vec::new();
        if position.head.is_none() || known != new {
            // What was signed before an explicit act of trust was accepted by it.
            let notes = self.shared.store.note_at(&self.log.origin, new.size).await?;
            signed.extend(notes.into_iter().filter(|note| note.seen_at >= position.trusted_at));
        }
        let roots: Vec<Hash> = signed.iter().map(|note| Hash::new(note.root)).collect();
        self.status.write(|status| status.opened_at = Some(at));
        match meaning(known, &roots, new) {
            Meaning::Forked { other } => {
                let before = signed.iter().find(|note| note.root == *other.as_bytes()).map(|note| note.note.clone());
                let before = before.or_else(|| position.head.as_ref().map(|head| head.note().as_bytes().to_vec()));
                let before = before.unwrap_or_default();
                let found = finding::fork(&self.log, &before, head.note().as_bytes(), at);
                self.say(held, vec![found]).await?;
                Ok(Some(Round::Held))
            }
            Meaning::Smaller => self.smaller(held, position, &head, at).await.map(Some),
            Meaning::Same => {
                self.dispel(Doubt::Smaller);
                self.dispel(Doubt::Growth);
                self.accept(position, head, at);
                self.tell_of_closing(held, position, at).await?;
                Ok(None)
            }
            Meaning::Grown => {
                self.dispel(Doubt::Smaller);
                if let Some(round) = self.grown(held, position, &head, at).await? {
                    return Ok(Some(round));
                }
                if grew_after_close(position.frozen_at.map(|_| known), new)
                    && let Some(frozen) = &position.head
                {
                    let found =
                        finding::frozen_shard_grew(&self.log, frozen.note().as_bytes(), head.note().as_bytes(), at);
                    self.say(held, vec![found]).await?;
                    // It is closed no more, whoever said so: from here on its silence is worth a word again.
                    position.frozen_at = None;
                    if self.spec.kind == LogKind::RekorV1 {
                        self.status.write(|status| status.closed = false);
                    }
                }
                self.accept(position, head, at);
                self.tell_of_closing(held, position, at).await?;
                Ok(None)
            }
        }
    }

    /// A head that is smaller than the known one: replicas lag, and then it leads to the known one.
    async fn smaller(
        &mut self,
        held: &Held,
        position: &Position,
        head: &Checkpoint,
        at: i64,
    ) -> Result<Round, FollowError> {
        let Some(known) = &position.head else { return Ok(Round::InDoubt) };
        let (known_note, new_note) = (known.note().as_bytes(), head.note().as_bytes());
        let mut round = Round::InDoubt;
        let patience = self.shared.timing.rollback_after;
        if let Patience::Over { since } = self.kept.doubts.raise(Doubt::Smaller, at, patience) {
            self.say(held, vec![finding::rollback(&self.log, known_note, new_note, since, at)]).await?;
            round = Round::Held;
        }
        // Whether it is of the same tree at all. A log that was rolled back cannot say.
        match self.continues(TreeHead::of(head), TreeHead::of(known)).await {
            Ok(Continues::Yes) => self.dispel(Doubt::Earlier),
            Ok(Continues::No(hashes)) => {
                let patience = self.shared.timing.confirm_for;
                if let Patience::Over { .. } = self.kept.doubts.raise(Doubt::Earlier, at, patience) {
                    let how = Growth::Refused { hashes: &hashes };
                    let found = finding::inconsistent_growth(&self.log, new_note, known_note, how, at);
                    self.say(held, vec![found]).await?;
                    round = Round::Held;
                }
            }
            Err(error) => tracing::debug!(log.origin = %self.log.origin, %error, "no proof from the smaller head"),
        }
        Ok(round)
    }

    /// A larger head: proved to continue the known one at once, before a leaf is read. `None`: it does.
    async fn grown(
        &mut self,
        held: &Held,
        position: &Position,
        head: &Checkpoint,
        at: i64,
    ) -> Result<Option<Round>, FollowError> {
        let (known, new) = (position.known(), TreeHead::of(head));
        let hashes = match self.continues(known, new).await {
            Ok(Continues::Yes) => {
                self.dispel(Doubt::Growth);
                self.dispel(Doubt::Earlier);
                return Ok(None);
            }
            Ok(Continues::No(hashes)) => hashes,
            Err(error) if error.is_missing() => {
                let round = self.missing(held, known.size, new.size, &error, head, at).await?;
                return Ok(Some(round));
            }
            Err(error) => return Err(error.into()),
        };
        // Without a note of the tree that we know there is nothing to show.
        let Some(old) = self.note_of(position).await? else { return Ok(Some(Round::InDoubt)) };
        let new_note = head.note().as_bytes();
        // Two signed heads that contradict each other need no second look.
        let found = match self.contradiction(position, new).await? {
            Some((old, node)) => {
                let how = Growth::Contradiction { old_range: &position.verified, node: &node };
                Some(finding::inconsistent_growth(&self.log, &old, new_note, how, at))
            }
            None => match self.kept.doubts.raise(Doubt::Growth, at, self.shared.timing.confirm_for) {
                Patience::Over { .. } => {
                    let how = Growth::Refused { hashes: &hashes };
                    Some(finding::inconsistent_growth(&self.log, &old, new_note, how, at))
                }
                Patience::Wait => None,
            },
        };
        match found {
            Some(found) => {
                self.say(held, vec![found]).await?;
                Ok(Some(Round::Held))
            }
            None => Ok(Some(Round::InDoubt)),
        }
    }

    /// Asks the log to prove that one tree continues another; the proof is checked here.
    pub(super) async fn continues(&self, old: TreeHead, new: TreeHead) -> Result<Continues, ReadError> {
        // Every tree continues the empty one.
        if old.size == 0 {
            return Ok(Continues::Yes);
        }
        let hashes = self.reader.consistency(old.size, new.size, self.fresh()).await?;
        match verify_consistency(old.size, &old.root, new.size, &new.root, &hashes) {
            Ok(()) => Ok(Continues::Yes),
            Err(problem) => {
                tracing::debug!(log.origin = %self.log.origin, %problem, "a consistency proof proves nothing");
                Ok(Continues::No(hashes))
            }
        }
    }

    /// A node of the new tree that is another one in the verified tree, with the note that signed that one.
    async fn contradiction(
        &self,
        position: &Position,
        new: TreeHead,
    ) -> Result<Option<(Vec<u8>, tlog::NodeProof)>, FollowError> {
        let verified = position.verified_tree();
        let notes = self.shared.store.note_at(&self.log.origin, verified.size).await?;
        let Some(old) = notes.into_iter().find(|note| note.root == *verified.root.as_bytes()) else { return Ok(None) };
        for (level, index, hash) in position.verified.node_ranges() {
            match self.reader.node(level, index, new.size).await {
                Ok(Some(node)) if node.node != hash && node.root() == Ok(new.root) => {
                    return Ok(Some((old.note, node)));
                }
                Ok(Some(_)) => {}
                // The log has no way to ask, or does not answer: its own proof has to do.
                Ok(None) | Err(_) => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The note of the newest consistent head.
    async fn note_of(&self, position: &Position) -> Result<Option<Vec<u8>>, FollowError> {
        if let Some(head) = &position.head {
            return Ok(Some(head.note().as_bytes().to_vec()));
        }
        let tree = position.verified_tree();
        let notes = self.shared.store.note_at(&self.log.origin, tree.size).await?;
        Ok(notes.into_iter().find(|note| note.root == *tree.root.as_bytes()).map(|note| note.note))
    }

    /// Takes a consistent head for the known one. It is written with the next step.
    fn accept(&mut self, position: &mut Position, head: Checkpoint, at: i64) {
        let tree = TreeHead::of(&head);
        let is_new = position.head.as_ref().map(TreeHead::of) != Some(tree);
        self.judge_times(&head, is_new, at);
        self.judge_quorum(&head, at);
        let closes = self.closes(&head, tree, at);
        if is_new || (closes && position.frozen_at.is_none()) {
            position.head_is_new = true;
            if is_new {
                position.head_seen_at = at;
            }
            if closes {
                position.frozen_at.get_or_insert(at);
            }
            position.head = Some(head);
        }
        self.status.write(|status| {
            status.head = position.head.clone();
            status.head_seen_at = position.head_seen_at;
            status.looked_at = Some(at);
        });
    }

    /// A head that says that its log is closed, where nobody announced that: it may be silent from here on, and so it is
    /// told.
    async fn tell_of_closing(&mut self, held: &Held, position: &Position, at: i64) -> Result<(), FollowError> {
        let Some(head) = position.head.as_ref().filter(|head| head.is_frozen() && !self.status.is_closed()) else {
            return Ok(());
        };
        let found = finding::closed_unannounced(&self.log, head.note().as_bytes(), at);
        self.say(held, vec![found]).await
    }

    /// Whether the log will not grow any more: it says so itself, or it was announced as closed and has not changed for
    /// a while since (what was taken in before is still integrated).
    fn closes(&mut self, head: &Checkpoint, tree: TreeHead, at: i64) -> bool {
        if !self.status.is_closed() {
            self.kept.closed_with = None;
            return head.is_frozen();
        }
        let since = match self.kept.closed_with {
            Some((with, since)) if with == tree => since,
            _ => {
                self.kept.closed_with = Some((tree, at));
                at
            }
        };
        let patience = i64::try_from(self.shared.timing.rollback_after.as_millis()).unwrap_or(i64::MAX);
        head.is_frozen() || at.saturating_sub(since) >= patience
    }

    /// Signed times against our clock, and how fresh the head is.
    fn judge_times(&mut self, head: &Checkpoint, is_new: bool, at: i64) {
        let policy = self.spec.witnesses.as_ref().map(|policy| policy.check(head.note()));
        let mut times: Vec<(String, i64)> = policy
            .iter()
            .flat_map(|quorum| &quorum.cosigned)
            .map(|(name, seconds)| (format!("witness {name}"), seconds.saturating_mul(1000)))
            .collect();
        times.extend(head.timestamp_ms().map(|time| ("log".to_owned(), time)));
        let millis = |it: std::time::Duration| i64::try_from(it.as_millis()).unwrap_or(i64::MAX);
        let skew = millis(self.shared.timing.clock_skew);
        let is_ahead = |time: i64| time.saturating_sub(at) > skew;
        // A head that was not there a moment ago was signed since, but for replicas that lag. RFC 6962 logs may take
        // their time with theirs.
        let batched = self.reader.head_format() == tlog::HeadFormat::TreeHead;
        let lag = skew.saturating_add(millis(self.shared.timing.rollback_after));
        let not_before = self.asked_before.filter(|_| is_new && !batched).map(|before| before.saturating_sub(lag));
        let is_behind = |time: i64| not_before.is_some_and(|before| time < before);
        // What was behind when the head was new still is.
        let before = self.status.read().skewed;
        let skewed = times.iter().filter(|signed| {
            is_ahead(signed.1) || is_behind(signed.1) || (!is_new && signed.1 <= at && before.contains(signed))
        });
        let skewed: Vec<(String, i64)> = skewed.cloned().collect();
        let newest = times.iter().map(|(_, time)| *time).max();
        self.asked_before = Some(at);
        self.status.write(|status| {
            status.skewed = skewed;
            status.signed_at = newest;
            status.cosigned = policy.as_ref().map_or(0, |quorum| quorum.cosigned.len());
        });
    }

    /// Whether enough witnesses have cosigned; two heads in a row without them are worth a word.
    fn judge_quorum(&mut self, head: &Checkpoint, at: i64) {
        let Some(policy) = &self.spec.witnesses else { return };
        if policy.check(head.note()).satisfied {
            self.dispel(Doubt::Quorum);
            self.status.write(|status| status.quorum_lost = None);
        } else if let Patience::Over { .. } = self.kept.doubts.raise(Doubt::Quorum, at, self.shared.timing.interval / 2)
        {
            self.status.write(|status| status.quorum_lost = Some(head.clone()));
        }
    }

    /// Writes a new head for which no leaf is read now.
    pub(super) async fn keep_head(&mut self, held: &Held, position: &mut Position) -> Result<(), FollowError> {
        let Some(head) = position.new_head() else { return Ok(()) };
        let step = Advance {
            head: Some(head),
            read_size: position.read_size,
            frozen_at: position.frozen_at,
            at: now_ms(),
            ..Advance::default()
        };
        self.advance(held, &step).await?;
        position.head_is_new = false;
        self.keep_record(position).await
    }

    /// How what may be in doubt is fetched.
    pub(super) fn fresh(&self) -> Fresh {
        if self.kept.doubts.distrusts_fetches() { Fresh::Yes } else { Fresh::No }
    }

    /// It looks right again.
    pub(super) fn dispel(&mut self, doubt: Doubt) {
        if let Some(since) = self.kept.doubts.dispel(doubt) {
            let seconds = now_ms().saturating_sub(since) / 1000;
            tracing::info!(log.origin = %self.log.origin, ?doubt, seconds, "what did not fit does again");
            self.shared.metrics.dispelled(&self.log.origin);
        }
    }
}
