//! Whether bucket notifications can be taken out of their queue.

use tokio::time::timeout;

use super::{ANSWER_TIMEOUT, Installation, Report, Status};
use crate::bucket::bucket_events::{Queue, QueueOptions};

const CHECK: &str = "notifications-queue";

pub(super) async fn look(installation: &Installation, report: &mut Report) {
    match &installation.queue {
        Ok(None) => {}
        Ok(Some(options)) => match timeout(ANSWER_TIMEOUT, asked(options)).await {
            Ok(Ok(())) => report.ok(CHECK, "messages can be taken and deleted"),
            Ok(Err(why)) => bad(why, report),
            Err(_) => bad(format!("it did not answer within {} seconds", ANSWER_TIMEOUT.as_secs()), report),
        },
        Err(why) => report.advise(CHECK, Status::Error, why, "correct that setting; dropslip does not start with it"),
    }
}

async fn asked(options: &QueueOptions) -> Result<(), String> {
    let queue = Box::pin(Queue::open(options)).await.map_err(|error| error.to_string())?;
    queue.probe().await.map_err(|error| error.to_string())
}

fn bad(found: String, report: &mut Report) {
    let advice = "see DROPSLIP_NOTIFICATIONS_SQS, and whether its policy and the credentials allow sqs:ReceiveMessage and sqs:DeleteMessage; \
                  until then nobody hears of uploads whose clients vanished but the sweeper";
    report.advise(CHECK, Status::Error, found, advice);
}
