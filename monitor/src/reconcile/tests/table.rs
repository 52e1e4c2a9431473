//! Every way in which a leaf can name us, and what it comes to.

use sandbox::leaves::{By, hashed_rekord_v1, hashed_rekord_v2};

use super::leaves::*;
use super::scene::{RELEASE, Scene, row, workflow};
use super::*;
use crate::log::LeafFormat;
use Reason::*;
use Verdict::{Counted, IdentityUsed, KeyUsed};

struct Case {
    name: &'static str,
    leaf: Vec<u8>,
    format: LeafFormat,
    afterwards: Vec<i64>,
    expected: Vec<Verdict>,
}

fn rekor(name: &'static str, leaf: Vec<u8>, expected: &[Verdict]) -> Case {
    Case { name, leaf, format: LeafFormat::Rekor, afterwards: Vec::new(), expected: expected.to_vec() }
}

fn ct(name: &'static str, certificate: &[u8], expected: &[Verdict]) -> Case {
    let leaf = ct_leaf(certificate);
    Case { name, leaf, format: LeafFormat::Ct, afterwards: Vec::new(), expected: expected.to_vec() }
}

#[track_caller]
fn hold(scene: &Scene, cases: &[Case]) {
    for case in cases {
        let verdicts = scene.verdicts(&case.leaf, case.format, &case.afterwards);
        assert_eq!(verdicts, case.expected, "{}", case.name);
    }
}

#[tokio::test]
async fn what_anybody_can_derive_from_our_public_signatures_is_counted() {
    let scene = Scene::new().await;
    let (ours, signature, digest) = (&scene.ours, scene.signature(1), sha256(b"message"));
    let key = By::Key(ours.spki());
    let wrapped = By::Certificate(scene.self_made(&workflow("acme/app", RELEASE), ours));
    let homemade = By::Certificate(scene.self_made(&workflow("acme/app", "evil.yml"), &scene.stranger));
    let (strangers, other) = (scene.stranger.sign(b"message"), sha256(b"other"));
    let keyless = scene.certified(&workflow("acme/app", "sealwatch.yml"), &scene.keyless);
    hold(
        &scene,
        &[
            rekor("ours", hashed_rekord_v2(&digest, &signature, &key), &[Counted(Ours)]),
            rekor("the other kind", hashed_rekord_v1(&digest, &signature, &key), &[Counted(Ours)]),
            rekor("s negated", hashed_rekord_v2(&digest, &negated(&signature), &key), &[Counted(Derived)]),
            rekor("s negated in v1", hashed_rekord_v1(&digest, &negated(&signature), &key), &[Counted(Derived)]),
            rekor("in a certificate of his own", hashed_rekord_v2(&digest, &signature, &wrapped), &[Counted(Derived)]),
            rekor(
                "in that, with s negated",
                hashed_rekord_v1(&digest, &negated(&signature), &wrapped),
                &[Counted(Derived)],
            ),
            rekor("a longer digest that begins with ours", stretched(&digest, &signature, ours), &[Counted(Ours)]),
            rekor("our envelope again", dsse_v1(b"payload", &[(&signature, ours)]), &[Counted(Ours)]),
            rekor("our envelope without its signature", intoto_v1(b"payload", ours), &[Counted(Derived)]),
            rekor(
                "our signature beside another digest",
                hashed_rekord_v2(&other, &signature, &key),
                &[Counted(DoesNotVerify)],
            ),
            rekor(
                "another's signature under our key",
                hashed_rekord_v2(&digest, &strangers, &key),
                &[Counted(DoesNotVerify)],
            ),
            rekor(
                "no signature at all under our key",
                hashed_rekord_v2(&digest, b"\x30\x00", &key),
                &[Counted(DoesNotVerify)],
            ),
            rekor(
                "another's signature in a self-made certificate with our key",
                hashed_rekord_v2(&other, &strangers, &wrapped),
                &[Counted(DoesNotVerify)],
            ),
            rekor(
                "our name in a self-made certificate",
                hashed_rekord_v2(&other, &strangers, &homemade),
                &[Counted(UntrustedChain)],
            ),
            ct(
                "our name in a self-made certificate in a certificate log",
                match &homemade {
                    By::Certificate(certificate) => certificate,
                    By::Key(_) => unreachable!(),
                },
                &[Counted(UntrustedChain)],
            ),
            rekor(
                "our digest under another's key",
                hashed_rekord_v2(&digest, &strangers, &By::Key(scene.stranger.spki())),
                &[Counted(ThirdParty)],
            ),
            rekor(
                "our public certificate behind another's key",
                chained(&other, &strangers, &scene.stranger, &pem(&keyless)),
                &[Counted(Derived)],
            ),
            rekor(
                "our key behind another's",
                chained(&other, &strangers, &scene.stranger, &ours.public().pem()),
                &[Counted(DoesNotVerify)],
            ),
            rekor(
                "a retired key's old signature",
                dsse_v1(b"old payload", &[(&scene.signature(2), &scene.retired)]),
                &[Counted(Ours)],
            ),
        ],
    );
}

