//! The template that users deploy, deployed and used.

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;

use crate::aws::stack::Stack;
use crate::aws::{Aws, unique};

fn publish(aws: &Aws, stack: &Stack<'_>, detail_type: &str) {
    let entry = PutEventsRequestEntry::builder().event_bus_name(stack.output("EventBus")).source("milepost");
    let entry = entry.detail_type(detail_type).detail("{\"sku\":\"a\"}").build();
    let told = aws.wait(aws.eventbridge().put_events().entries(entry).send()).unwrap();
    assert_eq!(told.failed_entry_count, 0);
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn an_event_comes_to_the_queue_ends_as_a_dead_letter_and_the_alarm_tells_people() {
    let aws = Aws::shared();
    let stack = Stack::deploy(&aws, &[("Visibility", "1"), ("MaxReceives", "3"), ("AlarmPeriod", "10")]);
    let alarms = aws.queue(&unique("alarms"), &[]);
    stack.subscribe(&alarms);
    let (queue, dead_letters) = (stack.queue("Queue"), stack.queue("DeadLetterQueue"));
    publish(&aws, &stack, "SomethingElse");
    publish(&aws, &stack, "ProductIngested");

    // Received and not deleted, three times; the fourth receive finds nothing, and never will.
    let (mut receives, mut looks) = (0, 0);
    while aws.depth(&dead_letters) == 0 {
        looks += 1;
        assert!(looks < 20, "received {receives} times, and no dead letter");
        let asked = aws.sqs().receive_message().queue_url(&queue.url).wait_time_seconds(5).send();
        for message in aws.wait(asked).unwrap().messages() {
            assert!(message.body().unwrap().contains("ProductIngested"));
            receives += 1;
        }
        assert!(receives <= 3, "it still comes back");
    }
    assert_eq!((receives, aws.depth(&queue)), (3, 0));

    let told = aws.next(&alarms);
    let alarm: Value = serde_json::from_str(told["Message"].as_str().unwrap()).unwrap();
    assert_eq!(alarm["NewStateValue"], "ALARM", "{alarm}");
    assert_eq!(alarm["Trigger"]["Dimensions"][0]["value"], dead_letters.name.as_str());
    assert_eq!(aws.next(&dead_letters)["detail"]["sku"], "a");

    stack.delete();
    let left = aws.sqs().get_queue_url().queue_name(&queue.name).send();
    assert!(aws.wait(left).unwrap_err().as_service_error().unwrap().is_queue_does_not_exist());
}

#[test]
#[ignore = "needs an AWS server; tests/services/run aws starts one"]
fn an_upload_comes_to_the_upload_queue_whichever_way_it_is_told() {
    let aws = Aws::shared();
    for (through, has) in [("sqs", "/Records/0/s3/object/key"), ("eventbridge", "/detail/object/key")] {
        let stack = Stack::deploy(&aws, &[("UploadsThrough", through)]);
        aws.put(stack.output("Bucket"), "in/products.json", b"[]");
        let uploads = stack.queue("UploadQueue");
        let told = aws.next(&uploads);
        assert_eq!(told.pointer(has).unwrap(), "in/products.json", "{through}: {told}");
        // What cannot be read does not come back for ever.
        let attributes = aws.sqs().get_queue_attributes().queue_url(&uploads.url);
        let attributes = attributes.attribute_names(QueueAttributeName::RedrivePolicy).send();
        let attributes = aws.wait(attributes).unwrap().attributes.unwrap();
        let policy: Value = serde_json::from_str(&attributes[&QueueAttributeName::RedrivePolicy]).unwrap();
        let target = policy["deadLetterTargetArn"].as_str().unwrap();
        assert!(target.ends_with(&format!(":{}", stack.output("UploadDeadLetterQueue"))), "{policy}");
        stack.delete();
    }
}
