#!/bin/sh
# Sets up a customer on a running server: an account, a tree, permissions and roles, a person with a role, and an API key
# for a backend. Prints the key as an `export` line. Needs curl.
#
#   eval "$(canopy token --operator --export)"
#   examples/bootstrap.sh Acme ada@acme.example
set -eu

account=${1:?the name of the account, such as Acme}
email=${2:?the mail address of its first person}
: "${BASE:?run eval \"\$(canopy token --operator --export)\" first}" "${TOKEN:?}"

# call METHOD URL [BODY] prints the answer, and fails where the server refuses.
call() {
    curl -sS --fail-with-body -X "$1" "$2" -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
        ${3:+-d "$3"}
}

# field NAME prints the first text of that name in an answer.
field() { grep -o "\"$1\":\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4; }

# id_of NAME prints the id of what has this name in an answer.
id_of() { grep -o "\"id\":\"[^\"]*\"[^{}]*\"name\":\"$1\"" | head -n 1 | cut -d '"' -f 4; }

made=$(call POST "$BASE/portal/v1/accounts" "{\"name\": \"$account\"}")
slug=$(printf %s "$made" | field slug)
application=$BASE/portal/v1/accounts/$slug/applications/default
environment=$application/environments/development

call POST "$environment/import" '{
  "format_version": 1,
  "access_model": "hierarchy",
  "hierarchy_schema": {
    "node_types": ["company", "team"], "root_node_type": "company", "max_depth": 2,
    "allowed_children": {"company": ["team"]}},
  "permissions": [{"key": "note.read"}, {"key": "note.write"}],
  "roles": [
    {"name": "Editor", "permission_keys": ["note.read", "note.write"]},
    {"name": "Viewer", "permission_keys": ["note.read"]}],
  "nodes": [
    {"path": "'"$slug"'", "node_type": "company", "name": "'"$account"'"},
    {"path": "'"$slug"'/berlin", "node_type": "team", "name": "Berlin"}]
}' >&2

roles=$(call GET "$environment/roles")
tree=$(call GET "$environment/nodes")
role=$(printf %s "$roles" | id_of Editor)
node=$(printf %s "$tree" | id_of Berlin)
call POST "$application/identities" "{
  \"email\": \"$email\", \"first_name\": \"First\", \"last_name\": \"Person\",
  \"role_id\": \"$role\", \"node_id\": \"$node\"}" >&2

made=$(call POST "$environment/api-keys" '{"name": "backend", "access_mode": "full_access"}')
echo "export KEY='$(printf %s "$made" | field key)'"
