"""What Terraform deploys, for the test that deploys it to an emulator (cli/tests/sluice/deployed.rs).

    cd terraform && terraform test -json -verbose | python3 tests/deployment.py > tests/deployment.json

Reads the states that `terraform test` prints and keeps, of the runs named in RUNS, what fixtures/emulator/deploy.py
makes or is to know. What is tested is then what is deployed; a change of the modules shows as a change of the file, and
.ci/terraform holds the file to it. How the tests went is told on stderr.
"""
import json
import re
import sys

RUNS = ["deployment", "through_sns", "through_eventbridge"]

# Attributes that are kept, by type. The rest is of no use to an emulator, or made up by the mocked provider.
KEPT = {
    "aws_cloudwatch_event_rule": ["name", "event_pattern", "schedule_expression"],
    "aws_cloudwatch_event_target": ["rule", "arn", "input"],
    "aws_iam_role": ["name", "arn", "assume_role_policy"],
    "aws_iam_role_policy": ["name", "role", "policy"],
    "aws_lambda_event_source_mapping": [
        "event_source_arn", "function_name", "function_response_types", "batch_size",
        "maximum_batching_window_in_seconds", "scaling_config"],
    "aws_lambda_function": [
        "function_name", "role", "runtime", "handler", "architectures", "timeout", "memory_size", "environment"],
    "aws_lambda_permission": ["action", "function_name", "principal", "source_arn"],
    "aws_lambda_function_recursion_config": ["function_name", "recursive_loop"],
    "aws_s3_bucket": ["bucket"],
    "aws_s3_bucket_lifecycle_configuration": ["bucket", "rule"],
    "aws_s3_bucket_notification": ["bucket", "queue", "topic", "eventbridge"],
    "aws_s3_bucket_policy": ["bucket", "policy"],
    "aws_s3_bucket_versioning": ["bucket", "versioning_configuration"],
    "aws_sns_topic": ["name", "arn"],
    "aws_sns_topic_policy": ["arn", "policy"],
    "aws_sns_topic_subscription": ["topic_arn", "protocol", "endpoint", "raw_message_delivery"],
    "aws_sqs_queue": ["name", "arn", "url", "visibility_timeout_seconds", "message_retention_seconds", "redrive_policy"],
    "aws_sqs_queue_policy": ["queue_url", "policy"],
    "aws_sqs_queue_redrive_allow_policy": ["queue_url", "redrive_allow_policy"],
}

# The provider makes up eight letters for text that is not set. Only in these attributes could that be taken for a value.
MAY_BE_MADE_UP = {"filter_prefix", "filter_suffix", "redrive_policy", "mfa_delete", "id", "prefix", "date", "event_pattern",
                  "schedule_expression", "input"}
MADE_UP = re.compile(r"[a-z0-9]{8}")


def is_made_up(name, value):
    return value is None or name in MAY_BE_MADE_UP and isinstance(value, str) and MADE_UP.fullmatch(value) is not None


def without_made_up(value):
    """The value without what is not set."""
    if isinstance(value, list):
        return [without_made_up(item) for item in value]
    if isinstance(value, dict):
        return {name: without_made_up(item) for name, item in value.items() if not is_made_up(name, item)}
    return value


def kept(resources):
    return {
        resource["address"]: without_made_up({name: resource["values"][name] for name in KEPT[resource["type"]]})
        for resource in sorted(resources, key=lambda resource: resource["address"])
        if resource["mode"] == "managed" and resource["type"] in KEPT
    }


def main():
    states = {}
    for line in sys.stdin:
        event = json.loads(line)
        if event["type"] in ("diagnostic", "test_summary"):
            where = f"{event['@testfile']}, {event['@testrun']}: " if "@testrun" in event else ""
            detail = event.get("diagnostic", {}).get("detail", "")
            print(f"{where}{event['@message']} {detail}".rstrip(), file=sys.stderr)
        if event["type"] == "test_state" and event["@testrun"] in RUNS:
            states[event["@testrun"]] = kept(event["test_state"]["root_module"]["resources"])
    missing = [run for run in RUNS if run not in states]
    if missing:
        sys.exit(f"terraform printed no state of the runs {missing}: was it called with -json -verbose?")
    json.dump({run: states[run] for run in RUNS}, sys.stdout, indent=2, sort_keys=True)
    print()


if __name__ == "__main__":
    main()
