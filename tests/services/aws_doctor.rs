//! `milepost doctor` over a real server: what the template makes is in order, and everything that can
//! be mis-wired is named.

use aws_sdk_cloudwatch::types::{ComparisonOperator, Dimension, Statistic};
use serde_json::Value;

use crate::aws::proxy::{Does, Proxy};
use crate::aws::stack::Stack;
use crate::aws::{Aws, Wiring, environment, unique};
use crate::site::Site;

/// What a workflow says about AWS.
struct Says {
    bus: String,
    queue: String,
    detail_type: &'static str,
    max_receives: u32,
    source: String,
    /// The section of triggers, if there is one.
    triggers: String,
}

impl Says {
    fn what_fits(wiring: &Wiring, source: &str) -> Self {
        Self {
            bus: wiring.bus.clone(),
            queue: wiring.queue.name.clone(),
            detail_type: "ProductIngested",
            max_receives: 3,
            source: source.to_owned(),
            triggers: String::new(),
        }
    }

    fn text(&self) -> String {
        let Self { bus, queue, detail_type, max_receives, source, triggers } = self;
        format!(
            r#"
workflow: doctored
input:
  file: {{ type: uri, default: "{source}" }}
{triggers}
connections:
  files: {{ use: s3 }}
  bus: {{ use: aws, event_bus: {bus}, queue: {queue} }}
  keys: {{ use: redis, url: "{redis}" }}
steps:
  validate:
    uses: json.validate
    connection: files
    with: {{ source: "${{{{ input.file }}}}", item_key: "${{{{ item.sku }}}}" }}
  publish:
    needs: [validate]
    uses: eventbridge.publish
    connection: bus
    repeat: safe
    with: {{ detail_type: {detail_type} }}
  consume:
    needs: [publish]
    uses: sqs.consume
    connection: bus
    with: {{ queue: {queue}, max_receives: {max_receives}, delete_after: slow }}
  slow:
    needs: [consume]
    uses: alert
    timeout: 20s
    with: {{ message: done }}
"#,
            redis = crate::redis::url(),
        )
    }

