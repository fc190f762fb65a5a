//! Runs in a server: asked for there, looked at from here.

use std::path::Path;

use serde_json::{Map, Value};
use tokio::time::MissedTickBehavior;

use super::Context;
use super::actor::somebody;
use super::exit::Exit;
use super::failure::Failure;
use super::herald::Herald;
use super::output::{BOLD, Output};
use super::page;
use super::progress::Progress;
use super::reader::answering;
use super::signals::Signals;
use crate::app::Engine;
use crate::client::{self, Client};
use crate::core::execution::DrivenBy;
use crate::core::run::Status;
use crate::core::workflow::InputKind;
use crate::view::{ResumeOrder, ResumeTerms, StartOrder};

/// The server that carries runs out: the one that was named, else the one that serves the state
/// directory. An engine that works on one run is none.
pub(super) async fn server(context: &Context) -> Result<Option<Client>, Failure> {
    if let Some(named) = &context.server {
        return Ok(Some(named.client()?));
    }
    let Some(client) = answering(&context.options).await? else { return Ok(None) };
    match client.queue().await {
        Ok(_) => Ok(Some(client)),
        // It works on one run, or is ending: the state directory tells.
        Err(client::Error::Refused(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What a start asks a server for. Over the socket the file is named as it lies here; over the network the
/// server knows its workflows by name.
pub(super) fn order(
    file: &Path,
    input: &[(String, String)],
    (profile, executor): (Option<String>, DrivenBy),
    context: &Context,
) -> Result<StartOrder, Failure> {
    let order = StartOrder { profile, executor, by: somebody(), ..StartOrder::default() };
    let text = |pairs: &[(String, String)]| -> Map<String, Value> {
        pairs.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect()
    };
    if context.server.is_some() && !file.exists() {
        let workflow = Some(file.display().to_string());
        return Ok(StartOrder { workflow, input: text(input), ..order });
    }
    let checked = Engine::check(file, order.profile.as_deref());
    let workflow = checked.map_err(|report| Failure::Mistakes(Box::new(report)))?.workflow;
    if context.server.is_some() {
        return Ok(StartOrder { workflow: Some(workflow.name), input: text(input), ..order });
    }
    // Paths begin in the folder of whoever types them.
    let mut input = input.to_vec();
    for (name, value) in &mut input {
        let is_uri = workflow.input.get(name).is_some_and(|known| known.kind == InputKind::Uri);
        if is_uri && !value.contains("://") {
            *value = std::path::absolute(&*value).map_or(value.clone(), |path| path.display().to_string());
        }
    }
    let file = std::path::absolute(file).map_err(|error| Failure::of_stdout(&error))?;
    Ok(StartOrder { file: Some(file), input: text(&input), ..order })
}

/// Starts a run and stays with it.
pub(super) async fn start(
    client: &Client,
    order: &StartOrder,
    key: Option<&str>,
    json: bool,
    context: &Context,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let admitted = client.start(order, key).await?;
    let id = admitted.run.to_string();
    output.line(&id)?;
    output.flush()?;
    if !admitted.started {
        output.say("this key started it before; nothing was started now");
    }
    follow(client, &id, json, context, output).await
}

/// Goes on with a run and stays with it.
pub(super) async fn resume(
    client: &Client,
    run: &str,
    terms: ResumeTerms,
    expect: Option<String>,
    json: bool,
    context: &Context,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let order = ResumeOrder { terms, expect, by: somebody() };
    let id = client.resume(run, &order).await?.run.to_string();
    output.line(&id)?;
    output.flush()?;
    follow(client, &id, json, context, output).await
}

/// Shows a run until it is at rest. Ctrl-C stops looking; the run goes on.
async fn follow(
    client: &Client,
    id: &str,
    json: bool,
    context: &Context,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let mut signals = Signals::listen()?;
    output.let_wait()?;
    let mut progress = Progress::new(output);
    let mut herald = Herald::default();
    let mut ticks = tokio::time::interval(progress.period());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let view = loop {
        tokio::select! {
            () = signals.next() => {
                progress.end();
                let command = output.paint_talk(BOLD, &context.command(&format!("milepost cancel {id}")));
                output.say(&format!("the run goes on in the server; to end it: {command}"));
                return Ok(Exit::Interrupted);
            }
            _ = ticks.tick() => {}
        }
        let view = client.show(id).await?;
        for line in herald.news(&view) {
            progress.say(&line, output);
        }
        progress.update(&view, output);
        if view.status.is_ended() || view.status == Status::Interrupted {
            break view;
        }
    };
    progress.end();
    if json {
        output.json(&view)?;
    } else {
        let causes = client.causes(id, page::CAUSES_MAX).await?;
        output.say("");
        page::write(&view, &causes, context, output)?;
    }
    tokio::select! {
        left = output.left() => left?,
        () = signals.next() => {}
    }
    Ok(Exit::of_run(view.status))
}
