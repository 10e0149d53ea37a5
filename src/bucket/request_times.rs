//! Every request to the store is timed, whoever sends it: by a hook of the SDK around all its tries.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use aws_sdk_s3::config::interceptors::{BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use tracing::Span;

use crate::metrics::{self, Outcome};
use crate::trace;

/// The hook.
#[derive(Debug)]
pub(super) struct Measuring;

/// A request under way. It is measured when it is dropped: one that ran out of time has no end that the SDK would tell.
#[derive(Debug)]
struct UnderWay {
    operation: String,
    started: Instant,
    /// Its part of a trace, which ends with it.
    span: Span,
    /// An index of [`OUTCOMES`]; failed until more is known.
    outcome: AtomicU8,
}

const OUTCOMES: [Outcome; 3] = [Outcome::Failed, Outcome::Absent, Outcome::Done];

impl Storable for UnderWay {
    type Storer = StoreReplace<Self>;
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let outcome = OUTCOMES.get(usize::from(*self.outcome.get_mut())).copied().unwrap_or(Outcome::Failed);
        if outcome == Outcome::Failed {
            trace::failed(&self.span);
        }
        metrics::s3(&self.operation, outcome, self.started.elapsed());
    }
}

#[dyn_dispatch_hint]
impl Intercept for Measuring {
    fn name(&self) -> &'static str {
        "measuring"
    }

    /// The first hook that knows the operation.
    fn read_before_serialization(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = config.load::<Metadata>().map(|metadata| metadata.name().to_owned()).unwrap_or_default();
        let span = trace::s3(&operation);
        config.interceptor_state().store_put(UnderWay { operation, started: Instant::now(), span, outcome: AtomicU8::new(0) });
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let status = context.response().map(|response| response.status().as_u16());
        if let Some(under_way) = config.load::<UnderWay>() {
            let outcome = match (context.output_or_error(), status) {
                (Some(Ok(_)), _) => 2,
                // Gone, changed, or not as asked: what the use cases expect, and no failure of the store. A bucket that is gone is one.
                (_, Some(404 | 412 | 416)) if under_way.operation != "HeadBucket" => 1,
                _ => 0,
            };
            under_way.outcome.store(outcome, Ordering::Relaxed);
        }
        Ok(())
    }
}
