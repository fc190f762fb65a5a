//! Which products go together.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::request::text;
use crate::ports::Call;

/// Products in one write at the second attempt. See [`groups`].
const SECOND_ATTEMPT_MAX: usize = 5;
/// Most bytes of products in one write: Medusa takes 2 MB, with what is around them.
const BODY_BYTES_MAX: usize = 1_900_000;

/// Products that are written together, by their place in the call.
pub(super) type Group = Vec<usize>;

/// Splits the units into rounds: in one round no two have the same external ID or handle. They come
/// in their order, so of two for one product the later stays.
pub(super) fn rounds(units: &[usize], bodies: &[Value]) -> Vec<Vec<usize>> {
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    let mut next_of: HashMap<(&str, &str), usize> = HashMap::new();
    for unit in units {
        let names = ["external_id", "handle"].map(|name| (name, text(&bodies[*unit], name)));
        let round = names.iter().filter_map(|name| next_of.get(name)).max().copied().unwrap_or(0);
        next_of.extend(names.map(|name| (name, round + 1)));
        if round == rounds.len() {
            rounds.push(Vec::new());
        }
        rounds[round].push(*unit);
    }
    rounds
}

/// How the products of a round are grouped into writes. After an unclear end nobody knows which
/// product of many was to blame, and one that the server dies of takes along all that are with it. So
/// later attempts go in smaller company, and the last ones alone.
pub(super) fn groups(units: &[usize], calls: &[Call], size: impl Fn(usize) -> usize) -> Vec<Group> {
    let company = |unit: usize| match calls[unit].attempt {
        0 | 1 => usize::MAX,
        2 => SECOND_ATTEMPT_MAX,
        _ => 1,
    };
    let mut groups = Vec::new();
    for most in [usize::MAX, SECOND_ATTEMPT_MAX, 1] {
        let (mut group, mut filled) = (Group::new(), 0);
        for unit in units.iter().copied().filter(|unit| company(*unit) == most) {
            let bytes = size(unit);
            if !group.is_empty() && (group.len() >= most || filled + bytes > BODY_BYTES_MAX) {
                groups.push(std::mem::take(&mut group));
                filled = 0;
            }
            filled += bytes;
            group.push(unit);
        }
        if !group.is_empty() {
            groups.push(group);
        }
    }
    groups
}

/// A refused group in parts, the last one to be written first: the others together and then those
/// that were named alone, in their order; or else halves.
pub(super) fn parts(mut group: Group, named: &HashSet<usize>) -> Vec<Group> {
    if named.is_empty() || named.len() == group.len() {
        let later = group.split_off(group.len() / 2);
        return vec![later, group];
    }
    let (named, others): (Group, Group) = group.into_iter().partition(|unit| named.contains(unit));
    let mut parts: Vec<Group> = named.into_iter().rev().map(|unit| vec![unit]).collect();
    parts.push(others);
    parts
}

/// The length of a body as it is sent.
pub(super) fn size(body: &Value) -> usize {
    body.to_string().len()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::core::id::{RunId, Unit};
    use crate::core::version::Version;

    fn at_attempts(attempts: &[u32]) -> Vec<Call> {
        let call = |attempt: &u32| Call {
            run: RunId(1),
            unit: Unit::Item(0),
            attempt: *attempt,
            key: String::new(),
            effect_id: 1,
            request: Value::Null,
            version: Version("0".to_owned()),
        };
        attempts.iter().map(call).collect()
    }

    #[test]
    fn what_failed_before_goes_in_smaller_company_and_no_write_is_too_long() {
        let calls = at_attempts(&[1, 2, 1, 3, 2, 2, 2, 2, 2, 4]);
        let units: Vec<usize> = (0..10).collect();
        let all = vec![vec![0, 2], vec![1, 4, 5, 6, 7], vec![8], vec![3], vec![9]];
        assert_eq!(groups(&units, &calls, |_| 1), all);
        let calls = at_attempts(&[1; 5]);
        assert_eq!(groups(&units[..5], &calls, |_| 800_000), [vec![0, 1], vec![2, 3], vec![4]]);
        assert_eq!(
            groups(&units[..2], &calls, |_| 5_000_000),
            [[0], [1]],
            "the shop says what it thinks of it"
        );
        assert_eq!(groups(&[], &calls, |_| 1), [] as [Group; 0]);
    }

    #[test]
    fn two_for_one_product_never_go_together_and_the_later_stays() {
        let body = |key: &str, handle: &str| json!({ "external_id": key, "handle": handle });
        let bodies =
            [body("A", "a"), body("B", "b"), body("A", "a"), body("C", "b"), body("C", "c"), body("A", "x")];
        assert_eq!(rounds(&[0, 1, 2, 3, 4, 5], &bodies), [vec![0, 1], vec![2, 3], vec![4, 5]]);
    }

    #[test]
    fn those_to_blame_are_taken_out_and_without_a_name_it_is_halves() {
        let parted = |named: &[usize]| parts(vec![4, 5, 6, 7, 8], &named.iter().copied().collect());
        assert_eq!(parted(&[]), [vec![6, 7, 8], vec![4, 5]]);
        assert_eq!(parted(&[5, 8]), [vec![8], vec![5], vec![4, 6, 7]]);
        assert_eq!(parted(&[4, 5, 6, 7, 8]), [vec![6, 7, 8], vec![4, 5]]);
    }
}