#[tokio::test]
async fn what_only_a_holder_of_our_key_can_make_is_found() {
    let scene = Scene::new().await;
    let (ours, digest) = (&scene.ours, sha256(b"rogue"));
    let signature = ours.sign(b"rogue");
    let unknown = [KeyUsed(KeyUse::Unknown)];
    let wrapped = By::Certificate(scene.self_made(&workflow("acme/app", RELEASE), ours));
    let trusted = scene.certified(&workflow("stranger/app", RELEASE), ours);
    let keyless = scene.certified(&workflow("acme/app", "sealwatch.yml"), &scene.keyless);
    let rogue = scene.keyless.sign(b"rogue");
    hold(
        &scene,
        &[
            rekor("a bare key", hashed_rekord_v2(&digest, &signature, &By::Key(ours.spki())), &unknown),
            rekor("in v1", hashed_rekord_v1(&digest, &signature, &By::Key(ours.spki())), &unknown),
            rekor("with high s", hashed_rekord_v2(&digest, &negated(&signature), &By::Key(ours.spki())), &unknown),
            rekor("in a self-made certificate", hashed_rekord_v2(&digest, &signature, &wrapped), &unknown),
            rekor("over a longer digest", stretched(&digest, &signature, ours), &unknown),
            // A second signature over what we signed ourselves: the content is ours, the signature is not.
            rekor(
                "over our own digest",
                hashed_rekord_v2(&sha256(b"message"), &ours.sign(b"message"), &By::Key(ours.spki())),
                &unknown,
            ),
            // The log had the envelope and checked; nobody can check it again.
            rekor("an envelope", dsse_v1(b"rogue", &[(&signature, ours)]), &unknown),
            rekor(
                "an envelope of another payload, our signature",
                dsse_v1(b"rogue", &[(&scene.signature(1), ours)]),
                &[KeyUsed(KeyUse::OtherContent)],
            ),
            rekor("an envelope without its signature", intoto_v1(b"rogue", ours), &unknown),
            rekor(
                "an envelope with a known and an unknown signature",
                dsse_v1(b"payload", &[(&scene.signature(1), ours), (&ours.sign(b"message"), ours)]),
                &[Counted(Ours), KeyUsed(KeyUse::Unknown)],
            ),
            rekor(
                "a retired key",
                hashed_rekord_v2(&digest, &scene.retired.sign(b"rogue"), &By::Key(scene.retired.spki())),
                &unknown,
            ),
            rekor(
                "the key of our own certificate",
                hashed_rekord_v2(&digest, &rogue, &By::Certificate(keyless)),
                &unknown,
            ),
            ct("a certificate for our key", &trusted, &[KeyUsed(KeyUse::Certified)]),
            // Anybody can write this, and a holder too: it is told, and wakes nobody.
            rekor("an entry of a kind that we do not read", unknown_kind(ours), &[KeyUsed(KeyUse::Mentioned)]),
        ],
    );
}

