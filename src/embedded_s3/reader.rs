//! Reading objects as S3 does, where `s3s-fs` alone does not: conditions, what a presigned URL wants said, and ends of short objects.

use axum::http::HeaderValue;
use axum::http::header::CONTENT_RANGE;
use s3s::dto::{
    ContentDisposition, ContentType, ETag, ETagCondition, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, Range,
};
use s3s::{S3, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::key_locks::Guarded;

/// What a request demands of the object, and wants to be said of it.
struct Conditions {
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
    content_type: Option<ContentType>,
    content_disposition: Option<ContentDisposition>,
}

impl Conditions {
    /// The conditions, and the headers as they are to be said.
    fn hold(
        self,
        tag: Option<&ETag>,
        content_type: &mut Option<ContentType>,
        disposition: &mut Option<ContentDisposition>,
    ) -> S3Result<()> {
        let is = |condition: &ETagCondition| match condition {
            ETagCondition::Any => true,
            ETagCondition::ETag(wanted) => tag.is_some_and(|tag| tag.value() == wanted.value()),
        };
        if self.if_match.is_some_and(|condition| !is(&condition)) {
            return Err(s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold"));
        }
        if self.if_none_match.is_some_and(|condition| is(&condition)) {
            return Err(s3_error!(NotModified));
        }
        *content_type = self.content_type.or_else(|| content_type.take());
        *disposition = self.content_disposition.or_else(|| disposition.take());
        Ok(())
    }
}

impl Guarded {
    pub(super) async fn read(&self, mut request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = &mut request.input;
        let conditions = Conditions {
            if_match: input.if_match.take(),
            if_none_match: input.if_none_match.take(),
            content_type: input.response_content_type.take(),
            content_disposition: input.response_content_disposition.take(),
        };
        if let Some(Range::Suffix { length }) = input.range
            && let Ok(found) = tokio::fs::metadata(self.root.join(&input.bucket).join(&input.key)).await
            && length > found.len()
        {
            // The whole of it; `s3s-fs` would begin before its beginning.
            input.range = Some(Range::Int { first: 0, last: None });
        }
        let path = self.root.join(&input.bucket).join(&input.key);
        let mut answer = match self.files.get_object(request).await {
            Err(mut error) if *error.code() == S3ErrorCode::InvalidRange => {
                // How many bytes there are, for who asked beyond them.
                let size = tokio::fs::metadata(path).await.map_or(0, |found| found.len());
                error.set_headers(
                    HeaderValue::from_str(&format!("bytes */{size}")).map(|range| (CONTENT_RANGE, range)).into_iter().collect(),
                );
                return Err(error);
            }
            answer => answer?,
        };
        let output = &mut answer.output;
        conditions.hold(output.e_tag.as_ref(), &mut output.content_type, &mut output.content_disposition)?;
        output.accept_ranges = Some("bytes".to_owned());
        Ok(answer)
    }

    pub(super) async fn look(&self, mut request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = &mut request.input;
        let conditions = Conditions {
            if_match: input.if_match.take(),
            if_none_match: input.if_none_match.take(),
            content_type: input.response_content_type.take(),
            content_disposition: input.response_content_disposition.take(),
        };
        let mut answer = self.files.head_object(request).await?;
        let output = &mut answer.output;
        conditions.hold(output.e_tag.as_ref(), &mut output.content_type, &mut output.content_disposition)?;
        output.accept_ranges = Some("bytes".to_owned());
        Ok(answer)
    }
}
