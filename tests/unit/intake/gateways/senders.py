"""Bodies as senders are documented to send them: for each, one that fires and one that ends it."""

from typing import Any

Sample = tuple[Any, dict[str, str]]
"""A body, and the headers that count."""

_GITHUB = {
    "repository": {"full_name": "acme/shop", "name": "shop", "html_url": "https://gh.example/shop"},
    "sender": {"login": "ada", "type": "User"},
    "installation": {"id": 7},
}


def github(event: str, delivery: str = "d-1", **body: Any) -> Sample:
    return {**_GITHUB, **body}, {"X-GitHub-Event": event, "X-GitHub-Delivery": delivery}


def workflow(conclusion: str | None, action: str = "completed") -> Sample:
    run = {
        "id": 30433642,
        "name": "build",
        "workflow_id": 159038,
        "head_branch": "main",
        "head_sha": "acb5820c",
        "run_number": 562,
        "event": "push",
        "status": "completed",
        "conclusion": conclusion,
        "html_url": "https://github.com/acme/shop/actions/runs/30433642",
        "updated_at": "2026-03-01T11:58:00Z",
        "head_commit": {"message": "Fix the till"},
    }
    return github("workflow_run", action=action, workflow_run=run)


def deployment(state: str, task: str = "deploy") -> Sample:
    return github(
        "deployment_status",
        action="created",
        deployment_status={
            "state": state,
            "description": "failed to start",
            "target_url": "https://ci.example.com/42",
            "environment_url": "",
            "updated_at": "2026-03-01T11:58:00Z",
        },
        deployment={"id": 145988746, "task": task, "environment": "production", "sha": "acb5820c"},
    )


def dependabot(action: str) -> Sample:
    alert = {
        "number": 2,
        "state": "open",
        "dependency": {"package": {"ecosystem": "pip", "name": "django"}},
        "security_advisory": {
            "ghsa_id": "GHSA-rf4j-j272-fj86",
            "summary": "Django leaks a password",
            "description": "django.contrib.auth.forms ...",
            "severity": "high",
        },
        "html_url": "https://github.com/acme/shop/security/dependabot/2",
        "created_at": "2026-03-01T07:43:03Z",
    }
    return github("dependabot_alert", action=action, alert=alert)


def code_scanning(action: str) -> Sample:
    alert = {
        "number": 10,
        "created_at": "2026-03-01T10:00:00Z",
        "html_url": "https://github.com/acme/shop/security/code-scanning/10",
        "rule": {
            "id": "js/xss",
            "severity": "error",
            "security_severity_level": "medium",
            "description": "Cross-site scripting",
        },
    }
    return github("code_scanning_alert", action=action, alert=alert)


def secret_scanning(action: str) -> Sample:
    alert = {
        "number": 42,
        "secret_type": "adafruit_io_key",
        "secret_type_display_name": "Adafruit IO Key",
        "html_url": "https://github.com/acme/shop/security/secret-scanning/42",
        "created_at": "2026-03-01T10:00:00Z",
    }
    return github("secret_scanning_alert", action=action, alert=alert)


def datadog(transition: str, scope: str = "host:a") -> Sample:
    return {
        "alert_id": "1234",
        "scope": scope,
        "transition": transition,
        "title": f"[{transition} on {{{scope}}}] CPU is high",
        "body": "CPU over 90 % for 5 minutes",
        "priority": "P2",
        "alert_type": "error",
        "hostname": scope.removeprefix("host:"),
        "tags": f"env:prod,service:checkout,{scope},urgent",
        "date": "1772366280000",
        "link": "https://app.datadoghq.eu/monitors/1234",
        "org_name": "acme",
    }, {}


def datadog_default(state: str) -> Sample:
    return {
        "body": "%%% CPU %%%",
        "last_updated": "1772366280000",
        "event_type": "metric_alert_monitor",
        "title": f"[{state} on {{host:a}}] CPU is high",
        "date": "1772366280000",
        "org": {"id": "11023", "name": "acme"},
        "id": f"event of {state}",
    }, {}


