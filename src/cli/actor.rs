//! Where actions go to: the running engine beside us, if there is one, else the store, opened to
//! work in. A verb that acts is its arguments and one call of [`execute`].

use std::time::Duration;

use tokio::time::Instant;

use super::Context;
use super::exit::Exit;
use super::failure::{Failure, say_next};
use super::output::Output;
use super::reader::{Reader, nothing};
use crate::client;
use crate::view::{Acted, Action, Order};

/// How long we ask again when the engine went away while it answered: it is ending, and the store
/// is free soon.
const PATIENCE: Duration = Duration::from_secs(10);

/// What every verb that acts on a run takes.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// The run: its ID, a unique beginning of it, @latest or @failed
    #[arg(value_name = "RUN")]
    pub(super) run: String,
    /// What was done as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Does it, and says what came of it.
pub(super) async fn execute(
    target: &Target,
    action: Action,
    context: &Context,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let acted = act(&target.run, action, context).await?;
    if target.json {
        output.json(&acted)?;
        return Ok(Exit::Success);
    }
    output.line(&acted.message)?;
    output.flush()?;
    say_next(&acted.next, context, output);
    Ok(Exit::Success)
}

/// Does something to a run. When it returns, what was done is durable.
pub(super) async fn act(run: &str, action: Action, context: &Context) -> Result<Acted, Failure> {
    let order = Order { action, by: somebody() };
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Reader::open(context).await? {
            Reader::Beside(client) => match client.act(run, &order).await {
                Ok(acted) => return Ok(acted),
                // It ended before it answered. Asking for what is done already is no mistake.
                Err(client::Error::Unreachable(_) | client::Error::Broken(_))
                    if Instant::now() < deadline => {}
                Err(error) => return Err(error.into()),
            },
            Reader::Store { archive, engine } => {
                let run = archive.find(run)?.id;
                return Ok(engine.act(run, order).await?);
            }
            Reader::Nothing(state) => return Err(nothing(&state)),
        }
    }
}

/// Who is asking, as the events of the run will name them.
pub(super) fn somebody() -> String {
    let named = ["USER", "LOGNAME"].into_iter().filter_map(|name| std::env::var(name).ok());
    named.into_iter().find(|name| !name.is_empty()).unwrap_or_else(|| "somebody".to_owned())
}
