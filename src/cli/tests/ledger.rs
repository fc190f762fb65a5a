//! The effect ledger and dead letters, as they are read on a terminal.

use super::Site;
use crate::view::fake;

#[tokio::test]
async fn the_ledger_is_counted_listed_and_says_what_to_do() {
    let site = Site::showing(fake::doubtful());
    insta::assert_snapshot!(site.said("effects @latest --in-doubt").await, @r#"
exit 0
--- stdout
run_00000300000000000000000000  product-sync  interrupted

effects  verdict     what is known
     12  done        done for sure; 1 of them perhaps more than once
      2  refused     not done for sure
      3  in_doubt    perhaps done
      -  intended    a call is under way
      1  not_needed  never sent: the other side already held it

item  step  effect    attempt  when                  key           what is known
K1    pim   done            2  2026-03-01 10:00:00Z  -             id=17; Timeout: no answer within 30 s; perhaps also in 1 earlier attempt
K3    pim   in_doubt        3  2026-03-01 10:00:00Z  sku-item 3-2  Timeout: no answer within 30 s; perhaps also in 1 earlier attempt; a person decides: --settle
#4    pim   in_doubt        2  2026-03-01 10:00:00Z  sku-item 4-2  EngineDied: the engine stopped between the call and its answer; a resume looks it up
K5    pim   in_doubt        1  2026-03-01 10:00:00Z  sku-item 5-2  Timeout: no answer within 30 s; a resume looks it up
--- stderr

next: milepost effects run_00000300000000000000000000 --settle done|not-done --item KEY --state DIR
      milepost resume run_00000300000000000000000000 --plan --state DIR
"#);
    insta::assert_snapshot!(site.said("effects @latest --step pim --limit 1").await, @r#"
exit 0
--- stdout
run_00000300000000000000000000  product-sync  interrupted

effects  verdict     what is known
     12  done        done for sure; 1 of them perhaps more than once
      2  refused     not done for sure
      3  in_doubt    perhaps done
      -  intended    a call is under way
      1  not_needed  never sent: the other side already held it

item  step  effect  attempt  when                  key           what is known
K0    pim   done          1  2026-03-01 10:00:00Z  sku-item 0-2  id=17
--- stderr
there are more; go on with --after 1, or ask with --limit

next: milepost effects run_00000300000000000000000000 --in-doubt --state DIR
      milepost resume run_00000300000000000000000000 --plan --state DIR
"#);
    let (_, out, err) = site.milepost("effects @latest --in-doubt --json").await;
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), err.as_str()), (4, ""));
    for field in ["item", "step", "effect", "attempt", "at", "key", "facts", "error", "doubts", "settle_by"] {
        assert!(lines.iter().all(|line| line.get(field).is_some()), "{field}");
    }
}

#[tokio::test]
async fn nothing_is_settled_or_given_up_before_somebody_said_what() {
    let site = Site::showing(fake::doubtful());
    insta::assert_snapshot!(site.said("effects @latest --settle not-done").await, @r#"
exit 2
--- stdout
item  step  effect    attempt  when                  key           what is known
K1    pim   done            2  2026-03-01 10:00:00Z  -             id=17; Timeout: no answer within 30 s; perhaps also in 1 earlier attempt
K3    pim   in_doubt        3  2026-03-01 10:00:00Z  sku-item 3-2  Timeout: no answer within 30 s; perhaps also in 1 earlier attempt; a person decides: --settle
--- stderr
error[E1043]: nothing was settled: name items with --item, or mean all of these with --all
next: milepost effects run_00000300000000000000000000 --settle not-done --item KEY --state DIR
      milepost effects run_00000300000000000000000000 --settle not-done --all --state DIR
"#);
    insta::assert_snapshot!(site.said("dead-letters drop @latest").await, @r#"
exit 2
--- stdout
--- stderr
error[E1043]: nothing was given up: say which of 2 dead letters, or mean all with --all
next: milepost dead-letters list --run run_00000300000000000000000000 --state DIR
      milepost dead-letters drop run_00000300000000000000000000 --all --state DIR
"#);
}

#[tokio::test]
async fn dead_letters_are_listed_and_told() {
    let site = Site::new(true);
    insta::assert_snapshot!(site.said("dead-letters list --run @failed").await, @r#"
exit 0
--- stdout
run                             item  step      attempts  when                  error
run_00000100000000000000000000  K2    pim              3  2026-03-01 10:00:00Z  Refused: /price: must be at most 99999 but is 120000
run_00000100000000000000000000  #4    validate         -  2026-03-01 10:00:00Z  InvalidRecord: /title: is missing
--- stderr

next: milepost dead-letters show run_00000100000000000000000000 K2 --state DIR
      milepost dead-letters redrive run_00000100000000000000000000 --plan --state DIR
"#);
    insta::assert_snapshot!(site.said("dead-letters show @failed K2").await, @r#"
exit 0
--- stdout
K2  position 2  dead_lettered at pim

step      status         attempts  when                  returned
validate  succeeded             -  2026-03-01 10:00:00Z
publish   succeeded             1  2026-03-01 10:00:00Z  event_id="e2"
pim       dead_lettered         3  2026-03-01 10:00:00Z

pim: Refused: /price: must be at most 99999 but is 120000

effects
item  step     effect   attempt  when                  key           what is known
K2    publish  done           1  2026-03-01 10:00:00Z  sku-item 2-1  event_id="e2"
K2    pim      refused        3  2026-03-01 10:00:00Z  sku-item 2-2  Refused: /price: must be at most 99999 but is 120000

what happened
2026-03-01T10:00:00.000Z setback     pim  K2  dead_lettered  attempt 3  Refused: /price: must be at most 99999 but is 120000

record
{
  "title": "product 2",
  "price": 120000
}
--- stderr

next: milepost dead-letters redrive run_00000100000000000000000000 --item K2 --plan --state DIR
      milepost dead-letters drop run_00000100000000000000000000 --item K2 --state DIR
"#);
}

#[tokio::test]
async fn whoever_asks_for_json_is_told_of_failures_in_json() {
    let site = Site::new(true);
    insta::assert_snapshot!(site.said("items @latest --item K99 --json").await, @r#"
exit 5
--- stdout
--- stderr
{"kind":"not_found","code":"E1011","detail":"no item of run_00000200000000000000000000 has the key 'K99'","next":["milepost items run_00000200000000000000000000 --state DIR"]}
"#);
}