def zabbix(value: str, update: str = "0", action: str = "") -> Sample:
    return {
        "event_id": "8712",
        "event_value": value,
        "event_update_status": update,
        "event_update_action": action,
        "event_nseverity": "4",
        "event_name": "Disk full",
        "event_date": "2026.03.01",
        "event_time": "11:58:00",
        "event_tags": "service:checkout, env:prod",
        "alert_subject": "Problem: Disk full",
        "alert_message": "sda1 has 1 % left",
        "host_name": "db1",
        "host_ip": "192.0.2.7",
        "link": "https://zabbix.example.com/tr_events.php?triggerid=5&eventid=8712",
        "user": "ada",
    }, {}


def kuma(status: int) -> Sample:
    word = "Up" if status == 1 else "Down"
    return {
        "heartbeat": {
            "monitorID": 3,
            "status": status,
            "time": "2026-03-01 11:58:00.123",
            "msg": "connect ECONNREFUSED",
            "important": True,
            "duration": 60,
        },
        "monitor": {
            "id": 3,
            "name": "shop",
            "url": "https://shop.example.com",
            "hostname": None,
            "type": "http",
            "tags": [{"tag_id": 1, "name": "team", "value": "web"}],
        },
        "msg": f"[shop] [{word}] connect ECONNREFUSED",
    }, {}


def sentry_event(**more: Any) -> Sample:
    event = {
        "event_id": "e4874d664c3540c1a32eab185f12c5ab",
        "issue_id": "1117540176",
        "level": "fatal",
        "title": "ReferenceError: heck is not defined",
        "message": "",
        "project": 1,
        "datetime": "2026-03-01T11:58:00.000000Z",
        "tags": [["browser", "Chrome 75"], ["service", "checkout"]],
        "web_url": "https://sentry.io/organizations/acme/issues/1117540176/events/e4/",
        **more,
    }
    return {
        "action": "triggered",
        "installation": {"uuid": "24b3..."},
        "data": {"event": event, "triggered_rule": "Very important"},
        "actor": {"type": "application", "id": "sentry", "name": "Sentry"},
    }, {"Sentry-Hook-Resource": "event_alert"}


def sentry_issue(action: str) -> Sample:
    issue = {
        "id": "1117540176",
        "title": "ReferenceError: heck is not defined",
        "level": "fatal",
        "project": {"id": "1", "slug": "shop"},
        "permalink": "https://sentry.io/organizations/acme/issues/1117540176/",
    }
    actor = {"type": "user", "id": 5, "name": "Ada"}
    return {"action": action, "data": {"issue": issue}, "actor": actor}, {
        "Sentry-Hook-Resource": "issue"
    }


def sentry_metric(action: str) -> Sample:
    return {
        "action": action,
        "data": {
            "metric_alert": {
                "id": "5",
                "title": "Errors",
                "projects": ["shop"],
                "date_started": "2026-03-01T11:58:00Z",
                "alert_rule": {"id": "3"},
            },
            "description_text": "1000 events in the last 10 minutes",
            "description_title": "Critical: Errors",
            "web_url": "https://sentry.io/organizations/acme/alerts/rules/details/5/",
        },
    }, {"Sentry-Hook-Resource": "metric_alert"}


_PROJECT = {"id": 1, "name": "shop", "path_with_namespace": "acme/shop"}


def gitlab_pipeline(status: str) -> Sample:
    return {
        "object_kind": "pipeline",
        "object_attributes": {
            "id": 31,
            "ref": "main",
            "status": status,
            "finished_at": "2026-03-01 11:58:00 UTC",
            "url": "https://gitlab.example.com/acme/shop/-/pipelines/31",
        },
        "user": {"username": "ada"},
        "project": _PROJECT,
        "commit": {"message": "Fix the till"},
    }, {"X-Gitlab-Event": "Pipeline Hook", "Idempotency-Key": "u-1"}


def gitlab_deployment(status: str) -> Sample:
    return {
        "object_kind": "deployment",
        "status": status,
        "status_changed_at": "2026-03-01 11:58:00 +0000",
        "deployment_id": 15,
        "deployable_url": "https://gitlab.example.com/acme/shop/-/jobs/796",
        "environment": "production",
        "project": _PROJECT,
        "short_sha": "279484c0",
        "ref": "main",
    }, {"X-Gitlab-Event": "Deployment Hook"}


