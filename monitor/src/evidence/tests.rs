//! Each kind of evidence holds, says how strong it is, and fails when anything in it is another.

mod altered;
mod fixture;
mod heads;
mod leaves;
mod mutated;
mod promises;

use store::NewFinding;

use super::*;

/// The verdict on a finding's own evidence.
fn verdict(finding: &NewFinding) -> Verdict {
    let verdict = verify(finding.evidence.as_deref().unwrap()).unwrap();
    assert_eq!(verdict.kind, finding.kind);
    verdict
}

#[track_caller]
fn is_attributable(finding: &NewFinding) {
    let verdict = verdict(finding);
    assert!(verdict.holds && verdict.attributable, "{:#?}", verdict.says);
    assert!(finding.detail.contains("convinces anybody"), "{}", finding.detail);
}

#[track_caller]
fn is_observed(finding: &NewFinding) {
    let verdict = verdict(finding);
    assert!(verdict.holds && !verdict.attributable, "{:#?}", verdict.says);
    assert!(finding.detail.contains("what we saw"), "{}", finding.detail);
}

#[track_caller]
fn does_not_hold(finding: &NewFinding, because: &str) {
    let verdict = verdict(finding);
    assert!(!verdict.holds && !verdict.attributable, "{:#?}", verdict.says);
    assert!(
        verdict.says.iter().any(|line| line.starts_with("FAILED") && line.contains(because)),
        "{:#?}",
        verdict.says
    );
}

/// A file whose content was changed by somebody who also made its digest anew.
fn forged(finding: &NewFinding, change: impl FnOnce(&mut Evidence)) -> Vec<u8> {
    let mut evidence = Evidence::from_bytes(finding.evidence.as_deref().unwrap()).unwrap();
    change(&mut evidence);
    evidence.sha256 = evidence.digest();
    evidence.to_bytes().unwrap()
}

#[track_caller]
fn forgery_fails(finding: &NewFinding, change: impl FnOnce(&mut Evidence)) {
    if let Ok(verdict) = verify(&forged(finding, change)) {
        assert!(!verdict.holds, "{:#?}", verdict.says);
    }
}
