//! A bus whose events reach a queue, of one turn's own.

use std::path::Path;

use anyhow::Context;
use aws_config::BehaviorVersion;
use aws_sdk_eventbridge::types::Target;
use aws_sdk_sqs::types::QueueAttributeName;

use crate::Case;

/// The source that the events name.
pub(crate) const SOURCE: &str = "milepost.bench";
/// Their detail type.
pub(crate) const DETAIL_TYPE: &str = "Product";
/// Receives under way at once.
pub(crate) const POLLERS: usize = 4;

/// A bus, a queue, and clients for both.
pub(crate) struct Site {
    name: String,
    pub(crate) queue_url: String,
    pub(crate) events: aws_sdk_eventbridge::Client,
    pub(crate) queue: aws_sdk_sqs::Client,
}

impl Site {
    /// Makes a bus and a queue that nobody else uses.
    pub(crate) async fn new(endpoint: &str) -> anyhow::Result<Self> {
        let tls = aws_smithy_http_client::tls::Provider::Rustls(
            aws_smithy_http_client::tls::rustls_provider::CryptoMode::Ring,
        );
        let http = aws_smithy_http_client::Builder::new().tls_provider(tls).build_https();
        let config = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .http_client(http)
            .load()
            .await;
        let (events, queue) = (aws_sdk_eventbridge::Client::new(&config), aws_sdk_sqs::Client::new(&config));
        let name = format!("bench-{:016x}", rand::random::<u64>());
        let queue_url = queue.create_queue().queue_name(&name).send().await?;
        let queue_url = queue_url.queue_url().context("a queue without an address")?.to_owned();
        let told = queue
            .get_queue_attributes()
            .queue_url(&queue_url)
            .attribute_names(QueueAttributeName::QueueArn)
            .send()
            .await?;
        let arn = told.attributes().and_then(|told| told.get(&QueueAttributeName::QueueArn));
        let arn = arn.context("a queue without a name")?.clone();
        events.create_event_bus().name(&name).send().await?;
        let pattern = serde_json::json!({ "source": [SOURCE] }).to_string();
        events.put_rule().name(&name).event_bus_name(&name).event_pattern(pattern).send().await?;
        let target = Target::builder().id("queue").arn(arn).build()?;
        events.put_targets().rule(&name).event_bus_name(&name).targets(target).send().await?;
        Ok(Self { name, queue_url, events, queue })
    }

    /// The name of the bus and of the queue.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The workflow that does what the case measures.
    pub(crate) fn workflow(&self, case: Case, source: &Path) -> String {
        let name = &self.name;
        let consume = match case {
            Case::Publish => String::new(),
            Case::PublishAndConsume => format!(
                "  consume:\n    needs: [publish]\n    uses: sqs.consume\n    connection: bus\n    \
                 with: {{ queue: {name}, wait: 1s, pollers: {POLLERS} }}\n"
            ),
        };
        format!(
            "workflow: bench\n\
             input:\n  source: {{ type: uri, default: \"{}\" }}\n\
             connections:\n  files: {{ use: local }}\n  bus: {{ use: aws, event_bus: {name}, queue: {name} }}\n\
             steps:\n  validate:\n    uses: json.validate\n    connection: files\n    \
             with: {{ source: \"${{{{ input.source }}}}\", item_key: \"${{{{ item.product_id }}}}\" }}\n  \
             publish:\n    needs: [validate]\n    uses: eventbridge.publish\n    connection: bus\n    \
             repeat: safe\n    with: {{ source: {SOURCE}, detail_type: {DETAIL_TYPE} }}\n{consume}",
            source.display()
        )
    }
}