def gitlab_incident(state: str) -> Sample:
    return {
        "object_kind": "issue",
        "user": {"username": "ada"},
        "project": _PROJECT,
        "object_attributes": {
            "id": 301,
            "iid": 23,
            "type": "Incident",
            "title": "The shop is down",
            "description": "Nobody can pay",
            "severity": "high",
            "state": state,
            "url": "https://gitlab.example.com/acme/shop/-/issues/23",
            "created_at": "2026-03-01 11:58:00 UTC",
        },
    }, {"X-Gitlab-Event": "Issue Hook"}


def cloudwatch(state: str) -> Sample:
    return {
        "AlarmName": "cpu-mon",
        "AlarmDescription": None,
        "AWSAccountId": "123456789012",
        "NewStateValue": state,
        "NewStateReason": "Threshold Crossed: 1 datapoint (10.0) was greater than 1.0.",
        "StateChangeTime": "2026-03-01T11:58:00.123+0000",
        "Region": "EU (Frankfurt)",
        "AlarmArn": "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:cpu-mon",
        "OldStateValue": "OK",
        "Trigger": {
            "MetricName": "CPUUtilization",
            "Namespace": "AWS/EC2",
            "Dimensions": [{"value": "i-0c986c72", "name": "InstanceId"}],
        },
    }, {}


def eventbridge(state: str) -> Sample:
    return {
        "version": "0",
        "id": f"c4c1c1c9-{state}",
        "detail-type": "CloudWatch Alarm State Change",
        "source": "aws.cloudwatch",
        "account": "123456789012",
        "time": "2026-03-01T11:58:00Z",
        "region": "us-east-1",
        "resources": ["arn:aws:cloudwatch:us-east-1:123456789012:alarm:ServerCpuTooHigh"],
        "detail": {
            "alarmName": "ServerCpuTooHigh",
            "state": {"value": state, "reason": "Threshold Crossed: 1 out of 1"},
        },
    }, {}


def azure(condition: str) -> Sample:
    essentials = {
        "alertId": "/subscriptions/1/providers/Microsoft.AlertsManagement/alerts/b9569717",
        "alertRule": "WCUS-R2-Gen2",
        "severity": "Sev1",
        "signalType": "Metric",
        "monitorCondition": condition,
        "alertTargetIDs": ["/subscriptions/1/virtualmachines/vm1"],
        "configurationItems": ["vm1"],
        "firedDateTime": "2026-03-01T11:58:00.4190000Z",
        "resolvedDateTime": "2026-03-01T12:01:00Z" if condition == "Resolved" else None,
        "description": "CPU over 70 %",
    }
    data = {"essentials": essentials, "alertContext": {}, "customProperties": {"team": "vm"}}
    return {"schemaId": "azureMonitorCommonAlertSchema", "data": data}, {}


def google(state: str) -> Sample:
    return {
        "version": "1.2",
        "incident": {
            "incident_id": "0.lxfiw61fsv7p",
            "scoping_project_id": "acme",
            "url": "https://console.cloud.google.com/monitoring/alerting/incidents/0.lx",
            "started_at": 1772366280,
            "ended_at": 1772366400 if state == "closed" else None,
            "state": state,
            "severity": "Critical",
            "summary": "CPU is above 0.9",
            "resource_display_name": "vm1",
            "policy_name": "CPU",
            "policy_user_labels": {"service": "checkout"},
            "condition_name": "VM CPU",
            "documentation": {"content": "Look at the till", "mime_type": "text/markdown"},
        },
    }, {}


def new_relic(state: str) -> Sample:
    return {
        "id": "9d2cd1a6",
        "issueUrl": "https://radar-api.service.newrelic.com/accounts/1/issues/9d2cd1a6",
        "title": "Memory Used % > 90 for at least 2 minutes on 'Some-Entity'",
        "priority": "CRITICAL",
        "impactedEntities": ["checkout", "till"],
        "state": state,
        "createdAt": 1772366280000,
        "updatedAt": 1772366280000,
        "alertPolicyNames": ["Policy1"],
        "alertConditionNames": ["Memory"],
        "workflowName": "to tocsin",
    }, {}


