#!/bin/sh
# Ten appointments whose reminders are due in three minutes, written with the AWS CLI.
#
#     duestream up examples/appointments.py
#     sh examples/appointments.sh                      # or: SECONDS_AHEAD=5 sh examples/appointments.sh
#
# The reminders are due SECONDS_AHEAD seconds after each write (180 if not said).
# AWS_ENDPOINT_URL says where to (http://127.0.0.1:8787 if not said).
set -eu

seconds_ahead=${SECONDS_AHEAD:-180}
endpoint=${AWS_ENDPOINT_URL:-http://127.0.0.1:8787}

# The local server takes any credentials, but the AWS CLI does not start without some.
if [ -z "${AWS_ACCESS_KEY_ID:-}" ] && [ -z "${AWS_PROFILE:-}" ]; then
    AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local
    export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
fi
AWS_DEFAULT_REGION=${AWS_DEFAULT_REGION:-us-east-1}
export AWS_DEFAULT_REGION

# Seconds since 1970 as ISO 8601 in UTC: GNU and busybox, BSD and macOS, and where there is neither, Python.
iso_time() {
    date -u -d "@$1" +%Y-%m-%dT%H:%M:%S 2>/dev/null ||
        date -u -r "$1" +%Y-%m-%dT%H:%M:%S 2>/dev/null ||
        python3 -c 'import sys, time; print(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(int(sys.argv[1]))))' "$1"
}

number=1
while [ "$number" -le 10 ]; do
    due=$(iso_time "$(($(date +%s) + seconds_ahead))")
    aws dynamodb put-item --endpoint-url "$endpoint" --table-name Appointment-Table --item '{
        "PK": {"S": "appointment-'"$number"'"},
        "SK": {"S": "reminder"},
        "email": {"S": "patient-'"$number"'@example.com"},
        "ATTR_1": {"S": "This is appointment '"$number"'"},
        "REMINDER_TIMESTAMP": {"S": "'"$due"'"}
    }'
    echo "appointment-$number: reminder due $due UTC"
    number=$((number + 1))
done

echo
echo "What is pending:  aws scheduler list-schedules --endpoint-url $endpoint --group-name clinic"
echo "What was sent:    curl $endpoint/_aws/ses"
