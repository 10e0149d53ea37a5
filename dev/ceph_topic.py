#!/usr/bin/env python3
"""ceph_topic.py URL BUCKET ENDPOINT: makes the bucket, and lets Ceph's gateway tell the endpoint of what is written under temp/."""
import os, sys

import boto3

url, bucket, endpoint = sys.argv[1:]
keys = {"aws_access_key_id": os.environ["TEST_S3_ACCESS_KEY"], "aws_secret_access_key": os.environ["TEST_S3_SECRET_KEY"]}
s3, sns = (boto3.client(name, endpoint_url=url, region_name="us-east-1", **keys) for name in ("s3", "sns"))
# The gateway takes a password in a URL over HTTPS alone: here it is told of a proxy before it that does that part.
sns.meta.events.register("before-sign.sns.*", lambda request, **_: request.headers.add_header("X-Forwarded-Proto", "https"))
s3.create_bucket(Bucket=bucket)
topic = sns.create_topic(Name=bucket, Attributes={"push-endpoint": endpoint})["TopicArn"]
rule = {"Id": bucket, "TopicArn": topic, "Events": ["s3:ObjectCreated:*"], "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "temp/"}]}}}
s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"TopicConfigurations": [rule]})