    /// What is wrong, and what to do about it.
    fn wrong(&self, endpoint: &str) -> Vec<(String, String)> {
        let mut site = Site::new();
        site.env.extend(environment(endpoint));
        std::fs::write(site.path("doctored.yaml"), self.text()).unwrap();
        let told = site.milepost(&["doctor", "doctored.yaml", "--json"]);
        let answer: Value = serde_json::from_str(&told.stdout).unwrap_or_else(|_| panic!("{told:?}"));
        let all = answer["connections"].as_array().unwrap().iter();
        let all = all.flat_map(|connection| connection["found"].as_array().unwrap());
        assert!(all.clone().all(|found| found["health"] != "cannot tell"), "{answer}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let wrong = all.filter(|found| found["health"] == "wrong");
        let wrong: Vec<_> = wrong.map(|found| (text(&found["what"]), text(&found["next"]))).collect();
        assert_eq!(told.code, Some(i32::from(!wrong.is_empty())), "{answer}");
        wrong
    }
}

/// An alarm on the depth of this queue that tells somebody.
fn alarm(aws: &Aws, queue: &str, actions: &[&str]) {
    let depth = Dimension::builder().name("QueueName").value(queue).build();
    let put = aws.cloudwatch().put_metric_alarm().alarm_name(format!("{queue}-alarm")).namespace("AWS/SQS");
    let put = put.metric_name("ApproximateNumberOfMessagesVisible").dimensions(depth).threshold(1.0);
    let put = put.comparison_operator(ComparisonOperator::GreaterThanOrEqualToThreshold).period(60);
    let put = put.statistic(Statistic::Maximum).evaluation_periods(1);
    let actions = actions.iter().map(|&action| action.to_owned()).collect();
    aws.wait(put.set_alarm_actions(Some(actions)).send()).unwrap();
}

const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:nobody";

/// Everything that a workflow needs, made by hand.
fn well(aws: &Aws) -> (Wiring, Says) {
    let wiring = aws.wiring("ProductIngested", 30, 3);
    alarm(aws, &wiring.dead_letters.name, &[TOPIC]);
    let bucket = aws.bucket();
    aws.put(&bucket, "in/a.ndjson", b"{\"sku\":1}\n");
    let says = Says::what_fits(&wiring, &format!("s3://{bucket}/in/a.ndjson"));
    (wiring, says)
}

#[test]
#[ignore = "needs an AWS server and a Redis; tests/services/run aws starts both"]
fn what_the_template_makes_is_in_order() {
    let aws = Aws::shared();
    let stack = Stack::deploy(&aws, &[("Visibility", "20")]);
    let source = format!("s3://{}/products.ndjson", stack.output("Bucket"));
    let says = Says {
        bus: stack.output("EventBus").to_owned(),
        queue: stack.output("Queue").to_owned(),
        detail_type: "ProductIngested",
        max_receives: 3,
        source: source.clone(),
        triggers: String::new(),
    };
    let [(what, next)] = says.wrong(aws.endpoint()).try_into().unwrap();
    assert_eq!(what, format!("source {source}: there is no such object, or no such bucket"));
    assert!(next.starts_with(&format!("aws s3 cp FILE {source}")), "{next}");
    aws.put(stack.output("Bucket"), "products.ndjson", b"");
    assert_eq!(says.wrong(aws.endpoint()), []);
    stack.delete();
}

#[test]
#[ignore = "needs an AWS server and a Redis; tests/services/run aws starts both"]
fn a_trigger_hears_of_uploads_or_it_is_said_why_not() {
    let aws = Aws::shared();
    let (wiring, mut says) = well(&aws);
    let triggers = |queue: &str, bucket: &str| {
        let with = format!("{{ queue: {queue}, bucket: {bucket} }}");
        format!("triggers:\n  upload: {{ uses: s3.created, connection: bus, input: file, with: {with} }}\n")
    };
    for through in ["sqs", "eventbridge"] {
        let stack = Stack::deploy(&aws, &[("UploadsThrough", through)]);
        says.triggers = triggers(stack.output("UploadQueue"), stack.output("Bucket"));
        assert_eq!(says.wrong(aws.endpoint()), []);
        says.triggers = triggers(&wiring.dead_letters.name, stack.output("Bucket"));
        let mut wrong = says.wrong(aws.endpoint());
        let (what, _) = wrong.remove(0);
        let why = if through == "sqs" { "it does not tell" } else { "does not come to" };
        assert!(what.contains(why), "{what}");
        // A dead-letter queue has none itself.
        let (_, next) = wrong.into_iter().find(|(what, _)| what.contains("no redrive policy")).unwrap();
        assert!(next.contains("maxReceiveCount\\\":10}"), "{next}");
        stack.delete();
    }
}

/// Breaks one thing of a good wiring, or of what the workflow says.
type Break = fn(&Aws, &Wiring, &mut Says);

/// What can be wrong between the event and the queue, what is said of it, and what to do.
const ON_THE_WAY: &[(Break, &str, &str)] = &[
    (|_, _, says| says.bus = unique("no-bus"), "there is none", "aws events create-event-bus --name"),
    (|_, _, says| says.queue = unique("no-queue"), "there is none", "aws sqs create-queue --queue-name"),
    (|_, _, says| says.detail_type = "Other", "no rule chooses Other", "aws events put-rule"),
    (|_, _, says| says.max_receives = 5, "gives up after 3 receives, 'consume' after 5", "max_receives: 3"),
    (
        |aws, _, says| says.queue = aws.wiring("ProductIngested", 30, 3).queue.name,
        "has other targets, so ProductIngested does not come to",
        "aws events put-targets",
    ),
    (
        |aws, wiring, _| {
            let remove = aws.eventbridge().remove_targets().event_bus_name(&wiring.bus).rule(&wiring.rule);
            aws.wait(remove.ids("queue").send()).unwrap();
        },
        "has no target",
        "aws events put-targets",
    ),
    (
        |aws, wiring, _| {
            let disable = aws.eventbridge().disable_rule().event_bus_name(&wiring.bus).name(&wiring.rule);
            aws.wait(disable.send()).unwrap();
        },
        "is disabled",
        "aws events enable-rule",
    ),
];

/// What can be wrong with the queue and what hangs on it.
const AT_THE_QUEUE: &[(Break, &str, &str)] = &[
    (
        |aws, wiring, says| {
            let queue = aws.queue(&unique("bare"), &[]);
            aws.rule(&wiring.bus, &serde_json::json!({ "source": ["milepost"] }), &queue);
            says.queue = queue.name;
        },
        "no redrive policy",
        "aws sqs set-queue-attributes",
    ),
    (
        |aws, wiring, _| drop(aws.wait(aws.sqs().delete_queue().queue_url(&wiring.dead_letters.url).send())),
        "dead-letter queue",
        "aws sqs create-queue",
    ),
    (
        |aws, wiring, _| {
            let set = aws.sqs().set_queue_attributes().queue_url(&wiring.queue.url);
            let short = aws_sdk_sqs::types::QueueAttributeName::VisibilityTimeout;
            aws.wait(set.attributes(short, "19").send()).unwrap();
        },
        "it hides a message for 19s, and 'slow' may take 20s",
        "VisibilityTimeout=20",
    ),
    (
        |aws, wiring, _| aws.let_in(&wiring.queue, "s3.amazonaws.com", "arn:aws:s3:::any"),
        "its policy does not let EventBridge send",
        "allow sqs:SendMessage",
    ),
    (
        |aws, wiring, _| aws.let_in(&wiring.queue, "events.amazonaws.com", "arn:aws:events:::rule/other"),
        "send from elsewhere",
        "allow sqs:SendMessage",
    ),
    (|aws, wiring, _| alarm(aws, &wiring.dead_letters.name, &[]), "tells nobody", "enable-alarm-actions"),
    (
        |aws, wiring, _| {
            let names = format!("{}-alarm", wiring.dead_letters.name);
            aws.wait(aws.cloudwatch().delete_alarms().alarm_names(names).send()).unwrap();
        },
        "there is none, so nobody hears of dead letters",
        "make one on AWS/SQS",
    ),
];

#[test]
#[ignore = "needs an AWS server and a Redis; tests/services/run aws starts both"]
fn every_mis_wiring_is_named_with_what_to_do() {
    let aws = Aws::shared();
    for (break_it, what, next) in ON_THE_WAY.iter().chain(AT_THE_QUEUE) {
        let (wiring, mut says) = well(&aws);
        assert_eq!(says.wrong(aws.endpoint()), []);
        break_it(&aws, &wiring, &mut says);
        let wrong = says.wrong(aws.endpoint());
        let named = wrong.iter().any(|(said, to_do)| said.contains(what) && to_do.contains(next));
        assert!(named, "'{what}' is not in {wrong:#?}");
    }
}

#[test]
#[ignore = "needs an AWS server and a Redis; tests/services/run aws starts both"]
fn every_permission_that_is_missing_is_named() {
    let aws = Aws::shared();
    let (_, says) = well(&aws);
    let proxy = Proxy::before(&aws, |_| Does::Pass);
    for (operation, action) in [
        ("GetQueueUrl", "sqs:GetQueueUrl"),
        ("GetQueueAttributes", "sqs:GetQueueAttributes"),
        ("DescribeAlarms", "cloudwatch:DescribeAlarms"),
        ("DescribeEventBus", "events:DescribeEventBus"),
        ("ListRules", "events:ListRules"),
        ("ListTargetsByRule", "events:ListTargetsByRule"),
        ("TestEventPattern", "events:TestEventPattern"),
        ("GetObject", "s3:GetObject"),
    ] {
        proxy.script(move |call| {
            if call.operation == operation { Does::Refuse(403, "AccessDenied") } else { Does::Pass }
        });
        let wrong = says.wrong(&proxy.endpoint());
        let [(what, next)] = wrong.as_slice() else { panic!("{operation}: {wrong:?}") };
        assert!(what.ends_with(&format!("no permission for {action}")), "{what}");
        assert!(next.starts_with(&format!("allow {action} to whoever")), "{next}");
    }
}
