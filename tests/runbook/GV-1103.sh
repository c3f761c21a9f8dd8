#!/usr/bin/env bash
# No incident of that name was noted.
. "$(dirname "$0")/lib.sh"
begin
mkdir "$DIR" && echo mine >"$DIR/mine.txt"
refused_with GV-2101 git vault restore "$SNAP" "$DIR"
keep incidents "$HOME/.local/state/git-vault/incidents"
refused git vault incident show nonsense
put 20260101-120000 "$(ls "$HOME/.local/state/git-vault/incidents")"
follow
safe "what was noted is there and readable"
unchanged incidents "$HOME/.local/state/git-vault/incidents"
finish
