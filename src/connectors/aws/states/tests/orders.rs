//! Orders: from the poll to the answer.

use std::time::{Duration, Instant};

use serde_json::{Map, json};

use super::*;
use crate::core::execution::{Answer, Receipt};
use crate::core::fault::name;
use crate::ports::Begun;

fn done() -> Answer {
    Answer::Done { facts: Map::from_iter([("id".to_owned(), json!(5))]) }
}

#[tokio::test]
async fn an_order_is_kept_alive_until_it_is_answered() {
    let server = Server::start().await;
    let (board, run) = (board(&server.url, Duration::ZERO).await, RunId(1));
    let driver = driver(&board, run);
    let execution = execution(&driver, run);
    assert_eq!(driver.begin(&execution).await, Ok(Begun::UnderWay));

    let made = &server.asked("CreateStateMachine")[0];
    assert_eq!((&made["roleArn"], &made["type"]), (&json!(ROLE), &json!("STANDARD")));
    assert_eq!(made["name"], MACHINE);
    let made: Value = serde_json::from_str(made["definition"].as_str().unwrap()).unwrap();
    assert_eq!(made["States"]["pim"]["Resource"], "arn:aws:states:us-east-1:7:activity:m-pim");
    let begun = &server.asked("StartExecution")[0];
    let input: Value = serde_json::from_str(begun["input"].as_str().unwrap()).unwrap();
    assert_eq!(input, json!({ "run": run, "epoch": 2, "input": { "url": "" }, "steps": {} }));
    assert_eq!(begun["name"], json!(execution.name));
    assert!(server.asked("UpdateStateMachine").is_empty(), "its role was right");

    server.order("m-pim", "t1", &step(run));
    let order = ordered(&driver).await;
    assert_eq!((order.errand, order.epoch), (pim(false), 2));
    let beats = server.until("SendTaskHeartbeat", 2).await;
    assert!(beats.iter().all(|beat| beat["taskToken"] == "t1"), "{beats:?}");
    driver.answer(&order.receipt, done()).await.unwrap();
    let said = json!({ "taskToken": "t1", "output": json!({ "facts": { "id": 5 } }).to_string() });
    assert_eq!(server.asked("SendTaskSuccess"), [said]);
    // It takes one answer, and no sign of life after it: all that follow are those of the next order.
    driver.answer(&order.receipt, done()).await.unwrap();
    assert_eq!(server.asked("SendTaskSuccess").len(), 1);
    let before = server.asked("SendTaskHeartbeat").len();
    server.order("m-close", "t2", &super::input(run, &json!({ "do": "close" })));
    ordered(&driver).await;
    let beats = server.until("SendTaskHeartbeat", before + 3).await;
    assert!(beats[before + 1..].iter().all(|beat| beat["taskToken"] == "t2"), "{beats:?}");
}

#[tokio::test]
async fn a_failure_says_whether_another_attempt_makes_sense() {
    let server = Server::start().await;
    let (board, run) = (board(&server.url, Duration::ZERO).await, RunId(1));
    let driver = driver(&board, run);
    driver.begin(&execution(&driver, run)).await.unwrap();
    let fault = Fault::new("ValidationError", "no SKU");
    for (token, answer) in [("t1", Answer::Again(fault.clone())), ("t2", Answer::Failed(fault))] {
        server.order("m-pim", token, &step(run));
        driver.answer(&ordered(&driver).await.receipt, answer).await.unwrap();
    }
    let said = |token, error, cause| json!({ "taskToken": token, "error": error, "cause": cause });
    let again = said("t1", "Milepost.Again", "ValidationError: no SKU");
    assert_eq!(server.asked("SendTaskFailure"), [again, said("t2", "ValidationError", "no SKU")]);
}