#[tokio::test]
async fn what_stands_behind_another_in_a_list_is_no_use_of_it() {
    let scene = Scene::new().await;
    let strangers = scene.stranger.sign(b"another payload");
    let behind = |named: &str| format!("{}{named}", scene.stranger.public().pem());
    let (ours, public) = (behind(&scene.ours.public().pem()), scene.signature(1));
    let keyless = pem(&scene.certified(&workflow("acme/app", "sealwatch.yml"), &scene.keyless));
    let certified = pem(&scene.certified(&workflow("acme/app", "evil.yml"), &scene.ours));
    let of_ours = pem(&scene.certified(&workflow("acme/app", "evil.yml"), &Key::new()));
    let mentioned = [KeyUsed(KeyUse::Mentioned)];
    let dsse = |payload: &[u8], signature: &[u8], pem: &str| chained_dsse(payload, &[(signature, pem.to_owned())]);
    hold(
        &scene,
        &[
            rekor("the certificate of our signer", dsse(b"x", &strangers, &behind(&keyless)), &[Counted(Derived)]),
            rekor("in an entry without a signature", chained_intoto(b"x", &behind(&keyless)), &[Counted(Derived)]),
            rekor("a certificate for our key", dsse(b"x", &strangers, &behind(&certified)), &mentioned),
            rekor("our key", dsse(b"x", &strangers, &ours), &mentioned),
            rekor("our key without a signature", chained_intoto(b"x", &ours), &mentioned),
            rekor(
                "a certificate of our identity",
                dsse(b"x", &strangers, &behind(&of_ours)),
                &[Verdict::IdentityMentioned],
            ),
            rekor(
                "a certificate of our identity in an entry that has the digest",
                chained(&sha256(b"x"), &strangers, &scene.stranger, &of_ours),
                &[Verdict::IdentityMentioned],
            ),
            // A first key that is made to fit makes our signature one over anything.
            rekor("our signature, another payload", dsse(b"x", &public, &ours), &[Counted(Derived)]),
            rekor(
                "our signature and payload",
                dsse(b"payload", &public, &ours),
                &[Counted(ThirdParty), Counted(Derived)],
            ),
            // It verifies: whose key comes first changes nothing.
            rekor(
                "a signature by our key over a digest that the leaf has",
                chained(&sha256(b"rogue"), &scene.ours.sign(b"rogue"), &scene.stranger, &scene.ours.public().pem()),
                &[KeyUsed(KeyUse::Unknown)],
            ),
        ],
    );
    // Guessed before we signed it.
    let guessed = chained_intoto(b"payload", &ours);
    let verdicts = scene.verdicts(&guessed, LeafFormat::Rekor, &[1]);
    assert_eq!(verdicts, [Counted(ThirdParty), KeyUsed(KeyUse::Mentioned)]);
}

#[tokio::test]
async fn an_ed25519_signature_cannot_be_checked_from_the_digest_and_is_found() {
    let mut scene = Scene::new().await;
    scene.ours = Key::ed25519();
    scene.rows[0] = row(1, &scene.ours, b"payload", b"message");
    let by = By::Key(scene.ours.spki());
    hold(
        &scene,
        &[
            rekor("ours", hashed_rekord_v1(&sha256(b"message"), &scene.signature(1), &by), &[Counted(Ours)]),
            rekor(
                "rogue",
                hashed_rekord_v1(&sha256(b"rogue"), &scene.ours.sign(b"rogue"), &by),
                &[KeyUsed(KeyUse::Unknown)],
            ),
            rekor(
                "our signature, another digest",
                hashed_rekord_v1(&sha256(b"rogue"), &scene.signature(1), &by),
                &[KeyUsed(KeyUse::OtherContent)],
            ),
        ],
    );
}

