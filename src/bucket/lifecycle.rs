//! The bucket's own expiry rule on the staging prefix: the second line behind the sweeper.

use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, ExpirationStatus, LifecycleExpiration, LifecycleRule,
    LifecycleRuleFilter, TransitionDefaultMinimumObjectSize,
};

use super::{Bucket, BucketError, status};

/// The rule's name: what is applied again replaces it and leaves the owner's other rules alone.
pub const RULE_ID: &str = "dropslip-staging";

/// After how many days an upload in parts cannot be wanted any more: the broker signs parts for seven, and days count from midnight.
pub const UPLOAD_DAYS: i32 = 9;

impl Bucket {
    /// Sets the rule that deletes what lies under `prefix` for `days`, beside whatever rules there are.
    ///
    /// # Errors
    /// See [`BucketError`]; stores without lifecycle rules refuse.
    pub async fn apply_lifecycle(&self, prefix: &str, days: i32) -> Result<(), BucketError> {
        let (mut rules, smallest) = self.lifecycle_rules().await?;
        rules.retain(|rule| rule.id() != Some(RULE_ID));
        let unfit = |error: aws_sdk_s3::error::BuildError| BucketError::Refused(error.to_string());
        let rule = LifecycleRule::builder()
            .id(RULE_ID)
            .status(ExpirationStatus::Enabled)
            .filter(LifecycleRuleFilter::builder().prefix(prefix).build())
            .expiration(LifecycleExpiration::builder().days(days).build())
            .abort_incomplete_multipart_upload(AbortIncompleteMultipartUpload::builder().days_after_initiation(UPLOAD_DAYS).build());
        rules.push(rule.build().map_err(unfit)?);
        let configuration = BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build().map_err(unfit)?;
        let request = self.client.put_bucket_lifecycle_configuration().bucket(&self.name).lifecycle_configuration(configuration);
        let request = request.set_transition_default_minimum_object_size(smallest);
        request.send().await.map(drop).map_err(|error| self.explained(&error))
    }

    /// The rules there are, and the smallest size that they move to other storage: written back as it was.
    async fn lifecycle_rules(&self) -> Result<(Vec<LifecycleRule>, Option<TransitionDefaultMinimumObjectSize>), BucketError> {
        match self.client.get_bucket_lifecycle_configuration().bucket(&self.name).send().await {
            Ok(output) => Ok((output.rules.unwrap_or_default(), output.transition_default_minimum_object_size)),
            Err(error) if status(&error) == Some(404) => Ok((Vec::new(), None)),
            Err(error) => Err(self.explained(&error)),
        }
    }
}

/// The rule as `aws s3api put-bucket-lifecycle-configuration` reads it.
#[must_use]
pub fn document(prefix: &str, days: i32) -> serde_json::Value {
    serde_json::json!({"Rules": [{"ID": RULE_ID, "Status": "Enabled", "Filter": {"Prefix": prefix}, "Expiration": {"Days": days},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": UPLOAD_DAYS}}]})
}