#[tokio::test]
async fn an_order_that_was_given_up_is_forgotten_and_ordered_anew() {
    let server = Server::start().await;
    let (board, run) = (board(&server.url, Duration::from_mins(1)).await, RunId(1));
    let driver = driver(&board, run);
    driver.begin(&execution(&driver, run)).await.unwrap();
    for code in ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"] {
        let beats = server.asked("SendTaskHeartbeat").len();
        server.refuse("SendTaskHeartbeat", &[(400, code)]);
        server.order("m-pim", code, &step(run));
        let given_up = ordered(&driver).await;
        server.until("SendTaskHeartbeat", beats + 1).await;
        let forgotten = async {
            while driver.holds(&given_up.receipt) {
                tokio::task::yield_now().await;
            }
        };
        timeout(HANGS, forgotten).await.unwrap();
        driver.answer(&given_up.receipt, done()).await.unwrap();
        assert!(server.asked("SendTaskSuccess").is_empty(), "{code}");
    }
    // It may also be noticed only by the answer.
    server.refuse("SendTaskSuccess", &[(400, "TaskTimedOut")]);
    server.order("m-pim", "late", &step(run));
    driver.answer(&ordered(&driver).await.receipt, done()).await.unwrap();
    server.order("m-pim", "anew", &step(run));
    let anew = ordered(&driver).await;
    assert_eq!((anew.receipt.clone(), anew.errand), (Receipt("anew".to_owned()), pim(false)));
    driver.answer(&anew.receipt, done()).await.unwrap();
    assert_eq!(server.asked("SendTaskSuccess").len(), 2);
}

#[tokio::test]
async fn an_order_of_a_run_that_nobody_drives_is_given_back() {
    let server = Server::start().await;
    let (board, run) = (board(&server.url, Duration::ZERO).await, RunId(1));
    let one = driver(&board, run);
    one.begin(&execution(&one, run)).await.unwrap();
    server.order("m-pim", "t1", &step(RunId(2)));
    server.order("m-pim", "t2", &json!({ "hello": "world" }));
    let refused = server.until("SendTaskFailure", 2).await;
    let said: Vec<(&Value, &Value)> =
        refused.iter().map(|said| (&said["taskToken"], &said["error"])).collect();
    let (away, unreadable) = (json!("Milepost.Away"), json!("Milepost.Unreadable"));
    assert_eq!(said, [(&json!("t1"), &away), (&json!("t2"), &unreadable)]);
    // What a run has not answered when it is driven no longer is given back as well.
    server.order("m-pim", "t3", &step(run));
    ordered(&one).await;
    drop(one);
    let refused = server.until("SendTaskFailure", 3).await;
    assert_eq!((&refused[2]["taskToken"], &refused[2]["error"]), (&json!("t3"), &away));
}

#[tokio::test]
async fn runs_that_share_an_activity_share_its_poll() {
    let server = Server::start().await;
    let board = board(&server.url, Duration::ZERO).await;
    let (first, second) = (driver(&board, RunId(1)), driver(&board, RunId(2)));
    first.begin(&execution(&first, RunId(1))).await.unwrap();
    second.begin(&execution(&second, RunId(2))).await.unwrap();
    for round in 0..3 {
        server.order("m-pim", &format!("b{round}"), &step(RunId(2)));
        server.order("m-pim", &format!("a{round}"), &step(RunId(1)));
        assert_eq!(ordered(&first).await.receipt.0, format!("a{round}"));
        assert_eq!(ordered(&second).await.receipt.0, format!("b{round}"));
    }
    assert_eq!((server.polls("m-pim"), server.polls("m-close")), (1, 1));
    // When one of them is not driven any more, the other one is still heard.
    drop(first);
    server.order("m-pim", "b", &step(RunId(2)));
    assert_eq!(ordered(&second).await.receipt.0, "b");
    // A run that is driven anew takes the place of its predecessor, whose end disturbs nobody.
    let anew = driver(&board, RunId(2));
    anew.begin(&execution(&anew, RunId(2))).await.unwrap();
    drop(second);
    server.order("m-pim", "c", &step(RunId(2)));
    assert_eq!(ordered(&anew).await.receipt.0, "c");
    assert_eq!(server.polls("m-pim"), 1);
}

#[tokio::test]
async fn an_execution_is_begun_once_and_its_role_follows_the_connection() {
    let server = Server::start().await;
    let (board, run) = (board(&server.url, Duration::ZERO).await, RunId(1));
    server.role("arn:aws:iam::7:role/another");
    let driver = driver(&board, run);
    let execution = execution(&driver, run);
    driver.begin(&execution).await.unwrap();
    assert_eq!(server.asked("UpdateStateMachine")[0]["roleArn"], ROLE);
    // As another version of ours wrote it, it is put right.
    server.refuse("CreateStateMachine", &[(400, "StateMachineAlreadyExists")]);
    driver.begin(&execution).await.unwrap();
    let update = &server.asked("UpdateStateMachine")[1];
    assert_eq!(
        update["stateMachineArn"],
        json!(format!("arn:aws:states:us-east-1:7:stateMachine:{MACHINE}"))
    );
    assert!(update["definition"].as_str().unwrap().contains(":7:activity:m-pim"), "{update}");
    let taken = [(400, "ExecutionAlreadyExists")];
    server.refuse("StartExecution", &taken);
    assert_eq!(driver.begin(&execution).await, Ok(Begun::UnderWay));
    for status in ["SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"] {
        server.refuse("StartExecution", &taken);
        server.status(status);
        assert_eq!(driver.begin(&execution).await, Ok(Begun::Over), "{status}");
    }
    let arn = format!("arn:aws:states:us-east-1:7:execution:{MACHINE}:{run}-2");
    assert_eq!(server.asked("DescribeExecution")[0]["executionArn"], json!(arn));
}

