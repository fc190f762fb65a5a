//! Which expressions mean the same to AWS Step Functions, whose JSONata is 2.0.6 without `$eval`
//! (<https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html>), and cannot fail there:
//! a Choice has no Catch.
//!
//! What is not listed here is not in the subset. That costs nothing but a Choice: the engine knows every
//! expression.

use jsonata_core::ast::{AstNode, BinaryOp, PathStep, UnaryOp};
use jsonata_core::parser;

use super::references::walk;

/// What is known of a value before it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A text, or nothing.
    Text,
    /// A number, or nothing.
    Number,
    /// `true` or `false`, or nothing.
    Bool,
    /// Any value, or nothing.
    Anything,
}

/// Something in an expression that is outside the subset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    /// As it stands in the text, as far as that is one piece.
    pub token: String,
    /// Why.
    pub why: Why,
}

/// Why something is outside the subset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// An operator of JSONata 2.1, which AWS does not have.
    Newer,
    /// A value that only the engine has.
    Absent,
    /// It fails on some values.
    Fails,
    /// A function, or a form of expression, of which it is not known that it does the same in both.
    Unknown,
}

/// The operators of JSONata 2.1 in the text of an expression; nothing for a text that is none.
pub(super) fn newer(text: &str) -> Vec<&'static str> {
    parser::parse(text).map(|root| walk(&root).newer).unwrap_or_default()
}

/// What is outside the subset: the newer operators, else the first other thing. `holds` says what is known
/// of the value with these names; `None`: only the engine has it.
pub(super) fn outside(text: &str, holds: &dyn Fn(&[String]) -> Option<Holds>) -> Vec<Outside> {
    let Ok(root) = parser::parse(text) else { return Vec::new() };
    let newer = walk(&root).newer;
    if !newer.is_empty() {
        let told = |token: &&str| Outside { token: (*token).to_owned(), why: Why::Newer };
        return newer.iter().map(told).collect();
    }
    judge(&root, holds).err().into_iter().collect()
}

type Judged = Result<Holds, Outside>;
type Known<'a> = &'a dyn Fn(&[String]) -> Option<Holds>;

fn judge(node: &AstNode, holds: Known<'_>) -> Judged {
    Ok(match node {
        AstNode::String(_) => Holds::Text,
        AstNode::Number(_) => Holds::Number,
        AstNode::Boolean(_) => Holds::Bool,
        AstNode::Null => Holds::Anything,
        AstNode::Name(name) => known(std::slice::from_ref(name), holds)?,
        AstNode::Path { steps } => path(steps, holds)?,
        AstNode::Binary { op, lhs, rhs } => binary(*op, judge(lhs, holds)?, judge(rhs, holds)?)?,
        AstNode::Unary { op: UnaryOp::Not, operand } => judge(operand, holds).map(|_| Holds::Bool)?,
        AstNode::Unary { op: UnaryOp::Negate, operand } => match judge(operand, holds)? {
            Holds::Number => Holds::Number,
            _ => return Err(told("-", Why::Fails)),
        },
        AstNode::Conditional { condition, then_branch, else_branch } => {
            judge(condition, holds)?;
            let one = judge(then_branch, holds)?;
            let other = else_branch.as_ref().map_or(Ok(one), |other| judge(other, holds))?;
            if one == other { one } else { Holds::Anything }
        }
        AstNode::Block(nodes) if nodes.len() == 1 => judge(&nodes[0], holds)?,
        AstNode::Array(nodes) => {
            nodes.iter().try_for_each(|node| judge(node, holds).map(drop))?;
            Holds::Anything
        }
        AstNode::Function { name, args, .. } => {
            let args = args.iter().map(|arg| judge(arg, holds)).collect::<Result<Vec<_>, _>>()?;
            function(name, &args)?
        }
        AstNode::ParentVariable(_) => return Err(told("$$", Why::Absent)),
        AstNode::Variable(name) if name.is_empty() => return Err(told("$", Why::Absent)),
        AstNode::Variable(name) => return Err(told(&format!("${name}"), Why::Unknown)),
        AstNode::Wildcard => return Err(told("*", Why::Absent)),
        AstNode::Descendant => return Err(told("**", Why::Absent)),
        _ => return Err(told("", Why::Unknown)),
    })
}

fn told(token: &str, why: Why) -> Outside {
    Outside { token: token.to_owned(), why }
}

fn known(names: &[String], holds: Known<'_>) -> Judged {
    holds(names).ok_or_else(|| told(&names.join("."), Why::Absent))
}

