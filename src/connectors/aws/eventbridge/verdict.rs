//! What PutEvents says about each entry. Entries and answers belong together by their position, as
//! the API defines it.

use aws_sdk_eventbridge::types::PutEventsResultEntry;

use crate::core::fault::{Fault, name};
use crate::core::retry::{Again, Outcome};

/// Codes of entries that will not be accepted however often they are sent; those that the API calls
/// not retryable, without those that keep us out whatever we send.
const FINAL: &[&str] = &[
    "InvalidAccountIdException",
    "InvalidArgument",
    "MalformedDetail",
    "NotAuthorizedForDetailTypeException",
    "NotAuthorizedForSourceException",
    "RedactionFailure",
];

/// What became of each of `sent` entries, in their order. An entry about which the answer says
/// nothing was perhaps accepted.
pub(super) fn of_entries(answer: &[PutEventsResultEntry], sent: usize) -> Vec<Result<(), Outcome>> {
    (0..sent).map(|at| answer.get(at).map_or_else(|| Err(unsaid()), of_entry)).collect()
}

fn of_entry(entry: &PutEventsResultEntry) -> Result<(), Outcome> {
    match (entry.error_code(), entry.event_id()) {
        (Some(code), _) => Err(refused(code, entry.error_message())),
        (None, Some(_)) => Ok(()),
        (None, None) => Err(unsaid()),
    }
}

/// One that is not known to be final may be accepted later.
fn refused(code: &str, message: Option<&str>) -> Outcome {
    let message = format!("PutEvents: {code}: {}", message.unwrap_or("no message"));
    if FINAL.contains(&code) {
        Outcome::Refused { fault: Fault::new(name::REFUSED, message), again: Again::Never }
    } else {
        Outcome::Refused { fault: Fault::new(name::STATUS, message), again: Again::Later }
    }
}

fn unsaid() -> Outcome {
    Outcome::Unclear(Fault::new(name::NO_ANSWER, "PutEvents: the answer says nothing about this entry"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted() -> PutEventsResultEntry {
        PutEventsResultEntry::builder().event_id("e").build()
    }

    fn failed(code: &str) -> PutEventsResultEntry {
        PutEventsResultEntry::builder().error_code(code).error_message("no").build()
    }

    #[test]
    fn each_code_is_judged_on_its_own() {
        let again = |code: &str| match of_entries(&[failed(code)], 1).remove(0) {
            Err(Outcome::Refused { fault, again }) => {
                assert_eq!(fault.message, format!("PutEvents: {code}: no"));
                again
            }
            other => panic!("{other:?}"),
        };
        for code in [
            "InternalFailure",
            "ThrottlingException",
            "InternalException",
            "SomethingNew",
            "AccessDeniedException",
        ] {
            assert_eq!(again(code), Again::Later, "{code}");
        }
        for code in ["MalformedDetail", "NotAuthorizedForSourceException"] {
            assert_eq!(again(code), Again::Never, "{code}");
        }
    }

    #[test]
    fn what_the_answer_does_not_say_is_a_doubt() {
        let nothing = PutEventsResultEntry::builder().build();
        let verdicts = of_entries(&[accepted(), nothing], 3);
        assert_eq!(verdicts[0], Ok(()));
        assert!(matches!(&verdicts[1], Err(Outcome::Unclear(_))), "{verdicts:?}");
        assert!(matches!(&verdicts[2], Err(Outcome::Unclear(_))), "{verdicts:?}");
        assert_eq!(of_entries(&[accepted(), accepted()], 1), [Ok(())]);
    }
}
