#!/usr/bin/env bash
# Runs the walk-through of the README, command for command, against a fresh Sallyport and the orders service.
# Must hold no command that the page does not show: test/walkthrough.test.ts compares the two.
set -euo pipefail

ADMIN=http://127.0.0.1:8001/v1
TOKEN="Authorization: Bearer $(cat .sallyport/admin-token)"
JSON='Content-Type: application/json'

curl -sS -o /dev/null -w '%{http_code}\n' "$ADMIN/apis?wait=applied" -H "$TOKEN" -H "$JSON" -d '{
  "name": "orders",
  "upstream": "http://127.0.0.1:9000",
  "routes": [{ "paths": ["/orders"], "stripPath": false }]
}'

curl -sS http://127.0.0.1:8000/orders/1001
curl -sS http://127.0.0.1:8000/orders -H "$JSON" -d '{"item": "desk", "quantity": 1}'

curl -sS -o /dev/null -w '%{http_code}\n' "$ADMIN/bindings?wait=applied" -H "$TOKEN" -H "$JSON" -d '{
  "plugin": "key-auth",
  "scope": { "api": "orders" }
}'
curl -sS -o /dev/null -w '%{http_code}\n' http://127.0.0.1:8000/orders/1001

curl -sS -o /dev/null -w '%{http_code}\n' "$ADMIN/consumers?wait=applied" -H "$TOKEN" -H "$JSON" -d '{
  "username": "alice"
}'
curl -sS -o /dev/null -w '%{http_code}\n' "$ADMIN/consumers/alice/credentials?wait=applied" -H "$TOKEN" -H "$JSON" -d '{
  "type": "key-auth",
  "key": "alice-opens-the-gate"
}'
curl -sS http://127.0.0.1:8000/orders/1001 -H 'apikey: alice-opens-the-gate'

curl -sS -o /dev/null -w '%{http_code}\n' "$ADMIN/bindings?wait=applied" -H "$TOKEN" -H "$JSON" -d '{
  "plugin": "rate-limiting",
  "scope": { "api": "orders" },
  "config": { "limits": [{ "requests": 3, "windowSeconds": 60 }], "by": "consumer" }
}'
for request in 1 2 3 4 5; do
  curl -sS -o /dev/null -w '%{http_code}\n' http://127.0.0.1:8000/orders/1001 -H 'apikey: alice-opens-the-gate'
done

curl -sS "$ADMIN/revisions" -H "$TOKEN" | node -p 'JSON.parse(fs.readFileSync(0)).data.map((revision) => revision.number).join(" ")'

curl -sS -o /dev/null -w '%{http_code}\n' -X POST "$ADMIN/revisions/4/rollback?wait=applied" -H "$TOKEN"
for request in 1 2 3 4 5; do
  curl -sS -o /dev/null -w '%{http_code}\n' http://127.0.0.1:8000/orders/1001 -H 'apikey: alice-opens-the-gate'
done