#[tokio::test]
async fn a_row_that_was_written_afterwards_explains_nothing() {
    let scene = Scene::new().await;
    let by = By::Key(scene.ours.spki());
    let leaf = hashed_rekord_v2(&sha256(b"message"), &scene.signature(1), &by);
    let negated = hashed_rekord_v2(&sha256(b"message"), &negated(&scene.signature(1)), &by);
    let envelope = dsse_v1(b"payload", &[(&scene.signature(1), &scene.ours)]);
    for (leaf, rows, expected) in [
        (&leaf, vec![1], KeyUsed(KeyUse::WrittenAfterwards)),
        (&negated, vec![1], KeyUsed(KeyUse::WrittenAfterwards)),
        (&envelope, vec![1], KeyUsed(KeyUse::WrittenAfterwards)),
        (&leaf, vec![2, 3], Counted(Ours)),
    ] {
        assert_eq!(scene.verdicts(leaf, LeafFormat::Rekor, &rows), [expected]);
    }
}

#[tokio::test]
async fn an_honest_row_explains_although_another_was_written_afterwards() {
    let mut scene = Scene::new().await;
    let mut copy = scene.rows[0].clone();
    copy.id = 9;
    scene.rows.insert(0, copy);
    let leaf = hashed_rekord_v2(&sha256(b"message"), &scene.signature(1), &By::Key(scene.ours.spki()));
    assert_eq!(scene.verdicts(&leaf, LeafFormat::Rekor, &[9]), [Counted(Ours)]);
    assert_eq!(scene.verdicts(&leaf, LeafFormat::Rekor, &[1, 9]), [KeyUsed(KeyUse::WrittenAfterwards)]);
}

#[tokio::test]
async fn a_row_without_a_signature_explains_nothing() {
    let mut scene = Scene::new().await;
    let leaf = hashed_rekord_v2(&sha256(b"message"), &scene.signature(1), &By::Key(scene.ours.spki()));
    scene.rows.push(row(4, &scene.ours, b"x", b"y"));
    scene.rows[0].signature = None;
    let mut scene = scene;
    scene.rows.remove(0);
    assert_eq!(scene.verdicts(&leaf, LeafFormat::Rekor, &[]), [KeyUsed(KeyUse::Unknown)]);
}

#[tokio::test]
async fn identities_are_found_by_their_chain_and_excused_by_rules_only() {
    let scene = Scene::new().await;
    let digest = sha256(b"rogue");
    let by = |repository: &str, file: &str| {
        let certificate = scene.certified(&workflow(repository, file), &scene.stranger);
        let signed = hashed_rekord_v2(&digest, &scene.stranger.sign(b"rogue"), &By::Certificate(certificate.clone()));
        (certificate, signed)
    };
    let (evil, evil_signed) = by("acme/app", "evil.yml");
    let (release, release_signed) = by("acme/app", RELEASE);
    let (friend, friend_signed) = by("friend/app", RELEASE);
    let (_, alike_signed) = by("ACME/app", RELEASE);
    let (_, nobody_signed) = by("stranger/app", RELEASE);
    let keyless = scene.certified(&workflow("acme/app", "sealwatch.yml"), &scene.keyless);
    let ours = hashed_rekord_v2(&sha256(b"keyless message"), &scene.signature(3), &By::Certificate(keyless.clone()));
    hold(
        &scene,
        &[
            rekor("a rogue identity", evil_signed, &[IdentityUsed]),
            ct("a rogue certificate", &evil, &[IdentityUsed]),
            rekor("an expected identity", release_signed, &[Counted(Expected)]),
            ct("its certificate", &release, &[Counted(Expected)]),
            rekor("a collected identity", friend_signed, &[Counted(Observed)]),
            ct("its certificate", &friend, &[Counted(Observed)]),
            rekor("a name that nobody watches", nobody_signed, &[]),
            // Our own signer's: the ledger knows the key from before the certificate was asked for.
            rekor("our own keyless signature", ours, &[Counted(Ours)]),
            ct("our own certificate", &keyless, &[Counted(Ours)]),
        ],
    );
    let homemade = By::Certificate(scene.self_made(&workflow("ACME/app", RELEASE), &scene.stranger));
    let homemade = hashed_rekord_v2(&digest, &scene.stranger.sign(b"rogue"), &homemade);
    assert_eq!(scene.verdicts(&homemade, LeafFormat::Rekor, &[]), [Counted(UntrustedChain)]);
    assert_eq!(scene.verdicts(&alike_signed, LeafFormat::Rekor, &[]), [Verdict::NearMiss]);
}
