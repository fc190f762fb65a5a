//! What becomes of an act when whoever asked for it goes away.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;

use super::*;

/// Longer than anything takes that works.
const HANGS: Duration = Duration::from_mins(1);

/// Acts in two halves, between which it waits.
#[derive(Default)]
struct Slow {
    begun: Notify,
    goes_on: Notify,
    done: Notify,
}

#[async_trait]
impl Operator for Arc<Slow> {
    async fn plan(&self, _: RunId, _: ResumeTerms) -> Result<ResumePlan, Problem> {
        Err(no_server())
    }

    async fn act(&self, run: RunId, order: Order) -> Result<Acted, Problem> {
        self.begun.notify_one();
        self.goes_on.notified().await;
        self.done.notify_one();
        Ok(Acted { run, status: Status::Failed, message: order.by, next: vec![] })
    }

    async fn signal(&self, _: Sent) -> Result<Signalled, Problem> {
        Err(no_server())
    }

    fn signals(&self) -> Result<Vec<SignalView>, Problem> {
        Ok(Vec::new())
    }

    async fn backup(&self, _: PathBuf, _: String) -> Result<Backup, Problem> {
        Err(no_server())
    }
}

#[tokio::test]
async fn an_act_is_carried_through_when_whoever_asked_hangs_up() {
    let (_directory, options) = state();
    let slow = Arc::<Slow>::default();
    let operator = Arc::new(Arc::clone(&slow));
    let serving = listen(&options, Service { operator, ..service() }).unwrap();
    let mut stream = tokio::net::UnixStream::connect(serving.path()).await.unwrap();
    let order = serde_json::to_string(&Order { action: Action::Close, by: "ana".into() }).unwrap();
    let head = "POST /v1/runs/@failed/actions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let request = format!("{head}content-length: {}\r\n\r\n{order}", order.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    tokio::time::timeout(HANGS, slow.begun.notified()).await.expect("it begins");
    drop(stream);
    // Nothing of the connection is left.
    drop(serving);
    tokio::task::yield_now().await;
    slow.goes_on.notify_one();
    tokio::time::timeout(HANGS, slow.done.notified()).await.expect("the other half");
}
