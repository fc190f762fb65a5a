//! What an expression looks at, found without running it, so that `check` can tell whether those
//! values will be there.

use jsonata_core::ast::{AstNode, BinaryOp, PathStep, Stage};

/// The first names of a path from the top of the scope, as far as they are fixed: `item.images[0].url`
/// is `["item", "images", "url"]`; a name alone at the top is `["itm"]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The names. Empty when the expression looks at the whole scope (`$$`, `*`).
    pub names: Vec<String>,
}

/// What a walk through an expression found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) references: Vec<Reference>,
    /// Per reference its first name and, when nothing else of that root can be reached through
    /// it, the second.
    pub(super) needed: Vec<(String, Option<String>)>,
    /// `%` or `@` occurs, which reach from a value back to what holds it.
    pub(super) reaches_back: bool,
    /// `$now`, `$millis` or `$random` occurs, so their pinned versions are needed.
    pub(super) impure: bool,
    /// A function that cannot be pinned, and why.
    pub(super) refused: Option<String>,
    /// The operators in it that came with JSONata 2.1, each once.
    pub(super) newer: Vec<&'static str>,
}

/// Where names are looked up at some point of an expression.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    /// In the scope itself.
    Top,
    /// In a value that a path has reached.
    Inner,
}

/// Walks through the whole expression.
pub(super) fn walk(root: &AstNode) -> Found {
    let mut walk = Walk { found: Found::default() };
    walk.node(root, Context::Top);
    let mut found = walk.found;
    found.references.sort();
    found.references.dedup();
    found
}

struct Walk {
    found: Found,
}

impl Walk {
    fn node(&mut self, node: &AstNode, context: Context) {
        match node {
            AstNode::String(_)
            | AstNode::Number(_)
            | AstNode::Boolean(_)
            | AstNode::Null
            | AstNode::Undefined
            | AstNode::Placeholder
            | AstNode::Regex { .. } => {}
            AstNode::Parent(_) => self.found.reaches_back = true,
            AstNode::Name(name) => {
                if context == Context::Top {
                    self.refer(vec![name.clone()], false);
                }
            }
            AstNode::Variable(name) => self.variable(name, context),
            AstNode::ParentVariable(_) => self.refer(Vec::new(), false),
            AstNode::Wildcard | AstNode::Descendant => {
                if context == Context::Top {
                    self.refer(Vec::new(), false);
                }
            }
            AstNode::Path { steps } => self.path(steps, context),
            AstNode::Function { name, args, .. } => self.function(name, args, context),
            AstNode::Binary { op, lhs, rhs } => {
                self.operator(*op);
                self.node(lhs, context);
                self.node(rhs, context);
            }
            AstNode::Unary { operand, .. } => self.node(operand, context),
            AstNode::Call { procedure, args } => {
                self.node(procedure, context);
                self.all(args, context);
            }
            AstNode::Lambda { body, .. } => self.node(body, context),
            AstNode::Array(nodes) | AstNode::Block(nodes) | AstNode::ArrayGroup(nodes) => {
                self.all(nodes, context);
            }
            AstNode::Object(pairs) => self.pairs(pairs, context),
            AstNode::ObjectTransform { input, pattern } => {
                self.node(input, context);
                self.pairs(pattern, Context::Inner);
            }
            AstNode::Conditional { condition, then_branch, else_branch } => {
                self.node(condition, context);
                self.node(then_branch, context);
                if let Some(other) = else_branch {
                    self.node(other, context);
                }
            }
            AstNode::FunctionApplication(inner) => self.node(inner, context),
            AstNode::Sort { input, terms } => {
                self.node(input, context);
                for (term, _) in terms {
                    self.node(term, Context::Inner);
                }
            }
            AstNode::Transform { location, update, delete } => {
                self.node(location, Context::Inner);
                self.node(update, Context::Inner);
                if let Some(delete) = delete {
                    self.node(delete, Context::Inner);
                }
            }
        }
    }

    fn path(&mut self, steps: &[PathStep], context: Context) {
        let Some((first, rest)) = steps.split_first() else { return };
        let from_top = match &first.node {
            AstNode::Name(_) => context == Context::Top,
            AstNode::ParentVariable(_) => true,
            AstNode::Variable(name) => name.is_empty() && context == Context::Top,
            _ => false,
        };
        if from_top {
            let skipped = usize::from(!matches!(first.node, AstNode::Name(_)));
            let names = steps[skipped..]
                .iter()
                .map_while(|step| match &step.node {
                    AstNode::Name(name) => Some(name.clone()),
                    _ => None,
                })
                .collect();
            let narrow = steps.get(skipped).is_some_and(|root| {
                root.stages.is_empty() && root.focus.is_none() && root.index_var.is_none() && !root.is_tuple
            });
            self.refer(names, narrow);
        } else {
            self.node(&first.node, context);
        }
        for step in rest {
            if !matches!(step.node, AstNode::Name(_)) {
                self.node(&step.node, Context::Inner);
            }
        }
        // `item@$i.x` looks for `x` beside `item`, not in it.
        self.found.reaches_back |= steps.iter().any(|step| step.focus.is_some());
        for stage in steps.iter().flat_map(|step| &step.stages) {
            if let Stage::Filter(filter) = stage {
                self.node(filter, Context::Inner);
            }
        }
    }

    fn operator(&mut self, op: BinaryOp) {
        let token = match op {
            BinaryOp::Coalesce => "??",
            BinaryOp::Default => "?:",
            _ => return,
        };
        if !self.found.newer.contains(&token) {
            self.found.newer.push(token);
        }
    }

    fn function(&mut self, name: &str, args: &[AstNode], context: Context) {
        self.named(name);
        if name == "toMillis" && args.len() > 1 && !names_a_year(&args[1]) {
            self.refuse(
                "$toMillis needs a picture with a year ([Y…]); without one the result would \
                 depend on the day it is computed",
            );
        }
        self.all(args, context);
    }

    fn variable(&mut self, name: &str, context: Context) {
        if name.is_empty() {
            if context == Context::Top {
                self.refer(Vec::new(), false);
            }
        } else {
            self.named(name);
        }
    }

    fn named(&mut self, function: &str) {
        match function {
            "now" | "millis" | "random" => self.found.impure = true,
            "eval" => self.refuse("$eval is not allowed: an expression never runs text from data"),
            "shuffle" => self.refuse("$shuffle is not allowed: the same item must give the same value twice"),
            _ => {}
        }
    }

    fn refuse(&mut self, why: &str) {
        self.found.refused.get_or_insert_with(|| why.to_owned());
    }

    /// `narrow`: nothing of the root but its second name can be reached through this path.
    fn refer(&mut self, names: Vec<String>, narrow: bool) {
        if let Some(root) = names.first() {
            let field = names.get(1).filter(|_| narrow).cloned();
            self.found.needed.push((root.clone(), field));
        }
        self.found.references.push(Reference { names });
    }

    fn all(&mut self, nodes: &[AstNode], context: Context) {
        for node in nodes {
            self.node(node, context);
        }
    }

    fn pairs(&mut self, pairs: &[(AstNode, AstNode)], context: Context) {
        for (key, value) in pairs {
            self.node(key, context);
            self.node(value, context);
        }
    }
}

fn names_a_year(picture: &AstNode) -> bool {
    matches!(picture, AstNode::String(text) if text.contains("[Y") || text.contains("[X"))
}
