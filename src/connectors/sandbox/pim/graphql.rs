//! Reads GraphQL operations as far as a Data Hub client sends them: one operation, fields with
//! arguments and aliases, variables, and literals of every kind. No fragments, no directives.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// One operation with its variables filled in.
#[derive(Debug, PartialEq)]
pub(super) struct Operation {
    /// Whether it is a mutation; else it is a query.
    pub(super) mutation: bool,
    /// What is asked for.
    pub(super) fields: Vec<Field>,
}

/// One field that is asked for.
#[derive(Debug, PartialEq)]
pub(super) struct Field {
    /// Under which name it is answered.
    pub(super) alias: String,
    /// Its name.
    pub(super) name: String,
    /// Its arguments; one whose variable was not given is left out.
    pub(super) arguments: BTreeMap<String, Value>,
    /// What is asked for inside.
    pub(super) fields: Vec<Field>,
}

/// Deepest nesting that is read: more than any Data Hub schema has, less than the stack.
const DEPTH_MAX: usize = 32;

/// Parses `query` and replaces its variables. The error is the text of a GraphQL error.
pub(super) fn parse(query: &str, variables: &Map<String, Value>) -> Result<Operation, String> {
    let mut parser = Parser { rest: query, variables, defined: BTreeMap::new(), depth: 0 };
    parser.skip();
    let mutation = match parser.peek() {
        Some('{') => false,
        _ => match parser.name()?.as_str() {
            "query" => false,
            "mutation" => true,
            other => return Err(format!("Syntax Error: Unexpected Name \"{other}\"")),
        },
    };
    if parser.peek().is_some_and(is_name_start) {
        parser.name()?;
    }
    if parser.eat('(') {
        parser.definitions()?;
    }
    let fields = parser.selection()?;
    match parser.peek() {
        None => Ok(Operation { mutation, fields }),
        Some(found) => Err(unexpected(found)),
    }
}

struct Parser<'a> {
    rest: &'a str,
    variables: &'a Map<String, Value>,
    /// The value of each variable; `None`: not given.
    defined: BTreeMap<String, Option<Value>>,
    depth: usize,
}

