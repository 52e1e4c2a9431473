//! `sealwatch verify` and what other people sign: it accepts what stock cosign made, in both formats, and refuses
//! whatever was altered since.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::gallery::{Gallery, Maker, UNLOGGED};
use crate::http;
use crate::peers::shared;
use crate::scene::{Rekor, Scene};

/// The base64 in a field with one bit of its last byte turned.
fn turn(field: &mut Value) {
    let mut bytes = STANDARD.decode(field.as_str().expect("base64")).expect("base64");
    *bytes.last_mut().expect("not empty") ^= 1;
    *field = json!(STANDARD.encode(bytes));
}

#[test]
fn our_verifier_accepts_what_stock_cosign_signs_in_both_formats() {
    let Some(shared) = shared("our_verifier_accepts_what_stock_cosign_signs_in_both_formats") else { return };
    for rekor in [Rekor::V1, Rekor::V2] {
        let gallery = Gallery::new(Scene::new(shared.clone(), rekor), |_| true);
        for maker in &gallery.makers {
            gallery.accepts(maker);
            let another_key = gallery.verify(maker, "v1", "nightly", &gallery.trusted_root());
            another_key.expect_refused(&["signature is by another key", "signature is not by this key"]);
            let unsigned = gallery.verify(maker, "bystander", "release", &gallery.trusted_root());
            unsigned.expect_refused(&["no signatures found"]);
            println!("{rekor:?}: {} is accepted, and refused for another key", maker.name);
        }
    }
}

/// A change to a bundle, and the word with which we refuse it.
struct Forgery {
    what: &'static str,
    reason: &'static str,
    change: Box<dyn Fn(&mut Value)>,
}

fn forgery(what: &'static str, reason: &'static str, change: impl Fn(&mut Value) + 'static) -> Forgery {
    Forgery { what, reason, change: Box::new(change) }
}

/// What is changed in a bundle, given a genuine bundle of another image by the same key and the other log's checkpoint.
fn forgeries(rekor: Rekor, second: Value, bystander: String, other_checkpoint: String) -> Vec<Forgery> {
    const ENTRY: &str = "/verificationMaterial/tlogEntries/0";
    fn at<'a>(bundle: &'a mut Value, path: &str) -> &'a mut Value {
        bundle.pointer_mut(path).unwrap_or_else(|| panic!("a bundle has {path}"))
    }
    let entry = |field: &str| format!("{ENTRY}/{field}");
    let (proof, promise) = (entry("inclusionProof"), entry("inclusionPromise"));
    let checkpoint = format!("{proof}/checkpoint/envelope");
    let stamp = "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp";
    let (their_entry, their_stamp) =
        (second.pointer(ENTRY).cloned().expect("an entry"), second.pointer(stamp).cloned());
    let their_signature = other_checkpoint.split_once("\n\n").expect("a note has signatures").1.to_owned();
    let signature = "signature is not by this key";
    let mut all = vec![
        forgery("the payload, a space more", signature, |b| {
            let field = at(b, "/dsseEnvelope/payload");
            let mut payload = STANDARD.decode(field.as_str().expect("base64")).expect("base64");
            payload.push(b' ');
            *field = json!(STANDARD.encode(payload));
        }),
        forgery("the payload, about another image", signature, move |b| {
            let field = at(b, "/dsseEnvelope/payload");
            let mut payload: Value =
                serde_json::from_slice(&STANDARD.decode(field.as_str().expect("base64")).expect("base64"))
                    .expect("JSON");
            payload["subject"][0]["digest"]["sha256"] = json!(bystander.trim_start_matches("sha256:"));
            *field = json!(STANDARD.encode(payload.to_string()));
        }),
        forgery("the inclusion proof, a hash", "inclusion proof", {
            let proof = proof.clone();
            move |b| {
                let proof = at(b, &proof).as_object_mut().expect("an object");
                let hashes = proof.entry("hashes").or_insert_with(|| json!([]));
                let hashes = hashes.as_array_mut().expect("a list");
                // In a tree of one leaf there is none.
                if hashes.is_empty() { hashes.push(json!(STANDARD.encode([7; 32]))) } else { turn(&mut hashes[0]) }
            }
        }),
        forgery("the inclusion proof, the root", "inclusion proof leads to another tree", {
            let root = format!("{proof}/rootHash");
            move |b| turn(at(b, &root))
        }),
        forgery("the checkpoint of another log", "checkpoint", {
            let checkpoint = checkpoint.clone();
            move |b| *at(b, &checkpoint) = json!(other_checkpoint)
        }),
        forgery("the checkpoint, signed by another log", "checkpoint", move |b| {
            let field = at(b, &checkpoint);
            let text = field.as_str().expect("a note").split_once("\n\n").expect("a note has signatures").0.to_owned();
            *field = json!(format!("{text}\n\n{their_signature}"));
        }),
        forgery("the log entry of another signature", "not about this signature", move |b| {
            *at(b, ENTRY) = their_entry.clone()
        }),
        forgery("no log entry", UNLOGGED, |b| *at(b, "/verificationMaterial/tlogEntries") = json!([])),
    ];
    if let Some(their_stamp) = their_stamp {
        all.push(forgery("the timestamp of another signature", "timestamp", move |b| {
            *at(b, stamp) = their_stamp.clone()
        }));
    }
    if rekor == Rekor::V1 {
        let set = format!("{promise}/signedEntryTimestamp");
        all.push(forgery("the SET", "signed entry timestamp", move |b| turn(at(b, &set))));
        let time = entry("integratedTime");
        all.push(forgery("the integrated time", "signed entry timestamp", move |b| {
            *at(b, &time) = json!("1795000000")
        }));
    }
    all
}

