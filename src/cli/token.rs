//! `milepost token`: who may ask a server over the network.

use clap::Subcommand;

use super::Context;
use super::actor::somebody;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use super::phrase;
use super::reader::{Reader, open_to_work};
use super::table::{self, Table};
use crate::core::token::Scope;
use crate::view::{NewToken, TokenOrder, TokenView};

/// Tokens for a server that listens on the network: create, list, revoke
///
/// A token is shown once, when it is made; what is kept is its hash. Whoever may open the state directory
/// needs none: its socket is open to its owner and to nobody else.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost token create dashboard                 may look
  milepost token create ci --scope operate        may start, resume and act
  milepost token list
  milepost token revoke ci

Exit codes: 0, 2 no fit name, 4 the state directory cannot be opened, 5 no such token, 6 there is one of
this name.")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a token and show it, this once
    Create {
        /// Its name: what it does is recorded as done by token:NAME
        #[arg(value_name = "NAME")]
        name: String,
        /// What it is good for: 'read', or 'operate'
        #[arg(long, value_name = "SCOPE", default_value = "read", value_parser = scope)]
        scope: Scope,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// List the tokens
    List {
        /// A JSON array
        #[arg(long)]
        json: bool,
    },
    /// Take a token away; it lets nobody in any more
    Revoke {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

fn scope(text: &str) -> Result<Scope, String> {
    match text {
        "read" => Ok(Scope::Read),
        "operate" => Ok(Scope::Operate),
        _ => Err("expected 'read' or 'operate'".to_owned()),
    }
}

pub(super) async fn execute(args: Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    match args.what {
        What::Create { name, scope, json } => {
            let made = create(TokenOrder { name, scope, by: somebody() }, context).await?;
            if json {
                output.json(&made)?;
                return Ok(Exit::Success);
            }
            output.line(&made.token)?;
            output.flush()?;
            let (name, scope) = (&made.about.name, made.about.scope.word());
            output.say(&format!("the token '{name}' ({scope}); it is not shown again"));
        }
        What::List { json } => {
            let tokens = list(context).await?;
            if json {
                output.json(&tokens)?;
                return Ok(Exit::Success);
            }
            write(&tokens, output)?;
        }
        What::Revoke { name, json } => {
            let gone = revoke(&name, context).await?;
            if json {
                output.json(&gone)?;
                return Ok(Exit::Success);
            }
            output.line(&format!("the token '{name}' lets nobody in any more"))?;
        }
    }
    Ok(Exit::Success)
}

async fn create(order: TokenOrder, context: &Context) -> Result<NewToken, Failure> {
    match Reader::open(context).await? {
        Reader::Beside(client) => Ok(client.create_token(&order).await?),
        Reader::Store { engine, .. } => Ok(engine.create_token(order).await?),
        // A server needs its first token before its first run.
        Reader::Nothing(_) => Ok(open_to_work(context).await?.create_token(order).await?),
    }
}

async fn list(context: &Context) -> Result<Vec<TokenView>, Failure> {
    match Reader::open(context).await? {
        Reader::Beside(client) => Ok(client.tokens().await?),
        Reader::Store { engine, .. } => Ok(engine.tokens()),
        Reader::Nothing(_) => Ok(Vec::new()),
    }
}

async fn revoke(name: &str, context: &Context) -> Result<TokenView, Failure> {
    match Reader::open(context).await? {
        Reader::Beside(client) => Ok(client.revoke_token(name, &somebody()).await?),
        Reader::Store { engine, .. } => Ok(engine.revoke_token(name, somebody()).await?),
        Reader::Nothing(_) => Ok(open_to_work(context).await?.revoke_token(name, somebody()).await?),
    }
}

fn write(tokens: &[TokenView], output: &mut Output) -> Result<(), Failure> {
    if tokens.is_empty() {
        output.say("no tokens");
        return Ok(());
    }
    let mut table = Table::new(["token", "scope", "made", "by"]);
    for token in tokens {
        table.row([
            table::text(token.name.as_str()),
            table::text(token.scope.word()),
            table::text(phrase::instant(token.created_at)),
            table::text(token.created_by.as_str()),
        ]);
    }
    let table = table.render(output);
    output.line(&table)
}