def checkmk(kind: str, service: str | None = "CPU load") -> Sample:
    over = kind == "RECOVERY"
    of_service = {
        "SERVICEDESC": service,
        "SERVICESTATE": "OK" if over else "CRITICAL",
        "SERVICEOUTPUT": "15 min load: 9.0",
        "SERVICEURL": "/check_mk/index.py?start_url=view.py",
    }
    return {
        "NOTIFICATIONTYPE": kind,
        "HOSTNAME": "db1",
        "HOSTSTATE": "UP" if over or service else "DOWN",
        "HOSTOUTPUT": "Packet received via smart PING",
        "HOSTADDRESS": "192.0.2.7",
        "MICROTIME": "1772366280123456",
        "NOTIFICATIONAUTHOR": "ada",
        **(of_service if service else {}),
    }, {}


def icinga(kind: str) -> Sample:
    return {
        "type": kind,
        "host": "db1",
        "service": "disk",
        "state": "OK" if kind == "RECOVERY" else "CRITICAL",
        "output": "DISK CRITICAL - 1 % free",
        "address": "192.0.2.7",
        "author": "ada",
        "comment": "",
        "time": "1772366280",
    }, {}


def librenms(state: int) -> Sample:
    return {
        "alert_id": 17,
        "uid": f"uid-{state}",
        "state": state,
        "severity": "critical",
        "title": "Alert for device db1 - Device down",
        "msg": "no answer to ICMP",
        "hostname": "db1",
        "name": "Device down",
        "timestamp": "2026-03-01 11:58:00",
    }, {}


def falco(rule: str = "Terminal shell in container") -> Sample:
    return {
        "uuid": "a-new-one-for-each",
        "output": "11:58:00.1: Notice A shell was spawned in a container",
        "priority": "Notice",
        "rule": rule,
        "time": "2026-03-01T11:58:00.746609046Z",
        "hostname": "node-1",
        "source": "syscall",
        "output_fields": {"k8s.ns.name": "shop", "k8s.pod.name": "till-1", "proc.pid": 7},
    }, {}


def healthchecks(status: str) -> Sample:
    return {
        "code": "5bf66975-d4c7-4bf5-bcc8-b8d8a82ea278",
        "status": status,
        "name": "backup",
        "tags": "nightly db",
        "now": "2026-03-01T11:58:00+00:00",
    }, {}


def sns_text() -> Sample:
    return {"message": "the queue is long", "topic": "arn:aws:sns:eu-central-1:1:ops"}, {}


FIRING_AND_OVER: dict[str, list[tuple[Sample, Sample]]] = {
    "datadog": [
        (datadog("Triggered"), datadog("Recovered")),
        (datadog_default("Triggered"), datadog_default("Recovered")),
    ],
    "zabbix": [(zabbix("1"), zabbix("0"))],
    "uptime-kuma": [(kuma(0), kuma(1))],
    "sentry": [
        (sentry_event(), sentry_issue("resolved")),
        (sentry_metric("critical"), sentry_metric("resolved")),
    ],
    "github": [
        (workflow("failure"), workflow("success")),
        (deployment("failure"), deployment("success")),
        (dependabot("created"), dependabot("fixed")),
        (code_scanning("created"), code_scanning("closed_by_user")),
        (secret_scanning("created"), secret_scanning("resolved")),
    ],
    "gitlab": [
        (gitlab_pipeline("failed"), gitlab_pipeline("success")),
        (gitlab_deployment("failed"), gitlab_deployment("success")),
        (gitlab_incident("opened"), gitlab_incident("closed")),
    ],
    "cloudwatch": [(cloudwatch("ALARM"), cloudwatch("OK"))],
    "eventbridge": [(eventbridge("ALARM"), eventbridge("OK"))],
    "azure-monitor": [(azure("Fired"), azure("Resolved"))],
    "google-cloud-monitoring": [
        (google("open"), google("closed")),
        (google("OPEN"), google("CLOSED")),
    ],
    "new-relic": [(new_relic("ACTIVATED"), new_relic("CLOSED"))],
    "checkmk": [
        (checkmk("PROBLEM"), checkmk("RECOVERY")),
        (checkmk("PROBLEM", None), checkmk("RECOVERY", None)),
    ],
    "icinga": [(icinga("PROBLEM"), icinga("RECOVERY"))],
    "librenms": [(librenms(1), librenms(0))],
    "healthchecks-io": [(healthchecks("down"), healthchecks("up"))],
}
NEVER_OVER: dict[str, list[Sample]] = {"falco": [falco()], "sns-message": [sns_text()]}