#[test]
fn our_verifier_refuses_a_bundle_in_which_anything_was_changed() {
    let Some(shared) = shared("our_verifier_refuses_a_bundle_in_which_anything_was_changed") else { return };
    for rekor in [Rekor::V1, Rekor::V2] {
        let gallery = Gallery::new(Scene::new(shared.clone(), rekor), |m| m.bundle);
        for maker in &gallery.makers {
            let (manifest, genuine) = gallery.bundle(maker, "v1");
            // The pen is honest: what it writes unchanged is accepted.
            gallery.attach_bundle(maker, "v1", &manifest, &genuine);
            gallery.accepts(maker);
            gallery.attach_bundle(maker, "bystander", &manifest, &genuine);
            gallery.refuses(maker, "bystander", "another digest", "signature is about");
            let (_, second) = gallery.bundle(maker, "v2");
            let all =
                forgeries(rekor, second, gallery.digest(maker.name, "bystander"), other_checkpoint(&gallery.scene));
            for forgery in all {
                let mut bundle = genuine.clone();
                (forgery.change)(&mut bundle);
                assert_ne!(bundle, genuine, "{} was changed", forgery.what);
                gallery.attach_bundle(maker, "v1", &manifest, &bundle);
                gallery.refuses(maker, "v1", forgery.what, forgery.reason);
            }
            gallery.attach_bundle(maker, "v1", &manifest, &genuine);
            gallery.accepts(maker);
        }
    }
}

/// The newest checkpoint of the log that this scene does not write to.
fn other_checkpoint(scene: &Scene) -> String {
    match scene.rekor {
        Rekor::V1 => {
            String::from_utf8(http::request("GET", &format!("{}/checkpoint", scene.shared.tiles), &[], b"").body)
                .expect("text")
        }
        Rekor::V2 => {
            let answer = http::request("GET", &format!("{}/api/v1/log", scene.shared.rekor1), &[], b"");
            let log: Value = serde_json::from_slice(&answer.body).expect("JSON");
            log["signedTreeHead"].as_str().expect("a checkpoint").to_owned()
        }
    }
}

