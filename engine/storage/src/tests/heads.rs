//! Heads that were kept elsewhere: they show what a hash chain alone cannot show.

use bursar_ledger::Digest;

use super::*;

fn audited(path: &Path, heads: &[SeenHead]) -> AuditReport {
    audit_file(path, heads, render, &mut |_, _| {}).expect("the audit runs")
}

fn seen(economy: Option<&str>, hash: Digest) -> SeenHead {
    let economy = economy.map(name);
    SeenHead { economy, hash }
}

#[test]
fn an_end_that_was_cut_off_shows_against_a_head_that_was_seen() {
    let (_folder, path, storage) = open_guild();
    let before = storage.state().head(&guild()).expect("a head");
    answered(ask(&storage, Some("k"), transfer("user:1", "user:2", 30)));
    let head = storage.state().head(&guild()).expect("a head");
    let both = [seen(None, before), seen(Some("guild"), head)];
    let live = storage
        .audit(&both, &Cancel::new(), &mut |_, _| {})
        .expect("the audit runs");
    assert!(live.ok, "{live:#?}");
    let places: Vec<_> = live.heads.iter().map(|it| (it.head, it.seq)).collect();
    assert!(places.contains(&(before, Some(5))) && places.contains(&(head, Some(6))));
    storage.close();
    drop(storage);

    vandalise(&path, CUT);
    assert!(audited(&path, &[]).ok, "by itself nothing can tell");
    let report = audited(&path, &both);
    let explainable = report.promises.get(9).expect("ten promises");
    assert_eq!(explainable.findings.len(), 1, "{report:#?}");
    let finding = explainable.findings.first().expect("one");
    assert!(
        finding.contains(&head.to_string()) && finding.contains("`guild`"),
        "{finding}"
    );
    assert!(!report.ok);
}

#[test]
fn a_head_is_that_of_its_economy_and_no_other() {
    let (_folder, path, storage) = open_guild();
    let head = storage.state().head(&guild()).expect("a head");
    storage.close();
    drop(storage);
    assert!(audited(&path, &[seen(Some("guild"), head), seen(None, head)]).ok);
    for wrong in [
        seen(Some("other"), head),
        seen(None, Digest::of(b"no record")),
    ] {
        assert!(!audited(&path, &[wrong]).ok);
    }
}