impl Parser<'_> {
    fn definitions(&mut self) -> Result<(), String> {
        while !self.eat(')') {
            self.expect('$')?;
            let name = self.name()?;
            self.expect(':')?;
            let kind = self.kind()?;
            let default = if self.eat('=') { self.value()? } else { None };
            let value = self.variables.get(&name).cloned().or(default);
            if kind.ends_with('!') && value.as_ref().is_none_or(Value::is_null) {
                return Err(format!("Variable \"${name}\" of required type \"{kind}\" was not provided."));
            }
            self.defined.insert(name, value);
        }
        Ok(())
    }

    fn kind(&mut self) -> Result<String, String> {
        let mut kind = if self.eat('[') {
            let inner = self.kind()?;
            self.expect(']')?;
            format!("[{inner}]")
        } else {
            self.name()?
        };
        if self.eat('!') {
            kind.push('!');
        }
        Ok(kind)
    }

    fn selection(&mut self) -> Result<Vec<Field>, String> {
        self.deeper()?;
        self.expect('{')?;
        let mut fields = Vec::new();
        while !self.eat('}') {
            fields.push(self.field()?);
        }
        self.depth -= 1;
        Ok(fields)
    }

    fn field(&mut self) -> Result<Field, String> {
        let first = self.name()?;
        let (alias, name) = if self.eat(':') { (first, self.name()?) } else { (first.clone(), first) };
        let mut arguments = BTreeMap::new();
        if self.eat('(') {
            while !self.eat(')') {
                let argument = self.name()?;
                self.expect(':')?;
                if let Some(value) = self.value()? {
                    arguments.insert(argument, value);
                }
            }
        }
        let fields = if self.peek() == Some('{') { self.selection()? } else { Vec::new() };
        Ok(Field { alias, name, arguments, fields })
    }

    /// A value; `None` is a variable that was not given.
    fn value(&mut self) -> Result<Option<Value>, String> {
        let value = match self.peek() {
            Some('$') => {
                self.expect('$')?;
                let name = self.name()?;
                let defined = self.defined.get(&name).cloned();
                return defined.ok_or_else(|| format!("Variable \"${name}\" is not defined."));
            }
            Some('"') => Value::String(self.string()?),
            Some('[') => self.list()?,
            Some('{') => self.object()?,
            Some(first) if first == '-' || first.is_ascii_digit() => self.number()?,
            Some(first) if is_name_start(first) => match self.name()?.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                // No type of the schema is an enumeration.
                word => return Err(format!("String cannot represent a non string value: {word}")),
            },
            Some(found) => return Err(unexpected(found)),
            None => return Err(ended()),
        };
        Ok(Some(value))
    }

    fn list(&mut self) -> Result<Value, String> {
        self.deeper()?;
        self.expect('[')?;
        let mut members = Vec::new();
        while !self.eat(']') {
            members.push(self.value()?.unwrap_or(Value::Null));
        }
        self.depth -= 1;
        Ok(Value::Array(members))
    }

    fn object(&mut self) -> Result<Value, String> {
        self.deeper()?;
        self.expect('{')?;
        let mut members = Map::new();
        while !self.eat('}') {
            let name = self.name()?;
            self.expect(':')?;
            if let Some(value) = self.value()? {
                members.insert(name, value);
            }
        }
        self.depth -= 1;
        Ok(Value::Object(members))
    }

    fn number(&mut self) -> Result<Value, String> {
        let is_part = |found: char| found.is_ascii_digit() || matches!(found, '-' | '+' | '.' | 'e' | 'E');
        let end = self.rest.find(|found| !is_part(found)).unwrap_or(self.rest.len());
        let text = self.take(end);
        // GraphQL's numbers are JSON's.
        serde_json::from_str(&text).map_err(|_| format!("Syntax Error: Invalid number \"{text}\""))
    }

    fn string(&mut self) -> Result<String, String> {
        if let Some(block) = self.rest.strip_prefix("\"\"\"") {
            let end = block.find("\"\"\"").ok_or_else(ended)?;
            let text = block[..end].to_owned();
            self.take(end + 6);
            return Ok(text);
        }
        let mut escaped = false;
        let end = self.rest.char_indices().skip(1).find_map(|(at, found)| {
            let closes = found == '"' && !escaped;
            escaped = found == '\\' && !escaped;
            closes.then_some(at + 1)
        });
        let text = self.take(end.ok_or_else(|| "Syntax Error: Unterminated string.".to_owned())?);
        // GraphQL's escapes are JSON's.
        serde_json::from_str(&text).map_err(|_| "Syntax Error: Invalid character within String.".to_owned())
    }

    fn name(&mut self) -> Result<String, String> {
        match self.peek() {
            Some(first) if is_name_start(first) => {}
            Some(found) => return Err(unexpected(found)),
            None => return Err(ended()),
        }
        let is_part = |found: char| is_name_start(found) || found.is_ascii_digit();
        let end = self.rest.find(|found| !is_part(found)).unwrap_or(self.rest.len());
        Ok(self.take(end))
    }

    fn take(&mut self, end: usize) -> String {
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.skip();
        taken.to_owned()
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.rest.strip_prefix(wanted);
        if let Some(rest) = found {
            self.rest = rest;
            self.skip();
        }
        found.is_some()
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        if self.eat(wanted) {
            return Ok(());
        }
        Err(self.peek().map_or_else(ended, |found| format!("Syntax Error: Expected {wanted}, found {found}")))
    }

    /// Commas mean nothing in GraphQL.
    fn skip(&mut self) {
        loop {
            let trimmed = self.rest.trim_start_matches(|found: char| {
                found.is_ascii_whitespace() || matches!(found, ',' | '\u{feff}')
            });
            let Some(comment) = trimmed.strip_prefix('#') else {
                self.rest = trimmed;
                return;
            };
            self.rest = comment.find('\n').map_or("", |end| &comment[end..]);
        }
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err("Syntax Error: nested too deeply".to_owned()) } else { Ok(()) }
    }
}

fn is_name_start(found: char) -> bool {
    found.is_ascii_alphabetic() || found == '_'
}

fn unexpected(found: char) -> String {
    format!("Syntax Error: Unexpected {found}")
}

fn ended() -> String {
    "Syntax Error: Unexpected <EOF>".to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_operation_reads_the_same_with_variables_and_with_literals() {
        let variables = json!({ "k": "a", "i": { "sku": "S\"1\n", "price": 1.5 } });
        let by_variable = parse(
            "mutation Save($k:String!$i:UpdateProductInput,$p:Boolean=false){\n  # why\n  it: \
             createProduct(key:$k, published: $p, input:$i) { success } }",
            variables.as_object().unwrap(),
        );
        let literal = parse(
            r#"mutation { it: createProduct(key:"a" published:false input:{sku:"S\"1\n",price:1.5}) {success} }"#,
            &Map::new(),
        );
        assert_eq!(by_variable, literal);
        let operation = literal.unwrap();
        assert!(operation.mutation);
        assert_eq!(operation.fields[0].alias, "it");
        assert_eq!(operation.fields[0].arguments["input"], json!({ "sku": "S\"1\n", "price": 1.5 }));
    }

    #[test]
    fn what_is_not_graphql_is_a_syntax_error_and_never_a_panic() {
        for text in ["", "{", "query { a(b: ) }", "{ a(b: \"x }", "subscription { a }", "{ a } }", "{ é }"] {
            let error = parse(text, &Map::new()).unwrap_err();
            assert!(error.starts_with("Syntax Error"), "{text}: {error}");
        }
        assert!(parse(&"{a".repeat(1000), &Map::new()).is_err());
        let missing = parse("query($f:String!){ a(b:$f) }", &Map::new()).unwrap_err();
        assert!(missing.starts_with("Variable \"$f\""), "{missing}");
    }
}