#[test]
fn our_verifier_refuses_a_legacy_signature_in_which_anything_was_changed() {
    let Some(shared) = shared("our_verifier_refuses_a_legacy_signature_in_which_anything_was_changed") else { return };
    const LOGGED: &str = "dev.sigstore.cosign/bundle";
    const STAMPED: &str = "dev.sigstore.cosign/rfc3161timestamp";
    let gallery = Gallery::new(Scene::new(shared, Rekor::V1), |m| !m.bundle);
    for maker in &gallery.makers {
        let (genuine, payload) = gallery.legacy(maker, "v1");
        gallery.attach_legacy(maker, "v1", &genuine, &payload);
        gallery.accepts(maker);
        gallery.attach_legacy(maker, "bystander", &genuine, &payload);
        gallery.refuses(maker, "bystander", "another digest", "signature is about");

        let (v1, bystander) = (gallery.digest(maker.name, "v1"), gallery.digest(maker.name, "bystander"));
        let about = String::from_utf8(payload.clone()).expect("text").replace(&v1, &bystander);
        gallery.attach_legacy(maker, "bystander", &genuine, about.as_bytes());
        gallery.refuses(maker, "bystander", "the payload, about another image", "signature is not by this key");
        gallery.attach_legacy(maker, "v1", &genuine, &[&payload[..], b" "].concat());
        gallery.refuses(maker, "v1", "the payload, a space more", "signature is not by this key");

        let (second, _) = gallery.legacy(maker, "v2");
        let theirs = second["layers"][0]["annotations"][LOGGED].clone();
        let logged = |change: &dyn Fn(&mut Value)| {
            let mut manifest = genuine.clone();
            let annotation = &mut manifest["layers"][0]["annotations"][LOGGED];
            let mut log_entry: Value = serde_json::from_str(annotation.as_str().expect("an annotation")).expect("JSON");
            change(&mut log_entry);
            *annotation = json!(log_entry.to_string());
            assert_ne!(manifest, genuine, "it was changed");
            manifest
        };
        let number = |field: &'static str| {
            move |entry: &mut Value| {
                entry["Payload"][field] = json!(entry["Payload"][field].as_u64().expect("a number") + 1)
            }
        };
        for (what, reason, manifest) in [
            ("the SET", "signed entry timestamp", logged(&|entry| turn(&mut entry["SignedEntryTimestamp"]))),
            ("the integrated time", "signed entry timestamp", logged(&number("integratedTime"))),
            ("the log index", "signed entry timestamp", logged(&number("logIndex"))),
            (
                "the log entry of another signature",
                "not about this signature",
                logged(&|entry| *entry = serde_json::from_str(theirs.as_str().expect("an annotation")).expect("JSON")),
            ),
        ] {
            gallery.attach_legacy(maker, "v1", &manifest, &payload);
            gallery.refuses(maker, "v1", what, reason);
        }
        let mut unlogged = genuine.clone();
        unlogged["layers"][0]["annotations"].as_object_mut().expect("annotations").remove(LOGGED);
        gallery.attach_legacy(maker, "v1", &unlogged, &payload);
        gallery.refuses(maker, "v1", "no log entry", UNLOGGED);
        if let Some(theirs) = second["layers"][0]["annotations"].get(STAMPED) {
            let mut stamped = genuine.clone();
            stamped["layers"][0]["annotations"][STAMPED] = theirs.clone();
            gallery.attach_legacy(maker, "v1", &stamped, &payload);
            gallery.refuses(maker, "v1", "the timestamp of another signature", "timestamp");
        }
        gallery.attach_legacy(maker, "v1", &genuine, &payload);
        gallery.accepts(maker);
    }
}

#[test]
fn our_verifier_refuses_what_was_signed_outside_the_time_for_which_its_witnesses_are_trusted() {
    let Some(shared) =
        shared("our_verifier_refuses_what_was_signed_outside_the_time_for_which_its_witnesses_are_trusted")
    else {
        return;
    };
    for rekor in [Rekor::V1, Rekor::V2] {
        let stamped = |m: &Maker| matches!(m.name, "c3-bundle" | "c2-legacy-stamped");
        let gallery = Gallery::new(Scene::new(shared.clone(), rekor), stamped);
        for (what, period) in [
            ("ended", json!({"start": "2024-01-01T00:00:00Z", "end": "2024-06-01T00:00:00Z"})),
            ("to come", json!({"start": "2999-01-01T00:00:00Z"})),
        ] {
            for (list, reason) in
                [("timestampAuthorities", "is outside the time for which"), ("tlogs", "is not trusted for the time")]
            {
                let changed = gallery.trusted_root_but(|root| {
                    for trusted in root[list].as_array_mut().expect("a list") {
                        let of = if list == "tlogs" { &mut trusted["publicKey"] } else { trusted };
                        of["validFor"] = period.clone();
                    }
                });
                for maker in &gallery.makers {
                    let verdict = gallery.verify(maker, "v1", "release", &changed);
                    verdict.expect_refused(&[reason]);
                    let first = verdict.text.trim().lines().next().unwrap_or_default();
                    println!("{rekor:?}, {}: {list}, {what}: {first}", maker.name);
                }
            }
        }
        gallery.makers.iter().for_each(|maker| gallery.accepts(maker));
    }
}