#[tokio::test]
async fn an_execution_is_stopped_also_one_that_was_begun_elsewhere() {
    let server = Server::start().await;
    let (board, run) = (board(&server.url, Duration::ZERO).await, RunId(1));
    let driver = driver(&board, run);
    let earlier = Execution::new(run, 1, "states", "milepost-e1.orders.earlier");
    let why = Fault::new("Superseded", "the run goes on by itself");
    driver.stop(&earlier, &why).await.unwrap();
    let asked = &server.asked("StopExecution")[0];
    let arn = format!("arn:aws:states:us-east-1:7:execution:milepost-e1.orders.earlier:{run}-1");
    assert_eq!(*asked, json!({ "executionArn": arn, "error": why.name, "cause": why.message }));
    server.refuse("StopExecution", &[(400, "ExecutionDoesNotExist")]);
    driver.stop(&earlier, &why).await.unwrap();
    server.refuse("StopExecution", &[(400, "AccessDeniedException")]);
    let refused = driver.stop(&earlier, &why).await.unwrap_err();
    assert_eq!(refused.name, name::EXECUTOR);
    assert!(refused.message.contains("AccessDeniedException"), "{refused}");
}

#[tokio::test]
async fn being_asked_to_slow_down_is_waited_out() {
    let server = Server::start().await;
    // Whoever has no patience gives up at the first silence, but that is none.
    let (board, run) = (board(&server.url, Duration::ZERO).await, RunId(1));
    let driver = driver(&board, run);
    server.refuse("CreateActivity", &[(400, "ThrottlingException"), (429, "TooManyRequestsException")]);
    server.refuse("GetActivityTask", &[(400, "ActivityWorkerLimitExceeded")]);
    assert_eq!(driver.begin(&execution(&driver, run)).await, Ok(Begun::UnderWay));
    assert_eq!(server.asked("CreateActivity").len(), 4, "two activities, and two refusals");
    server.order("m-pim", "t1", &step(run));
    ordered(&driver).await;
}

#[tokio::test]
async fn short_absences_are_outlived_and_long_ones_told() {
    let server = Server::start().await;
    let run = RunId(1);
    let patient = driver(&board(&server.url, Duration::from_mins(1)).await, run);
    server.refuse("StartExecution", &[(500, "InternalFailure"), (503, "ServiceUnavailable")]);
    assert_eq!(patient.begin(&execution(&patient, run)).await, Ok(Begun::UnderWay));
    drop(patient);

    let patience = Duration::from_millis(300);
    let driver = driver(&board(&server.url, patience).await, run);
    let execution = execution(&driver, run);
    driver.begin(&execution).await.unwrap();
    server.order("m-pim", "t1", &step(run));
    let order = ordered(&driver).await;
    let begun = Instant::now();
    server.end();
    let fault = loop {
        match next(&driver).await {
            Ok(Heard::History(_)) => {}
            Ok(heard) => panic!("{heard:?}"),
            Err(fault) => break fault,
        }
    };
    assert_eq!(fault.name, name::EXECUTOR);
    assert!(begun.elapsed() >= patience, "it was tried for {:?} only", begun.elapsed());
    assert_eq!(next(&driver).await, Err(fault), "nothing more is heard");
    for refused in
        [driver.answer(&order.receipt, done()).await, driver.stop(&execution, &Fault::new("x", "y")).await]
    {
        assert_eq!(refused.unwrap_err().name, name::EXECUTOR);
    }
}

#[tokio::test]
async fn nobody_at_home_is_told_with_the_way_to_look() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let run = RunId(1);
    let driver = driver(&board(&url, Duration::ZERO).await, run);
    let fault = driver.begin(&execution(&driver, run)).await.unwrap_err();
    assert_eq!(fault.name, name::EXECUTOR);
    assert!(
        fault.message.contains("CreateActivity") && fault.message.contains("AWS_ENDPOINT_URL"),
        "{fault}"
    );
}