/// Names and nothing else. What a filter or a variable on the way does is left to the engine.
fn path(steps: &[PathStep], holds: Known<'_>) -> Judged {
    let mut names = Vec::with_capacity(steps.len());
    for step in steps {
        let plain =
            step.stages.is_empty() && step.focus.is_none() && step.index_var.is_none() && !step.is_tuple;
        match &step.node {
            AstNode::Name(name) if plain => names.push(name.clone()),
            AstNode::ParentVariable(_) => return Err(told("$$", Why::Absent)),
            AstNode::Variable(name) if name.is_empty() => return Err(told("$", Why::Absent)),
            _ => return Err(told(names.last().map_or("", String::as_str), Why::Unknown)),
        }
    }
    known(&names, holds)
}

fn binary(op: BinaryOp, left: Holds, right: Holds) -> Judged {
    let ordered = left == right && matches!(left, Holds::Text | Holds::Number);
    let token = match op {
        BinaryOp::And | BinaryOp::Or | BinaryOp::Equal | BinaryOp::NotEqual | BinaryOp::In => {
            return Ok(Holds::Bool);
        }
        BinaryOp::Concatenate => return Ok(Holds::Text),
        BinaryOp::LessThan => "<",
        BinaryOp::LessThanOrEqual => "<=",
        BinaryOp::GreaterThan => ">",
        BinaryOp::GreaterThanOrEqual => ">=",
        BinaryOp::Add => return Err(told("+", Why::Fails)),
        BinaryOp::Subtract => return Err(told("-", Why::Fails)),
        BinaryOp::Multiply => return Err(told("*", Why::Fails)),
        BinaryOp::Divide => return Err(told("/", Why::Fails)),
        BinaryOp::Modulo => return Err(told("%", Why::Fails)),
        _ => return Err(told("", Why::Unknown)),
    };
    if ordered { Ok(Holds::Bool) } else { Err(told(token, Why::Fails)) }
}

fn function(name: &str, args: &[Holds]) -> Judged {
    use Holds::{Anything, Bool, Number, Text};
    let (takes, gives): (&[Holds], Holds) = match name {
        "exists" | "not" | "boolean" => (&[Anything], Bool),
        "count" => (&[Anything], Number),
        "type" => (&[Anything], Text),
        "length" => (&[Text], Number),
        "lowercase" | "uppercase" | "trim" => (&[Text], Text),
        "contains" => (&[Text, Text], Bool),
        _ => return Err(told(&format!("${name}"), Why::Unknown)),
    };
    let fits = |(takes, given): (&Holds, &Holds)| *takes == Anything || takes == given;
    if takes.len() == args.len() && takes.iter().zip(args).all(fits) {
        Ok(gives)
    } else {
        Err(told(&format!("${name}"), Why::Fails))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Vec<(String, Why)> {
        let holds = |names: &[String]| match names.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["input", "name"] => Some(Holds::Text),
            ["input", "count"] => Some(Holds::Number),
            ["steps", ..] => Some(Holds::Anything),
            _ => None,
        };
        outside(text, &holds).into_iter().map(|outside| (outside.token, outside.why)).collect()
    }

    #[test]
    fn what_cannot_fail_and_means_the_same_is_inside() {
        for text in [
            r#"input.name != """#,
            "input.count > 3 and input.count <= 10",
            "steps.ask.status = 200 or $not($exists(steps.ask))",
            "steps.`ask-me`.status in [200, 404]",
            r#"$contains($lowercase(input.name), "a") ? true : (input.count = -1)"#,
        ] {
            assert_eq!(seen(text), [], "{text}");
        }
    }

    #[test]
    fn what_is_outside_is_named() {
        let cases: [(&str, &str, Why); 12] = [
            (r#"(input.name ?? "x") = "x""#, "??", Why::Newer),
            (r#"(input.name ?: "x") = "x""#, "?:", Why::Newer),
            ("item.size = 3", "item.size", Why::Absent),
            ("$$.input.name = \"a\"", "$$", Why::Absent),
            ("run.id = \"a\"", "run.id", Why::Absent),
            ("steps.ask.status < 300", "<", Why::Fails),
            ("input.count < input.name", "<", Why::Fails),
            ("input.count + 1 = 2", "+", Why::Fails),
            ("$contains(input.name, /a/)", "", Why::Unknown),
            ("$match(input.name, \"a\")", "$match", Why::Unknown),
            ("$length(steps.ask.body) = 1", "$length", Why::Fails),
            ("steps.ask[status = 1].x = 2", "steps", Why::Unknown),
        ];
        for (text, token, why) in cases {
            assert_eq!(seen(text), [(token.to_owned(), why)], "{text}");
        }
    }
}
